//! H2O's heavy hitters (Zhang et al. 2023, arXiv 2306.14048): the attention that *all* prompt rows pay.
//!
//! Score of prompt token j, per layer and query head: the sum over i >= j of the causal attention weight of
//! row i on j; no pooling. Accumulated block by block during prefill; T x T weights are never held.
//! Tokens at the start are seen by more rows and gain from it, as in the original.
//! The last `recent=32` tokens are always kept, as in KVCache-Factory. `recent=50%` is the published split: half
//! of any budget goes to the most recent tokens, the rest to heavy hitters among the others (the authors'
//! repository sizes both parts by ratios of the cache and runs them with equal ones).

use std::time::Instant;

use kvlens_analysis::{ForcedKeep, KeepRule, KeptRecent, RowReduction, Scoring};

use super::{ObservationWindow, WindowLabel};
use crate::SessionError;
use crate::footprint::{Memory, RunShape, WindowMemory};
use crate::model::Model;
use crate::observation::{Cost, Observation, ScoreKind, TokenScores};
use crate::prefill::{Needs, Prefilled, RunControl};

/// Recent tokens that KVCache-Factory always keeps.
const RECENT: KeptRecent = KeptRecent::Tokens(32);

/// Attention accumulated over the whole prompt.
#[derive(Debug, Clone)]
pub struct H2o {
    label: String,
    recent: KeptRecent,
}

impl H2o {
    /// From `h2o[:recent=32|50%]`: recent tokens that are always kept, or their share of the budget.
    ///
    /// # Errors
    /// [`SessionError::Plan`] for any other option.
    pub fn from_label(label: &WindowLabel) -> Result<Self, SessionError> {
        let mut options = label.options();
        let recent = options.parsed("recent", RECENT)?;
        options.finish()?;
        Ok(Self {
            label: label.text().to_owned(),
            recent,
        })
    }
}

impl ObservationWindow for H2o {
    fn label(&self) -> &str {
        &self.label
    }

    fn gives_rows(&self) -> bool {
        false
    }

    fn needs(&self) -> Needs {
        Needs {
            column_sums: true,
            ..Needs::default()
        }
    }

    fn scoring(&self) -> Scoring {
        Scoring {
            reduce: RowReduction::Sum,
            ..Scoring::default()
        }
    }

    fn forced_keep(&self) -> ForcedKeep {
        self.keep_rule().fixed
    }

    fn keep_rule(&self) -> KeepRule {
        KeepRule::default().with_recent(self.recent)
    }

    fn memory(&self, run: &RunShape<'_>) -> Result<WindowMemory, SessionError> {
        let heads = run.config.query_heads;
        Ok(run.observed_by_scores(heads, Memory::on_host(run.scores(heads))))
    }

    fn observe(
        &self,
        model: &Model,
        prefilled: &mut Prefilled,
        _control: &mut RunControl<'_>,
    ) -> Result<Observation, SessionError> {
        let started = Instant::now();
        let prompt_tokens = prefilled.prompt_tokens();
        let config = model.config();
        let sums = prefilled.column_sums()?;
        let scores = TokenScores::new(ScoreKind::AccumulatedAttention, &sums.tensor()?)?;
        let cost = Cost {
            rows: prompt_tokens,
            seconds: sums.seconds() + started.elapsed().as_secs_f64(),
            // row i meets i + 1 keys
            flops: config.scoring_flops(1, prompt_tokens) * (prompt_tokens + 1) as f64 / 2.0,
            extra_tokens: 0,
            peak_bytes: sums.block_bytes(config, prompt_tokens) + scores.bytes(),
        };
        Observation::by_scores(self.info(Vec::new(), cost), scores)
    }
}
