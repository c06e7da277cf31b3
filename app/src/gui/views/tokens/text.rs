//! The text itself, row by row, only as far as it is in sight.

use egui::{
    Align2, Color32, FontId, Grid, Pos2, Rect, Role, ScrollArea, Sense, TextStyle, Ui, WidgetInfo,
    vec2,
};

use super::marks::{self, Mark};
use super::{heat_color, strip};
use crate::gui::command::Commands;
use crate::gui::data::Shown;
use crate::gui::derived::{KeptTokens, TokenScores, TokenShade};
use crate::gui::theme::Theme;
use crate::gui::views::token_rows::{Piece, TokenRows, cached_rows, hidden_behind};
use crate::gui::views::{View, empty_hint};

/// Room under the letters for the marks.
const ROW_GAP: f32 = 5.0;

/// Draws the text.
pub(super) fn text_ui(ui: &mut Ui, view: &View<'_>, commands: &mut Commands) {
    let derived = view.derived;
    let (Some((_, shown)), Some(tokens), Some(shade), Some(kept)) = (
        view.shown(),
        derived.tokens(),
        derived.shade(),
        derived.kept(),
    ) else {
        return;
    };
    let font = TextStyle::Monospace.resolve(ui.style());
    let row_height = ui.fonts_mut(|fonts| fonts.row_height(&font)) + ROW_GAP;
    let width = ui.available_width() - ui.spacing().scroll.bar_width - 10.0;
    let rows = cached_rows(ui, "token rows", shown, width.floor(), &font);
    if rows.is_empty() {
        empty_hint(ui, "This prompt has no text to show");
        return;
    }
    let mut area = ScrollArea::vertical()
        .id_salt("token text")
        .auto_shrink(false);
    if let Some(token) = view.scroll_to {
        let top = rows.row_of(token) as f32 * row_height - ui.available_height() / 3.0;
        area = area.vertical_scroll_offset(top.max(0.0));
    }
    ui.spacing_mut().item_spacing.y = 0.0;
    area.show_rows(ui, row_height, rows.len(), |ui, in_sight| {
        let size = vec2(ui.available_width(), row_height * in_sight.len() as f32);
        let (rect, response) = ui.allocate_exact_size(size, Sense::hover());
        response.widget_info(|| WidgetInfo::labeled(Role::Canvas, true, "Text of the prompt"));
        let page = Page {
            rect,
            first_row: in_sight.start,
            row_height,
            rows: &rows,
        };
        let painted = Painted {
            shown,
            tokens,
            shade,
            kept,
            budget: derived.budget_tokens(),
            theme: view.theme,
            font: &font,
        };
        let hovered = response.hover_pos().and_then(|at| page.token_at(at));
        if hovered.is_some() {
            commands.hover.token = hovered;
        }
        let glowing = hovered.or(view.hover.token);
        for row in in_sight.clone() {
            let mut letters = None;
            for piece in rows.row(row) {
                let rect = page.rect_of(row, piece);
                letters = Some(painted.piece(ui, rect, piece, glowing, letters));
            }
        }
        remember_sight(ui, &rows, in_sight);
        if let Some(token) = hovered {
            response.on_hover_ui_at_pointer(|ui| painted.hover_ui(ui, token, view));
        }
    });
}

fn remember_sight(ui: &Ui, rows: &TokenRows, in_sight: std::ops::Range<usize>) {
    let first = rows.row(in_sight.start).first();
    let last = rows.row(in_sight.end.saturating_sub(1)).last();
    if let (Some(first), Some(last)) = (first, last) {
        let sight = (first.token, last.token);
        let known = ui.data(|data| data.get_temp::<(usize, usize)>(strip::sight_id()));
        if known != Some(sight) {
            // The strip was drawn before the text of this frame: it has to follow.
            ui.ctx().request_repaint();
        }
        ui.data_mut(|data| data.insert_temp(strip::sight_id(), sight));
    }
}

/// The rows in sight and where they stand.
struct Page<'a> {
    rect: Rect,
    first_row: usize,
    row_height: f32,
    rows: &'a TokenRows,
}

impl Page<'_> {
    fn rect_of(&self, row: usize, piece: &Piece) -> Rect {
        let from_top = (row - self.first_row) as f32 * self.row_height;
        let min = self.rect.min + vec2(piece.left, from_top);
        Rect::from_min_size(min, vec2(piece.width, self.row_height))
    }

    fn token_at(&self, at: Pos2) -> Option<usize> {
        let row = self.first_row + ((at.y - self.rect.top()) / self.row_height) as usize;
        let left = at.x - self.rect.left();
        self.rows
            .row(row)
            .iter()
            .find(|piece| (piece.left..piece.left + piece.width).contains(&left))
            .map(|piece| piece.token)
    }
}

struct Painted<'a> {
    shown: &'a Shown,
    tokens: &'a TokenScores,
    shade: &'a TokenShade,
    kept: &'a KeptTokens,
    budget: usize,
    theme: &'a Theme,
    font: &'a FontId,
}

impl Painted<'_> {
    /// Draws a piece beside one whose letters are black or white; gives which its own are.
    fn piece(
        &self,
        ui: &Ui,
        rect: Rect,
        piece: &Piece,
        glowing: Option<usize>,
        before: Option<Color32>,
    ) -> Color32 {
        let token = piece.token;
        let value = self.shade.values.get(token).copied().unwrap_or(f32::NAN);
        let heat = heat_color(self.theme, value, self.shade.difference);
        let (own, background) = Theme::letters_beside(heat, before);
        let letters = rect.with_max_y(rect.max.y - ROW_GAP + 1.0);
        let painter = ui.painter();
        painter.rect_filled(letters, 0.0, background);
        let kept = self.kept.by_window(token);
        let missed = !kept && self.kept.by_oracle(token);
        let color = match kept || missed {
            true => own,
            false => Theme::faint(own, background),
        };
        painter.text(
            rect.left_top(),
            Align2::LEFT_TOP,
            &piece.text,
            self.font.clone(),
            color,
        );
        if kept {
            marks::paint(painter, rect, Mark::Kept, self.theme);
        } else if missed {
            marks::paint(painter, rect, Mark::Missed, self.theme);
        }
        if self.is_evidence(token) {
            let next = token + 1 + hidden_behind(self.shown, token);
            let closed = marks::closed_sides(token, next, |token| self.is_evidence(token));
            marks::frame(painter, letters, closed, self.theme);
        }
        if glowing == Some(token) {
            let stroke = egui::Stroke::new(1.0, self.theme.selection);
            painter.rect_stroke(letters, 0.0, stroke, egui::StrokeKind::Outside);
        }
        own
    }

    fn is_evidence(&self, token: usize) -> bool {
        let spans = &self.shown.sample.record.evidence_tokens;
        spans.iter().any(|span| span.contains(&token))
    }

    fn hover_ui(&self, ui: &mut Ui, token: usize, view: &View<'_>) {
        let record = &self.shown.sample.record;
        let text = record.token_texts.get(token).map_or("", String::as_str);
        ui.monospace(format!("{text:?}"));
        let id = record.prompt_ids.get(token).copied().unwrap_or(0);
        ui.weak(format!(
            "position {token} of {} · id {id}",
            self.tokens.len()
        ));
        let hidden = hidden_behind(self.shown, token);
        if hidden > 0 {
            ui.weak(format!(
                "{} tokens make up what is shown, to position {}; the numbers are of the first",
                hidden + 1,
                token + hidden
            ));
        }
        let window = view.derived.window.as_deref().unwrap_or("window");
        let rank =
            |rank: Option<usize>| rank.map_or("exempt".to_owned(), |rank| (rank + 1).to_string());
        let score =
            |score: Option<f32>| score.map_or("–".to_owned(), |score| format!("{score:.3e}"));
        Grid::new("token ranks").num_columns(3).show(ui, |ui| {
            for title in ["", "rank", "importance"] {
                ui.weak(title);
            }
            ui.end_row();
            ui.label("oracle");
            ui.monospace(rank(self.tokens.oracle_rank(token)));
            ui.monospace(score(self.tokens.oracle_score(token)));
            ui.end_row();
            ui.label(window);
            ui.monospace(rank(self.tokens.window_rank(token)));
            ui.monospace(score(self.tokens.window_score(token)));
            ui.end_row();
        });
        let fate = match (self.kept.by_oracle(token), self.kept.by_window(token)) {
            (true, true) => "kept, as the oracle would",
            (true, false) => "missed: the oracle would keep it",
            (false, true) => "kept, though the oracle would not",
            (false, false) => "evicted, as the oracle would",
        };
        ui.label(format!("At {} tokens: {fate}", self.budget));
        if self.is_evidence(token) {
            ui.label("Holds what the answer needs");
        }
    }
}
