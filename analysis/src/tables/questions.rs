//! The tables of further questions: when and where a window foresees, how alike its queries are to those of the
//! decode stage, and what other allocations of the budget keep.

use super::declare::table;
use super::sample::SampleContext;
use super::window_head::WindowHead;
use crate::budget::Budget;
use crate::importance::HeadKind;

table! {
    DriftTable in "drift.parquet", one row per "window, head, step or horizon, and budget";
    /// One head of one window at one budget, for one step or horizon.
    #[derive(Copy)]
    DriftRow<'a> {
        /// The sample.
        sample: &'a SampleContext,
        /// The head.
        head: WindowHead<'a>,
        /// `step` for one decode step alone, `horizon` for all up to it.
        part: &'a str,
        /// The step, or the last one of the horizon, counted from 1.
        step: u32,
        /// The budget as it was typed.
        budget: Budget,
        /// The budget in tokens of this prompt.
        budget_tokens: u32,
        /// Recall of that part of the decode stage.
        recall: Option<f64>,
        /// Relative error of the head's attention output there, up to a horizon in the mean over its steps; missing in
        /// sessions without values.
        output_error: Option<f64>,
    }
}

table! {
    PlaceTable in "place.parquet", one row per "head, position of a window of W queries, and budget";
    /// One head at one place and budget.
    #[derive(Copy)]
    PlaceRow<'a> {
        /// The sample.
        sample: &'a SampleContext,
        /// Queries of the window.
        width: u32,
        /// Layer, from 0.
        layer: u32,
        /// Head within the layer, from 0.
        head: u32,
        /// What a head stands for: `query`, `kv` or `layer`.
        head_kind: HeadKind,
        /// Position of the window's last query; `prompt_tokens - 1` is the last of the prompt.
        last_position: u32,
        /// The budget as it was typed.
        budget: Budget,
        /// The budget in tokens of this prompt.
        budget_tokens: u32,
        /// Recall of the decode stage.
        recall: Option<f64>,
        /// Share of the decode stage's top tokens that lie at or before the window.
        visible: Option<f64>,
    }
}

table! {
    QueryTable in "query.parquet", one row per "window that has queries, and query head";
    /// One query head of one window.
    #[derive(Copy)]
    QueryRow<'a> {
        /// The sample.
        sample: &'a SampleContext,
        /// Label of the window as it was typed.
        window: &'a str,
        /// Layer, from 0.
        layer: u32,
        /// Query head within the layer, from 0.
        head: u32,
        /// Pairs of rows that the means are over.
        rows: u32,
        /// Mean position of the window's rows minus that of the decode steps that they are paired with.
        position_gap: f64,
        /// Mean cosine before the rotary embedding, where the session says which it was.
        cosine_before_rotation: Option<f64>,
        /// Mean cosine after it.
        cosine_after_rotation: Option<f64>,
    }
}

table! {
    AllocationTable in "allocation.parquet", one row per "window, head, allocation and budget";
    /// One head of one window under one allocation.
    #[derive(Copy)]
    AllocationRow<'a> {
        /// The sample.
        sample: &'a SampleContext,
        /// The head.
        head: WindowHead<'a>,
        /// How the budget was shared out over heads: `uniform`, `pyramid` or `head-adaptive`.
        allocation: &'a str,
        /// The uniform budget that is shared out, as it was typed.
        budget: Budget,
        /// The same in tokens a head.
        budget_tokens: u32,
        /// Tokens that the head gets.
        tokens: u32,
        /// Share of the oracle's top B among the window's top `tokens`.
        recall: Option<f64>,
        /// Share of the decode stage's top B that the window's eviction rule keeps with `tokens`.
        kept_recall: Option<f64>,
        /// Recall over whole selections: the window's forced-keep tokens count for both sides.
        hit_rate: Option<f64>,
        /// Decode attention on the prompt that the kept tokens hold.
        selected_mass: Option<f64>,
    }
}
