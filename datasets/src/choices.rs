//! What is chosen of prompts, as plain data for a plan, a file of settings or a form.

use serde::{Deserialize, Serialize};

use crate::error::DatasetError;
use crate::fit::TooLong;
use crate::formats::FieldMap;
use crate::options::{BadRows, EvidenceUnit, LoadOptions};
use crate::sample::QuestionPlace;

/// A run of samples out of all that the sources have, for work that is shared out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SamplePart {
    /// Its first sample, counted from 0 over all sources.
    pub first: usize,
    /// How many samples it has.
    pub samples: usize,
    /// How many all sources have together.
    pub of: usize,
}

impl SamplePart {
    /// The first sample behind it.
    pub fn end(self) -> usize {
        self.first.saturating_add(self.samples)
    }
}

/// Which prompts of a source are taken, and how they are read: the part of [`LoadOptions`] that can be written down.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct PromptChoices {
    /// How many samples of each source at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
    /// Only the samples of these ids; all when empty.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sample: Vec<String>,
    /// Only this part of all samples; ids are those of the whole.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub part: Option<SamplePart>,
    /// What to do with a row that is no sample.
    pub bad_rows: BadRows,
    /// What to do with a prompt that is too long for the model.
    pub too_long: TooLong,
    /// Which fields are what, each as `ROLE=FIELD`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub field: Vec<String>,
    /// The text of a template for plain rows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub template: Option<String>,
    /// Where to put every question; where the source has it when `None`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub question: Option<QuestionPlace>,
    /// What offsets of evidence count.
    pub evidence_unit: EvidenceUnit,
}

impl PromptChoices {
    /// Whether everything is read as it is.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// The options that they stand for, without tables and without a tokenizer.
    ///
    /// # Errors
    /// [`DatasetError::FieldMap`] for a field that is not written `ROLE=FIELD`.
    pub fn options(&self) -> Result<LoadOptions<'static>, DatasetError> {
        let mut fields = FieldMap::default();
        for field in &self.field {
            fields.add(field)?;
        }
        Ok(LoadOptions {
            limit: self.limit,
            only: self.sample.iter().cloned().collect(),
            part: self.part,
            bad_rows: self.bad_rows,
            fields,
            template: self.template.clone(),
            question: self.question,
            evidence_unit: self.evidence_unit,
            ..LoadOptions::default()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn choices_are_written_and_read_back_and_nothing_chosen_is_the_default() {
        let chosen = PromptChoices {
            limit: Some(3),
            field: vec!["question=ask".to_owned()],
            too_long: TooLong::CutMiddle,
            bad_rows: BadRows::LeaveOut,
            evidence_unit: EvidenceUnit::Characters,
            question: Some(QuestionPlace::Both),
            ..PromptChoices::default()
        };
        let text = serde_json::to_string(&chosen).unwrap();
        assert_eq!(
            serde_json::from_str::<PromptChoices>(&text).unwrap(),
            chosen
        );
        assert!(
            serde_json::from_str::<PromptChoices>("{}")
                .unwrap()
                .is_default()
        );
        let options = chosen.options().unwrap();
        assert_eq!(
            (options.limit, options.question),
            (Some(3), chosen.question)
        );
        assert!(!options.fields.is_empty());
        let wrong = PromptChoices {
            field: vec!["ask".to_owned()],
            ..PromptChoices::default()
        };
        assert!(wrong.options().is_err());
    }
}
