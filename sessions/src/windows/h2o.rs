//! H2O's heavy hitters (Zhang et al. 2023, arXiv 2306.14048): the attention that *all* prompt rows pay.
//!
//! Score of prompt token j, per layer and query head: the sum over i >= j of the causal attention weight of
//! row i on j; no pooling. Accumulated block by block during prefill; T x T weights are never held.
//! Tokens at the start are seen by more rows and gain from it, as in the original.
//! The last `recent=32` tokens are always kept, as in KVCache-Factory. `recent=50%` is the published split: half
//! of any budget goes to the most recent tokens, the rest to heavy hitters among the others (the authors'
//! repository sizes both parts by ratios of the cache and runs them with equal ones).

use kvlens_analysis::{KeepRule, KeptRecent, RowReduction, Scoring};

use super::{Observe, Observed, Run, Window, WindowOptions};
use crate::SessionError;
use crate::footprint::{Memory, RunShape, WindowMemory};
use crate::observation::{ScoreKind, TokenScores};
use crate::prefill::Needs;

/// Recent tokens that KVCache-Factory always keeps.
const RECENT: KeptRecent = KeptRecent::Tokens(32);

/// Attention accumulated over the whole prompt.
struct H2o;

/// From `h2o`; `recent=50%` among the options of every window is the published split.
pub(super) fn h2o(_options: &mut WindowOptions<'_>) -> Result<Window, SessionError> {
    let scoring = Scoring {
        reduce: RowReduction::Sum,
        ..Scoring::default()
    };
    let window = Window::by_scores(H2o).scored(scoring);
    Ok(window.keeping(KeepRule::default().with_recent(RECENT)))
}

impl Observe for H2o {
    fn needs(&self) -> Needs {
        Needs {
            column_sums: true,
            ..Needs::default()
        }
    }

    fn memory(&self, run: &RunShape<'_>) -> Result<WindowMemory, SessionError> {
        let heads = run.config.query_heads;
        Ok(run.observed_by_scores(heads, Memory::on_host(run.scores(heads))))
    }

    fn observe(&self, run: &mut Run<'_>) -> Result<Observed, SessionError> {
        let (config, prompt_tokens) = (run.config(), run.prompt_tokens());
        let sums = run.prefilled.column_sums()?;
        let scores = TokenScores::new(ScoreKind::AccumulatedAttention, &sums.tensor()?)?;
        let (seconds, block_bytes) = (sums.seconds(), sums.block_bytes(config, prompt_tokens));
        run.spent_in_prefill(seconds);
        run.held(block_bytes);
        run.looked_at(prompt_tokens);
        // row i meets i + 1 keys
        run.computed(config.scoring_flops(1, prompt_tokens) * (prompt_tokens + 1) as f64 / 2.0);
        Ok(scores.into())
    }
}
