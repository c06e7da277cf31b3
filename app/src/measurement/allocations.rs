//! The same total budget shared out in other ways: alike, by a pyramid over layers, by heads.

use std::fmt;

use anyhow::Result;
use kvlens_analysis::allocation::{
    ADAPTIVE_FLOOR, AllocatedHead, AllocationInput, BudgetAllocation, PYRAMID_BETA,
    compare_allocation,
};

use super::MeasuredWindow;

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

impl fmt::Display for AllocationKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// What a window keeps under an allocation of `budget` tokens a head, `[L, heads]`.
///
/// # Errors
/// A budget outside 1..=T.
pub fn allocate(
    window: &MeasuredWindow,
    kind: AllocationKind,
    budget: usize,
) -> Result<Vec<AllocatedHead>> {
    let (importance, forced) = (&window.importance, window.keep_rule.at(budget));
    let allocation = match kind {
        AllocationKind::Uniform => BudgetAllocation::uniform(importance, budget)?,
        AllocationKind::Pyramid => {
            BudgetAllocation::pyramid(importance, forced, budget, PYRAMID_BETA)?
        }
        AllocationKind::HeadAdaptive => {
            BudgetAllocation::head_adaptive(importance, forced, budget, ADAPTIVE_FLOOR)?
        }
    };
    Ok(compare_allocation(AllocationInput {
        oracle: &window.oracle_rankings,
        window: &window.rankings,
        oracle_mass: &window.oracle_mass,
        forced_keep: forced,
        allocation: &allocation,
    })?)
}
