//! The oracle: the decode stage itself, the queries of the generated tokens at positions T, T + 1, ...
//!
//! The query that *produces* the first generated token is the last prompt token; it belongs to the
//! prompt. Row i here is the query of generated token i, fed back at position T + i.
//!
//! Where the question comes after the prompt (query-agnostic eviction), its Q tokens are fed first, at positions T to
//! T + Q - 1, and row i stands at T + Q + i. The rows of the question are none of the stage: what is held against the
//! windows is the attention of the answer's tokens over the prompt, as with any other place of the question.

use candle_core::Tensor;

use super::appended::cached_bytes;
use super::{DECODE_LABEL, Observe, Observed, ReadyWindow, Run, Window};
use crate::SessionError;
use crate::footprint::{Memory, RunShape, WindowMemory};
use crate::model::{CapturedRows, KeptQueries, Model, TokenChooser};
use crate::observation::QueryRows;
use crate::plan::DecodePlan;
use crate::prefill::{CHUNK_TOKENS, Needs};

/// The decode stage of one sample.
pub struct Decode {
    plan: DecodePlan,
    /// The answer's ids when the stage is teacher-forced.
    forced_ids: Option<Vec<u32>>,
    question: Question,
}

/// What comes between the prompt and the decode stage.
enum Question {
    /// Its Q ids; none where the prompt holds its question.
    Ids(Vec<u32>),
    /// Its length, as long as nothing runs.
    Planned(usize),
}

impl Question {
    fn tokens(&self) -> usize {
        match self {
            Self::Ids(ids) => ids.len(),
            Self::Planned(tokens) => *tokens,
        }
    }
}

impl Decode {
    /// Tokens that the model chooses.
    pub fn generated(plan: DecodePlan) -> ReadyWindow {
        ReadyWindow::new(DECODE_LABEL, Self::of(plan))
    }

    /// The tokens of a given answer, at most `plan.max_tokens` of them.
    pub fn teacher_forced(plan: DecodePlan, answer_ids: Vec<u32>) -> ReadyWindow {
        Self::behind(Vec::new(), plan, Some(answer_ids))
    }

    /// The stage behind a question that comes after the prompt: tokens that the model chooses, or those of an answer.
    pub fn behind(
        question_ids: Vec<u32>,
        plan: DecodePlan,
        answer_ids: Option<Vec<u32>>,
    ) -> ReadyWindow {
        let stage = Self {
            forced_ids: answer_ids,
            question: Question::Ids(question_ids),
            ..Self::of(plan)
        };
        ReadyWindow::new(DECODE_LABEL, stage)
    }

    /// The stage before any model is there, behind a question of so many tokens that comes after the prompt.
    ///
    /// Its scoring, that of every window unless said otherwise, is the mean over the decode steps, cut to the prompt
    /// and not renormalised: LookaheadKV's s_GT and, up to scale, Judge Q's and DapQ's gold (METHODS.md, section 6).
    pub(crate) fn planned(plan: DecodePlan, question_tokens: usize) -> Window {
        let stage = Self {
            question: Question::Planned(question_tokens),
            ..Self::of(plan)
        };
        Window::by_rows(stage).labelled(DECODE_LABEL)
    }

    fn of(plan: DecodePlan) -> Self {
        Self {
            plan,
            forced_ids: None,
            question: Question::Ids(Vec::new()),
        }
    }

    /// Feeds the question behind the prompt and gives the logits of the token after it, or after the prompt.
    fn ask(&self, run: &mut Run<'_>) -> Result<Tensor, SessionError> {
        let model = run.model;
        let mut logits = run.prefilled.last_logits().clone();
        let cache = run.prefilled.prompt_cache();
        if let Question::Ids(ids) = &self.question {
            for chunk in ids.chunks(CHUNK_TOKENS) {
                run.control.cancel.check()?;
                let positions: Vec<u32> = (cache.len() as u32..).take(chunk.len()).collect();
                let stream = model.forward(&model.embed(chunk)?, &positions, cache, &mut [])?;
                logits = model.last_logits(&stream)?;
            }
        }
        Ok(logits)
    }

    /// Decodes: the tokens, and their queries.
    fn decode(&self, run: &mut Run<'_>) -> Result<(Vec<u32>, CapturedRows), SessionError> {
        let logits = self.ask(run)?;
        let mut kept = KeptQueries::new(run.model.config().layers, self.first_position(run));
        let token_ids = match &self.forced_ids {
            Some(ids) => self.force(ids, run, &mut kept)?,
            None => self.generate(logits, run, &mut kept)?,
        };
        if token_ids.is_empty() {
            return Err(self.no_stage());
        }
        let behind = self.question.tokens() + token_ids.len();
        let rows = kept.finish(run.model.decoder(), run.prefilled.cache_behind(behind))?;
        Ok((token_ids, rows))
    }

    /// T, or T + Q behind a question.
    fn first_position(&self, run: &Run<'_>) -> usize {
        run.prompt_tokens() + self.question.tokens()
    }

    /// Feeds tokens that are known together: each sees those before it.
    fn force(
        &self,
        ids: &[u32],
        run: &mut Run<'_>,
        kept: &mut KeptQueries,
    ) -> Result<Vec<u32>, SessionError> {
        let ids = ids.get(..self.plan.max_tokens).unwrap_or(ids);
        let (model, first) = (run.model, self.first_position(run));
        let mut position = first as u32;
        let cache = run.prefilled.cache_behind(self.question.tokens());
        for chunk in ids.chunks(CHUNK_TOKENS) {
            run.control.cancel.check()?;
            let positions: Vec<u32> = (position..).take(chunk.len()).collect();
            model.forward(&model.embed(chunk)?, &positions, cache, &mut [&mut *kept])?;
            position += chunk.len() as u32;
            let done = position as usize - first;
            (run.control.on_tokens)(done, self.plan.max_tokens);
        }
        Ok(ids.to_vec())
    }

    /// Feeds token by token what the model chooses.
    fn generate(
        &self,
        logits: Tensor,
        run: &mut Run<'_>,
        kept: &mut KeptQueries,
    ) -> Result<Vec<u32>, SessionError> {
        let (model, first) = (run.model, self.first_position(run));
        let mut chooser = Chooser {
            model,
            tokens: TokenChooser::new(self.plan.temperature, self.plan.seed),
            logits,
        };
        let cache = run.prefilled.cache_behind(self.question.tokens());
        let mut token_ids = Vec::new();
        while token_ids.len() < self.plan.max_tokens {
            run.control.cancel.check()?;
            let Some(token) = chooser.choose(self.plan.ignore_eos)? else {
                break;
            };
            let position = (first + token_ids.len()) as u32;
            let embedded = model.embed(&[token])?;
            let stream = model.forward(&embedded, &[position], cache, &mut [&mut *kept])?;
            token_ids.push(token);
            if token_ids.len() < self.plan.max_tokens {
                chooser.logits = model.last_logits(&stream)?;
            }
            (run.control.on_tokens)(token_ids.len(), self.plan.max_tokens);
        }
        Ok(token_ids)
    }

    fn no_stage(&self) -> SessionError {
        let reason = match self.forced_ids {
            Some(_) => "the reference answer has no tokens, so there is no decode stage to force",
            None => {
                "the model ended the text at once, so there is no decode stage; use --ignore-eos"
            }
        };
        SessionError::Plan {
            reason: reason.to_owned(),
        }
    }
}

/// Picks the next token from the newest logits.
struct Chooser<'a> {
    model: &'a Model,
    tokens: TokenChooser,
    logits: Tensor,
}

impl Chooser<'_> {
    fn choose(&mut self, ignore_eos: bool) -> Result<Option<u32>, SessionError> {
        let token = self.tokens.choose(&self.logits)?;
        Ok(Some(token).filter(|&token| ignore_eos || !self.model.is_end_of_text(token)))
    }
}

impl Observe for Decode {
    fn needs(&self) -> Needs {
        Needs::room(self.question.tokens().saturating_add(self.plan.max_tokens))
    }

    fn memory(&self, run: &RunShape<'_>) -> Result<WindowMemory, SessionError> {
        let steps = self.plan.max_tokens;
        let together = match self.plan.teacher_forced {
            true => steps.min(CHUNK_TOKENS),
            false => 1,
        };
        let behind = self.question.tokens();
        let keys = run.prompt_tokens.saturating_add(behind);
        let one_step = run.forward(together, keys.saturating_add(steps));
        let asking = match behind {
            0 => Memory::default(),
            _ => run.forward(behind.min(CHUNK_TOKENS), keys),
        };
        // rows of every step, joined, and joined over the layers
        let rows = Memory::on_host(3.0 * run.rows(steps));
        Ok(WindowMemory {
            working: asking.max(one_step + rows),
            ..run.observed_by_rows(steps, 0)
        })
    }

    fn observe(&self, run: &mut Run<'_>) -> Result<Observed, SessionError> {
        let (token_ids, rows) = self.decode(run)?;
        run.prefilled.set_decode_ids(token_ids.clone());
        let (steps, prompt_tokens) = (token_ids.len(), run.prompt_tokens());
        let question_tokens = self.question.tokens();
        let first = (prompt_tokens + question_tokens) as u32;
        let positions: Vec<u32> = (first..first + steps as u32).collect();
        let visible_keys = positions.iter().map(|position| position + 1).collect();
        let rows = QueryRows::new(rows, positions, visible_keys)?;
        run.fed(run.config(), question_tokens + steps, prompt_tokens, steps);
        run.held(cached_bytes(run, &rows));
        Ok(Observed::rows(rows, token_ids))
    }
}
