//! What an observation window yields, whichever window it was.

mod query_rows;
mod reduced_rows;
mod token_scores;

use std::ops::Range;

use kvlens_analysis::{ForcedKeep, KeepRule, Scoring, SideScoring};
use serde::{Deserialize, Serialize};

pub use query_rows::QueryRows;
pub use reduced_rows::{ReducedRows, ReducedScores, Reduction};
pub use token_scores::{ScoreKind, TokenScores};

use crate::SessionError;
use crate::half_format::HalfFormat;

/// What making an observation cost, beyond the prefill that every window shares.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Cost {
    /// W: rows that the window observes with; 0 where it looks at no query.
    pub rows: usize,
    /// Wall time of making the queries (or the ready-made scores), in seconds. What a window had done for
    /// itself during prefill is part of it.
    pub seconds: f64,
    /// Operations of making the queries and of scoring them on the prompt keys, from the shapes.
    pub flops: f64,
    /// Tokens that were run through a model beyond the prompt.
    pub extra_tokens: usize,
    /// Bytes held beyond the prompt's cache at the worst moment, from the shapes.
    pub peak_bytes: usize,
}

impl Cost {
    /// Of doing both, one after the other: everything adds up but the peak.
    #[must_use]
    pub fn and_then(self, later: Self) -> Self {
        Self {
            rows: self.rows + later.rows,
            seconds: self.seconds + later.seconds,
            flops: self.flops + later.flops,
            extra_tokens: self.extra_tokens + later.extra_tokens,
            peak_bytes: self.peak_bytes.max(later.peak_bytes),
        }
    }
}

/// An observation without its tensors: what the session file keeps as text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ObservationInfo {
    /// The window as it was typed, such as `last:32`; `decode` for the oracle.
    pub label: String,
    /// The scoring that the window was published with.
    pub scoring: Scoring,
    /// Tokens that the window's eviction rule keeps whatever their score.
    /// Sessions of older programs have it by this name, without a share of the budget.
    #[serde(rename = "forced_keep")]
    pub keep_rule: KeepRule,
    /// Ids of the tokens that the rows are the queries of; W entries, none where the rows are no tokens.
    pub token_ids: Vec<u32>,
    /// What the scores are, for a window that gives scores in place of queries.
    #[serde(default)]
    pub ready_made: Option<ScoreKind>,
    /// How its rows became scores, in a session that keeps these in place of the prompt's keys.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reduced: Option<Vec<Reduction>>,
    /// What it cost.
    pub cost: Cost,
}

/// What a window observed: queries, which every scoring can be applied to, or scores that are ready.
#[derive(Debug, Clone)]
pub enum Evidence {
    /// The queries of W rows.
    Queries(QueryRows),
    /// One score for each head and prompt token.
    Scores(TokenScores),
    /// What is left of queries where the prompt's keys are not kept.
    Reduced(ReducedRows),
}

impl Evidence {
    /// Whether its scores are attention.
    pub fn is_attention(&self) -> bool {
        match self {
            Self::Queries(_) | Self::Reduced(_) => true,
            Self::Scores(scores) => scores.kind().is_attention(),
        }
    }
}

/// What one window saw of one prompt.
#[derive(Debug, Clone)]
pub struct Observation {
    info: ObservationInfo,
    evidence: Evidence,
}

impl ObservationInfo {
    /// What its scores are: attention, for every window that gives queries.
    pub fn score_kind(&self) -> ScoreKind {
        self.ready_made.unwrap_or(ScoreKind::Attention)
    }

    /// The published scoring, which stops pooling before the tokens that the rule keeps anyway.
    pub fn published_side(&self) -> SideScoring {
        SideScoring::of(self.scoring, self.keep_rule.fixed)
    }
}

impl Observation {
    pub(crate) fn new(info: ObservationInfo, evidence: Evidence) -> Result<Self, SessionError> {
        let wrong = |reason: String| {
            Err(SessionError::Internal {
                reason: format!("window '{}': {reason}", info.label),
            })
        };
        match (&evidence, info.ready_made) {
            (Evidence::Queries(rows), None) => {
                let (rows, tokens) = (rows.count(), info.token_ids.len());
                if tokens != rows && tokens != 0 {
                    return wrong(format!("{rows} query rows for {tokens} tokens"));
                }
            }
            (Evidence::Scores(scores), Some(kind)) if scores.kind() == kind => {}
            (Evidence::Reduced(_), None) if info.reduced.is_some() => {}
            _ => return wrong("its kind of scores is not what its description says".to_owned()),
        }
        Ok(Self { info, evidence })
    }

    /// An observation by queries.
    ///
    /// # Errors
    /// [`SessionError::Internal`] if there are token ids, but not one for each row.
    pub fn by_queries(mut info: ObservationInfo, rows: QueryRows) -> Result<Self, SessionError> {
        info.ready_made = None;
        Self::new(info, Evidence::Queries(rows))
    }

    /// An observation by ready-made scores.
    ///
    /// # Errors
    /// None for now; a later version may refuse scores that do not fit.
    pub fn by_scores(mut info: ObservationInfo, scores: TokenScores) -> Result<Self, SessionError> {
        info.ready_made = Some(scores.kind());
        Self::new(info, Evidence::Scores(scores))
    }

    /// The same observation by some of its rows, such as the first steps of the decode stage; ready-made
    /// scores have no rows and stay as they are.
    ///
    /// # Errors
    /// [`SessionError::Tensor`] for rows that are not there, [`SessionError::Internal`] for no row,
    /// [`SessionError::Plan`] for a part of rows of which scores were kept in place of keys.
    pub fn by_rows(&self, rows: Range<usize>) -> Result<Self, SessionError> {
        let all = match &self.evidence {
            Evidence::Queries(all) => all,
            Evidence::Reduced(reduced) if rows != (0..reduced.positions().len()) => {
                return Err(SessionError::Plan {
                    reason: format!(
                        "the session keeps one score for all rows of '{}' together in place of keys, and none of a part \
                         of them; capture with --keep keys",
                        self.label()
                    ),
                });
            }
            Evidence::Scores(_) | Evidence::Reduced(_) => return Ok(self.clone()),
        };
        let mut info = self.info.clone();
        info.token_ids = info
            .token_ids
            .get(rows.clone())
            .unwrap_or_default()
            .to_vec();
        Self::new(info, Evidence::Queries(all.range(rows)?))
    }

    /// The window as it was typed.
    pub fn label(&self) -> &str {
        &self.info.label
    }

    /// The same with queries in another format; scores stay as they are.
    pub(crate) fn converted(&self, numbers: HalfFormat) -> Result<Self, SessionError> {
        let evidence = match &self.evidence {
            Evidence::Queries(rows) => Evidence::Queries(rows.converted(numbers)?),
            Evidence::Reduced(reduced) => Evidence::Reduced(reduced.converted(numbers)?),
            Evidence::Scores(scores) => Evidence::Scores(scores.clone()),
        };
        Self::new(self.info.clone(), evidence)
    }

    /// What it observed.
    pub fn evidence(&self) -> &Evidence {
        &self.evidence
    }

    /// Its queries; none for a window that gives ready-made scores.
    pub fn query_rows(&self) -> Option<&QueryRows> {
        match &self.evidence {
            Evidence::Queries(rows) => Some(rows),
            Evidence::Reduced(reduced) => reduced.queries(),
            Evidence::Scores(_) => None,
        }
    }

    /// Rotary positions of its rows; none where it looked at no query.
    pub fn positions(&self) -> &[u32] {
        match &self.evidence {
            Evidence::Queries(rows) => rows.positions(),
            Evidence::Reduced(reduced) => reduced.positions(),
            Evidence::Scores(_) => &[],
        }
    }

    /// The same with other evidence of the same rows.
    pub(crate) fn with_evidence(&self, evidence: Evidence) -> Result<Self, SessionError> {
        let reduced = match &evidence {
            Evidence::Reduced(reduced) => {
                let made = reduced.scores().iter();
                Some(made.map(|made| made.reduction).collect())
            }
            Evidence::Queries(_) | Evidence::Scores(_) => None,
        };
        let info = ObservationInfo {
            reduced,
            ..self.info.clone()
        };
        Self::new(info, evidence)
    }

    /// W: rows that it observed with; 0 where it looked at no query.
    pub fn rows(&self) -> usize {
        match self.positions().len() {
            0 => self.info.cost.rows,
            rows => rows,
        }
    }

    /// How many of its query rows stand in a prompt of so many tokens, by their positions.
    pub fn rows_in_prompt(&self, prompt_tokens: usize) -> usize {
        let positions = self.positions().iter();
        let inside = positions.filter(|&&position| (position as usize) < prompt_tokens);
        inside.count()
    }

    /// What its scores are: attention, for every window that gives queries.
    pub fn score_kind(&self) -> ScoreKind {
        self.info.score_kind()
    }

    /// The scoring that the window was published with.
    pub fn scoring(&self) -> Scoring {
        self.info.scoring
    }

    /// Tokens that the window's rule keeps at every budget, whatever their score.
    pub fn forced_keep(&self) -> ForcedKeep {
        self.info.keep_rule.fixed
    }

    /// Tokens that the window's rule keeps whatever their score.
    pub fn keep_rule(&self) -> KeepRule {
        self.info.keep_rule
    }

    /// The published scoring, which stops pooling before the tokens that the rule keeps anyway.
    pub fn published_side(&self) -> SideScoring {
        self.info.published_side()
    }

    /// Ids of the tokens that the rows are the queries of; none where the rows are no tokens.
    pub fn token_ids(&self) -> &[u32] {
        &self.info.token_ids
    }

    /// What it cost.
    pub fn cost(&self) -> &Cost {
        &self.info.cost
    }

    /// The same observation with the wall time of several runs of it.
    pub(crate) fn with_seconds(mut self, seconds: f64) -> Self {
        self.info.cost.seconds = seconds;
        self
    }

    pub(crate) fn info(&self) -> &ObservationInfo {
        &self.info
    }
}
