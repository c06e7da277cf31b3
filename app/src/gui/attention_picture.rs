//! One head's attention on the prompt, made small enough for a screen: what the read lane reads for the view.

use std::collections::BTreeMap;
use std::ops::Range;

use kvlens_sessions::{CapturedSample, Observation, QueryRows, SampleRecord};

use super::data::{OpenedSession, SamplePlace};
use super::state::{Choices, HeadAddress};

/// Columns of a picture at most; more tokens share a column, which shows the largest weight of them.
const MOST_COLUMNS: usize = 1 << 16;

/// The strongest colour stands for this percentile of the weights: a sink would hide all others.
const PERCENTILE: f64 = 0.99;

/// What a picture is of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttentionKey {
    /// The sample.
    pub sample: SamplePlace,
    /// The head; the mean of all where there is none.
    pub head: Option<HeadAddress>,
    /// The window beside the decode stage.
    pub window: String,
}

impl AttentionKey {
    /// What the views show: the primary head, or all where none is selected, and the chosen window.
    #[must_use]
    pub fn wanted(
        session: &OpenedSession,
        choices: &Choices,
        window: Option<&str>,
    ) -> Option<Self> {
        Some(Self {
            sample: session.place()?,
            head: choices.primary_head(),
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
    /// 99th percentile of all weights that are not zero.
    pub percentile_99: f32,
}

impl AttentionPicture {
    /// Whether there are rows at all; a session that keeps scores in place of keys has none.
    #[must_use]
    pub fn has_rows(&self) -> bool {
        self.window.is_some() || !self.decode.positions.is_empty()
    }

    /// Reads one head of a sample, or the mean of all.
    ///
    /// # Errors
    /// What the sample's tensors refuse.
    pub fn read(captured: &CapturedSample, key: AttentionKey) -> anyhow::Result<Self> {
        Self::at(captured, key.head, key)
    }

    /// The same where the key's head is another one in `captured`: in the part of a sample that one head needs.
    pub(super) fn at(
        captured: &CapturedSample,
        head: Option<HeadAddress>,
        key: AttentionKey,
    ) -> anyhow::Result<Self> {
        let tokens = captured.record.prompt_ids.len();
        let columns = tokens.clamp(1, MOST_COLUMNS);
        let block = |observation: &Observation| block(captured, observation, head, columns);
        let window = captured
            .windows()
            .iter()
            .find(|window| window.label() == key.window);
        let decode = block(captured.oracle())?.unwrap_or_default();
        let window = window.map(block).transpose()?.flatten();
        let weights = window.iter().flat_map(|window| &window.weights);
        Ok(Self {
            tokens,
            columns,
            percentile_99: percentile(decode.weights.iter().chain(weights).copied()),
            decode,
            window,
            key,
        })
    }

    /// The weight that has the strongest colour, on a scale of so many times the 99th percentile.
    #[must_use]
    pub fn highest(&self, scale: f64) -> f32 {
        (self.percentile_99 * scale as f32).max(f32::MIN_POSITIVE)
    }

    /// Weights of these columns of a block in `columns` columns, the largest of those that share one:
    /// `[rows, columns]`. A screen with fewer pixels than columns would leave some out.
    #[must_use]
    pub fn squeezed(&self, block: &AttentionBlock, part: Range<usize>, columns: usize) -> Vec<f32> {
        let rows = block.weights.chunks_exact(self.columns);
        let parts = rows.filter_map(|row| row.get(part.clone()));
        parts.flat_map(|row| largest(row, columns)).collect()
    }

    /// One row of a block, `[columns]`; empty where there is none of that number.
    #[must_use]
    pub fn row<'a>(&self, block: &'a AttentionBlock, row: usize) -> &'a [f32] {
        let place = row * self.columns..(row + 1) * self.columns;
        block.weights.get(place).unwrap_or(&[])
    }

    /// The column that a token is in.
    #[must_use]
    pub fn column_of(&self, token: usize) -> usize {
        match self.columns == self.tokens {
            true => token,
            // the last one that begins at or before it
            false => ((token + 1) * self.columns)
                .div_ceil(self.tokens.max(1))
                .saturating_sub(1),
        }
    }

    /// The tokens that share a column.
    #[must_use]
    pub fn tokens_of(&self, column: usize) -> Range<usize> {
        tokens_of(column, self.columns, self.tokens)
    }
}

/// [`PERCENTILE`] of the weights that are not zero: a row sees no token behind itself.
fn percentile(weights: impl Iterator<Item = f32>) -> f32 {
    let mut weights: Vec<f32> = weights.filter(|weight| *weight > 0.0).collect();
    let Some(last) = weights.len().checked_sub(1) else {
        return 1.0;
    };
    let place = (PERCENTILE * last as f64).round() as usize;
    let (_, value, _) = weights.select_nth_unstable_by(place, f32::total_cmp);
    *value
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
    head: Option<HeadAddress>,
    columns: usize,
) -> anyhow::Result<Option<AttentionBlock>> {
    let Some(rows) = observation.query_rows() else {
        return Ok(None);
    };
    let Some(weights) = (match head {
        Some(head) => head_weights(captured, rows, head)?,
        None => mean_weights(captured, rows)?,
    }) else {
        return Ok(None);
    };
    let tokens = captured.record.prompt_ids.len();
    let weights = weights
        .chunks_exact(tokens.max(1))
        .flat_map(|row| largest(row, columns))
        .collect();
    Ok(Some(AttentionBlock {
        label: observation.label().to_owned(),
        positions: rows.positions().to_vec(),
        texts: row_texts(&captured.record, observation, rows),
        weights,
    }))
}

/// Text of each row's token: those of the decode stage are in the session, unless an older program captured it.
fn row_texts(record: &SampleRecord, observation: &Observation, rows: &QueryRows) -> Vec<String> {
    let ids = observation.token_ids();
    if ids == record.generated_ids && !record.generated_texts.is_empty() {
        return record.generated_texts.clone();
    }
    let texts = KnownTexts::of(record);
    let mut ids = ids.iter();
    rows.positions()
        .iter()
        .map(|position| texts.get(*ids.next()?, *position as usize))
        .map(|text: Option<&str>| text.unwrap_or_default().to_owned())
        .collect()
}

/// Attention of one head, `[rows, T]`.
fn head_weights(
    captured: &CapturedSample,
    rows: &QueryRows,
    head: HeadAddress,
) -> anyhow::Result<Option<Vec<f32>>> {
    let keys = captured.keys();
    let group = keys.group_size()?;
    let heads = keys.attention_rows(rows, head.layer, head.head / group)?;
    Ok(heads.into_iter().nth(head.head % group))
}

/// Mean over all heads of all layers, `[rows, T]`; summed in `f64`.
fn mean_weights(captured: &CapturedSample, rows: &QueryRows) -> anyhow::Result<Option<Vec<f32>>> {
    let keys = captured.keys();
    let (layers, kv_heads, ..) = keys.shape();
    let mut sums: Vec<f64> = Vec::new();
    let mut heads = 0_usize;
    for (layer, kv_head) in
        (0..layers).flat_map(|layer| (0..kv_heads).map(move |head| (layer, head)))
    {
        for weights in keys.attention_rows(rows, layer, kv_head)? {
            sums.resize(weights.len(), 0.0);
            for (sum, weight) in sums.iter_mut().zip(weights) {
                *sum += f64::from(weight);
            }
            heads += 1;
        }
    }
    let mean = sums
        .into_iter()
        .map(|sum| (sum / heads.max(1) as f64) as f32);
    Ok((heads > 0).then(|| mean.collect()))
}

/// Texts of tokens, as far as the prompt or the decode stage has them: a session keeps no others.
struct KnownTexts<'a> {
    ids: &'a [u32],
    texts: &'a [String],
    /// Nothing for a token that stands there with several texts, such as a part of a letter.
    by_id: BTreeMap<u32, Option<&'a str>>,
}

impl<'a> KnownTexts<'a> {
    fn of(record: &'a SampleRecord) -> Self {
        let (ids, texts) = (&record.prompt_ids, &record.token_texts);
        let mut by_id = BTreeMap::new();
        let generated = record.generated_ids.iter().zip(&record.generated_texts);
        for (id, text) in ids.iter().zip(texts).chain(generated) {
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
    fn a_token_is_in_the_column_that_has_it() {
        for (tokens, columns) in [(5, 5), (100_000, 1 << 16), (70_000, 1 << 16)] {
            let picture = AttentionPicture {
                key: AttentionKey {
                    sample: SamplePlace {
                        path: std::path::PathBuf::new(),
                        opened: 0,
                        index: 0,
                    },
                    head: None,
                    window: String::new(),
                },
                tokens,
                columns,
                decode: AttentionBlock::default(),
                window: None,
                percentile_99: 1.0,
            };
            for token in (0..tokens).step_by(997).chain([tokens - 1]) {
                let column = picture.column_of(token);
                assert!(
                    picture.tokens_of(column).contains(&token),
                    "{token} in {column}"
                );
            }
        }
    }

    #[test]
    fn the_scale_is_the_99th_percentile_of_what_is_seen() {
        let weights = (0..101).map(|weight| weight as f32);
        // 1 to 100 are not zero; NumPy's percentile by the nearest rank gives 99
        assert_eq!(percentile(weights), 99.0);
        assert_eq!(percentile([0.0].into_iter()), 1.0);
    }

    #[test]
    fn a_row_has_the_text_of_its_own_token_or_none() {
        let record = record(
            &[(10, "a"), (11, "b"), (12, "é"), (12, ""), (10, "a")],
            &[(13, " c"), (14, "d"), (14, "e")],
        );
        let texts = KnownTexts::of(&record);
        assert_eq!(texts.get(11, 1), Some("b"), "a row of the prompt");
        assert_eq!(texts.get(12, 2), Some("é"));
        assert_eq!(texts.get(11, 5), Some("b"), "generated, known by its id");
        assert_eq!(texts.get(10, 1), Some("a"), "moved into the prompt");
        assert_eq!(texts.get(99, 1), None, "never the text of another token");
        assert_eq!(texts.get(12, 6), None, "a part of a letter");
        assert_eq!(texts.get(13, 5), Some(" c"), "generated");
        assert_eq!(texts.get(14, 6), None, "generated with two texts");
    }

    /// A sample with these tokens in its prompt and behind it.
    fn record(prompt: &[(u32, &str)], generated: &[(u32, &str)]) -> SampleRecord {
        let parts = |tokens: &[(u32, &str)]| {
            let ids: Vec<u32> = tokens.iter().map(|(id, _)| *id).collect();
            let texts: Vec<String> = tokens.iter().map(|(_, text)| (*text).to_owned()).collect();
            (ids, texts)
        };
        let ((prompt_ids, token_texts), (generated_ids, generated_texts)) =
            (parts(prompt), parts(generated));
        serde_json::from_value(serde_json::json!({
            "id": "a", "dataset": "", "task": "", "prompt": "", "answer": null, "values": [], "generated": "",
            "score": null, "question_place": null, "prompt_ids": prompt_ids, "token_texts": token_texts,
            "generated_ids": generated_ids, "generated_texts": generated_texts, "evidence_tokens": [], "seconds": 0.0,
        }))
        .unwrap()
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
