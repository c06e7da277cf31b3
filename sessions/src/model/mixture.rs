//! A mixture of experts: every row goes through the K of E feed-forwards that a router gives the largest shares.
//!
//! As transformers' Qwen3-MoE: shares are the softmax of the router's logits over all experts, in single precision;
//! where the configuration says so, those of the K are brought to sum 1. Rows of one expert run together, so each expert
//! is one product however many rows it has. Which rows these are is found on the processor: a GPU waits for that once a
//! layer. Gradients pass through rows and shares, not through the choice.

use candle_core::{D, DType, Tensor};

use super::config::{Experts, ModelConfig};
use super::feed_forward::GatedUnit;
use super::linear::Linear;
use super::projections::linear;
use super::weights::Weights;
use crate::SessionError;

/// Router and experts of one layer.
#[derive(Clone)]
pub(crate) struct Mixture {
    router: Linear,
    experts: Vec<GatedUnit>,
    active: usize,
    normalised: bool,
}

/// Where rows go. A pair is a row and one of its K experts; pair p belongs to row p / K.
struct Routing {
    /// `[R * K, 1]`, f32.
    shares: Tensor,
    /// The pairs of each expert, ascending.
    pairs_of_experts: Vec<Vec<u32>>,
}

impl Mixture {
    pub(super) fn load(
        weights: &Weights,
        config: &ModelConfig,
        experts: &Experts,
        prefix: &str,
    ) -> Result<Self, SessionError> {
        let router = [experts.count, config.hidden_size];
        let expert = |index: usize| {
            let prefix = format!("{prefix}.experts.{index}");
            GatedUnit::load(weights, config, &prefix, experts.width)
        };
        Ok(Self {
            router: linear(weights, &format!("{prefix}.gate"), router, false)?,
            experts: (0..experts.count).map(expert).collect::<Result<_, _>>()?,
            active: experts.active,
            normalised: experts.normalised,
        })
    }

    /// `[R, hidden]` in and out.
    pub(super) fn forward(&self, rows: &Tensor) -> Result<Tensor, SessionError> {
        let (count, device) = (rows.dim(0)?, rows.device());
        let routing = self.route(rows)?;
        let mut outputs = Vec::new();
        let mut places = vec![0_u32; count * self.active];
        let mut done = 0;
        for (expert, pairs) in self.experts.iter().zip(&routing.pairs_of_experts) {
            if pairs.is_empty() {
                continue;
            }
            for &pair in pairs {
                if let Some(place) = places.get_mut(pair as usize) {
                    *place = done;
                }
                done += 1;
            }
            let of_rows: Vec<u32> = pairs.iter().map(|pair| pair / self.active as u32).collect();
            let own = rows.index_select(&Tensor::new(of_rows, device)?, 0)?;
            let shares = routing
                .shares
                .index_select(&Tensor::new(pairs.as_slice(), device)?, 0)?;
            let output = expert.forward(&own, |linear, _, rows| linear.forward(rows))?;
            outputs.push(output.to_dtype(DType::F32)?.broadcast_mul(&shares)?);
        }
        // from the experts' order into that of the pairs, whose K outputs each row adds
        let together = Tensor::cat(&outputs, 0)?;
        drop(outputs);
        let by_pair = together.index_select(&Tensor::new(places, device)?, 0)?;
        let summed = by_pair.reshape((count, self.active, ()))?.sum(1)?;
        Ok(summed.to_dtype(rows.dtype())?)
    }

    fn route(&self, rows: &Tensor) -> Result<Routing, SessionError> {
        let logits = self.router.forward(rows)?.to_dtype(DType::F32)?;
        let shares = candle_nn::ops::softmax(&logits, D::Minus1)?;
        let mut chosen = Vec::with_capacity(rows.dim(0)? * self.active);
        for row in shares.detach().to_vec2::<f32>()? {
            chosen.extend(largest(&row, self.active));
        }
        let mut pairs_of_experts = vec![Vec::new(); self.experts.len()];
        for (pair, &expert) in chosen.iter().enumerate() {
            if let Some(pairs) = pairs_of_experts.get_mut(expert as usize) {
                pairs.push(pair as u32);
            }
        }
        let chosen = Tensor::from_vec(chosen, (rows.dim(0)?, self.active), rows.device())?;
        let shares = shares.gather(&chosen, 1)?;
        let shares = match self.normalised {
            true => shares.broadcast_div(&shares.sum_keepdim(1)?)?,
            false => shares,
        };
        Ok(Routing {
            shares: shares.reshape(((), 1))?,
            pairs_of_experts,
        })
    }
}

/// The indices of the `count` largest, the largest first; of equal ones the lower index.
fn largest(shares: &[f32], count: usize) -> Vec<u32> {
    let mut order: Vec<(u32, f32)> = (0..).zip(shares.iter().copied()).collect();
    order.sort_by(|(_, a), (_, b)| b.total_cmp(a));
    order.truncate(count);
    order.into_iter().map(|(index, _)| index).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_equal_shares_the_lower_expert_is_taken() {
        assert_eq!(largest(&[0.2, 0.3, 0.2, 0.3], 3), [1, 3, 0]);
    }
}
