//! Word lists, all of them the project's own choice.
//!
//! The order of the words is part of what a seed means: whoever adds, removes or sorts words
//! changes every generated text.

mod codes;
mod names;
mod things;
mod values;

pub(super) use codes::{CODE_WORDS, RARE_WORDS};
pub(super) use names::{FIRST_NAMES, LAST_NAMES};
pub(super) use things::{COLOURS, EVENT_KINDS, EVENT_OCCASIONS, OBJECTS};
pub(super) use values::{CITIES, FOODS, JOBS, PETS};
