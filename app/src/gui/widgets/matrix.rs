//! A matrix as a texture, the first row at the bottom, with hover, click and brush.
//!
//! `egui_plot`'s own heat map lays out a text for every cell and gives up on numbers outside its
//! range; a texture costs the same however many cells it has.

mod geometry;
mod paint;

use egui::{Color32, FontId, Id, Modifiers, Response, Role, Sense, Ui, Vec2, WidgetInfo};

use super::color_bar::ColorBar;
use super::together::text_width_in;
use crate::gui::theme::{ColorMap, Theme};
use geometry::{Around, Geometry};

/// A cell: row (layer) and column (head).
pub type Cell = (usize, usize);

/// What colours the cells, `[rows, columns]`.
#[derive(Clone, Copy)]
pub enum Cells<'a> {
    /// Numbers on a map.
    Values {
        /// The numbers.
        values: &'a [f64],
        /// Their colours.
        map: ColorMap,
        /// What the numbers are, beside the colour bar; none where another map's bar says it.
        bar: Option<&'a str>,
        /// The number that has the strongest colour; 1 for shares.
        highest: f64,
    },
    /// Colours as they are.
    Colors(&'a [Color32]),
}

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
    /// Their colours.
    pub cells: Cells<'a>,
    /// Differs whenever the colours do.
    pub version: u64,
    /// Names of the vertical and of the horizontal axis.
    pub axes: Option<[&'a str; 2]>,
    /// What stands beside a row of this number, and under a column.
    pub ticks: [&'a dyn Fn(usize) -> String; 2],
    /// Whether a line runs from the first cell to the last.
    pub diagonal: bool,
    /// What is marked.
    pub marks: Marks<'a>,
}

/// What is marked in a matrix.
pub struct Marks<'a> {
    /// Whether a cell carries the outline of the selection.
    pub selected: &'a dyn Fn(Cell) -> bool,
    /// Whether a cell is struck through.
    pub struck: &'a dyn Fn(Cell) -> bool,
    /// Whether a cell carries an equals sign, in place of being struck through.
    pub equal: &'a dyn Fn(Cell) -> bool,
    /// Whether a cell is hatched: it has no number.
    pub hatched: &'a dyn Fn(Cell) -> bool,
    /// The cell with the pin.
    pub pinned: Option<Cell>,
    /// The cell that another view points at.
    pub glowing: Option<Cell>,
}

impl Default for Marks<'_> {
    fn default() -> Self {
        Self {
            selected: &|_| false,
            struck: &|_| false,
            equal: &|_| false,
            hatched: &|_| false,
            pinned: None,
            glowing: None,
        }
    }
}

/// What was done to the matrix.
pub struct MatrixResponse {
    /// The widget.
    pub response: Response,
    /// The cell under the pointer.
    pub hovered: Option<Cell>,
    /// Cells that were clicked or brushed over, with the keys that were held.
    pub picked: Option<(Vec<Cell>, Modifiers)>,
    /// The cell that was clicked with the other button.
    pub pinned: Option<Cell>,
}

impl Matrix<'_> {
    /// What stands around the cells, with letters of this size.
    fn around(&self, ui: &Ui, size: f32) -> Around {
        let name = match self.axes {
            Some(_) => size + GAP,
            None => 0.0,
        };
        Around {
            left: self.ticks_width(ui, 0, size) + GAP + name,
            right: self.bar(size, |bar| BAR_GAP + bar.width(ui)).unwrap_or(0.0),
            top: 0.0,
            bottom: size + GAP + name,
        }
    }

    /// Width of the longest number beside the rows (0) or under the columns (1).
    fn ticks_width(&self, ui: &Ui, axis: usize, size: f32) -> f32 {
        let count = [self.rows, self.columns][axis];
        let width =
            |place| text_width_in(ui, &(self.ticks[axis])(place), FontId::proportional(size));
        (0..count).map(width).fold(0.0, f32::max)
    }

    /// What is done with the colour bar, if there is one.
    fn bar<T>(&self, size: f32, answer: impl FnOnce(&ColorBar<'_>) -> T) -> Option<T> {
        let Cells::Values {
            map, bar, highest, ..
        } = self.cells
        else {
            return None;
        };
        let number = |value: f32| value * highest as f32;
        let name = bar?;
        Some(answer(&ColorBar {
            map,
            number: &number,
            name,
            size,
        }))
    }

    /// Draws the matrix into the room that is left.
    pub fn show(self, ui: &mut Ui, theme: &Theme) -> MatrixResponse {
        let room = ui.available_size().max(Vec2::new(120.0, 80.0));
        self.show_sized(ui, theme, room)
    }

    /// Draws the matrix into a room of this size.
    pub fn show_sized(self, ui: &mut Ui, theme: &Theme, room: Vec2) -> MatrixResponse {
        let (rect, response) = ui.allocate_exact_size(room, Sense::click_and_drag());
        response.widget_info(|| WidgetInfo::labeled(Role::Canvas, ui.is_enabled(), &self.name));
        let size = letters(room);
        let (shape, around) = ([self.rows, self.columns], self.around(ui, size));
        let geometry = Geometry::of(rect, shape, around, ui.pixels_per_point());
        let hovered = response.hover_pos().and_then(|at| geometry.cell_at(at));
        self.paint(ui, theme, (&geometry, size), hovered);
        let secondary = response.interact_pointer_pos();
        let secondary = secondary.filter(|_| response.secondary_clicked());
        MatrixResponse {
            picked: pick(ui, &response, &geometry),
            pinned: secondary.and_then(|at| geometry.cell_at(at)),
            hovered,
            response,
        }
    }
}

/// Sizes of the letters around the smallest and the largest maps, and the side of a map that has letters of one point.
const LETTERS: [f32; 2] = [10.0, 14.0];
const SIDE_PER_LETTER: f32 = 20.0;

/// Between cells, numbers and names.
const GAP: f32 = 4.0;
/// Between the cells and the colour bar.
pub const BAR_GAP: f32 = 10.0;

/// The size of the letters around a map: they grow with it.
#[must_use]
pub fn letters(room: Vec2) -> f32 {
    let [smallest, largest] = LETTERS;
    (room.min_elem() / SIDE_PER_LETTER).clamp(smallest, largest)
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
    if !response.dragged_by(egui::PointerButton::Primary) {
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
