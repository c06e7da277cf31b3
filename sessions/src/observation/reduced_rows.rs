//! What is left of a window's rows where the prompt's keys are not kept: one score for each head and prompt token.

use candle_core::{Device, Tensor};
use kvlens_analysis::{KeySet, ReducedHead, RowReduction, Scoring};
use serde::{Deserialize, Serialize};

use super::QueryRows;
use crate::SessionError;
use crate::half_format::HalfFormat;

/// A way to make one score of a window's rows. What comes after (pooling, the reduction over a group's heads) can be
/// chosen later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reduction {
    /// Keys of the rows' softmax.
    pub keys: KeySet,
    /// Reduction over rows.
    pub reduce: RowReduction,
}

impl From<Scoring> for Reduction {
    fn from(scoring: Scoring) -> Self {
        Self {
            keys: scoring.keys,
            reduce: scoring.reduce,
        }
    }
}

/// The rows of a window reduced in one or more ways.
#[derive(Debug, Clone)]
pub struct ReducedRows {
    positions: Vec<u32>,
    visible_keys: Vec<u32>,
    scores: Vec<ReducedScores>,
    /// The rows themselves, where they were kept: without keys they make no scores.
    queries: Option<QueryRows>,
}

/// One score for each layer, query head and prompt token, before pooling.
#[derive(Debug, Clone)]
pub struct ReducedScores {
    /// How the rows became one.
    pub reduction: Reduction,
    /// `[L, H, T]`, f32, on the CPU.
    pub scores: Tensor,
    /// Attention of the rows that falls on the prompt, `[L, H]`, f32.
    pub prompt_shares: Tensor,
}

impl ReducedRows {
    /// `positions` and `visible_keys` are those of the W rows, as in [`QueryRows`].
    pub(crate) fn new(
        [positions, visible_keys]: [Vec<u32>; 2],
        scores: Vec<ReducedScores>,
        queries: Option<QueryRows>,
    ) -> Self {
        Self {
            positions,
            visible_keys,
            scores,
            queries,
        }
    }

    /// The same with queries in another format.
    pub(crate) fn converted(&self, numbers: HalfFormat) -> Result<Self, SessionError> {
        let queries = self.queries.as_ref();
        Ok(Self {
            queries: queries.map(|rows| rows.converted(numbers)).transpose()?,
            ..self.clone()
        })
    }

    /// W rotary positions.
    pub fn positions(&self) -> &[u32] {
        &self.positions
    }

    /// W counts, as in [`QueryRows::visible_keys`].
    pub fn visible_keys(&self) -> &[u32] {
        &self.visible_keys
    }

    /// In the order in which they were made.
    pub fn scores(&self) -> &[ReducedScores] {
        &self.scores
    }

    /// The rows' queries, where they were kept.
    pub fn queries(&self) -> Option<&QueryRows> {
        self.queries.as_ref()
    }

    /// The reduced rows of the L * H heads in turn.
    ///
    /// # Errors
    /// [`SessionError::Plan`] for a reduction that was not kept.
    pub(crate) fn heads(&self, scoring: Scoring) -> Result<Vec<ReducedHead>, SessionError> {
        let asked = Reduction::from(scoring);
        let mut known = self.scores.iter();
        let Some(found) = known.find(|known| known.reduction == asked) else {
            return Err(SessionError::Plan {
                reason: self.not_kept(asked),
            });
        };
        let (layers, heads, _) = found.scores.dims3()?;
        let shares: Vec<f32> = found.prompt_shares.flatten_all()?.to_vec1()?;
        let of = |(index, prompt_share): (usize, f32)| {
            Ok(ReducedHead {
                scores: found
                    .scores
                    .get(index / heads)?
                    .get(index % heads)?
                    .to_vec1()?,
                prompt_share,
            })
        };
        (0..layers * heads).zip(shares).map(of).collect()
    }

    fn not_kept(&self, asked: Reduction) -> String {
        let known = self.scores.iter().map(|known| words(known.reduction));
        let known: Vec<String> = known.collect();
        let asked = words(asked);
        if known.is_empty() {
            return "the session keeps queries alone, without the keys or the scores that say what they attend to: \
                    kvlens figure --kind queries draws their cosines; for anything else capture with --keep scores or \
                    --keep keys"
                .to_owned();
        }
        format!(
            "the session keeps scores in place of keys, made by {}, and cannot make them anew by {asked}; ask for one of \
             those, or capture with --keep keys",
            known.join(" and ")
        )
    }

    /// Bytes of all tensors.
    pub fn bytes(&self) -> usize {
        let scores = self.scores.iter();
        let scores = scores.map(|made| made.scores.elem_count() + made.prompt_shares.elem_count());
        let queries = self.queries.as_ref().map_or(0, QueryRows::bytes);
        scores.sum::<usize>() * size_of::<f32>() + queries
    }
}

impl ReducedScores {
    /// Of the L * H heads in turn.
    pub(crate) fn of(
        reduction: Reduction,
        [layers, heads]: [usize; 2],
        made: &[ReducedHead],
    ) -> Result<Self, SessionError> {
        let tokens = made.first().map_or(0, |head| head.scores.len());
        let mut scores = Vec::with_capacity(made.len() * tokens);
        for head in made {
            scores.extend_from_slice(&head.scores);
        }
        let shares: Vec<f32> = made.iter().map(|head| head.prompt_share).collect();
        Ok(Self {
            reduction,
            scores: Tensor::from_vec(scores, (layers, heads, tokens), &Device::Cpu)?,
            prompt_shares: Tensor::from_vec(shares, (layers, heads), &Device::Cpu)?,
        })
    }
}

fn words(reduction: Reduction) -> String {
    let rows = match reduction.reduce {
        RowReduction::Mean => "the mean over rows",
        RowReduction::Sum => "the sum over rows",
        RowReduction::Max => "the largest over rows",
    };
    match reduction.keys {
        KeySet::Causal => format!("{rows} with causal keys"),
        KeySet::Prompt => format!("{rows} with the prompt's keys"),
    }
}
