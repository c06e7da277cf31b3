//! Where KVLens's prompts come from: built-in tasks and files. Text only; no tensors, no results.
//!
//! [`DataSpec`] is what is typed on the command line (`demo:question=start`, `prompts.jsonl`),
//! [`load`] turns one into [`Sample`]s, [`load_all`] several at once, and [`score`] says how much
//! of a sample's answer a generated text holds. The fields that JSONL files may use are described
//! with [`load`], the built-in tasks and their options with [`builtin_tasks`]; [`Generator`] makes
//! endless samples of a generated task, [`TrainingCorpus`] endless texts to train a model on.

mod builtin;
mod error;
mod generate;
mod jsonl;
mod load;
mod sample;
mod score;
mod spec;

pub use builtin::{BuiltInTask, builtin_tasks};
pub use error::DatasetError;
pub use generate::{Generator, TrainingAnswer, TrainingCorpus, TrainingDocument};
pub use load::{load, load_all};
pub use sample::{QuestionPlace, Sample};
pub use score::{holds_value, score, score_values};
pub use spec::DataSpec;
