//! Chance: the floor under every window. A random ranking recalls B / T of any top-B in expectation.
//!
//! Scores are uniform in 0..1, drawn for each layer, query head and token; the same seed and prompt give the
//! same draws, another prompt gives others.

use rand::RngExt as _;

use super::seed::generator;
use super::{Observe, Observed, Run, Window, WindowOptions};
use crate::SessionError;
use crate::footprint::{Memory, RunShape, WindowMemory};
use crate::observation::ScoreKind;

/// Uniform scores.
struct Random {
    seed: u64,
}

/// From `random[:seed=0]`.
pub(super) fn random(options: &mut WindowOptions<'_>) -> Result<Window, SessionError> {
    let seed = options.parsed("seed", 0)?;
    Ok(Window::by_scores(Random { seed }))
}

impl Observe for Random {
    fn memory(&self, run: &RunShape<'_>) -> Result<WindowMemory, SessionError> {
        let heads = run.config.query_heads;
        Ok(run.observed_by_scores(heads, Memory::on_host(run.scores(heads))))
    }

    fn observe(&self, run: &mut Run<'_>) -> Result<Observed, SessionError> {
        let count = run.config().layers * run.config().query_heads * run.prompt_tokens();
        let mut chance = generator(self.seed, run.prefilled.prompt_ids());
        let scores = std::iter::repeat_with(|| chance.random()).take(count);
        run.scores(ScoreKind::Random, scores.collect())
    }
}
