//! The one pass over the tokens of a head.

use std::borrow::Cow;
use std::ops::Range;

use super::log_axis::LogAxis;
use super::{BudgetCurves, ComparisonInput, HeadComparison};
use crate::budget::AscendingBudgets;
use crate::overlap::{overlap_along, recall, running_overlap, share};
use crate::tokens::ForcedKeep;

/// An input that was checked, with what is the same for all of its heads.
pub(super) struct HeadComparer<'a> {
    input: ComparisonInput<'a>,
    budgets: AscendingBudgets,
    axis: LogAxis,
}

impl<'a> HeadComparer<'a> {
    pub(super) fn new(input: ComparisonInput<'a>) -> Self {
        let rankable = input.oracle.rankable_tokens();
        Self {
            input,
            budgets: AscendingBudgets::new(input.budgets, rankable),
            axis: LogAxis::new(rankable),
        }
    }

    /// One head at all budgets.
    pub(super) fn compare(&self, layer: usize, head: usize) -> HeadComparison {
        let ComparisonInput { oracle, window, .. } = self.input;
        let window_order = window.order(layer, head);
        let overlap = overlap_along(window_order, oracle.rank(layer, head));
        let mass = self.input.oracle_mass.head(layer, head);
        let oracle_order = oracle.order(layer, head);
        let mut masses = vec![(0.0, 0.0); self.budgets.count()];
        let (mut kept, mut best) = (0.0, 0.0);
        for (added, asked) in self.budgets.steps() {
            let tokens = window_order[added.clone()].iter().zip(&oracle_order[added]);
            for (&of_window, &of_oracle) in tokens {
                kept += f64::from(mass[of_window as usize]);
                best += f64::from(mass[of_oracle as usize]);
            }
            masses[asked] = (kept, best);
        }
        let mut selected = Selected {
            input: &self.input,
            layer,
            head,
            ranked: &overlap,
            last: None,
        };

        let mut curves = BudgetCurves::default();
        for (&budget, (kept, best)) in self.input.budgets.iter().zip(masses) {
            let top = budget.min(window_order.len());
            let (shared, either) = (overlap[top], 2 * top as u32 - overlap[top]);
            curves.recall.push(recall(&overlap, budget));
            curves.hit_rate.push(selected.hit_rate(budget) as f32);
            curves
                .jaccard
                .push(share(f64::from(shared), f64::from(either)) as f32);
            curves.mass.push(kept as f32);
            curves.mass_of_oracle.push(share(kept, best) as f32);
        }
        HeadComparison {
            curves,
            recall_auc: self.axis.area(&overlap),
        }
    }
}

/// Overlap of whole selections of one head: forced tokens are on both sides, the rest competes for what is left.
struct Selected<'a> {
    input: &'a ComparisonInput<'a>,
    layer: usize,
    head: usize,
    /// Overlap of the rankings as they are.
    ranked: &'a [u32],
    /// Forced tokens of the last budget that was asked, and the overlap among the others.
    last: Option<(ForcedKeep, Cow<'a, [u32]>)>,
}

impl<'a> Selected<'a> {
    fn hit_rate(&mut self, budget: usize) -> f64 {
        let exempt = self.input.window.exempt();
        let forced_keep = self.input.keep_rule.at(budget).union(exempt);
        let forced = forced_keep.count(self.input.window.prompt_tokens());
        if budget <= forced {
            return 1.0;
        }
        let overlap = self.overlap_beside(forced_keep);
        let others = (budget - forced).min(overlap.len() - 1);
        let kept = forced + overlap[others] as usize;
        share(kept as f64, budget as f64)
    }

    /// Overlap among the tokens that are not forced. Most rules force the same tokens at every budget.
    fn overlap_beside(&mut self, forced_keep: ForcedKeep) -> &[u32] {
        let known = self.last.take().filter(|(of, _)| *of == forced_keep);
        let found = known.unwrap_or_else(|| (forced_keep, self.overlap_without(forced_keep)));
        let (_, overlap) = self.last.insert(found);
        overlap
    }

    fn overlap_without(&self, forced_keep: ForcedKeep) -> Cow<'a, [u32]> {
        let prompt_tokens = self.input.window.prompt_tokens();
        let rest = forced_keep.rest(prompt_tokens);
        if rest == self.input.window.exempt().rest(prompt_tokens) {
            Cow::Borrowed(self.ranked)
        } else {
            Cow::Owned(overlap_within(&rest, self.input, self.layer, self.head))
        }
    }
}

/// The running overlap when both rankings are cut to a range of tokens and closed up.
fn overlap_within(
    range: &Range<usize>,
    input: &ComparisonInput<'_>,
    layer: usize,
    head: usize,
) -> Vec<u32> {
    let inside = |token: &&u32| range.contains(&(**token as usize));
    let mut oracle_rank = vec![0_u32; input.oracle.prompt_tokens()];
    let oracle_order = input.oracle.order(layer, head).iter().filter(inside);
    for (&token, rank) in oracle_order.zip(0..) {
        oracle_rank[token as usize] = rank;
    }
    let window_order = input.window.order(layer, head).iter().filter(inside);
    let places = window_order.zip(0..);
    running_overlap(
        range.len(),
        places.map(|(&token, place)| oracle_rank[token as usize].max(place)),
    )
}
