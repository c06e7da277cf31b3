//! Where the columns of a table of numbers stand: names to the left, numbers to the right of their columns under titles
//! to the right, spread over the width that there is.

use egui::{Align, Layout, Rect, Ui, vec2};

/// Between two columns, where there is little room and where there is much.
const GAPS: std::ops::RangeInclusive<f32> = 3.0..=28.0;

/// Between two rows.
const ROW_GAP: f32 = 2.0;

/// The widths of a table.
#[derive(Clone, Debug, PartialEq)]
pub struct NumberTable {
    /// Of the names.
    pub name: f32,
    /// Of the columns.
    pub columns: Vec<f32>,
    /// Before each column.
    pub gap: f32,
}

impl NumberTable {
    /// For names and columns so wide; nothing where they do not fit.
    #[must_use]
    pub fn fitting(room: f32, name: f32, columns: &[f32]) -> Option<Self> {
        let least = Self::width_at(*GAPS.start(), name, columns);
        (least <= room).then(|| {
            let count = columns.len().max(1) as f32;
            let gap = *GAPS.start() + (room - least) / count;
            Self {
                name,
                columns: columns.to_vec(),
                gap: gap.min(*GAPS.end()),
            }
        })
    }

    /// For columns so wide however little room there is; the name takes what is left, but no less than `least_name`.
    #[must_use]
    pub fn squeezed(room: f32, least_name: f32, columns: &[f32]) -> Self {
        let gap = *GAPS.start();
        let left = room - Self::width_at(gap, 0.0, columns);
        Self {
            name: left.max(least_name),
            columns: columns.to_vec(),
            gap,
        }
    }

    /// What a table takes where it stands at ease.
    #[must_use]
    pub fn width_at_ease(name: f32, columns: &[f32]) -> f32 {
        Self::width_at((GAPS.start() + GAPS.end()) / 2.0, name, columns)
    }

    fn width_at(gap: f32, name: f32, columns: &[f32]) -> f32 {
        name + columns.iter().map(|width| width + gap).sum::<f32>()
    }

    /// The width of the whole.
    #[must_use]
    pub fn width(&self) -> f32 {
        Self::width_at(self.gap, self.name, &self.columns)
    }

    /// Draws a row, striped if so: its name, and then each column by its number.
    pub fn row_ui(
        &self,
        ui: &mut Ui,
        is_striped: bool,
        name: impl FnOnce(&mut Ui),
        mut column: impl FnMut(&mut Ui, usize),
    ) {
        let height = ui.text_style_height(&egui::TextStyle::Body) + ROW_GAP;
        let (row, _) = ui.allocate_exact_size(vec2(self.width(), height), egui::Sense::hover());
        if is_striped {
            let color = ui.visuals().faint_bg_color;
            ui.painter().rect_filled(row.expand(1.0), 2.0, color);
        }
        let mut left = row.left();
        let mut cell = |width: f32| {
            let rect = Rect::from_min_size(egui::pos2(left, row.top()), vec2(width, height));
            left = rect.right() + self.gap;
            rect
        };
        let rect = cell(self.name);
        let start = Layout::left_to_right(Align::Center);
        let mut inside = ui.new_child(egui::UiBuilder::new().max_rect(rect).layout(start));
        inside.spacing_mut().item_spacing.x = ROW_GAP;
        name(&mut inside);
        for (number, width) in self.columns.iter().enumerate() {
            let end = Layout::right_to_left(Align::Center);
            let builder = egui::UiBuilder::new().max_rect(cell(*width)).layout(end);
            column(&mut ui.new_child(builder), number);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_is_shared_by_the_gaps_up_to_a_bound() {
        let table = NumberTable::fitting(200.0, 60.0, &[30.0, 40.0]).unwrap();
        // 200 - 60 - 70, over two gaps, would be 35 each
        assert_eq!(table.gap, 28.0);
        let table = NumberTable::fitting(170.0, 60.0, &[30.0, 40.0]).unwrap();
        assert_eq!((table.gap, table.width()), (20.0, 170.0));
        assert_eq!(NumberTable::fitting(135.0, 60.0, &[30.0, 40.0]), None);
        assert!(NumberTable::fitting(136.0, 60.0, &[30.0, 40.0]).is_some());
    }

    #[test]
    fn a_name_gives_way_before_a_number_does() {
        let table = NumberTable::squeezed(130.0, 44.0, &[30.0, 40.0]);
        assert_eq!((table.name, table.width()), (54.0, 130.0));
        let table = NumberTable::squeezed(100.0, 44.0, &[30.0, 40.0]);
        assert_eq!(table.name, 44.0, "and the rest is scrolled to");
    }
}
