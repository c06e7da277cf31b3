//! `cost.parquet`: what each window takes beyond the prefill that all share.

use super::declare::table;
use super::sample::SampleContext;

table! {
    CostTable in "cost.parquet", one row per "window";
    /// The cost of one window on one sample.
    #[derive(Copy)]
    CostRow<'a> {
        /// The sample.
        sample: &'a SampleContext,
        /// Label of the window as it was typed; `decode` is the decode stage itself.
        window: &'a str,
        /// What the window's scores are: `attention`, or what stands in its place.
        score_kind: &'a str,
        /// How often it observed the prompt: once, but once for each budget where the first stage has the final one.
        /// Rows, times, operations and tokens are of all of these together.
        observations: u32,
        /// Rows that the window observes with.
        rows: u32,
        /// Wall time in seconds.
        seconds: f64,
        /// Floating-point operations.
        flops: f64,
        /// Tokens that were run beyond the prompt.
        extra_tokens: u32,
        /// Bytes held beyond the prompt's cache at the worst moment.
        peak_bytes: u64,
    }
}
