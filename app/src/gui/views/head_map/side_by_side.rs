//! Every visible window in a map of its own, all on one scale.

use egui::{Id, RichText, ScrollArea, Ui, Vec2, vec2};

use super::{answer_ui, hover_ui, is_selected, marks, missing_ui};
use crate::gui::command::{Commands, LookCommand};
use crate::gui::derived::HeadMap;
use crate::gui::state::MapKind;
use crate::gui::theme::ColorMap;
use crate::gui::views::View;
use crate::gui::widgets::matrix::{Cell, Cells, Marks, Matrix};

const TITLE_HEIGHT: f32 = 20.0;
const GAP: f32 = 8.0;
/// Smaller maps would hide more than they compare; the rest is scrolled to.
const SMALLEST: Vec2 = vec2(110.0, 90.0);

/// Draws the maps in rows.
pub(super) fn side_by_side_ui(ui: &mut Ui, view: &View<'_>, commands: &mut Commands) {
    let maps = view.derived.side_by_side();
    if maps.is_empty() {
        missing_ui(ui, view);
        return;
    }
    let room = ui.available_size();
    let columns = columns(room, maps.len());
    let rows = maps.len().div_ceil(columns);
    let size = vec2(
        (room.x - GAP * (columns as f32)) / columns as f32,
        (room.y - GAP) / rows as f32 - TITLE_HEIGHT - GAP,
    )
    .max(SMALLEST);
    ScrollArea::vertical()
        .id_salt("maps side by side")
        .auto_shrink(false)
        .show(ui, |ui| {
            for row in maps.chunks(columns) {
                ui.horizontal(|ui| {
                    ui.spacing_mut().item_spacing.x = GAP;
                    for map in row {
                        ui.vertical(|ui| {
                            ui.set_width(size.x);
                            one_ui(ui, view, map, size, commands);
                        });
                    }
                });
            }
        });
}

/// As many columns as make the smaller side of a map largest.
fn columns(room: Vec2, maps: usize) -> usize {
    let side = |columns: usize| {
        let rows = maps.div_ceil(columns) as f32;
        let width = room.x / columns as f32;
        let height = room.y / rows - TITLE_HEIGHT;
        width.min(height)
    };
    let most = ((room.x / (SMALLEST.x + GAP)) as usize).clamp(1, maps.max(1));
    let best = (1..=most).max_by(|a, b| side(*a).total_cmp(&side(*b)));
    best.unwrap_or(1)
}

fn one_ui(ui: &mut Ui, view: &View<'_>, map: &HeadMap, size: Vec2, commands: &mut Commands) {
    let mut windows = view.derived.windows().iter();
    let window = windows.find(|window| window.label == map.title);
    let color = window.map_or(view.theme.random, |window| {
        view.theme.series(&window.label, window.repeat).color
    });
    let title = egui::Label::new(RichText::new(&map.title).color(view.theme.legible(color)))
        .truncate()
        .sense(egui::Sense::click());
    let title = ui
        .add_sized(vec2(size.x, TITLE_HEIGHT), title)
        .on_hover_text("Click to see this window alone");
    if title.hovered() {
        commands.hover.window = Some(map.title.clone());
    }
    if title.clicked() {
        commands.send(LookCommand::SetWindow(map.title.clone()));
        commands.send(LookCommand::SetMapKind(MapKind::Window));
    }
    let per_cell = map.query_heads_per_cell;
    let selected = |cell: Cell| is_selected(view, per_cell, cell);
    let matrix = Matrix {
        id: Id::unique(("head map of", &map.title)),
        name: format!("Layer by head map of {}", map.title),
        rows: map.layers,
        columns: map.heads,
        cells: Cells::Values {
            values: &map.values,
            map: ColorMap::Sequential,
            bar: Some(map.number.label()),
            highest: map.highest,
        },
        version: map.version,
        axes: None,
        ticks: [&|number| number.to_string(); 2],
        diagonal: false,
        marks: Marks {
            hatched: &|cell| map.is_undefined(cell),
            ..marks(view, per_cell, &selected, &|_| false)
        },
    };
    let answer = matrix.show_sized(ui, view.theme, size);
    answer_ui(&answer, view, per_cell, commands);
    if let Some(cell) = answer.hovered {
        answer.response.on_hover_ui_at_pointer(|ui| {
            hover_ui(ui, view, map, cell);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maps_fill_their_room() {
        assert_eq!(columns(vec2(1200.0, 400.0), 3), 3);
        assert_eq!(columns(vec2(400.0, 1200.0), 3), 1);
        assert_eq!(columns(vec2(800.0, 800.0), 4), 2);
        assert_eq!(columns(vec2(100.0, 800.0), 9), 1);
    }
}
