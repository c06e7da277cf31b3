//! Chance: the floor under every window. A random ranking recalls B / T of any top-B in expectation.
//!
//! Scores are uniform in 0..1, drawn for each layer, query head and token; the same seed and prompt give the
//! same draws, another prompt gives others.

use std::time::Instant;

use candle_core::{Device, Tensor};
use rand::RngExt as _;

use super::seed::generator;
use super::{ObservationWindow, WindowLabel};
use crate::SessionError;
use crate::footprint::{Memory, RunShape, WindowMemory};
use crate::model::Model;
use crate::observation::{Cost, Observation, ScoreKind, TokenScores};
use crate::prefill::{Prefilled, RunControl};

/// Uniform scores.
#[derive(Debug, Clone)]
pub struct Random {
    label: String,
    seed: u64,
}

impl Random {
    /// From `random[:seed=0]`.
    ///
    /// # Errors
    /// [`SessionError::Plan`] for any other option.
    pub fn from_label(label: &WindowLabel) -> Result<Self, SessionError> {
        let mut options = label.options();
        let seed = options.parsed("seed", 0)?;
        options.finish()?;
        Ok(Self {
            label: label.text().to_owned(),
            seed,
        })
    }
}

impl ObservationWindow for Random {
    fn label(&self) -> &str {
        &self.label
    }

    fn gives_rows(&self) -> bool {
        false
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
        let config = model.config();
        let shape = (config.layers, config.query_heads, prefilled.prompt_tokens());
        let mut chance = generator(self.seed, prefilled.prompt_ids());
        let scores: Vec<f32> = std::iter::repeat_with(|| chance.random())
            .take(shape.0 * shape.1 * shape.2)
            .collect();
        let scores = Tensor::from_vec(scores, shape, &Device::Cpu)?;
        let scores = TokenScores::new(ScoreKind::Random, &scores)?;
        let cost = Cost {
            seconds: started.elapsed().as_secs_f64(),
            peak_bytes: scores.bytes(),
            ..Cost::default()
        };
        Observation::by_scores(self.info(Vec::new(), cost), scores)
    }
}
