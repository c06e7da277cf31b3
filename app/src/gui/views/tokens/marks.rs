//! The marks on tokens: shapes, so that they do not hang on colour alone.

use egui::{Painter, Rect, Shape, Stroke};

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
            frame(painter, rect, [true; 2], theme);
        }
    }
}

/// Frames a token that holds what the answer needs; open at the sides where the next such token follows, because two
/// edges between them would hide letters.
pub fn frame(painter: &Painter, rect: Rect, is_closed: [bool; 2], theme: &Theme) {
    let stroke = Stroke::new(1.5, theme.evidence);
    for y in [rect.top() + 0.75, rect.bottom() - 0.75] {
        painter.hline(rect.x_range(), y, stroke);
    }
    let sides = [rect.left() - 0.5, rect.right() + 0.5];
    for (x, _) in sides
        .into_iter()
        .zip(is_closed)
        .filter(|(_, closed)| *closed)
    {
        painter.vline(x, rect.y_range(), stroke);
    }
}

/// At which sides the frame of a token is closed: where its neighbour needs none. `next` is the next token that is drawn.
#[must_use]
pub fn closed_sides(token: usize, next: usize, is_needed: impl Fn(usize) -> bool) -> [bool; 2] {
    let before = token.checked_sub(1).is_some_and(&is_needed);
    [!before, !is_needed(next)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_of_needed_tokens_has_one_frame() {
        let is_needed = |token: usize| (3..6).contains(&token) || token == 0;
        assert_eq!(closed_sides(0, 1, is_needed), [true, true]);
        assert_eq!(closed_sides(3, 4, is_needed), [true, false]);
        assert_eq!(closed_sides(4, 5, is_needed), [false, false]);
        assert_eq!(closed_sides(5, 6, is_needed), [false, true]);
        // where 4 and 5 are parts of the letter that is drawn with 3
        assert_eq!(closed_sides(3, 6, is_needed), [true, true]);
    }
}
