//! The training of a window for a frozen model: Judge Q's soft tokens, LookaheadKV's tokens and adapters.

mod curve;
mod data;
mod evaluation;
mod examples;
mod initial;
mod objective;
mod plan;
mod run;
#[cfg(test)]
mod tests;

pub use curve::{Baseline, HeldOutFigures, HeldOutGroup, WindowCurvePoint};
pub use data::WindowTrainingData;
pub use plan::{TrainingSettings, WindowTrainingPlan};
pub use run::{WindowTrainingEvent, WindowTrainingRun, WindowTrainingSummary, train_window};
