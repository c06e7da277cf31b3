//! One captured sample: a safetensors file whose metadata carries the texts.
//!
//! Tensors: `prompt_ids` u32 [T], `keys` [L, G, T, D] and, for observation i (0 is the oracle),
//! `observation.I.queries` [L, H, W, D], `.positions` and `.visible_keys` u32 [W], `.log_sum_exp` f32 [L, H, W];
//! where they were kept, `decode.keys` [L, G, R, D] of the R tokens behind the prompt (a question's and the decode
//! stage's); with values `values` [L, G, T, D], `decode.values` [L, G, R, D], and `output_norms` f32 [L, H, T], the norm of what each head's output projection makes of a value, with
//! `output_grams` f32 [L, H, D, D], the products of that projection's columns;
//! or, for a window with ready-made scores, `observation.I.scores` f32 [L, heads, T], heads being 1, G or H.
//! Where keys are not kept, in place of `keys` and, unless they are kept, of queries and log-sum-exps:
//! `observation.I.reduced.J` f32 [L, H, T] and `observation.I.prompt_shares.J` f32 [L, H] of each way J to reduce the rows.
//! Metadata: `kvlens`, a JSON object with `record` and `observations`. One key only: the format's writer keeps
//! metadata in a hash map, whose order would change the file's bytes from run to run.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::path::Path;

use candle_core::{Device, Tensor};
use kvlens_analysis::{Importance, SideScoring};
use kvlens_datasets::{QuestionPlace, Scoring, score_values};
use safetensors::tensor::{Dtype, View};
use serde::{Deserialize, Serialize};

use super::kept_bytes::KeptBytes;
use crate::SessionError;
use crate::attention_rows::PromptKeys;
use crate::cached_values::CachedValues;
use crate::decode_keys::DecodeKeys;
use crate::model::on_cpu;
use crate::observation::{Evidence, Observation, ObservationInfo, QueryRows};
use crate::plan::Keep;

/// The one metadata entry of a sample file.
pub(super) const METADATA_KEY: &str = "kvlens";

/// Name of the tensor of the prompt's keys.
pub(super) const KEYS: &str = "keys";

/// Name of the tensor of the decode stage's keys.
pub(super) const DECODE_KEYS: &str = "decode.keys";

/// Names of the tensors of the prompt's values, and of the decode stage's keys and values.
pub(super) const VALUES: [&str; 3] = ["values", DECODE_KEYS, "decode.values"];

/// Name of the tensor of the values' norms behind the output projection.
pub(super) const OUTPUT_NORMS: &str = "output_norms";

/// Name of the tensor of what is known of the output projection.
pub(super) const OUTPUT_GRAMS: &str = "output_grams";

/// What that entry holds, as JSON.
#[derive(Serialize, Deserialize)]
pub(super) struct SampleTexts {
    pub(super) record: SampleRecord,
    pub(super) observations: Vec<ObservationInfo>,
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
    /// The benchmark's own metric and what it compares with; without one, `values` and `answer` serve.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scoring: Option<Scoring>,
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
    /// The question, where it came after the prompt was ranked; none where the prompt holds it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked_later: Option<LaterQuestion>,
    /// How many tokens its benchmark lets a model generate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer_tokens: Option<usize>,
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
    /// S pieces of text, for showing; none in sessions of older programs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub generated_texts: Vec<String>,
    /// Token ranges of the prompt that hold the needed facts.
    pub evidence_tokens: Vec<Range<usize>>,
    /// Where numbers were rounded to 16 bits: by how much that changed a prompt token's importance at the decode stage
    /// (mean over steps, not pooled) at most, over all heads and tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub largest_rounding: Option<f32>,
    /// Wall time of prefill and all windows, in seconds.
    pub seconds: f64,
}

/// A question that comes after the prompt, which is ranked without knowing it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LaterQuestion {
    /// Its text, before any chat template, with the first words of the answer.
    pub text: String,
    /// Q ids, fed at positions T to T + Q - 1 before the decode stage.
    pub ids: Vec<u32>,
}

/// What stands in a sample's file before its tensors.
#[derive(Debug, Clone, PartialEq)]
pub struct SampleHeader {
    /// Texts and ids.
    pub record: SampleRecord,
    /// The decode stage's, then the windows' in the order of the plan.
    pub observations: Vec<ObservationInfo>,
    /// Bytes of all tensors of the file, which is what they take in memory.
    pub tensor_bytes: usize,
    /// How much of the file is what.
    pub kept: KeptBytes,
}

impl SampleHeader {
    /// What is said of the windows, in the order of the plan.
    pub fn windows(&self) -> &[ObservationInfo] {
        self.observations.get(1..).unwrap_or_default()
    }
}

/// A sample with its observations and the prompt's keys: everything to score it again without the model.
#[derive(Debug, Clone)]
pub struct CapturedSample {
    /// Texts and ids.
    pub record: SampleRecord,
    oracle: Observation,
    windows: Vec<Observation>,
    keys: PromptKeys,
    decode_keys: Option<DecodeKeys>,
    values: Option<CachedValues>,
    layers: LayerRange,
}

/// Some of a model's layers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LayerRange {
    /// The first, from 0.
    pub first: usize,
    /// How many.
    pub count: usize,
    /// L: how many the model has.
    pub of: usize,
}

impl LayerRange {
    /// All of so many.
    pub fn all(of: usize) -> Self {
        Self {
            first: 0,
            count: of,
            of,
        }
    }
}

impl CapturedSample {
    pub(crate) fn new(
        record: SampleRecord,
        oracle: Observation,
        windows: Vec<Observation>,
        keys: PromptKeys,
        values: Option<CachedValues>,
    ) -> Self {
        Self {
            record,
            oracle,
            windows,
            layers: LayerRange::all(keys.shape().0),
            keys,
            decode_keys: values.as_ref().map(|values| values.decode_keys().clone()),
            values,
        }
    }

    /// The same, told to be some layers of a larger model.
    pub(super) fn of_layers(self, layers: LayerRange) -> Self {
        Self { layers, ..self }
    }

    /// The layers that it has of its model's; all of them, unless it was loaded in parts.
    pub fn layers(&self) -> LayerRange {
        self.layers
    }

    /// The decode stage.
    pub fn oracle(&self) -> &Observation {
        &self.oracle
    }

    /// The queries of the decode stage, `[L, H, S, D]`.
    ///
    /// # Errors
    /// [`SessionError::Plan`] where the session does not keep them.
    pub fn decode_rows(&self) -> Result<&QueryRows, SessionError> {
        let rows = self.oracle.query_rows();
        rows.ok_or_else(|| SessionError::Plan {
            reason: "the session keeps no queries, so single rows and steps cannot be told; capture with --keep keys, or \
                     for cosines of queries alone with --keep scores,queries"
                .to_owned(),
        })
    }

    /// The proxy windows in the order of the plan.
    pub fn windows(&self) -> &[Observation] {
        &self.windows
    }

    /// The prompt's keys.
    pub fn keys(&self) -> &PromptKeys {
        &self.keys
    }

    /// Importance of every prompt token with the scoring and the heads of one side of a comparison, as
    /// [`PromptKeys::importance`] makes it, also where attention is weighed by values.
    ///
    /// # Errors
    /// As there; a weight where no values were kept.
    pub fn importance(
        &self,
        observation: &Observation,
        side: SideScoring,
    ) -> Result<Importance, SessionError> {
        let weight = side.scoring.weight;
        let values = self.values.as_ref().filter(|_| !weight.is_none());
        let weights = values
            .map(|values| values.weights(weight, self.keys.query_heads()))
            .transpose()?;
        self.keys
            .weighted_importance(observation, side, weights.as_deref())
    }

    /// The same with these keys of the decode stage.
    pub(crate) fn with_decode_keys(self, decode_keys: Option<DecodeKeys>) -> Self {
        Self {
            decode_keys,
            ..self
        }
    }

    /// The same with no more beside the prompt's keys than is to be kept.
    pub(super) fn without_more_than(self, keep: Keep) -> Self {
        Self {
            decode_keys: self.decode_keys.filter(|_| keep.has_decode_keys()),
            values: self.values.filter(|_| keep.has_values()),
            ..self
        }
    }

    /// Keys of the tokens behind the prompt.
    ///
    /// # Errors
    /// [`SessionError::Plan`] where the session does not keep them.
    pub fn decode_keys(&self) -> Result<&DecodeKeys, SessionError> {
        let keys = self.decode_keys.as_ref();
        keys.ok_or_else(|| SessionError::Plan {
            reason: "the session keeps no keys of the generated tokens, so what a cache would lose while it decodes cannot \
                     be told; capture with --keep keys,decode, or with values as well with --keep keys,values"
                .to_owned(),
        })
    }

    /// The prompt's values and the decode stage's part of the cache; none where they were not kept.
    pub fn values(&self) -> Option<&CachedValues> {
        self.values.as_ref()
    }

    /// Bytes that it holds in memory: tensors, texts and ids.
    pub fn bytes(&self) -> usize {
        let keys: usize = self.keys.layers().iter().map(tensor_bytes).sum();
        let observations = std::iter::once(&self.oracle).chain(&self.windows);
        let observed = observations.map(|observation| match observation.evidence() {
            Evidence::Queries(rows) => rows.bytes(),
            Evidence::Scores(scores) => tensor_bytes(scores.tensor()),
            Evidence::Reduced(reduced) => reduced.bytes(),
        });
        // those of values are the same tensor
        let decode_keys = match (&self.values, &self.decode_keys) {
            (None, Some(keys)) => keys.bytes(),
            _ => 0,
        };
        let values = self.values.as_ref().map_or(0, CachedValues::bytes);
        keys + decode_keys + values + observed.sum::<usize>() + self.record.bytes()
    }
}

impl SampleRecord {
    /// The document with what is asked of it: equal for samples that differ in nothing but where the question stands.
    /// None where the data do not say which document it is.
    pub fn document_and_question(&self) -> Option<String> {
        let question = self.question.as_deref().unwrap_or_default();
        let document = self.document.as_ref()?;
        Some(format!("{document} {question}"))
    }

    /// How right another text would be as an answer to the sample, 0 to 1; none where the sample cannot say.
    pub fn score_of(&self, generated: &str) -> Option<f64> {
        match &self.scoring {
            Some(scoring) => Some(scoring.score(generated)),
            None => score_values(&self.values, self.answer.as_deref(), generated),
        }
    }

    /// The ids of a question that comes after the prompt; none where the prompt holds it.
    pub fn question_ids(&self) -> &[u32] {
        self.asked_later.as_ref().map_or(&[], |later| &later.ids)
    }

    fn bytes(&self) -> usize {
        let ids = size_of_val(self.prompt_ids.as_slice()) + size_of_val(&*self.generated_ids);
        let pieces = self.token_texts.iter().chain(&self.generated_texts);
        let pieces: usize = pieces.map(|text| size_of::<String>() + text.len()).sum();
        self.prompt.len() + self.generated.len() + pieces + ids
    }
}

fn tensor_bytes(tensor: &Tensor) -> usize {
    tensor.elem_count() * tensor.dtype().size_in_bytes()
}

/// What is written as one tensor.
enum Stored<'a> {
    Tensor(Tensor),
    /// Views of each layer's tensor, which become one `[L, ...]` only as bytes.
    Layers {
        layers: &'a [Tensor],
        dtype: Dtype,
        shape: Vec<usize>,
    },
}

impl<'a> Stored<'a> {
    /// Of equal tensors of at least one layer.
    fn layers(layers: &'a [Tensor]) -> Result<Self, SessionError> {
        let first = layers.first().ok_or_else(|| SessionError::Internal {
            reason: "a sample without layers cannot be written".to_owned(),
        })?;
        Ok(Self::Layers {
            dtype: View::dtype(&first),
            shape: [&[layers.len()], first.dims()].concat(),
            layers,
        })
    }
}

impl View for &Stored<'_> {
    fn dtype(&self) -> Dtype {
        match self {
            Stored::Tensor(tensor) => View::dtype(&tensor),
            Stored::Layers { dtype, .. } => *dtype,
        }
    }

    fn shape(&self) -> &[usize] {
        match self {
            Stored::Tensor(tensor) => tensor.dims(),
            Stored::Layers { shape, .. } => shape,
        }
    }

    fn data(&self) -> Cow<'_, [u8]> {
        match self {
            Stored::Tensor(tensor) => Cow::Owned(View::data(&tensor).into_owned()),
            Stored::Layers { layers, .. } => {
                let mut bytes = Vec::with_capacity(self.data_len());
                for layer in *layers {
                    bytes.extend_from_slice(&View::data(&layer));
                }
                Cow::Owned(bytes)
            }
        }
    }

    fn data_len(&self) -> usize {
        let numbers: usize = self.shape().iter().product();
        numbers * View::dtype(self).bitsize() / 8
    }
}

/// The bytes of a sample's file.
pub(crate) fn write_sample(sample: &CapturedSample, path: &Path) -> Result<Vec<u8>, SessionError> {
    let mut tensors: BTreeMap<String, Stored<'_>> = BTreeMap::new();
    let prompt_ids = Tensor::new(sample.record.prompt_ids.as_slice(), &Device::Cpu)?;
    tensors.insert("prompt_ids".into(), Stored::Tensor(prompt_ids));
    if sample.keys.are_kept() {
        tensors.insert(KEYS.into(), Stored::layers(sample.keys.layers())?);
    }
    if let Some(keys) = &sample.decode_keys {
        tensors.insert(DECODE_KEYS.into(), Stored::layers(keys.layers())?);
    }
    if let Some(values) = &sample.values {
        let [prompt, _, decode_values] = VALUES;
        tensors.insert(prompt.into(), Stored::layers(values.prompt())?);
        tensors.insert(
            decode_values.into(),
            Stored::layers(values.decode_values())?,
        );
        tensors.insert(OUTPUT_NORMS.into(), Stored::layers(values.output_norms())?);
        if let Some(grams) = values.output_grams() {
            tensors.insert(OUTPUT_GRAMS.into(), Stored::layers(grams)?);
        }
    }
    let observations: Vec<&Observation> = std::iter::once(&sample.oracle)
        .chain(&sample.windows)
        .collect();
    for (index, observation) in observations.iter().enumerate() {
        let mut put = |part: &str, tensor: Tensor| {
            let name = format!("observation.{index}.{part}");
            tensors.insert(name, Stored::Tensor(tensor))
        };
        if let Some(rows) = observation.query_rows() {
            put("queries", on_cpu(rows.queries())?);
            put("log_sum_exp", on_cpu(rows.log_sum_exp())?);
        }
        let mut put_places = |positions: &[u32], visible_keys: &[u32]| {
            put("positions", Tensor::new(positions, &Device::Cpu)?);
            put("visible_keys", Tensor::new(visible_keys, &Device::Cpu)?);
            Ok::<_, SessionError>(())
        };
        match observation.evidence() {
            Evidence::Queries(rows) => put_places(rows.positions(), rows.visible_keys())?,
            Evidence::Reduced(reduced) => {
                put_places(reduced.positions(), reduced.visible_keys())?;
                for (place, made) in reduced.scores().iter().enumerate() {
                    put(&format!("reduced.{place}"), made.scores.clone());
                    put(
                        &format!("prompt_shares.{place}"),
                        made.prompt_shares.clone(),
                    );
                }
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
