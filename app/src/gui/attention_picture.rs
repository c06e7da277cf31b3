//! One head's attention on the prompt, made small enough for a screen: what the worker reads for the view.

use std::ops::Range;
use std::path::PathBuf;

use kvlens_sessions::{CapturedSample, Observation};

use super::state::HeadAddress;

/// Columns of a picture at most; more tokens share a column, which shows the largest weight of them.
const MOST_COLUMNS: usize = 2048;

/// What a picture is of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttentionKey {
    /// The session's folder.
    pub path: PathBuf,
    /// Number among the finished samples.
    pub index: usize,
    /// The head.
    pub head: HeadAddress,
    /// The window beside the decode stage.
    pub window: String,
}

/// Rows of one observation.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AttentionBlock {
    /// What the rows are: a window's label.
    pub label: String,
    /// Position of each row.
    pub positions: Vec<u32>,
    /// Text of each row's token; empty where it is no token.
    pub texts: Vec<String>,
    /// `[rows, columns]`: attention weights, the largest of a column's tokens.
    pub weights: Vec<f32>,
}

/// The decode stage's rows and a window's, of one head.
#[derive(Clone, Debug, PartialEq)]
pub struct AttentionPicture {
    /// What it is of.
    pub key: AttentionKey,
    /// T.
    pub tokens: usize,
    /// Columns of the blocks.
    pub columns: usize,
    /// The decode stage.
    pub decode: AttentionBlock,
    /// The window; `None` where it has no rows.
    pub window: Option<AttentionBlock>,
}

impl AttentionPicture {
    /// Reads one head of a sample.
    ///
    /// # Errors
    /// What the sample's tensors refuse.
    pub fn read(captured: &CapturedSample, key: AttentionKey) -> anyhow::Result<Self> {
        let tokens = captured.record.prompt_ids.len();
        let columns = tokens.clamp(1, MOST_COLUMNS);
        let block = |observation: &Observation| block(captured, observation, key.head, columns);
        let window = captured
            .windows()
            .iter()
            .find(|window| window.label() == key.window);
        Ok(Self {
            tokens,
            columns,
            decode: block(captured.oracle())?.unwrap_or_default(),
            window: window.map(block).transpose()?.flatten(),
            key,
        })
    }

    /// The tokens that share a column.
    #[must_use]
    pub fn tokens_of(&self, column: usize) -> Range<usize> {
        tokens_of(column, self.columns, self.tokens)
    }
}

fn tokens_of(column: usize, columns: usize, tokens: usize) -> Range<usize> {
    column * tokens / columns..(column + 1) * tokens / columns
}

fn block(
    captured: &CapturedSample,
    observation: &Observation,
    head: HeadAddress,
    columns: usize,
) -> anyhow::Result<Option<AttentionBlock>> {
    let Some(rows) = observation.query_rows() else {
        return Ok(None);
    };
    let group = captured.keys().group_size()?;
    let heads = captured
        .keys()
        .attention_rows(rows, head.layer, head.head / group)?;
    let Some(weights) = heads.into_iter().nth(head.head % group) else {
        return Ok(None);
    };
    let tokens = captured.record.prompt_ids.len();
    let weights = weights
        .chunks_exact(tokens.max(1))
        .flat_map(|row| {
            (0..columns).map(move |column| {
                let shared = row.get(tokens_of(column, columns, tokens));
                shared.map_or(0.0, |shared| shared.iter().copied().fold(0.0, f32::max))
            })
        })
        .collect();
    let texts = rows.positions().iter().map(|&position| {
        let text = captured.record.token_texts.get(position as usize);
        text.cloned().unwrap_or_default()
    });
    Ok(Some(AttentionBlock {
        label: observation.label().to_owned(),
        positions: rows.positions().to_vec(),
        texts: texts.collect(),
        weights,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_token_has_one_column() {
        for (tokens, columns) in [(5, 5), (5000, 2048), (2049, 2048), (1, 1)] {
            let mut next = 0;
            for column in 0..columns {
                let shared = tokens_of(column, columns, tokens);
                assert_eq!(shared.start, next);
                assert!(!shared.is_empty());
                next = shared.end;
            }
            assert_eq!(next, tokens);
        }
    }
}
