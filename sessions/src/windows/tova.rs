//! TOVA (Oren et al. 2024, arXiv 2401.06104): the attention of the last prompt token, averaged over all query
//! heads of a layer, so that every head of the layer keeps the same tokens.
//!
//! Score of prompt token j in a layer: mean over h of softmax_j(q_h . k_j / sqrt(D)), q the last row; no
//! pooling; nothing is kept by force (kvpress keeps the last token, the original does not).

use std::time::Instant;

use candle_core::{Device, Tensor};

use super::{ObservationWindow, WindowLabel};
use crate::SessionError;
use crate::estimate::{Memory, RunShape, WindowMemory};
use crate::model::Model;
use crate::observation::{Cost, Observation, QueryRows, ScoreKind, TokenScores};
use crate::prefill::{Needs, Prefilled, RunControl};

/// The last row's attention, one score for a whole layer.
#[derive(Debug, Clone)]
pub struct Tova {
    label: String,
}

impl Tova {
    /// From `tova`.
    ///
    /// # Errors
    /// [`SessionError::Plan`] for any option.
    pub fn from_label(label: &WindowLabel) -> Result<Self, SessionError> {
        label.options().finish()?;
        Ok(Self {
            label: label.text().to_owned(),
        })
    }
}

impl ObservationWindow for Tova {
    fn label(&self) -> &str {
        &self.label
    }

    fn gives_rows(&self) -> bool {
        false
    }

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

    fn observe(
        &self,
        model: &Model,
        prefilled: &mut Prefilled,
        control: &mut RunControl<'_>,
    ) -> Result<Observation, SessionError> {
        let started = Instant::now();
        let prompt_tokens = prefilled.prompt_tokens();
        let config = model.config();
        let last = QueryRows::last_of_prompt(prefilled, 1)?;
        let keys = prefilled
            .keys_for_scoring(model)?
            .stopped_by(control.cancel);
        let mut means = Vec::with_capacity(config.layers * prompt_tokens);
        for layer in 0..config.layers {
            let mut sums = vec![0.0_f64; prompt_tokens];
            for kv_head in 0..config.kv_heads {
                for weights in keys.attention_rows(&last, layer, kv_head)? {
                    for (sum, weight) in sums.iter_mut().zip(weights) {
                        *sum += f64::from(weight);
                    }
                }
            }
            let heads = config.query_heads as f64;
            means.extend(sums.iter().map(|sum| (sum / heads) as f32));
        }
        let scores = Tensor::from_vec(means, (config.layers, 1, prompt_tokens), &Device::Cpu)?;
        let scores = TokenScores::new(ScoreKind::Attention, &scores)?;
        let cost = Cost {
            rows: 1,
            seconds: started.elapsed().as_secs_f64(),
            flops: config.scoring_flops(1, prompt_tokens),
            extra_tokens: 0,
            peak_bytes: last.bytes() + scores.bytes(),
        };
        Observation::by_scores(self.info(Vec::new(), cost), scores)
    }
}
