//! Numbers of the selection at the budget, and the sample's own facts.

use egui::{Grid, RichText, ScrollArea, Ui};
use kvlens_analysis::{Compare, Metric};

use super::heads::words_field;
use super::legend::swatch;
use super::recall::explain;
use super::{Need, PaneView, ReadNumbers, SCROLLED_SHARE, View, empty_hint, in_force_ui};
use crate::gui::command::{Commands, LookCommand};
use crate::gui::data::Shown;
use crate::gui::derived::{Derived, WindowBands};
use crate::gui::forced::{forced_text, forced_tokens};
use crate::gui::layout::Pane;
use crate::gui::numbers::windows_at_budget;
use crate::gui::state::Choices;
use crate::gui::state::HeadAddress;
use crate::measurement::MeasuredWindow;

/// Letters of the table of numbers, and of its titles where there is little room.
const DIGITS_SIZE: f32 = 11.5;
const NARROW_TITLE_SIZE: f32 = 10.5;

/// Between two columns, where there is room and where there is little.
const COLUMN_GAP: f32 = 10.0;
const NARROW_COLUMN_GAP: f32 = 4.0;

/// Room for a window's label in the table of numbers: the rest of the row, within these bounds.
const LABEL_WIDTHS: std::ops::RangeInclusive<f32> = 44.0..=110.0;

/// Width of a column of numbers with their whole digits, and without the nought before the point.
const COLUMN_WIDTH: f32 = 34.0;
const NARROW_COLUMN_WIDTH: f32 = 22.0;

/// Line and gap before a label.
const SWATCH_WIDTH: f32 = 24.0;

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
    ScrollArea::vertical()
        .id_salt("inspector")
        .auto_shrink(false)
        .show(ui, |ui| {
            heads_ui(ui, view, commands);
            evidence_ui(ui, view);
            let windows = &shown.sample.windows;
            numbers_ui(ui, view, view.derived, windows, None);
            if shown.options.compare == Compare::Queries {
                ui.weak("the decode stage itself: recall 1.000")
                    .on_hover_text(
                        "Its own queries, scored as every window is, reach 1 at every budget",
                    );
            }
            let shown_beside = view.data.beside.as_ref().and_then(|it| it.shown.as_ref());
            if let (Some(beside), Some(shown)) = (view.beside, shown_beside) {
                let a = Some(view.derived);
                numbers_ui(ui, view, beside, &shown.sample.windows, a);
            }
            pinned_ui(ui, view, commands);
            answer_ui(ui, view, shown);
            cost_ui(ui, shown);
        });
}

/// The selection as text, to read and to type.
fn heads_ui(ui: &mut Ui, view: &View<'_>, commands: &mut Commands) {
    let Some((session, _)) = view.shown() else {
        return;
    };
    let heads = &view.settings.choices.heads;
    let (layers, query_heads) = (session.info.layers, session.info.query_heads);
    ui.horizontal(|ui| {
        let name = ui.strong("Heads");
        let width = (ui.available_width() - 46.0).max(60.0);
        words_field(ui, view, "heads draft", name.id, width, commands);
        if ui
            .add_enabled(!heads.is_empty(), egui::Button::new("All"))
            .on_hover_text("Select every head")
            .clicked()
        {
            commands.send(LookCommand::SelectAllHeads);
        }
    });
    let count = if heads.is_empty() {
        layers * query_heads
    } else {
        heads.len()
    };
    ui.weak(format!("{count} of {} query heads", layers * query_heads));
}

/// The table of one session's windows.
fn numbers_ui(
    ui: &mut Ui,
    view: &View<'_>,
    derived: &Derived,
    windows: &[MeasuredWindow],
    a: Option<&Derived>,
) {
    let which = if a.is_some() { " in B" } else { "" };
    ui.add_space(6.0);
    ui.horizontal_wrapped(|ui| {
        ui.strong(format!("At {} tokens{which}", derived.budget_tokens()))
            .on_hover_text(
                "Mean over the selected heads; hover a number for the middle 80 % of them",
            );
        in_force_ui(ui, view);
    });
    let current = view.settings.choices.metric;
    undefined_ui(ui, derived, current);
    let budget = derived.budget_tokens();
    let mut bands = derived.bands().iter();
    let mut measured = windows.iter();
    let metrics = told_metrics(derived, current, derived.budget_index);
    let has_ceilings = bands.any(|window| window.ceiling(current).is_some());
    let forces = measured.any(|window| forced_tokens(window, budget) > 0);
    let more = [has_ceilings, forces, a.is_some()];
    let columns = metrics.len() + more.into_iter().filter(|more| *more).count();
    let room = Room::for_columns(ui.available_width(), columns);
    let table = NumbersTable {
        view,
        derived,
        windows,
        a,
        metrics,
        has_ceilings,
        forces,
        room,
    };
    // more columns than fit are scrolled to
    egui::ScrollArea::horizontal()
        .id_salt(("numbers", which))
        .show(ui, |ui| {
            Grid::new(("numbers", which))
                .num_columns(columns + 1)
                .striped(true)
                .spacing([table.room.gap, 3.0])
                .min_col_width(0.0)
                .show(ui, |ui| {
                    table.header_ui(ui);
                    for window in derived.bands() {
                        table.line_ui(ui, window);
                    }
                });
        });
}

/// The numbers of one session's windows, with those of A for the difference where the session is B.
struct NumbersTable<'a> {
    view: &'a View<'a>,
    derived: &'a Derived,
    windows: &'a [MeasuredWindow],
    a: Option<&'a Derived>,
    metrics: Vec<Metric>,
    has_ceilings: bool,
    /// Whether any window keeps tokens whatever their score.
    forces: bool,
    room: Room,
}

/// How the width of the table is shared out.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Room {
    /// Whether numbers go without the nought before the point, and titles in fewer letters.
    is_narrow: bool,
    /// Of a window's label.
    label: f32,
    /// Between two columns.
    gap: f32,
}

impl Room {
    fn for_columns(width: f32, columns: usize) -> Self {
        let left = |column: f32| width - SWATCH_WIDTH - columns as f32 * column;
        let [roomy, narrow] = [
            COLUMN_WIDTH + COLUMN_GAP,
            NARROW_COLUMN_WIDTH + NARROW_COLUMN_GAP,
        ];
        let is_narrow = left(roomy) < *LABEL_WIDTHS.start() + SWATCH_WIDTH;
        let label = left(if is_narrow { narrow } else { roomy });
        Self {
            is_narrow,
            gap: if is_narrow {
                NARROW_COLUMN_GAP
            } else {
                COLUMN_GAP
            },
            label: label.clamp(*LABEL_WIDTHS.start(), *LABEL_WIDTHS.end()),
        }
    }

    fn title_ui(self, ui: &mut Ui, text: &str) -> egui::Response {
        let text = RichText::new(text).weak();
        ui.label(match self.is_narrow {
            true => text.size(NARROW_TITLE_SIZE),
            false => text,
        })
    }

    /// As many digits as the table has room for.
    fn digits(self, value: f64) -> String {
        let text = short_number(value);
        match self.is_narrow {
            true => without_nought(&text),
            false => text,
        }
    }
}

impl NumbersTable<'_> {
    fn current(&self) -> Metric {
        self.view.settings.choices.metric
    }

    fn header_ui(&self, ui: &mut Ui) {
        ui.label("");
        for &metric in &self.metrics {
            let title = match self.room.is_narrow {
                true => shortest(metric),
                false => short(metric),
            };
            let help = format!("{}: {}", metric.label(), explain(metric));
            self.room.title_ui(ui, title).on_hover_text(help);
            if metric == Metric::HitRate && self.forces {
                let title = match self.room.is_narrow {
                    true => "forc.",
                    false => "forced",
                };
                let title = self.room.title_ui(ui, title).on_hover_text(
                    "Tokens of the budget that the window's rule keeps whatever their score: each counts as a hit",
                );
                let name = || egui::WidgetInfo::labeled(egui::Role::Label, true, "forced");
                title.widget_info(name);
            }
            if self.has_ceilings && metric == self.current() {
                self.room.title_ui(ui, "of").on_hover_text(
                    "The ceiling: what the decode stage's own queries reach under the window's scoring",
                );
            }
        }
        if self.a.is_some() {
            let help = format!("{}: A minus B", self.current().label());
            self.room.title_ui(ui, "A−B").on_hover_text(help);
        }
        ui.end_row();
    }

    fn line_ui(&self, ui: &mut Ui, window: &WindowBands) {
        let at = self.derived.budget_index;
        let style = self.view.theme.series(&window.label, window.repeat);
        ui.horizontal(|ui| {
            ui.spacing_mut().item_spacing.x = 3.0;
            swatch(ui, &style);
            // a long label would push the last numbers out of sight
            ui.scope(|ui| {
                ui.set_max_width(self.room.label);
                let label = RichText::new(&window.label);
                let label = match self.room.is_narrow {
                    true => label.size(DIGITS_SIZE),
                    false => label,
                };
                ui.add(egui::Label::new(label).truncate());
            });
        });
        for &metric in &self.metrics {
            self.number_ui(ui, window, metric);
            if metric == Metric::HitRate && self.forces {
                let budget = self.derived.budget_tokens();
                forced_ui(ui, self.windows, &window.label, budget);
            }
            if self.has_ceilings && metric == self.current() {
                ceiling_ui(ui, self.room, window, metric, at);
            }
        }
        if let Some(a) = self.a {
            difference_ui(ui, self.room, a, window, self.current(), at);
        }
        ui.end_row();
    }

    fn number_ui(&self, ui: &mut Ui, window: &WindowBands, metric: Metric) {
        let at = self.derived.budget_index;
        let band = window.band(metric);
        let value = |values: &[f64]| values.get(at).copied().unwrap_or(f64::NAN);
        let (mean, low, high) = band.map_or((f64::NAN, f64::NAN, f64::NAN), |band| {
            (value(&band.mean), value(&band.low), value(&band.high))
        });
        let mut text = RichText::new(self.room.digits(mean))
            .monospace()
            .size(DIGITS_SIZE);
        if metric == self.current() {
            text = text.strong();
        }
        let defined = window.defined_heads(metric, at);
        let response = ui.label(text).on_hover_text(match defined {
            0 => "Undefined in every selected head: the layers see no more tokens than the budget, or no needed ones".to_owned(),
            defined if defined == window.heads => {
                format!("mean {mean:.3}, middle 80 % of {defined} heads {low:.3} to {high:.3}")
            }
            defined => format!(
                "mean {mean:.3}, middle 80 % {low:.3} to {high:.3} over {defined} of {} heads; it is undefined in the others, whose layers see no more \
                 tokens than the budget, or no needed ones",
                window.heads
            ),
        });
        let name = format!(
            "{} of {}: {}",
            metric.label(),
            window.label,
            number_text(mean)
        );
        response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Label, true, name.as_str()));
    }
}

/// What the same window has in A, less what it has in B; each at its own place of the budget.
fn difference_ui(
    ui: &mut Ui,
    room: Room,
    a: &Derived,
    in_b: &WindowBands,
    metric: Metric,
    at: usize,
) {
    let mean = |window: &WindowBands, at: usize| window.band(metric)?.mean.get(at).copied();
    let mut known = a.bands().iter();
    let in_a = known.find(|window| window.label == in_b.label);
    let in_a = in_a.and_then(|window| mean(window, a.budget_index));
    let difference = in_a.zip(mean(in_b, at)).map(|(a, b)| a - b);
    let difference = difference.filter(|difference| !difference.is_nan());
    let text = difference.map_or("–".to_owned(), |difference| format!("{difference:+.2}"));
    let drawn = match room.is_narrow {
        true => without_nought(&text),
        false => text.clone(),
    };
    let response = ui.label(RichText::new(drawn).monospace().size(DIGITS_SIZE).strong());
    let name = format!("A − B of {}: {text}", in_b.label);
    response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Label, true, name.as_str()));
}

/// The metric that is chosen, and those that say something of any window: without needed tokens or values in the session
/// a column would hold nothing.
fn told_metrics(derived: &Derived, current: Metric, at: usize) -> Vec<Metric> {
    let says = |metric: Metric| {
        derived.bands().iter().any(|window| {
            let mean = window.band(metric).and_then(|band| band.mean.get(at));
            mean.is_some_and(|value| !value.is_nan())
        })
    };
    let all = Metric::ALL.into_iter();
    all.filter(|&metric| metric == current || says(metric))
        .collect()
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
        ui.weak(format!("the selection has {:+.3}", selected - pinned));
    }
}

/// How many of the hits no ranking earned.
fn forced_ui(ui: &mut Ui, windows: &[MeasuredWindow], label: &str, budget: usize) {
    let window = windows.iter().find(|window| window.label == label);
    let Some(window) = window else {
        ui.label("");
        return;
    };
    let forced = forced_tokens(window, budget).to_string();
    let text = RichText::new(forced).monospace().size(DIGITS_SIZE).weak();
    ui.label(text).on_hover_text(forced_text(window, budget));
}

fn ceiling_ui(ui: &mut Ui, room: Room, window: &WindowBands, metric: Metric, at: usize) {
    let ceiling = window.ceiling(metric).and_then(|ceiling| ceiling.get(at));
    let text = number_text(ceiling.copied().unwrap_or(f64::NAN));
    let short = room.digits(ceiling.copied().unwrap_or(f64::NAN));
    let response = ui
        .label(RichText::new(short).monospace().size(DIGITS_SIZE).weak())
        .on_hover_text(&text);
    let name = format!("Ceiling of {}: {text}", window.label);
    response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Label, true, name.as_str()));
}

/// `0.52` as `.52`, where a column has no room for more.
fn without_nought(text: &str) -> String {
    let (sign, digits) = match text.strip_prefix(['+', '-']) {
        Some(digits) => (&text[..1], digits),
        None => ("", text),
    };
    match digits.strip_prefix("0.") {
        Some(behind) => format!("{sign}.{behind}"),
        None => text.to_owned(),
    }
}

/// As many digits as a table of all metrics has room for.
fn short_number(value: f64) -> String {
    match value.is_nan() {
        true => "–".to_owned(),
        false => format!("{value:.2}"),
    }
}

fn number_text(value: f64) -> String {
    match value.is_nan() {
        true => "–".to_owned(),
        false => format!("{value:.3}"),
    }
}

/// A metric's name in tables that have no room for its words.
#[must_use]
pub fn short(metric: Metric) -> &'static str {
    match metric {
        Metric::Recall => "recall",
        Metric::KeptRecall => "kept",
        Metric::HitRate => "hits",
        Metric::Jaccard => "jacc.",
        Metric::Mass => "mass",
        Metric::MassOfOracle => "share",
        Metric::EvidenceKept => "evid.",
        Metric::OutputError => "error",
    }
}

/// The same where a column has room for four letters.
fn shortest(metric: Metric) -> &'static str {
    match metric {
        Metric::Recall => "rec.",
        Metric::Jaccard => "jac.",
        Metric::MassOfOracle => "shr.",
        Metric::OutputError => "err.",
        metric => short(metric),
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
             that the selected heads have in the mean; the column 'evid.' is the mean of what each head keeps by itself",
        );
        ui.weak("in a cache that all heads share:");
        ui.label(format!("oracle {} of {}", kept.oracle, kept.needed));
        ui.label(format!("{window} {} of {}", kept.window, kept.needed));
    });
}

fn answer_ui(ui: &mut Ui, view: &View<'_>, shown: &Shown) {
    let record = &shown.sample.record;
    ui.add_space(6.0);
    ui.strong("Answer");
    let mut text = |name: &str, text: &str| {
        ui.weak(name);
        ui.add(egui::Label::new(RichText::new(text).monospace()).wrap());
    };
    text("generated", record.generated.trim());
    if let Some(answer) = &record.answer {
        text("reference", answer.trim());
    }
    if let Some(score) = record.score {
        let color = if score >= 1.0 {
            view.theme.success
        } else {
            view.theme.warning
        };
        ui.label(RichText::new(format!("score {score:.2}")).color(color));
    }
}

fn cost_ui(ui: &mut Ui, shown: &Shown) {
    ui.add_space(6.0);
    ui.strong("Cost")
        .on_hover_text("What each window takes beyond the prefill that all share");
    Grid::new("cost")
        .num_columns(4)
        .spacing([8.0, 3.0])
        .show(ui, |ui| {
            for title in ["window", "rows", "extra tokens", "MFLOP"] {
                ui.weak(title);
            }
            ui.end_row();
            for window in &shown.sample.windows {
                ui.label(&window.label);
                ui.monospace(window.cost.rows.to_string());
                ui.monospace(window.cost.extra_tokens.to_string());
                ui.monospace(format!("{:.1}", window.cost.flops / 1e6));
                ui.end_row();
            }
        });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_nought_before_the_point_is_left_out() {
        assert_eq!(without_nought("0.52"), ".52");
        assert_eq!(without_nought("-0.52"), "-.52");
        assert_eq!(without_nought("10.52"), "10.52");
        assert_eq!(without_nought("1.00"), "1.00");
        assert_eq!(without_nought("–"), "–");
    }

    #[test]
    fn columns_grow_narrow_before_labels_vanish() {
        let roomy = Room::for_columns(500.0, 8);
        assert!(!roomy.is_narrow && roomy.label == *LABEL_WIDTHS.end());
        let narrow = Room::for_columns(330.0, 9);
        assert!(narrow.is_narrow && narrow.label >= *LABEL_WIDTHS.start());
        let all = SWATCH_WIDTH + narrow.label + 9.0 * (NARROW_COLUMN_WIDTH + narrow.gap);
        assert!(all <= 330.0, "{all}");
    }
}
