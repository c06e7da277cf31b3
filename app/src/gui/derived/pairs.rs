//! What the chosen window and each other one find of the decode stage's top tokens.

use std::collections::BTreeSet;
use std::sync::Arc;

use kvlens_analysis::complementarity::{Complementarity, complementarity};
use kvlens_analysis::statistics::mean;

use super::curves::{HeadGrid, selected};
use super::{Derived, Wanted};
use crate::gui::query::Pool;
use crate::gui::state::HeadAddress;
use crate::gui::views::Need;
use crate::measurement::{MeasuredSample, MeasuredWindow};

/// The chosen window beside each other one, in the mean over the selected heads.
#[derive(Clone, Debug, PartialEq)]
pub struct WindowPairs {
    /// The chosen window.
    pub first: String,
    /// The budget.
    pub budget_tokens: usize,
    /// Heads that the means are over, at most: those in which the budget is below the rankable tokens count.
    pub heads: usize,
    /// In the order of the sample's windows.
    pub pairs: Vec<PairShares>,
}

/// Shares of the decode stage's top B; they sum to 1.
#[derive(Clone, Debug, PartialEq)]
pub struct PairShares {
    /// The other window.
    pub second: String,
    /// Found by both.
    pub shared: f64,
    /// Found by the chosen window alone.
    pub first_only: f64,
    /// Found by the other one alone.
    pub second_only: f64,
    /// Missed by both.
    pub missed: f64,
    /// Tokens in the top B of either: what keeping both selections would cost.
    pub union_tokens: f64,
}

/// Version of the sample, the window, the budget and the selected heads.
pub(super) type PairsKey = (u64, String, usize, BTreeSet<HeadAddress>);

impl Derived {
    pub(super) fn refresh_pairs(
        &mut self,
        pool: &Pool,
        wanted: &Wanted<'_>,
        window: &MeasuredWindow,
    ) {
        if !wanted.needs.contains(&Need::Complementarity) {
            self.pairs.let_go();
            return;
        }
        let budget = self.budget_tokens();
        let chosen = wanted.choices.heads.clone();
        let heads = selected(&window.comparison, HeadGrid::of(wanted.info), &chosen);
        let (sample, label) = (Arc::clone(&wanted.shown.sample), window.label.clone());
        let key = (wanted.shown.version, label.clone(), budget, chosen);
        self.pairs.in_pool(pool, key, move |_| {
            window_pairs(&sample, &label, budget, &heads)
        });
    }

    /// What the chosen window finds beside each other one; none while that of another sample or window is on its way.
    #[must_use]
    pub fn pairs(&self) -> Option<&WindowPairs> {
        let (key, pairs) = self.pairs.held()?;
        let is_it = key.0 == self.shown_version && Some(&key.1) == self.window.as_ref();
        pairs.as_ref().filter(|_| is_it)
    }
}

/// None where the window knows nothing of the budget.
fn window_pairs(
    sample: &MeasuredSample,
    label: &str,
    budget: usize,
    heads: &[(usize, usize)],
) -> Option<WindowPairs> {
    let mut windows = sample.windows.iter();
    let first = windows.find(|window| window.label == label)?.at(budget)?;
    let others = sample.windows.iter().filter(|other| other.label != label);
    let pairs = others.filter_map(|other| {
        let (truth, second) = (&sample.truth.rankings, other.at(budget)?);
        let rankings = [first, second].map(|window| &window.ranked.rankings);
        let by_head = complementarity(truth, rankings[0], rankings[1], &[budget]).ok()?;
        let of_head = |&(layer, head): &(usize, usize)| {
            let found = by_head.get(layer * truth.heads() + head)?;
            found.first().copied().filter(|found| !found.both.is_nan())
        };
        let found: Vec<Complementarity> = heads.iter().filter_map(of_head).collect();
        let over_heads =
            |share: fn(&Complementarity) -> f64| mean(found.iter().map(share)).unwrap_or(f64::NAN);
        Some(PairShares {
            second: other.label.clone(),
            shared: over_heads(|found| found.both),
            first_only: over_heads(|found| found.first_only),
            second_only: over_heads(|found| found.second_only),
            missed: over_heads(|found| found.neither),
            union_tokens: over_heads(|found| found.union_tokens as f64),
        })
    });
    Some(WindowPairs {
        first: label.to_owned(),
        budget_tokens: budget,
        heads: heads.len(),
        pairs: pairs.collect(),
    })
}
