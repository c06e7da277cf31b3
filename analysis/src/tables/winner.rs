//! `winner.parquet`: which window wins in each head, by how much, and how stable that is over samples.

use super::declare::table;
use super::window_head::count;
use crate::budget::Budget;
use crate::collection::WinnerMap;
use crate::comparison::Metric;
use crate::error::AnalysisError;
use crate::importance::HeadKind;
use crate::statistics::{HeadStability, HeadWinner, Interval};

table! {
    WinnerTable in "winner.parquet", one row per "group, budget and head";
    /// One head of a map of winners.
    #[derive(Copy)]
    WinnerRow<'a> {
        /// Name of the model.
        model: &'a str,
        /// Name of the task.
        task: &'a str,
        /// Where the question stands; missing where the data do not say.
        question_place: Option<&'a str>,
        /// The metric, by its column of overlap.parquet.
        metric: Metric,
        /// The budget as it was typed.
        budget: Budget,
        /// Samples that all windows share.
        samples: u32,
        /// Layer, from 0.
        layer: u32,
        /// Head within the layer, from 0.
        head: u32,
        /// What a head stands for: `query`, `kv` or `layer`.
        head_kind: HeadKind,
        /// Label of the winner; missing, as what follows, for a head that is undefined in any sample.
        window: Option<&'a str>,
        /// Its mean over samples.
        mean: Option<f64>,
        /// Label of the runner-up.
        runner_up: Option<&'a str>,
        /// Mean of winner less runner-up.
        margin: Option<f64>,
        /// Of the margin, over samples.
        interval: Option<Interval>,
        /// The largest p-value of the winner against any other window.
        p: Option<f64>,
        /// The same corrected over the heads of the map (Benjamini and Hochberg).
        p_bh: Option<f64>,
        /// Whether the margin's interval lies above zero and both p and p_bh are at most 0.05.
        resolved: Option<bool>,
        /// Label of the window that is best in most samples.
        usual_best: Option<&'a str>,
        /// Share of the samples in which it is.
        usual_best_share: Option<f64>,
        /// Kendall's coefficient of concordance of the windows' ranks over samples, 0..=1.
        concordance: Option<f64>,
    }
}

/// The rows of one map, by layer, then head.
///
/// # Errors
/// [`AnalysisError::OutOfBounds`] for a winner without a label.
pub fn winner_rows<'a>(map: &WinnerMap<'a>) -> Result<Vec<WinnerRow<'a>>, AnalysisError> {
    let label = |window: usize| {
        let label = map.windows.get(window).copied();
        label.ok_or_else(|| AnalysisError::OutOfBounds {
            what: "the index of a window",
            bounds: "below the number of labels",
            value: window.to_string(),
        })
    };
    let heads = map.shape.heads.max(1);
    let by_head = map.winners.iter().zip(&map.stability).enumerate();
    type Found<'f> = (&'f Option<HeadWinner>, &'f Option<HeadStability>);
    let row = |(index, (winner, stability)): (usize, Found<'_>)| {
        let runner_up = winner.and_then(|found| found.runner_up);
        Ok(WinnerRow {
            model: &map.group.model,
            task: &map.group.task,
            question_place: map.group.question_place.as_deref(),
            metric: map.metric,
            budget: map.budget,
            samples: count(map.samples),
            layer: count(index / heads),
            head: count(index % heads),
            head_kind: map.shape.head_kind,
            window: winner.map(|found| label(found.winner)).transpose()?,
            mean: winner.map(|found| found.mean),
            runner_up: runner_up.map(label).transpose()?,
            margin: winner.map(|found| found.margin),
            interval: winner.and_then(|found| found.interval),
            p: winner.map(|found| found.p),
            p_bh: winner.map(|found| found.p_corrected),
            resolved: winner.map(|found| found.resolved),
            usual_best: stability.map(|found| label(found.best)).transpose()?,
            usual_best_share: stability.map(|found| found.share),
            concordance: stability.map(|found| found.concordance),
        })
    };
    by_head.map(row).collect()
}
