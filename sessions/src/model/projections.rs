//! The weights of attention in one decoder layer, and linear layers whether stored apart or fused.

use candle_core::Tensor;

use super::config::{ModelConfig, QkNorm};
use super::kernels::Kernels;
use super::linear::Linear;
use super::norm::Norm;
use super::weights::Weights;
use crate::SessionError;

#[derive(Clone)]
pub(crate) struct AttentionWeights {
    pub(crate) query: Linear,
    pub(crate) key: Linear,
    pub(crate) value: Linear,
    pub(crate) output: Linear,
    pub(crate) query_norm: Option<Norm>,
    pub(crate) key_norm: Option<Norm>,
    qk_norm: Option<QkNorm>,
    pub(crate) head_dim: usize,
    query_scale: f64,
    pub(crate) sliding_window: Option<usize>,
    /// Whether queries and keys are rotated.
    pub(crate) rotates: bool,
}

impl AttentionWeights {
    pub(crate) fn load(
        weights: &Weights,
        config: &ModelConfig,
        layer: usize,
    ) -> Result<Self, SessionError> {
        let prefix = format!("model.layers.{layer}.self_attn");
        let (hidden, head_dim) = (config.hidden_size, config.head_dim);
        let (query_width, kv_width) = (config.query_heads * head_dim, config.kv_heads * head_dim);
        let [query, key, value] = linears(
            weights,
            &prefix,
            Stored {
                apart: ["q_proj", "k_proj", "v_proj"],
                fused: config.fused_projections.then_some("qkv_proj"),
                bias: config.qkv_bias,
            },
            [query_width, kv_width, kv_width],
            hidden,
        )?;
        let rotated = config.rope.rotated_width(head_dim);
        let in_order = |linear: Linear, heads: usize| match rotated == head_dim {
            true => Ok(linear),
            false => linear.reordered(&rotated_pairs_apart(rotated, head_dim, heads)),
        };
        let (query, key) = (
            in_order(query, config.query_heads)?,
            in_order(key, config.kv_heads)?,
        );
        let norm = |name: &str, width: usize| {
            let width = match config.qk_norm {
                None => return Ok(None),
                Some(QkNorm::PerHead) => head_dim,
                Some(QkNorm::AllHeads) => width,
            };
            Norm::load(weights, &format!("{prefix}.{name}"), width, config).map(Some)
        };
        Ok(Self {
            query,
            key,
            value,
            output: linear(
                weights,
                &format!("{prefix}.o_proj"),
                [hidden, query_width],
                config.output_bias,
            )?,
            query_norm: norm("q_norm", query_width)?,
            key_norm: norm("k_norm", kv_width)?,
            qk_norm: config.qk_norm,
            head_dim,
            query_scale: config.query_scale,
            sliding_window: config.sliding_windows.get(layer).copied().flatten(),
            rotates: config.rotated_layers.get(layer).copied().unwrap_or(true),
        })
    }

    /// Queries whose logits are q . k / sqrt(D), whatever the model divides by.
    pub(crate) fn scaled(&self, queries: Tensor) -> Result<Tensor, SessionError> {
        match self.query_scale {
            1.0 => Ok(queries),
            scale => Ok((queries * scale)?),
        }
    }

    /// Splits projected rows `[R, heads * D]` into the heads of every sequence,
    /// `[sequences * heads, R / sequences, D]`.
    pub(crate) fn heads(
        &self,
        projected: &Tensor,
        sequences: usize,
        norm: Option<&Norm>,
        kernels: Kernels,
    ) -> Result<Tensor, SessionError> {
        let rows = projected.dim(0)? / sequences;
        let split = |projected: &Tensor| projected.reshape((sequences, rows, (), self.head_dim));
        let split = match (norm, self.qk_norm) {
            (Some(norm), Some(QkNorm::AllHeads)) => split(&norm.forward(projected, kernels)?)?,
            (Some(norm), _) => norm.forward(&split(projected)?, kernels)?,
            (None, _) => split(projected)?,
        };
        Ok(split.transpose(1, 2)?.flatten(0, 1)?)
    }
}

/// Where each row of queries or keys comes from so that the pair of number i is i + D / 2, as the rotation takes it,
/// though only the first `rotated` numbers of a head rotate, of which i goes with i + `rotated` / 2. The rest keeps
/// its order at the end of both halves. What queries and keys do together does not depend on an order that both have.
fn rotated_pairs_apart(rotated: usize, head_dim: usize, heads: usize) -> Vec<u32> {
    let (half, resting) = (rotated / 2, (head_dim - rotated) / 2);
    let of_half = |first: usize, rest: usize| (first..first + half).chain(rest..rest + resting);
    let of_head: Vec<usize> = of_half(0, rotated)
        .chain(of_half(half, rotated + resting))
        .collect();
    (0..heads)
        .flat_map(|head| {
            of_head
                .iter()
                .map(move |row| (head * head_dim + row) as u32)
        })
        .collect()
}

/// How linear layers with one input are stored: under a name each, or one behind the other under one name.
pub(super) struct Stored<const N: usize> {
    pub(super) apart: [&'static str; N],
    pub(super) fused: Option<&'static str>,
    pub(super) bias: bool,
}

/// Linear layers of these output widths on `hidden` inputs. Fused ones stay views of the one tensor.
pub(super) fn linears<const N: usize>(
    weights: &Weights,
    prefix: &str,
    stored: Stored<N>,
    widths: [usize; N],
    hidden: usize,
) -> Result<[Linear; N], SessionError> {
    let parts: Vec<Linear> = match stored.fused {
        None => stored
            .apart
            .iter()
            .zip(widths)
            .map(|(name, width)| {
                linear(
                    weights,
                    &format!("{prefix}.{name}"),
                    [width, hidden],
                    stored.bias,
                )
            })
            .collect::<Result<_, _>>()?,
        Some(name) => {
            let shape = [widths.iter().sum(), hidden];
            let whole = linear(weights, &format!("{prefix}.{name}"), shape, stored.bias)?;
            split(&whole, widths)?
        }
    };
    parts
        .try_into()
        .map_err(|parts: Vec<Linear>| SessionError::MissingTensor {
            tensor: format!("{prefix}: {N} projections, found {}", parts.len()),
            files: "the weights".to_owned(),
        })
}

/// Cuts the outputs of a layer into consecutive parts.
fn split<const N: usize>(whole: &Linear, widths: [usize; N]) -> Result<Vec<Linear>, SessionError> {
    let mut start = 0;
    let mut parts = Vec::with_capacity(N);
    for width in widths {
        parts.push(whole.part(start, width)?);
        start += width;
    }
    Ok(parts)
}

/// A bias that the configuration speaks of and the files do not have is none: transformers makes it zeros.
pub(super) fn linear(
    weights: &Weights,
    name: &str,
    shape: [usize; 2],
    bias: bool,
) -> Result<Linear, SessionError> {
    let weight = weights.matrix(&format!("{name}.weight"), shape)?;
    let bias_name = format!("{name}.bias");
    let bias = (bias && weights.holds(&bias_name))
        .then(|| weights.get(&bias_name, &shape[..1]))
        .transpose()?;
    Ok(Linear::new(weight, bias))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_rotate_stands_behind_what_does() {
        assert_eq!(
            rotated_pairs_apart(4, 8, 2),
            [0, 1, 4, 5, 2, 3, 6, 7, 8, 9, 12, 13, 10, 11, 14, 15]
        );
        assert_eq!(rotated_pairs_apart(6, 8, 1), [0, 1, 2, 6, 3, 4, 5, 7]);
    }
}
