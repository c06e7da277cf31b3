//! What every head is like, by itself and beside its neighbours.

use std::sync::Arc;

use kvlens_analysis::profile::ProfileNumber;

use super::{Answer, AskedSample, CurvesKey};
use crate::gui::lanes::Reporter;
use crate::measurement::profiles::{SampleHeads, sample_heads};

/// The heads of a sample.
#[derive(Clone, Debug)]
pub struct ProfileAnswer {
    /// What was asked.
    pub key: CurvesKey,
    /// Heads of a layer that the scoring tells apart.
    pub heads_per_layer: usize,
    /// The heads, with overlaps at the budgets of the key.
    pub heads: SampleHeads,
}

impl ProfileAnswer {
    /// Whether it is of the sample on show of this version.
    #[must_use]
    pub fn is_of(&self, shown_version: u64) -> bool {
        self.key.shown_version == shown_version
    }

    /// A number of every head, `[L, heads]`; of overlaps those at the known budget that is nearest.
    #[must_use]
    pub fn column(&self, number: ProfileNumber, budget_tokens: usize) -> Vec<f64> {
        let budgets = self.key.budgets.iter().enumerate();
        let nearest = budgets.min_by_key(|(_, budget)| budget.abs_diff(budget_tokens));
        let at = nearest.map_or(0, |(at, _)| at);
        let heads = self.heads.heads.iter().zip(self.heads.neighbours.by_head());
        heads
            .map(|(profile, overlaps)| number.of(profile, overlaps.get(at)))
            .collect()
    }
}

pub(super) fn answer(
    sample: &AskedSample,
    key: CurvesKey,
    reporter: &Reporter<'_>,
) -> anyhow::Result<()> {
    let captured = sample.load(reporter.samples)?;
    let shown = &sample.shown;
    let heads = sample_heads(
        &captured,
        &shown.sample,
        &shown.options,
        &key.budgets,
        &mut |done, total| reporter.on_head("Profile of the heads", done, total),
    )?;
    reporter.answer(Answer::Profile(Arc::new(ProfileAnswer {
        key,
        heads_per_layer: shown.sample.decode_mass.heads(),
        heads,
    })));
    Ok(())
}

/// Numbers that the overlaps of a sample's heads hold for each budget.
pub(crate) fn numbers_per_budget(sample: &AskedSample) -> usize {
    let mass = &sample.shown.sample.decode_mass;
    let overlaps = ProfileNumber::ALL.into_iter().filter(|it| it.is_overlap());
    overlaps.count() * mass.layers() * mass.heads()
}
