//! Where the cells of a matrix stand.

use egui::{Pos2, Rect, pos2, vec2};

use super::Cell;
use crate::gui::widgets::color_bar::BAR_WIDTH;

/// Room for the numbers of rows, and for the name of their axis.
pub(super) const TICKS: f32 = 20.0;
pub(super) const AXIS_NAME: f32 = 20.0;
/// Room for the numbers of columns, and for the name of their axis.
const TICKS_BELOW: f32 = 14.0;
const AXIS_NAME_BELOW: f32 = 16.0;
/// Cells do not grow beyond this, or a small model's map fills a large screen.
const LARGEST_CELL: f32 = 110.0;

/// What stands around the cells.
#[derive(Clone, Copy, Debug)]
pub(super) struct Surroundings {
    pub(super) axis_names: bool,
    pub(super) color_bar: bool,
}

pub(super) struct Geometry {
    pub(super) cells: Rect,
    rows: usize,
    columns: usize,
}

impl Geometry {
    pub(super) fn of(rect: Rect, rows: usize, columns: usize, around: Surroundings) -> Self {
        let names = f32::from(u8::from(around.axis_names));
        let bar = f32::from(u8::from(around.color_bar));
        let left = TICKS + names * AXIS_NAME;
        let below = TICKS_BELOW + names * AXIS_NAME_BELOW;
        let room = rect.size() - vec2(left + bar * (BAR_WIDTH + 8.0), below);
        let side = |room: f32, count: usize| {
            let cell = (room / count.max(1) as f32).clamp(1.0, LARGEST_CELL);
            // Whole pixels keep all cells equal, as long as that does not waste the room.
            if cell >= 6.0 { cell.floor() } else { cell }
        };
        let size = vec2(
            side(room.x, columns) * columns as f32,
            side(room.y, rows) * rows as f32,
        );
        let min = pos2(rect.left() + left, rect.top()).round();
        Self {
            cells: Rect::from_min_size(min, size),
            rows,
            columns,
        }
    }

    pub(super) fn cell_at(&self, at: Pos2) -> Option<Cell> {
        self.cells.contains(at).then(|| self.nearest_cell(at))
    }

    pub(super) fn nearest_cell(&self, at: Pos2) -> Cell {
        let share = (at - self.cells.min) / self.cells.size();
        let place = |share: f32, count: usize| {
            ((share.clamp(0.0, 1.0) * count as f32) as usize).min(count.saturating_sub(1))
        };
        let from_top = place(share.y, self.rows);
        (self.rows - 1 - from_top, place(share.x, self.columns))
    }

    pub(super) fn rect(&self, (row, column): Cell) -> Rect {
        let cell = self.cells.size() / vec2(self.columns as f32, self.rows as f32);
        let from_top = self.rows - 1 - row;
        let min = self.cells.min + vec2(column as f32 * cell.x, from_top as f32 * cell.y);
        Rect::from_min_size(min, cell)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AROUND: Surroundings = Surroundings {
        axis_names: true,
        color_bar: true,
    };

    #[test]
    fn cells_are_whole_pixels_and_found_again_from_their_centres() {
        let rect = Rect::from_min_size(pos2(10.3, 20.7), vec2(400.0, 300.0));
        let geometry = Geometry::of(rect, 7, 5, AROUND);
        assert_eq!(geometry.rect((0, 0)).width().fract(), 0.0);
        for row in 0..7 {
            for column in 0..5 {
                let centre = geometry.rect((row, column)).center();
                assert_eq!(geometry.cell_at(centre), Some((row, column)));
            }
        }
        assert!(
            geometry.rect((0, 0)).top() > geometry.rect((6, 0)).top(),
            "layer 0 lies at the bottom"
        );
        assert_eq!(geometry.cell_at(rect.max), None);
    }

    #[test]
    fn many_heads_still_fit_the_room() {
        let rect = Rect::from_min_size(pos2(0.0, 0.0), vec2(300.0, 200.0));
        let geometry = Geometry::of(rect, 80, 64, AROUND);
        assert!(geometry.cells.right() <= rect.right() - BAR_WIDTH);
        assert!(geometry.cells.bottom() <= rect.bottom());
    }
}
