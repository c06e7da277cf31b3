//! How well the cache is ranked while it decodes.

use std::sync::Arc;

use kvlens_analysis::Budget;
use kvlens_analysis::decode_eviction::DecodeRanking;

use super::{Answer, AskedSample, CurvesKey};
use crate::gui::lanes::Reporter;
use crate::measurement::decode_eviction::{
    DecodeRankings, HorizonChoice, RankedSample, decode_evictions,
};

/// The rankings of a sample's cache.
#[derive(Clone, Debug)]
pub struct DecodeCacheAnswer {
    /// What was asked; its width is the number of steps from one ranking to the next.
    pub key: CurvesKey,
    /// S.
    pub decode_steps: usize,
    /// Every head under every ranking; a sentence where the session does not keep what is ranked.
    pub ranked: Result<RankedSample, String>,
}

pub(super) fn answer(
    sample: &AskedSample,
    key: CurvesKey,
    reporter: &Reporter<'_>,
) -> anyhow::Result<()> {
    let captured = sample.load(reporter.samples)?;
    let budgets = key.budgets.iter().map(|&tokens| Budget::Tokens(tokens));
    let budgets: Vec<Budget> = budgets.collect();
    let ranked = match captured.decode_keys() {
        Ok(_) => Ok(decode_evictions(
            &captured,
            &DecodeRankings::usual(key.width),
            &budgets,
            &mut |done, total| reporter.on_head("Ranking the cache", done, total),
        )?),
        // no fault of anybody's: most sessions of earlier programs have none
        Err(lacking) => Err(lacking.to_string()),
    };
    reporter.answer(Answer::DecodeCache(Arc::new(DecodeCacheAnswer {
        key,
        decode_steps: captured.record.generated_ids.len(),
        ranked,
    })));
    Ok(())
}

/// Numbers that the answer holds for each budget, at most: recall and mass of every ranking, step and horizon.
pub(crate) fn numbers_per_budget(sample: &AskedSample, every: usize) -> usize {
    let measured = &sample.shown.sample;
    let rankings = measured.record.generated_ids.len() / every.max(1);
    let truth = &measured.truth.importance;
    let curves = 2 * DecodeRanking::USUAL.len() * HorizonChoice::ALL.len();
    curves * rankings * truth.layers() * truth.heads()
}
