//! A matrix as a texture, the first row at the bottom, with hover, click and brush.
//!
//! `egui_plot`'s own heat map lays out a text for every cell and gives up on numbers outside its
//! range; a texture costs the same however many cells it has.

use egui::{
    Align2, FontId, Id, Modifiers, Pos2, Rect, Response, Role, Sense, Stroke, Ui, WidgetInfo, pos2,
    vec2,
};

use super::color_bar::{BAR_WIDTH, color_bar};
use super::texture::{TextureKey, cached_texture, paint_texture};
use crate::gui::theme::{ColorMap, Theme};

/// Room for the numbers of rows and columns.
const AXIS: f32 = 40.0;
const AXIS_BOTTOM: f32 = 30.0;
/// Cells do not grow beyond this, or a small model's map looks like a chessboard.
const LARGEST_CELL: f32 = 72.0;

/// A cell: row (layer) and column (head).
pub type Cell = (usize, usize);

/// What to draw.
pub struct Matrix<'a> {
    /// Where the texture is kept.
    pub id: Id,
    /// Name for screen readers and tests.
    pub name: String,
    /// Rows, drawn from the bottom up.
    pub rows: usize,
    /// Columns.
    pub columns: usize,
    /// `[rows, columns]`.
    pub values: &'a [f32],
    /// Differs whenever the values do.
    pub version: u64,
    /// Colours.
    pub map: ColorMap,
    /// Name of the vertical axis.
    pub row_axis: &'a str,
    /// Name of the horizontal axis.
    pub column_axis: &'a str,
    /// What stands beside a row or under a column of this number.
    pub tick: &'a dyn Fn(usize) -> String,
    /// Whether a line runs from the first cell to the last.
    pub diagonal: bool,
    /// Whether a cell carries the outline of the selection.
    pub selected: &'a dyn Fn(Cell) -> bool,
}

/// What was done to the matrix.
pub struct MatrixResponse {
    /// The widget.
    pub response: Response,
    /// The cell under the pointer.
    pub hovered: Option<Cell>,
    /// Cells that were clicked or brushed over, with the keys that were held.
    pub picked: Option<(Vec<Cell>, Modifiers)>,
}

struct Geometry {
    cells: Rect,
    rows: usize,
    columns: usize,
}

impl Geometry {
    fn of(rect: Rect, rows: usize, columns: usize) -> Self {
        let room = rect.size() - vec2(AXIS + BAR_WIDTH + 8.0, AXIS_BOTTOM);
        let side = |room: f32, count: usize| {
            let cell = (room / count.max(1) as f32).clamp(1.0, LARGEST_CELL);
            // Whole pixels keep all cells equal, as long as that does not waste the room.
            if cell >= 6.0 { cell.floor() } else { cell }
        };
        let size = vec2(
            side(room.x, columns) * columns as f32,
            side(room.y, rows) * rows as f32,
        );
        let min = pos2(rect.left() + AXIS, rect.top()).round();
        Self {
            cells: Rect::from_min_size(min, size),
            rows,
            columns,
        }
    }

    fn cell_at(&self, at: Pos2) -> Option<Cell> {
        self.cells.contains(at).then(|| self.nearest_cell(at))
    }

    fn nearest_cell(&self, at: Pos2) -> Cell {
        let share = (at - self.cells.min) / self.cells.size();
        let place = |share: f32, count: usize| {
            ((share.clamp(0.0, 1.0) * count as f32) as usize).min(count.saturating_sub(1))
        };
        let from_top = place(share.y, self.rows);
        (self.rows - 1 - from_top, place(share.x, self.columns))
    }

    fn rect(&self, (row, column): Cell) -> Rect {
        let cell = self.cells.size() / vec2(self.columns as f32, self.rows as f32);
        let from_top = self.rows - 1 - row;
        let min = self.cells.min + vec2(column as f32 * cell.x, from_top as f32 * cell.y);
        Rect::from_min_size(min, cell)
    }
}

impl Matrix<'_> {
    /// Draws the matrix into the room that is left.
    pub fn show(self, ui: &mut Ui, theme: &Theme) -> MatrixResponse {
        let room = ui.available_size().max(vec2(120.0, 80.0));
        let (rect, response) = ui.allocate_exact_size(room, Sense::click_and_drag());
        response.widget_info(|| WidgetInfo::labeled(Role::Canvas, ui.is_enabled(), &self.name));
        let geometry = Geometry::of(rect, self.rows, self.columns);
        self.paint_cells(ui, theme, &geometry);
        self.paint_axes(ui, &geometry);
        if self.diagonal {
            let ends = [geometry.cells.left_bottom(), geometry.cells.right_top()];
            let stroke = Stroke::new(1.0, theme.selection_halo);
            ui.painter().line_segment(ends, stroke);
        }
        self.paint_selection(ui, theme, &geometry);
        let bar = Rect::from_min_size(
            geometry.cells.right_top() + vec2(10.0, 0.0),
            vec2(BAR_WIDTH, geometry.cells.height()),
        );
        color_bar(ui, bar, self.map, theme);
        let hovered = response.hover_pos().and_then(|at| geometry.cell_at(at));
        if let Some(cell) = hovered {
            paint_cross_hair(ui, theme, &geometry, cell);
        }
        let picked = pick(ui, &response, &geometry);
        MatrixResponse {
            response,
            hovered,
            picked,
        }
    }

    fn paint_cells(&self, ui: &Ui, theme: &Theme, geometry: &Geometry) {
        let key = TextureKey {
            version: self.version,
            size: [self.columns, self.rows],
            dark: theme.is_dark(),
        };
        let texture = cached_texture(ui.ctx(), self.id, key, || {
            self.values
                .chunks_exact(self.columns.max(1))
                .rev()
                .flatten()
                .map(|value| theme.map(self.map, *value))
                .collect()
        });
        if let Some(texture) = texture {
            paint_texture(ui.painter(), &texture, geometry.cells);
        }
    }

    fn paint_axes(&self, ui: &Ui, geometry: &Geometry) {
        let painter = ui.painter();
        let color = ui.visuals().weak_text_color();
        let font = FontId::proportional(10.0);
        let cells = geometry.cells;
        for row in (0..self.rows).step_by(step(cells.height() / self.rows as f32, 13.0)) {
            let at = pos2(cells.left() - 4.0, geometry.rect((row, 0)).center().y);
            painter.text(
                at,
                Align2::RIGHT_CENTER,
                (self.tick)(row),
                font.clone(),
                color,
            );
        }
        for column in (0..self.columns).step_by(step(cells.width() / self.columns as f32, 18.0)) {
            let at = pos2(geometry.rect((0, column)).center().x, cells.bottom() + 2.0);
            painter.text(
                at,
                Align2::CENTER_TOP,
                (self.tick)(column),
                font.clone(),
                color,
            );
        }
        let below = pos2(cells.center().x, cells.bottom() + 14.0);
        painter.text(
            below,
            Align2::CENTER_TOP,
            self.column_axis,
            font.clone(),
            color,
        );
        let beside = painter.layout_no_wrap(self.row_axis.to_owned(), font, color);
        let at = pos2(
            cells.left() - AXIS,
            cells.center().y + beside.size().x / 2.0,
        );
        let upright = egui::epaint::TextShape::new(at, beside, color)
            .with_angle(-std::f32::consts::FRAC_PI_2);
        painter.add(upright);
    }

    /// Outlines the selection as one shape: only the edges where it ends.
    fn paint_selection(&self, ui: &Ui, theme: &Theme, geometry: &Geometry) {
        let is_selected = |row: isize, column: isize| {
            let (Ok(row), Ok(column)) = (usize::try_from(row), usize::try_from(column)) else {
                return false;
            };
            row < self.rows && column < self.columns && (self.selected)((row, column))
        };
        let under = Stroke::new(4.0, theme.selection_halo);
        for stroke in [under, Stroke::new(2.0, theme.selection)] {
            for row in 0..self.rows as isize {
                for column in 0..self.columns as isize {
                    if !is_selected(row, column) {
                        continue;
                    }
                    let rect = geometry.rect((row as usize, column as usize));
                    let edges = [
                        ((1, 0), [rect.left_top(), rect.right_top()]),
                        ((-1, 0), [rect.left_bottom(), rect.right_bottom()]),
                        ((0, -1), [rect.left_top(), rect.left_bottom()]),
                        ((0, 1), [rect.right_top(), rect.right_bottom()]),
                    ];
                    for ((up, right), edge) in edges {
                        if !is_selected(row + up, column + right) {
                            ui.painter().line_segment(edge, stroke);
                        }
                    }
                }
            }
        }
    }
}

/// Every how many cells a number fits.
fn step(cell: f32, text: f32) -> usize {
    [1, 2, 4, 8, 16, 32]
        .into_iter()
        .find(|step| cell * *step as f32 >= text)
        .unwrap_or(64)
}

fn paint_cross_hair(ui: &Ui, theme: &Theme, geometry: &Geometry, cell: Cell) {
    let rect = geometry.rect(cell);
    let stroke = Stroke::new(1.0, theme.selection.gamma_multiply(0.5));
    let painter = ui.painter();
    painter.hline(geometry.cells.x_range(), rect.center().y, stroke);
    painter.vline(rect.center().x, geometry.cells.y_range(), stroke);
    painter.rect_stroke(
        rect,
        0.0,
        Stroke::new(1.0, theme.selection),
        egui::StrokeKind::Inside,
    );
}

/// The cells of a click, or those between the start of a drag and the pointer.
fn pick(ui: &Ui, response: &Response, geometry: &Geometry) -> Option<(Vec<Cell>, Modifiers)> {
    let modifiers = ui.input(|input| input.modifiers);
    let pointer = response.interact_pointer_pos()?;
    if response.clicked() {
        return geometry
            .cell_at(pointer)
            .map(|cell| (vec![cell], modifiers));
    }
    if !response.dragged() {
        return None;
    }
    let origin = ui.input(|input| input.pointer.press_origin())?;
    let (first, last) = (geometry.cell_at(origin)?, geometry.nearest_cell(pointer));
    let rows = first.0.min(last.0)..=first.0.max(last.0);
    let cells = rows
        .flat_map(|row| {
            let columns = first.1.min(last.1)..=first.1.max(last.1);
            columns.map(move |column| (row, column))
        })
        .collect();
    Some((cells, modifiers))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_whole_pixels_and_found_again_from_their_centres() {
        let rect = Rect::from_min_size(pos2(10.3, 20.7), vec2(400.0, 300.0));
        let geometry = Geometry::of(rect, 7, 5);
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
        let geometry = Geometry::of(rect, 80, 64);
        assert!(geometry.cells.right() <= rect.right() - BAR_WIDTH);
        assert!(geometry.cells.bottom() <= rect.bottom());
    }
}
