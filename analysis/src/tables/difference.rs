//! `difference.parquet`: two windows, places of the question or models on the samples that they share, with interval
//! and corrected tests.

use super::declare::table;
use super::window_head::count;
use crate::budget::Budget;
use crate::collection::{Contrast, PairedMap};
use crate::comparison::Metric;
use crate::statistics::{HeadDifference, Interval};

/// `head_kind` of a row that is about the means over all heads.
const ALL_HEADS: &str = "all";

table! {
    DifferenceTable in "difference.parquet", one row per "group, pair, budget and head, and one for the means over all heads";
    /// One head of a pair, or the means over its heads.
    #[derive(Copy)]
    DifferenceRow<'a> {
        /// What the two sides differ in: `window`, `question_place` or `model`.
        contrast: Contrast,
        /// Name of the model; missing where models differ.
        model: Option<&'a str>,
        /// Name of the task.
        task: &'a str,
        /// Where the question stands; missing where places differ or the data do not say.
        question_place: Option<&'a str>,
        /// Label of the window; missing where windows differ.
        window: Option<&'a str>,
        /// The first side: label of the window, place of the question or name of the model.
        first: &'a str,
        /// The second side, which is taken off the first.
        second: &'a str,
        /// The metric, by its column of overlap.parquet.
        metric: Metric,
        /// The budget as it was typed.
        budget: Budget,
        /// Samples that both sides have: the same content, document or prompt.
        samples: u32,
        /// Layer, from 0; missing for the means over all heads.
        layer: Option<u32>,
        /// Head within the layer, from 0; missing for the means over all heads.
        head: Option<u32>,
        /// What a head stands for: `query`, `kv` or `layer`; `all` for the means over all heads.
        head_kind: &'a str,
        /// Mean of first less second; missing, as what follows, for a head that is undefined in any sample.
        difference: Option<f64>,
        /// Over samples.
        interval: Option<Interval>,
        /// Two-sided p-value of the sign-flip test over samples.
        p: Option<f64>,
        /// The same corrected over the heads of the map (Holm).
        p_holm: Option<f64>,
        /// The same corrected over the heads of the map (Benjamini and Hochberg).
        p_bh: Option<f64>,
        /// Whether the interval excludes zero and both p and p_bh are at most 0.05.
        resolved: Option<bool>,
        /// What counts as no difference, where it was said.
        margin: Option<f64>,
        /// Whether the whole interval lies within the margin on both sides: two one-sided tests at 2.5 % each, not
        /// corrected over heads. Neither resolved nor equivalent: the samples do not tell.
        equivalent: Option<bool>,
    }
}

/// The rows of a pair: the means over all heads, which is one test and needs no correction, then every head. Sides that
/// differ by less than the margin count as equivalent, if there is one.
pub fn difference_rows<'a>(pair: &PairedMap<'a>, margin: Option<f64>) -> Vec<DifferenceRow<'a>> {
    let overall = HeadDifference {
        difference: pair.overall,
        p_holm: pair.overall.p,
        p_benjamini_hochberg: pair.overall.p,
    };
    let heads = pair.by_head.iter().enumerate().map(|(index, difference)| {
        let (heads, kind) = pair.shape.map_or((1, ALL_HEADS), |shape| {
            (shape.heads.max(1), shape.head_kind.name())
        });
        DifferenceRow {
            layer: Some(count(index / heads)),
            head: Some(count(index % heads)),
            head_kind: kind,
            ..row(pair, *difference, margin)
        }
    });
    std::iter::once(row(pair, Some(overall), margin))
        .chain(heads)
        .collect()
}

/// A row about all heads.
fn row<'a>(
    pair: &PairedMap<'a>,
    found: Option<HeadDifference>,
    margin: Option<f64>,
) -> DifferenceRow<'a> {
    let equivalent = found.zip(margin);

    DifferenceRow {
        contrast: pair.contrast,
        model: pair.model,
        task: pair.task,
        question_place: pair.question_place,
        window: pair.window,
        first: pair.first,
        second: pair.second,
        metric: pair.metric,
        budget: pair.budget,
        samples: count(pair.samples),
        layer: None,
        head: None,
        head_kind: ALL_HEADS,
        difference: found.map(|found| found.difference.mean),
        interval: found.and_then(|found| found.difference.interval),
        p: found.map(|found| found.difference.p),
        p_holm: found.map(|found| found.p_holm),
        p_bh: found.map(|found| found.p_benjamini_hochberg),
        resolved: found.map(|found| found.is_resolved()),
        margin,
        equivalent: equivalent.map(|(found, margin)| found.difference.is_equivalent(margin)),
    }
}
