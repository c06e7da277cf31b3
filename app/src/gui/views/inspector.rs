//! Numbers of the selection at the budget, and the sample's own facts.

mod numbers;

use egui::{RichText, ScrollArea, TextStyle, Ui};
use kvlens_analysis::{Compare, Metric};

use super::heads::words_field;
use super::{Need, PaneView, ReadNumbers, SCROLLED_SHARE, View, empty_hint, in_force_ui};
use crate::gui::command::{Commands, LookCommand};
use crate::gui::data::Shown;
use crate::gui::derived::Derived;
pub use crate::gui::head_numbers::short;
use crate::gui::layout::Pane;
use crate::gui::numbers::{signed, windows_at_budget};
use crate::gui::state::Choices;
use crate::gui::state::HeadAddress;
use crate::gui::widgets::number_table::NumberTable;
use crate::gui::widgets::together::{text_width, text_width_in};
use crate::measurement::MeasuredWindow;
use numbers::NumbersTable;

/// Beside the table stands the answer where so many letters of it fit in a line.
const ANSWER_LETTERS: f32 = 36.0;

/// Between the two.
const SIDE_GAP: f32 = 24.0;

/// Where the heads are typed, their count stands behind the field in a row so wide.
const ROW_WITH_COUNT: f32 = 300.0;

impl Pane {
    /// Numbers of the selection.
    pub const INSPECTOR: Self = Self::of(&InspectorView);
}

struct InspectorView;

impl PaneView for InspectorView {
    fn name(&self) -> &'static str {
        "Inspector"
    }

    fn title(&self) -> &'static str {
        "Inspector"
    }

    fn help(&self) -> &'static str {
        include_str!("../../../help/views/inspector.md")
    }

    fn needs(&self, _choices: &Choices) -> &'static [Need] {
        &[Need::Curves, Need::Tokens]
    }

    fn presented_share(&self) -> f32 {
        SCROLLED_SHARE
    }

    fn ui(&self, ui: &mut Ui, view: &View<'_>, commands: &mut Commands) {
        inspector_ui(ui, view, commands);
    }

    fn numbers(&self) -> Option<ReadNumbers> {
        Some(windows_at_budget)
    }
}

fn inspector_ui(ui: &mut Ui, view: &View<'_>, commands: &mut Commands) {
    let Some((_, shown)) = view.shown() else {
        empty_hint(ui, "Open a session to see its numbers");
        return;
    };
    let windows = &shown.sample.windows;
    let metric = view.settings.choices.metric;
    let table = NumbersTable::new(view.theme, metric, view.derived, windows, None);
    let letter = text_width(ui, "0");
    let room = ui.available_width() - SIDE_GAP;
    let left = table.width_at_ease(ui).max(room / 2.0);
    ScrollArea::vertical()
        .id_salt("inspector")
        .auto_shrink(false)
        .show(ui, |ui| match left + ANSWER_LETTERS * letter <= room {
            true => {
                ui.horizontal_top(|ui| {
                    ui.spacing_mut().item_spacing.x = SIDE_GAP;
                    part_ui(ui, left, |ui| selection_ui(ui, view, &table, commands));
                    part_ui(ui, room - left, |ui| sample_ui(ui, view, shown));
                });
            }
            false => {
                selection_ui(ui, view, &table, commands);
                sample_ui(ui, view, shown);
            }
        });
}

/// One of two parts beside each other.
fn part_ui(ui: &mut Ui, width: f32, part: impl FnOnce(&mut Ui)) {
    let spacing = ui.ctx().global_style().spacing.item_spacing;
    ui.vertical(|ui| {
        ui.spacing_mut().item_spacing = spacing;
        ui.set_width(width);
        part(ui);
    });
}

/// What is known of the selected heads.
fn selection_ui(ui: &mut Ui, view: &View<'_>, table: &NumbersTable<'_>, commands: &mut Commands) {
    heads_ui(ui, view, commands);
    evidence_ui(ui, view);
    numbers_ui(ui, view, view.derived, table, "");
    let shown_beside = view.data.beside.as_ref().and_then(|it| it.shown.as_ref());
    if let (Some(beside), Some(shown)) = (view.beside, shown_beside) {
        let (metric, windows) = (view.settings.choices.metric, &shown.sample.windows);
        let a = Some(view.derived);
        let table = NumbersTable::new(view.theme, metric, beside, windows, a);
        numbers_ui(ui, view, beside, &table, " in B");
    }
    pinned_ui(ui, view, commands);
}

/// What is known of the sample itself.
fn sample_ui(ui: &mut Ui, view: &View<'_>, shown: &Shown) {
    answer_ui(ui, view, shown);
    cost_ui(ui, shown);
}

/// The selection as text, to read and to type.
fn heads_ui(ui: &mut Ui, view: &View<'_>, commands: &mut Commands) {
    let Some((session, _)) = view.shown() else {
        return;
    };
    let heads = &view.settings.choices.heads;
    let all = session.info.layers * session.info.query_heads;
    let count = if heads.is_empty() { all } else { heads.len() };
    let count = format!("{count} of {all} query heads");
    let gap = ui.spacing().item_spacing.x;
    let is_one_row = ui.available_width() >= ROW_WITH_COUNT;
    let behind = match is_one_row {
        true => text_width(ui, &count) + gap,
        false => 0.0,
    };
    ui.horizontal(|ui| {
        let name = ui.strong("Heads");
        let width = (ui.available_width() - 46.0 - behind).max(60.0);
        words_field(ui, view, "heads draft", name.id, width, commands);
        if ui
            .add_enabled(!heads.is_empty(), egui::Button::new("All"))
            .on_hover_text("Select every head")
            .clicked()
        {
            commands.send(LookCommand::SelectAllHeads);
        }
        if is_one_row {
            ui.weak(&count);
        }
    });
    if !is_one_row {
        ui.weak(count);
    }
}

/// The numbers of one session's windows.
fn numbers_ui(
    ui: &mut Ui,
    view: &View<'_>,
    derived: &Derived,
    table: &NumbersTable<'_>,
    which: &str,
) {
    ui.add_space(4.0);
    ui.horizontal_wrapped(|ui| {
        ui.strong(format!("At {} tokens{which}", derived.budget_tokens()))
            .on_hover_text(
                "Mean over the selected heads; hover a number for the middle 80 % of them",
            );
        in_force_ui(ui, view);
        let is_of_queries = view
            .shown()
            .is_some_and(|(_, shown)| shown.options.compare == Compare::Queries);
        if is_of_queries && which.is_empty() {
            let text = RichText::new("the decode stage itself: recall 1.000").weak();
            ui.add(egui::Label::new(text).extend()).on_hover_text(
                "Its own queries, scored as every window is, reach 1 at every budget",
            );
        }
    });
    undefined_ui(ui, derived, view.settings.choices.metric);
    table.ui(ui);
}

/// In how many of the selected heads the metric says nothing: the means leave them out.
fn undefined_ui(ui: &mut Ui, derived: &Derived, metric: Metric) {
    let Some(window) = derived.bands().first() else {
        return;
    };
    let undefined = window.heads - window.defined_heads(metric, derived.budget_index);
    if undefined > 0 {
        let heads = window.heads;
        let text = format!(
            "{} is undefined in {undefined} of {heads} heads",
            metric.label()
        );
        ui.weak(text).on_hover_text(
            "Their layers see no more tokens than the budget, or no needed ones; the means leave them out",
        );
    }
}

/// The head that others are held against.
fn pinned_ui(ui: &mut Ui, view: &View<'_>, commands: &mut Commands) {
    let Some(curve) = view.derived.pinned_curve() else {
        return;
    };
    ui.add_space(6.0);
    ui.horizontal(|ui| {
        let HeadAddress { layer, head } = curve.head;
        ui.strong(format!("Pinned {layer}.{head}")).on_hover_text(
            "The head that the others are held against; right-click in the map pins",
        );
        if ui.small_button("Unpin").clicked() {
            commands.send(LookCommand::Pin(None));
        }
    });
    let at = view.derived.budget_index;
    let pinned = curve.values.get(at).copied().unwrap_or(f64::NAN);
    let label = view.derived.window.as_deref().unwrap_or_default();
    let metric = view.settings.choices.metric;
    let bands = view.derived.bands().iter();
    let selected = bands
        .filter(|window| window.label == label)
        .find_map(|window| window.band(metric)?.mean.get(at).copied());
    ui.label(format!("{label}: {} {pinned:.3}", metric.label()));
    if let Some(selected) = selected {
        ui.weak(format!(
            "the selection has {}",
            signed(selected - pinned, 3)
        ));
    }
}

fn evidence_ui(ui: &mut Ui, view: &View<'_>) {
    let kept = view.derived.evidence();
    if kept.needed == 0 {
        return;
    }
    ui.add_space(6.0);
    let window = view.derived.window.as_deref().unwrap_or("window");
    ui.horizontal_wrapped(|ui| {
        ui.strong("Needed tokens kept").on_hover_text(
            "Of the tokens that hold what the answer needs, what the window's eviction rule keeps, by the importance \
             that the selected heads have in the mean; the column 'evidence' is the mean of what each head keeps by \
             itself: the metric 'evidence kept'",
        );
        ui.weak("in a cache all heads share:");
        for (who, of) in [("oracle", kept.oracle), (window, kept.window)] {
            let text = format!("{who} {of} of {}", kept.needed);
            ui.add(egui::Label::new(text).extend());
        }
    });
}

fn answer_ui(ui: &mut Ui, view: &View<'_>, shown: &Shown) {
    let record = &shown.sample.record;
    ui.add_space(4.0);
    let mut row = |name: &str, text: &str, score: Option<f64>| {
        ui.horizontal_wrapped(|ui| {
            ui.strong(name);
            if let Some(score) = score {
                let color = match score >= 1.0 {
                    true => view.theme.success,
                    false => view.theme.warning,
                };
                ui.label(RichText::new(format!("score {score:.2}")).color(color));
            }
        });
        ui.add(egui::Label::new(RichText::new(text).monospace()).wrap());
    };
    let generated = record.generated.trim();
    match record.answer.as_deref().map(str::trim) {
        Some(answer) if answer == generated => {
            row("Answer, as the reference", answer, record.score)
        }
        answer => {
            row("Answer", generated, record.score);
            answer
                .into_iter()
                .for_each(|answer| row("Reference", answer, None));
        }
    }
}

/// What each window takes, in columns.
const COSTS: [(&str, &str); 3] = [
    ("rows", "Query rows that the window observes with"),
    (
        "extra tokens",
        "Tokens that the model runs for it behind the prompt",
    ),
    (
        "MFLOP",
        "Million floating-point operations beyond the prefill",
    ),
];

fn cost_ui(ui: &mut Ui, shown: &Shown) {
    ui.add_space(4.0);
    ui.strong("Cost")
        .on_hover_text("What each window takes beyond the prefill that all share");
    let windows = &shown.sample.windows;
    let lines: Vec<[String; 3]> = windows
        .iter()
        .map(|MeasuredWindow { cost, .. }| {
            let flops = format!("{:.1}", cost.flops / 1e6);
            [cost.rows.to_string(), cost.extra_tokens.to_string(), flops]
        })
        .collect();
    let digits = TextStyle::Monospace.resolve(ui.style());
    let columns: Vec<f32> = COSTS
        .iter()
        .enumerate()
        .map(|(column, (title, _))| {
            let cells = lines.iter().map(|line| &line[column]);
            let cells = cells.map(|text| text_width_in(ui, text, digits.clone()));
            cells.fold(text_width(ui, title), f32::max).ceil()
        })
        .collect();
    let labels = windows.iter().map(|window| text_width(ui, &window.label));
    let name = labels.fold(text_width(ui, "window"), f32::max).ceil();
    let room = ui.available_width();
    let table = NumberTable::fitting(room, name, &columns)
        .unwrap_or_else(|| NumberTable::squeezed(room, name / 2.0, &columns));
    ui.scope(|ui| {
        ui.spacing_mut().item_spacing.y = 0.0;
        let window = |ui: &mut Ui| {
            ui.weak("window");
        };
        table.row_ui(ui, false, window, |ui, column| {
            if let Some((title, help)) = COSTS.get(column) {
                ui.weak(*title).on_hover_text(*help);
            }
        });
        for (number, (window, line)) in windows.iter().zip(&lines).enumerate() {
            let name = |ui: &mut Ui| {
                ui.add(egui::Label::new(&window.label).truncate());
            };
            table.row_ui(ui, number % 2 == 0, name, |ui, column| {
                ui.monospace(line.get(column).map_or("", String::as_str));
            });
        }
    });
}
