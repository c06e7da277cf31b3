//! What is to be captured.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use kvlens_datasets::{LoadReport, PromptChoices, Sample};
use serde::{Deserialize, Serialize};

use crate::SessionError;
use crate::half_format::HalfFormat;
use crate::model::{AttentionKernel, ChatVariables, DeviceChoice, DtypeChoice, ModelSource};

/// The whole of a capture, as it stands in the manifest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CapturePlan {
    /// Which model.
    pub model: ModelSource,
    /// The data as they were named.
    pub data: Vec<String>,
    /// Which prompts of the data are taken, and how they are read.
    #[serde(default, skip_serializing_if = "PromptChoices::is_default")]
    pub prompts: PromptChoices,
    /// What was read of the data's files as what, and what was not; none where there is nothing to say of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read: Option<LoadReport>,
    /// The windows as they were typed.
    pub windows: Vec<String>,
    /// How the decode stage is run.
    pub decode: DecodePlan,
    /// Wrap prompts in the checkpoint's chat template.
    pub chat: bool,
    /// What the chat template is told besides, where prompts go through it.
    #[serde(default, skip_serializing_if = "ChatVariables::is_empty")]
    pub chat_variables: ChatVariables,
    /// Which device.
    pub device: DeviceChoice,
    /// Which number format.
    pub dtype: DtypeChoice,
    /// How prompt rows of which nothing is kept meet their keys.
    #[serde(default, skip_serializing_if = "AttentionKernel::is_default")]
    pub attention: AttentionKernel,
    /// What is kept of each sample; where nothing is said, as in sessions of earlier programs, keys.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep: Option<Keep>,
    /// The format of the keys, values and queries that are kept, where it is another one than the model's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub numbers: Option<HalfFormat>,
    /// How often each window is run to measure its time, of which the median is kept; at least 1.
    #[serde(default = "once")]
    pub repeat_cost: usize,
}

/// The window of a capture that names none.
const DEFAULT_WINDOW: &str = "last:32";

impl CapturePlan {
    /// A capture of these data with everything else as it is where nothing is said: window `last:32`, a greedy decode
    /// stage of 64 tokens or as many as a benchmark's sample asks for, device and number format by what is there.
    pub fn plain(model: ModelSource, data: Vec<String>) -> Self {
        Self {
            model,
            data,
            prompts: PromptChoices::default(),
            read: None,
            windows: vec![DEFAULT_WINDOW.to_owned()],
            decode: DecodePlan {
                sample_lengths: true,
                ..DecodePlan::default()
            },
            chat: false,
            chat_variables: ChatVariables::default(),
            device: DeviceChoice::default(),
            dtype: DtypeChoice::default(),
            attention: AttentionKernel::default(),
            keep: None,
            numbers: None,
            repeat_cost: 1,
        }
    }
}

/// What a session keeps of each sample beside its texts and ready-made scores.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Keep {
    /// Each window's and the decode stage's rows reduced to one score for each head and token, under one scoring for all
    /// and as published: recall can be told, pooling and groups chosen anew, rows and keys not.
    Scores,
    /// The queries of windows and decode stage with their log-sum-exps: how alike they are can be told, not what they
    /// attend to.
    Queries,
    /// Both.
    ScoresAndQueries,
    /// The prompt's keys and all queries: every question about scores can be asked later.
    #[default]
    Keys,
    /// Keys of the generated tokens as well: what a cache that is cut down while it decodes would lose can be told.
    KeysAndDecode,
    /// The prompt's values as well, and keys and values of the generated tokens: what an eviction does to the output of
    /// attention can be asked, too. Twice as large.
    KeysAndValues,
}

impl Keep {
    /// What each is called, by how it is written.
    const WORDS: [(&'static str, Self); 6] = [
        ("scores", Self::Scores),
        ("queries", Self::Queries),
        ("scores,queries", Self::ScoresAndQueries),
        ("keys", Self::Keys),
        ("keys,decode", Self::KeysAndDecode),
        ("keys,values", Self::KeysAndValues),
    ];

    /// Whether values are kept.
    pub(crate) fn has_values(self) -> bool {
        self == Self::KeysAndValues
    }

    /// Whether keys of the generated tokens are kept.
    pub(crate) fn has_decode_keys(self) -> bool {
        matches!(self, Self::KeysAndDecode | Self::KeysAndValues)
    }

    /// Whether the prompt's keys are kept.
    pub(crate) fn has_keys(self) -> bool {
        self == Self::Keys || self.has_decode_keys()
    }

    /// Whether queries are kept: keys are of no use without them.
    pub(crate) fn has_queries(self) -> bool {
        self != Self::Scores
    }

    /// Whether scores are kept in place of the keys that make them.
    pub(crate) fn has_scores(self) -> bool {
        matches!(self, Self::Scores | Self::ScoresAndQueries)
    }

    /// Refuses a format of numbers where only scores are kept, which stay in single precision.
    ///
    /// # Errors
    /// [`SessionError::Plan`].
    pub fn check_numbers(self, numbers: Option<HalfFormat>) -> Result<(), SessionError> {
        match numbers {
            Some(numbers) if !self.has_queries() => Err(SessionError::Plan {
                reason: format!(
                    "scores are kept in single precision; leave out --numbers {numbers}, or keep queries or keys"
                ),
            }),
            _ => Ok(()),
        }
    }

    /// Whether all that `less` keeps is kept, or can be made of it.
    pub fn holds(self, less: Self) -> bool {
        (self.has_values() || !less.has_values())
            && (self.has_decode_keys() || !less.has_decode_keys())
            && (self.has_keys()
                || !less.has_keys()
                    && (self.has_scores() || !less.has_scores())
                    && (self.has_queries() || !less.has_queries()))
    }
}

impl fmt::Display for Keep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut words = Self::WORDS.iter();
        let known = words.find(|(_, keep)| keep == self);
        f.pad(known.map_or("", |(word, _)| word))
    }
}

impl FromStr for Keep {
    type Err = SessionError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refused = |reason: String| Err(SessionError::Plan { reason });
        let mut parts: Vec<&str> = text.split(',').map(str::trim).collect();
        let has = |part: &str| parts.contains(&part);
        if has("values") && !has("keys") {
            return refused(
                "values are of no use without the keys that say how much of each is read; write keys,values"
                    .to_owned(),
            );
        }
        if has("decode") && !has("keys") {
            return refused(
                "keys of the generated tokens are of no use without those of the prompt; write keys,decode".to_owned(),
            );
        }
        let implied: &[&str] = match (has("keys"), has("values")) {
            // both can be made of keys, or stand beside them anyway
            (true, false) => &["scores", "queries"],
            (true, true) => &["scores", "queries", "decode"],
            (false, _) => &[],
        };
        parts.retain(|part| !implied.contains(part));
        let order = ["scores", "queries", "keys", "decode", "values"];
        parts.sort_by_key(|part| order.iter().position(|known| known == part));
        let written = parts.join(",");
        match Self::WORDS.iter().find(|(word, _)| *word == written) {
            Some((_, keep)) => Ok(*keep),
            None => refused(format!(
                "what is kept is scores, queries, scores,queries, keys, keys,decode or keys,values, not '{text}'"
            )),
        }
    }
}

impl TryFrom<String> for Keep {
    type Error = SessionError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Keep> for String {
    fn from(keep: Keep) -> Self {
        keep.to_string()
    }
}

/// How the decode stage is run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DecodePlan {
    /// S at most: tokens to generate and feed back.
    pub max_tokens: usize,
    /// Where a sample says how long its answer may be, as benchmarks do, that instead of `max_tokens`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub sample_lengths: bool,
    /// Go on after an end-of-text token.
    pub ignore_eos: bool,
    /// Feed the sample's reference answer instead of what the model generates.
    pub teacher_forced: bool,
    /// Sample at this temperature, a number above 0; greedy without one.
    pub temperature: Option<f64>,
    /// Seed of the sampling.
    pub seed: u64,
}

impl Default for DecodePlan {
    /// 64 tokens, greedy.
    fn default() -> Self {
        Self {
            max_tokens: 64,
            sample_lengths: false,
            ignore_eos: false,
            teacher_forced: false,
            temperature: None,
            seed: 0,
        }
    }
}

/// What plans that do not say asked for.
fn once() -> usize {
    1
}

impl CapturePlan {
    /// The variables of the chat template, if prompts go through it.
    pub(crate) fn chat(&self) -> Option<&ChatVariables> {
        self.chat.then_some(&self.chat_variables)
    }

    /// What is kept of each sample.
    pub fn keep(&self) -> Keep {
        self.keep.unwrap_or_default()
    }

    /// Whether both ask for the same: what was read of the data is what came of it, and sessions of earlier programs
    /// do not say it. Which part of the samples it is, is another question.
    pub(crate) fn asks_for_the_same(&self, other: &Self) -> bool {
        self.asked() == other.asked()
    }

    /// What of a plan that asks for something else is another, by the names that plans give it.
    pub(crate) fn differences(&self, other: &Self) -> Vec<String> {
        let fields = |plan: &Self| match serde_json::to_value(plan.asked()) {
            Ok(serde_json::Value::Object(fields)) => fields,
            _ => serde_json::Map::new(),
        };
        let (one, other) = (fields(self), fields(other));
        let names: BTreeSet<&String> = one.keys().chain(other.keys()).collect();
        let differ = |name: &&String| one.get(*name) != other.get(*name);
        names.into_iter().filter(differ).cloned().collect()
    }

    /// Without what it does not ask for: where prompts were read, and which part of them is captured.
    fn asked(&self) -> Self {
        Self {
            read: None,
            keep: Some(self.keep()),
            prompts: PromptChoices {
                part: None,
                ..self.prompts.clone()
            },
            ..self.clone()
        }
    }
}

impl DecodePlan {
    /// The plan for a sample whose benchmark lets a model generate so many tokens, if it says so.
    #[must_use]
    pub fn of(&self, answer_tokens: Option<usize>) -> Self {
        let asked = answer_tokens.filter(|tokens| self.sample_lengths && *tokens > 0);
        Self {
            max_tokens: asked.unwrap_or(self.max_tokens),
            ..self.clone()
        }
    }

    /// Q + S: tokens of a question that comes after the prompt, and of the decode stage, at most.
    pub(crate) fn tokens_behind(&self, sample: &Sample, question_tokens: usize) -> usize {
        let steps = self.of(sample.answer_tokens).max_tokens;
        question_tokens.saturating_add(steps)
    }

    /// # Errors
    /// [`SessionError::Plan`] for a length of 0 or a temperature that is no number above 0.
    pub(crate) fn check(&self) -> Result<(), SessionError> {
        let wrong = |reason: String| Err(SessionError::Plan { reason });
        if self.max_tokens == 0 {
            return wrong("the decode length must be at least 1 token".to_owned());
        }
        match self.temperature {
            Some(temperature) if !temperature.is_finite() || temperature <= 0.0 => wrong(format!(
                "the temperature must be a number above 0, not {temperature}; leave it out for greedy decoding"
            )),
            _ => Ok(()),
        }
    }
}
