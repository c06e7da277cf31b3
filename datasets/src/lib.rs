//! Where KVLens's prompts come from: built-in tasks and files. Text only; no tensors, no results.
//!
//! [`DataSpec`] is what is typed on the command line (`demo:question=start`, `prompts.jsonl`,
//! `longbench:FOLDER`), [`load_with`] turns such into [`Sample`]s and says in a [`LoadReport`] what was
//! read as what, and [`score`] says how right a generated text is. The fields that files may use are described with
//! [`load_with`], the layouts of benchmarks with [`Format`], the built-in tasks and their options with
//! [`builtin_tasks`]; [`Generator`] makes endless samples of a generated task, [`TrainingCorpus`] endless texts to
//! train a model on.

mod bounded;
mod builtin;
mod choices;
mod error;
mod fit;
mod folder;
mod formats;
mod generate;
mod load;
mod nearest;
mod options;
mod parts;
mod pieces;
mod records;
mod report;
mod sample;
mod scores;
mod spec;
mod spool;

pub use bounded::{MOST_TYPED_BYTES, open_regular, read_at_most, read_text_at_most};
pub use builtin::{BuiltInTask, builtin_tasks};
pub use choices::{PromptChoices, SamplePart};
pub use error::DatasetError;
pub use fit::{Fit, TokenCounter, TooLong};
pub use formats::{FieldMap, Format, TemplateOrigin, write_samples};
pub use generate::{Generator, TrainingAnswer, TrainingCorpus, TrainingDocument};
pub use load::{Loaded, Spooled, load_with, read_each, spool_with};
pub use nearest::nearest_name;
pub use options::{BadRows, EvidenceUnit, LoadOptions};
pub use parts::PromptParts;
pub use records::OpenTable;
pub use report::{Cut, FieldUse, LeftOut, LoadReport, Named, SourceReport, TooLongSample};
pub use sample::{QuestionPlace, Sample};
pub use scores::{Metric, Scoring, holds_value, score, score_values};
pub use spec::DataSpec;
pub use spool::{Samples, Spool};
