//! What names a sample in every table, and the table of the samples themselves.

use super::cells::Group;
use super::declare::{columns, table};
use crate::collection::SampleGroup;

columns! {
    /// The leading columns of every row about a sample.
    #[derive(Debug, Clone, PartialEq, Default)]
    SampleContext {
        /// Name of the session.
        session: String,
        /// Name of the model.
        model: String,
        /// Name of the data set.
        dataset: String,
        /// Name of the task.
        task: String,
        /// Id of the sample in its session.
        sample: String,
        /// Equal for copies: the same prompt with the same decode stage by the same model.
        content: String,
        /// Where the question stands, `start` or `end`; missing where the data do not say.
        question_place: Option<String>,
        /// Prompt tokens, T.
        prompt_tokens: u32,
        /// Generated tokens that were fed back.
        decode_tokens: u32,
        /// Tokens that a generator was asked for.
        asked_length: Option<u32>,
        /// Where the evidence lies in the document, from 0 at its start to 1 at its end.
        depth: Option<f64>,
    }
}

impl Group for SampleContext {
    const NAME: &'static str = "sample";
}

impl SampleContext {
    /// The samples that it is taken together with.
    pub fn group(&self) -> SampleGroup {
        SampleGroup {
            model: self.model.clone(),
            task: self.task.clone(),
            question_place: self.question_place.clone(),
        }
    }
}

table! {
    SamplesTable in "samples.parquet", one row per "sample", row groups of 64;
    /// One sample: what went in and what came out. A row holds a whole prompt, which may be half a megabyte.
    #[derive(Copy)]
    SampleRow<'a> {
        /// The sample.
        sample: &'a SampleContext,
        /// The prompt's text.
        prompt: &'a str,
        /// The text that the model generated.
        generated: &'a str,
        /// Reference answer, when the data has one.
        answer: Option<&'a str>,
        /// Task score in 0..=1, when the task can be scored.
        score: Option<f64>,
        /// Wall time of the sample's capture in seconds.
        seconds: f64,
    }
}
