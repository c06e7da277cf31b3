//! The metric at the budget for every head: layers upwards, heads to the right.

use egui::{ComboBox, Id, Ui};

use super::{View, empty_hint};
use crate::gui::command::{Command, Commands};
use crate::gui::derived::HeadMap;
use crate::gui::state::{HeadAddress, SelectionChange};
use crate::gui::theme::ColorMap;
use crate::gui::widgets::matrix::{Cell, Matrix};

/// Draws the view.
pub fn head_map_ui(ui: &mut Ui, view: &View<'_>, commands: &mut Commands) {
    let (Some((_, shown)), Some(map)) = (view.shown(), view.derived.map()) else {
        empty_hint(ui, "Run a capture or open a session to see its heads");
        return;
    };
    let labels: Vec<&str> = shown
        .sample
        .windows
        .iter()
        .map(|window| window.label.as_str())
        .collect();
    ui.horizontal_wrapped(|ui| {
        window_ui(ui, "Window", view, &labels, commands);
        if labels.len() > 1 {
            minus_ui(ui, view, &labels, commands);
        }
        ui.weak(view.settings.choices.metric.label());
    });
    map_ui(ui, view, map, commands);
}

/// The chooser of the window that map and tokens share.
pub fn window_ui(
    ui: &mut Ui,
    name: &str,
    view: &View<'_>,
    labels: &[&str],
    commands: &mut Commands,
) {
    let current = view.derived.window.as_deref().unwrap_or("");
    ComboBox::from_id_salt(("window", name))
        .selected_text(current)
        .show_ui(ui, |ui| {
            for label in labels {
                if ui.selectable_label(*label == current, *label).clicked() {
                    commands.send(Command::SetWindow((*label).to_owned()));
                }
            }
        })
        .response
        .on_hover_text("The window that map and tokens show")
        .widget_info(|| egui::WidgetInfo::labeled(egui::Role::ComboBox, true, name));
}

fn minus_ui(ui: &mut Ui, view: &View<'_>, labels: &[&str], commands: &mut Commands) {
    let current = view.derived.minus.as_deref();
    ui.label("minus");
    ComboBox::from_id_salt("minus")
        .selected_text(current.unwrap_or("nothing"))
        .show_ui(ui, |ui| {
            if ui.selectable_label(current.is_none(), "nothing").clicked() {
                commands.send(Command::SetMinus(None));
            }
            let others = labels
                .iter()
                .filter(|label| Some(**label) != view.derived.window.as_deref());
            for label in others {
                if ui
                    .selectable_label(current == Some(*label), *label)
                    .clicked()
                {
                    commands.send(Command::SetMinus(Some((*label).to_owned())));
                }
            }
        })
        .response
        .on_hover_text("Show the difference to another window")
        .widget_info(|| egui::WidgetInfo::labeled(egui::Role::ComboBox, true, "Minus window"));
}

fn map_ui(ui: &mut Ui, view: &View<'_>, map: &HeadMap, commands: &mut Commands) {
    let chosen = &view.settings.choices.heads;
    let metric = view.settings.choices.metric.label();
    let selected = |cell: Cell| {
        addresses(map, cell)
            .iter()
            .any(|head| chosen.contains(head))
    };
    let matrix = Matrix {
        id: Id::unique("head map"),
        name: "Layer by head map".to_owned(),
        rows: map.layers,
        columns: map.heads,
        values: &map.values,
        version: map.version,
        map: if map.difference {
            ColorMap::Diverging
        } else {
            ColorMap::Sequential
        },
        row_axis: "Layer",
        column_axis: if map.query_heads_per_cell > 1 {
            "Key/value head"
        } else {
            "Head"
        },
        tick: &|number| number.to_string(),
        diagonal: false,
        selected: &selected,
    };
    let answer = matrix.show(ui, view.theme);
    if let Some((cells, modifiers)) = answer.picked {
        let heads = cells
            .iter()
            .flat_map(|cell| addresses(map, *cell))
            .collect();
        let adds = modifiers.command || modifiers.shift;
        let change = match (adds, cells.len()) {
            (false, _) => SelectionChange::Replace,
            (true, 1) if answer.response.clicked() => SelectionChange::Toggle,
            (true, _) => SelectionChange::Add,
        };
        commands.send(Command::SelectHeads { heads, change });
    }
    if let Some(cell) = answer.hovered {
        answer.response.on_hover_ui_at_pointer(|ui| {
            hover_ui(ui, map, cell, metric);
        });
    }
}

fn hover_ui(ui: &mut Ui, map: &HeadMap, cell: Cell, metric: &str) {
    let (layer, head) = cell;
    ui.strong(format!("Layer {layer}, head {head}"));
    ui.label(format!("{} · {metric}", map.title));
    let value = map.values.get(layer * map.heads + head).copied();
    match value {
        Some(value) if value.is_finite() => {
            let text = if map.difference {
                format!("{value:+.3}")
            } else {
                format!("{value:.3}")
            };
            ui.monospace(text);
        }
        _ => {
            ui.weak("no number");
        }
    }
}

/// The query heads that a cell stands for.
fn addresses(map: &HeadMap, (layer, head): Cell) -> Vec<HeadAddress> {
    let share = map.query_heads_per_cell.max(1);
    (head * share..(head + 1) * share)
        .map(|head| HeadAddress { layer, head })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shared_head_stands_for_its_query_heads() {
        let map = HeadMap {
            layers: 2,
            heads: 2,
            query_heads_per_cell: 4,
            ..HeadMap::default()
        };
        let heads: Vec<usize> = addresses(&map, (1, 1))
            .iter()
            .map(|head| head.head)
            .collect();
        assert_eq!(heads, [4, 5, 6, 7]);
    }
}
