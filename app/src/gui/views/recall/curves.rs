//! What stands in the plot: bands, curves, single heads, the other session, and words.

use egui::Align2;
use egui_plot::LineStyle;
use kvlens_analysis::{Compare, Metric};

use super::axes::DrawnBudgets;
use super::over_samples;
use crate::gui::derived::{Derived, HeadCurve, WindowBands};
use crate::gui::state::CurvesOver;
use crate::gui::theme::{SeriesStyle, Theme};
use crate::gui::views::View;
use crate::gui::views::front::Front;
use crate::gui::widgets::line_plot::{AxisNumbers, Drawn, PlotAxis, PlotCurve, PlotText};

/// Curves get about so many points.
const POINTS_PER_CURVE: f64 = 300.0;

/// The name of the curve of a random ranking, and the height at which it stands beside it.
const CHANCE: &str = "chance";
const CHANCE_HEIGHT: f64 = 0.12;

/// The line of a ceiling.
pub const CEILING: LineStyle = LineStyle::Dotted { spacing: 4.0 };

/// The line of the session beside.
pub(super) const OF_B: LineStyle = LineStyle::Dashed { length: 3.0 };

/// Every curve, the first at the bottom; `octaves` are those of the axis.
pub(super) fn curves(view: &View<'_>, octaves: f64) -> Vec<PlotCurve> {
    let axis = DrawnBudgets::of(view.derived, POINTS_PER_CURVE);
    if view.settings.choices.shown_curves_over() != CurvesOver::Sample {
        return over_samples::curves(view, octaves);
    }
    let mut curves = Vec::new();
    if view.settings.choices.metric == Metric::Recall && baseline(view).is_none() {
        let chance = view.derived.chance();
        let style = view.theme.chance();
        curves.push(thin(&axis, CHANCE.to_owned(), chance, style, 1.0));
        if compares_queries(view) {
            curves.push(decode_stage(view.theme, octaves));
        }
    }
    let front = Front::of(view);
    if let Some(baseline) = baseline(view) {
        for window in front_last(view, &front) {
            curves.extend(difference(view, &front, &axis, window, baseline));
        }
        return curves;
    }
    curves.extend(
        view.beside
            .into_iter()
            .flat_map(|beside| other_session(view, &front, beside)),
    );
    for window in front_last(view, &front) {
        curves.extend(window_curves(view, &front, &axis, window));
    }
    curves.extend(heads(view, &axis));
    curves
}

/// The window that the others are held against, if one is chosen.
pub(super) fn baseline<'a>(view: &View<'a>) -> Option<&'a WindowBands> {
    let label = view.settings.choices.baseline.as_deref()?;
    let mut bands = view.derived.bands().iter();
    bands.find(|window| window.label == label)
}

/// What a window's mean has more than the baseline's.
fn difference(
    view: &View<'_>,
    front: &Front<'_>,
    axis: &DrawnBudgets,
    window: &WindowBands,
    baseline: &WindowBands,
) -> Option<PlotCurve> {
    let values = differences(window, baseline, view.settings.choices.metric)?;
    let style = view.theme.series(&window.label, window.repeat);
    let style = front.style(&window.label, style);
    let width = front.width(&window.label);
    Some(marked(axis, window.label.clone(), &values, style, width))
}

/// A window's mean less the baseline's, at every budget.
pub(super) fn differences(
    window: &WindowBands,
    baseline: &WindowBands,
    metric: Metric,
) -> Option<Vec<f64>> {
    let (own, other) = (window.band(metric)?, baseline.band(metric)?);
    let pairs = own.mean.iter().zip(&other.mean);
    Some(pairs.map(|(own, other)| own - other).collect())
}

/// The axis of a metric: shares, or from zero as far as curves and bands go where it has no end.
pub fn metric_axis(metric: Metric, curves: &[PlotCurve], label: impl Into<String>) -> PlotAxis {
    match metric.is_share() {
        true => PlotAxis::shares(label),
        false => difference_axis(curves, label.into()),
    }
}

/// An axis that holds every difference, the bands, and nought.
pub(super) fn difference_axis(curves: &[PlotCurve], label: String) -> PlotAxis {
    let values = curves.iter().flat_map(|curve| {
        let edges = curve
            .band
            .iter()
            .flat_map(|(low, high)| low.iter().chain(high));
        curve.ys.iter().chain(edges)
    });
    let values = values.copied().filter(|value| value.is_finite());
    let (low, high) = values.fold((0.0_f64, 0.0_f64), |(low, high), value| {
        (low.min(value), high.max(value))
    });
    PlotAxis {
        label,
        low,
        high: high.max(low + 1e-3),
        numbers: AxisNumbers::Any,
        whole: None,
    }
}

/// The visible windows, the one in front last.
fn front_last<'a>(view: &'a View<'_>, front: &Front<'_>) -> Vec<&'a WindowBands> {
    let mut windows: Vec<&WindowBands> = visible(view).collect();
    windows.sort_by_key(|window| front.is(&window.label));
    windows
}

/// What could be reached at best, said at the upper end; the name of the curve of chance, where there is room for it; and
/// the budget, at the lower end of the axis, where no line of differences runs.
pub(super) fn texts(view: &View<'_>, curves: &[PlotCurve], axes: [&PlotAxis; 2]) -> Vec<PlotText> {
    let best = match compares_queries(view) {
        _ if baseline(view).is_some() => None,
        true if view.settings.choices.metric == Metric::Recall => Some("decode stage 1.00"),
        true => None,
        false => Some("dotted: ceilings"),
    };
    let tokens = view.derived.budget_tokens();
    let color = view.theme.selection;
    let budget = PlotText::at_vertical(&tokens.to_string(), octave_of(tokens), axes, color);
    let best = best.map(|text| PlotText {
        text: text.to_owned(),
        // above the middle of the axis curves seldom come so high
        at: [axes[0].high / 2.0, 0.99],
        anchor: Align2::CENTER_TOP,
        size: 11.0,
        color: view.theme.oracle,
        has_ground: true,
    });
    let chance = curves.iter().find(|curve| curve.name == CHANCE);
    let chance = chance.and_then(|chance| chance_text(view, chance));
    best.into_iter().chain(chance).chain([budget]).collect()
}

/// The name of the curve of chance below it, where it begins to rise: there no window's curve should be.
fn chance_text(view: &View<'_>, chance: &PlotCurve) -> Option<PlotText> {
    let points = chance.xs.iter().zip(&chance.ys);
    let low = points.filter(|(_, y)| **y <= CHANCE_HEIGHT);
    let (x, y) = low.max_by(|a, b| a.1.total_cmp(b.1))?;
    Some(PlotText {
        text: format!("  {CHANCE}"),
        at: [*x, *y],
        anchor: Align2::LEFT_TOP,
        size: 11.0,
        color: view.theme.random,
        has_ground: false,
    })
}

/// Where a budget stands on the axis.
pub fn octave_of(tokens: usize) -> f64 {
    (tokens.max(1) as f64).log2()
}

/// Under one scoring the decode stage itself has recall 1; with a scoring for each window there are ceilings.
pub(super) fn compares_queries(view: &View<'_>) -> bool {
    let shown = view.shown();
    shown.is_none_or(|(_, shown)| shown.options.compare == Compare::Queries)
}

fn thin(
    axis: &DrawnBudgets,
    name: String,
    values: &[f64],
    style: SeriesStyle,
    width: f32,
) -> PlotCurve {
    PlotCurve {
        name,
        style,
        xs: axis.octaves(),
        ys: axis.pick(values),
        band: None,
        drawn: Drawn::line(width),
    }
}

/// The same with the signs of its window.
fn marked(
    axis: &DrawnBudgets,
    name: String,
    values: &[f64],
    style: SeriesStyle,
    width: f32,
) -> PlotCurve {
    PlotCurve {
        drawn: Drawn::Line {
            width,
            markers: true,
        },
        ..thin(axis, name, values, style, width)
    }
}

pub(super) fn decode_stage(theme: &Theme, octaves: f64) -> PlotCurve {
    PlotCurve {
        name: "decode stage".to_owned(),
        style: SeriesStyle {
            color: theme.oracle,
            line: LineStyle::Solid,
            marker: None,
        },
        xs: vec![0.0, octaves],
        ys: vec![1.0, 1.0],
        band: None,
        drawn: Drawn::line(1.0),
    }
}

fn visible<'a>(view: &'a View<'_>) -> impl Iterator<Item = &'a WindowBands> {
    let hidden = &view.settings.choices.hidden_windows;
    let bands = view.derived.bands().iter();
    bands.filter(|window| !hidden.contains(&window.label))
}

/// A window's curve, with its band if it stands in front; its ceiling, and its marker at the budget.
fn window_curves(
    view: &View<'_>,
    front: &Front<'_>,
    axis: &DrawnBudgets,
    window: &WindowBands,
) -> Vec<PlotCurve> {
    let metric = view.settings.choices.metric;
    let Some(band) = window.band(metric) else {
        return Vec::new();
    };
    let style = view.theme.series(&window.label, window.repeat);
    let style = front.style(&window.label, style);
    let width = front.width(&window.label);
    let curve = PlotCurve {
        band: front
            .is(&window.label)
            .then(|| (axis.pick(&band.low), axis.pick(&band.high))),
        ..marked(axis, window.label.clone(), &band.mean, style, width)
    };
    let ceiling = window.ceiling(metric).map(|ceiling| {
        let name = format!("{}, ceiling", window.label);
        let style = SeriesStyle {
            line: CEILING,
            ..style
        };
        thin(axis, name, ceiling, style, 1.0)
    });
    let at_budget = band.mean.get(view.derived.budget_index);
    let marker = at_budget.map(|mean| PlotCurve {
        name: String::new(),
        style,
        xs: vec![octave_of(view.derived.budget_tokens())],
        ys: vec![*mean],
        band: None,
        drawn: Drawn::DOTS,
    });
    [Some(curve), ceiling, marker]
        .into_iter()
        .flatten()
        .collect()
}

/// The same windows in the session beside this one.
fn other_session(view: &View<'_>, front: &Front<'_>, beside: &Derived) -> Vec<PlotCurve> {
    let choices = &view.settings.choices;
    let axis = DrawnBudgets::of(beside, POINTS_PER_CURVE);
    // windows that only it has would stand there without a name
    let has_name = |label: &String| visible(view).any(|window| window.label == *label);
    let windows = beside.bands().iter();
    let shown = windows.filter(|window| has_name(&window.label));
    let curve = |window: &WindowBands| {
        let band = window.band(choices.metric)?;
        let style = view.theme.series(&window.label, window.repeat);
        let style = SeriesStyle {
            line: OF_B,
            ..front.style(&window.label, style)
        };
        let name = format!("{} (B)", window.label);
        Some(thin(&axis, name, &band.mean, style, 1.2))
    };
    shown.filter_map(curve).collect()
}

/// The pinned head, and the one that the pointer is on.
fn heads(view: &View<'_>, axis: &DrawnBudgets) -> Vec<PlotCurve> {
    let window = view.derived.window.as_deref().unwrap_or_default();
    let head = |curve: &HeadCurve, what: &str, line: LineStyle| {
        let HeadCurve { head, values, .. } = curve;
        let name = format!("{what} {}.{}, {window}", head.layer, head.head);
        let style = SeriesStyle {
            color: view.theme.selection,
            line,
            marker: None,
        };
        thin(axis, name, values, style, 1.0)
    };
    let pinned = view.derived.pinned_curve();
    let pinned = pinned.map(|curve| head(curve, "pinned", LineStyle::Dashed { length: 6.0 }));
    let hovered = view.derived.hovered_curve();
    let hovered = hovered.map(|curve| head(curve, "head", LineStyle::Solid));
    [pinned, hovered].into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_axis_without_an_end_holds_curves_and_bands() {
        let curve = PlotCurve {
            name: "last:8".to_owned(),
            style: Theme::of(&egui::Visuals::dark()).series("last:8", 0),
            xs: vec![1.0, 2.0],
            ys: vec![0.5, f64::NAN],
            band: Some((vec![0.25, f64::NAN], vec![1.5, f64::NAN])),
            drawn: Drawn::CURVE,
        };
        let curves = [curve];
        let axis = metric_axis(Metric::OutputError, &curves, "error");
        assert_eq!((axis.low, axis.high), (0.0, 1.5));
        let axis = metric_axis(Metric::Recall, &curves, "recall");
        assert_eq!((axis.low, axis.high), (0.0, 1.0));
    }
}
