//! Which prompts of the data are taken, and how they are read: the same flags and plan keys wherever prompts are named.

use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::{Args, ValueEnum};
use kvlens_datasets::{
    BadRows, EvidenceUnit, MOST_TYPED_BYTES, PromptChoices, QuestionPlace, TooLong,
    read_text_at_most,
};
use serde::Deserialize;

use super::args::at_least_one;
use crate::jobs::failure::Failure;

const HEADING: &str = "Which prompts";

/// Flags, or keys of a plan file.
#[derive(Clone, Debug, Default, PartialEq, Args, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct PromptArguments {
    /// At most so many samples of each SPEC
    #[arg(help_heading = HEADING, long, value_name = "N", value_parser = at_least_one)]
    pub limit: Option<usize>,
    /// Only the sample of this id; repeat it for further ones
    #[arg(help_heading = HEADING, long, value_name = "ID")]
    pub sample: Vec<String>,
    /// Leave out rows that are no prompt, and name them, instead of refusing the file
    #[arg(help_heading = HEADING, long)]
    pub skip_bad_rows: bool,
    /// Leave out prompts that are too long for the model, and name them
    #[arg(help_heading = HEADING, long, conflicts_with = "truncate")]
    pub skip_too_long: bool,
    /// Cut prompts that are too long for the model: their middle, as LongBench does, or what stands left
    #[arg(help_heading = HEADING, long, value_name = "WHERE")]
    pub truncate: Option<Truncate>,
    /// Read a field as what it is, such as `question=ask`; repeat it for further fields. Rows are then read by their
    /// fields and not as a benchmark's
    #[arg(help_heading = HEADING, long, value_name = "ROLE=FIELD")]
    pub field: Vec<String>,
    /// A file with the words around the fields of plain rows, with slots such as `{document}` and `{question}`
    #[arg(help_heading = HEADING, long, value_name = "FILE")]
    pub template: Option<PathBuf>,
    /// Put every question there, where document and question can be told apart
    #[arg(help_heading = HEADING, long, value_name = "PLACE")]
    pub question: Option<Place>,
    /// What offsets in a field `evidence` count [default: bytes]
    #[arg(help_heading = HEADING, long, value_name = "UNIT")]
    pub evidence_unit: Option<Unit>,
}

/// What of a long prompt is cut away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Truncate {
    /// The middle
    Middle,
    /// The beginning of the document
    Left,
}

/// Where a question stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Place {
    /// Behind the document
    End,
    /// Before the document
    Start,
    /// Before and behind it
    Both,
    /// Nowhere: it comes after the prompt was ranked
    Absent,
}

/// What offsets count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Unit {
    /// Bytes of UTF-8
    Bytes,
    /// Characters, as Python counts
    Chars,
}

impl PromptArguments {
    /// These, and for what they leave open those of a plan file.
    #[must_use]
    pub fn or(self, file: Self) -> Self {
        let fits = match self.skip_too_long || self.truncate.is_some() {
            true => (self.skip_too_long, self.truncate),
            false => (file.skip_too_long, file.truncate),
        };
        Self {
            limit: self.limit.or(file.limit),
            sample: first_named(self.sample, file.sample),
            skip_bad_rows: self.skip_bad_rows || file.skip_bad_rows,
            skip_too_long: fits.0,
            truncate: fits.1,
            field: first_named(self.field, file.field),
            template: self.template.or(file.template),
            question: self.question.or(file.question),
            evidence_unit: self.evidence_unit.or(file.evidence_unit),
        }
    }

    /// What is chosen.
    ///
    /// # Errors
    /// [`Failure::BadInput`] for a plan that cuts and leaves out; a template that cannot be read.
    pub fn choices(&self) -> Result<PromptChoices> {
        Ok(PromptChoices {
            limit: self.limit,
            sample: self.sample.clone(),
            // which part of them a process takes is a sweep's
            part: None,
            bad_rows: match self.skip_bad_rows {
                true => BadRows::LeaveOut,
                false => BadRows::Refuse,
            },
            too_long: self.too_long()?,
            field: self.field.clone(),
            template: self.template()?,
            question: self.question.map(QuestionPlace::from),
            evidence_unit: match self.evidence_unit {
                Some(Unit::Chars) => EvidenceUnit::Characters,
                Some(Unit::Bytes) | None => EvidenceUnit::Bytes,
            },
        })
    }

    fn too_long(&self) -> Result<TooLong, Failure> {
        match (self.skip_too_long, self.truncate) {
            // clap refuses the flags; keys of a plan file come here
            (true, Some(_)) => Err(Failure::BadInput(
                "the plan both cuts prompts that are too long and leaves them out; choose one"
                    .to_owned(),
            )),
            (true, None) => Ok(TooLong::LeaveOut),
            (false, Some(Truncate::Middle)) => Ok(TooLong::CutMiddle),
            (false, Some(Truncate::Left)) => Ok(TooLong::CutLeft),
            (false, None) => Ok(TooLong::Refuse),
        }
    }

    fn template(&self) -> Result<Option<String>> {
        let read = |path: &PathBuf| {
            read_text_at_most(path, MOST_TYPED_BYTES)
                .with_context(|| format!("the template cannot be read: {}", path.display()))
        };
        self.template.as_ref().map(read).transpose()
    }
}

/// The flags' list, or the file's where there is none.
pub fn first_named(flags: Vec<String>, file: Vec<String>) -> Vec<String> {
    match flags.is_empty() {
        true => file,
        false => flags,
    }
}

impl From<Place> for QuestionPlace {
    fn from(place: Place) -> Self {
        match place {
            Place::End => Self::End,
            Place::Start => Self::Start,
            Place::Both => Self::Both,
            Place::Absent => Self::Absent,
        }
    }
}
