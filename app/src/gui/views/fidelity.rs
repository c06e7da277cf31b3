//! What eviction really does to the output, against the budget or against recall.

use egui::{Button, ComboBox, Response, RichText, Role, TextEdit, Ui, WidgetInfo};

use kvlens_analysis::SampleGroup;

use super::capture::progress_ui;
use super::question_state::{error_ui, job_of};
use super::recall::{entry, window_entry};
use super::{Need, PaneView, ReadNumbers, View, empty_hint};
use crate::gui::command::{Commands, JobCommand, LookCommand};
use crate::gui::data::Shown;
use crate::gui::derived::fidelity::{FidelityCurve, FidelityCurves};
use crate::gui::lanes::JobKey;
use crate::gui::layout::Pane;
use crate::gui::numbers::{Table, number};
use crate::gui::question_choices::{FidelityChoices, FidelityMetric, FidelityPlot};
use crate::gui::questions::QuestionKind;
use crate::gui::questions::fidelity::EvictedSession;
use crate::gui::state::Choices;
use crate::gui::theme::SeriesStyle;
use crate::gui::widgets::copy_button::copy_button;
use crate::gui::widgets::line_plot::{AxisNumbers, LinePlot, PlotAxis, PlotCurve, height_left};
use crate::gui::widgets::segmented::segmented;
use crate::measurement::fidelity::figures::Figure;

/// Width of the field of budgets.
const BUDGETS_WIDTH: f32 = 150.0;

impl Pane {
    /// What eviction does to the output.
    pub const FIDELITY: Self = Self::of(&FidelityView);
}

struct FidelityView;

impl PaneView for FidelityView {
    fn name(&self) -> &'static str {
        "Fidelity"
    }

    fn title(&self) -> &'static str {
        "Fidelity"
    }

    fn help(&self) -> &'static str {
        include_str!("../../../help/views/fidelity.md")
    }

    fn needs(&self, _choices: &Choices) -> &'static [Need] {
        &[Need::Fidelity]
    }

    fn ui(&self, ui: &mut Ui, view: &View<'_>, commands: &mut Commands) {
        fidelity_ui(ui, view, commands);
    }

    fn numbers(&self) -> Option<ReadNumbers> {
        Some(numbers)
    }
}

fn fidelity_ui(ui: &mut Ui, view: &View<'_>, commands: &mut Commands) {
    let Some((session, shown)) = view.shown() else {
        empty_hint(
            ui,
            "Run a capture or open a session to see what eviction does to its answers",
        );
        return;
    };
    if shown.sample.windows.is_empty() {
        empty_hint(
            ui,
            "This session has no windows to evict by; capture with --windows",
        );
        return;
    }
    let results = view.data.answers.fidelity.held();
    let is_current =
        results.is_some_and(|(of, _)| Some(of) == EvictedSession::of(session).as_ref());
    let curves = view.derived.fidelity().filter(|_| is_current);
    let has_curves = curves.is_some_and(|curves| curves.samples > 0);
    let mut choices = view.settings.choices.fidelity.clone();
    ui.horizontal_wrapped(|ui| run_ui(ui, view, &mut choices, commands));
    error_ui(ui, view, QuestionKind::Fidelity);
    if let Some(job) = job_of(view, QuestionKind::Fidelity) {
        progress_ui(ui, &job.progress);
    }
    if let Some(curves) = curves.filter(|_| has_curves) {
        ui.horizontal_wrapped(|ui| {
            plot_choices_ui(ui, &mut choices);
            group_ui(ui, curves, &mut choices);
            legend_ui(ui, view, commands);
            facts_ui(ui, view, curves);
            copy_button(ui, "Copy the fidelity", Pane::FIDELITY, commands);
        });
    }
    if choices != view.settings.choices.fidelity {
        commands.send(LookCommand::SetFidelity(choices.clone()));
    }
    match curves.filter(|_| has_curves) {
        Some(curves) if !curves.curves.is_empty() => plot_ui(ui, view, shown, curves),
        Some(_) => empty_hint(ui, missing_metric(choices.metric)),
        None => empty_hint(ui, &nothing_measured(view, choices.all_samples, is_current)),
    }
}

/// What is measured: samples, budgets, and the button.
fn run_ui(ui: &mut Ui, view: &View<'_>, choices: &mut FidelityChoices, commands: &mut Commands) {
    let describe = |response: Response, all: bool| {
        response.on_hover_text(match all {
            true => "Measure and show every sample of the session, as means",
            false => "Measure and show the open sample",
        })
    };
    let name = |all: bool| if all { "All samples" } else { "This sample" };
    if let Some(all) = segmented(ui, choices.all_samples, &[false, true], name, describe) {
        choices.all_samples = all;
    }
    let label = ui.label("Budgets");
    let parsed = choices.parsed_budgets();
    let color = parsed.is_err().then_some(view.theme.error);
    let field = TextEdit::singleline(&mut choices.budgets)
        .desired_width(BUDGETS_WIDTH)
        .hint_text("5%, 64")
        .text_color_opt(color);
    let field = ui.add(field).labelled_by(label.id);
    let help = match &parsed {
        Ok(_) => "Budgets in tokens or as shares of the prompt, separated by commas",
        Err(reason) => reason,
    };
    field.on_hover_text(help);
    let is_running = job_of(view, QuestionKind::Fidelity).is_some();
    if is_running {
        if ui
            .button("Cancel fidelity")
            .on_hover_text("What is measured stays")
            .clicked()
        {
            commands.send(JobCommand::CancelJob(JobKey::Question(
                QuestionKind::Fidelity,
            )));
        }
        return;
    }
    let button = ui
        .add_enabled(parsed.is_ok(), Button::new("Measure fidelity"))
        .on_hover_text(
            "Loads the model and decodes once for each shown window and budget, on what the window would keep",
        )
        .on_disabled_hover_text("Type the budgets first, such as 5%, 10%");
    if button.clicked() {
        commands.send(JobCommand::Ask(QuestionKind::Fidelity));
    }
}

fn plot_choices_ui(ui: &mut Ui, choices: &mut FidelityChoices) {
    let describe = |response: Response, plot: FidelityPlot| {
        response.on_hover_text(match plot {
            FidelityPlot::Budget => "The metric at every budget, a curve for each window",
            FidelityPlot::Recall => {
                "A point for each window and budget: does foreseeing more change the output less?"
            }
        })
    };
    let plots = FidelityPlot::ALL;
    if let Some(plot) = segmented(ui, choices.plot, &plots, FidelityPlot::label, describe) {
        choices.plot = plot;
    }
    ComboBox::from_id_salt("fidelity metric")
        .selected_text(choices.metric.label())
        .show_ui(ui, |ui| {
            for metric in FidelityMetric::ALL {
                ui.selectable_value(&mut choices.metric, metric, metric.label())
                    .on_hover_text(explain(metric));
            }
        })
        .response
        .on_hover_text(explain(choices.metric))
        .widget_info(|| WidgetInfo::labeled(Role::ComboBox, true, "Fidelity metric"));
}

fn explain(metric: FidelityMetric) -> &'static str {
    match metric {
        FidelityMetric::Divergence => {
            "How far the evicted cache's next-token distribution is from the full cache's, mean over the steps; 0 is no change"
        }
        FidelityMetric::Agreement => {
            "Share of the steps at which both caches find the same token most likely"
        }
        FidelityMetric::AnswerNll => {
            "Mean negative log-likelihood of the reference answer's tokens; lower is likelier"
        }
        FidelityMetric::Score => {
            "Share of the task that the free generation on the evicted cache gets right"
        }
    }
}

fn legend_ui(ui: &mut Ui, view: &View<'_>, commands: &mut Commands) {
    let oracle = oracle_style(view);
    entry(ui, &oracle, RichText::new("decode").color(oracle.color))
        .on_hover_text("The oracle: what the decode stage itself would keep");
    for window in view.derived.windows() {
        let help = "Click to hide or show the curve in every view; only shown windows are measured";
        window_entry(ui, view, window, "", help, commands);
    }
}

/// What the curves are means of, and what their points say together.
fn facts_ui(ui: &mut Ui, view: &View<'_>, curves: &FidelityCurves) {
    let choices = &view.settings.choices.fidelity;
    let samples = match curves.samples {
        1 => "1 sample".to_owned(),
        samples => format!("{samples} samples"),
    };
    ui.weak(samples)
        .on_hover_text("Points are means over samples; a band is the 95 % interval of the mean");
    if choices.plot == FidelityPlot::Recall {
        correlations_ui(ui, curves);
    }
    if curves.full.is_some() && has_full_line(choices.metric) {
        ui.weak("dashed: full cache");
    }
}

/// Of each budget for itself: a larger one foresees more and changes less whatever the window.
fn correlations_ui(ui: &mut Ui, curves: &FidelityCurves) {
    if curves.correlations.is_empty() {
        ui.weak("no correlation of a single window")
            .on_hover_text("Spearman's correlation puts the windows in order at each budget");
        return;
    }
    let parts = curves.correlations.iter().map(|part| {
        let interval = part.interval.map_or(String::new(), |interval| {
            format!(" ({:+.2} to {:+.2})", interval.low, interval.high)
        });
        format!("{} {:+.2}{interval}", part.budget, part.spearman)
    });
    let text = parts.collect::<Vec<_>>().join(" · ");
    let windows = curves.correlations.iter().map(|part| part.windows).max();
    ui.weak(format!("Spearman at {text}")).on_hover_text(format!(
        "At each budget: do those of the {} windows that foresee more change the output less? Correlation of the ranks \
         of recall and metric over the windows of a sample, without the oracle; mean over samples with its 95 % interval",
        windows.unwrap_or_default()
    ));
}

/// Which of the measured groups the curves are of: prompts of another task, or with the question elsewhere, are not
/// averaged with them.
fn group_ui(ui: &mut Ui, curves: &FidelityCurves, choices: &mut FidelityChoices) {
    let Some(group) = &curves.group else { return };
    let text = group_text(group);
    if !choices.all_samples || curves.groups.len() < 2 {
        ui.weak(text).on_hover_text(
            "Task and place of the question; prompts of different ones are not averaged together",
        );
        return;
    }
    ComboBox::from_id_salt("fidelity group")
        .selected_text(text)
        .show_ui(ui, |ui| {
            for known in &curves.groups {
                if ui
                    .selectable_label(known == group, group_text(known))
                    .clicked()
                {
                    choices.group = Some(known.clone());
                }
            }
        })
        .response
        .on_hover_text(
            "Task and place of the question; prompts of different ones are not averaged together",
        )
        .widget_info(|| WidgetInfo::labeled(Role::ComboBox, true, "Group of samples"));
}

fn group_text(group: &SampleGroup) -> String {
    match group.question_place.as_deref() {
        Some(place) => format!("{}, question {place}", group.task),
        None => group.task.clone(),
    }
}

fn plot_ui(ui: &mut Ui, view: &View<'_>, shown: &Shown, curves: &FidelityCurves) {
    let choices = &view.settings.choices.fidelity;
    let hidden = &view.settings.choices.hidden_windows;
    let visible: Vec<&FidelityCurve> = curves
        .curves
        .iter()
        .filter(|curve| !hidden.contains(&curve.label))
        .collect();
    let full = curves.full.filter(|_| has_full_line(choices.metric));
    let y = metric_axis(choices.metric, &visible, full);
    let plot = match choices.plot {
        FidelityPlot::Budget => LinePlot {
            name: "Fidelity against the budget",
            height: height_left(ui),
            x: budget_axis(view, shown, &visible),
            y,
            curves: visible
                .iter()
                .map(|curve| over_budget(view, curve))
                .collect(),
            vertical: Some((view.derived.budget_tokens().max(1) as f64).log2()),
            horizontal: full,
            faded: false,
        },
        FidelityPlot::Recall => LinePlot {
            name: "Fidelity against recall",
            height: height_left(ui),
            x: PlotAxis {
                label: "recall of the queries".to_owned(),
                low: 0.0,
                high: 1.0,
                numbers: AxisNumbers::Shares,
            },
            y,
            curves: visible.iter().flat_map(|curve| dots(view, curve)).collect(),
            vertical: None,
            horizontal: full,
            faded: false,
        },
    };
    plot.show(ui, view.theme);
}

/// KL and agreement of the full cache with itself are 0 and 1, and need no line.
fn has_full_line(metric: FidelityMetric) -> bool {
    matches!(metric, FidelityMetric::AnswerNll | FidelityMetric::Score)
}

/// From the smallest to the largest measured budget, with room for the workbench's own.
fn budget_axis(view: &View<'_>, shown: &Shown, curves: &[&FidelityCurve]) -> PlotAxis {
    let points = curves.iter().flat_map(|curve| &curve.points);
    let octaves: Vec<f64> = points.map(|point| point.budget_tokens.log2()).collect();
    let own = (view.derived.budget_tokens().max(1) as f64).log2();
    let whole = (shown.sample.record.prompt_ids.len().max(2) as f64).log2();
    PlotAxis {
        label: "Budget in tokens".to_owned(),
        low: octaves.iter().copied().fold(own, f64::min).floor(),
        high: octaves
            .iter()
            .copied()
            .fold(own, f64::max)
            .min(whole.ceil()),
        numbers: AxisNumbers::Octaves,
    }
}

fn metric_axis(metric: FidelityMetric, curves: &[&FidelityCurve], full: Option<f64>) -> PlotAxis {
    let points = curves.iter().flat_map(|curve| &curve.points);
    let upper = points.map(|point| point.interval.map_or(point.value, |interval| interval.high));
    let largest = upper.chain(full).fold(0.0, f64::max);
    let is_share = metric.largest().is_finite();
    PlotAxis {
        label: metric.label().to_owned(),
        low: 0.0,
        high: match is_share {
            true => 1.0,
            false => largest.max(1e-6),
        },
        numbers: match is_share {
            true => AxisNumbers::Shares,
            false => AxisNumbers::Any,
        },
    }
}

fn over_budget(view: &View<'_>, curve: &FidelityCurve) -> PlotCurve {
    let has_band = curve.points.iter().any(|point| point.interval.is_some());
    let edge = |of: fn(&kvlens_analysis::statistics::Interval) -> f64| -> Vec<f64> {
        let points = curve.points.iter();
        points
            .map(|point| point.interval.as_ref().map_or(point.value, of))
            .collect()
    };
    PlotCurve {
        name: curve.label.clone(),
        style: style_of(view, curve),
        xs: curve
            .points
            .iter()
            .map(|point| point.budget_tokens.log2())
            .collect(),
        ys: curve.points.iter().map(|point| point.value).collect(),
        band: has_band.then(|| {
            (
                edge(|interval| interval.low),
                edge(|interval| interval.high),
            )
        }),
        has_line: true,
    }
}

/// Each budget for itself, so that the hover can name it.
fn dots(view: &View<'_>, curve: &FidelityCurve) -> Vec<PlotCurve> {
    let dots = curve.points.iter().map(|point| PlotCurve {
        name: format!("{} at {}", curve.label, point.budget),
        style: style_of(view, curve),
        xs: vec![point.recall],
        ys: vec![point.value],
        band: None,
        has_line: false,
    });
    dots.collect()
}

fn style_of(view: &View<'_>, curve: &FidelityCurve) -> SeriesStyle {
    match curve.is_oracle {
        true => oracle_style(view),
        false => view.theme.series(&curve.label, curve.repeat),
    }
}

fn oracle_style(view: &View<'_>) -> SeriesStyle {
    SeriesStyle {
        color: view.theme.oracle,
        line: egui_plot::LineStyle::Solid,
        marker: egui_plot::MarkerShape::Cross,
    }
}

fn missing_metric(metric: FidelityMetric) -> &'static str {
    match metric {
        FidelityMetric::Divergence | FidelityMetric::Agreement => {
            "Nothing was measured yet for the shown samples"
        }
        FidelityMetric::AnswerNll => {
            "These prompts have no reference answer; choose another metric"
        }
        FidelityMetric::Score => "These prompts cannot be scored; choose another metric",
    }
}

fn nothing_measured(view: &View<'_>, all_samples: bool, is_current: bool) -> String {
    if job_of(view, QuestionKind::Fidelity).is_some() {
        return "The first results come soon".to_owned();
    }
    let what = match (all_samples, is_current) {
        (true, _) => "No sample was measured yet",
        (false, true) => "This sample was not measured yet",
        (false, false) => "This sample was not measured yet under this scoring",
    };
    format!("{what}: press 'Measure fidelity'")
}

/// Every eviction as a row, in the columns of fidelity.parquet.
fn numbers(view: &View<'_>) -> Option<Table> {
    let (session, _) = view.shown()?;
    let (of, results) = view.data.answers.fidelity.held()?;
    if Some(of) != EvictedSession::of(session).as_ref() || results.points.is_empty() {
        return None;
    }
    let mut header = vec!["sample", "window", "budget", "budget_tokens"];
    header.extend(Figure::all().map(Figure::column));
    let mut table = Table::new(&header);
    for point in results.points.iter() {
        let sample = session.info.samples.get(point.index);
        let mut line = vec![
            sample.map_or_else(String::new, |sample| sample.id.clone()),
            point.label.clone(),
            point.budget.to_string(),
            point.budget_tokens.to_string(),
        ];
        line.extend(Figure::all().map(|figure| number(figure.of(&point.figures))));
        table.line(&line);
    }
    Some(table)
}
