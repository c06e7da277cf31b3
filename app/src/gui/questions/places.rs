//! Where a window foresees: recall of W consecutive queries by the place where they sit.

use std::sync::Arc;

use kvlens_analysis::drift::PlacedRecall;

use super::{Answer, AskedSample, CurvesKey};
use crate::gui::lanes::Reporter;
use crate::measurement::places::{Sweep, prompt_queries, sweep_places};

/// A window swept from the prompt into the generation.
#[derive(Clone, Debug)]
pub struct PlacesAnswer {
    /// What was asked.
    pub key: CurvesKey,
    /// Queries at the end of the prompt that the session keeps; 0 where it keeps none that can be swept.
    pub prompt_queries: usize,
    /// L.
    pub layers: usize,
    /// `[L, heads]`, and for each head every place; nothing where the session keeps fewer queries than W.
    pub by_head: Vec<Vec<PlacedRecall>>,
}

pub(super) fn answer(
    sample: &AskedSample,
    key: CurvesKey,
    reporter: &Reporter<'_>,
) -> anyhow::Result<()> {
    let captured = sample.load(reporter.samples)?;
    let stage = format!("Sweep of {} queries", key.width);
    let by_head = sweep_places(
        &captured,
        &sample.shown.options,
        Sweep::by_halves(key.width),
        &key.budgets,
        &mut |done, total| reporter.on_head(&stage, done, total),
    )?;
    reporter.answer(Answer::Places(Arc::new(PlacesAnswer {
        key,
        prompt_queries: prompt_queries(&captured),
        layers: sample.shown.sample.truth.importance.layers(),
        by_head: by_head.unwrap_or_default(),
    })));
    Ok(())
}

/// Numbers that a sweep holds for each budget, at most: the whole prompt and the generation.
pub(crate) fn numbers_per_budget(sample: &AskedSample, width: usize) -> usize {
    let measured = &sample.shown.sample;
    let queries = measured.record.prompt_ids.len() + measured.record.generated_ids.len();
    let places = queries / Sweep::by_halves(width).stride + 1;
    // recall and the share in reach
    let truth = &measured.truth.importance;
    2 * places * truth.layers() * truth.heads()
}
