//! Breaks the prompt's tokens into rows, so that only the rows in sight need drawing.

use std::ops::Range;
use std::sync::Arc;

use egui::{FontId, Id, Ui};

use crate::gui::data::Shown;

/// A piece of a token on one row; a token longer than a row has several.
#[derive(Clone, Debug, PartialEq)]
pub struct Piece {
    /// The token.
    pub token: usize,
    /// What is drawn.
    pub text: String,
    /// Distance from the row's left end.
    pub left: f32,
    /// Width of the text.
    pub width: f32,
}

/// All rows of a prompt at one width.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TokenRows {
    pieces: Vec<Piece>,
    rows: Vec<Range<usize>>,
    first_row: Vec<usize>,
}

impl TokenRows {
    /// Breaks `tokens` into rows of at most `width`; a row ends after a line break.
    ///
    /// `char_width` measures one character.
    pub fn of(tokens: &[String], width: f32, mut char_width: impl FnMut(char) -> f32) -> Self {
        let mut rows = Self::default();
        let mut row_start = 0;
        let mut left = 0.0;
        for (token, text) in tokens.iter().enumerate() {
            let whole: f32 = visible(text).map(&mut char_width).sum();
            // A token goes to the next row as a whole if it fits there.
            if left > 0.0 && left + whole > width {
                rows.end_row(&mut row_start, &mut left);
            }
            rows.first_row.push(rows.rows.len());
            let mut piece = String::new();
            let mut piece_width = 0.0;
            for shown in visible(text) {
                let step = char_width(shown);
                if left + piece_width + step > width && left + piece_width > 0.0 {
                    rows.push(token, &mut piece, left, &mut piece_width);
                    rows.end_row(&mut row_start, &mut left);
                }
                piece.push(shown);
                piece_width += step;
                if shown == LINE_BREAK {
                    rows.push(token, &mut piece, left, &mut piece_width);
                    rows.end_row(&mut row_start, &mut left);
                }
            }
            let taken = piece_width;
            rows.push(token, &mut piece, left, &mut piece_width);
            left += taken;
        }
        if row_start < rows.pieces.len() {
            rows.end_row(&mut row_start, &mut left);
        }
        rows
    }

    fn push(&mut self, token: usize, text: &mut String, left: f32, width: &mut f32) {
        if !text.is_empty() {
            self.pieces.push(Piece {
                token,
                text: std::mem::take(text),
                left,
                width: std::mem::take(width),
            });
        }
    }

    fn end_row(&mut self, start: &mut usize, left: &mut f32) {
        self.rows.push(*start..self.pieces.len());
        *start = self.pieces.len();
        *left = 0.0;
    }

    /// How many rows there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there is nothing to draw.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The pieces of one row.
    #[must_use]
    pub fn row(&self, row: usize) -> &[Piece] {
        self.rows
            .get(row)
            .and_then(|range| self.pieces.get(range.clone()))
            .unwrap_or(&[])
    }

    /// The row in which a token begins.
    #[must_use]
    pub fn row_of(&self, token: usize) -> usize {
        self.first_row.get(token).copied().unwrap_or(0)
    }
}

#[derive(Clone)]
struct CachedRows {
    version: u64,
    width: f32,
    rows: Arc<TokenRows>,
}

/// The rows of a sample at a width, broken anew only when one of them changes; `name` tells views apart.
pub fn cached_rows(
    ui: &Ui,
    name: &str,
    shown: &Shown,
    width: f32,
    font: &FontId,
) -> Arc<TokenRows> {
    let id = Id::unique(name);
    if let Some(cached) = ui.data(|data| data.get_temp::<CachedRows>(id))
        && cached.version == shown.version
        && cached.width == width
    {
        return cached.rows;
    }
    let rows = ui.fonts_mut(|fonts| {
        TokenRows::of(&shown.sample.record.token_texts, width, |character| {
            fonts.glyph_width(font, character)
        })
    });
    let cached = CachedRows {
        version: shown.version,
        width,
        rows: Arc::new(rows),
    };
    let rows = Arc::clone(&cached.rows);
    ui.data_mut(|data| data.insert_temp(id, cached));
    rows
}

/// How many tokens behind this one have no text of their own: a letter of several tokens is shown with the first.
#[must_use]
pub fn hidden_behind(shown: &Shown, token: usize) -> usize {
    let texts = shown.sample.record.token_texts.iter().skip(token + 1);
    texts.take_while(|text| text.is_empty()).count()
}

/// Stands for a line break, so that its heat can be seen.
const LINE_BREAK: char = '↵';

/// The characters as they are drawn: nothing invisible but the blank.
pub(super) fn visible(text: &str) -> impl Iterator<Item = char> + '_ {
    text.chars().map(|character| match character {
        '\n' => LINE_BREAK,
        '\t' => '→',
        control if control.is_control() => '·',
        other => other,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(tokens: &[&str], width: f32) -> Vec<Vec<String>> {
        let tokens: Vec<String> = tokens.iter().map(|token| (*token).to_owned()).collect();
        let rows = TokenRows::of(&tokens, width, |_| 1.0);
        (0..rows.len())
            .map(|row| {
                rows.row(row)
                    .iter()
                    .map(|piece| piece.text.clone())
                    .collect()
            })
            .collect()
    }

    #[test]
    fn tokens_wrap_as_wholes_and_long_ones_are_broken() {
        assert_eq!(
            rows(&["abc", " de", "fghijklmnop", "q"], 6.0),
            [vec!["abc", " de"], vec!["fghijk"], vec!["lmnop", "q"]]
        );
    }

    #[test]
    fn a_row_ends_after_a_line_break() {
        assert_eq!(
            rows(&["a", "\n", "\n\n", "b\tc"], 10.0),
            [vec!["a", "↵"], vec!["↵"], vec!["↵"], vec!["b→c"]]
        );
    }

    #[test]
    fn a_token_is_found_in_its_row() {
        let tokens: Vec<String> = (0..1000).map(|token| format!(" t{token:03}")).collect();
        let rows = TokenRows::of(&tokens, 52.0, |_| 1.0);
        for token in [0, 9, 10, 555, 999] {
            let row = rows.row_of(token);
            assert!(rows.row(row).iter().any(|piece| piece.token == token));
        }
        assert_eq!(rows.len(), 100);
        let total: usize = (0..rows.len()).map(|row| rows.row(row).len()).sum();
        assert_eq!(total, 1000);
    }

    #[test]
    fn an_empty_token_takes_no_room() {
        assert_eq!(rows(&["", "a", ""], 4.0), [vec!["a"]]);
        assert!(rows(&[], 4.0).is_empty());
    }
}
