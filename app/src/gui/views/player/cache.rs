//! The prompt as the cache has it at a step: what is gone is struck out, what the step looks at is bright.

use egui::{
    Align2, Color32, FontId, Rect, Role, ScrollArea, Sense, Stroke, TextStyle, Ui, WidgetInfo, vec2,
};

use crate::gui::attention_picture::AttentionPicture;
use crate::gui::command::Commands;
use crate::gui::theme::{ColorMap, Theme};
use crate::gui::views::View;
use crate::gui::views::token_rows::{Piece, cached_rows, hidden_behind};
use crate::gui::views::tokens::marks;

/// Room under the letters.
const ROW_GAP: f32 = 4.0;

/// Draws the prompt, row by row, only as far as it is in sight.
pub(super) fn cache_ui(
    ui: &mut Ui,
    view: &View<'_>,
    picture: &AttentionPicture,
    step: usize,
    kept: &[bool],
    commands: &mut Commands,
) {
    let Some((_, shown)) = view.shown() else {
        return;
    };
    let font = TextStyle::Monospace.resolve(ui.style());
    let row_height = ui.fonts_mut(|fonts| fonts.row_height(&font)) + ROW_GAP;
    let width = ui.available_width() - ui.spacing().scroll.bar_width - 10.0;
    let rows = cached_rows(ui, "rows of the player", shown, width.floor(), &font);
    let weights = picture.row(&picture.decode, step);
    let painted = Painted {
        view,
        picture,
        weights,
        // the row's own strongest, but for a sink that would hide all others
        highest: strongest(weights),
        kept,
        font: &font,
    };
    ui.spacing_mut().item_spacing.y = 0.0;
    let mut area = ScrollArea::vertical()
        .id_salt("text of the player")
        .auto_shrink(false);
    if let Some(token) = view.scroll_to {
        let top = rows.row_of(token) as f32 * row_height - ui.available_height() / 3.0;
        area = area.vertical_scroll_offset(top.max(0.0));
    }
    area.show_rows(ui, row_height, rows.len(), |ui, in_sight| {
        let size = vec2(ui.available_width(), row_height * in_sight.len() as f32);
        let (rect, response) = ui.allocate_exact_size(size, Sense::hover());
        response.widget_info(|| WidgetInfo::labeled(Role::Canvas, true, "Cache at this step"));
        let mut hovered = None;
        for row in in_sight.clone() {
            let top = (row - in_sight.start) as f32 * row_height;
            let mut letters = None;
            for piece in rows.row(row) {
                let min = rect.min + vec2(piece.left, top);
                let place = Rect::from_min_size(min, vec2(piece.width, row_height));
                letters = Some(painted.piece(ui, place, piece, letters));
                if response.hover_pos().is_some_and(|at| place.contains(at)) {
                    hovered = Some(piece.token);
                }
            }
        }
        if let Some(token) = hovered {
            commands.hover.token = Some(token);
            response.on_hover_text_at_pointer(painted.words(token));
        }
    });
}

/// The weight that has the strongest colour: the third largest, so that one or two sinks do not hide the others.
fn strongest(weights: &[f32]) -> f32 {
    let mut largest = [0.0_f32; 3];
    for &weight in weights {
        if let Some(place) = largest.iter().position(|known| weight > *known) {
            largest[place..].rotate_right(1);
            largest[place] = weight;
        }
    }
    largest[2].max(f32::MIN_POSITIVE)
}

struct Painted<'a> {
    view: &'a View<'a>,
    picture: &'a AttentionPicture,
    weights: &'a [f32],
    highest: f32,
    kept: &'a [bool],
    font: &'a FontId,
}

impl Painted<'_> {
    fn weight(&self, token: usize) -> f32 {
        let column = self.picture.column_of(token);
        self.weights.get(column).copied().unwrap_or(f32::NAN)
    }

    fn is_needed(&self, token: usize) -> bool {
        let shown = self.view.shown();
        let mut spans = shown
            .iter()
            .flat_map(|(_, shown)| &shown.sample.record.evidence_tokens);
        spans.any(|span| span.contains(&token))
    }

    /// Draws a piece beside one whose letters are black or white; gives which its own are.
    fn piece(&self, ui: &Ui, rect: Rect, piece: &Piece, before: Option<Color32>) -> Color32 {
        let theme = self.view.theme;
        let share = (self.weight(piece.token) / self.highest).min(1.0);
        let heat = theme.map(ColorMap::Heat, share.sqrt());
        let (own, background) = Theme::letters_beside(heat, before);
        let letters = rect.with_max_y(rect.max.y - ROW_GAP + 1.0);
        let painter = ui.painter();
        painter.rect_filled(letters, 0.0, background);
        let is_kept = self.kept.get(piece.token) == Some(&true);
        let color = match is_kept {
            true => own,
            false => Theme::faint(own, background),
        };
        let at = rect.left_top();
        painter.text(at, Align2::LEFT_TOP, &piece.text, self.font.clone(), color);
        if !is_kept {
            let y = letters.center().y;
            painter.hline(letters.x_range(), y, Stroke::new(1.0, theme.missed));
        }
        if self.is_needed(piece.token) {
            let hidden = self
                .view
                .shown()
                .map_or(0, |(_, shown)| hidden_behind(shown, piece.token));
            let next = piece.token + 1 + hidden;
            let closed = marks::closed_sides(piece.token, next, |token| self.is_needed(token));
            marks::frame(painter, letters, closed, theme);
        }
        if self.view.hover.token == Some(piece.token) {
            let stroke = Stroke::new(1.0, theme.selection);
            painter.rect_stroke(letters, 0.0, stroke, egui::StrokeKind::Outside);
        }
        own
    }

    fn words(&self, token: usize) -> String {
        let fate = match self.kept.get(token) {
            Some(true) => "stays in the cache",
            _ => "is gone",
        };
        let needed = match self.is_needed(token) {
            true => "; holds what the answer needs",
            false => "",
        };
        format!(
            "Position {token}: attention {:.4}; {fate}{needed}",
            self.weight(token)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_sinks_do_not_hide_the_others() {
        assert_eq!(strongest(&[0.5, 0.01, 0.3, 0.02, 0.05]), 0.05);
        assert_eq!(strongest(&[0.1, 0.2]), f32::MIN_POSITIVE);
    }
}
