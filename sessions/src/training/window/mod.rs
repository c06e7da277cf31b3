//! The training of a window for a frozen model: Judge Q's soft tokens, LookaheadKV's tokens and adapters.

mod curve;
mod evaluation;
mod examples;
mod initial;
mod objective;
mod plan;
mod run;
#[cfg(test)]
mod tests;

pub use curve::{Baseline, HeldOutFigures, HeldOutGroup, WindowCurvePoint};
pub use plan::{TrainingSettings, WindowTrainingPlan};
pub use run::{
    WindowTrainingData, WindowTrainingEvent, WindowTrainingRun, WindowTrainingSummary, train_window,
};
