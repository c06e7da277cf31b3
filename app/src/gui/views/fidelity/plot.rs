//! The plot: a metric against the budget, or against recall.

use egui::Ui;
use egui_plot::MarkerShape;
use kvlens_analysis::Budget;

use crate::gui::data::Shown;
use crate::gui::derived::fidelity::{FidelityCurve, FidelityCurves};
use crate::gui::numbers::budget_words;
use crate::gui::question_choices::{FidelityMetric, FidelityPlot};
use crate::gui::theme::SeriesStyle;
use crate::gui::views::View;
use crate::gui::views::front::Front;
use crate::gui::views::recall::octave_of;
use crate::gui::widgets::line_plot::{
    AxisNumbers, Drawn, LinePlot, PlotAxis, PlotCurve, PlotText, height_left,
};

pub(super) fn plot_ui(ui: &mut Ui, view: &View<'_>, shown: &Shown, curves: &FidelityCurves) {
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
        FidelityPlot::Budget | FidelityPlot::Answers => {
            let x = budget_axis(view, shown, &visible);
            let tokens = view.derived.budget_tokens();
            let octave = octave_of(tokens);
            let color = view.theme.selection;
            let budget = PlotText::at_vertical(&tokens.to_string(), octave, [&x, &y], color);
            LinePlot {
                curves: over_budgets(view, &visible),
                tells_all: true,
                vertical: Some(octave),
                texts: vec![budget],
                horizontal: full,
                ..LinePlot::new("Fidelity against the budget", height_left(ui), x, y)
            }
        }
        FidelityPlot::Recall => LinePlot {
            curves: against_recall(view, &visible, &budgets_of(&curves.curves)),
            horizontal: full,
            ..LinePlot::new(
                "Fidelity against recall",
                height_left(ui),
                PlotAxis::shares("recall of the queries"),
                y,
            )
        },
    };
    plot.show(ui, view.theme);
}

/// KL and agreement of the full cache with itself are 0 and 1, and need no line.
pub(super) fn has_full_line(metric: FidelityMetric) -> bool {
    matches!(metric, FidelityMetric::AnswerNll | FidelityMetric::Score)
}

/// From the smallest to the largest measured budget, with room for the workbench's own.
fn budget_axis(view: &View<'_>, shown: &Shown, curves: &[&FidelityCurve]) -> PlotAxis {
    let points = curves.iter().flat_map(|curve| &curve.points);
    let octaves: Vec<f64> = points.map(|point| point.budget_tokens.log2()).collect();
    let own = octave_of(view.derived.budget_tokens());
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
        whole: None,
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
        whole: None,
    }
}

fn over_budgets(view: &View<'_>, curves: &[&FidelityCurve]) -> Vec<PlotCurve> {
    let labels = curves.iter().map(|curve| curve.label.as_str());
    let front = Front::of(view).among(labels);
    let mut drawn: Vec<PlotCurve> = curves
        .iter()
        .map(|curve| over_budget(view, &front, curve))
        .collect();
    front.arrange(&mut drawn);
    drawn
}

fn over_budget(view: &View<'_>, front: &Front<'_>, curve: &FidelityCurve) -> PlotCurve {
    let has_band = curve.points.iter().any(|point| point.interval.is_some());
    let edge = |of: fn(&kvlens_analysis::statistics::Interval) -> f64| -> Vec<f64> {
        let points = curve.points.iter();
        points
            .map(|point| point.interval.as_ref().map_or(point.value, of))
            .collect()
    };
    PlotCurve {
        name: curve.label.clone(),
        style: front.style(&curve.label, style_of(view, curve)),
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
        drawn: Drawn::Line {
            width: front.width(&curve.label),
            markers: true,
        },
    }
}

/// Every budget that was measured, once, the smallest first.
pub(super) fn budgets_of(curves: &[FidelityCurve]) -> Vec<Budget> {
    let points = curves.iter().flat_map(|curve| &curve.points);
    let mut points: Vec<_> = points.collect();
    points.sort_by(|a, b| a.budget_tokens.total_cmp(&b.budget_tokens));
    let mut budgets: Vec<Budget> = Vec::new();
    for point in points {
        if !budgets.contains(&point.budget) {
            budgets.push(point.budget);
        }
    }
    budgets
}

/// The sign of the points of the budget that has this place among all.
pub(super) fn sign_of(place: usize) -> MarkerShape {
    const SIGNS: [MarkerShape; 8] = [
        MarkerShape::Circle,
        MarkerShape::Diamond,
        MarkerShape::Square,
        MarkerShape::Up,
        MarkerShape::Down,
        MarkerShape::Cross,
        MarkerShape::Plus,
        MarkerShape::Asterisk,
    ];
    SIGNS[place % SIGNS.len()]
}

/// A thin line joins the points of a window, and their signs tell the budgets apart.
fn against_recall(
    view: &View<'_>,
    curves: &[&FidelityCurve],
    budgets: &[Budget],
) -> Vec<PlotCurve> {
    let lines = curves.iter().map(|curve| PlotCurve {
        name: String::new(),
        style: style_of(view, curve),
        xs: curve.points.iter().map(|point| point.recall).collect(),
        ys: curve.points.iter().map(|point| point.value).collect(),
        band: None,
        drawn: Drawn::line(1.0),
    });
    let dots = curves.iter().flat_map(|curve| dots(view, curve, budgets));
    lines.chain(dots).collect()
}

/// Each budget for itself, so that the hover can name it.
fn dots(view: &View<'_>, curve: &FidelityCurve, budgets: &[Budget]) -> Vec<PlotCurve> {
    let dots = curve.points.iter().map(|point| {
        let place = budgets.iter().position(|known| *known == point.budget);
        PlotCurve {
            name: format!("{} at {}", curve.label, budget_words(point.budget)),
            style: SeriesStyle {
                marker: place.map(sign_of),
                ..style_of(view, curve)
            },
            xs: vec![point.recall],
            ys: vec![point.value],
            band: None,
            drawn: Drawn::DOTS,
        }
    });
    dots.collect()
}

fn style_of(view: &View<'_>, curve: &FidelityCurve) -> SeriesStyle {
    match curve.is_oracle {
        true => oracle_style(view),
        false => view.theme.series(&curve.label, curve.repeat),
    }
}

pub(super) fn oracle_style(view: &View<'_>) -> SeriesStyle {
    SeriesStyle {
        color: view.theme.oracle,
        line: egui_plot::LineStyle::Solid,
        marker: Some(MarkerShape::Cross),
    }
}
