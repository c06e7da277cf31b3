//! One head's attention on the prompt, made small enough for a screen: what the read lane reads for the view.

use std::collections::BTreeMap;
use std::ops::Range;

use kvlens_sessions::{CapturedSample, Observation};

use super::data::{OpenedSession, SamplePlace};
use super::state::{Choices, HeadAddress};

/// Columns of a picture at most; more tokens share a column, which shows the largest weight of them.
const MOST_COLUMNS: usize = 2048;

/// What a picture is of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttentionKey {
    /// The sample.
    pub sample: SamplePlace,
    /// The head.
    pub head: HeadAddress,
    /// The window beside the decode stage.
    pub window: String,
}

impl AttentionKey {
    /// What the views show: the primary head, and the chosen window.
    #[must_use]
    pub fn wanted(
        session: &OpenedSession,
        choices: &Choices,
        window: Option<&str>,
    ) -> Option<Self> {
        Some(Self {
            sample: session.place()?,
            head: choices.primary_head()?,
            window: window?.to_owned(),
        })
    }
}

/// Rows of one observation.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AttentionBlock {
    /// What the rows are: a window's label.
    pub label: String,
    /// Position of each row.
    pub positions: Vec<u32>,
    /// Text of each row's token; empty where it is no token, or one whose text is not kept.
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
        Self::at(captured, key.head, key)
    }

    /// The same where the key's head is another one in `captured`: in the part of a sample that one head needs.
    pub(super) fn at(
        captured: &CapturedSample,
        head: HeadAddress,
        key: AttentionKey,
    ) -> anyhow::Result<Self> {
        let tokens = captured.record.prompt_ids.len();
        let columns = tokens.clamp(1, MOST_COLUMNS);
        let block = |observation: &Observation| block(captured, observation, head, columns);
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

    /// A block's weights in `columns` columns, the largest of those that share one: `[rows, columns]`,
    /// `columns` being at most those of the picture. A screen with fewer pixels than columns would leave some out.
    #[must_use]
    pub fn squeezed(&self, block: &AttentionBlock, columns: usize) -> Vec<f32> {
        let rows = block.weights.chunks_exact(self.columns);
        rows.flat_map(|row| largest(row, columns)).collect()
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

/// The largest of the weights that share each of `columns` columns.
fn largest(row: &[f32], columns: usize) -> impl Iterator<Item = f32> {
    (0..columns).map(move |column| {
        let shared = row.get(tokens_of(column, columns, row.len()));
        shared.map_or(0.0, |shared| shared.iter().copied().fold(0.0, f32::max))
    })
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
        .flat_map(|row| largest(row, columns))
        .collect();
    let texts = PromptTexts::of(&captured.record.prompt_ids, &captured.record.token_texts);
    let mut ids = observation.token_ids().iter();
    let texts = rows
        .positions()
        .iter()
        .map(|position| texts.get(*ids.next()?, *position as usize))
        .map(|text: Option<&str>| text.unwrap_or_default().to_owned());
    Ok(Some(AttentionBlock {
        label: observation.label().to_owned(),
        positions: rows.positions().to_vec(),
        texts: texts.collect(),
        weights,
    }))
}

/// Texts of tokens, as far as the prompt has them: a session keeps no others.
struct PromptTexts<'a> {
    ids: &'a [u32],
    texts: &'a [String],
    /// Nothing for a token that stands there with several texts, such as a part of a letter.
    by_id: BTreeMap<u32, Option<&'a str>>,
}

impl<'a> PromptTexts<'a> {
    fn of(ids: &'a [u32], texts: &'a [String]) -> Self {
        let mut by_id = BTreeMap::new();
        for (id, text) in ids.iter().zip(texts) {
            let known = by_id.entry(*id).or_insert(Some(text.as_str()));
            *known = known.filter(|known| known == text);
        }
        Self { ids, texts, by_id }
    }

    /// Text of a row's token. A row at a position of the prompt may be of another token than stands there.
    fn get(&self, id: u32, position: usize) -> Option<&'a str> {
        match self.texts.get(position) {
            Some(text) if self.ids.get(position) == Some(&id) => Some(text),
            _ => *self.by_id.get(&id)?,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peak_is_never_lost_to_a_narrow_screen() {
        let mut row = vec![0.0; 100];
        row[37] = 0.5;
        for columns in [1, 7, 33, 100] {
            let squeezed: Vec<f32> = largest(&row, columns).collect();
            assert_eq!(squeezed.len(), columns);
            assert_eq!(squeezed.iter().filter(|weight| **weight == 0.5).count(), 1);
        }
    }

    #[test]
    fn a_row_has_the_text_of_its_own_token_or_none() {
        let prompt = ["a", "b", "é", "", "a"].map(str::to_owned);
        let texts = PromptTexts::of(&[10, 11, 12, 12, 10], &prompt);
        assert_eq!(texts.get(11, 1), Some("b"), "a row of the prompt");
        assert_eq!(texts.get(12, 2), Some("é"));
        assert_eq!(texts.get(11, 5), Some("b"), "generated, known by its id");
        assert_eq!(texts.get(10, 1), Some("a"), "moved into the prompt");
        assert_eq!(texts.get(99, 1), None, "never the text of another token");
        assert_eq!(texts.get(12, 6), None, "a part of a letter");
    }

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
