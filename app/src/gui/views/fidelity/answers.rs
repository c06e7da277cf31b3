//! What the model says on each evicted cache of the open sample, window by budget.

use egui::text::{LayoutJob, TextFormat};
use egui::{Align, Grid, Label, Layout, RichText, ScrollArea, Stroke, TextStyle, Ui, vec2};

use super::super::legend::entry;
use super::super::token_rows::visible;
use super::super::{View, empty_hint};
use super::plot::oracle_style;
use crate::gui::data::Shown;
use crate::gui::numbers::budget_words;
use crate::gui::questions::fidelity::FidelityPoint;
use crate::gui::theme::SeriesStyle;
use crate::measurement::fidelity::FULL_LABEL;
use crate::measurement::fidelity::answers::parted;
use kvlens_analysis::Budget;
use kvlens_sessions::windows::DECODE_LABEL;

/// Width of a column of answers, where many and where few share the room; of longer answers the pointer tells the rest.
const COLUMN_WIDTHS: [f32; 2] = [190.0, 900.0];

/// Between two columns.
const COLUMN_GAP: f32 = 12.0;

/// Room for the names of the windows.
const NAMES_WIDTH: f32 = 160.0;

/// Draws the table.
pub(super) fn answers_ui(ui: &mut Ui, view: &View<'_>, shown: &Shown, points: &[FidelityPoint]) {
    let Some(full) = points.iter().find(|point| point.label == FULL_LABEL) else {
        empty_hint(
            ui,
            "This sample was not measured yet: press 'Measure fidelity'",
        );
        return;
    };
    ScrollArea::both().auto_shrink(false).show(ui, |ui| {
        ui.horizontal_wrapped(|ui| {
            ui.strong("On the full cache");
            ui.label(RichText::new(one_line(&full.generated)).monospace());
            reference_ui(ui, shown, full);
        });
        ui.add_space(6.0);
        let budgets = budgets_of(points);
        let [narrow, wide] = COLUMN_WIDTHS;
        let width = (ui.available_width() - NAMES_WIDTH) / budgets.len().max(1) as f32 - COLUMN_GAP;
        let width = width.clamp(narrow, wide);
        let grid = Grid::new("answers").striped(true);
        grid.spacing([COLUMN_GAP, 3.0]).show(ui, |ui| {
            ui.weak("kept by");
            for point in &budgets {
                let text = match point.budget {
                    Budget::Tokens(_) => format!("{} tokens", point.budget_tokens),
                    Budget::Fraction(_) => {
                        let budget = budget_words(point.budget);
                        format!("{budget} = {} tokens", point.budget_tokens)
                    }
                };
                ui.weak(text);
            }
            ui.end_row();
            for (label, style) in rows_of(view, points) {
                ui.horizontal(|ui| entry(ui, &style, RichText::new(label)));
                for column in &budgets {
                    let mut points = points.iter();
                    let cell =
                        points.find(|point| point.label == label && point.budget == column.budget);
                    match cell {
                        Some(point) => answer_ui(ui, view, (point, width), &full.generated),
                        None => drop(ui.weak("…")),
                    }
                }
                ui.end_row();
            }
        });
    });
}

/// What the data say is right, and whether the full cache says it.
fn reference_ui(ui: &mut Ui, shown: &Shown, full: &FidelityPoint) {
    let record = &shown.sample.record;
    if let Some(answer) = &record.answer {
        ui.weak(format!("reference: {}", one_line(answer)));
    }
    if let Some(score) = full.figures.score {
        ui.weak(format!("score {score:.2}"));
    }
}

/// One point of each budget, by ascending tokens.
fn budgets_of(points: &[FidelityPoint]) -> Vec<&FidelityPoint> {
    let mut budgets: Vec<&FidelityPoint> = Vec::new();
    for point in points.iter().filter(|point| point.label != FULL_LABEL) {
        if budgets.iter().all(|known| known.budget != point.budget) {
            budgets.push(point);
        }
    }
    budgets.sort_by_key(|point| point.budget_tokens);
    budgets
}

/// The oracle and the shown windows that were measured, in the order of the sample, as they are drawn elsewhere.
fn rows_of<'a>(view: &'a View<'_>, points: &[FidelityPoint]) -> Vec<(&'a str, SeriesStyle)> {
    let hidden = &view.settings.choices.hidden_windows;
    let windows = view.derived.windows().iter();
    let windows = windows.map(|window| {
        let style = view.theme.series(&window.label, window.repeat);
        (window.label.as_str(), style)
    });
    std::iter::once((DECODE_LABEL, oracle_style(view)))
        .chain(windows.filter(|(label, _)| !hidden.contains(*label)))
        .filter(|(label, _)| points.iter().any(|point| point.label == *label))
        .collect()
}

/// An answer in one line, without what stands around it.
fn one_line(answer: &str) -> String {
    visible(answer.trim()).collect()
}

/// Letters of what an answer shares with the full cache's that are shown before those that it does not share.
const COMMON_LETTERS: usize = 24;

/// The end of a longer beginning.
fn shortened(common: &str) -> String {
    let letters: Vec<char> = common.chars().collect();
    match letters.len().checked_sub(COMMON_LETTERS) {
        None | Some(0) => common.to_owned(),
        Some(left_out) => std::iter::once('…')
            .chain(letters.into_iter().skip(left_out + 1))
            .collect(),
    }
}

/// The answer in a line, level with its name; underlined from where it leaves the full cache's.
fn answer_ui(ui: &mut Ui, view: &View<'_>, (point, width): (&FidelityPoint, f32), full: &str) {
    let (answer, full) = (one_line(&point.generated), one_line(full));
    let kl = point.figures.fidelity.kl;
    let numbers = match point.figures.score {
        Some(score) => format!("score {score:.2}, KL {kl:.3} nats"),
        None => format!("KL {kl:.3} nats"),
    };
    let hover = format!("{numbers}\n{}", point.generated.trim());
    let size = vec2(width, ui.spacing().interact_size.y);
    ui.allocate_ui_with_layout(size, Layout::left_to_right(Align::Center), |ui| {
        ui.set_min_width(width);
        if answer == full {
            ui.weak("the same").on_hover_text(hover);
            return;
        }
        let (common, own) = parted(&answer, &full);
        let font = TextStyle::Body.resolve(ui.style());
        let mut text = LayoutJob::default();
        let format = TextFormat::simple(font.clone(), ui.visuals().text_color());
        text.append(&shortened(common), 0.0, format);
        let mut format = TextFormat::simple(font, view.theme.missed);
        format.underline = Stroke::new(1.0, view.theme.missed);
        let ends = match answer.is_empty() {
            true => "(nothing)",
            false => " (ends)",
        };
        text.append(if own.is_empty() { ends } else { own }, 0.0, format);
        ui.add(Label::new(text).truncate()).on_hover_text(hover);
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_takes_one_line_and_shows_where_it_leaves_the_other() {
        assert_eq!(one_line(" system\n\nuser\n"), "system↵↵user");
        assert_eq!(shortened("The code is"), "The code is");
        let long = shortened("The code word of the harbour is \"Amber");
        assert_eq!(long.chars().count(), COMMON_LETTERS);
        assert!(
            long.starts_with('…') && long.ends_with("is \"Amber"),
            "{long}"
        );
    }
}
