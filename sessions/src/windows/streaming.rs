//! StreamingLLM (Xiao et al. 2023, arXiv 2309.17453): position alone. Keeps the first tokens and the most
//! recent ones, whatever they say.
//!
//! Score of prompt token j: (j + 1) / T, so that the most recent rank first behind the `sinks=4` first tokens,
//! which are always kept and score highest.

use kvlens_analysis::ForcedKeep;

use super::{Observe, Observed, Run, Window, WindowOptions};
use crate::SessionError;
use crate::footprint::{Memory, RunShape, WindowMemory};
use crate::observation::ScoreKind;

/// Attention sinks of the paper.
const PUBLISHED_SINKS: usize = 4;

/// Sinks and the most recent tokens.
struct Streaming {
    sinks: usize,
}

/// From `streaming[:sinks=4]`.
pub(super) fn streaming(options: &mut WindowOptions<'_>) -> Result<Window, SessionError> {
    let sinks = options.parsed("sinks", PUBLISHED_SINKS)?;
    Ok(Window::by_scores(Streaming { sinks }).keeping(ForcedKeep { sinks, recent: 0 }))
}

impl Streaming {
    fn scores(&self, prompt_tokens: usize) -> Vec<f32> {
        let recency = |token: usize| (token + 1) as f32 / prompt_tokens as f32;
        (0..prompt_tokens)
            .map(|token| {
                if token < self.sinks {
                    1.0 + recency(prompt_tokens - 1 - token)
                } else {
                    recency(token)
                }
            })
            .collect()
    }
}

impl Observe for Streaming {
    fn memory(&self, run: &RunShape<'_>) -> Result<WindowMemory, SessionError> {
        Ok(run.observed_by_scores(1, Memory::on_host(run.scores(1))))
    }

    fn observe(&self, run: &mut Run<'_>) -> Result<Observed, SessionError> {
        let of_layer = self.scores(run.prompt_tokens());
        run.scores(ScoreKind::Position, of_layer.repeat(run.config().layers))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sinks_come_first_and_then_the_most_recent() {
        let scores = Streaming { sinks: 2 }.scores(5);
        let mut order: Vec<usize> = (0..5).collect();
        order.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]));
        assert_eq!(order, [0, 1, 4, 3, 2]);
    }
}
