//! Scores multiplied by what their tokens' values weigh.

use std::sync::Arc;

use super::layout::check_finite;
use super::{Importance, StoredScores};
use crate::error::AnalysisError;

impl Importance {
    /// Every score times the weight of its token; `weights` has `[T]` for each of the L * H query heads. Heads that are
    /// stored as one take the mean of their weights. The unpooled scores, which decide ties, are multiplied alike.
    ///
    /// # Errors
    /// [`AnalysisError::Length`] for weights of other heads or tokens, [`AnalysisError::NotFinite`] for a product that
    /// is no finite number.
    pub fn weighted(&self, weights: &[Vec<f32>]) -> Result<Self, AnalysisError> {
        let stored = &*self.stored;
        let (heads, tokens) = (stored.layers * stored.heads, stored.prompt_tokens);
        let fits = !weights.is_empty()
            && weights.len().is_multiple_of(heads)
            && weights.iter().all(|weights| weights.len() == tokens);
        if !fits {
            return Err(AnalysisError::Length {
                what: "the weights of an importance",
                dimensions: format!("[query heads of {heads} stored ones, tokens {tokens}]"),
                expected: heads * tokens,
                found: weights.iter().map(Vec::len).sum(),
            });
        }
        let group = weights.len() / heads;
        let factors: Vec<f64> = weights.chunks(group).flat_map(mean_of_group).collect();
        let times = |scores: &[f32]| -> Result<Vec<f32>, AnalysisError> {
            let products = scores.iter().zip(&factors);
            let products = products.map(|(&score, factor)| (f64::from(score) * factor) as f32);
            let products: Vec<f32> = products.collect();
            for (index, head) in products.chunks_exact(tokens).enumerate() {
                check_finite(head, index / stored.heads, index % stored.heads)?;
            }
            Ok(products)
        };
        Ok(Self {
            stored: Arc::new(StoredScores {
                scores: times(&stored.scores)?,
                unpooled: stored.unpooled.as_deref().map(times).transpose()?,
                prompt_share: stored.prompt_share.clone(),
                first_visible: stored.first_visible.clone(),
                ..*stored
            }),
            ..*self
        })
    }
}

/// Token by token.
fn mean_of_group(group: &[Vec<f32>]) -> Vec<f64> {
    let mut sums = vec![0.0; group.first().map_or(0, Vec::len)];
    for weights in group {
        for (sum, &weight) in sums.iter_mut().zip(weights) {
            *sum += f64::from(weight);
        }
    }
    let count = group.len() as f64;
    sums.into_iter().map(|sum| sum / count).collect()
}

#[cfg(test)]
mod tests {
    use crate::importance::{HeadKind, ReducedHead};
    use crate::scoring::{GroupReduction, Pooling, Scoring};
    use crate::tokens::ForcedKeep;
    use crate::{Importance, Rankings};

    fn importance(group: GroupReduction, pool: Pooling) -> Importance {
        let head = |scores: [f32; 3]| ReducedHead {
            scores: scores.to_vec(),
            prompt_share: 0.5,
        };
        let heads = vec![vec![head([0.4, 0.3, 0.2]), head([0.2, 0.1, 0.4])]];
        let scoring = Scoring {
            group,
            pool,
            ..Scoring::default()
        };
        Importance::from_reduced(heads, 1, scoring, ForcedKeep::default(), vec![0]).unwrap()
    }

    #[test]
    fn a_short_value_lets_its_token_fall() {
        let weights = [vec![0.5, 1.0, 2.0], vec![1.0, 1.0, 1.0]];
        let by_head = importance(GroupReduction::None, Pooling::None);
        let weighted = by_head.weighted(&weights).unwrap();
        assert_eq!(weighted.head(0, 0), [0.2, 0.3, 0.4]);
        assert_eq!(weighted.head(0, 1), [0.2, 0.1, 0.4]);
        let order = Rankings::of(&weighted, ForcedKeep::default()).unwrap();
        assert_eq!(order.order(0, 0), [2, 1, 0]);
        // a group of scores 0.3, 0.2, 0.3 and weights 0.75, 1, 1.5
        let shared = importance(GroupReduction::Mean, Pooling::None);
        let found = shared.weighted(&weights).unwrap();
        for (found, expected) in found.head(0, 0).iter().zip([0.225, 0.2, 0.45]) {
            assert!((found - expected).abs() < 1e-6, "{found}");
        }
        assert_eq!(found.head_kind(), HeadKind::Kv);
    }

    /// Pooling comes first, so that a neighbour's value does not count; ties are decided by weighted scores, too.
    #[test]
    fn the_weight_is_that_of_the_token_itself() {
        let pooled = importance(GroupReduction::None, Pooling::Max { kernel: 3 });
        let weights = vec![vec![1.0, 1.0, 0.5]; 2];
        let found = pooled.weighted(&weights).unwrap();
        assert_eq!(found.head(0, 0), [0.4, 0.4, 0.15]);
        let ties = found.head_scores(0, 0, ForcedKeep::default());
        assert_eq!(ties.tie_break(), [0.4, 0.3, 0.1]);
    }

    #[test]
    fn weights_of_other_heads_or_tokens_are_refused() {
        let plain = importance(GroupReduction::None, Pooling::None);
        assert!(plain.weighted(&[vec![1.0; 3]]).is_err());
        assert!(plain.weighted(&[vec![1.0; 2], vec![1.0; 3]]).is_err());
        assert!(plain.weighted(&[]).is_err());
        let refused = plain.weighted(&[vec![f32::MAX; 3], vec![f32::INFINITY; 3]]);
        assert!(refused.is_err());
    }
}
