//! How a matrix is painted: cells, numbers beside them, marks and outlines.

use egui::{Align2, Color32, FontId, Pos2, Rect, Stroke, Ui, Vec2, pos2, vec2};

use super::geometry::Geometry;
use super::{BAR_GAP, Cell, Cells, GAP, Matrix};
use crate::gui::theme::Theme;
use crate::gui::widgets::color_bar::upright;
use crate::gui::widgets::texture::{TextureKey, cached_texture, paint_texture};

/// Distance of the lines of a hatching, along either axis.
const HATCH_GAP: f32 = 6.0;
const HATCH_OPACITY: f32 = 0.35;

/// Of a cell's side, one part is the width of a mark's halo.
const HALO_SHARE: f32 = 5.0;
const WIDEST_HALO: f32 = 2.5;

/// A part of a pixel that no edge of cells is likely to hit.
const ASIDE: f32 = -0.013;

impl Matrix<'_> {
    /// Everything, with letters of a size around the cells.
    pub(super) fn paint(
        &self,
        ui: &Ui,
        theme: &Theme,
        (geometry, size): (&Geometry, f32),
        hovered: Option<Cell>,
    ) {
        self.paint_cells(ui, theme, geometry);
        self.paint_axes(ui, geometry, size);
        if self.diagonal {
            let ends = [geometry.cells.left_bottom(), geometry.cells.right_top()];
            // a halo, because the cells under it are dark here and light there
            for (width, color) in [(2.5, theme.selection_halo), (1.0, theme.selection)] {
                ui.painter().line_segment(ends, Stroke::new(width, color));
            }
        }
        self.paint_hatched(ui, theme, geometry);
        self.paint_struck(ui, theme, geometry);
        self.paint_equal(ui, theme, geometry);
        self.paint_selection(ui, theme, geometry);
        if let Some(cell) = self.marks.pinned.filter(|cell| self.has(*cell)) {
            paint_pin(ui, theme, geometry, cell);
        }
        self.bar(size, |bar| {
            let at = geometry.cells.right_top() + vec2(BAR_GAP, 0.0);
            bar.show(ui, at, geometry.cells.height(), theme);
        });
        let glowing = self.marks.glowing.filter(|cell| self.has(*cell));
        if let Some(cell) = hovered.or(glowing) {
            paint_cross_hair(ui, theme, geometry, cell);
        }
    }

    fn has(&self, (row, column): Cell) -> bool {
        row < self.rows && column < self.columns
    }

    /// The colours from the top row down, as a texture has them.
    fn colors(&self, theme: &Theme) -> Vec<Color32> {
        let columns = self.columns.max(1);
        match self.cells {
            Cells::Values {
                values,
                map,
                highest,
                ..
            } => values
                .chunks_exact(columns)
                .rev()
                .flatten()
                .map(|value| theme.map(map, (*value / highest) as f32))
                .collect(),
            Cells::Colors(colors) => colors
                .chunks_exact(columns)
                .rev()
                .flatten()
                .copied()
                .collect(),
        }
    }

    fn paint_cells(&self, ui: &Ui, theme: &Theme, geometry: &Geometry) {
        let key = TextureKey {
            version: self.version,
            size: [self.columns, self.rows],
            dark: theme.is_dark(),
            part: 0,
        };
        let texture = cached_texture(ui.ctx(), self.id, key, || self.colors(theme));
        if let Some(texture) = texture {
            // where the edge of a cell meets the centre of a pixel, rounding would draw a ragged line
            let aside = Vec2::splat(ASIDE / ui.pixels_per_point());
            paint_texture(ui.painter(), &texture, geometry.cells.translate(aside));
        }
    }

    /// Slanting lines over the cells without a number; they run on from cell to cell.
    fn paint_hatched(&self, ui: &Ui, theme: &Theme, geometry: &Geometry) {
        let stroke = Stroke::new(1.0, theme.selection.gamma_multiply(HATCH_OPACITY));
        for row in 0..self.rows {
            let columns = 0..self.columns;
            for column in columns.filter(|column| (self.marks.hatched)((row, *column))) {
                hatch(ui, geometry.rect((row, column)), stroke);
            }
        }
    }

    /// A line across the cells that are not to be trusted.
    fn paint_struck(&self, ui: &Ui, theme: &Theme, geometry: &Geometry) {
        for row in 0..self.rows {
            let is_struck = |cell: Cell| (self.marks.struck)(cell) && !(self.marks.equal)(cell);
            for column in (0..self.columns).filter(|column| is_struck((row, *column))) {
                let rect = geometry.rect((row, column));
                // in wide and low cells a line from corner to corner would cover the colours
                let side = rect.width().min(rect.height());
                let square = Rect::from_center_size(rect.center(), Vec2::splat(side)).shrink(1.0);
                paint_mark(ui, theme, [square.left_bottom(), square.right_top()], side);
            }
        }
    }

    /// Two level lines in the cells that are shown to be equal.
    fn paint_equal(&self, ui: &Ui, theme: &Theme, geometry: &Geometry) {
        for row in 0..self.rows {
            for column in (0..self.columns).filter(|column| (self.marks.equal)((row, *column))) {
                let rect = geometry.rect((row, column));
                let side = rect.width().min(rect.height());
                let (reach, apart) = ((0.28 * side).min(7.0), (0.14 * side).min(3.0));
                for y in [rect.center().y - apart, rect.center().y + apart] {
                    let ends = [
                        pos2(rect.center().x - reach, y),
                        pos2(rect.center().x + reach, y),
                    ];
                    paint_mark(ui, theme, ends, side);
                }
            }
        }
    }

    fn paint_axes(&self, ui: &Ui, geometry: &Geometry, size: f32) {
        let painter = ui.painter();
        let color = ui.visuals().weak_text_color();
        let font = || FontId::proportional(size);
        let cells = geometry.cells;
        let [row_tick, column_tick] = self.ticks;
        let every = step(cells.height() / self.rows as f32, size + 3.0);
        for row in (0..self.rows).step_by(every) {
            let at = pos2(cells.left() - GAP, geometry.rect((row, 0)).center().y);
            painter.text(at, Align2::RIGHT_CENTER, row_tick(row), font(), color);
        }
        let needed = self.ticks_width(ui, 1, size) + size / 2.0;
        let every = step(cells.width() / self.columns as f32, needed);
        for column in (0..self.columns).step_by(every) {
            let middle = geometry.rect((0, column)).center().x;
            let at = pos2(middle, cells.bottom() + GAP / 2.0);
            painter.text(at, Align2::CENTER_TOP, column_tick(column), font(), color);
        }
        let Some([row_axis, column_axis]) = self.axes else {
            return;
        };
        let below = pos2(cells.center().x, cells.bottom() + size + GAP);
        painter.text(below, Align2::CENTER_TOP, column_axis, font(), color);
        let left = cells.left() - self.around(ui, size).left;
        upright(
            ui,
            row_axis,
            size,
            pos2(left, cells.center().y),
            cells.height(),
        );
    }

    /// Outlines the selection as one shape: only the edges where it ends.
    fn paint_selection(&self, ui: &Ui, theme: &Theme, geometry: &Geometry) {
        let is_selected = |row: isize, column: isize| {
            let (Ok(row), Ok(column)) = (usize::try_from(row), usize::try_from(column)) else {
                return false;
            };
            row < self.rows && column < self.columns && (self.marks.selected)((row, column))
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

/// A line of a mark in a cell so many points wide or high, with a halo that leaves small cells their colour.
fn paint_mark(ui: &Ui, theme: &Theme, ends: [Pos2; 2], side: f32) {
    let halo = (side / HALO_SHARE).clamp(1.0, WIDEST_HALO);
    for (width, color) in [(halo, theme.selection_halo), (1.0, theme.selection)] {
        ui.painter().line_segment(ends, Stroke::new(width, color));
    }
}

/// Lines of `x + y = k * HATCH_GAP`, cut to a rectangle.
fn hatch(ui: &Ui, rect: Rect, stroke: Stroke) {
    let (first, last) = (rect.left() + rect.top(), rect.right() + rect.bottom());
    let mut sum = (first / HATCH_GAP).ceil() * HATCH_GAP;
    while sum < last {
        let left = (sum - rect.bottom()).max(rect.left());
        let right = (sum - rect.top()).min(rect.right());
        let ends = [pos2(left, sum - left), pos2(right, sum - right)];
        ui.painter().line_segment(ends, stroke);
        sum += HATCH_GAP;
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

/// A ring in the cell that others are compared with.
fn paint_pin(ui: &Ui, theme: &Theme, geometry: &Geometry, cell: Cell) {
    let rect = geometry.rect(cell);
    let radius = (rect.width().min(rect.height()) * 0.28).clamp(2.0, 9.0);
    let painter = ui.painter();
    for (width, color) in [(4.0, theme.selection_halo), (2.0, theme.selection)] {
        painter.circle_stroke(rect.center(), radius, Stroke::new(width, color));
    }
}
