//! How a total budget is shared over layers and heads: uniform, pyramid, head-adaptive.
//!
//! Every allocation of a budget B gives out the same number of tokens, `L * heads * B`, so that recall under
//! one can be held against recall under another.

use std::ops::Range;

use crate::comparison::check_budgets;
use crate::error::AnalysisError;
use crate::importance::{HeadScores, Importance};
use crate::order::{SortKeys, descending};
use crate::tokens::ForcedKeep;

mod outcome;
#[cfg(test)]
mod tests;

pub use outcome::{AllocatedHead, AllocatedMeans, AllocationInput, compare_allocation};

/// Steepness of the pyramid in `PyramidKV`'s released code: the last layer gets a twentieth.
pub const PYRAMID_BETA: f64 = 20.0;

/// Share of the uniform budget that every head keeps in `AdaKV`'s released code.
pub const ADAPTIVE_FLOOR: f64 = 0.2;

/// A budget in tokens for every head. Forced-keep tokens are counted in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BudgetAllocation {
    layers: usize,
    heads: usize,
    budget: usize,
    tokens: Vec<usize>,
}

impl BudgetAllocation {
    /// The same budget for every head.
    ///
    /// # Errors
    /// [`AnalysisError::BudgetOutOfRange`] for a budget outside 1..=T.
    pub fn uniform(importance: &Importance, budget: usize) -> Result<Self, AnalysisError> {
        let (layers, heads) = (importance.layers(), importance.heads());
        Self::uniform_of(layers, heads, importance.prompt_tokens(), budget)
    }

    /// The same budget for every head, of heads whose scores need not be known.
    ///
    /// # Errors
    /// [`AnalysisError::BudgetOutOfRange`] for a budget outside 1..=T.
    pub fn uniform_of(
        layers: usize,
        heads: usize,
        prompt_tokens: usize,
        budget: usize,
    ) -> Result<Self, AnalysisError> {
        check_budgets(&[budget], prompt_tokens)?;
        Ok(Self {
            layers,
            heads,
            budget,
            tokens: vec![budget; layers * heads],
        })
    }

    /// A budget that falls linearly over the layers (`PyramidKV`, arXiv 2406.02069, as released): with
    /// `F = budget - forced-keep tokens`, the last layer gets `F / beta`, the first `2 F` less that, and
    /// where the first would exceed the prompt it gets the prompt and the last the rest of `2 F`. Forced-keep
    /// tokens are added to each. All heads of a layer get the same.
    ///
    /// The released code rounds the step down, which gives out up to `layers` tokens a layer more than the
    /// uniform budget; here the line is rounded so that the total is exactly the uniform one.
    ///
    /// # Errors
    /// [`AnalysisError::BudgetOutOfRange`] for a budget outside 1..=T, [`AnalysisError::OutOfBounds`] for a
    /// `beta` below 1 or not finite.
    pub fn pyramid(
        importance: &Importance,
        forced_keep: ForcedKeep,
        budget: usize,
        beta: f64,
    ) -> Result<Self, AnalysisError> {
        let (layers, heads) = (importance.layers(), importance.heads());
        let prompt_tokens = importance.prompt_tokens();
        Self::pyramid_of([layers, heads], prompt_tokens, forced_keep, budget, beta)
    }

    /// The same over layers of heads whose scores need not be known.
    ///
    /// # Errors
    /// As [`Self::pyramid`].
    pub fn pyramid_of(
        [layers, heads]: [usize; 2],
        prompt_tokens: usize,
        forced_keep: ForcedKeep,
        budget: usize,
        beta: f64,
    ) -> Result<Self, AnalysisError> {
        let mut allocation = Self::uniform_of(layers, heads, prompt_tokens, budget)?;
        if !(beta >= 1.0 && beta.is_finite()) {
            return Err(AnalysisError::OutOfBounds {
                what: "the steepness of a pyramid",
                bounds: "at 1 or above",
                value: beta.to_string(),
            });
        }
        let split = Split::of(prompt_tokens, forced_keep, budget);
        if allocation.layers < 2 || split.free == 0 {
            return Ok(allocation);
        }
        let free = split.free as f64;
        let first = (2.0 * free - free / beta).min(split.rest as f64);
        let step = (2.0 * first - 2.0 * free) / (allocation.layers - 1) as f64;
        // Tokens given to all layers before one, on the exact line.
        let before = |layer: usize| {
            let layer = layer as f64;
            (layer * first - step * layer * (layer - 1.0) / 2.0).round() as usize
        };
        for (layer, heads) in allocation.tokens.chunks_mut(allocation.heads).enumerate() {
            heads.fill(split.forced + before(layer + 1) - before(layer));
        }
        Ok(allocation)
    }

    /// A layer's budget moved between its heads to where the scores are (`AdaKV`, arXiv 2407.11550, as
    /// released, without its optional normalisation): of all scores of a layer's heads together the highest
    /// `heads * F` are marked, `F = budget - forced-keep tokens`, and a head gets `1 - floor` of its
    /// marks plus `floor * F`, plus the forced-keep tokens. Equal scores go by the unpooled score, as in rankings, then to the
    /// lower head, then to the lower position; parts of a token to the largest parts, so that the total is exactly the
    /// uniform one. Only tokens that the layer sees are marked; where there are fewer, the rest is shared evenly.
    ///
    /// # Errors
    /// [`AnalysisError::BudgetOutOfRange`] for a budget outside 1..=T, [`AnalysisError::OutOfBounds`] for a
    /// `floor` outside 0..=1, [`AnalysisError::PromptTooLong`] when a layer has too many scores to rank.
    pub fn head_adaptive(
        importance: &Importance,
        forced_keep: ForcedKeep,
        budget: usize,
        floor: f64,
    ) -> Result<Self, AnalysisError> {
        let mut allocation = Self::uniform(importance, budget)?;
        if !(0.0..=1.0).contains(&floor) {
            return Err(AnalysisError::OutOfBounds {
                what: "the floor of a head-adaptive budget",
                bounds: "between 0 and 1",
                value: floor.to_string(),
            });
        }
        let split = Split::of(importance.prompt_tokens(), forced_keep, budget);
        if u32::try_from(importance.heads().saturating_mul(split.rest)).is_err() {
            return Err(AnalysisError::PromptTooLong {
                prompt_tokens: importance.prompt_tokens(),
            });
        }
        for (layer, tokens) in allocation.tokens.chunks_mut(importance.heads()).enumerate() {
            let marks = split.marks(importance, forced_keep, layer);
            let unmarked = split.free * tokens.len() - marks.iter().sum::<usize>();
            let spare = unmarked as f64 / tokens.len() as f64;
            let shares: Vec<f64> = marks
                .iter()
                .map(|&marks| (1.0 - floor) * (marks as f64 + spare) + floor * split.free as f64)
                .collect();
            let whole = rounded_to(&shares, split.free * tokens.len());
            for (tokens, whole) in tokens.iter_mut().zip(whole) {
                *tokens = split.forced + whole;
            }
        }
        Ok(allocation)
    }

    /// What it gives to some of its layers.
    #[must_use]
    pub fn of_layers(self, layers: Range<usize>) -> Self {
        let tokens = self.tokens.into_iter().skip(layers.start * self.heads);
        Self {
            layers: layers.len(),
            tokens: tokens.take(layers.len() * self.heads).collect(),
            ..self
        }
    }

    /// Number of layers.
    pub fn layers(&self) -> usize {
        self.layers
    }

    /// Number of heads per layer.
    pub fn heads(&self) -> usize {
        self.heads
    }

    /// The uniform budget that is shared out, in tokens per head.
    pub fn budget(&self) -> usize {
        self.budget
    }

    /// Tokens of every head, `[L, heads]`, each in 0..=T; their sum is `L * heads * budget`.
    pub fn tokens(&self) -> &[usize] {
        &self.tokens
    }
}

/// A uniform budget split into what is forced and what the ranking decides.
struct Split {
    /// Forced-keep tokens inside the budget.
    forced: usize,
    /// Tokens of the budget beyond them.
    free: usize,
    /// Tokens of the prompt that compete for those.
    rest: usize,
}

impl Split {
    fn of(prompt_tokens: usize, forced_keep: ForcedKeep, budget: usize) -> Self {
        let forced = forced_keep.count(prompt_tokens).min(budget);
        Self {
            forced,
            free: budget - forced,
            rest: forced_keep.rest(prompt_tokens).len(),
        }
    }

    /// How many of a layer's highest scores lie in each of its heads.
    fn marks(&self, importance: &Importance, forced_keep: ForcedKeep, layer: usize) -> Vec<usize> {
        let heads = importance.heads();
        let by_head: Vec<HeadScores<'_>> = (0..heads)
            .map(|head| importance.head_scores(layer, head, forced_keep))
            .collect();
        let of_layer = || by_head.iter().map(|head| (head, head.rankable()));
        let scores = of_layer().flat_map(|(head, tokens)| &head.scores()[tokens]);
        let unpooled = of_layer().flat_map(|(head, tokens)| &head.tie_break()[tokens]);
        let scores: Vec<f32> = scores.copied().collect();
        let unpooled: Vec<f32> = unpooled.copied().collect();
        let best_first = descending(SortKeys {
            scores: &scores,
            tie_break: Some(&unpooled),
        });
        let tokens = scores.len() / heads;
        let mut marks = vec![0; heads];
        for place in best_first.into_iter().take(heads * self.free) {
            marks[place as usize / tokens] += 1;
        }
        marks
    }
}

/// Shares rounded to whole tokens of the given sum: down, then one more for the largest remainders, equals
/// by the lower index (Hare and Niemeyer).
fn rounded_to(shares: &[f64], sum: usize) -> Vec<usize> {
    let mut whole: Vec<usize> = shares.iter().map(|share| share.floor() as usize).collect();
    let left = sum.saturating_sub(whole.iter().sum());
    let mut order: Vec<usize> = (0..shares.len()).collect();
    order.sort_by(|&a, &b| shares[b].fract().total_cmp(&shares[a].fract()));
    for &index in order.iter().take(left) {
        whole[index] += 1;
    }
    whole
}
