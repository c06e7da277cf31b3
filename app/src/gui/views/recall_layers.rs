//! The curves layer by layer: small plots of one size and one scale.

use egui::{ScrollArea, Ui, vec2};
use egui_plot::{Line, Plot, PlotPoints, VLine};

use super::recall::{CEILING, octaves, octaves_of, picked, share_grid, thin_out};
use super::{View, empty_hint};
use crate::gui::command::{Commands, LookCommand};
use crate::gui::derived::LayerCurves;
use crate::gui::state::{HeadAddress, SelectionChange};

/// Points of a small curve.
const POINTS_PER_CURVE: f64 = 60.0;

/// Least width of a small plot, and its height with the title.
const LEAST_WIDTH: f32 = 130.0;
const PLOT_HEIGHT: f32 = 92.0;
const ROW_HEIGHT: f32 = PLOT_HEIGHT + 20.0;

/// Draws the plots, layer 0 first; only those in sight are laid out.
pub fn layers_ui(ui: &mut Ui, view: &View<'_>, commands: &mut Commands) {
    let layers = view.derived.by_layer();
    if layers.is_empty() {
        empty_hint(ui, "Averaging the curves");
        return;
    }
    let columns = ((ui.available_width() / LEAST_WIDTH) as usize).clamp(1, layers.len().max(1));
    let width = ui.available_width() / columns as f32 - ui.spacing().item_spacing.x;
    let rows = layers.len().div_ceil(columns);
    ScrollArea::vertical()
        .id_salt("curves by layer")
        .auto_shrink(false)
        .show_rows(ui, ROW_HEIGHT, rows, |ui, in_sight| {
            let first = in_sight.start * columns;
            let shown = layers.iter().skip(first).take(in_sight.len() * columns);
            for row in shown.collect::<Vec<_>>().chunks(columns) {
                ui.horizontal(|ui| {
                    for layer in row {
                        layer_ui(ui, view, layer, width, commands);
                    }
                });
            }
        });
}

fn layer_ui(
    ui: &mut Ui,
    view: &View<'_>,
    layer: &LayerCurves,
    width: f32,
    commands: &mut Commands,
) {
    ui.allocate_ui(vec2(width, ROW_HEIGHT), |ui| {
        ui.vertical(|ui| {
            let title = format!("Layer {}", layer.layer);
            let title = ui
                .selectable_label(layer.selected, title)
                .on_hover_text("Select the heads of this layer");
            let clicked_plot = plot_ui(ui, view, layer, width);
            if title.clicked() || clicked_plot {
                select(view, layer.layer, commands);
            }
        });
    });
}

/// Draws one plot; says whether it was clicked.
fn plot_ui(ui: &mut Ui, view: &View<'_>, layer: &LayerCurves, width: f32) -> bool {
    let budgets = view.derived.budgets();
    let drawn = thin_out(budgets, POINTS_PER_CURVE);
    let xs = octaves_of(budgets, &drawn);
    let top = budgets
        .last()
        .map_or(1.0, |last| (*last as f64).log2().max(1.0));
    let hidden = &view.settings.choices.hidden_windows;
    let plot = Plot::new(("curves of layer", layer.layer, top.to_bits()))
        .width(width)
        .height(PLOT_HEIGHT)
        .show_axes(false)
        .allow_drag(false)
        .allow_zoom(false)
        .allow_scroll(false)
        .allow_boxed_zoom(false)
        .allow_double_click_reset(false)
        .show_crosshair(false)
        .default_x_bounds(0.0, top)
        .default_y_bounds(0.0, 1.0)
        .include_y(0.0)
        .include_y(1.0)
        .x_grid_spacer(|input| octaves(input.bounds))
        .y_grid_spacer(share_grid());
    let response = plot.show(ui, |plot| {
        let at = (view.derived.budget_tokens().max(1) as f64).log2();
        let line = VLine::new("", at).color(view.theme.selection.gamma_multiply(0.5));
        plot.vline(line.width(1.0).allow_hover(false));
        let curves = layer.means.iter().zip(&layer.ceilings);
        for (window, (means, ceiling)) in view.derived.windows().iter().zip(curves) {
            if hidden.contains(&window.label) {
                continue;
            }
            let style = view.theme.series(&window.label, window.repeat);
            let line = |name: String, values: &[f64]| {
                let points = xs.iter().zip(picked(values, &drawn));
                let points = points.map(|(x, y)| [*x, y]);
                let points: Vec<[f64; 2]> = points.filter(|[_, y]| y.is_finite()).collect();
                Line::new(name, PlotPoints::from(points)).color(style.color)
            };
            if let Some(ceiling) = ceiling {
                let ceiling = line(format!("{}, ceiling", window.label), ceiling);
                plot.line(ceiling.style(CEILING).width(1.0));
            }
            let curve = line(window.label.clone(), means);
            plot.line(curve.style(style.line).width(1.5));
        }
    });
    let area = response.response;
    let name = format!("Curves of layer {}", layer.layer);
    area.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Canvas, true, &name));
    area.clicked()
}

fn select(view: &View<'_>, layer: usize, commands: &mut Commands) {
    let heads = view
        .data
        .session
        .as_ref()
        .map_or(0, |session| session.info.query_heads);
    commands.send(LookCommand::SelectHeads {
        heads: (0..heads).map(|head| HeadAddress { layer, head }).collect(),
        change: SelectionChange::Replace,
    });
}
