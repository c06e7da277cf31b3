//! What a caller wants of the files that prompts come from.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::choices::SamplePart;
use crate::fit::{Fit, TokenCounter};
use crate::formats::FieldMap;
use crate::records::OpenTable;
use crate::sample::QuestionPlace;

/// What to do with a row that is no sample.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BadRows {
    /// Nothing is loaded, and the row is named.
    #[default]
    Refuse,
    /// The row is left out and named in the report.
    LeaveOut,
}

/// What pairs of numbers in a field `evidence` count. A field `evidence_characters` always counts characters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EvidenceUnit {
    /// Bytes of the prompt's UTF-8, as Rust counts.
    #[default]
    Bytes,
    /// Unicode characters (scalar values), as Python counts.
    Characters,
}

impl EvidenceUnit {
    /// What a field of evidence is read as.
    pub(crate) fn evidence_role(self) -> &'static str {
        match self {
            Self::Bytes => "evidence (passages or byte offsets)",
            Self::Characters => "evidence (passages or character offsets)",
        }
    }

    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Bytes => "byte",
            Self::Characters => "character",
        }
    }
}

/// How to load. The default reads everything as it is and refuses bad rows.
#[derive(Clone, Default)]
pub struct LoadOptions<'a> {
    /// How many samples of each source at most.
    pub limit: Option<usize>,
    /// Only the samples of these ids; all when empty.
    pub only: BTreeSet<String>,
    /// Only this part of all samples.
    pub part: Option<SamplePart>,
    /// What to do with a row that is no sample.
    pub bad_rows: BadRows,
    /// Which fields are what. When not empty, rows are read by it and not as a benchmark's.
    pub fields: FieldMap,
    /// A template for plain rows, with slots such as `{document}`, `{question}` or any other field.
    pub template: Option<String>,
    /// Where to put every question; where the source has it when `None`.
    pub question: Option<QuestionPlace>,
    /// What offsets of evidence count.
    pub evidence_unit: EvidenceUnit,
    /// Opens tables (Parquet), which this crate does not read itself.
    pub open_table: Option<&'a OpenTable>,
    /// The model's tokenizer, which lengths are measured by.
    pub tokens: Option<&'a dyn TokenCounter>,
    /// What to do with prompts that are too long; needs `tokens`.
    pub fit: Option<Fit>,
}
