//! What an observation window yields, whichever window it was.

use candle_core::Tensor;
use kvlens_analysis::{ForcedKeep, Scoring};
use serde::{Deserialize, Serialize};

use crate::SessionError;
use crate::model::CapturedRows;

/// What making an observation cost, beyond the prefill that every window shares.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Cost {
    /// W: rows that the window observes with.
    pub rows: usize,
    /// Wall time of making the queries, in seconds.
    pub seconds: f64,
    /// Operations of making the queries and of scoring them on the prompt keys, from the shapes.
    pub flops: f64,
    /// Tokens that were run through the model beyond the prompt.
    pub extra_tokens: usize,
    /// Bytes held beyond the prompt's cache at the worst moment, from the shapes.
    pub peak_bytes: usize,
}

/// An observation without its tensors: what the session file keeps as text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ObservationInfo {
    /// The window as it was typed, such as `last:32`; `decode` for the oracle.
    pub label: String,
    /// The scoring that the window was published with.
    pub scoring: Scoring,
    /// Tokens that the window's eviction rule keeps whatever their score.
    pub forced_keep: ForcedKeep,
    /// Ids of the tokens that the rows are the queries of; W entries.
    pub token_ids: Vec<u32>,
    /// What it cost.
    pub cost: Cost,
}

/// The queries of one window over one prompt, with what is needed to recompute any attention weight.
///
/// The weight of row r of head h on prompt key j is `exp(q . k_j / sqrt(D) - log_sum_exp)` for the keys
/// that the row sees, and 0 for others: j < `visible_keys[r]` and, on a layer with a sliding window of w
/// keys, j >= `visible_keys[r] - w`. It is the weight that the model itself used: nothing is
/// renormalised over the prompt.
#[derive(Debug, Clone)]
pub struct Observation {
    info: ObservationInfo,
    queries: Tensor,
    log_sum_exp: Tensor,
    positions: Vec<u32>,
    visible_keys: Vec<u32>,
}

impl Observation {
    pub(crate) fn new(
        info: ObservationInfo,
        rows: CapturedRows,
        positions: Vec<u32>,
        visible_keys: Vec<u32>,
    ) -> Result<Self, SessionError> {
        let (_, _, count, _) = rows.queries.dims4()?;
        if count == 0
            || positions.len() != count
            || visible_keys.len() != count
            || info.token_ids.len() != count
        {
            return Err(SessionError::Plan {
                reason: format!(
                    "window '{}' has {count} query rows for {} positions, {} key limits and {} tokens",
                    info.label,
                    positions.len(),
                    visible_keys.len(),
                    info.token_ids.len()
                ),
            });
        }
        Ok(Self {
            info,
            queries: rows.queries,
            log_sum_exp: rows.log_sum_exp,
            positions,
            visible_keys,
        })
    }

    /// The window as it was typed.
    pub fn label(&self) -> &str {
        &self.info.label
    }

    /// W: rows.
    pub fn rows(&self) -> usize {
        self.positions.len()
    }

    /// W rotary positions.
    pub fn positions(&self) -> &[u32] {
        &self.positions
    }

    /// W counts: row r stands right behind this many tokens, itself included, and sees no later key.
    pub fn visible_keys(&self) -> &[u32] {
        &self.visible_keys
    }

    /// The scoring that the window was published with.
    pub fn scoring(&self) -> Scoring {
        self.info.scoring
    }

    /// Tokens that the window's rule keeps whatever their score.
    pub fn forced_keep(&self) -> ForcedKeep {
        self.info.forced_keep
    }

    /// Ids of the tokens that the rows are the queries of.
    pub fn token_ids(&self) -> &[u32] {
        &self.info.token_ids
    }

    /// What it cost.
    pub fn cost(&self) -> &Cost {
        &self.info.cost
    }

    /// Queries after rotation, `[L, H, W, D]`, on the CPU in the model's dtype.
    pub fn queries(&self) -> &Tensor {
        &self.queries
    }

    /// Log-sum-exp of each row's logits over every key that it sees, prompt and beyond: `[L, H, W]`, f32.
    pub fn log_sum_exp(&self) -> &Tensor {
        &self.log_sum_exp
    }

    pub(crate) fn info(&self) -> &ObservationInfo {
        &self.info
    }
}
