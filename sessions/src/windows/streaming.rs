//! StreamingLLM (Xiao et al. 2023, arXiv 2309.17453): position alone. Keeps the first tokens and the most
//! recent ones, whatever they say.
//!
//! Score of prompt token j: (j + 1) / T, so that the most recent rank first behind the `sinks=4` first tokens,
//! which are always kept and score highest.

use std::time::Instant;

use candle_core::{Device, Tensor};
use kvlens_analysis::ForcedKeep;

use super::{ObservationWindow, WindowLabel};
use crate::SessionError;
use crate::footprint::{Memory, RunShape, WindowMemory};
use crate::model::Model;
use crate::observation::{Cost, Observation, ScoreKind, TokenScores};
use crate::prefill::{Prefilled, RunControl};

/// Attention sinks of the paper.
const PUBLISHED_SINKS: usize = 4;

/// Sinks and the most recent tokens.
#[derive(Debug, Clone)]
pub struct Streaming {
    label: String,
    sinks: usize,
}

impl Streaming {
    /// From `streaming[:sinks=4]`.
    ///
    /// # Errors
    /// [`SessionError::Plan`] for any other option.
    pub fn from_label(label: &WindowLabel) -> Result<Self, SessionError> {
        let mut options = label.options();
        let sinks = options.parsed("sinks", PUBLISHED_SINKS)?;
        options.finish()?;
        Ok(Self {
            label: label.text().to_owned(),
            sinks,
        })
    }

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

impl ObservationWindow for Streaming {
    fn label(&self) -> &str {
        &self.label
    }

    fn gives_rows(&self) -> bool {
        false
    }

    fn forced_keep(&self) -> ForcedKeep {
        ForcedKeep {
            sinks: self.sinks,
            recent: 0,
        }
    }

    fn memory(&self, run: &RunShape<'_>) -> Result<WindowMemory, SessionError> {
        Ok(run.observed_by_scores(1, Memory::on_host(run.scores(1))))
    }

    fn observe(
        &self,
        model: &Model,
        prefilled: &mut Prefilled,
        _control: &mut RunControl<'_>,
    ) -> Result<Observation, SessionError> {
        let started = Instant::now();
        let prompt_tokens = prefilled.prompt_tokens();
        let layers = model.config().layers;
        let scores = self.scores(prompt_tokens).repeat(layers);
        let scores = Tensor::from_vec(scores, (layers, 1, prompt_tokens), &Device::Cpu)?;
        let scores = TokenScores::new(ScoreKind::Position, &scores)?;
        let cost = Cost {
            seconds: started.elapsed().as_secs_f64(),
            peak_bytes: scores.bytes(),
            ..Cost::default()
        };
        Observation::by_scores(self.info(Vec::new(), cost), scores)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sinks_come_first_and_then_the_most_recent() {
        let window = Streaming::from_label(&"streaming:sinks=2".parse().unwrap()).unwrap();
        let scores = window.scores(5);
        let mut order: Vec<usize> = (0..5).collect();
        order.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]));
        assert_eq!(order, [0, 1, 4, 3, 2]);
    }
}
