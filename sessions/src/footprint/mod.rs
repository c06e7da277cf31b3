//! How much memory a model and a run of it take, from the shapes.

mod memory;
mod repacked;
mod shape;
mod unloaded;
mod weights;

pub use memory::{Memory, WindowMemory};
pub use shape::RunShape;
pub(crate) use unloaded::{UnloadedModel, drafter_memory};
