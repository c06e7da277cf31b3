//! Where the cells of a matrix stand.

use egui::emath::GuiRounding as _;
use egui::{Pos2, Rect, vec2};

use super::Cell;

/// Cells from so many pixels on are all of one size, because what is left over is little beside them.
const EQUAL_CELLS: f32 = 6.0;

/// Room around the cells for numbers, names and the colour bar, in points.
pub(super) type Around = egui::epaint::MarginF32;

pub(super) struct Geometry {
    pub(super) cells: Rect,
    rows: usize,
    columns: usize,
    pixels_per_point: f32,
}

impl Geometry {
    /// The cells take what their surroundings leave of the room; their edges stand between two pixels of the screen.
    pub(super) fn of(
        room: Rect,
        [rows, columns]: [usize; 2],
        around: Around,
        pixels_per_point: f32,
    ) -> Self {
        let left = room.size() - around.sum();
        let side = |room: f32, count: usize| {
            let cell = (room * pixels_per_point / count.max(1) as f32).max(1.0);
            let cell = if cell >= EQUAL_CELLS {
                cell.floor()
            } else {
                cell
            };
            count as f32 * cell / pixels_per_point
        };
        let min = room.min + around.left_top();
        let size = vec2(side(left.x, columns), side(left.y, rows));
        Self {
            cells: Rect::from_min_size(min.round_to_pixels(pixels_per_point), size),
            rows,
            columns,
            pixels_per_point,
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
        let corner = |right: usize, down: usize| {
            let at = self.cells.min + vec2(right as f32 * cell.x, down as f32 * cell.y);
            at.round_to_pixels(self.pixels_per_point)
        };
        let from_top = self.rows - 1 - row;
        Rect::from_min_max(corner(column, from_top), corner(column + 1, from_top + 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use egui::pos2;

    const AROUND: Around = Around {
        left: 30.0,
        right: 60.0,
        top: 0.0,
        bottom: 30.0,
    };

    fn is_whole(points: f32, pixels_per_point: f32) -> bool {
        let pixels = points * pixels_per_point;
        (pixels - pixels.round()).abs() < 1e-3
    }

    #[test]
    fn cells_are_whole_pixels_and_found_again_from_their_centres() {
        let rect = Rect::from_min_size(pos2(10.3, 20.7), vec2(400.0, 300.0));
        for (shape, pixels_per_point) in [
            ([7, 5], 1.0),
            ([7, 5], 1.5),
            ([80, 64], 1.0),
            ([80, 64], 1.5),
        ] {
            let geometry = Geometry::of(rect, shape, AROUND, pixels_per_point);
            for row in 0..shape[0] {
                for column in 0..shape[1] {
                    let cell = geometry.rect((row, column));
                    assert_eq!(geometry.cell_at(cell.center()), Some((row, column)));
                    for edge in [cell.left(), cell.right(), cell.top(), cell.bottom()] {
                        assert!(is_whole(edge, pixels_per_point), "{cell:?}");
                    }
                    if row > 0 {
                        assert_eq!(geometry.rect((row - 1, column)).top(), cell.bottom());
                    }
                }
            }
            assert!(
                geometry.rect((0, 0)).top() > geometry.rect((6, 0)).top(),
                "layer 0 lies at the bottom"
            );
            assert_eq!(geometry.cell_at(rect.max), None);
        }
    }

    #[test]
    fn few_heads_and_many_use_the_room() {
        let rect = Rect::from_min_size(pos2(0.0, 0.0), vec2(900.0, 600.0));
        for shape in [[4, 4], [30, 9], [80, 64]] {
            let cells = Geometry::of(rect, shape, AROUND, 1.0).cells;
            let [rows, columns] = shape.map(|count| count as f32);
            let room = rect.size() - AROUND.sum();
            // less than a pixel of each row and column is lost
            assert!(
                cells.width() > room.x - columns && cells.width() <= room.x,
                "{cells:?}"
            );
            assert!(
                cells.height() > room.y - rows && cells.height() <= room.y,
                "{cells:?}"
            );
        }
    }
}
