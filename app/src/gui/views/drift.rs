//! When and where windows foresee: recall or output error against the decode step, and recall against the place of a
//! window.

use egui::{ComboBox, Response, RichText, Ui};
use kvlens_analysis::Metric;

use super::front::Front;
use super::legend::{Legend, Name};
use super::question_state::{ask_ui, error_ui, job_of};
use super::recall::curves::metric_axis;
use super::{NearestFigure, Need, PaneView, ReadNumbers, View, empty_hint, shown_with_windows};
use crate::gui::command::{Commands, LookCommand};
use crate::gui::derived::drift::{DriftCurves, PlacesCurves};
use crate::gui::export::ShownFigure;
use crate::gui::layout::Pane;
use crate::gui::numbers::Table;
use crate::gui::question_choices::{DriftChoices, DriftPart};
use crate::gui::questions::QuestionKind;
use crate::gui::state::Choices;
use crate::gui::theme::SeriesStyle;
use crate::gui::widgets::copy_button::copy_button;
use crate::gui::widgets::line_plot::{
    AxisNumbers, Drawn, LinePlot, PlotAnswer, PlotAxis, PlotCurve, PlotText, height_left,
};
use crate::gui::widgets::segmented::segmented;
use crate::jobs::figure::KindChoice;

/// Widths of the swept window.
const WIDTHS: [usize; 6] = [4, 8, 16, 32, 64, 128];

impl Pane {
    /// Recall over decode steps, and by the place of a window.
    pub const DRIFT: Self = Self::of(&DriftView);
}

struct DriftView;

impl PaneView for DriftView {
    fn name(&self) -> &'static str {
        "Drift"
    }

    fn title(&self) -> &'static str {
        "Drift"
    }

    fn help(&self) -> &'static str {
        include_str!("../../../help/views/drift.md")
    }

    fn needs(&self, choices: &Choices) -> &'static [Need] {
        match choices.drift.part {
            DriftPart::Places => &[Need::Places],
            DriftPart::Steps | DriftPart::Horizons => &[Need::Drift],
        }
    }

    fn ui(&self, ui: &mut Ui, view: &View<'_>, commands: &mut Commands) {
        drift_ui(ui, view, commands);
    }

    fn numbers(&self) -> Option<ReadNumbers> {
        Some(numbers)
    }

    fn figure(&self) -> Option<NearestFigure> {
        Some(|choices| {
            ShownFigure::of_sample(match choices.drift.part {
                DriftPart::Steps => KindChoice::DecodeStep,
                DriftPart::Horizons => KindChoice::Horizon,
                DriftPart::Places => KindChoice::Place,
            })
        })
    }
}

fn drift_ui(ui: &mut Ui, view: &View<'_>, commands: &mut Commands) {
    let hint = "Run a capture or open a session to see how long its windows foresee";
    let Some(shown) = shown_with_windows(ui, view, hint) else {
        return;
    };
    let is_by_place = view.settings.choices.drift.part == DriftPart::Places;
    let (names, copied, is_known) = match is_by_place {
        true => (
            places_names(view),
            "Copy the sweep",
            view.derived.places().is_some(),
        ),
        false => (
            steps_names(view),
            "Copy the drift",
            view.derived.drift().is_some(),
        ),
    };
    let legend = Legend {
        plot: "the drift",
        names,
        says_what_is_in_force: true,
    };
    legend.show(ui, view, commands, |ui, commands| {
        part_ui(ui, view, commands);
        if is_by_place {
            width_ui(ui, view, commands);
        }
        if is_known {
            copy_button(ui, copied, Pane::DRIFT, commands);
        }
    });
    match view.settings.choices.drift.part {
        DriftPart::Places => places_ui(ui, view, shown.version, commands),
        DriftPart::Steps | DriftPart::Horizons => steps_ui(ui, view, shown.version, commands),
    }
}

fn part_ui(ui: &mut Ui, view: &View<'_>, commands: &mut Commands) {
    let choices = view.settings.choices.drift;
    let describe = |response: Response, part: DriftPart| response.on_hover_text(explain(part));
    let picked = segmented(
        ui,
        choices.part,
        &DriftPart::ALL,
        DriftPart::label,
        describe,
    );
    if let Some(part) = picked {
        commands.send(LookCommand::SetDrift(DriftChoices { part, ..choices }));
    }
}

fn explain(part: DriftPart) -> &'static str {
    match part {
        DriftPart::Steps => {
            "Recall of what each decode step by itself attends to most, or with the metric output error the error of \
             that step's attention output"
        }
        DriftPart::Horizons => "Recall of the decode stage cut after a step, as if it ended there",
        DriftPart::Places => {
            "Recall by W queries in a row, moved through the prompt into the generation"
        }
    }
}

fn steps_names(view: &View<'_>) -> Vec<Name> {
    let help = "Click to hide or show the curve in every view";
    let windows = view.derived.windows().iter();
    windows
        .map(|window| Name::of_window(view, window, "", help))
        .collect()
}

fn steps_ui(ui: &mut Ui, view: &View<'_>, version: u64, commands: &mut Commands) {
    let kind = QuestionKind::Drift;
    let curves = view.derived.drift();
    let is_of_sample = curves.is_some_and(|curves| curves.shown_version == version);
    let is_whole =
        is_of_sample && curves.is_some_and(|curves| curves.curves.len() == curves.asked_windows);
    let job = job_of(view, kind);
    if !is_whole {
        error_ui(ui, view, kind);
        ask_ui(ui, job, kind, commands);
    }
    let Some(curves) = curves else { return };
    let by_step = view.settings.choices.drift.part == DriftPart::Steps;
    let place = |step: usize| match by_step {
        true => step as f64,
        false => (step as f64).log2(),
    };
    let last = curves.steps.last().copied().unwrap_or(1);
    let record = view.data.shown().map(|shown| &shown.sample.record);
    let words = record.map_or(&[][..], |record| &record.generated_texts);
    let hidden = &view.settings.choices.hidden_windows;
    let plotted = curves
        .curves
        .iter()
        .filter(|curve| !hidden.contains(&curve.label));
    let front = Front::of(view);
    let mut plotted: Vec<PlotCurve> = plotted
        .map(|curve| PlotCurve {
            name: curve.label.clone(),
            style: front.style(&curve.label, view.theme.series(&curve.label, curve.repeat)),
            xs: curves.steps.iter().map(|step| place(*step)).collect(),
            ys: curve.band.mean.clone(),
            band: Some((curve.band.low.clone(), curve.band.high.clone())),
            drawn: Drawn::Line {
                width: front.width(&curve.label),
                markers: true,
            },
        })
        .collect();
    front.arrange(&mut plotted);
    if curves.metric == Metric::OutputError && is_whole && lacks_values(curves) {
        ui.weak("The session keeps no values: capture it with --keep keys,values to see the output error");
        return;
    }
    let metric = curves.metric.label();
    let y = metric_axis(
        curves.metric,
        &plotted,
        format!("{metric} at {}", curves.budget_tokens),
    );
    let name = match curves.metric {
        Metric::OutputError => "Output error over the decode steps",
        _ => "Recall over the decode steps",
    };
    let plot = LinePlot {
        curves: plotted,
        faded: !is_of_sample || curves.budget_tokens != view.derived.budget_tokens(),
        tells_all: true,
        words: curves
            .steps
            .iter()
            .filter_map(|step| Some((place(*step), format!("{:?}", word_of(words, *step)?))))
            .collect(),
        ..LinePlot::new(
            name,
            height_left(ui),
            PlotAxis {
                label: match by_step {
                    true => "Decode step".to_owned(),
                    false => "Decode steps up to".to_owned(),
                },
                low: if by_step { 1.0 } else { 0.0 },
                high: place(last).max(if by_step { 2.0 } else { 1.0 }),
                numbers: match by_step {
                    true => AxisNumbers::Whole,
                    false => AxisNumbers::Octaves,
                },
                whole: None,
            },
            y,
        )
    };
    plot.show(ui, view.theme);
}

fn lacks_values(curves: &DriftCurves) -> bool {
    let mut means = curves.curves.iter().flat_map(|curve| &curve.band.mean);
    means.all(|mean| mean.is_nan())
}

/// The token of a step, counted from 1, in sessions that hold the texts of what was generated.
fn word_of(words: &[String], step: usize) -> Option<&str> {
    words.get(step.checked_sub(1)?).map(String::as_str)
}

fn width_ui(ui: &mut Ui, view: &View<'_>, commands: &mut Commands) {
    let choices = view.settings.choices.drift;
    ComboBox::from_id_salt("width of the swept window")
        .selected_text(format!("{} queries", choices.sweep_width))
        .width(84.0)
        .show_ui(ui, |ui| {
            for width in WIDTHS {
                let chosen = width == choices.sweep_width;
                if ui.selectable_label(chosen, width.to_string()).clicked() {
                    commands.send(LookCommand::SetDrift(DriftChoices {
                        sweep_width: width,
                        ..choices
                    }));
                }
            }
        })
        .response
        .on_hover_text("W: queries of the window, which is moved by half its width")
        .widget_info(|| {
            egui::WidgetInfo::labeled(egui::Role::ComboBox, true, "Width of the swept window")
        });
}

fn places_names(view: &View<'_>) -> Vec<Name> {
    let recall = "Mean over the selected heads, the band their middle 80 %";
    let reach = "Share of the decode stage's top tokens at or before the window's last query: it cannot see the rest";
    vec![
        Name::of_line("recall", recall_style(view), recall),
        Name::of_line("in reach", reach_style(view), reach),
    ]
}

fn places_ui(ui: &mut Ui, view: &View<'_>, version: u64, commands: &mut Commands) {
    let kind = QuestionKind::Places;
    let curves = view.derived.places();
    let width = view.settings.choices.drift.sweep_width;
    let is_of_sample =
        curves.is_some_and(|curves| curves.shown_version == version && curves.width == width);
    let job = job_of(view, kind);
    if !is_of_sample {
        error_ui(ui, view, kind);
        ask_ui(ui, job, kind, commands);
    }
    let Some(curves) = curves else { return };
    let prompt_tokens = prompt_tokens(view);
    let (Some(&first), Some(&last)) = (curves.positions.first(), curves.positions.last()) else {
        if is_of_sample {
            empty_hint(ui, &too_few(curves));
        }
        return;
    };
    if curves.prompt_queries < prompt_tokens {
        ui.add(egui::Label::new(RichText::new(kept_text(curves, prompt_tokens)).weak()).truncate())
            .on_hover_text(kept_text(curves, prompt_tokens));
    }
    let xs: Vec<f64> = curves.positions.iter().map(|at| *at as f64).collect();
    let curve = |name: &str, style, band: &kvlens_analysis::Band, with_band: bool| PlotCurve {
        name: name.to_owned(),
        style,
        xs: xs.clone(),
        ys: band.mean.clone(),
        band: with_band.then(|| (band.low.clone(), band.high.clone())),
        drawn: Drawn::CURVE,
    };
    let x = PlotAxis {
        label: "Position of the window's last query".to_owned(),
        low: first as f64,
        high: last as f64,
        numbers: AxisNumbers::Whole,
        whole: None,
    };
    let y = PlotAxis::shares(format!("recall at {}", curves.budget_tokens));
    let end = prompt_tokens as f64 - 1.0;
    let plot = LinePlot {
        curves: vec![
            curve("in reach", reach_style(view), &curves.in_reach, false),
            curve("recall", recall_style(view), &curves.recall, true),
        ],
        vertical: Some(end),
        texts: vec![PlotText::at_vertical(
            "end of the prompt",
            end,
            [&x, &y],
            view.theme.selection,
        )],
        faded: !is_of_sample || curves.budget_tokens != view.derived.budget_tokens(),
        ..LinePlot::new("Recall by the place of the window", height_left(ui), x, y)
    };
    let PlotAnswer { response, at, .. } = plot.show(ui, view.theme);
    if let Some(at) = at.filter(|at| response.clicked() && *at >= 0.0) {
        let token = (at.round() as usize).min(prompt_tokens.saturating_sub(1));
        commands.send(LookCommand::ScrollToToken(token));
    }
}

fn prompt_tokens(view: &View<'_>) -> usize {
    let shown = view.data.shown();
    shown.map_or(0, |shown| shown.sample.record.prompt_ids.len())
}

fn too_few(curves: &PlacesCurves) -> String {
    format!(
        "This session keeps too few queries for a window of {}; capture with the window last:{} to sweep it",
        curves.width,
        curves.width.max(32)
    )
}

fn kept_text(curves: &PlacesCurves, prompt_tokens: usize) -> String {
    format!(
        "The session keeps the prompt's last {} queries; capture with the window last:{prompt_tokens} to sweep the whole prompt",
        curves.prompt_queries
    )
}

fn recall_style(view: &View<'_>) -> SeriesStyle {
    view.theme.series("last", 0)
}

fn reach_style(view: &View<'_>) -> SeriesStyle {
    SeriesStyle {
        color: view.theme.oracle,
        line: egui_plot::LineStyle::Dashed { length: 6.0 },
        marker: Some(egui_plot::MarkerShape::Diamond),
    }
}

/// The curves of the part on show, unless they are of an earlier sample.
fn numbers(view: &View<'_>) -> Option<Table> {
    let (_, shown) = view.shown()?;
    let steps = || {
        let drift = view.derived.drift()?;
        (drift.shown_version == shown.version).then_some(drift)
    };
    let words = &shown.sample.record.generated_texts;
    match view.settings.choices.drift.part {
        DriftPart::Steps => Some(steps_table("step", steps()?, words)),
        DriftPart::Horizons => Some(steps_table("horizon", steps()?, words)),
        DriftPart::Places => {
            let places = view.derived.places()?;
            (places.shown_version == shown.version).then(|| places_table(places))
        }
    }
}

fn steps_table(part: &str, curves: &DriftCurves, words: &[String]) -> Table {
    let header = [
        "window",
        "budget_tokens",
        part,
        "token",
        curves.metric.column(),
        "low",
        "high",
    ];
    let mut table = Table::new(&header);
    for curve in &curves.curves {
        let band = &curve.band;
        let values = band.mean.iter().zip(&band.low).zip(&band.high);
        for (step, ((mean, low), high)) in curves.steps.iter().zip(values) {
            table.line(&[
                curve.label.clone(),
                curves.budget_tokens.to_string(),
                step.to_string(),
                word_of(words, *step).unwrap_or_default().to_owned(),
                mean.to_string(),
                low.to_string(),
                high.to_string(),
            ]);
        }
    }
    table
}

fn places_table(curves: &PlacesCurves) -> Table {
    let mut table = Table::new(&[
        "width",
        "budget_tokens",
        "last_position",
        "recall",
        "low",
        "high",
        "visible",
    ]);
    let recall = &curves.recall;
    let values = recall.mean.iter().zip(&recall.low).zip(&recall.high);
    let values = values.zip(&curves.in_reach.mean);
    for (position, (((mean, low), high), visible)) in curves.positions.iter().zip(values) {
        table.line(&[
            curves.width.to_string(),
            curves.budget_tokens.to_string(),
            position.to_string(),
            mean.to_string(),
            low.to_string(),
            high.to_string(),
            visible.to_string(),
        ]);
    }
    table
}
