//! The one pass over the tokens of a head.

use std::ops::Range;

use super::{BudgetCurves, ComparisonInput, HeadComparison};
use crate::importance::Importance;
use crate::ranking::Rankings;

/// Compares one head at all budgets; the input was checked.
pub(super) fn compare_head(
    input: &ComparisonInput<'_>,
    layer: usize,
    head: usize,
) -> HeadComparison {
    let ComparisonInput {
        oracle,
        window,
        oracle_mass,
        ..
    } = *input;
    let overlap = running_overlap(oracle.rank(layer, head), window.order(layer, head).iter());
    let kept = RunningMass::of(oracle_mass, window, layer, head);
    let best = RunningMass::of(oracle_mass, oracle, layer, head);
    let selected = Selected::of(input, &overlap, layer, head);
    let rankable = oracle.rankable_tokens();

    let mut curves = BudgetCurves::default();
    for &budget in input.budgets {
        let top = budget.min(rankable);
        let shared = overlap[top];
        curves.recall.push(share(shared as f64, top as f64) as f32);
        curves.hit_rate.push(selected.hit_rate(budget) as f32);
        curves
            .jaccard
            .push(share(shared as f64, (2 * top - shared) as f64) as f32);
        curves.mass.push(kept.0[top] as f32);
        curves
            .mass_of_oracle
            .push(share(kept.0[top], best.0[top]) as f32);
    }
    HeadComparison {
        curves,
        recall_auc: log_area(&overlap),
    }
}

/// A part of a whole; all of it when the whole is nothing.
pub(crate) fn share(part: f64, whole: f64) -> f64 {
    if whole == 0.0 { 1.0 } else { part / whole }
}

/// Tokens in both top-B sets for B in 0..=n, from the oracle's rank of every token and the window's
/// order of `n` tokens.
pub(crate) fn running_overlap<'a>(
    oracle_rank: &[u32],
    window_order: impl ExactSizeIterator<Item = &'a u32>,
) -> Vec<usize> {
    let mut overlap = vec![0; window_order.len() + 1];
    for (window_rank, &token) in window_order.enumerate() {
        let larger = window_rank.max(oracle_rank[token as usize] as usize);
        overlap[larger + 1] += 1;
    }
    for budget in 1..overlap.len() {
        overlap[budget] += overlap[budget - 1];
    }
    overlap
}

/// Area under recall over `ln B` for B in 1..=N by the trapezoid rule, as a share of the axis.
fn log_area(overlap: &[usize]) -> f64 {
    let recall = |budget: usize| share(overlap[budget] as f64, budget as f64);
    let rankable = overlap.len() - 1;
    if rankable < 2 {
        return recall(rankable);
    }
    let (mut area, mut axis) = (0.0_f64, 0.0_f64);
    for budget in 1..rankable {
        let width = ((budget + 1) as f64 / budget as f64).ln();
        area += 0.5 * (recall(budget) + recall(budget + 1)) * width;
        axis += width;
    }
    // The summed axis instead of `ln N`, so that a recall of 1 throughout gives exactly 1.
    area / axis
}

/// Attention mass on the first B tokens of a ranking, for B in 0..=N.
struct RunningMass(Vec<f64>);

impl RunningMass {
    fn of(mass: &Importance, rankings: &Rankings, layer: usize, head: usize) -> Self {
        let mass = mass.head(layer, head);
        let order = rankings.order(layer, head);
        let mut running = Vec::with_capacity(order.len() + 1);
        let mut sum = 0.0_f64;
        running.push(sum);
        for &token in order {
            sum += f64::from(mass[token as usize]);
            running.push(sum);
        }
        Self(running)
    }
}

/// Overlap of whole selections: forced tokens are on both sides, the rest competes for what is left.
struct Selected {
    forced: usize,
    overlap: Vec<usize>,
}

impl Selected {
    fn of(input: &ComparisonInput<'_>, ranked: &[usize], layer: usize, head: usize) -> Self {
        let prompt_tokens = input.window.prompt_tokens();
        let exempt = input.window.exempt();
        let forced_keep = input.forced_keep.union(exempt);
        let rest = forced_keep.rest(prompt_tokens);
        let overlap = if rest == exempt.rest(prompt_tokens) {
            ranked.to_vec()
        } else {
            overlap_within(&rest, input, layer, head)
        };
        Self {
            forced: forced_keep.count(prompt_tokens),
            overlap,
        }
    }

    fn hit_rate(&self, budget: usize) -> f64 {
        if budget <= self.forced {
            return 1.0;
        }
        let others = (budget - self.forced).min(self.overlap.len() - 1);
        share((self.forced + self.overlap[others]) as f64, budget as f64)
    }
}

/// The running overlap when both rankings are cut to a range of tokens and closed up.
fn overlap_within(
    range: &Range<usize>,
    input: &ComparisonInput<'_>,
    layer: usize,
    head: usize,
) -> Vec<usize> {
    let inside = |token: &&u32| range.contains(&(**token as usize));
    let mut oracle_rank = vec![0_u32; input.oracle.prompt_tokens()];
    let oracle_order = input.oracle.order(layer, head).iter().filter(inside);
    for (rank, &token) in oracle_order.enumerate() {
        oracle_rank[token as usize] = rank as u32;
    }
    let window_order: Vec<u32> = input
        .window
        .order(layer, head)
        .iter()
        .filter(inside)
        .copied()
        .collect();
    running_overlap(&oracle_rank, window_order.iter())
}
