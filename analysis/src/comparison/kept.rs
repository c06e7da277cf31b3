//! What the eviction rule keeps of one head: forced tokens first, the top of the ranking with what is left.

use std::borrow::Cow;

use super::ComparisonInput;
use crate::overlap::{overlap_along, running_overlap, share_of};
use crate::selection::keep_places;
use crate::tokens::ForcedKeep;

/// The kept tokens of one head at budgets below its number of rankable tokens.
pub(super) struct KeptTokens<'a> {
    input: &'a ComparisonInput<'a>,
    head: (usize, usize),
    /// Positions of the evidence that the layer sees.
    evidence: &'a [usize],
    /// Overlap of the rankings as they are.
    ranked: &'a [u32],
    /// Forced tokens of the last budget that was asked: most rules force the same ones at every budget.
    last: Option<(ForcedKeep, KeptOverlaps<'a>)>,
}

/// What is kept at each budget, for one set of forced tokens.
struct KeptOverlaps<'a> {
    /// Tokens of the truth's top B that the window's rule keeps, for B in 0..=N.
    of_top: Cow<'a, [u32]>,
    /// Tokens that the same rule keeps by the truth's ranking and by the window's.
    of_both: Cow<'a, [u32]>,
    /// Ascending places of the evidence among the kept tokens.
    evidence: Vec<u32>,
}

/// Shares at one budget.
pub(super) struct KeptShares {
    pub(super) recall: f64,
    pub(super) hit_rate: f64,
    /// NaN without evidence.
    pub(super) evidence: f64,
}

impl<'a> KeptTokens<'a> {
    pub(super) fn new(
        input: &'a ComparisonInput<'a>,
        head: (usize, usize),
        evidence: &'a [usize],
        ranked: &'a [u32],
    ) -> Self {
        Self {
            input,
            head,
            evidence,
            ranked,
            last: None,
        }
    }

    pub(super) fn at(&mut self, budget: usize) -> KeptShares {
        let forced_keep = self.input.keep_rule.at(budget);
        let known = self.last.take().filter(|(of, _)| *of == forced_keep);
        let found = known.unwrap_or_else(|| (forced_keep, self.overlaps(forced_keep)));
        let (_, overlaps) = self.last.insert(found);
        let within = |place: &u32| (*place as usize) < budget;
        let kept_evidence = overlaps.evidence.partition_point(within);
        KeptShares {
            recall: share_of(budget, overlaps.of_top[budget]),
            hit_rate: share_of(budget, overlaps.of_both[budget]),
            evidence: kept_evidence as f64 / self.evidence.len() as f64,
        }
    }

    fn overlaps(&self, forced_keep: ForcedKeep) -> KeptOverlaps<'a> {
        let ComparisonInput { truth, window, .. } = *self.input;
        let (layer, head) = self.head;
        let nothing_forced = forced_keep.union(window.exempt()) == ForcedKeep::default();
        if nothing_forced {
            return KeptOverlaps {
                of_top: Cow::Borrowed(self.ranked),
                of_both: Cow::Borrowed(self.ranked),
                evidence: self.evidence_places(window.rank(layer, head)),
            };
        }
        let kept = keep_places(window, self.head, forced_keep);
        let kept_by_truth = keep_places(truth, self.head, forced_keep);
        let later = kept.iter().zip(&kept_by_truth).map(|(a, b)| *a.max(b));
        KeptOverlaps {
            of_top: Cow::Owned(overlap_along(truth.order(layer, head), &kept)),
            of_both: Cow::Owned(running_overlap(truth.rankable_tokens(layer), later)),
            evidence: self.evidence_places(&kept),
        }
    }

    fn evidence_places(&self, places: &[u32]) -> Vec<u32> {
        let mut found: Vec<u32> = self.evidence.iter().map(|&token| places[token]).collect();
        found.sort_unstable();
        found
    }
}
