//! Training: the built-in model, and windows for any model.

mod checkpoint_folder;
mod demo_model;
mod gradient;
mod initial;
mod optimizer;
mod plan;
mod planted;
mod random;
mod recipe;
mod rows;
mod state;
mod steps;
#[cfg(test)]
mod tests;
mod threads;
mod tokenizer;
mod window;

pub use demo_model::{TrainingEvent, TrainingRun, TrainingSummary, train_demo_model};
pub use plan::{LossWeights, TrainingPlan, TrainingShape, TrainingStage};
pub use state::CurvePoint;
pub use window::{
    Baseline, HeldOutFigures, HeldOutGroup, TrainingSettings, WindowCurvePoint, WindowTrainingData,
    WindowTrainingEvent, WindowTrainingPlan, WindowTrainingRun, WindowTrainingSummary,
    train_window,
};
