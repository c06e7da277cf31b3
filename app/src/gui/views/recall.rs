//! Curves over the budget: one per window, with a band over the heads and a cross-hair.

use egui::{ComboBox, RichText, Stroke, Ui};
use egui_plot::{
    AxisHints, FilledArea, GridInput, GridMark, HoverPosition, Line, LineStyle, Plot, PlotPoint,
    PlotPoints, PlotUi, Points, VLine, uniform_grid_spacer,
};
use kvlens_analysis::{Budget, Metric};

use super::recall_layers::layers_ui;
use super::{View, empty_hint};
use crate::gui::command::{Command, Commands};
use crate::gui::derived::WindowBands;
use crate::gui::theme::{SeriesStyle, Theme};

/// Curves get no more points than a screen can show.
const POINTS_PER_CURVE: f64 = 300.0;

/// Low enough that two bands over each other still show both.
const BAND_OPACITY: f32 = 0.14;

/// Bands beyond so many grow fainter together, or they would hide the curves.
const CLEAR_BANDS: f32 = 3.0;

const SWATCH_WIDTH: f32 = 20.0;

/// Draws the view.
pub fn recall_ui(ui: &mut Ui, view: &View<'_>, commands: &mut Commands) {
    let bands = view.derived.bands();
    if view.shown().is_none() || bands.is_empty() {
        empty_hint(ui, "Run a capture or open a session to see its curves");
        return;
    }
    ui.horizontal_wrapped(|ui| {
        metric_ui(ui, view, commands);
        let mut by_layer = view.settings.choices.by_layer;
        if ui
            .toggle_value(&mut by_layer, "By layer")
            .on_hover_text("A small plot for each layer")
            .clicked()
        {
            commands.send(Command::SetByLayer(by_layer));
        }
        for window in bands {
            legend_entry(ui, view, window, commands);
        }
        if view.settings.choices.metric == Metric::Recall {
            let text = RichText::new("random").color(view.theme.random);
            entry(ui, &random_style(view.theme), text)
                .on_hover_text("Expected recall of a random ranking: budget / rankable tokens");
        }
    });
    if view.settings.choices.by_layer {
        layers_ui(ui, view, commands);
    } else {
        plot_ui(ui, view, commands);
    }
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
                    commands.send(Command::SetMetric(metric));
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
            "The same over what a cache would keep, forced tokens (sinks, recent) counted"
        }
        Metric::Jaccard => "Tokens in both top sets over tokens in either",
        Metric::Mass => "Decode attention on the prompt that the window's top tokens keep",
        Metric::MassOfOracle => "Retained mass as a share of what the oracle's own top tokens keep",
    }
}

/// A line in the window's style, its name and its number at the budget; a click hides the curve.
fn legend_entry(ui: &mut Ui, view: &View<'_>, window: &WindowBands, commands: &mut Commands) {
    let value = window
        .band(view.settings.choices.metric)
        .and_then(|band| band.mean.get(view.derived.budget_index))
        .map_or(String::new(), |value| format!(" {value:.3}"));
    let help = "Mean over the selected heads at the budget. Click to hide or show the curve";
    window_entry(ui, view, window, &value, help, commands);
}

/// A window in a legend, with what stands behind its name; a click hides its curve in every view.
pub fn window_entry(
    ui: &mut Ui,
    view: &View<'_>,
    window: &WindowBands,
    value: &str,
    help: &str,
    commands: &mut Commands,
) {
    let style = view.theme.series(&window.label, window.repeat);
    let hidden = view.settings.choices.hidden_windows.contains(&window.label);
    let color = if hidden {
        ui.visuals().weak_text_color()
    } else {
        style.color
    };
    let mut text = RichText::new(format!("{}{value}", window.label)).color(color);
    if hidden {
        text = text.strikethrough();
    }
    let response = entry(ui, &SeriesStyle { color, ..style }, text).on_hover_text(help);
    let label = window.label.as_str();
    response.widget_info(|| {
        egui::WidgetInfo::selected(
            egui::Role::CheckBox,
            true,
            !hidden,
            format!("Curve {label}"),
        )
    });
    if response.clicked() {
        commands.send(Command::ToggleWindow(window.label.clone()));
    }
}

/// A piece of line with its name: one widget, so that a row of them wraps between two, never within.
pub fn entry(ui: &mut Ui, style: &SeriesStyle, text: RichText) -> egui::Response {
    let text = egui::WidgetText::from(text);
    let extend = Some(egui::TextWrapMode::Extend);
    let galley = text.into_galley(ui, extend, f32::INFINITY, egui::TextStyle::Body);
    let height = ui.spacing().interact_size.y;
    let size = egui::vec2(SWATCH_WIDTH + 4.0 + galley.size().x, height);
    let (rect, response) = ui.allocate_exact_size(size, egui::Sense::click());
    paint_swatch(ui.painter(), rect, style);
    let at = rect.left_center() + egui::vec2(SWATCH_WIDTH + 4.0, -galley.size().y / 2.0);
    ui.painter().galley(at, galley, style.color);
    response
}

/// A short piece of the window's line.
pub fn swatch(ui: &mut Ui, style: &SeriesStyle) {
    let (rect, _) = ui.allocate_exact_size(egui::vec2(SWATCH_WIDTH, 12.0), egui::Sense::hover());
    paint_swatch(ui.painter(), rect, style);
}

fn paint_swatch(painter: &egui::Painter, rect: egui::Rect, style: &SeriesStyle) {
    let left = rect.left_center();
    let ends = [left, left + egui::vec2(SWATCH_WIDTH, 0.0)];
    let stroke = Stroke::new(2.0, style.color);
    match style.line {
        LineStyle::Solid => {
            painter.line_segment(ends, stroke);
        }
        LineStyle::Dashed { .. } => {
            painter.extend(egui::Shape::dashed_line(&ends, stroke, 5.0, 3.0));
        }
        LineStyle::Dotted { .. } => {
            painter.extend(egui::Shape::dotted_line(&ends, style.color, 4.0, 1.2));
        }
    }
}

fn plot_ui(ui: &mut Ui, view: &View<'_>, commands: &mut Commands) {
    let budgets = view.derived.budgets();
    let (Some(&largest), metric) = (budgets.last(), view.settings.choices.metric) else {
        return;
    };
    let top = (largest as f64).log2().max(1.0);
    let axis = AxisHints::new_x()
        .label("Budget in tokens")
        .formatter(|mark, _| short_tokens(mark.value))
        .label_spacing(20.0..=21.0);
    let response = Plot::new("recall")
        .allow_drag(false)
        .allow_zoom(false)
        .allow_scroll(false)
        .allow_boxed_zoom(false)
        .allow_double_click_reset(false)
        .show_crosshair(false)
        .default_x_bounds(0.0, top)
        .default_y_bounds(0.0, 1.0)
        .include_x(0.0)
        .include_x(top)
        .include_y(0.0)
        .include_y(1.0)
        .set_margin_fraction(egui::vec2(0.02, 0.04))
        // room for the half of the last number that stands right of its line
        .width(ui.available_width() - 12.0)
        .custom_x_axes(vec![axis])
        .y_grid_spacer(share_grid())
        .custom_y_axes(vec![share_axis(metric)])
        .x_grid_spacer(|input| octaves(input.bounds))
        .label_formatter(move |position| hover_text(position, largest))
        .show(ui, |plot| draw(plot, view, largest));
    let area = response.response;
    area.widget_info(|| {
        egui::WidgetInfo::labeled(egui::Role::Canvas, true, "Curves over the budget")
    });
    if let Some(pointer) = area.interact_pointer_pos()
        && (area.clicked() || area.dragged())
    {
        let octave = response.transform.value_from_position(pointer).x;
        let tokens = octave.exp2().round().clamp(1.0, largest as f64) as usize;
        commands.send(Command::SetBudget(Budget::Tokens(tokens)));
    }
}

/// An axis of shares, with as many digits as they have.
pub fn share_axis(metric: Metric) -> AxisHints<'static> {
    AxisHints::new_y()
        .label(metric.label())
        .formatter(|mark, _| format!("{}", (mark.value * 10.0).round() / 10.0))
}

/// Lines at tenths, halves and ones: a low plot still has numbers.
pub fn share_grid() -> impl Fn(GridInput) -> Vec<GridMark> {
    uniform_grid_spacer(|_| [0.1, 0.5, 1.0])
}

/// A number of tokens in as few letters as fit between two grid lines.
pub fn short_tokens(octave: f64) -> String {
    let tokens = octave.exp2();
    if tokens >= 1024.0 {
        format!("{:.0}k", tokens / 1024.0)
    } else {
        format!("{tokens:.0}")
    }
}

/// A line at every power of two.
pub fn octaves(bounds: (f64, f64)) -> Vec<GridMark> {
    let first = bounds.0.ceil().max(0.0) as i32;
    let last = bounds.1.floor() as i32;
    (first..=last)
        .map(|octave| GridMark {
            value: f64::from(octave),
            step_size: 1.0,
        })
        .collect()
}

fn hover_text(position: &HoverPosition<'_>, largest: usize) -> Option<String> {
    match position {
        HoverPosition::NearDataPoint {
            plot_name,
            position,
            ..
        } if !plot_name.is_empty() => {
            let tokens = position.x.exp2().round();
            let percent = 100.0 * tokens / largest as f64;
            Some(format!(
                "{plot_name}\n{tokens} tokens, {percent:.1} %\n{:.3}",
                position.y
            ))
        }
        _ => None,
    }
}

fn draw(plot: &mut PlotUi<'_>, view: &View<'_>, largest: usize) {
    let choices = &view.settings.choices;
    let budgets = view.derived.budgets();
    let drawn = thin_out(budgets, POINTS_PER_CURVE);
    let theme = view.theme;
    if choices.metric == Metric::Recall
        && let Some(tokens) = view.derived.tokens()
    {
        plot.line(random_line(budgets, &drawn, tokens.rankable, theme));
    }
    let octave_at = (view.derived.budget_tokens() as f64).log2();
    let shown = || {
        view.derived
            .bands()
            .iter()
            .filter(|window| !choices.hidden_windows.contains(&window.label))
    };
    let opacity = BAND_OPACITY * (CLEAR_BANDS / shown().count().max(1) as f32).min(1.0);
    for window in shown() {
        if let Some(band) = window.band(choices.metric) {
            let xs: Vec<f64> = octaves_of(budgets, &drawn);
            let low = picked(&band.low, &drawn);
            let high = picked(&band.high, &drawn);
            let fill = theme
                .series(&window.label, window.repeat)
                .color
                .gamma_multiply(opacity);
            plot.add(
                FilledArea::new("", &xs, &low, &high)
                    .fill_color(fill)
                    .allow_hover(false),
            );
        }
    }
    let line = VLine::new("", octave_at)
        .color(theme.selection.gamma_multiply(0.7))
        .width(1.0)
        .allow_hover(false);
    plot.vline(line);
    for window in shown() {
        if let Some(band) = window.band(choices.metric) {
            let style = theme.series(&window.label, window.repeat);
            let points: Vec<[f64; 2]> = octaves_of(budgets, &drawn)
                .into_iter()
                .zip(picked(&band.mean, &drawn))
                .map(|(x, y)| [x, y])
                .collect();
            plot.line(
                Line::new(window.label.clone(), PlotPoints::from(points))
                    .color(style.color)
                    .style(style.line)
                    .width(2.0),
            );
            if let Some(mean) = band.mean.get(view.derived.budget_index) {
                plot.points(
                    Points::new("", PlotPoints::from(vec![[octave_at, f64::from(*mean)]]))
                        .shape(style.marker)
                        .radius(5.0)
                        .color(style.color)
                        .allow_hover(false),
                );
            }
        }
    }
    budget_text(plot, view, octave_at, largest);
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

fn random_line<'a>(budgets: &[usize], drawn: &[usize], rankable: usize, theme: &Theme) -> Line<'a> {
    let points: Vec<[f64; 2]> = drawn
        .iter()
        .filter_map(|index| budgets.get(*index))
        .map(|budget| {
            let expected = *budget as f64 / rankable.max(1) as f64;
            [(*budget as f64).log2(), expected.min(1.0)]
        })
        .collect();
    Line::new("random", PlotPoints::from(points))
        .color(theme.random)
        .style(random_style(theme).line)
        .width(1.0)
}

fn random_style(theme: &Theme) -> SeriesStyle {
    SeriesStyle {
        color: theme.random,
        line: LineStyle::Dashed { length: 5.0 },
        marker: egui_plot::MarkerShape::Circle,
    }
}

/// Places of the budgets that are drawn: all octaves get about the same number of points.
pub fn thin_out(budgets: &[usize], points: f64) -> Vec<usize> {
    let span = budgets.last().map_or(0.0, |last| (*last as f64).log2());
    let mut drawn = Vec::new();
    let mut next = 0.0;
    for (index, budget) in budgets.iter().enumerate() {
        let octave = (*budget as f64).log2();
        if octave >= next || index + 1 == budgets.len() {
            drawn.push(index);
            next = octave + span / points;
        }
    }
    drawn
}

pub fn octaves_of(budgets: &[usize], drawn: &[usize]) -> Vec<f64> {
    drawn
        .iter()
        .filter_map(|index| budgets.get(*index))
        .map(|budget| (*budget as f64).log2())
        .collect()
}

pub fn picked(values: &[f32], drawn: &[usize]) -> Vec<f64> {
    drawn
        .iter()
        .filter_map(|index| values.get(*index))
        .map(|value| f64::from(*value))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_curves_are_thinned_out_and_keep_both_ends() {
        let budgets: Vec<usize> = (1..=1024).collect();
        let drawn = thin_out(&budgets, POINTS_PER_CURVE);
        assert!(drawn.len() <= POINTS_PER_CURVE as usize + 2);
        assert_eq!(drawn.first(), Some(&0));
        assert_eq!(drawn.last(), Some(&1023));
        assert!(drawn.starts_with(&[0, 1, 2, 3]), "small budgets all stay");
    }

    #[test]
    fn grid_lines_stand_at_powers_of_two() {
        let marks: Vec<f64> = octaves((-0.2, 10.3))
            .iter()
            .map(|mark| mark.value)
            .collect();
        assert_eq!(marks.first(), Some(&0.0));
        assert_eq!(marks.last(), Some(&10.0));
        assert_eq!(marks.len(), 11);
    }
}
