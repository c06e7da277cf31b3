//! What each window costs, and what it gives for it at the budget.

use egui::Ui;
use egui_extras::{Column, TableBuilder};
use kvlens_analysis::Metric;
use kvlens_sessions::Cost;

use super::inspector::short as short_name;
use super::{NearestFigure, Need, PaneView, ReadNumbers, View, empty_hint};
use crate::gui::command::Commands;
use crate::gui::derived::WindowBands;
use crate::gui::export::ShownFigure;
use crate::gui::layout::Pane;
use crate::gui::numbers::windows_at_budget;
use crate::gui::state::Choices;
use crate::gui::theme::SeriesStyle;
use crate::gui::widgets::line_plot::{AxisNumbers, Drawn, LinePlot, PlotAxis, PlotCurve, PlotText};
use crate::jobs::figure::KindChoice;

const ROW_HEIGHT: f32 = 18.0;

/// Widths of the columns of numbers and size of their digits, where there is room and where there is little.
const ROOMY: Columns = Columns {
    widths: [46.0; 6],
    digits: 13.0,
    gap: 8.0,
};
const NARROW: Columns = Columns {
    widths: [30.0, 32.0, 38.0, 48.0, 36.0, 38.0],
    digits: 11.0,
    gap: 4.0,
};
const LABEL_WIDTH: f32 = 84.0;

const NAME_HEIGHT: f32 = 15.0;
/// Part of the plot's height that its horizontal axis takes.
const AXIS_HEIGHT: f32 = 44.0;
/// About the width of a letter of a name.
const LETTER_WIDTH: f32 = 7.5;
/// How many letters wide the line from a point is that ends at the name.
const LEADER: f64 = 0.8;
/// Names that are so near their points, in heights of a name, need no line.
const MOVED: f64 = 0.4;
/// Shorter times are not told apart on the axis.
const SHORTEST_MS: f64 = 1e-3;

/// Numbers stand at the right, so that their digits do.
fn numbers() -> egui::Layout {
    egui::Layout::right_to_left(egui::Align::Center)
}

/// How the table shares out its width.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Columns {
    widths: [f32; 6],
    digits: f32,
    gap: f32,
}

impl Columns {
    /// The widest that leave room for labels.
    fn in_width(width: f32) -> Self {
        match ROOMY.least_width() <= width {
            true => ROOMY,
            false => NARROW,
        }
    }

    fn least_width(self) -> f32 {
        LABEL_WIDTH
            + self
                .widths
                .iter()
                .map(|width| width + self.gap)
                .sum::<f32>()
    }
}

/// One line of the table.
#[derive(Clone, Copy)]
struct Line<'a> {
    window: &'a WindowBands,
    cost: &'a Cost,
    /// The metric over the selected heads at the budget.
    value: f64,
}

/// Part of the room that the plot takes at least, and the height from which on it can be read.
const PLOT_SHARE: f32 = 0.62;
const LOWEST_PLOT: f32 = 132.0;
/// Rows of a longer table, the header among them, below which a plot takes their room.
const LEAST_ROWS: usize = 4;

impl Pane {
    /// What each window costs.
    pub const COST: Self = Self::of(&CostView);
}

struct CostView;

impl PaneView for CostView {
    fn name(&self) -> &'static str {
        "Cost"
    }

    fn title(&self) -> &'static str {
        "Cost"
    }

    fn help(&self) -> &'static str {
        include_str!("../../../help/views/cost.md")
    }

    fn needs(&self, _choices: &Choices) -> &'static [Need] {
        &[Need::Curves]
    }

    fn ui(&self, ui: &mut Ui, view: &View<'_>, _commands: &mut Commands) {
        cost_ui(ui, view);
    }

    fn numbers(&self) -> Option<ReadNumbers> {
        Some(windows_at_budget)
    }

    fn figure(&self) -> Option<NearestFigure> {
        Some(|_| ShownFigure::of_sample(KindChoice::Cost))
    }
}

fn cost_ui(ui: &mut Ui, view: &View<'_>) {
    let lines = lines(view);
    if lines.is_empty() {
        empty_hint(
            ui,
            "Run a capture or open a session to see what its windows cost",
        );
        return;
    }
    let metric = view.settings.choices.metric;
    ui.weak(format!(
        "Beyond prefill and decoding; {} of the selected heads at {} tokens",
        metric.label(),
        view.derived.budget_tokens()
    ));
    let (room, gap) = (ui.available_height(), ui.spacing().item_spacing.y);
    let (plot, rows) = shares(room - 2.0 * gap, lines.len() + 1);
    if let Some(height) = plot {
        let defined: Vec<Line<'_>> = lines
            .iter()
            .filter(|line| !line.value.is_nan())
            .copied()
            .collect();
        plot_ui(ui, view, &defined, metric, height);
    }
    if rows > 1 {
        table_ui(ui, &lines, metric, rows);
    }
}

/// The height of the plot, and how many rows of the table stand below it, of so many with its header: a long table is
/// scrolled rather than taking the plot's room, its rows are whole, and where there is little the plot takes all.
fn shares(room: f32, rows: usize) -> (Option<f32>, usize) {
    let plot = (PLOT_SHARE * room).max(LOWEST_PLOT);
    if plot > room {
        return (None, (room / ROW_HEIGHT) as usize);
    }
    let whole = ((room - plot) / ROW_HEIGHT) as usize;
    match whole.min(rows) {
        few if few < LEAST_ROWS.min(rows) => (Some(room), 0),
        shown => (Some(room - shown as f32 * ROW_HEIGHT), shown),
    }
}

fn lines<'a>(view: &'a View<'_>) -> Vec<Line<'a>> {
    let Some((_, shown)) = view.shown() else {
        return Vec::new();
    };
    let metric = view.settings.choices.metric;
    let windows = shown.sample.windows.iter().zip(view.derived.bands());
    windows
        .map(|(measured, window)| Line {
            window,
            cost: &measured.cost,
            value: window
                .band(metric)
                .and_then(|band| band.mean.get(view.derived.budget_index))
                .copied()
                .unwrap_or(f64::NAN),
        })
        .collect()
}

fn plot_ui(ui: &mut Ui, view: &View<'_>, lines: &[Line<'_>], metric: Metric, height: f32) {
    let (low, high) = decades(lines);
    // from the axis's middle on, a name has more room at the left
    let middle = low + 0.6 * (high - low);
    let letter = (high - low) * f64::from(LETTER_WIDTH / ui.available_width().max(1.0));
    let values: Vec<f64> = lines.iter().map(|line| line.value).collect();
    let spans: Vec<[f64; 2]> = lines
        .iter()
        .map(|line| {
            let width = letter * (line.window.label.chars().count() + 2) as f64;
            match is_far_right(line, middle) {
                true => [decade(line) - width, decade(line)],
                false => [decade(line), decade(line) + width],
            }
        })
        .collect();
    let gap = f64::from(NAME_HEIGHT / (height - AXIS_HEIGHT));
    let names = name_heights(&values, &spans, gap);
    let x = PlotAxis {
        label: "Milliseconds".to_owned(),
        low,
        high,
        numbers: AxisNumbers::Decades,
        whole: None,
    };
    let style = |line: &Line<'_>| view.theme.series(&line.window.label, line.window.repeat);
    let moved = lines.iter().zip(&names);
    let moved = moved.filter(|(line, name)| (line.value - **name).abs() > MOVED * gap);
    let leaders: Vec<PlotCurve> = moved
        .flat_map(|(line, name)| {
            let side = if is_far_right(line, middle) {
                -1.0
            } else {
                1.0
            };
            leader(line, *name, side * LEADER * letter, style(line))
        })
        .collect();
    let leaders = leaders.into_iter();
    let plot = LinePlot {
        curves: leaders
            .chain(lines.iter().map(|line| PlotCurve {
                name: line.window.label.clone(),
                style: style(line),
                xs: vec![decade(line)],
                ys: vec![line.value],
                band: None,
                drawn: Drawn::Dots { radius: 4.5 },
            }))
            .collect(),
        texts: lines
            .iter()
            .zip(names)
            .map(|(line, name_height)| {
                let label = &line.window.label;
                let (text, anchor) = match is_far_right(line, middle) {
                    true => (format!("{label}  "), egui::Align2::RIGHT_CENTER),
                    false => (format!("  {label}"), egui::Align2::LEFT_CENTER),
                };
                PlotText {
                    text,
                    at: [decade(line), name_height],
                    anchor,
                    size: 12.5,
                    color: style(line).color,
                    has_ground: false,
                }
            })
            .collect(),
        ..LinePlot::new(
            "What windows cost",
            height,
            x,
            PlotAxis::shares(metric.label()),
        )
    };
    plot.show(ui, view.theme);
}

/// Two lines from a point to its name, where that stands above or below: up or down, and to the name.
fn leader(line: &Line<'_>, name_height: f64, aside: f64, style: SeriesStyle) -> [PlotCurve; 2] {
    let at = decade(line);
    let piece = |xs: [f64; 2], ys: [f64; 2]| PlotCurve {
        name: String::new(),
        style: SeriesStyle {
            line: egui_plot::LineStyle::Solid,
            ..style
        },
        xs: xs.to_vec(),
        ys: ys.to_vec(),
        band: None,
        drawn: Drawn::line(1.0),
    };
    [
        piece([at; 2], [line.value, name_height]),
        piece([at, at + aside], [name_height; 2]),
    ]
}

/// Logarithm to base 10 of the milliseconds; what takes none stands at the axis's start.
fn decade(line: &Line<'_>) -> f64 {
    (line.cost.seconds * 1e3).max(SHORTEST_MS).log10()
}

/// Whole decades around all times.
fn decades(lines: &[Line<'_>]) -> (f64, f64) {
    let low = lines.iter().map(decade).fold(f64::INFINITY, f64::min);
    let high = lines.iter().map(decade).fold(f64::NEG_INFINITY, f64::max);
    match low.is_finite() {
        true => (low.floor(), high.ceil().max(low.floor() + 1.0)),
        false => (0.0, 1.0),
    }
}

/// Whether the name has to stand at the left of its point to be seen whole.
fn is_far_right(line: &Line<'_>, middle: f64) -> bool {
    decade(line) > middle
}

/// Where each name stands on the axis of the metric: beside its point, or so far above it that it leaves `gap` to the
/// names below that cover the same part of the other axis (`spans`); where that would leave the axis, below.
fn name_heights(values: &[f64], spans: &[[f64; 2]], gap: f64) -> Vec<f64> {
    let mut heights = values.to_vec();
    let mut upwards: Vec<usize> = (0..values.len()).collect();
    upwards.sort_by(|&a, &b| values[a].total_cmp(&values[b]));
    let meet = |a: usize, b: usize| spans[a][0] < spans[b][1] && spans[b][0] < spans[a][1];
    // names that have too little room to stand above each other whole share what there is
    let names = 0..values.len();
    let met = |name| names.clone().filter(|&other| meet(name, other)).count();
    let crowd = names.clone().map(met).max().unwrap_or(1);
    let gap = gap.min(1.0 / crowd.max(1) as f64);
    for (place, &index) in upwards.iter().enumerate() {
        for &below in upwards[..place].iter().filter(|&&below| meet(below, index)) {
            heights[index] = heights[index].max(heights[below] + gap);
        }
    }
    // the frame would cut off the upper half of a name that stands at its end
    let highest = 1.0 - 0.5 * gap;
    for (place, &index) in upwards.iter().enumerate().rev() {
        heights[index] = heights[index].min(highest);
        for &above in upwards[place + 1..]
            .iter()
            .filter(|&&above| meet(above, index))
        {
            heights[index] = heights[index].min(heights[above] - gap);
        }
    }
    heights
}

/// A number as its column holds it: whole where the part behind the point would cut it off, and with more behind the
/// point where little would be left of it.
fn short(number: f64) -> String {
    match number {
        little if little > 0.0 && little < 0.1 => format!("{little:.3}"),
        usual if usual < 1000.0 => format!("{usual:.1}"),
        large => format!("{large:.0}"),
    }
}

/// So many rows, the header among them, are in sight.
fn table_ui(ui: &mut Ui, lines: &[Line<'_>], metric: Metric, rows: usize) {
    egui::ScrollArea::horizontal()
        .id_salt("cost table")
        .show(ui, |ui| numbers_ui(ui, lines, metric, rows));
}

fn numbers_ui(ui: &mut Ui, lines: &[Line<'_>], metric: Metric, rows: usize) {
    let columns = Columns::in_width(ui.available_width());
    ui.spacing_mut().item_spacing = egui::vec2(columns.gap, 0.0);
    let mut table = TableBuilder::new(ui)
        .id_salt("cost")
        .min_scrolled_height(0.0)
        .max_scroll_height((rows - 1) as f32 * ROW_HEIGHT)
        .cell_layout(egui::Layout::left_to_right(egui::Align::Center))
        .striped(true)
        .column(Column::remainder().at_least(LABEL_WIDTH).clip(true));
    for width in columns.widths {
        table = table.column(Column::exact(width).clip(true));
    }
    table
        .header(ROW_HEIGHT, |mut header| {
            let titles = [
                ("Window", "As it was typed"),
                ("Rows", "Queries that it observes with"),
                ("Extra", "Tokens that it runs behind the prompt"),
                ("ms", "Wall time in milliseconds, beyond the prefill"),
                (
                    "MFLOP",
                    "Floating-point operations from the shapes, in millions",
                ),
                ("MiB", "Peak extra memory"),
                (short_name(metric), ""),
            ];
            let of_metric = format!(
                "{}: mean over the selected heads at the budget",
                metric.label()
            );
            for (title, help) in titles {
                let help = match help {
                    "" => of_metric.as_str(),
                    help => help,
                };
                header.col(|ui| {
                    let title = egui::RichText::new(title).size(columns.digits).strong();
                    let title = egui::Label::new(title).truncate();
                    if help.starts_with("As it") {
                        ui.add(title).on_hover_text(help);
                    } else {
                        ui.with_layout(numbers(), |ui| ui.add(title).on_hover_text(help));
                    }
                });
            }
        })
        .body(|body| {
            body.rows(ROW_HEIGHT, lines.len(), |mut row| {
                let Some(line) = lines.get(row.index()) else {
                    return;
                };
                row.col(|ui| {
                    let label = egui::RichText::new(&line.window.label).size(columns.digits);
                    ui.add(egui::Label::new(label).truncate());
                });
                let cost = line.cost;
                for text in [
                    cost.rows.to_string(),
                    cost.extra_tokens.to_string(),
                    short(cost.seconds * 1e3),
                    short(cost.flops / 1e6),
                    format!("{:.2}", cost.peak_bytes as f64 / f64::from(1 << 20)),
                    match line.value.is_nan() {
                        true => "–".to_owned(),
                        false => format!("{:.3}", line.value),
                    },
                ] {
                    row.col(|ui| {
                        let text = egui::RichText::new(text).monospace().size(columns.digits);
                        ui.with_layout(numbers(), |ui| ui.label(text));
                    });
                }
            });
        });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_would_cover_each_other_stand_above_each_other() {
        let values = [0.5, 0.5, 0.5];
        // a name at the right of its point and one at the left of its own meet; the third stands elsewhere
        let spans = [[1.0, 2.0], [1.5, 2.5], [3.0, 4.0]];
        assert_eq!(name_heights(&values, &spans, 0.25), [0.5, 0.75, 0.5]);
    }

    #[test]
    fn the_plot_keeps_its_share_and_rows_are_whole() {
        // sixteen windows in the view at 1920 by 1080
        let (plot, rows) = shares(380.0, 17);
        assert!(plot.unwrap() >= 0.6 * 380.0 && rows < 17, "{plot:?} {rows}");
        assert_eq!(plot.unwrap() + rows as f32 * ROW_HEIGHT, 380.0);
        // four rows take no more than they are
        assert_eq!(shares(380.0, 4), (Some(380.0 - 4.0 * ROW_HEIGHT), 4));
        assert_eq!(shares(150.0, 17), (Some(150.0), 0), "all for the plot");
        assert_eq!(shares(100.0, 17), (None, 5), "too low for a plot");
    }

    #[test]
    fn the_table_fits_a_narrow_view() {
        // a view of the window at 1280 by 720
        assert_eq!(Columns::in_width(330.0), NARROW);
        assert!(NARROW.least_width() <= 330.0);
        assert_eq!(Columns::in_width(480.0), ROOMY);
    }

    #[test]
    fn names_stay_below_the_end_of_the_axis() {
        let spans = [[0.0, 1.0]; 2];
        assert_eq!(name_heights(&[0.9, 1.0], &spans, 0.25), [0.625, 0.875]);
    }
}
