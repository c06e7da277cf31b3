//! What an allocation keeps of the decode stage.

use rayon::prelude::*;

use super::BudgetAllocation;
use crate::comparison::{Side, same, same_heads};
use crate::error::AnalysisError;
use crate::importance::Importance;
use crate::overlap::{is_defined, share_of};
use crate::ranking::Rankings;
use crate::selection::selection;
use crate::statistics::mean;
use crate::tokens::ForcedKeep;

/// A window under an allocation against the truth.
#[derive(Debug, Clone, Copy)]
pub struct AllocationInput<'a> {
    /// The decode stage's ranking.
    pub truth: &'a Rankings,
    /// The window's ranking of the same heads and tokens.
    pub window: &'a Rankings,
    /// Attention of the decode stage, as for [`crate::comparison::ComparisonInput`].
    pub decode_mass: &'a Importance,
    /// Tokens that the window's eviction rule always keeps.
    pub forced_keep: ForcedKeep,
    /// Tokens of every head.
    pub allocation: &'a BudgetAllocation,
}

/// One head under its own budget. What is asked for stays the truth's set at the uniform budget B, so that
/// allocations of the same B can be compared; means over heads say which allocation keeps more.
///
/// All shares are NaN where B is not below the number of tokens that the layer ranks.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AllocatedHead {
    /// The head's budget in tokens.
    pub tokens: usize,
    /// Share of the truth's top B that is among the window's top `tokens`, over the rankable tokens; equals
    /// recall@B for a uniform allocation.
    pub recall: f64,
    /// Share of the truth's top B that is in the window's selection of `tokens`, forced-keep tokens first; equals
    /// kept recall@B for a uniform allocation.
    pub kept_recall: f64,
    /// Share of the truth's selection at B that is in the window's selection of `tokens`, forced-keep
    /// tokens counted; equals hit rate@B for a uniform allocation.
    pub hit_rate: f64,
    /// Decode attention on the prompt that the window's selection of `tokens` keeps, forced-keep tokens
    /// included.
    pub selected_mass: f64,
}

/// Means over the heads of all layers where the shares are defined.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AllocatedMeans {
    /// Of [`AllocatedHead::recall`].
    pub recall: f64,
    /// Of [`AllocatedHead::kept_recall`].
    pub kept_recall: f64,
    /// Of [`AllocatedHead::hit_rate`].
    pub hit_rate: f64,
    /// Of [`AllocatedHead::selected_mass`].
    pub selected_mass: f64,
    /// Number of heads that the means are over.
    pub defined_heads: usize,
}

impl AllocatedMeans {
    /// NaN of no heads.
    pub fn of(heads: &[AllocatedHead]) -> Self {
        let defined = || heads.iter().filter(|head| !head.recall.is_nan());
        let mean_of =
            |value: fn(&AllocatedHead) -> f64| mean(defined().map(value)).unwrap_or(f64::NAN);
        Self {
            recall: mean_of(|head| head.recall),
            kept_recall: mean_of(|head| head.kept_recall),
            hit_rate: mean_of(|head| head.hit_rate),
            selected_mass: mean_of(|head| head.selected_mass),
            defined_heads: defined().count(),
        }
    }
}

/// Every head under an allocation, `[L, heads]`.
///
/// # Errors
/// [`AnalysisError::Mismatch`] when the parts differ in layers, heads, tokens, exempt or visible tokens, and
/// [`AnalysisError::BudgetOutOfRange`] when the allocation was made for a longer prompt.
pub fn compare_allocation(input: AllocationInput<'_>) -> Result<Vec<AllocatedHead>, AnalysisError> {
    let AllocationInput {
        truth,
        window,
        decode_mass,
        allocation,
        ..
    } = input;
    same_heads(truth, window)?;
    Side::from(truth).check(decode_mass)?;
    same("layers", truth.layers(), allocation.layers())?;
    same("heads", truth.heads(), allocation.heads())?;
    let prompt_tokens = truth.prompt_tokens();
    let largest = allocation.tokens().iter().max().copied().unwrap_or(0);
    if largest > prompt_tokens {
        return Err(AnalysisError::BudgetOutOfRange {
            budget: largest,
            prompt_tokens,
        });
    }
    Ok(allocation
        .tokens()
        .par_iter()
        .enumerate()
        .map(|(index, &tokens)| {
            let heads = truth.heads();
            input.head(index / heads, index % heads, tokens)
        })
        .collect())
}

impl AllocationInput<'_> {
    fn head(&self, layer: usize, head: usize, tokens: usize) -> AllocatedHead {
        let budget = self.allocation.budget();
        if !is_defined(budget, self.truth.rankable_tokens(layer)) {
            return AllocatedHead {
                tokens,
                recall: f64::NAN,
                kept_recall: f64::NAN,
                hit_rate: f64::NAN,
                selected_mass: f64::NAN,
            };
        }
        let wanted = &self.truth.order(layer, head)[..budget];
        let window_rank = self.window.rank(layer, head);
        let select = |rankings: &Rankings, budget: usize| {
            selection(rankings, layer, head, self.forced_keep, budget)
        };
        let (by_truth, kept) = (select(self.truth, budget), select(self.window, tokens));
        let share_of_wanted = |found: &dyn Fn(usize) -> bool| {
            let found = wanted.iter().filter(|&&token| found(token as usize));
            share_of(budget, found.count() as u32)
        };
        let both = by_truth.iter().zip(&kept).filter(|&(&a, &b)| a && b);
        let mass = self.decode_mass.head(layer, head).iter().zip(&kept);
        AllocatedHead {
            tokens,
            recall: share_of_wanted(&|token| (window_rank[token] as usize) < tokens),
            kept_recall: share_of_wanted(&|token| kept[token]),
            hit_rate: share_of(budget, both.count() as u32),
            selected_mass: mass
                .filter(|&(_, &kept)| kept)
                .map(|(&mass, _)| f64::from(mass))
                .sum(),
        }
    }
}
