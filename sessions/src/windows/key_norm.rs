//! Key norm (Devoto et al. 2024, arXiv 2406.11430): tokens whose keys are short are kept.
//!
//! Score of prompt token j, per layer and key/value head: minus the Euclidean norm of its key `k_j` after
//! rotation (which does not change it). No query is looked at.

use std::time::Instant;

use candle_core::{D, DType};

use super::{ObservationWindow, WindowLabel};
use crate::SessionError;
use crate::estimate::{Memory, RunShape, WindowMemory};
use crate::model::Model;
use crate::observation::{Cost, Observation, ScoreKind, TokenScores};
use crate::prefill::{Prefilled, RunControl};

/// Minus the norm of the key.
#[derive(Debug, Clone)]
pub struct KeyNorm {
    label: String,
}

impl KeyNorm {
    /// From `knorm`.
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

impl ObservationWindow for KeyNorm {
    fn label(&self) -> &str {
        &self.label
    }

    fn gives_rows(&self) -> bool {
        false
    }

    fn memory(&self, run: &RunShape<'_>) -> Result<WindowMemory, SessionError> {
        let single_precision =
            run.keys() * DType::F32.size_in_bytes() as f64 / run.element_bytes as f64;
        // the keys in single precision, unless they are, and their squares
        let copies = if run.element_bytes == DType::F32.size_in_bytes() {
            1.0
        } else {
            2.0
        };
        let squares = Memory::on_host(copies * single_precision);
        Ok(run.observed_by_scores(run.config.kv_heads, run.copied_keys() + squares))
    }

    fn observe(
        &self,
        model: &Model,
        prefilled: &mut Prefilled,
        control: &mut RunControl<'_>,
    ) -> Result<Observation, SessionError> {
        let started = Instant::now();
        let keys = prefilled
            .keys_for_scoring(model)?
            .stopped_by(control.cancel);
        keys.check_cancel()?;
        let squares = keys.tensor().to_dtype(DType::F32)?.sqr()?;
        let scores = squares.sum(D::Minus1)?.sqrt()?.neg()?;
        let scores = TokenScores::new(ScoreKind::KeyNorm, &scores)?;
        let cost = Cost {
            seconds: started.elapsed().as_secs_f64(),
            flops: 2.0 * keys.tensor().elem_count() as f64,
            peak_bytes: scores.bytes(),
            ..Cost::default()
        };
        Observation::by_scores(self.info(Vec::new(), cost), scores)
    }
}
