//! The curves layer by layer: small plots of one size and one scale.

use egui::{Align2, FontId, Rect, ScrollArea, Ui, UiBuilder, pos2, vec2};

use super::recall::{BUDGET_AXIS, CEILING, DrawnBudgets, budget_axis, octave_of};
use super::{View, empty_hint};
use crate::gui::command::{Commands, LookCommand};
use crate::gui::derived::{LayerCurves, WindowName};
use crate::gui::state::{HeadAddress, SelectionChange};
use crate::gui::theme::SeriesStyle;
use crate::gui::widgets::color_bar::upright;
use crate::gui::widgets::line_plot::{Drawn, LinePlot, PlotAxis, PlotCurve, outer_numbers};

/// Points of a small curve.
const POINTS_PER_CURVE: f64 = 60.0;

/// Letters of the numbers around the plots, and of the names of their axes.
const NUMBERS: f32 = 10.0;
const NAMES: f32 = 12.0;
/// Room for the numbers left of the first plot of a row, and for the names of the axes, which stand there once.
const NUMBERS_LEFT: f32 = 24.0;
const NAMES_ROOM: f32 = NAMES + 4.0;

/// Least width of a small plot, and its height with title and numbers.
const LEAST_WIDTH: f32 = 130.0;
const PLOT_HEIGHT: f32 = 92.0;
const ROW_HEIGHT: f32 = PLOT_HEIGHT + 26.0 + NUMBERS;

/// Draws the plots, layer 0 first; only those in sight are laid out.
pub fn layers_ui(ui: &mut Ui, view: &View<'_>, commands: &mut Commands) {
    let layers = view.derived.by_layer();
    if layers.is_empty() {
        empty_hint(ui, "Averaging the curves");
        return;
    }
    let room = ui.available_rect_before_wrap();
    let plots = Rect::from_min_max(
        room.min + vec2(NAMES_ROOM, 0.0),
        room.max - vec2(0.0, NAMES_ROOM),
    );
    names_ui(ui, view, room, plots);
    ui.scope_builder(UiBuilder::new().max_rect(plots), |ui| {
        plots_ui(ui, view, layers, commands);
    });
}

/// The names of the axes, once for all plots.
fn names_ui(ui: &Ui, view: &View<'_>, room: Rect, plots: Rect) {
    let middle = pos2(room.left(), plots.center().y);
    let metric = view.settings.choices.metric.label();
    upright(ui, metric, NAMES, middle, plots.height());
    let color = ui.visuals().weak_text_color();
    let at = pos2(plots.center().x, room.bottom());
    let font = FontId::proportional(NAMES);
    let painter = ui.painter();
    painter.text(at, Align2::CENTER_BOTTOM, BUDGET_AXIS, font, color);
}

fn plots_ui(ui: &mut Ui, view: &View<'_>, layers: &[LayerCurves], commands: &mut Commands) {
    let room = ui.available_width() - NUMBERS_LEFT;
    let columns = ((room / LEAST_WIDTH) as usize).clamp(1, layers.len().max(1));
    let width = room / columns as f32 - ui.spacing().item_spacing.x;
    let rows = layers.len().div_ceil(columns);
    ScrollArea::vertical()
        .id_salt("curves by layer")
        .auto_shrink(false)
        .show_rows(ui, ROW_HEIGHT, rows, |ui, in_sight| {
            let first = in_sight.start * columns;
            let shown = layers.iter().skip(first).take(in_sight.len() * columns);
            for row in shown.collect::<Vec<_>>().chunks(columns) {
                ui.horizontal(|ui| {
                    ui.add_space(NUMBERS_LEFT);
                    for (place, layer) in row.iter().enumerate() {
                        layer_ui(ui, view, layer, (width, place == 0), commands);
                    }
                });
            }
        });
}

fn layer_ui(
    ui: &mut Ui,
    view: &View<'_>,
    layer: &LayerCurves,
    (width, is_first): (f32, bool),
    commands: &mut Commands,
) {
    ui.allocate_ui(vec2(width, ROW_HEIGHT), |ui| {
        ui.vertical(|ui| {
            let title = format!("Layer {}", layer.layer);
            let title = ui
                .selectable_label(layer.selected, title)
                .on_hover_text("Select the heads of this layer");
            let clicked_plot = plot_ui(ui, view, layer, (width, is_first));
            ui.add_space(NUMBERS);
            if title.clicked() || clicked_plot {
                select(view, layer.layer, commands);
            }
        });
    });
}

/// Draws one plot, the first of a row with numbers at its left; says whether it was clicked.
fn plot_ui(
    ui: &mut Ui,
    view: &View<'_>,
    layer: &LayerCurves,
    (width, is_first): (f32, bool),
) -> bool {
    let axis = DrawnBudgets::of(view.derived, POINTS_PER_CURVE);
    let hidden = &view.settings.choices.hidden_windows;
    let windows = view.derived.windows().iter();
    let windows = windows.zip(layer.means.iter().zip(&layer.ceilings));
    let of_window = |(window, (means, ceiling)): (&WindowName, (&Vec<f64>, &Option<Vec<f64>>))| {
        let style = view.theme.series(&window.label, window.repeat);
        let curve = |name: String, values: &[f64], style: SeriesStyle, width: f32| PlotCurve {
            name,
            style,
            xs: axis.octaves(),
            ys: axis.pick(values),
            band: None,
            drawn: Drawn::line(width),
        };
        let dotted = SeriesStyle {
            line: CEILING,
            ..style
        };
        let ceiling = ceiling
            .as_ref()
            .map(|values| curve(format!("{}, ceiling", window.label), values, dotted, 1.0));
        let mean = curve(window.label.clone(), means, style, 1.5);
        ceiling.into_iter().chain([mean])
    };
    let largest = view.derived.budgets().last().copied().unwrap_or(1);
    let name = format!("Curves of layer {}", layer.layer);
    let (x, y) = (
        budget_axis(largest),
        PlotAxis::shares(view.settings.choices.metric.label()),
    );
    let plot = LinePlot {
        width: Some(width),
        has_axes: false,
        curves: windows
            .filter(|(window, _)| !hidden.contains(&window.label))
            .flat_map(of_window)
            .collect(),
        vertical: Some(octave_of(view.derived.budget_tokens())),
        ..LinePlot::new(&name, PLOT_HEIGHT, x.clone(), y.clone())
    };
    let answer = plot.show(ui, view.theme);
    outer_numbers(ui, &answer, [&x, &y], NUMBERS, is_first);
    answer.response.clicked()
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
