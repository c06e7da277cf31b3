//! Numbers of the selection at the budget, and the sample's own facts.

use egui::{Grid, RichText, ScrollArea, Ui};
use kvlens_analysis::{Compare, Metric};

use super::heads::words_field;
use super::recall::{explain, swatch};
use super::{Need, PaneView, ReadNumbers, View, empty_hint, in_force_ui};
use crate::gui::command::{Commands, LookCommand};
use crate::gui::data::Shown;
use crate::gui::derived::{Derived, WindowBands};
use crate::gui::forced::{forced_text, forced_tokens};
use crate::gui::layout::Pane;
use crate::gui::numbers::windows_at_budget;
use crate::gui::state::Choices;
use crate::gui::state::HeadAddress;
use crate::measurement::MeasuredWindow;

/// Room for a window's label in the table of numbers.
const LABEL_WIDTH: f32 = 78.0;

/// As many columns of numbers leave room for whole labels.
const ROOMY_COLUMNS: usize = 7;

/// The same where a column more stands beside it.
const NARROW_LABEL_WIDTH: f32 = 60.0;

/// From this width of the view on there is room for longer labels beside all columns.
const ROOMY_WIDTH: f32 = 390.0;
const WIDE_LABEL_WIDTH: f32 = 110.0;

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
            evidence_ui(ui, view);
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
    let table = NumbersTable {
        view,
        derived,
        windows,
        a,
        metrics: told_metrics(derived, current, derived.budget_index),
        has_ceilings: bands.any(|window| window.ceiling(current).is_some()),
        forces: measured.any(|window| forced_tokens(window, budget) > 0),
    };
    // more columns than fit are scrolled to
    egui::ScrollArea::horizontal()
        .id_salt(("numbers", which))
        .show(ui, |ui| {
            Grid::new(("numbers", which))
                .num_columns(table.metrics.len() + 4)
                .striped(true)
                .spacing([4.0, 3.0])
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
}

impl NumbersTable<'_> {
    fn current(&self) -> Metric {
        self.view.settings.choices.metric
    }

    fn header_ui(&self, ui: &mut Ui) {
        ui.label("");
        for &metric in &self.metrics {
            ui.weak(short(metric)).on_hover_text(explain(metric));
            if metric == Metric::HitRate && self.forces {
                ui.weak("forced").on_hover_text(
                    "Tokens of the budget that the window's rule keeps whatever their score: each counts as a hit",
                );
            }
            if self.has_ceilings && metric == self.current() {
                ui.weak("of").on_hover_text(
                    "The ceiling: what the decode stage's own queries reach under the window's scoring",
                );
            }
        }
        if self.a.is_some() {
            let help = format!("{}: A minus B", self.current().label());
            ui.weak("A − B").on_hover_text(help);
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
                let has_many = self.has_ceilings || self.metrics.len() > ROOMY_COLUMNS;
                let is_roomy = ui.clip_rect().width() >= ROOMY_WIDTH;
                ui.set_max_width(match (is_roomy, has_many) {
                    (true, _) => WIDE_LABEL_WIDTH,
                    (false, true) => NARROW_LABEL_WIDTH,
                    (false, false) => LABEL_WIDTH,
                });
                ui.add(egui::Label::new(&window.label).truncate());
            });
        });
        for &metric in &self.metrics {
            number_ui(ui, self.view, window, metric, at);
            if metric == Metric::HitRate && self.forces {
                let budget = self.derived.budget_tokens();
                forced_ui(ui, self.windows, &window.label, budget);
            }
            if self.has_ceilings && metric == self.current() {
                ceiling_ui(ui, window, metric, at);
            }
        }
        if let Some(a) = self.a {
            difference_ui(ui, a, window, self.current(), at);
        }
        ui.end_row();
    }
}

/// What the same window has in A, less what it has in B; each at its own place of the budget.
fn difference_ui(ui: &mut Ui, a: &Derived, in_b: &WindowBands, metric: Metric, at: usize) {
    let mean = |window: &WindowBands, at: usize| window.band(metric)?.mean.get(at).copied();
    let mut known = a.bands().iter();
    let in_a = known.find(|window| window.label == in_b.label);
    let in_a = in_a.and_then(|window| mean(window, a.budget_index));
    let difference = in_a.zip(mean(in_b, at)).map(|(a, b)| a - b);
    let difference = difference.filter(|difference| !difference.is_nan());
    let text = difference.map_or("–".to_owned(), |difference| format!("{difference:+.2}"));
    let response = ui.label(RichText::new(&text).monospace().size(11.5).strong());
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

fn number_ui(ui: &mut Ui, view: &View<'_>, window: &WindowBands, metric: Metric, at: usize) {
    let band = window.band(metric);
    let value = |values: &[f64]| values.get(at).copied().unwrap_or(f64::NAN);
    let (mean, low, high) = band.map_or((f64::NAN, f64::NAN, f64::NAN), |band| {
        (value(&band.mean), value(&band.low), value(&band.high))
    });
    let mut text = RichText::new(short_number(mean)).monospace().size(11.5);
    if metric == view.settings.choices.metric {
        text = text.strong();
    }
    let defined = window.defined_heads(metric, at);
    let response = ui.label(text).on_hover_text(match defined {
        0 => "Undefined in every selected head: the layers see no more tokens than the budget, or no needed ones".to_owned(),
        defined if defined == window.heads => {
            format!("{mean:.3}; {low:.3} to {high:.3} over {defined} heads")
        }
        defined => format!(
            "{mean:.3}; {low:.3} to {high:.3} over {defined} of {} heads; it is undefined in the others, whose layers see no more \
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

/// How many of the hits no ranking earned.
fn forced_ui(ui: &mut Ui, windows: &[MeasuredWindow], label: &str, budget: usize) {
    let window = windows.iter().find(|window| window.label == label);
    let Some(window) = window else {
        ui.label("");
        return;
    };
    let forced = forced_tokens(window, budget).to_string();
    let text = RichText::new(forced).monospace().size(11.5).weak();
    ui.label(text).on_hover_text(forced_text(window, budget));
}

fn ceiling_ui(ui: &mut Ui, window: &WindowBands, metric: Metric, at: usize) {
    let ceiling = window.ceiling(metric).and_then(|ceiling| ceiling.get(at));
    let text = number_text(ceiling.copied().unwrap_or(f64::NAN));
    let short = short_number(ceiling.copied().unwrap_or(f64::NAN));
    let response = ui
        .label(RichText::new(short).monospace().size(11.5).weak())
        .on_hover_text(&text);
    let name = format!("Ceiling of {}: {text}", window.label);
    response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Label, true, name.as_str()));
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
        Metric::EvidenceKept => "need",
        Metric::OutputError => "error",
    }
}

fn evidence_ui(ui: &mut Ui, view: &View<'_>) {
    let kept = view.derived.evidence();
    if kept.needed == 0 {
        return;
    }
    ui.add_space(6.0);
    ui.strong("Needed tokens kept").on_hover_text(
        "Of the tokens that hold what the answer needs, what the window's eviction rule keeps, by mean importance of \
         the selected heads",
    );
    let window = view.derived.window.as_deref().unwrap_or("window");
    ui.label(format!("oracle {} of {}", kept.oracle, kept.needed));
    ui.label(format!("{window} {} of {}", kept.window, kept.needed));
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
