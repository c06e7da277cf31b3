//! Prompts with what the model makes of them: its response, the prompt's cache, and the response's attention.

use std::sync::Mutex;

use kvlens_analysis::Importance;
use kvlens_datasets::Sample;

use super::data::Joined;
use super::evaluation::scored_alike;
use super::plan::WindowTrainingPlan;
use crate::model::{ChatVariables, Model};
use crate::prefill::{Needs, Prefilled, RunControl};
use crate::training::threads::Threads;
use crate::windows::{Decode, DecodePlan, ReadyWindow};
use crate::{CancelFlag, SessionError};

/// Bound on the caches that are kept between steps, in bytes; prompts beyond it are run again each time.
const KEPT_BYTES: usize = 4 << 30;

/// The model's own response to a prompt.
struct Example {
    response_ids: Vec<u32>,
    kept: Option<Prepared>,
}

/// A prompt that was run, and the mean attention of its response.
pub(super) struct Prepared {
    /// Locked because a window that observes writes behind the prompt.
    pub(super) prefilled: Mutex<Prefilled>,
    /// The decode stage's raw attention, `[L, H, T]`: mean over the steps, not pooled. Rows are trained towards it.
    pub(super) attention: Importance,
    /// The decode stage as held-out windows are held against it.
    pub(super) truth: Importance,
}

/// The prompts of a training or those held out.
pub(super) struct Examples<'a> {
    model: &'a Model,
    samples: Joined<'a>,
    chat: bool,
    decode: DecodePlan,
    needs: Needs,
    examples: Vec<Example>,
}

impl<'a> Examples<'a> {
    /// Runs every sample and lets the model respond. `on_done` is told after each few of them.
    ///
    /// # Errors
    /// [`SessionError::Prompt`] for a prompt that does not fit the model or that it does not respond to,
    /// [`SessionError::Cancelled`].
    pub(super) fn prepare(
        model: &'a Model,
        plan: &WindowTrainingPlan,
        needs: Needs,
        samples: Joined<'a>,
        threads: &Threads,
        cancel: &CancelFlag,
        on_done: &mut dyn FnMut(usize),
    ) -> Result<Self, SessionError> {
        let decode = DecodePlan {
            max_tokens: plan.decode_tokens,
            ..DecodePlan::default()
        };
        let rows = Needs {
            extra_tokens: plan.soft_tokens,
            extra_positions: plan.soft_tokens,
            ..Needs::default()
        };
        let oracle = Decode::generated(decode.clone()).needs();
        let mut this = Self {
            model,
            chat: plan.chat,
            decode,
            needs: needs.and(&rows).and(&oracle),
            examples: Vec::with_capacity(samples.len()),
            samples: samples.clone(),
        };
        let (mut kept_bytes, mut samples) = (0, samples.iter());
        loop {
            let some = samples.by_ref().take(4 * threads.count());
            let some = some.collect::<Result<Vec<_>, _>>()?;
            if some.is_empty() {
                return Ok(this);
            }
            let run = threads.map(&some, |sample| this.run_sample(sample, cancel))?;
            for mut example in run {
                let bytes = example.kept.as_ref().map_or(Ok(0), Prepared::bytes)?;
                if kept_bytes + bytes > KEPT_BYTES {
                    example.kept = None;
                } else {
                    kept_bytes += bytes;
                }
                this.examples.push(example);
            }
            on_done(this.examples.len());
        }
    }

    /// How many prompts.
    pub(super) fn count(&self) -> usize {
        self.examples.len()
    }

    fn run_sample(&self, sample: &Sample, cancel: &CancelFlag) -> Result<Example, SessionError> {
        let wrong = |reason: String| SessionError::Prompt {
            sample: sample.id.clone(),
            reason,
        };
        let prompt_ids = self.prompt_ids(sample)?;
        let needed = prompt_ids.len() + self.needs.extra_positions;
        let positions = self.model.config().max_positions;
        if prompt_ids.is_empty() || needed > positions {
            return Err(wrong(format!(
                "the prompt of {} tokens needs {needed} positions with what comes behind it, but the model has {positions}; leave it out of the data",
                prompt_ids.len()
            )));
        }
        let decode = Decode::generated(self.decode.clone());
        let (prepared, response_ids) =
            self.run(&prompt_ids, &decode, cancel)
                .map_err(|error| match error {
                    SessionError::Plan { reason } => wrong(reason),
                    error => error,
                })?;
        Ok(Example {
            response_ids,
            kept: Some(prepared),
        })
    }

    fn prompt_ids(&self, sample: &Sample) -> Result<Vec<u32>, SessionError> {
        let variables = ChatVariables::default();
        let chat = self.chat.then_some(&variables);
        Ok(self.model.encode_sample(sample, chat)?.ids)
    }

    fn run(
        &self,
        prompt_ids: &[u32],
        decode: &ReadyWindow,
        cancel: &CancelFlag,
    ) -> Result<(Prepared, Vec<u32>), SessionError> {
        let mut control = RunControl {
            cancel,
            on_tokens: &mut |_, _| {},
        };
        let mut prefilled = Prefilled::run(self.model, prompt_ids, &self.needs, &mut control)?;
        let observed = decode.observe(self.model, &mut prefilled, &mut control)?;
        let keys = prefilled.keys_for_scoring(self.model)?;
        let attention = keys.importance(&observed, observed.published_side())?;
        let truth = keys.importance(&observed, scored_alike())?;
        let response_ids = observed.token_ids().to_vec();
        let prefilled = Mutex::new(prefilled);
        Ok((
            Prepared {
                prefilled,
                attention,
                truth,
            },
            response_ids,
        ))
    }

    /// Hands a prompt that was run to `use_it`: the kept one, or one run anew with the same response.
    pub(super) fn with<T>(
        &self,
        index: usize,
        cancel: &CancelFlag,
        use_it: impl FnOnce(&Prepared) -> Result<T, SessionError>,
    ) -> Result<T, SessionError> {
        let example = self
            .examples
            .get(index)
            .ok_or_else(|| SessionError::Internal {
                reason: format!("prompt {index} of {} was asked for", self.examples.len()),
            })?;
        match &example.kept {
            Some(prepared) => use_it(prepared),
            None => {
                let ids = example.response_ids.clone();
                let decode = Decode::teacher_forced(self.decode.clone(), ids);
                // the ids of a large data set take as much as its texts, which lie on disk
                let sample = self.samples.get(index)?;
                let prompt_ids = self.prompt_ids(&sample)?;
                let (prepared, _) = self.run(&prompt_ids, &decode, cancel)?;
                use_it(&prepared)
            }
        }
    }
}

impl Prepared {
    /// Hands out the prompt's pass, alone.
    pub(super) fn locked<T>(
        &self,
        use_it: impl FnOnce(&mut Prefilled) -> Result<T, SessionError>,
    ) -> Result<T, SessionError> {
        // a thread that panicked left nothing half-written: whoever takes the cache cuts it to the prompt
        let mut prefilled = self
            .prefilled
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        use_it(&mut prefilled)
    }

    fn bytes(&self) -> Result<usize, SessionError> {
        let one = self.attention.layers() * self.attention.heads() * self.attention.prompt_tokens();
        let cache = self.locked(|prefilled| Ok(prefilled.prompt_cache().bytes()))?;
        // attention, pooled truth and what decides its ties
        Ok(cache + 3 * one * size_of::<f32>())
    }
}
