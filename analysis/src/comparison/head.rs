//! The one pass over the tokens of a head.

use super::kept::KeptTokens;
use super::log_axis::LogAxis;
use super::{BudgetCurves, ComparisonInput, HeadComparison};
use crate::budget::AscendingBudgets;
use crate::order::in_descending_order;
use crate::overlap::{overlap_along, share_of};

/// An input that was checked, with what is the same for all of its heads.
pub(super) struct HeadComparer<'a> {
    input: ComparisonInput<'a>,
    layers: Vec<LayerQuestion>,
}

/// What is the same for all heads of a layer.
struct LayerQuestion {
    budgets: AscendingBudgets,
    axis: LogAxis,
    /// Positions of the evidence that the layer sees, each once.
    evidence: Vec<usize>,
}

impl<'a> HeadComparer<'a> {
    pub(super) fn new(input: ComparisonInput<'a>) -> Self {
        let mut evidence: Vec<usize> = input.evidence.iter().cloned().flatten().collect();
        evidence.sort_unstable();
        evidence.dedup();
        let truth = input.truth;
        let question = |layer: usize| {
            let (rankable, first) = (truth.rankable_tokens(layer), truth.first_visible(layer));
            let seen = evidence.partition_point(|&token| token < first);
            LayerQuestion {
                budgets: AscendingBudgets::new(input.budgets, rankable),
                axis: LogAxis::new(truth.prompt_tokens(), rankable),
                evidence: evidence[seen..].to_vec(),
            }
        };
        Self {
            input,
            layers: (0..truth.layers()).map(question).collect(),
        }
    }

    /// One head at all budgets.
    pub(super) fn compare(&self, layer: usize, head: usize) -> HeadComparison {
        let ComparisonInput { truth, window, .. } = self.input;
        let question = &self.layers[layer];
        let window_order = window.order(layer, head);
        let overlap = overlap_along(window_order, truth.rank(layer, head));
        let mut kept = KeptTokens::new(&self.input, (layer, head), &question.evidence, &overlap);
        let mut curves = BudgetCurves::undefined(self.input.budgets.len());
        for (added, asked) in question.budgets.steps() {
            let (budget, shared) = (added.end, overlap[added.end]);
            curves.recall[asked] = share_of(budget, shared);
            curves.jaccard[asked] = f64::from(shared) / (2.0 * budget as f64 - f64::from(shared));
            let kept = kept.at(budget);
            curves.kept_recall[asked] = kept.recall;
            curves.hit_rate[asked] = kept.hit_rate;
            curves.evidence_kept[asked] = kept.evidence;
        }
        self.add_mass(&mut curves, (layer, head), window_order);
        HeadComparison {
            curves,
            recall_auc: question.axis.area(&overlap),
        }
    }

    /// Retained mass, and the largest that any tokens hold: that of the mass sorted by itself.
    fn add_mass(
        &self,
        curves: &mut BudgetCurves,
        (layer, head): (usize, usize),
        window_order: &[u32],
    ) {
        let exempt = self.input.truth.exempt();
        let decode_mass = self.input.decode_mass.head_scores(layer, head, exempt);
        let (mass, rankable) = (decode_mass.scores(), decode_mass.rankable_scores());
        let largest_first = in_descending_order(decode_mass.sort_keys(), |token| token as u32);
        let mut largest = largest_first.iter().map(|token| rankable[token as usize]);
        let (mut kept, mut most) = (0.0, 0.0);
        for (added, asked) in self.layers[layer].budgets.steps() {
            for (&token, largest) in window_order[added].iter().zip(&mut largest) {
                kept += f64::from(mass[token as usize]);
                most += f64::from(largest);
            }
            curves.mass[asked] = kept;
            if most > 0.0 {
                // Sums of the same numbers in another order may differ in the last bit.
                curves.mass_of_oracle[asked] = (kept / most).min(1.0);
            }
        }
    }
}
