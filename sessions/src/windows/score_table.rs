//! Scores of a Parquet table: one row for each layer, head and prompt token, as `kvlens measure --importance` writes it
//! and any data frame can. Columns `layer`, `head`, `position` and `token_id` (whole numbers, all from 0) and `score`;
//! `sample` where it holds several prompts. Other columns are not looked at, but a table of several windows is refused.

use std::collections::BTreeMap;
use std::path::Path;

use candle_core::{Device, Tensor};
use kvlens_analysis::tables::{TableError, TableFile};

use super::score_file::{ScoredPrompt, refused};
use crate::SessionError;
use crate::caught_panic::unless_it_panics;

/// The rows of one prompt, in any order.
#[derive(Default)]
struct Rows {
    places: Vec<[usize; 3]>,
    ids: Vec<i64>,
    scores: Vec<f32>,
}

/// The prompts of a table, in the order of their names.
pub(super) fn read(path: &Path) -> Result<Vec<ScoredPrompt>, SessionError> {
    let unreadable = || refused(path, "is no Parquet file that can be read");
    let read = unless_it_panics(|| TableFile::read(path)).ok_or_else(unreadable)?;
    let table = read.map_err(|error| refused(path, &format!("cannot be read ({error})")))?;
    let wrong = |error: TableError| refused(path, &format!("has no such table ({error})"));
    let names: Vec<String> = table.columns().into_iter().map(|(name, _)| name).collect();
    let has = |column: &str| names.iter().any(|name| name == column);
    if has("window") {
        let windows = table.text("window").map_err(wrong)?;
        if windows.windows(2).any(|two| two.first() != two.last()) {
            return Err(refused(
                path,
                "holds several windows; write the rows of one of them into a file of its own",
            ));
        }
    }
    let count = |column: &str| table.counts(column).map_err(wrong);
    let [layers, heads, positions, ids] = ["layer", "head", "position", "token_id"].map(count);
    let (layers, heads, positions, ids) = (layers?, heads?, positions?, ids?);
    let scores = table.numbers("score").map_err(wrong)?;
    let samples = match has("sample") {
        true => table.text("sample").map_err(wrong)?,
        false => vec![None; scores.len()],
    };
    let mut prompts: BTreeMap<Option<String>, Rows> = BTreeMap::new();
    let places = layers.into_iter().zip(heads).zip(positions);
    let cells = places.zip(ids).zip(scores).zip(samples);
    for (((((layer, head), position), id), score), sample) in cells {
        let whole = |cell: Option<u64>| cell.and_then(|cell| usize::try_from(cell).ok());
        let (Some(layer), Some(head), Some(position), Some(id), Some(score)) =
            (whole(layer), whole(head), whole(position), id, score)
        else {
            return Err(refused(path, "has rows with an empty cell"));
        };
        let rows = prompts.entry(sample).or_default();
        rows.places.push([layer, head, position]);
        rows.ids.push(id as i64);
        rows.scores.push(score as f32);
    }
    let prompts = prompts.into_values();
    prompts.map(|rows| rows.prompt(path)).collect()
}

impl Rows {
    /// The numbers at their places, each of which must be there once.
    fn prompt(self, path: &Path) -> Result<ScoredPrompt, SessionError> {
        let sizes = [0, 1, 2].map(|axis| {
            let largest = self.places.iter().map(|place| place[axis]).max();
            largest.map_or(0, |largest| largest.saturating_add(1))
        });
        let [layers, heads, tokens] = sizes;
        let numbers = layers
            .checked_mul(heads)
            .and_then(|all| all.checked_mul(tokens));
        if numbers != Some(self.scores.len()) {
            return Err(refused(
                path,
                &format!(
                    "has {} rows for a prompt of {layers} layers, {heads} heads and {tokens} tokens; each needs one",
                    self.scores.len()
                ),
            ));
        }
        let mut scores = vec![f32::NAN; self.scores.len()];
        let mut ids = vec![None; tokens];
        for ((&[layer, head, position], &id), &score) in
            self.places.iter().zip(&self.ids).zip(&self.scores)
        {
            let known = ids.get_mut(position);
            if known.is_some_and(|known| *known.get_or_insert(id) != id) {
                return Err(refused(
                    path,
                    &format!("names two tokens at position {position} of a prompt"),
                ));
            }
            if let Some(place) = scores.get_mut((layer * heads + head) * tokens + position) {
                *place = score;
            }
        }
        if scores.iter().any(|score| score.is_nan()) {
            return Err(refused(
                path,
                "has a place without a finite score, or two rows of one",
            ));
        }
        Ok(ScoredPrompt {
            ids: ids.into_iter().flatten().collect(),
            scores: Tensor::from_vec(scores, (layers, heads, tokens), &Device::Cpu)?,
        })
    }
}
