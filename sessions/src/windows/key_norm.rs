//! Key norm (Devoto et al. 2024, arXiv 2406.11430): tokens whose keys are short are kept.
//!
//! Score of prompt token j, per layer and key/value head: minus the Euclidean norm of its key `k_j` after
//! rotation (which does not change it). No query is looked at.

use candle_core::{D, DType, Tensor};

use super::{Observe, Observed, Run, Window, WindowOptions};
use crate::SessionError;
use crate::footprint::{RunShape, WindowMemory};
use crate::observation::{ScoreKind, TokenScores};

/// Minus the norm of the key.
struct KeyNorm;

/// From `knorm`.
pub(super) fn key_norm(_options: &mut WindowOptions<'_>) -> Result<Window, SessionError> {
    Ok(Window::by_scores(KeyNorm))
}

impl Observe for KeyNorm {
    fn memory(&self, run: &RunShape<'_>) -> Result<WindowMemory, SessionError> {
        let single_precision =
            run.keys() * DType::F32.size_in_bytes() as f64 / run.element_bytes as f64;
        // a layer's keys in single precision, unless they are, and their squares
        let copies = if run.element_bytes == DType::F32.size_in_bytes() {
            1.0
        } else {
            2.0
        };
        let squares = run.beside_the_model(copies * single_precision / run.config.layers as f64);
        Ok(run.observed_by_scores(run.config.kv_heads, squares))
    }

    fn observe(&self, run: &mut Run<'_>) -> Result<Observed, SessionError> {
        let keys = run.keys()?;
        let (layers, kv_heads, tokens, head_dim) = keys.shape();
        let norms = (0..layers).map(|layer| {
            keys.check_cancel()?;
            let squares = keys.layer(layer)?.to_dtype(DType::F32)?.sqr()?;
            Ok(squares.sum(D::Minus1)?.sqrt()?.neg()?)
        });
        let norms = norms.collect::<Result<Vec<_>, SessionError>>()?;
        run.computed(2.0 * (layers * kv_heads * tokens * head_dim) as f64);
        Ok(TokenScores::new(ScoreKind::KeyNorm, &Tensor::stack(&norms, 0)?)?.into())
    }
}
