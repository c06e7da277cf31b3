//! What ranks the tokens of a cache while it decodes.

use std::fmt;
use std::str::FromStr;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::DecodeHead;
use crate::error::AnalysisError;

/// A way to order the tokens of a cache after some decode steps, named as the window that orders a prompt so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DecodeRanking {
    /// The mean attention of the last rows of the decode stage, as many as there are of so many: TOVA's with 1 (arXiv
    /// 2401.06104), R-KV's importance with 8.
    LastRows(usize),
    /// The attention of all decode steps so far.
    Accumulated,
    /// The same with that of all rows of the prompt before: H2O's heavy hitters. Rows of a question behind the prompt are
    /// not in it.
    AccumulatedWithPrompt,
    /// Short keys first (arXiv 2406.11430).
    KeyNorm,
    /// The first 4 tokens, then the most recent ones (StreamingLLM, arXiv 2309.17453).
    Streaming,
    /// Chance: drawn once for each token.
    Random,
}

/// Attention sinks of StreamingLLM.
const SINKS: usize = 4;

impl DecodeRanking {
    /// What is ranked by where nobody says.
    pub const USUAL: [Self; 7] = [
        Self::LastRows(1),
        Self::LastRows(8),
        Self::Accumulated,
        Self::AccumulatedWithPrompt,
        Self::KeyNorm,
        Self::Streaming,
        Self::Random,
    ];

    /// Whether it needs the attention of the prompt's own rows.
    pub fn needs_prompt_sums(self) -> bool {
        self == Self::AccumulatedWithPrompt
    }
}

impl fmt::Display for DecodeRanking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LastRows(rows) => f.pad(&format!("last:{rows}")),
            Self::Accumulated => f.pad("accumulated"),
            Self::AccumulatedWithPrompt => f.pad("h2o"),
            Self::KeyNorm => f.pad("knorm"),
            Self::Streaming => f.pad("streaming"),
            Self::Random => f.pad("random"),
        }
    }
}

impl FromStr for DecodeRanking {
    type Err = AnalysisError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let rows = text.strip_prefix("last:").map(str::parse);
        match (text, rows) {
            (_, Some(Ok(rows))) if rows > 0 => Ok(Self::LastRows(rows)),
            ("accumulated", _) => Ok(Self::Accumulated),
            ("h2o", _) => Ok(Self::AccumulatedWithPrompt),
            ("knorm", _) => Ok(Self::KeyNorm),
            ("streaming", _) => Ok(Self::Streaming),
            ("random", _) => Ok(Self::Random),
            _ => Err(AnalysisError::Unknown {
                what: "the ranking of a decode stage",
                given: text.to_owned(),
                expected: "last:ROWS, accumulated, h2o, knorm, streaming or random",
            }),
        }
    }
}

/// One ranking of one head, from step to step.
pub(super) struct Scorer<'a> {
    ranking: DecodeRanking,
    head: &'a DecodeHead<'a>,
    /// Attention that was added up so far, `[T + R]`.
    sums: Vec<f64>,
    /// Steps whose attention is in the sums.
    summed: usize,
    /// `[T + R]`.
    scores: Vec<f32>,
}

impl<'a> Scorer<'a> {
    pub(super) fn new(ranking: DecodeRanking, head: &'a DecodeHead<'a>, tokens: usize) -> Self {
        let mut sums = vec![0.0; tokens];
        if ranking.needs_prompt_sums() {
            let known = head.prompt_sums.unwrap_or_default();
            for (sum, &attention) in sums.iter_mut().zip(known) {
                *sum = f64::from(attention);
            }
        }
        let scores = match ranking {
            DecodeRanking::KeyNorm => head.key_norms.iter().map(|norm| -norm).collect(),
            DecodeRanking::Streaming => by_position(tokens),
            DecodeRanking::Random => {
                let mut chance = ChaCha8Rng::seed_from_u64(head.seed);
                (0..tokens).map(|_| chance.random()).collect()
            }
            DecodeRanking::LastRows(_)
            | DecodeRanking::Accumulated
            | DecodeRanking::AccumulatedWithPrompt => vec![0.0; tokens],
        };
        Self {
            ranking,
            head,
            sums,
            summed: 0,
            scores,
        }
    }

    /// One score for each token, those of later ones of no meaning, after so many decode steps; these may only grow.
    pub(super) fn scores(&mut self, done: usize) -> &[f32] {
        match self.ranking {
            DecodeRanking::LastRows(rows) => {
                self.sums.fill(0.0);
                self.summed = done.saturating_sub(rows);
            }
            DecodeRanking::Accumulated | DecodeRanking::AccumulatedWithPrompt => {}
            DecodeRanking::KeyNorm | DecodeRanking::Streaming | DecodeRanking::Random => {
                return &self.scores;
            }
        }
        self.head.add_rows(self.summed..done, &mut self.sums);
        self.summed = done;
        for (score, &sum) in self.scores.iter_mut().zip(&self.sums) {
            *score = sum as f32;
        }
        &self.scores
    }
}

/// Whole numbers, which single precision tells apart up to 2^24.
fn by_position(tokens: usize) -> Vec<f32> {
    let score = |token: usize| match token < SINKS {
        true => (tokens + SINKS - token) as f32,
        false => token as f32,
    };
    (0..tokens).map(score).collect()
}
