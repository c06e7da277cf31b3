//! Names of the curves, with their numbers at the budget.

use egui::{RichText, Stroke, Ui};
use egui_plot::LineStyle;
use kvlens_analysis::Metric;

use super::over_samples;
use crate::gui::command::{Commands, LookCommand};
use crate::gui::derived::WindowName;
use crate::gui::forced::forced_tokens;
use crate::gui::state::CurvesOver;
use crate::gui::theme::SeriesStyle;
use crate::gui::views::View;

const SWATCH_WIDTH: f32 = 20.0;

/// A line in the window's style, its name and its number at the budget; a click hides the curve.
pub(super) fn legend_entry(
    ui: &mut Ui,
    view: &View<'_>,
    window: &WindowName,
    commands: &mut Commands,
) {
    if view.settings.choices.shown_curves_over() != CurvesOver::Sample {
        let value = over_samples::value_at_budget(view, &window.label);
        let help = "Mean over samples at the budget that is nearest to the one chosen. Click to hide or show the curve";
        window_entry(ui, view, window, &value, help, commands);
        return;
    }
    let metric = view.settings.choices.metric;
    let mut bands = view.derived.bands().iter();
    let bands = bands.find(|known| known.label == window.label);
    let at = |values: &[f64]| values.get(view.derived.budget_index).copied();
    let value = bands.and_then(|bands| at(&bands.band(metric)?.mean));
    let ceiling = bands.and_then(|bands| at(bands.ceiling(metric)?));
    let value = match (value, ceiling) {
        (None, _) => String::new(),
        (Some(value), _) if value.is_nan() => " –".to_owned(),
        (Some(value), None) => format!(" {value:.3}"),
        (Some(value), Some(ceiling)) => format!(" {value:.3} of {ceiling:.3}"),
    };
    let forced = forced(view, window);
    let value = format!("{value}{}", forced.as_deref().unwrap_or_default());
    let help = "Mean over the selected heads at the budget. Click to hide or show the curve";
    window_entry(ui, view, window, &value, help, commands);
}

/// How many of the hits no ranking earned, where the hit rate is shown.
fn forced(view: &View<'_>, window: &WindowName) -> Option<String> {
    let (_, shown) = view.shown()?;
    let mut windows = shown.sample.windows.iter();
    let window = windows.find(|known| known.label == window.label)?;
    let budget = view.derived.budget_tokens();
    let forced = forced_tokens(window, budget);
    let is_told = view.settings.choices.metric == Metric::HitRate && forced > 0;
    is_told.then(|| format!(" ({forced} of {budget} forced)"))
}

/// A window in a legend, with what stands behind its name; a click hides its curve in every view.
pub fn window_entry(
    ui: &mut Ui,
    view: &View<'_>,
    window: &WindowName,
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
    let mut text =
        RichText::new(format!("{}{value}", window.label)).color(view.theme.legible(color));
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
    if response.hovered() {
        commands.hover.window = Some(window.label.clone());
    }
    if response.clicked() {
        commands.send(LookCommand::ToggleWindow(window.label.clone()));
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
