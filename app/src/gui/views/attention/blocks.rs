//! The rows of attention as colours, with their words, the positions under them, and what the pointer does.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::ops::Range;

use egui::{Align2, FontId, Id, Rect, Response, Role, Sense, Stroke, Ui, WidgetInfo, pos2, vec2};

use super::range::Span;
use crate::gui::attention_picture::{AttentionBlock, AttentionPicture};
use crate::gui::command::{Commands, LookCommand};
use crate::gui::theme::ColorMap;
use crate::gui::views::View;
use crate::gui::widgets::color_bar::{BAR_WIDTH, color_bar};
use crate::gui::widgets::texture::{TextureKey, cached_texture, paint_texture};

/// Height of a block's title, of the marks of needed tokens, and of the positions.
const TITLE_HEIGHT: f32 = 16.0;
const EVIDENCE_HEIGHT: f32 = 5.0;
const TICKS_HEIGHT: f32 = 14.0;
/// Room for the words of the rows, where they can be read.
const WORDS_WIDTH: f32 = 64.0;
const SMALLEST_ROW: f32 = 9.0;
const MOST_TICKS: f32 = 9.0;

/// Draws every block of a picture on one scale.
pub(super) fn blocks_ui(
    ui: &mut Ui,
    view: &View<'_>,
    picture: &AttentionPicture,
    commands: &mut Commands,
) {
    let blocks: Vec<&AttentionBlock> = [Some(&picture.decode), picture.window.as_ref()]
        .into_iter()
        .flatten()
        .filter(|block| !block.positions.is_empty())
        .collect();
    let rows: usize = blocks.iter().map(|block| block.positions.len()).sum();
    let titles = (TITLE_HEIGHT + ui.spacing().item_spacing.y) * blocks.len() as f32;
    let missing = if picture.window.is_none() { 18.0 } else { 0.0 };
    let below = EVIDENCE_HEIGHT + TICKS_HEIGHT + missing + 20.0;
    let room = (ui.available_height() - titles - below).max(40.0);
    let has_words = room / rows.max(1) as f32 >= SMALLEST_ROW;
    let left = if has_words { WORDS_WIDTH } else { 0.0 };
    let width = (ui.available_width() - left - BAR_WIDTH - 8.0).max(60.0);
    let span = Span::shown(ui, view, picture.columns);
    let top = ui.cursor().top();
    let mut bottom = top;
    for block in blocks {
        ui.add(egui::Label::new(title(block)).truncate());
        let size = vec2(
            left + width,
            room * block.positions.len() as f32 / rows.max(1) as f32,
        );
        let (whole, response) = ui.allocate_exact_size(size, Sense::click_and_drag());
        let rect = whole.with_min_x(whole.left() + left);
        let drawn = Drawn {
            view,
            picture,
            block,
            rect,
            span: &span,
        };
        drawn.block_ui(ui, &response, has_words, commands);
        span.moved(ui, view, &response, rect);
        bottom = rect.bottom();
    }
    if picture.window.is_none() {
        ui.weak(format!(
            "{} observes with ready-made scores and has no rows",
            picture.key.window
        ));
    }
    below_ui(ui, view, picture, &span, (left, width));
    let bar = Rect::from_min_max(
        pos2(
            ui.max_rect().left() + left + width + 8.0,
            top + TITLE_HEIGHT,
        ),
        pos2(ui.max_rect().left() + left + width + 20.0, bottom),
    );
    let highest = picture.highest(view.settings.choices.attention_scale);
    // the colour is the root of the share
    color_bar(
        ui,
        bar,
        ColorMap::Heat,
        &|share| share * share * highest,
        view.theme,
    );
}

fn title(block: &AttentionBlock) -> String {
    match block.positions.len() {
        1 => format!("{}: 1 row", block.label),
        rows => format!("{}: {rows} rows", block.label),
    }
}

struct Drawn<'a> {
    view: &'a View<'a>,
    picture: &'a AttentionPicture,
    block: &'a AttentionBlock,
    rect: Rect,
    span: &'a Span,
}

impl Drawn<'_> {
    fn block_ui(&self, ui: &Ui, response: &Response, has_words: bool, commands: &mut Commands) {
        let name = format!("Attention of {}", self.block.label);
        response.widget_info(|| WidgetInfo::labeled(Role::Canvas, true, &name));
        self.paint(ui);
        if has_words {
            self.words(ui);
        }
        if let Some(token) = self.view.hover.token {
            let x = self.span.x_of(self.rect, token as f32 + 0.5);
            let stroke = Stroke::new(1.0, self.view.theme.selection.gamma_multiply(0.6));
            if self.rect.x_range().contains(x) {
                ui.painter().vline(x, self.rect.y_range(), stroke);
            }
        }
        let at = response.hover_pos().filter(|at| self.rect.contains(*at));
        let Some(at) = at else { return };
        let rows = self.block.positions.len();
        let share = (at.y - self.rect.top()) / self.rect.height();
        let row = ((share * rows as f32) as usize).min(rows.saturating_sub(1));
        let column = self.span.column_at(self.rect, at.x);
        let tokens = self.picture.tokens_of(column);
        commands.hover.token = Some(tokens.start);
        if response.clicked() {
            commands.send(LookCommand::ScrollToToken(tokens.start));
        }
        self.hover_ui(response, row, column, tokens);
    }

    fn hover_ui(&self, response: &Response, row: usize, column: usize, tokens: Range<usize>) {
        let block = self.block;
        let weight = block
            .weights
            .get(row * self.picture.columns + column)
            .copied();
        let shown = self.view.shown();
        let texts = shown.map(|(_, shown)| &shown.sample.record.token_texts);
        response.clone().on_hover_ui_at_pointer(|ui| {
            let position = block.positions.get(row).copied().unwrap_or(0);
            let own = block.texts.get(row).map_or("", String::as_str);
            ui.label(match own {
                "" => format!("Row at position {position}"),
                own => format!("Row at position {position} {own:?}"),
            });
            let text: String = texts
                .and_then(|texts| texts.get(tokens.clone()))
                .map_or(String::new(), <[String]>::concat);
            ui.label(format!("Token {} {text:?}", tokens.start));
            ui.monospace(format!("{:.4}", weight.unwrap_or(f32::NAN)));
        });
    }

    fn paint(&self, ui: &Ui) {
        let theme = self.view.theme;
        let pixels = (self.rect.width() * ui.pixels_per_point()) as usize;
        let part = self.span.columns();
        let columns = pixels.clamp(1, part.len().max(1));
        let highest = self
            .picture
            .highest(self.view.settings.choices.attention_scale);
        let mut shown = DefaultHasher::new();
        (part.start, part.end, highest.to_bits()).hash(&mut shown);
        let key = TextureKey {
            version: self.view.data.answers.attention.version(),
            size: [columns, self.block.positions.len()],
            dark: theme.is_dark(),
            part: shown.finish(),
        };
        let id = Id::unique(("attention", &self.block.label));
        let texture = cached_texture(ui.ctx(), id, key, || {
            let weights = self.picture.squeezed(self.block, part, columns).into_iter();
            weights
                .map(|weight| theme.map(ColorMap::Heat, (weight / highest).sqrt()))
                .collect()
        });
        if let Some(texture) = texture {
            paint_texture(ui.painter(), &texture, self.rect);
        }
    }

    /// The rows' own words at the left.
    fn words(&self, ui: &Ui) {
        let rows = self.block.positions.len();
        let height = self.rect.height() / rows.max(1) as f32;
        let font = FontId::monospace((height - 1.0).clamp(8.0, 11.0));
        let color = ui.visuals().weak_text_color();
        let room = self
            .rect
            .with_min_x(self.rect.left() - WORDS_WIDTH)
            .with_max_x(self.rect.left());
        let painter = ui.painter().with_clip_rect(room);
        for (row, position) in self.block.positions.iter().enumerate() {
            let own = self.block.texts.get(row).map_or("", |text| text.trim());
            let text = match own {
                "" => position.to_string(),
                own => own.to_owned(),
            };
            let y = self.rect.top() + (row as f32 + 0.5) * height;
            let at = pos2(self.rect.left() - 4.0, y);
            painter.text(at, Align2::RIGHT_CENTER, text, font.clone(), color);
        }
    }
}

/// The needed tokens, and positions, under the columns that are shown.
fn below_ui(
    ui: &mut Ui,
    view: &View<'_>,
    picture: &AttentionPicture,
    span: &Span,
    (left, width): (f32, f32),
) {
    let size = vec2(left + width, EVIDENCE_HEIGHT + TICKS_HEIGHT);
    let (whole, response) = ui.allocate_exact_size(size, Sense::hover());
    let rect = whole.with_min_x(whole.left() + left);
    let painter = ui.painter().with_clip_rect(rect.expand2(vec2(12.0, 0.0)));
    let place = |token: usize| {
        let column = token as f32 * picture.columns as f32 / picture.tokens.max(1) as f32;
        span.x_of(rect, column)
    };
    if let Some((_, shown)) = view.shown() {
        for needed in &shown.sample.record.evidence_tokens {
            let (first, last) = (place(needed.start), place(needed.end));
            let (first, last) = (
                first.max(rect.left()),
                last.max(first + 3.0).min(rect.right()),
            );
            if first < last {
                let bar = Rect::from_min_max(
                    pos2(first, rect.top()),
                    pos2(last, rect.top() + EVIDENCE_HEIGHT),
                );
                painter.rect_filled(bar, 1.0, view.theme.evidence);
            }
        }
    }
    let shown = picture.tokens_of(span.columns().start).start
        ..picture.tokens_of(span.columns().end.saturating_sub(1)).end;
    let most = (width / 56.0).clamp(2.0, MOST_TICKS);
    let step = nice_step(shown.len() as f32 / most);
    let color = ui.visuals().weak_text_color();
    for token in shown.clone().filter(|token| token.is_multiple_of(step)) {
        let at = pos2(place(token), rect.top() + EVIDENCE_HEIGHT);
        painter.text(
            at,
            Align2::CENTER_TOP,
            token,
            FontId::proportional(10.0),
            color,
        );
    }
    response.on_hover_text(
        "Positions of the prompt; the bars are tokens that hold what the answer needs",
    );
}

/// The next of 1, 2, 5, 10, 20, 50 and so on.
fn nice_step(least: f32) -> usize {
    let mut unit = 1;
    loop {
        for step in [unit, 2 * unit, 5 * unit] {
            if step as f32 >= least {
                return step;
            }
        }
        unit *= 10;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_stand_at_round_numbers() {
        assert_eq!(
            [0.3, 1.5, 3.0, 14.0, 60.0, 210.0].map(nice_step),
            [1, 2, 5, 20, 100, 500]
        );
    }
}
