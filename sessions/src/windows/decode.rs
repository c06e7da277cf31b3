//! The oracle: the decode stage itself, the queries of the generated tokens at positions T, T + 1, ...
//!
//! The query that *produces* the first generated token is the last prompt token; it belongs to the
//! prompt. Row i here is the query of generated token i, fed back at position T + i.

use candle_core::Tensor;

use super::appended::cached_bytes;
use super::{DECODE_LABEL, Observe, Observed, ReadyWindow, Run, Window};
use crate::SessionError;
use crate::footprint::{Memory, RunShape, WindowMemory};
use crate::model::{CapturedRows, KeptQueries, Model, TokenChooser};
use crate::observation::QueryRows;
use crate::plan::DecodePlan;
use crate::prefill::Needs;

/// Tokens of a given answer that are fed together, as many as a chunk of the prompt has.
const FORCED_ROWS: usize = 512;

/// The decode stage of one sample.
pub struct Decode {
    plan: DecodePlan,
    /// The answer's ids when the stage is teacher-forced.
    forced_ids: Option<Vec<u32>>,
}

impl Decode {
    /// Tokens that the model chooses.
    pub fn generated(plan: DecodePlan) -> ReadyWindow {
        ReadyWindow::new(DECODE_LABEL, Self::of(plan))
    }

    /// The tokens of a given answer, at most `plan.max_tokens` of them.
    pub fn teacher_forced(plan: DecodePlan, answer_ids: Vec<u32>) -> ReadyWindow {
        let forced_ids = Some(answer_ids);
        ReadyWindow::new(DECODE_LABEL, Self { plan, forced_ids })
    }

    /// The stage before any model is there.
    ///
    /// Its scoring, that of every window unless said otherwise, is the mean over the decode steps, cut to the prompt
    /// and not renormalised: LookaheadKV's s_GT and, up to scale, Judge Q's and DapQ's gold (METHODS.md, section 6).
    pub(crate) fn planned(plan: DecodePlan) -> Window {
        Window::by_rows(Self::of(plan)).labelled(DECODE_LABEL)
    }

    fn of(plan: DecodePlan) -> Self {
        Self {
            plan,
            forced_ids: None,
        }
    }

    /// Decodes: the tokens, and their queries.
    fn decode(&self, run: &mut Run<'_>) -> Result<(Vec<u32>, CapturedRows), SessionError> {
        let mut kept = KeptQueries::new(run.model.config().layers, run.prompt_tokens());
        let token_ids = match &self.forced_ids {
            Some(ids) => self.force(ids, run, &mut kept)?,
            None => self.generate(run, &mut kept)?,
        };
        if token_ids.is_empty() {
            return Err(self.no_stage());
        }
        let rows = kept.finish(run.model.decoder(), run.prefilled.prompt_cache())?;
        Ok((token_ids, rows))
    }

    /// Feeds tokens that are known together: each sees those before it.
    fn force(
        &self,
        ids: &[u32],
        run: &mut Run<'_>,
        kept: &mut KeptQueries,
    ) -> Result<Vec<u32>, SessionError> {
        let ids = ids.get(..self.plan.max_tokens).unwrap_or(ids);
        let (model, mut position) = (run.model, run.prompt_tokens() as u32);
        let cache = run.prefilled.prompt_cache();
        for chunk in ids.chunks(FORCED_ROWS) {
            run.control.cancel.check()?;
            let positions: Vec<u32> = (position..).take(chunk.len()).collect();
            model.forward(&model.embed(chunk)?, &positions, cache, &mut [&mut *kept])?;
            position += chunk.len() as u32;
            let done = position as usize - cache.prompt_tokens();
            (run.control.on_tokens)(done, self.plan.max_tokens);
        }
        Ok(ids.to_vec())
    }

    /// Feeds token by token what the model chooses.
    fn generate(
        &self,
        run: &mut Run<'_>,
        kept: &mut KeptQueries,
    ) -> Result<Vec<u32>, SessionError> {
        let (model, prompt_tokens) = (run.model, run.prompt_tokens());
        let mut chooser = Chooser {
            model,
            tokens: TokenChooser::new(self.plan.temperature, self.plan.seed),
            logits: run.prefilled.last_logits().clone(),
        };
        let cache = run.prefilled.prompt_cache();
        let mut token_ids = Vec::new();
        while token_ids.len() < self.plan.max_tokens {
            run.control.cancel.check()?;
            let Some(token) = chooser.choose(self.plan.ignore_eos)? else {
                break;
            };
            let position = (prompt_tokens + token_ids.len()) as u32;
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
        Needs {
            extra_tokens: self.plan.max_tokens,
            extra_positions: self.plan.max_tokens,
            ..Needs::default()
        }
    }

    fn memory(&self, run: &RunShape<'_>) -> Result<WindowMemory, SessionError> {
        let steps = self.plan.max_tokens;
        let together = match self.plan.teacher_forced {
            true => steps.min(FORCED_ROWS),
            false => 1,
        };
        let one_step = run.forward(together, run.prompt_tokens.saturating_add(steps));
        // rows of every step, joined, and joined over the layers
        let rows = Memory::on_host(3.0 * run.rows(steps));
        Ok(WindowMemory {
            working: one_step + rows,
            ..run.observed_by_rows(steps, 0)
        })
    }

    fn observe(&self, run: &mut Run<'_>) -> Result<Observed, SessionError> {
        let (token_ids, rows) = self.decode(run)?;
        run.prefilled.set_decode_ids(token_ids.clone());
        let (steps, prompt_tokens) = (token_ids.len(), run.prompt_tokens());
        let first = prompt_tokens as u32;
        let positions: Vec<u32> = (first..first + steps as u32).collect();
        let visible_keys = positions.iter().map(|position| position + 1).collect();
        let rows = QueryRows::new(rows, positions, visible_keys)?;
        run.fed(run.config(), steps, prompt_tokens, steps);
        run.held(cached_bytes(run, &rows));
        Ok(Observed::rows(rows, token_ids))
    }
}
