//! What an allocation keeps of the decode stage.

use rayon::prelude::*;

use super::BudgetAllocation;
use crate::comparison::{same, same_heads};
use crate::error::AnalysisError;
use crate::importance::Importance;
use crate::overlap::share;
use crate::ranking::Rankings;
use crate::selection::selection;
use crate::statistics::mean;
use crate::tokens::ForcedKeep;

/// A window under an allocation against the oracle.
#[derive(Debug, Clone, Copy)]
pub struct AllocationInput<'a> {
    /// The decode stage's ranking.
    pub oracle: &'a Rankings,
    /// The window's ranking of the same heads and tokens.
    pub window: &'a Rankings,
    /// Attention of the decode stage, as for [`crate::comparison::ComparisonInput`].
    pub oracle_mass: &'a Importance,
    /// Tokens that the window's eviction rule always keeps.
    pub forced_keep: ForcedKeep,
    /// Tokens of every head.
    pub allocation: &'a BudgetAllocation,
}

/// One head under its own budget. What is asked for stays the oracle's set at the uniform budget B, so that
/// allocations of the same B can be compared; means over heads say which allocation keeps more.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AllocatedHead {
    /// The head's budget in tokens.
    pub tokens: usize,
    /// Share of the oracle's top B that is among the window's top `tokens`, over the rankable tokens; equals
    /// recall@B for a uniform allocation. 1 when no token is rankable.
    pub recall: f32,
    /// Share of the oracle's selection at B that is in the window's selection of `tokens`, forced-keep
    /// tokens counted; equals hit rate@B for a uniform allocation.
    pub hit_rate: f32,
    /// Decode attention on the prompt that the window's selection of `tokens` keeps, forced-keep tokens
    /// included.
    pub selected_mass: f32,
}

/// Means over the heads of all layers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AllocatedMeans {
    /// Of [`AllocatedHead::recall`].
    pub recall: f64,
    /// Of [`AllocatedHead::hit_rate`].
    pub hit_rate: f64,
    /// Of [`AllocatedHead::selected_mass`].
    pub selected_mass: f64,
}

impl AllocatedMeans {
    /// NaN of no heads.
    pub fn of(heads: &[AllocatedHead]) -> Self {
        let mean_of = |value: fn(&AllocatedHead) -> f32| {
            mean(heads.iter().map(|head| f64::from(value(head)))).unwrap_or(f64::NAN)
        };
        Self {
            recall: mean_of(|head| head.recall),
            hit_rate: mean_of(|head| head.hit_rate),
            selected_mass: mean_of(|head| head.selected_mass),
        }
    }
}

/// Every head under an allocation, `[L, heads]`.
///
/// # Errors
/// [`AnalysisError::Mismatch`] when the parts differ in layers, heads, tokens or exempt tokens, and
/// [`AnalysisError::BudgetOutOfRange`] when the allocation was made for a longer prompt.
pub fn compare_allocation(input: AllocationInput<'_>) -> Result<Vec<AllocatedHead>, AnalysisError> {
    let AllocationInput {
        oracle,
        window,
        oracle_mass,
        allocation,
        ..
    } = input;
    same_heads(oracle, window)?;
    for (layers, heads) in [
        (oracle_mass.layers(), oracle_mass.heads()),
        (allocation.layers(), allocation.heads()),
    ] {
        same("layers", oracle.layers(), layers)?;
        same("heads", oracle.heads(), heads)?;
    }
    let prompt_tokens = oracle.prompt_tokens();
    same("prompt tokens", oracle_mass.prompt_tokens(), prompt_tokens)?;
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
            let heads = oracle.heads();
            input.head(index / heads, index % heads, tokens)
        })
        .collect())
}

impl AllocationInput<'_> {
    fn head(&self, layer: usize, head: usize, tokens: usize) -> AllocatedHead {
        let budget = self.allocation.budget();
        let rankable = self.oracle.rankable_tokens();
        let wanted = &self.oracle.order(layer, head)[..budget.min(rankable)];
        let window_rank = self.window.rank(layer, head);
        let found = wanted
            .iter()
            .filter(|&&token| (window_rank[token as usize] as usize) < tokens)
            .count();
        let select = |rankings: &Rankings, budget: usize| {
            selection(rankings, layer, head, self.forced_keep, budget)
        };
        let (oracle, window) = (select(self.oracle, budget), select(self.window, tokens));
        let both = oracle.iter().zip(&window).filter(|&(&a, &b)| a && b);
        let mass = self.oracle_mass.head(layer, head).iter().zip(&window);
        AllocatedHead {
            tokens,
            recall: share(found as f64, wanted.len() as f64) as f32,
            hit_rate: (both.count() as f64 / budget as f64) as f32,
            selected_mass: mass
                .filter(|&(_, &kept)| kept)
                .map(|(&mass, _)| f64::from(mass))
                .sum::<f64>() as f32,
        }
    }
}
