//! What can be wrong with a data specification or with a file of prompts.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

/// Why prompts could not be had. Each message is a sentence for the user, with the path last.
#[derive(Debug, Error)]
pub enum DatasetError {
    /// Neither a file nor a built-in task has this name.
    #[error(
        "there is neither a file nor a built-in task of this name; built-in: {known}; \
         files: .txt and .jsonl: {name}"
    )]
    UnknownTask {
        /// The name as it was typed.
        name: String,
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
        /// The refused length in estimated tokens.
        length: usize,
        /// The shortest possible length with the same options.
        needed: usize,
    },
    /// The file's extension is none of those that are read.
    #[error(
        "prompts are read from .txt files (one prompt each) and .jsonl files (one prompt a line), \
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
    /// One line of a JSONL file is not a sample.
    #[error("line {line} {problem}: {}", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// What is missing or wrong, as the end of a sentence that begins with the line.
        problem: String,
    },
}
