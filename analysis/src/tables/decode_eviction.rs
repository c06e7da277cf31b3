//! `decode_eviction.parquet`: how well a cache is ranked while it decodes.

use super::declare::table;
use super::sample::SampleContext;
use super::window_head::{WindowHead, count};
use crate::budget::Budget;
use crate::decode_eviction::RankedStep;
use crate::importance::HeadKind;

table! {
    DecodeEvictionTable in "decode_eviction.parquet",
        one row per "ranking, query head, decode step at which the cache is ranked, horizon and budget";
    /// One head under one ranking at one budget, held against some later steps.
    DecodeEvictionRow<'a> {
        /// The sample.
        sample: &'a SampleContext,
        /// The head; its `window` is what ranks, named as the window that ranks a prompt so.
        head: WindowHead<'a>,
        /// Decode steps that were done when the cache was ranked.
        step: u32,
        /// Tokens in the cache then: of the prompt, of a question behind it, and `step` generated ones.
        cached_tokens: u32,
        /// Those of them that the next step sees in this layer, and that are ranked.
        visible_tokens: u32,
        /// Later steps that the ranking is held against: a number right behind it, or `rest` for all.
        horizon: String,
        /// How many these are.
        horizon_steps: u32,
        /// The budget as it was typed; a share is one of `cached_tokens`.
        budget: Budget,
        /// The budget in tokens of this cache.
        budget_tokens: u32,
        /// Share of the later steps' top B that is in the ranking's top B.
        recall: Option<f64>,
        /// Share of the later steps' attention on the ranked tokens that falls on the ranking's top B.
        mass: Option<f64>,
        /// The same of their own top B: the most that any B tokens hold.
        most_mass: Option<f64>,
        /// Attention of the later steps that falls on the ranked tokens at all; the rest is on what is generated later.
        cached_share: Option<f64>,
    }
}

/// The rows of one query head; `rankings` and `budgets` are those that it was ranked by and at.
pub fn decode_eviction_rows<'a>(
    sample: &'a SampleContext,
    (layer, head): (usize, usize),
    (rankings, budgets): (&'a [String], &[Budget]),
    steps: &[RankedStep],
) -> Vec<DecodeEvictionRow<'a>> {
    let mut rows = Vec::new();
    for at in steps {
        for held in &at.horizons {
            for (ranking, kept) in rankings.iter().zip(&held.kept) {
                let points = budgets.iter().zip(&at.budgets).zip(kept).zip(&held.most);
                rows.extend(
                    points.map(|(((&budget, &tokens), kept), &most)| DecodeEvictionRow {
                        sample,
                        head: WindowHead {
                            window: ranking,
                            layer: count(layer),
                            head: count(head),
                            head_kind: HeadKind::Query,
                        },
                        step: count(at.step),
                        cached_tokens: count(at.cached_tokens),
                        visible_tokens: count(at.visible_tokens),
                        horizon: held.horizon.to_string(),
                        horizon_steps: count(held.steps),
                        budget,
                        budget_tokens: count(tokens),
                        recall: Some(kept.recall),
                        mass: Some(kept.mass),
                        most_mass: Some(most),
                        cached_share: Some(held.cached_share),
                    }),
                );
            }
        }
    }
    rows
}
