//! `summary.parquet`: means over the samples of a group, with intervals; what the printed tables show.

use super::declare::table;
use super::window_head::count;
use crate::budget::Budget;
use crate::collection::GroupSummary;
use crate::comparison::Metric;
use crate::statistics::Interval;

table! {
    SummaryTable in "summary.parquet", one row per "group, window, metric and budget";
    /// One mean over samples.
    #[derive(Copy)]
    SummaryRow<'a> {
        /// Name of the model.
        model: &'a str,
        /// Name of the task.
        task: &'a str,
        /// Where the question stands; missing where the data do not say.
        question_place: Option<&'a str>,
        /// Label of the window as it was typed.
        window: &'a str,
        /// What was compared: `queries` (one scoring for all windows) or `methods` (each as published).
        compare: &'a str,
        /// What the window's scores are: `attention`, or what stands in its place.
        score_kind: &'a str,
        /// The metric, by its column of overlap.parquet.
        metric: Metric,
        /// The budget as it was typed.
        budget: Budget,
        /// Samples in the mean: contents, so that copies count once.
        samples: u32,
        /// Heads in the mean of each sample: the smallest number over the samples.
        heads: u32,
        /// All heads of all layers.
        all_heads: u32,
        /// Mean over samples of the mean over the heads in which the metric is defined.
        mean: f64,
        /// Over samples.
        interval: Option<Interval>,
        /// The same mean of the decode stage's own rows under the window's scoring, where methods are compared.
        ceiling: Option<f64>,
    }
}

impl<'a> SummaryRow<'a> {
    /// A summary of a run that compared `queries` or `methods`.
    pub fn new(summary: GroupSummary<'a>, compare: &'a str) -> Self {
        Self {
            model: &summary.group.model,
            task: &summary.group.task,
            question_place: summary.group.question_place.as_deref(),
            window: summary.window,
            compare,
            score_kind: summary.score_kind,
            metric: summary.metric,
            budget: summary.budget,
            samples: count(summary.samples),
            heads: count(summary.heads),
            all_heads: count(summary.all_heads),
            mean: summary.mean,
            interval: summary.interval,
            ceiling: summary.ceiling,
        }
    }
}
