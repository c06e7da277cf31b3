//! The same total budget shared out in other ways: alike, by a pyramid over layers, by heads.

use std::fmt;

use anyhow::Result;
use kvlens_analysis::allocation::{
    ADAPTIVE_FLOOR, AllocatedHead, AllocationInput, BudgetAllocation, PYRAMID_BETA,
    compare_allocation,
};

use kvlens_analysis::error::AnalysisError;
use kvlens_analysis::{ForcedKeep, Importance};
use kvlens_sessions::LayerRange;

use super::{MeasuredSample, MeasuredWindow};

/// A way to share a budget out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AllocationKind {
    /// Every head the same.
    Uniform,
    /// Falling over the layers, as PyramidKV.
    Pyramid,
    /// Within a layer to where the scores are, as AdaKV.
    HeadAdaptive,
}

impl AllocationKind {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::Uniform, Self::Pyramid, Self::HeadAdaptive];

    /// The word of the tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Uniform => "uniform",
            Self::Pyramid => "pyramid",
            Self::HeadAdaptive => "head-adaptive",
        }
    }
}

impl AllocationKind {
    /// Shares `budget` tokens a head out over layers and heads, by the scores of what is not kept anyway: `kept` are
    /// the tokens that the eviction rule forces, and those that are exempt from the ranking. `layers` says which of the
    /// model's layers the scores are of.
    ///
    /// # Errors
    /// A budget outside 1..=T.
    pub fn share_out(
        self,
        importance: &Importance,
        layers: LayerRange,
        kept: ForcedKeep,
        budget: usize,
    ) -> Result<BudgetAllocation, AnalysisError> {
        match self {
            Self::Uniform => BudgetAllocation::uniform(importance, budget),
            Self::Pyramid => {
                let (shape, tokens) = ([layers.of, importance.heads()], importance.prompt_tokens());
                let whole =
                    BudgetAllocation::pyramid_of(shape, tokens, kept, budget, PYRAMID_BETA)?;
                Ok(whole.of_layers(layers.first..layers.first + layers.count))
            }
            Self::HeadAdaptive => {
                BudgetAllocation::head_adaptive(importance, kept, budget, ADAPTIVE_FLOOR)
            }
        }
    }
}

impl fmt::Display for AllocationKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// What a window of a sample keeps under an allocation of `budget` tokens a head, `[L, heads]`.
///
/// # Errors
/// A budget outside 1..=T.
pub fn allocate(
    sample: &MeasuredSample,
    window: &MeasuredWindow,
    kind: AllocationKind,
    budget: usize,
) -> Result<Vec<AllocatedHead>> {
    let forced = window.keep_rule.at(budget);
    let ranked = &window.ranked;
    let kept = forced.union(ranked.rankings.exempt());
    let allocation = kind.share_out(&ranked.importance, sample.layers, kept, budget)?;
    Ok(compare_allocation(AllocationInput {
        truth: &sample.truth.rankings,
        window: &ranked.rankings,
        decode_mass: &sample.decode_mass,
        forced_keep: forced,
        allocation: &allocation,
    })?)
}
