//! The oracle: the decode stage itself, the queries of the generated tokens at positions T, T + 1, ...
//!
//! The query that *produces* the first generated token is the last prompt token; it belongs to the
//! prompt. Row i here is the query of generated token i, fed back at position T + i.

use std::time::Instant;

use candle_core::Tensor;
use kvlens_analysis::Scoring;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use serde::{Deserialize, Serialize};

use super::{DECODE_LABEL, ObservationWindow};
use crate::SessionError;
use crate::estimate::{Memory, RunShape, WindowMemory};
use crate::model::{Model, RowCapture, sampled_token, top_token};
use crate::observation::{Cost, Observation, QueryRows};
use crate::prefill::{Needs, Prefilled, RunControl};

/// How the decode stage is run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DecodePlan {
    /// S at most: tokens to generate and feed back.
    pub max_tokens: usize,
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
            ignore_eos: false,
            teacher_forced: false,
            temperature: None,
            seed: 0,
        }
    }
}

/// The decode stage of one sample.
#[derive(Debug, Clone)]
pub struct Decode {
    plan: DecodePlan,
    /// The answer's ids when the stage is teacher-forced.
    forced_ids: Option<Vec<u32>>,
}

impl Decode {
    /// Tokens that the model chooses.
    pub fn generated(plan: DecodePlan) -> Self {
        Self {
            plan,
            forced_ids: None,
        }
    }

    /// The tokens of a given answer, at most `plan.max_tokens` of them.
    pub fn teacher_forced(plan: DecodePlan, answer_ids: Vec<u32>) -> Self {
        Self {
            plan,
            forced_ids: Some(answer_ids),
        }
    }

    fn next_token(
        &self,
        step: usize,
        chooser: &mut Chooser<'_>,
    ) -> Result<Option<u32>, SessionError> {
        match &self.forced_ids {
            Some(ids) => Ok(ids.get(step).copied()),
            None => chooser.choose(self.plan.ignore_eos),
        }
    }
}

/// Picks the next token from the newest logits.
struct Chooser<'a> {
    model: &'a Model,
    temperature: Option<f64>,
    chance: ChaCha8Rng,
    logits: Tensor,
}

impl Chooser<'_> {
    fn choose(&mut self, ignore_eos: bool) -> Result<Option<u32>, SessionError> {
        let token = match self.temperature {
            None => top_token(&self.logits)?,
            Some(temperature) => sampled_token(&self.logits, temperature, &mut self.chance)?,
        };
        Ok(Some(token).filter(|&token| ignore_eos || !self.model.is_end_of_text(token)))
    }
}

impl ObservationWindow for Decode {
    fn label(&self) -> &str {
        DECODE_LABEL
    }

    fn needs(&self) -> Needs {
        Needs {
            extra_tokens: self.plan.max_tokens,
            extra_positions: self.plan.max_tokens,
            ..Needs::default()
        }
    }

    /// Mean over the decode steps, cut to the prompt and not renormalised: LookaheadKV's s_GT and, up to
    /// scale, Judge Q's and DapQ's gold (METHODS.md, section 6).
    fn scoring(&self) -> Scoring {
        Scoring::default()
    }

    fn memory(&self, run: &RunShape<'_>) -> Result<WindowMemory, SessionError> {
        let steps = self.plan.max_tokens;
        let one_step = run.forward(1, run.prompt_tokens.saturating_add(steps));
        // rows of every step, joined, and joined over the layers
        let rows = Memory::on_host(3.0 * run.rows(steps));
        Ok(WindowMemory {
            working: one_step + rows,
            ..run.observed_by_rows(steps, 0)
        })
    }

    fn observe(
        &self,
        model: &Model,
        prefilled: &mut Prefilled,
        control: &mut RunControl<'_>,
    ) -> Result<Observation, SessionError> {
        let started = Instant::now();
        let prompt_tokens = prefilled.prompt_tokens();
        let mut capture = RowCapture::new(model.config().layers, prompt_tokens);
        let mut chooser = Chooser {
            model,
            temperature: self.plan.temperature,
            chance: ChaCha8Rng::seed_from_u64(self.plan.seed),
            logits: prefilled.last_logits().clone(),
        };
        let cache = prefilled.prompt_cache();
        let mut token_ids = Vec::new();
        while token_ids.len() < self.plan.max_tokens {
            control.cancel.check()?;
            let Some(token) = self.next_token(token_ids.len(), &mut chooser)? else {
                break;
            };
            let position = (prompt_tokens + token_ids.len()) as u32;
            let stream = model.forward(
                &model.embed(&[token])?,
                &[position],
                cache,
                Some(&mut capture),
            )?;
            token_ids.push(token);
            if token_ids.len() < self.plan.max_tokens && self.forced_ids.is_none() {
                chooser.logits = model.last_logits(&stream)?;
            }
            (control.on_tokens)(token_ids.len(), self.plan.max_tokens);
        }
        if token_ids.is_empty() {
            let reason = match self.forced_ids {
                Some(_) => {
                    "the reference answer has no tokens, so there is no decode stage to force"
                }
                None => {
                    "the model ended the text at once, so there is no decode stage; use --ignore-eos"
                }
            };
            return Err(SessionError::Plan {
                reason: reason.to_owned(),
            });
        }
        prefilled.set_decode_ids(token_ids.clone());
        self.finish(model, prompt_tokens, token_ids, capture, started)
    }
}

impl Decode {
    fn finish(
        &self,
        model: &Model,
        prompt_tokens: usize,
        token_ids: Vec<u32>,
        capture: RowCapture,
        started: Instant,
    ) -> Result<Observation, SessionError> {
        let config = model.config();
        let steps = token_ids.len();
        let first = prompt_tokens as u32;
        let positions: Vec<u32> = (first..first + steps as u32).collect();
        let visible_keys = positions.iter().map(|position| position + 1).collect();
        let rows = QueryRows::new(capture.finish()?, positions, visible_keys)?;
        let element = rows.queries().dtype().size_in_bytes();
        let cached = 2 * config.layers * config.kv_heads * config.head_dim * steps * element;
        let cost = Cost {
            rows: steps,
            seconds: started.elapsed().as_secs_f64(),
            flops: config.forward_flops(steps, prompt_tokens, steps)
                + config.scoring_flops(steps, prompt_tokens),
            extra_tokens: steps,
            peak_bytes: cached + rows.bytes(),
        };
        Observation::by_queries(self.info(token_ids, cost), rows)
    }
}
