//! Training: the built-in model, and windows for any model.

mod demo;
mod optimizer;
mod random;
mod state;
mod steps;
mod threads;
mod window;

pub use demo::{
    CurvePoint, LossWeights, TrainingEvent, TrainingPlan, TrainingRun, TrainingShape,
    TrainingStage, TrainingSummary, train_demo_model,
};
pub use window::{
    Baseline, HeldOutFigures, HeldOutGroup, TrainingSettings, WindowCurvePoint, WindowTrainingData,
    WindowTrainingEvent, WindowTrainingPlan, WindowTrainingRun, WindowTrainingSummary,
    train_window,
};
