//! The rows of attention as colours, with their words, the positions under them, and what the pointer does.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::ops::Range;

use egui::{
    Align2, FontId, Id, Label, Rect, Response, Role, Sense, Stroke, Ui, UiBuilder, WidgetInfo,
    pos2, vec2,
};

use super::range::Span;
use crate::gui::attention_picture::{AttentionBlock, AttentionPicture};
use crate::gui::command::{Commands, LookCommand};
use crate::gui::theme::ColorMap;
use crate::gui::views::View;
use crate::gui::views::token_rows::visible;
use crate::gui::widgets::color_bar::{ColorBar, upright};
use crate::gui::widgets::matrix::{BAR_GAP, letters};
use crate::gui::widgets::texture::{TextureKey, cached_texture, paint_texture};

/// Height of a block's title, and of the marks of needed tokens.
const TITLE_HEIGHT: f32 = 16.0;
const EVIDENCE_HEIGHT: f32 = 5.0;
/// Between letters and what they stand at.
const GAP: f32 = 3.0;
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
    let letters = letters(ui.available_size());
    let below = below_height(letters) + missing + 6.0;
    let room = (ui.available_height() - titles - below).max(40.0);
    let has_words = room / rows.max(1) as f32 >= SMALLEST_ROW;
    let left = letters + GAP + if has_words { WORDS_WIDTH } else { 0.0 };
    let highest = picture.highest(view.settings.choices.attention_scale);
    let bar = ColorBar {
        map: ColorMap::Heat,
        // the colour is the root of the share
        number: &|share| share * share * highest,
        name: "attention weight",
        size: letters,
    };
    let width = (ui.available_width() - left - BAR_GAP - bar.width(ui)).max(60.0);
    let span = Span::shown(ui, view, picture.columns);
    let top = ui.cursor().top();
    let mut bottom = top;
    for block in blocks {
        title_ui(ui, &title(block, has_words), letters + GAP);
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
    below_ui(ui, view, picture, &span, (left, width, letters));
    let (first, top) = (ui.max_rect().left(), top + TITLE_HEIGHT);
    let at = pos2(first + left + width + BAR_GAP, top);
    bar.show(ui, at, bottom - top, view.theme);
    let middle = pos2(first, (top + bottom) / 2.0);
    upright(ui, "Query", letters, middle, bottom - top);
}

/// Height of the marks of needed tokens, of the positions, and of the name of their axis.
fn below_height(letters: f32) -> f32 {
    EVIDENCE_HEIGHT + 2.0 * (letters + GAP)
}

/// A block's title, right of the name of the axis that all blocks share.
fn title_ui(ui: &mut Ui, title: &str, left: f32) {
    let size = vec2(ui.available_width(), TITLE_HEIGHT);
    let (row, _) = ui.allocate_exact_size(size, Sense::hover());
    let room = UiBuilder::new().max_rect(row.with_min_x(row.left() + left));
    ui.scope_builder(room, |ui| ui.add(Label::new(title).truncate()));
}

/// What the rows are, and what stands beside them where they have words.
fn title(block: &AttentionBlock, has_words: bool) -> String {
    let lacking = match has_words && lacks_some_texts(block) {
        true => "; a number in brackets counts a token whose text this session does not hold",
        false => "",
    };
    match block.positions.len() {
        1 => format!("{}: 1 row{lacking}", block.label),
        rows => format!("{}: {rows} rows{lacking}", block.label),
    }
}

/// Whether some rows have a word and others none.
fn lacks_some_texts(block: &AttentionBlock) -> bool {
    let has_word = |text: &String| !text.trim().is_empty();
    block.texts.iter().any(has_word) && block.texts.iter().any(String::is_empty)
}

/// What stands beside a row: its word; where it has none but others do, its number as the player has it; else its
/// position.
fn row_word(block: &AttentionBlock, row: usize) -> String {
    let text = block.texts.get(row).map_or("", String::as_str);
    match text {
        "" if lacks_some_texts(block) => format!("[{}]", row + 1),
        "" => block
            .positions
            .get(row)
            .map_or(String::new(), u32::to_string),
        text => visible(text.trim_matches(' ')).collect(),
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
        for row in 0..rows {
            let text = row_word(self.block, row);
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
    (left, width, letters): (f32, f32, f32),
) {
    let size = vec2(left + width, below_height(letters));
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
    let most = (width / (5.6 * letters)).clamp(2.0, MOST_TICKS);
    let step = nice_step(shown.len() as f32 / most);
    let color = ui.visuals().weak_text_color();
    let font = || FontId::proportional(letters);
    let top = rect.top() + EVIDENCE_HEIGHT;
    for token in shown.clone().filter(|token| token.is_multiple_of(step)) {
        let at = pos2(place(token), top);
        painter.text(at, Align2::CENTER_TOP, token, font(), color);
    }
    let at = pos2(rect.center().x, top + letters + GAP);
    painter.text(at, Align2::CENTER_TOP, "Token of the prompt", font(), color);
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
    fn a_row_without_a_word_is_no_number_among_words() {
        let block = |texts: &[&str]| AttentionBlock {
            label: "decode".to_owned(),
            positions: vec![1075, 1076, 1077],
            texts: texts.iter().map(|text| (*text).to_owned()).collect(),
            weights: Vec::new(),
        };
        let words = |block: &AttentionBlock| [0, 1, 2].map(|row| row_word(block, row));
        let some = block(&["", " code", "\n"]);
        assert_eq!(words(&some), ["[1]", "code", "↵"]);
        assert!(title(&some, true).contains("does not hold"));
        assert_eq!(title(&some, false), "decode: 3 rows");
        let none = block(&["", "", ""]);
        assert_eq!(words(&none), ["1075", "1076", "1077"]);
        assert_eq!(title(&none, true), "decode: 3 rows");
    }

    #[test]
    fn positions_stand_at_round_numbers() {
        assert_eq!(
            [0.3, 1.5, 3.0, 14.0, 60.0, 210.0].map(nice_step),
            [1, 2, 5, 20, 100, 500]
        );
    }
}
