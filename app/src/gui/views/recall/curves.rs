//! What is drawn into the plot: bands, curves, single heads, the other session, the cross-hair.

use egui::{Color32, RichText};
use egui_plot::{FilledArea, HLine, Line, LineStyle, PlotPoint, PlotPoints, PlotUi, Points, VLine};
use kvlens_analysis::{Compare, Metric};

use super::axes::{POINTS_PER_CURVE, octaves_of, picked, thin_out};
use crate::gui::derived::{Derived, HeadCurve, WindowBands};
use crate::gui::theme::{SeriesStyle, Theme};
use crate::gui::views::View;
use crate::gui::widgets::line_plot::defined;

/// Low enough that two bands over each other still show both.
const BAND_OPACITY: f32 = 0.14;

/// Bands beyond so many grow fainter together, or they would hide the curves.
const CLEAR_BANDS: f32 = 3.0;

/// The line of a ceiling.
pub const CEILING: LineStyle = LineStyle::Dotted { spacing: 4.0 };

/// What is left of the other curves while the pointer is on one.
const DIMMED: f32 = 0.35;

/// The budgets of one session's curves, and which of them are drawn.
struct Axis {
    drawn: Vec<usize>,
    octaves: Vec<f64>,
}

impl Axis {
    fn of(derived: &Derived) -> Self {
        let budgets = derived.budgets();
        let drawn = thin_out(budgets, POINTS_PER_CURVE);
        Self {
            octaves: octaves_of(budgets, &drawn),
            drawn,
        }
    }

    fn curve<'p>(&self, name: String, values: &[f64]) -> Line<'p> {
        let points = self.octaves.iter().zip(picked(values, &self.drawn));
        let points = points.map(|(x, y)| [*x, y]);
        let points: Vec<[f64; 2]> = points.filter(|[_, y]| y.is_finite()).collect();
        Line::new(name, PlotPoints::from(points))
    }
}

pub(super) fn draw(plot: &mut PlotUi<'_>, view: &View<'_>, largest: usize) {
    let metric = view.settings.choices.metric;
    let axis = Axis::of(view.derived);
    if metric == Metric::Recall {
        plot.line(random_line(&axis, view.derived.chance(), view.theme));
    }
    if let Some((_, shown)) = view.shown() {
        best(plot, view, shown.options.compare, largest);
    }
    let octave_at = (view.derived.budget_tokens() as f64).log2();
    bands(plot, view, &axis);
    let line = VLine::new("", octave_at)
        .color(view.theme.selection.gamma_multiply(0.7))
        .width(1.0)
        .allow_hover(false);
    plot.vline(line);
    if let Some(beside) = view.beside {
        other_session(plot, view, beside);
    }
    for window in visible(view) {
        window_curve(plot, view, &axis, window, octave_at);
    }
    heads(plot, view, &axis);
    budget_text(plot, view, octave_at, largest);
}

/// What could be reached at best, said at the upper end: under one scoring the decode stage itself has recall 1;
/// with a scoring for each window there are ceilings.
fn best(plot: &mut PlotUi<'_>, view: &View<'_>, compare: Compare, largest: usize) {
    let text = match compare {
        Compare::Queries if view.settings.choices.metric == Metric::Recall => "decode stage 1.00",
        Compare::Queries => return,
        Compare::Methods => "dotted: ceilings",
    };
    if compare == Compare::Queries {
        let line = HLine::new("decode stage", 1.0).color(view.theme.oracle);
        plot.hline(line.width(1.0));
    }
    // above the middle of the axis curves seldom come so high
    let at = PlotPoint::new((largest as f64).log2() / 2.0, 0.99);
    let text = egui_plot::Text::new("", at, RichText::new(text).size(11.0));
    let text = text
        .anchor(egui::Align2::CENTER_TOP)
        .color(view.theme.oracle);
    plot.text(text.allow_hover(false));
}

fn visible<'a>(view: &'a View<'_>) -> impl Iterator<Item = &'a WindowBands> {
    let hidden = &view.settings.choices.hidden_windows;
    let bands = view.derived.bands().iter();
    bands.filter(|window| !hidden.contains(&window.label))
}

/// The window's colour, fainter while the pointer is on another window.
fn color_of(view: &View<'_>, window: &WindowBands) -> Color32 {
    let color = view.theme.series(&window.label, window.repeat).color;
    match &view.hover.window {
        Some(label) if *label != window.label => color.gamma_multiply(DIMMED),
        _ => color,
    }
}

/// Every window's band, or that of the window alone which the pointer is on.
fn bands(plot: &mut PlotUi<'_>, view: &View<'_>, axis: &Axis) {
    let metric = view.settings.choices.metric;
    let hovered = view.hover.window.as_ref();
    let shown: Vec<&WindowBands> = visible(view)
        .filter(|window| hovered.is_none_or(|label| *label == window.label))
        .collect();
    let opacity = BAND_OPACITY * (CLEAR_BANDS / shown.len().max(1) as f32).min(1.0);
    for window in shown {
        let Some(band) = window.band(metric) else {
            continue;
        };
        let low = picked(&band.low, &axis.drawn);
        let high = picked(&band.high, &axis.drawn);
        let fill = color_of(view, window).gamma_multiply(opacity);
        let [octaves, low, high] = defined([&axis.octaves, &low, &high]);
        let area = FilledArea::new("", &octaves, &low, &high);
        plot.add(area.fill_color(fill).allow_hover(false));
    }
}

fn window_curve(
    plot: &mut PlotUi<'_>,
    view: &View<'_>,
    axis: &Axis,
    window: &WindowBands,
    octave_at: f64,
) {
    let Some(band) = window.band(view.settings.choices.metric) else {
        return;
    };
    let style = view.theme.series(&window.label, window.repeat);
    let color = color_of(view, window);
    let glows = view.hover.window.as_ref() == Some(&window.label);
    let curve = axis.curve(window.label.clone(), &band.mean).color(color);
    plot.line(curve.style(style.line).width(if glows { 4.0 } else { 2.0 }));
    if let Some(ceiling) = window.ceiling(view.settings.choices.metric) {
        let name = format!("{}, ceiling", window.label);
        let line = axis.curve(name, ceiling).color(color);
        plot.line(line.style(CEILING).width(1.0));
    }
    let at_budget = band.mean.get(view.derived.budget_index);
    if let Some(mean) = at_budget.filter(|mean| mean.is_finite()) {
        let point = PlotPoints::from(vec![[octave_at, *mean]]);
        let point = Points::new("", point).shape(style.marker).color(color);
        plot.points(point.radius(5.0).allow_hover(false));
    }
}

/// The same windows in the session beside this one.
fn other_session(plot: &mut PlotUi<'_>, view: &View<'_>, beside: &Derived) {
    let choices = &view.settings.choices;
    let axis = Axis::of(beside);
    for window in beside.bands() {
        if choices.hidden_windows.contains(&window.label) {
            continue;
        }
        if let Some(band) = window.band(choices.metric) {
            let name = format!("{} (B)", window.label);
            let curve = axis.curve(name, &band.mean).color(color_of(view, window));
            plot.line(curve.style(LineStyle::Dashed { length: 3.0 }).width(1.2));
        }
    }
}

/// The pinned head, and the one that the pointer is on.
fn heads(plot: &mut PlotUi<'_>, view: &View<'_>, axis: &Axis) {
    let window = view.derived.window.as_deref().unwrap_or_default();
    let mut head = |curve: &HeadCurve, what: &str, line: LineStyle| {
        let HeadCurve { head, values, .. } = curve;
        let name = format!("{what} {}.{}, {window}", head.layer, head.head);
        let curve = axis.curve(name, values).color(view.theme.selection);
        plot.line(curve.style(line).width(1.0));
    };
    if let Some(curve) = view.derived.pinned_curve() {
        head(curve, "pinned", LineStyle::Dashed { length: 6.0 });
    }
    if let Some(curve) = view.derived.hovered_curve() {
        head(curve, "head", LineStyle::Solid);
    }
}

/// The budget beside its cross-hair, on the side that has room.
fn budget_text(plot: &mut PlotUi<'_>, view: &View<'_>, octave_at: f64, largest: usize) {
    let tokens = view.derived.budget_tokens();
    let right_half = octave_at > (largest as f64).log2() / 2.0;
    let (anchor, text) = if right_half {
        (egui::Align2::RIGHT_BOTTOM, format!("{tokens}  "))
    } else {
        (egui::Align2::LEFT_BOTTOM, format!("  {tokens}"))
    };
    plot.text(
        egui_plot::Text::new(
            "",
            PlotPoint::new(octave_at, 0.0),
            RichText::new(text).size(12.0),
        )
        .anchor(anchor)
        .color(view.theme.selection)
        .allow_hover(false),
    );
}

fn random_line<'p>(axis: &Axis, chance: &[f64], theme: &Theme) -> Line<'p> {
    axis.curve("random".to_owned(), chance)
        .color(theme.random)
        .style(random_style(theme).line)
        .width(1.0)
}

pub(super) fn random_style(theme: &Theme) -> SeriesStyle {
    SeriesStyle {
        color: theme.random,
        line: LineStyle::Dashed { length: 5.0 },
        marker: egui_plot::MarkerShape::Circle,
    }
}
