//! One observation while it goes on: the prompt, the model, and what the window did with them.

use candle_core::{Device, Tensor};

use crate::SessionError;
use crate::attention_rows::PromptKeys;
use crate::model::{Model, ModelConfig};
use crate::observation::{Cost, Evidence, QueryRows, ScoreKind, TokenScores};
use crate::prefill::{Prefilled, RunControl};

/// What a window saw.
pub struct Observed {
    pub(super) evidence: Evidence,
    pub(super) token_ids: Vec<u32>,
}

impl Observed {
    /// Rows, with the ids of the tokens that they are the queries of; no ids where the rows are no tokens.
    pub fn rows(rows: QueryRows, token_ids: Vec<u32>) -> Self {
        Self {
            evidence: Evidence::Queries(rows),
            token_ids,
        }
    }
}

impl From<TokenScores> for Observed {
    fn from(scores: TokenScores) -> Self {
        Self {
            evidence: Evidence::Scores(scores),
            token_ids: Vec::new(),
        }
    }
}

/// What a window did, besides what shows in its evidence.
#[derive(Default)]
struct Work {
    rows: usize,
    flops: f64,
    fed_tokens: usize,
    held_bytes: usize,
    seconds_in_prefill: f64,
    /// Where others observed in its place: all that it cost.
    of_others: Option<Cost>,
}

/// What a window observes with.
pub struct Run<'a> {
    /// The model.
    pub model: &'a Model,
    /// The prompt after its forward pass.
    pub prefilled: &'a mut Prefilled,
    /// Whether to stop, and where to tell how far it is.
    pub control: RunControl<'a>,
    work: Work,
}

impl<'a> Run<'a> {
    pub(super) fn new(
        model: &'a Model,
        prefilled: &'a mut Prefilled,
        control: &'a mut RunControl<'_>,
    ) -> Self {
        Self {
            model,
            prefilled,
            control: RunControl {
                cancel: control.cancel,
                on_tokens: &mut *control.on_tokens,
            },
            work: Work::default(),
        }
    }

    /// The model's shape.
    pub fn config(&self) -> &'a ModelConfig {
        self.model.config()
    }

    /// T: prompt tokens.
    pub fn prompt_tokens(&self) -> usize {
        self.prefilled.prompt_tokens()
    }

    /// The prompt's keys, where they are; work on them ends with the run's cancel flag.
    ///
    /// # Errors
    /// [`SessionError::Tensor`] if the device fails.
    pub fn keys(&self) -> Result<PromptKeys, SessionError> {
        let keys = self.prefilled.keys_for_scoring(self.model)?;
        Ok(keys.stopped_by(self.control.cancel))
    }

    /// The last `count` prompt rows, or all of a shorter prompt; as many must have been asked for by
    /// [`needs`](super::Observe::needs).
    ///
    /// # Errors
    /// [`SessionError::Internal`] for no row or more than were asked for.
    pub fn last_rows(&self, count: usize) -> Result<Observed, SessionError> {
        let count = count.min(self.prompt_tokens());
        let rows = self.prefilled.last_rows(count)?;
        Ok(Observed::rows(rows, self.last_ids(count)))
    }

    /// Ids of the last `count` prompt tokens.
    pub(super) fn last_ids(&self, count: usize) -> Vec<u32> {
        let first = self.prompt_tokens().saturating_sub(count);
        self.prefilled
            .prompt_ids()
            .iter()
            .skip(first)
            .copied()
            .collect()
    }

    /// Scores that are ready, `[L, heads, T]` row-major: one head for a whole layer, one for each key/value head or one
    /// for each query head.
    ///
    /// # Errors
    /// [`SessionError::Tensor`] for another number of scores.
    pub fn scores(&self, kind: ScoreKind, scores: Vec<f32>) -> Result<Observed, SessionError> {
        let (layers, tokens) = (self.config().layers, self.prompt_tokens());
        let heads = scores.len() / (layers * tokens).max(1);
        let scores = Tensor::from_vec(scores, (layers, heads, tokens), &Device::Cpu)?;
        Ok(TokenScores::new(kind, &scores)?.into())
    }

    /// Counts rows that scores were made of.
    pub fn looked_at(&mut self, rows: usize) {
        self.work.rows += rows;
    }

    /// Counts operations, besides those of scoring rows on the prompt's keys.
    pub fn computed(&mut self, flops: f64) {
        self.work.flops += flops;
    }

    /// Counts tokens that were run through a model of this shape behind `before` others, with logits for some of them.
    pub fn fed(&mut self, config: &ModelConfig, tokens: usize, before: usize, logits: usize) {
        self.work.fed_tokens += tokens;
        self.work.flops += config.forward_flops(tokens, before, logits);
    }

    /// Says what is held at a moment, besides the prompt's cache and the evidence, in bytes.
    pub fn held(&mut self, bytes: usize) {
        self.work.held_bytes = self.work.held_bytes.max(bytes);
    }

    /// Counts wall time of what prefill did for this window alone.
    pub(super) fn spent_in_prefill(&mut self, seconds: f64) {
        self.work.seconds_in_prefill += seconds;
    }

    /// Says what windows cost that observe in this one's place.
    pub(super) fn left_to_others(&mut self, cost: Cost) {
        self.work.of_others = Some(cost);
    }

    pub(super) fn cost(&self, observed: &Observed, seconds: f64) -> Cost {
        let work = &self.work;
        if let Some(cost) = work.of_others {
            return cost;
        }
        let (rows, scoring_flops, bytes) = match &observed.evidence {
            Evidence::Queries(rows) => {
                let scoring = self
                    .config()
                    .scoring_flops(rows.count(), self.prompt_tokens());
                (rows.count(), scoring, rows.bytes())
            }
            Evidence::Scores(scores) => (work.rows, 0.0, scores.bytes()),
            Evidence::Reduced(rows) => (rows.positions().len(), 0.0, rows.bytes()),
        };
        Cost {
            rows,
            seconds: work.seconds_in_prefill + seconds,
            flops: work.flops + scoring_flops,
            extra_tokens: work.fed_tokens,
            peak_bytes: work.held_bytes + bytes,
        }
    }
}
