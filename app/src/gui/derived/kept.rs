//! What an eviction by the window's rule keeps at the budget, and what the oracle's scores would keep by that rule.

use std::ops::Range;

use kvlens_analysis::selection;

use super::tokens::part;
use crate::gui::state::HeadAddress;
use crate::measurement::MeasuredWindow;

/// Which tokens are kept, `[T]` each. Both sides keep by the window's rule, as the hit rate counts them.
#[derive(Clone, Debug, Default)]
pub struct KeptTokens {
    pub(super) oracle: Vec<bool>,
    pub(super) window: Vec<bool>,
}

/// How many of the needed tokens survive at the budget.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EvidenceKept {
    /// Tokens that hold what the answer needs.
    pub needed: usize,
    /// Those that the oracle keeps.
    pub oracle: usize,
    /// Those that the window keeps.
    pub window: usize,
}

/// What the window's rule keeps in the cache of one query head, `[T]`.
pub(super) fn kept_of_head(
    window: &MeasuredWindow,
    head: HeadAddress,
    query_heads: usize,
    budget_tokens: usize,
) -> Vec<bool> {
    let rankings = &window.ranked.rankings;
    // windows that rank for a group have fewer heads
    let own = head.head * rankings.heads() / query_heads.max(1);
    let forced = window.keep_rule.at(budget_tokens);
    selection(rankings, head.layer, own, forced, budget_tokens)
}

impl KeptTokens {
    /// What stays in the cache by the window's scores, `[T]`.
    #[must_use]
    pub fn window(&self) -> &[bool] {
        &self.window
    }

    /// Whether the token stays in the cache by the oracle's scores.
    #[must_use]
    pub fn by_oracle(&self, token: usize) -> bool {
        self.oracle.get(token) == Some(&true)
    }

    /// Whether the token stays in the cache by the window's scores.
    #[must_use]
    pub fn by_window(&self, token: usize) -> bool {
        self.window.get(token) == Some(&true)
    }

    /// For each of `columns` equal parts of the prompt, the share of its tokens that oracle and window keep.
    #[must_use]
    pub fn strips(&self, columns: usize) -> (Vec<f32>, Vec<f32>) {
        let shares = |kept: &[bool]| {
            let share = |column: usize| {
                let part = kept
                    .get(part(column, columns, kept.len()))
                    .unwrap_or_default();
                let count = part.iter().filter(|kept| **kept).count();
                count as f32 / part.len().max(1) as f32
            };
            (0..columns).map(share).collect()
        };
        (shares(&self.oracle), shares(&self.window))
    }

    /// How many of the tokens in these spans are kept.
    pub(super) fn of_evidence(&self, evidence: &[Range<usize>]) -> EvidenceKept {
        let mut kept = EvidenceKept::default();
        for token in evidence.iter().cloned().flatten() {
            kept.needed += 1;
            kept.oracle += usize::from(self.by_oracle(token));
            kept.window += usize::from(self.by_window(token));
        }
        kept
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strips_and_counts_follow_what_is_kept() {
        let kept = KeptTokens {
            oracle: vec![true, true, false, false, false],
            window: vec![true, false, false, true, true],
        };
        assert_eq!(kept.strips(2), (vec![1.0, 0.0], vec![0.5, 2.0 / 3.0]));
        let evidence = EvidenceKept {
            needed: 3,
            oracle: 1,
            window: 2,
        };
        assert_eq!(kept.of_evidence(&[1..2, 3..5]), evidence);
    }
}
