//! Observation windows: who asks the prompt's keys, one file per kind of window.
//!
//! A [`Window`] is data (label, scoring, what its rule keeps) and one [`Observe`], which makes queries, or scores that
//! are ready. [`ReadyWindow::observe`] runs it: times, counts and describes. A new window is a file beside this one and
//! one entry in `registry.rs`.

mod appended;
mod dapq;
mod decode;
mod draft;
mod expected_attention;
mod h2o;
mod key_norm;
mod last_prompt;
mod lookahead;
mod pseudo_tokens;
mod random;
mod registry;
mod run;
mod score_file;
mod score_table;
mod scoring_options;
mod seed;
mod soft_tokens;
mod streaming;
mod tova;
mod trained;
pub(crate) mod trained_file;
mod union;
mod union_ranks;
mod window;

use kvlens_analysis::{Pooling, RowReduction, Scoring};

pub use decode::Decode;
pub(crate) use registry::expand_all;
pub use registry::{WindowKind, left_out_of_all, parse_window, parse_windows, registered};
pub use run::{Observed, Run};
pub use scoring_options::{SCORING_SYNTAX, set_aside_for_queries};
pub(crate) use soft_tokens::SoftTokens;
pub use trained::TrainedMethod;
pub use window::{Observe, ReadyWindow, Window};

pub use crate::label::{FINAL_BUDGETS, FinalPart, WindowLabel, WindowOptions, final_part};
pub use crate::plan::DecodePlan;

/// Label of the oracle: the decode stage itself.
pub const DECODE_LABEL: &str = "decode";

/// SnapKV's scoring in its LongBench configurations, which LAQ's repository takes over: sum over the rows,
/// max pooling with kernel 7, each query head on its own.
fn snapkv_scoring() -> Scoring {
    Scoring {
        reduce: RowReduction::Sum,
        pool: Pooling::Max { kernel: 7 },
        ..Scoring::default()
    }
}
