//! Numerics of KVLens on plain slices: from attention rows to importance, ranking, overlap at every
//! budget, agreement, statistics and the tidy tables that `kvlens measure` writes.
//!
//! Dimensions in the documentation: `L` layers, `H` query heads, `G` key/value heads, `T` prompt
//! tokens, `W` rows of an observation window, `N` rankable tokens of a layer (prompt tokens that are not exempt and
//! that a decode step sees there). The *truth* is what windows are held against: the decode stage as one side of a
//! table scores it.
//!
//! Scores are `f32`, every sum is accumulated in `f64`, ties break by the unpooled score and then by the lower
//! position, what is undefined is NaN, and nothing depends on the number of threads: the same input gives the same
//! bytes.

pub mod agreement;
pub mod allocation;
pub mod budget;
pub mod collection;
pub mod comparison;
pub mod complementarity;
pub mod decode_eviction;
mod distinct;
pub mod drift;
pub mod error;
pub mod evidence;
pub mod fidelity;
pub mod figure;
pub mod importance;
pub mod keep_rule;
pub mod needle;
mod order;
pub mod output_error;
mod overlap;
pub mod pooling;
pub mod profile;
pub mod queries;
pub mod rank_density;
pub mod ranking;
pub mod scoring;
pub mod selection;
pub mod statistics;
pub mod steps;
pub mod tables;
mod tokens;
pub mod tops;
pub mod truth;

pub use agreement::{Agreement, agreement_by_head};
pub use budget::{Budget, BudgetGrid};
pub use collection::{Collection, Contrast, SampleGroup, SampleKey};
pub use comparison::{
    Band, BudgetCurves, Comparison, ComparisonInput, HeadComparison, Metric, compare,
};
pub use distinct::distinct;
pub use error::AnalysisError;
pub use importance::{AttentionRows, HeadKind, HeadScores, Importance, ReducedHead, reduce_rows};
pub use keep_rule::{KeepRule, KeptRecent};
pub use output_error::HeadReads;
pub use pooling::Pooling;
pub use ranking::{Rankings, UNRANKED};
pub use scoring::{
    GroupOrder, GroupReduction, KeySet, RowReduction, Scoring, ScoringOverrides, ValueWeight,
};
pub use selection::selection;
pub use steps::StepRange;
pub use tokens::ForcedKeep;
pub use tops::OracleTops;
pub use truth::{Compare, SideScoring};
