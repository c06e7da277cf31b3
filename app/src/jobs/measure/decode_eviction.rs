//! The table of caches that are ranked while they decode, a layer at a time.

use std::collections::BTreeSet;

use anyhow::{Context, Result};
use kvlens_analysis::decode_eviction::DecodeEvictionMeans;
use kvlens_analysis::tables::SampleContext;
use kvlens_analysis::{SampleGroup, SampleKey};
use kvlens_sessions::{OpenSample, Session};

use super::Run;
use crate::jobs::failure::stop_if_cancelled;
use crate::jobs::{Cancel, SampleFacts};
use crate::measurement::decode_eviction::decode_evictions;

/// What is known of all samples so far.
#[derive(Debug, Default)]
pub(super) struct WhileDecoding {
    /// Samples that are counted, by content: a copy counts once.
    counted: BTreeSet<String>,
    /// In the order in which groups first came.
    pub(super) means: Vec<(SampleGroup, DecodeEvictionMeans)>,
}

impl WhileDecoding {
    fn of(&mut self, group: SampleGroup) -> Option<&mut DecodeEvictionMeans> {
        if !self.means.iter().any(|(known, _)| *known == group) {
            self.means
                .push((group.clone(), DecodeEvictionMeans::default()));
        }
        let mut all = self.means.iter_mut();
        all.find(|(known, _)| *known == group)
            .map(|(_, means)| means)
    }
}

impl Run<'_> {
    /// Ranks the cache of one sample and writes the rows, layer after layer, so that no more than one is in memory.
    pub(super) fn add_decode_eviction(
        &mut self,
        (session, sample): (&Session, &mut OpenSample<'_>),
        context: &SampleContext,
        key: &SampleKey,
        cancel: &Cancel,
    ) -> Result<()> {
        let record = &sample.header().record;
        let facts = SampleFacts {
            id: &record.id,
            prompt_tokens: record.prompt_ids.len(),
            decode_tokens: record.generated_ids.len(),
        };
        let asked = &self.job.questions.while_decoding;
        if facts.decode_tokens <= asked.every {
            self.warnings
                .of_decode_rankings(facts, asked.every, &*self.progress);
            return Ok(());
        }
        let budgets = &self.job.budgets;
        let is_new = self.while_decoding.counted.insert(key.content.clone());
        let group = context.group();
        let layers = session.manifest().shape.layers;
        let mut go_on =
            |_, _| stop_if_cancelled(cancel, "stopped; no table was written or changed");
        for first in 0..layers {
            let captured = sample.layers(first, 1)?;
            let ranked = decode_evictions(&captured, asked, budgets, &mut go_on)
                .with_context(|| format!("layer {first}"))?;
            self.tables
                .add_decode_eviction(context, first, (&ranked, budgets))?;
            let means = self.while_decoding.of(group.clone());
            if let Some(means) = means.filter(|_| is_new) {
                for steps in &ranked.by_head {
                    means.add_head(&ranked.rankings, budgets, steps);
                }
            }
        }
        if let Some(means) = self.while_decoding.of(group).filter(|_| is_new) {
            means.end_sample();
        }
        Ok(())
    }
}
