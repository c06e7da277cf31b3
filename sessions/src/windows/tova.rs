//! TOVA (Oren et al. 2024, arXiv 2401.06104): the attention of the last prompt token, averaged over all query
//! heads of a layer, so that every head of the layer keeps the same tokens.
//!
//! Score of prompt token j in a layer: mean over h of softmax_j(q_h . k_j / sqrt(D)), q the last row; no
//! pooling; nothing is kept by force (kvpress keeps the last token, the original does not).

use super::{Observe, Observed, Run, Window, WindowOptions};
use crate::SessionError;
use crate::footprint::{Memory, RunShape, WindowMemory};
use crate::observation::ScoreKind;
use crate::prefill::Needs;

/// The last row's attention, one score for a whole layer.
struct Tova;

/// From `tova`.
pub(super) fn tova(_options: &mut WindowOptions<'_>) -> Result<Window, SessionError> {
    Ok(Window::by_scores(Tova))
}

impl Observe for Tova {
    fn needs(&self) -> Needs {
        Needs {
            last_rows: 1,
            ..Needs::default()
        }
    }

    fn memory(&self, run: &RunShape<'_>) -> Result<WindowMemory, SessionError> {
        // the means, while their parts are still there
        let means = Memory::on_host(2.0 * run.scores(1));
        Ok(run.observed_by_scores(1, run.weighed(1) + means))
    }

    fn observe(&self, run: &mut Run<'_>) -> Result<Observed, SessionError> {
        let (config, prompt_tokens) = (run.config(), run.prompt_tokens());
        let (last, keys) = (run.prefilled.last_rows(1)?, run.keys()?);
        let mut means = Vec::with_capacity(config.layers * prompt_tokens);
        for layer in 0..config.layers {
            let mut sums = vec![0.0_f64; prompt_tokens];
            for weights in keys.layer_attention_rows(&last, layer)? {
                for (sum, weight) in sums.iter_mut().zip(weights) {
                    *sum += f64::from(weight);
                }
            }
            let heads = config.query_heads as f64;
            means.extend(sums.iter().map(|sum| (sum / heads) as f32));
        }
        run.looked_at(1);
        run.computed(config.scoring_flops(1, prompt_tokens));
        run.held(last.bytes());
        run.scores(ScoreKind::Attention, means)
    }
}
