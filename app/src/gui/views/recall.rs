//! Curves over the budget: one per window, with a band over the heads and a cross-hair.

mod axes;
pub mod curves;
mod over_samples;
mod values;

use egui::{ComboBox, Ui};
use kvlens_analysis::{Budget, Metric};

use super::inspector::short;
use super::legend::{Legend, Name};
use super::recall_layers::layers_ui;
use super::{
    NO_NEEDED_TOKENS, NearestFigure, Need, PaneView, ReadNumbers, View, empty_hint,
    lacks_needed_tokens,
};
use crate::gui::command::{Commands, LookCommand};
use crate::gui::derived::WindowBands;
use crate::gui::export::ShownFigure;
use crate::gui::layout::Pane;
use crate::gui::numbers::{Table, number};
use crate::gui::state::{Choices, CurvesOver};
use crate::gui::theme::SeriesStyle;
use crate::gui::widgets::line_plot::{LinePlot, PlotAnswer, has_room_for_name, height_left};
use crate::gui::widgets::toggle::toggle;
use crate::jobs::figure::KindChoice;
pub use axes::{BUDGET_AXIS, DrawnBudgets, budget_axis};
use curves::baseline;
pub use curves::{CEILING, octave_of};

impl Pane {
    /// Curves over the budget.
    pub const RECALL: Self = Self::of(&RecallView);
}

struct RecallView;

impl PaneView for RecallView {
    fn name(&self) -> &'static str {
        "Recall"
    }

    fn title(&self) -> &'static str {
        "Recall vs budget"
    }

    fn help(&self) -> &'static str {
        include_str!("../../../help/views/recall.md")
    }

    fn needs(&self, choices: &Choices) -> &'static [Need] {
        match (choices.by_layer, choices.shown_curves_over()) {
            (true, _) => &[Need::Curves, Need::LayerCurves],
            (false, CurvesOver::Sample) => &[Need::Curves],
            (false, _) => &[Need::Curves, Need::OverSamples],
        }
    }

    fn ui(&self, ui: &mut Ui, view: &View<'_>, commands: &mut Commands) {
        recall_ui(ui, view, commands);
    }

    fn numbers(&self) -> Option<ReadNumbers> {
        Some(numbers)
    }

    fn figure(&self) -> Option<NearestFigure> {
        Some(|choices| ShownFigure {
            kind: match choices.by_layer {
                true => KindChoice::RecallByLayer,
                false => KindChoice::Recall,
            },
            all_samples: choices.shown_curves_over() != CurvesOver::Sample,
        })
    }
}

fn recall_ui(ui: &mut Ui, view: &View<'_>, commands: &mut Commands) {
    let bands = view.derived.bands();
    if view.shown().is_none() || bands.is_empty() {
        let hint = match view.shown() {
            Some(_) => "Averaging the curves",
            None => "Run a capture or open a session to see its curves",
        };
        empty_hint(ui, hint);
        return;
    }
    let legend = Legend {
        plot: "the curves",
        names: names(view),
        says_what_is_in_force: true,
    };
    legend.show(ui, view, commands, |ui, commands| {
        metric_ui(ui, view, commands);
        let mut by_layer = view.settings.choices.by_layer;
        if toggle(ui, &mut by_layer, "By layer")
            .on_hover_text("A small plot for each layer")
            .clicked()
        {
            commands.send(LookCommand::SetByLayer(by_layer));
        }
        if !view.settings.choices.by_layer {
            baseline_ui(ui, view, commands);
            over_samples::over_ui(ui, view, commands);
        }
    });
    let is_of_sample = view.settings.choices.shown_curves_over() == CurvesOver::Sample;
    let is_of_needed = view.settings.choices.metric == Metric::EvidenceKept;
    if is_of_needed && is_of_sample && lacks_needed_tokens(view) {
        empty_hint(ui, NO_NEEDED_TOKENS);
    } else if view.settings.choices.by_layer {
        layers_ui(ui, view, commands);
    } else {
        plot_ui(ui, view, commands);
    }
}

fn names(view: &View<'_>) -> Vec<Name> {
    let windows = view.derived.windows().iter();
    let mut names: Vec<Name> = windows.map(|window| values::name(view, window)).collect();
    let is_of_sample = view.settings.choices.shown_curves_over() == CurvesOver::Sample;
    if view.beside.is_some() && is_of_sample && baseline(view).is_none() {
        let style = SeriesStyle {
            line: curves::OF_B,
            ..view.theme.chance()
        };
        let help =
            "The same windows in the session beside, thin and in short dashes of their colours";
        names.push(Name::of_line("in B", style, help));
    }
    let is_drawn = !view.settings.choices.by_layer && baseline(view).is_none();
    if view.settings.choices.metric == Metric::Recall && is_drawn {
        let help = "Expected recall of a random ranking: budget / rankable tokens";
        names.push(Name::of_line("chance", view.theme.chance(), help));
    }
    names
}

/// Chooses the window that all others are held against.
fn baseline_ui(ui: &mut Ui, view: &View<'_>, commands: &mut Commands) {
    let current = baseline(view).map(|window| window.label.as_str());
    let text = current.map_or("no baseline".to_owned(), |label| format!("minus {label}"));
    ComboBox::from_id_salt("baseline")
        .selected_text(text)
        .show_ui(ui, |ui| {
            let labels = view.derived.windows().iter();
            let labels = labels.map(|window| Some(window.label.as_str()));
            for label in std::iter::once(None).chain(labels) {
                let words = label.unwrap_or("nothing");
                if ui.selectable_label(label == current, words).clicked() {
                    commands.send(LookCommand::SetBaseline(label.map(str::to_owned)));
                }
            }
        })
        .response
        .on_hover_text("Show what each window has more than this one")
        .widget_info(|| egui::WidgetInfo::labeled(egui::Role::ComboBox, true, "Baseline"));
}

fn metric_ui(ui: &mut Ui, view: &View<'_>, commands: &mut Commands) {
    let current = view.settings.choices.metric;
    ComboBox::from_id_salt("metric")
        .selected_text(current.label())
        .show_ui(ui, |ui| {
            for metric in Metric::ALL {
                let choice = ui
                    .selectable_label(metric == current, metric.label())
                    .on_hover_text(explain(metric));
                if choice.clicked() {
                    commands.send(LookCommand::SetMetric(metric));
                }
            }
        })
        .response
        .on_hover_text(explain(current))
        .widget_info(|| egui::WidgetInfo::labeled(egui::Role::ComboBox, true, "Metric"));
}

/// One sentence per metric.
#[must_use]
pub fn explain(metric: Metric) -> &'static str {
    match metric {
        Metric::Recall => {
            "Share of the decode stage's top tokens that are in the window's top tokens"
        }
        Metric::HitRate => {
            "Share of the budget that both would keep, forced tokens (sinks, recent) counted as hits whether decoding \
             uses them or not"
        }
        Metric::EvidenceKept => {
            "Share of the tokens that the answer needs that a cache by the window's rule keeps"
        }
        Metric::OutputError => {
            "Relative error of the head's attention output on what the window's rule keeps; lower is better. It needs \
             values, which a session has that was captured with --keep keys,values"
        }
        Metric::Jaccard => "Tokens in both top sets over tokens in either",
        Metric::KeptRecall => {
            "Share of the decode stage's top tokens that a cache by the window's rule really keeps, forced tokens first"
        }
        Metric::Mass => "Decode attention on the prompt that the window's top tokens keep",
        Metric::MassOfOracle => {
            "Retained mass as a share of the most that so many tokens could hold"
        }
    }
}

fn plot_ui(ui: &mut Ui, view: &View<'_>, commands: &mut Commands) {
    let beside = view.beside.map_or(&[][..], |beside| beside.budgets());
    let budgets = view.derived.budgets().iter().chain(beside);
    let Some(&largest) = budgets.max() else {
        return;
    };
    over_samples::state_of_samples_ui(ui, view, commands);
    let x = budget_axis(largest);
    let octaves = x.high;
    let height = height_left(ui);
    let metric = view.settings.choices.metric;
    let metric = match has_room_for_name(height, metric.label()) {
        true => metric.label(),
        false => short(metric),
    };
    let curves = curves::curves(view, octaves);
    let y = match baseline(view) {
        Some(window) => {
            curves::difference_axis(&curves, format!("{metric} minus {}", window.label))
        }
        None => curves::metric_axis(view.settings.choices.metric, &curves, metric),
    };
    let plot = LinePlot {
        horizontal: baseline(view).map(|_| 0.0),
        texts: curves::texts(view, &curves, [&x, &y]),
        curves,
        moves: true,
        tells_all: true,
        vertical: Some(octave_of(view.derived.budget_tokens())),
        ..LinePlot::new("Curves over the budget", height, x, y)
    };
    let PlotAnswer { response, at, .. } = plot.show(ui, view.theme);
    let is_set = response.clicked() || response.dragged_by(egui::PointerButton::Primary);
    if let Some(octave) = at.filter(|_| is_set) {
        let tokens = octave.exp2().round().clamp(1.0, largest as f64) as usize;
        commands.send(LookCommand::SetBudget(Budget::Tokens(tokens)));
    }
}

/// Means over the selected heads at every budget.
fn numbers(view: &View<'_>) -> Option<Table> {
    view.shown()?;
    if view.settings.choices.shown_curves_over() != CurvesOver::Sample {
        return over_samples::numbers(view);
    }
    if let Some(baseline) = baseline(view) {
        return Some(differences(view, baseline));
    }
    let metric = view.settings.choices.metric;
    let bands = view.derived.bands();
    let mut header = vec!["budget_tokens".to_owned()];
    for window in bands {
        let column = |what: &str| format!("{} {}{what}", window.label, metric.label());
        header.extend([column(""), column(" low"), column(" high")]);
        header.extend(window.ceiling(metric).map(|_| column(" ceiling")));
    }
    let mut table = Table::new(&header);
    for (index, budget) in view.derived.budgets().iter().enumerate() {
        let mut line = vec![budget.to_string()];
        for window in bands {
            let band = window.band(metric);
            let parts = band.map(|band| [&band.mean, &band.low, &band.high]);
            let at = |part: &Vec<f64>| {
                part.get(index)
                    .map_or(String::new(), |value| number(*value))
            };
            line.extend(parts.into_iter().flatten().map(at));
            let ceiling = window.ceiling(metric);
            line.extend(ceiling.map(|ceiling| {
                ceiling
                    .get(index)
                    .map_or(String::new(), |value| number(*value))
            }));
        }
        table.line(&line);
    }
    Some(table)
}

/// What every window has more than the one that all are held against, as it is drawn.
fn differences(view: &View<'_>, baseline: &WindowBands) -> Table {
    let metric = view.settings.choices.metric;
    let bands = view.derived.bands();
    let of = |window: &WindowBands| {
        let name = format!(
            "{} {} minus {}",
            window.label,
            metric.label(),
            baseline.label
        );
        (
            name,
            curves::differences(window, baseline, metric).unwrap_or_default(),
        )
    };
    let columns: Vec<(String, Vec<f64>)> = bands.iter().map(of).collect();
    let names = columns.iter().map(|(name, _)| name.clone());
    let header: Vec<String> = std::iter::once("budget_tokens".to_owned())
        .chain(names)
        .collect();
    let mut table = Table::new(&header);
    for (index, budget) in view.derived.budgets().iter().enumerate() {
        let cells = columns.iter().map(|(_, values)| {
            let value = values.get(index);
            value.map_or(String::new(), |value| number(*value))
        });
        let line: Vec<String> = std::iter::once(budget.to_string()).chain(cells).collect();
        table.line(&line);
    }
    table
}
