//! The marks on tokens: shapes, so that they do not hang on colour alone.

use egui::{Painter, Rect, Shape, Stroke, StrokeKind};

use crate::gui::theme::Theme;

/// What a token is at the budget, or by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// The window keeps it: a line under it.
    Kept,
    /// The oracle keeps it and the window does not: a dotted line under it.
    Missed,
    /// It holds what the answer needs: a frame.
    Evidence,
}

/// Draws a mark on the text in `rect`.
pub fn paint(painter: &Painter, rect: Rect, mark: Mark, theme: &Theme) {
    let under = [
        rect.left_bottom() + egui::vec2(0.5, -1.0),
        rect.right_bottom() + egui::vec2(-0.5, -1.0),
    ];
    match mark {
        Mark::Kept => {
            painter.line_segment(under, Stroke::new(2.0, theme.kept));
        }
        Mark::Missed => {
            painter.extend(Shape::dotted_line(&under, theme.missed, 4.0, 1.4));
        }
        Mark::Evidence => {
            painter.rect_stroke(
                rect,
                2.0,
                Stroke::new(1.5, theme.evidence),
                StrokeKind::Inside,
            );
        }
    }
}
