//! What can be wrong with a data specification or with a file of prompts.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

/// Why prompts could not be had. Each message is a sentence for the user, with the path last.
#[derive(Debug, Error)]
pub enum DatasetError {
    /// Neither a file nor a built-in task has this name.
    #[error(
        "there is neither a file nor a built-in task of this name, the nearest is '{nearest}'; built-in: {known}; \
         files: .txt, .jsonl, .json and .parquet, or BENCHMARK:FOLDER: {name}"
    )]
    UnknownTask {
        /// The name as it was typed.
        name: String,
        /// The built-in task that is named most alike.
        nearest: String,
        /// The built-in tasks, separated by commas.
        known: String,
    },
    /// An option is not written `key=value`, or its key stands twice.
    #[error("options are written key=value, each key once, separated by commas: {option}")]
    OptionSyntax {
        /// The option as it was typed.
        option: String,
    },
    /// The task does not have this option.
    #[error("the built-in task {task} has no option {option}; it has {known}")]
    UnknownOption {
        /// The task's name.
        task: String,
        /// The option's key.
        option: String,
        /// The task's options with their values, separated by commas.
        known: String,
    },
    /// The option exists but not with this value.
    #[error("the built-in task {task} takes {expected}, not {option}={value}")]
    OptionValue {
        /// The task's name.
        task: String,
        /// The option's key.
        option: String,
        /// The refused value.
        value: String,
        /// What is accepted, as `key=value|value`.
        expected: String,
    },
    /// What the question of a generated task needs does not fit into the prompt.
    #[error(
        "the built-in task {task} with these options takes length={needed} or more, \
         not length={length}"
    )]
    LengthTooShort {
        /// The task's name.
        task: String,
        /// The refused length, in the model's tokens or in estimated ones.
        length: usize,
        /// The shortest possible length with the same options.
        needed: usize,
    },
    /// A generated task was asked for prompts that are longer than the model can be.
    #[error(
        "the built-in task {task} cannot have length={length}: the model has {positions} positions; \
         take a shorter length or another model, or count=words where no model is to run it"
    )]
    LengthBeyondModel {
        /// The task's name.
        task: String,
        /// The refused length in the model's tokens.
        length: usize,
        /// What the model has.
        positions: usize,
    },
    /// What the needles of a generated task were to be hidden in is no text.
    #[error("the haystack {problem}: {}", path.display())]
    Haystack {
        /// The file.
        path: PathBuf,
        /// What is wrong, as the end of a sentence that begins with the haystack.
        problem: String,
    },
    /// The question of a sample cannot be put at another place.
    #[error("the question of {sample} cannot be moved: the sample {problem}")]
    FixedQuestion {
        /// The sample's id.
        sample: String,
        /// Why not, as the end of a sentence that begins with the sample.
        problem: &'static str,
    },
    /// The file's extension is none of those that are read.
    #[error(
        "prompts are read from .txt files (one prompt each), .jsonl, .json and .parquet files (rows), \
         not from: {}", path.display()
    )]
    UnknownExtension {
        /// The file.
        path: PathBuf,
    },
    /// The file could not be read.
    #[error("the file of prompts could not be read ({source}): {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The file is not text.
    #[error(
        "the file of prompts is not UTF-8 text (first wrong byte at {byte}): {}", path.display()
    )]
    NotUtf8 {
        /// The file.
        path: PathBuf,
        /// Offset of the first byte that is not UTF-8.
        byte: usize,
    },
    /// The file holds no prompt at all.
    #[error("the file holds no prompt: {}", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// The file in which prompts wait for their turn could not be written or read.
    #[error(
        "the prompts could not be laid aside on disk ({source}); make room, or name another folder for such files by TMPDIR"
    )]
    LaidAside {
        /// What the operating system said.
        source: io::Error,
    },
    /// One row of a file is not a sample.
    #[error("{unit} {number} {problem}: {}", path.display())]
    Row {
        /// The file.
        path: PathBuf,
        /// What a row is called: `line` or `row`.
        unit: &'static str,
        /// Counted from 1.
        number: usize,
        /// What is missing or wrong, as the end of a sentence that begins with the row.
        problem: String,
    },
    /// All rows of a file were left out.
    #[error("no {unit} of the file is a prompt; {unit} {number} {problem}: {}", path.display())]
    NoSample {
        /// The file.
        path: PathBuf,
        /// What a row is called: `line` or `row`.
        unit: &'static str,
        /// The first row, counted from 1.
        number: usize,
        /// What is wrong with it, as the end of a sentence that begins with the row.
        problem: String,
    },
    /// The file is text in UTF-16.
    #[error("the file of prompts is UTF-16, not UTF-8; save it as UTF-8: {}", path.display())]
    Utf16 {
        /// The file.
        path: PathBuf,
    },
    /// A table could not be read.
    #[error("the table of prompts could not be read ({problem}): {}", path.display())]
    Table {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// A benchmark's file of templates or answer lengths is none.
    #[error("the benchmark's file of settings could not be read ({problem}): {}", path.display())]
    Config {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// A folder of a benchmark has no file of a task.
    #[error("the folder has no file of the task {task}: {}", folder.display())]
    NoTask {
        /// The folder.
        folder: PathBuf,
        /// The task as it was typed.
        task: String,
    },
    /// A prompt does not fit the model.
    #[error(
        "the prompt of {id} has {tokens} tokens and the model has room for {limit}; cut such prompts or leave them out"
    )]
    TooLong {
        /// The sample's id.
        id: String,
        /// Its length in tokens.
        tokens: usize,
        /// The longest that fits.
        limit: usize,
    },
    /// A sample that was asked for is not there.
    #[error("no sample has the id {id}")]
    UnknownSample {
        /// The id as it was typed.
        id: String,
    },
    /// Fields are not mapped as they can be.
    #[error("fields are named ROLE=FIELD, each role once, with the roles {known}: {text}")]
    FieldMap {
        /// The text as it was typed.
        text: String,
        /// The roles, separated by commas.
        known: String,
    },
    /// Something is wrong with a sample that no row stands for.
    #[error("{problem}")]
    Sample {
        /// What is wrong, as a sentence.
        problem: String,
    },
}
