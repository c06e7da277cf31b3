//! What eviction really does to the output, against the budget or against recall.

mod answers;
mod choosers;
mod plot;

use egui::Ui;

use super::capture::progress_ui;
use super::legend::{Legend, Name};
use super::question_state::{error_ui, job_of};
use super::{NearestFigure, Need, PaneView, ReadNumbers, View, empty_hint};
use crate::gui::command::{Commands, LookCommand};
use crate::gui::derived::fidelity::FidelityCurves;
use crate::gui::export::ShownFigure;
use crate::gui::layout::Pane;
use crate::gui::numbers::{Table, budget_words, number, signed};
use crate::gui::question_choices::{FidelityMetric, FidelityPlot};
use crate::gui::questions::QuestionKind;
use crate::gui::questions::fidelity::EvictedSession;
use crate::gui::state::Choices;
use crate::gui::widgets::copy_button::copy_button;
use crate::gui::widgets::together::phrase;
use crate::jobs::figure::KindChoice;
use crate::measurement::fidelity::figures::Figure;
use answers::answers_ui;
use choosers::{group_ui, plot_choices_ui, run_ui};
use kvlens_sessions::windows::DECODE_LABEL;
use plot::{budgets_of, has_full_line, oracle_style, plot_ui, sign_of};

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

    fn figure(&self) -> Option<NearestFigure> {
        Some(|choices| ShownFigure {
            kind: match (choices.fidelity.plot, choices.fidelity.metric) {
                (FidelityPlot::Recall, _) => KindChoice::FidelityRecall,
                (_, FidelityMetric::Divergence) => KindChoice::FidelityKl,
                (_, FidelityMetric::Agreement) => KindChoice::FidelityAgreement,
                (_, FidelityMetric::AnswerNll) => KindChoice::FidelityAnswer,
                (_, FidelityMetric::Score) => KindChoice::FidelityScore,
            },
            all_samples: choices.fidelity.all_samples,
        })
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
        let legend = Legend {
            plot: "the fidelity",
            names: names(view, curves),
            says_what_is_in_force: false,
        };
        legend.show(ui, view, commands, |ui, commands| {
            plot_choices_ui(ui, &mut choices);
            group_ui(ui, curves, &mut choices);
            facts_ui(ui, view, curves);
            copy_button(ui, "Copy the fidelity", Pane::FIDELITY, commands);
        });
    }
    if choices != view.settings.choices.fidelity {
        commands.send(LookCommand::SetFidelity(choices.clone()));
    }
    match curves.filter(|_| has_curves) {
        Some(curves) if choices.plot == FidelityPlot::Answers => {
            answers_ui(ui, view, shown, &curves.of_shown);
        }
        Some(curves) if !curves.curves.is_empty() => plot_ui(ui, view, shown, curves),
        Some(_) => empty_hint(ui, missing_metric(choices.metric)),
        None => empty_hint(ui, &nothing_measured(view, choices.all_samples, is_current)),
    }
}

fn names(view: &View<'_>, curves: &FidelityCurves) -> Vec<Name> {
    let help = "The oracle: what the decode stage itself would keep";
    let oracle = Name::of_line(DECODE_LABEL, oracle_style(view), help);
    let help = "Click to hide or show the curve in every view; only shown windows are measured";
    let windows = view.derived.windows().iter();
    let windows = windows.map(|window| Name::of_window(view, window, "", help));
    let names = std::iter::once(oracle).chain(windows);
    if view.settings.choices.fidelity.plot != FidelityPlot::Recall {
        return names.collect();
    }
    let help = "The budget that the points of this sign have, whatever the window";
    let budgets = budgets_of(&curves.curves).into_iter().enumerate();
    let signs = budgets.map(|(place, budget)| {
        let color = view.theme.oracle;
        Name::of_sign(budget_words(budget), color, sign_of(place), help)
    });
    names.map(Name::without_sign).chain(signs).collect()
}

/// What the curves are means of, and what their points say together.
fn facts_ui(ui: &mut Ui, view: &View<'_>, curves: &FidelityCurves) {
    let choices = &view.settings.choices.fidelity;
    let samples = match curves.samples {
        1 => "1 sample".to_owned(),
        samples => format!("{samples} samples"),
    };
    if choices.plot == FidelityPlot::Answers {
        phrase(
            ui,
            "underlined: from where an answer leaves that of the full cache",
        );
        return;
    }
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
            let [low, high] = [interval.low, interval.high].map(|end| signed(end, 2));
            format!(" ({low} to {high})")
        });
        let budget = budget_words(part.budget);
        format!("{budget}: {}{interval}", signed(part.spearman, 2))
    });
    let text = parts.collect::<Vec<_>>().join(" · ");
    let windows = curves.correlations.iter().map(|part| part.windows).max();
    phrase(ui, &format!("Spearman at {text}")).on_hover_text(format!(
        "At each budget: do those of the {} windows that foresee more change the output less? Correlation of the ranks \
         of recall and metric over the windows of a sample, without the oracle; mean over samples with its 95 % interval",
        windows.unwrap_or_default()
    ));
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
    header.push("generated");
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
        line.push(point.generated.to_string());
        table.line(&line);
    }
    Some(table)
}
