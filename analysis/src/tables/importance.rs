//! `importance.parquet`: every score and rank, streamed because heads times tokens can be huge.

use std::ops::Range;

use super::declare::table;
use super::error::TableError;
use super::sample::SampleContext;
use super::window_head::{WindowHead, count};
use super::writer::{Table, TableWriter};
use crate::comparison::same;
use crate::error::AnalysisError;
use crate::importance::Importance;
use crate::ranking::{Rankings, UNRANKED};

table! {
    ImportanceTable in "importance.parquet", one row per "window, head and prompt token", row groups of 1 << 18;
    /// One prompt token as one head of one window scores it.
    #[derive(Copy)]
    ImportanceRow<'a> {
        /// The sample.
        sample: &'a SampleContext,
        /// The head.
        head: WindowHead<'a>,
        /// Text of the token.
        token: &'a str,
        /// Position of the token in the prompt, from 0.
        position: u32,
        /// Id of the token in the vocabulary.
        token_id: u32,
        /// The importance.
        score: f32,
        /// Rank among the rankable tokens, 0 for the best; missing for tokens that are exempt or that the layer does not see.
        rank: Option<u32>,
    }
}

/// One window's scores and ranks of one sample.
#[derive(Debug, Clone, Copy)]
pub struct ImportanceInput<'a> {
    /// The sample.
    pub sample: &'a SampleContext,
    /// Label of the window as it was typed, `decode` for the oracle.
    pub window: &'a str,
    /// The layer of the model that the scores' first layer is.
    pub first_layer: usize,
    /// Ids of the prompt's tokens, `[T]`.
    pub token_ids: &'a [u32],
    /// Texts of the prompt's tokens, `[T]`.
    pub token_texts: &'a [String],
    /// The scores.
    pub importance: &'a Importance,
    /// The ranking of the same scores.
    pub rankings: &'a Rankings,
}

impl<'a> ImportanceInput<'a> {
    fn check(&self) -> Result<(), AnalysisError> {
        let (importance, rankings) = (self.importance, self.rankings);
        let tokens = importance.prompt_tokens();
        same("layers", importance.layers(), rankings.layers())?;
        same("heads", importance.heads(), rankings.heads())?;
        same("prompt tokens", tokens, rankings.prompt_tokens())?;
        for (what, found) in [
            ("the ids of the prompt's tokens", self.token_ids.len()),
            ("the texts of the prompt's tokens", self.token_texts.len()),
        ] {
            if found != tokens {
                return Err(AnalysisError::Length {
                    what,
                    dimensions: format!("[tokens {tokens}]"),
                    expected: tokens,
                    found,
                });
            }
        }
        Ok(())
    }

    /// Hands on the rows of whole heads, as many as make about a row group.
    pub(super) fn by_row_group(
        &self,
        mut write: impl FnMut(&[ImportanceRow<'_>]) -> Result<(), TableError>,
    ) -> Result<(), TableError> {
        self.check()?;
        let heads = self.importance.heads();
        let heads_per_group =
            (ImportanceTable::ROW_GROUP_ROWS / self.importance.prompt_tokens()).max(1);
        for layer in 0..self.importance.layers() {
            for first in (0..heads).step_by(heads_per_group) {
                write(&self.rows(layer, first..(first + heads_per_group).min(heads)))?;
            }
        }
        Ok(())
    }

    fn rows(&self, layer: usize, heads: Range<usize>) -> Vec<ImportanceRow<'a>> {
        heads.flat_map(|head| self.head_rows(layer, head)).collect()
    }

    fn head_rows(&self, layer: usize, head: usize) -> impl Iterator<Item = ImportanceRow<'a>> {
        let input = *self;
        let scores = input.importance.head(layer, head).iter();
        let ranks = input.rankings.rank(layer, head);
        let tokens = input.token_ids.iter().zip(input.token_texts);
        let (heads, kind) = (input.importance.heads(), input.importance.head_kind());
        let window_head = WindowHead::at(
            input.window,
            (input.first_layer + layer) * heads + head,
            heads,
            kind,
        );
        scores.zip(ranks).zip(tokens).enumerate().map(
            move |(position, ((&score, &rank), (&token_id, token)))| ImportanceRow {
                sample: input.sample,
                head: window_head,
                token,
                position: count(position),
                token_id,
                score,
                rank: (rank != UNRANKED).then_some(rank),
            },
        )
    }
}

impl TableWriter<ImportanceTable> {
    /// Writes all layers of one window, each in row groups of its own, by layer, head, then position.
    /// Holds one row group in memory: whole heads, as many as make about a quarter of a million rows.
    ///
    /// # Errors
    /// [`TableError::Analysis`] when scores, ranks and tokens do not fit together; refusals of the
    /// file system.
    pub fn write_importance(&mut self, input: ImportanceInput<'_>) -> Result<(), TableError> {
        input.by_row_group(|rows| {
            self.write(rows)?;
            self.close_row_group()
        })
    }
}
