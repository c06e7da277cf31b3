//! Curves over samples: the same means and intervals as in the figure.

use egui::{Response, Ui};
use kvlens_analysis::Metric;
use kvlens_analysis::figure::CHANCE;

use super::curves::{CEILING, compares_queries, decode_stage, octave_of};
use super::values::signed;
use crate::gui::command::{Commands, LookCommand};
use crate::gui::derived::{CurveOverSamples, OverSamples};
use crate::gui::numbers::{Table, number};
use crate::gui::questions::QuestionKind;
use crate::gui::state::CurvesOver;
use crate::gui::theme::SeriesStyle;
use crate::gui::views::View;
use crate::gui::views::front::Front;
use crate::gui::views::question_state::{ask_ui, error_ui, job_of, left_out_ui};
use crate::gui::widgets::line_plot::{Drawn, PlotCurve};
use crate::gui::widgets::segmented::segmented;

/// Chooses what the curves are over.
pub(super) fn over_ui(ui: &mut Ui, view: &View<'_>, commands: &mut Commands) {
    let samples = view.data.session.as_ref();
    if samples.is_none_or(|session| session.info.samples.len() < 2) {
        return;
    }
    let describe = |response: Response, over: CurvesOver| {
        response.on_hover_text(match over {
            CurvesOver::Sample => "Means over the selected heads of this sample; the band is over heads",
            CurvesOver::Group => {
                "Means over the samples with this task and place of the question; the band is the 95 % interval over \
                 samples, as in the figure"
            }
            CurvesOver::Session => {
                "Means over all samples, of which those of one document, asked the same in several places, count once by \
                 their mean; the band is the 95 % interval. The figure has a panel for each task and place"
            }
        })
    };
    let current = view.settings.choices.curves_over;
    let picked = segmented(ui, current, &CurvesOver::ALL, CurvesOver::label, describe);
    if let Some(over) = picked {
        commands.send(LookCommand::SetCurvesOver(over));
    }
}

/// How many samples the curves are over, and how far that is.
pub(super) fn state_of_samples_ui(ui: &mut Ui, view: &View<'_>, commands: &mut Commands) {
    if view.settings.choices.shown_curves_over() == CurvesOver::Sample {
        return;
    }
    let kind = QuestionKind::SessionCurves;
    let found = view.derived.over_samples();
    let is_whole = found.is_some_and(|found| found.looked_at[0] >= found.looked_at[1]);
    if let Some(found) = found {
        let samples = counted(found);
        let [done, total] = found.looked_at;
        let so_far = match is_whole {
            true => String::new(),
            false => format!(", {done} of {total} measured"),
        };
        ui.weak(format!(
            "Means over {samples}{so_far}; band: 95 % interval over samples"
        ));
        left_out_ui(ui, view, &found.left_out);
    }
    if !is_whole {
        error_ui(ui, view, kind);
        ask_ui(ui, job_of(view, kind), kind, commands);
    }
}

fn counted(found: &OverSamples) -> String {
    match (found.counted, found.are_documents) {
        (documents, true) => {
            format!("{documents} documents, each with its question in several places")
        }
        (1, false) => "1 sample".to_owned(),
        (samples, false) => format!("{samples} samples"),
    }
}

fn style_of(view: &View<'_>, front: &Front<'_>, curve: &CurveOverSamples) -> SeriesStyle {
    let mut windows = view.derived.windows().iter();
    let window = windows.find(|window| window.label == curve.label);
    let repeat = window.map_or(curve.repeat, |window| window.repeat);
    front.style(&curve.label, view.theme.series(&curve.label, repeat))
}

/// Every curve, the first at the bottom; `octaves` are those of the axis.
pub(super) fn curves(view: &View<'_>, octaves: f64) -> Vec<PlotCurve> {
    let Some(found) = view.derived.over_samples() else {
        return Vec::new();
    };
    let baseline = view.settings.choices.baseline.as_deref();
    let baseline = baseline.and_then(|label| found.curve(label));
    let mut curves = Vec::new();
    if baseline.is_none() && found.metric == Metric::Recall && compares_queries(view) {
        curves.push(decode_stage(view.theme, octaves));
    }
    let mut shown: Vec<&CurveOverSamples> = visible(view, found).collect();
    let front = Front::of(view);
    shown.sort_by_key(|curve| front.is(&curve.label));
    for curve in shown {
        match baseline {
            Some(baseline) => curves.extend(difference(view, &front, curve, baseline)),
            None => curves.extend(window_curves(view, &front, curve)),
        }
    }
    curves
}

fn visible<'a>(
    view: &'a View<'_>,
    found: &'a OverSamples,
) -> impl Iterator<Item = &'a CurveOverSamples> {
    let hidden = &view.settings.choices.hidden_windows;
    let curves = found.curves.iter();
    curves.filter(|curve| !hidden.contains(&curve.label))
}

fn window_curves(view: &View<'_>, front: &Front<'_>, curve: &CurveOverSamples) -> Vec<PlotCurve> {
    let xs: Vec<f64> = curve.budgets.iter().map(|it| octave_of(*it)).collect();
    if curve.label == CHANCE {
        let style = view.theme.chance();
        return vec![line(CHANCE, xs, curve.mean.clone(), style, 1.0)];
    }
    let (style, width) = (style_of(view, front, curve), front.width(&curve.label));
    let mean = PlotCurve {
        band: front
            .is(&curve.label)
            .then(|| (curve.low.clone(), curve.high.clone())),
        ..marked(&curve.label, xs.clone(), curve.mean.clone(), style, width)
    };
    let ceiling = curve.ceiling.as_ref().map(|ceiling| {
        let name = format!("{}, ceiling", curve.label);
        let style = SeriesStyle {
            line: CEILING,
            ..style
        };
        line(&name, xs, ceiling.clone(), style, 1.0)
    });
    std::iter::once(mean).chain(ceiling).collect()
}

/// What a window's mean has more than the baseline's, at the budgets that both have.
fn difference(
    view: &View<'_>,
    front: &Front<'_>,
    curve: &CurveOverSamples,
    baseline: &CurveOverSamples,
) -> Option<PlotCurve> {
    if curve.label == CHANCE {
        return None;
    }
    let points = curve.budgets.iter().zip(&curve.mean);
    let both = points.filter_map(|(budget, own)| {
        let at = baseline.budgets.iter().position(|known| known == budget)?;
        Some((octave_of(*budget), own - baseline.mean.get(at)?))
    });
    let (xs, ys) = both.unzip();
    let style = style_of(view, front, curve);
    Some(marked(
        &curve.label,
        xs,
        ys,
        style,
        front.width(&curve.label),
    ))
}

/// The same with the signs of its window.
fn marked(name: &str, xs: Vec<f64>, ys: Vec<f64>, style: SeriesStyle, width: f32) -> PlotCurve {
    PlotCurve {
        drawn: Drawn::Line {
            width,
            markers: true,
        },
        ..line(name, xs, ys, style, width)
    }
}

fn line(name: &str, xs: Vec<f64>, ys: Vec<f64>, style: SeriesStyle, width: f32) -> PlotCurve {
    PlotCurve {
        name: name.to_owned(),
        style,
        xs,
        ys,
        band: None,
        drawn: Drawn::line(width),
    }
}

/// A window's mean at the budget that is nearest to the one chosen.
pub(super) fn value_at_budget(view: &View<'_>, label: &str) -> String {
    let Some(found) = view.derived.over_samples() else {
        return String::new();
    };
    let budget = view.derived.budget_tokens();
    let mean = |curve: &CurveOverSamples| curve.mean.get(curve.nearest(budget)?).copied();
    let value = found.curve(label).and_then(mean);
    let baseline = view.settings.choices.baseline.as_deref();
    match baseline.and_then(|label| found.curve(label)) {
        Some(baseline) => signed(value.zip(mean(baseline)).map(|(own, other)| own - other)),
        None => value.map_or(String::new(), |value| format!(" {value:.3}")),
    }
}

/// A line for every window and budget.
pub(super) fn numbers(view: &View<'_>) -> Option<Table> {
    let found = view.derived.over_samples()?;
    let metric = found.metric.column();
    let header = [
        "window",
        "budget_tokens",
        metric,
        "low",
        "high",
        "ceiling",
        "samples",
    ];
    let mut table = Table::new(&header);
    for curve in visible(view, found) {
        for (at, budget) in curve.budgets.iter().enumerate() {
            let of = |values: &[f64]| values.get(at).map_or(String::new(), |it| number(*it));
            table.line(&[
                curve.label.clone(),
                budget.to_string(),
                of(&curve.mean),
                of(&curve.low),
                of(&curve.high),
                of(curve.ceiling.as_deref().unwrap_or_default()),
                found.counted.to_string(),
            ]);
        }
    }
    Some(table)
}
