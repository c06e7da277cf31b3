//! The columns of the prompt that are shown: zoomed by the wheel, moved by a drag, all again by a double click.

use std::ops::Range;

use egui::{Id, Rect, Response, Ui};

use crate::gui::views::View;

/// Fewer columns are not shown: each would be as broad as a word.
const FEWEST: f64 = 8.0;
/// What a turn of the wheel by one point does.
const ZOOM_PER_POINT: f64 = 0.004;

/// Columns from the first to the last, of so many.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Span {
    first: f64,
    last: f64,
    columns: usize,
}

/// What is remembered, and of which sample.
type Remembered = (u64, [f64; 2]);

fn id() -> Id {
    Id::unique("columns of the attention")
}

impl Span {
    /// What is shown of the sample on show.
    pub fn shown(ui: &Ui, view: &View<'_>, columns: usize) -> Self {
        let version = view.shown().map_or(0, |(_, shown)| shown.version);
        let known: Option<Remembered> = ui.data(|data| data.get_temp(id()));
        let known = known.filter(|(of, _)| *of == version).map(|(_, span)| span);
        let [first, last] = known.unwrap_or([0.0, columns as f64]);
        Self {
            first,
            last: last.min(columns as f64),
            columns,
        }
    }

    /// Whether all of the prompt is shown.
    pub fn is_whole(&self) -> bool {
        self.first <= 0.0 && self.last >= self.columns as f64
    }

    /// Shows all of the prompt again.
    pub fn home(ui: &Ui) {
        ui.data_mut(|data| data.remove::<Remembered>(id()));
    }

    /// The columns in whole numbers.
    pub fn columns(&self) -> Range<usize> {
        let first = (self.first.floor() as usize).min(self.columns.saturating_sub(1));
        let last = (self.last.ceil() as usize).clamp(first + 1, self.columns.max(first + 1));
        first..last
    }

    /// Where a column stands.
    pub fn x_of(&self, rect: Rect, column: f32) -> f32 {
        let shown = self.columns();
        let share = (column - shown.start as f32) / shown.len() as f32;
        rect.left() + share * rect.width()
    }

    /// The column at a place.
    pub fn column_at(&self, rect: Rect, x: f32) -> usize {
        let shown = self.columns();
        let share = ((x - rect.left()) / rect.width()).clamp(0.0, 1.0);
        (shown.start + (share * shown.len() as f32) as usize).min(shown.end - 1)
    }

    /// Remembers what wheel and drag made of it.
    pub fn moved(&self, ui: &Ui, view: &View<'_>, response: &Response, rect: Rect) {
        if response.double_clicked() {
            Self::home(ui);
            return;
        }
        let mut span = *self;
        if response.dragged() && !self.is_whole() {
            span = span.panned(f64::from(-response.drag_delta().x / rect.width()));
        }
        if let Some(at) = response.hover_pos().filter(|at| rect.contains(*at)) {
            let turned = ui.input(|input| input.smooth_scroll_delta().y);
            if turned != 0.0 {
                let share = f64::from((at.x - rect.left()) / rect.width());
                span = span.zoomed(share, (-f64::from(turned) * ZOOM_PER_POINT).exp());
            }
        }
        if span != *self {
            let version = view.shown().map_or(0, |(_, shown)| shown.version);
            let remembered: Remembered = (version, [span.first, span.last]);
            ui.data_mut(|data| data.insert_temp(id(), remembered));
            ui.ctx().request_repaint();
        }
    }

    /// Wider by a factor, the column at this share of it staying where it is.
    fn zoomed(self, share: f64, factor: f64) -> Self {
        let all = self.columns as f64;
        let width = (self.last - self.first).max(1.0);
        let new = (width * factor).clamp(FEWEST.min(all), all);
        let first = (self.first + share * (width - new)).clamp(0.0, all - new);
        Self {
            first,
            last: first + new,
            ..self
        }
    }

    /// Moved by a share of its width.
    fn panned(self, share: f64) -> Self {
        let width = self.last - self.first;
        let most = self.columns as f64 - width;
        let first = (self.first + share * width).clamp(0.0, most.max(0.0));
        Self {
            first,
            last: first + width,
            ..self
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: Span = Span {
        first: 0.0,
        last: 1000.0,
        columns: 1000,
    };

    #[test]
    fn the_column_under_the_pointer_stays_while_one_zooms() {
        let rect = Rect::from_min_size(egui::pos2(10.0, 0.0), egui::vec2(500.0, 50.0));
        let at = 10.0 + 500.0 * 0.3;
        let column = ALL.column_at(rect, at);
        let zoomed = ALL.zoomed(0.3, 0.1);
        assert_eq!(zoomed.columns().len(), 100);
        assert!(zoomed.column_at(rect, at).abs_diff(column) <= 1);
        assert!((zoomed.x_of(rect, column as f32) - at).abs() < 6.0);
        assert!(zoomed.zoomed(0.9, 1e-9).columns().len() >= 8);
        assert!(zoomed.zoomed(0.1, 1e9).is_whole());
    }

    #[test]
    fn a_drag_ends_at_the_ends_of_the_prompt() {
        let zoomed = ALL.zoomed(0.5, 0.1);
        assert_eq!(zoomed.panned(100.0).columns(), 900..1000);
        assert_eq!(zoomed.panned(-100.0).columns(), 0..100);
    }
}
