//! The training of the built-in model: tokenizer, rows of generated documents, planted heads, loss and recipe.
//!
//! What it has in common with the training of windows lies beside this folder: the loop over steps, the optimiser, the
//! run's state, random draws, threads. It stays in this crate, because one of its own would need some thirty things of
//! the decoder and of training made public (`Decoder`, `Weights`, `Parameters`, `Kernels`, the fused cross-entropy, the
//! writing of files, and all of the above), where the crate's front now shows no tensor that can be trained: more would
//! be opened than moved. Nothing but `training` imports from here.

mod checkpoint_folder;
mod curve;
mod gradient;
mod initial;
mod plan;
mod planted;
mod recipe;
mod rows;
mod run;
#[cfg(test)]
mod tests;
mod tokenizer;

pub use curve::CurvePoint;
pub use plan::{LossWeights, TrainingPlan, TrainingShape, TrainingStage};
pub use run::{TrainingEvent, TrainingRun, TrainingSummary, train_demo_model};
