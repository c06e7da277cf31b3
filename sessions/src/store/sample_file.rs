//! One captured sample: a safetensors file whose metadata carries the texts.
//!
//! Tensors: `prompt_ids` u32 [T], `keys` [L, G, T, D] and, for observation i (0 is the oracle),
//! `observation.I.queries` [L, H, W, D], `.positions` and `.visible_keys` u32 [W], `.log_sum_exp` f32 [L, H, W];
//! or, for a window with ready-made scores, `observation.I.scores` f32 [L, heads, T], heads being 1, G or H.
//! Metadata: `kvlens`, a JSON object with `record` and `observations`. One key only: the format's writer keeps
//! metadata in a hash map, whose order would change the file's bytes from run to run.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::path::Path;

use candle_core::{Device, Tensor};
use kvlens_datasets::QuestionPlace;
use safetensors::SafeTensors;
use serde::{Deserialize, Serialize};

use super::manifest::ModelShape;
use super::shape_check;
use crate::SessionError;
use crate::attention_rows::{PromptKeys, on_cpu};
use crate::model::CapturedRows;
use crate::observation::{
    Evidence, Observation, ObservationInfo, QueryRows, ScoreKind, TokenScores,
};

/// The one metadata entry of a sample file.
const METADATA_KEY: &str = "kvlens";

/// What that entry holds, as JSON.
#[derive(Serialize, Deserialize)]
struct SampleTexts {
    record: SampleRecord,
    observations: Vec<ObservationInfo>,
}

/// What is known of a captured sample besides its tensors.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SampleRecord {
    /// Unique in the session.
    pub id: String,
    /// Where it came from.
    pub dataset: String,
    /// What it asks for.
    pub task: String,
    /// The prompt's text, before any chat template.
    pub prompt: String,
    /// The reference answer.
    pub answer: Option<String>,
    /// Texts that a right answer contains.
    pub values: Vec<String>,
    /// The text of the decode stage.
    pub generated: String,
    /// Share of the task that the generated text got right, 0 to 1; none where the sample cannot say, or where the answer was given (teacher-forced).
    pub score: Option<f64>,
    /// Where the question stands.
    pub question_place: Option<QuestionPlace>,
    /// A short name of the document that the question is about, equal wherever the question stands; none where document
    /// and question cannot be told apart, and in sessions of older programs.
    #[serde(default)]
    pub document: Option<String>,
    /// A short name of the question, as of the document.
    #[serde(default)]
    pub question: Option<String>,
    /// The length that was asked of a generator, in tokens.
    #[serde(default)]
    pub asked_length: Option<usize>,
    /// Where what the answer needs was asked to stand: 0 at the start of the document, 1 at its end.
    #[serde(default)]
    pub depth: Option<f64>,
    /// T ids.
    pub prompt_ids: Vec<u32>,
    /// T pieces of text, for showing.
    pub token_texts: Vec<String>,
    /// S ids that were fed back.
    pub generated_ids: Vec<u32>,
    /// Token ranges of the prompt that hold the needed facts.
    pub evidence_tokens: Vec<Range<usize>>,
    /// Wall time of prefill and all windows, in seconds.
    pub seconds: f64,
}

/// A sample with its observations and the prompt's keys: everything to score it again without the model.
#[derive(Debug, Clone)]
pub struct CapturedSample {
    /// Texts and ids.
    pub record: SampleRecord,
    oracle: Observation,
    windows: Vec<Observation>,
    keys: PromptKeys,
}

impl CapturedSample {
    pub(crate) fn new(
        record: SampleRecord,
        oracle: Observation,
        windows: Vec<Observation>,
        keys: PromptKeys,
    ) -> Self {
        Self {
            record,
            oracle,
            windows,
            keys,
        }
    }

    /// The decode stage.
    pub fn oracle(&self) -> &Observation {
        &self.oracle
    }

    /// The proxy windows in the order of the plan.
    pub fn windows(&self) -> &[Observation] {
        &self.windows
    }

    /// The prompt's keys.
    pub fn keys(&self) -> &PromptKeys {
        &self.keys
    }
}

/// The bytes of a sample's file.
pub(crate) fn write_sample(sample: &CapturedSample, path: &Path) -> Result<Vec<u8>, SessionError> {
    let mut tensors: BTreeMap<String, Tensor> = BTreeMap::new();
    tensors.insert(
        "prompt_ids".into(),
        Tensor::new(sample.record.prompt_ids.as_slice(), &Device::Cpu)?,
    );
    tensors.insert("keys".into(), on_cpu(sample.keys.tensor())?);
    let observations: Vec<&Observation> = std::iter::once(&sample.oracle)
        .chain(&sample.windows)
        .collect();
    for (index, observation) in observations.iter().enumerate() {
        let mut put = |part: &str, tensor: Tensor| {
            tensors.insert(format!("observation.{index}.{part}"), tensor)
        };
        match observation.evidence() {
            Evidence::Queries(rows) => {
                put("queries", on_cpu(rows.queries())?);
                put("log_sum_exp", on_cpu(rows.log_sum_exp())?);
                put("positions", Tensor::new(rows.positions(), &Device::Cpu)?);
                let visible_keys = Tensor::new(rows.visible_keys(), &Device::Cpu)?;
                put("visible_keys", visible_keys);
            }
            Evidence::Scores(scores) => {
                put("scores", on_cpu(scores.tensor())?);
            }
        }
    }
    let texts = SampleTexts {
        record: sample.record.clone(),
        observations: observations
            .iter()
            .map(|observation| observation.info().clone())
            .collect(),
    };
    let failed = |reason: String| SessionError::Session {
        reason: format!("the sample cannot be written ({reason})"),
        path: path.to_owned(),
    };
    let texts = serde_json::to_string(&texts).map_err(|error| failed(error.to_string()))?;
    let metadata = HashMap::from([(METADATA_KEY.to_owned(), texts)]);
    safetensors::serialize(&tensors, Some(metadata)).map_err(|error| failed(error.to_string()))
}

/// Reads a sample's file from its bytes.
pub(crate) fn read_sample(
    bytes: &[u8],
    path: &Path,
    shape: &ModelShape,
) -> Result<CapturedSample, SessionError> {
    let damaged = |reason: String| SessionError::Session {
        reason: format!("the sample file is damaged ({reason}); capture it again"),
        path: path.to_owned(),
    };
    let (_, header) =
        SafeTensors::read_metadata(bytes).map_err(|error| damaged(error.to_string()))?;
    let metadata = header
        .metadata()
        .as_ref()
        .ok_or_else(|| damaged("it has no metadata".to_owned()))?;
    let texts = metadata
        .get(METADATA_KEY)
        .ok_or_else(|| damaged(format!("it has no metadata '{METADATA_KEY}'")))?;
    let texts: SampleTexts =
        serde_json::from_str(texts).map_err(|error| damaged(error.to_string()))?;
    let mut tensors = candle_core::safetensors::load_buffer(bytes, &Device::Cpu)
        .map_err(|error| damaged(error.to_string()))?;
    let mut take = |name: &str| {
        tensors
            .remove(name)
            .ok_or_else(|| damaged(format!("it has no tensor '{name}'")))
    };
    let keys = PromptKeys::new(
        take("keys")?,
        shape.query_heads,
        shape.sliding_windows.clone(),
    )?;
    let mut observations = Vec::with_capacity(texts.observations.len());
    for (index, info) in texts.observations.into_iter().enumerate() {
        let mut part = |part: &str| take(&format!("observation.{index}.{part}"));
        let evidence = read_evidence(info.ready_made, &mut part)?;
        observations.push(Observation::new(info, evidence)?);
    }
    let mut observations = observations.into_iter();
    let oracle = observations
        .next()
        .ok_or_else(|| damaged("it has no observation of the decode stage".to_owned()))?;
    let sample = CapturedSample::new(texts.record, oracle, observations.collect(), keys);
    shape_check::check(&sample, shape).map_err(damaged)?;
    Ok(sample)
}

/// The tensors of one observation, asked for by the last part of their names.
fn read_evidence(
    ready_made: Option<ScoreKind>,
    part: &mut dyn FnMut(&str) -> Result<Tensor, SessionError>,
) -> Result<Evidence, SessionError> {
    if let Some(kind) = ready_made {
        return Ok(Evidence::Scores(TokenScores::new(kind, &part("scores")?)?));
    }
    let rows = CapturedRows {
        queries: part("queries")?,
        log_sum_exp: part("log_sum_exp")?,
    };
    let positions = part("positions")?.to_vec1()?;
    let visible_keys = part("visible_keys")?.to_vec1()?;
    Ok(Evidence::Queries(QueryRows::new(
        rows,
        positions,
        visible_keys,
    )?))
}
