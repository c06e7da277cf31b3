//! What follows a prompt on some cache of it.

use candle_core::{Device, Tensor};
use kvlens_analysis::fidelity::{negative_log_likelihood, top_token};

use crate::SessionError;
use crate::greedy::GreedyRun;
use crate::model::{KvCache, Model};
use crate::prefill::RunControl;

/// Rows that go through the layers together.
const CHUNK_ROWS: usize = 512;

/// What to run behind the prompt.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ContinuationPlan {
    /// Q tokens of a question that comes after the prompt, fed first; empty where the prompt holds its question.
    pub question_ids: Vec<u32>,
    /// S tokens that are fed back whatever the model would say: the full cache's own generation.
    pub step_ids: Vec<u32>,
    /// The reference answer's tokens, of which the likelihood is taken; empty where there is none.
    pub answer_ids: Vec<u32>,
    /// Tokens of the free greedy generation, at most.
    pub most_tokens: usize,
    /// Whether that generation goes on after an end-of-text token.
    pub ignore_eos: bool,
}

impl ContinuationPlan {
    /// Tokens that are ever fed behind the prompt.
    pub(super) fn room(&self) -> usize {
        let answer = self.answer_ids.len().saturating_sub(1);
        let longest = self.step_ids.len().max(answer).max(self.most_tokens);
        longest.saturating_add(self.question_ids.len())
    }
}

/// What came out.
#[derive(Debug, Clone, PartialEq)]
pub struct Continuation {
    /// S rows `[V]`.
    steps: Vec<Vec<f32>>,
    /// Mean of `-ln p` over the tokens of the reference answer, in nats: the logarithm of its perplexity. The
    /// first token counts, although its distribution comes out of the prompt. None without an answer.
    pub answer_nll: Option<f64>,
    /// What the model generates greedily; empty where it ends the text at once.
    pub generated_ids: Vec<u32>,
}

impl Continuation {
    /// Logits of the token after each of the S given ones, `[S][V]`, f32.
    pub fn steps(&self) -> &[Vec<f32>] {
        &self.steps
    }
}

/// The continuation of one prompt, to be run on different caches of it.
pub(super) struct Continuer<'m> {
    pub(super) model: &'m Model,
    pub(super) plan: ContinuationPlan,
    /// T.
    pub(super) prompt_tokens: usize,
    /// `[V]`, of the token behind the prompt.
    pub(super) last_logits: Tensor,
}

impl Continuer<'_> {
    /// Runs everything behind what the cache holds, and leaves the cache as it was.
    pub(super) fn run(
        &self,
        cache: &mut KvCache,
        control: &mut RunControl<'_>,
    ) -> Result<Continuation, SessionError> {
        let of_prompt = cache.len();
        let first = self.ask(cache, control)?;
        let kept = cache.len();
        let answer_nll = self.answer_nll(&first, cache, control)?;
        cache.truncate(kept);
        let steps = self.forced(&self.plan.step_ids, cache, control)?;
        let generated_ids = self.generate(first, &steps, kept, cache, control)?;
        cache.truncate(of_prompt);
        Ok(Continuation {
            steps,
            answer_nll,
            generated_ids,
        })
    }

    /// Feeds a question that comes after the prompt; gives the logits `[V]` of the answer's first token, which without
    /// such a question come out of the prompt itself.
    fn ask(
        &self,
        cache: &mut KvCache,
        control: &mut RunControl<'_>,
    ) -> Result<Vec<f32>, SessionError> {
        let mut last = self.last_logits.to_vec1::<f32>()?;
        let ids = &self.plan.question_ids;
        for (at, chunk) in ids.chunks(CHUNK_ROWS).enumerate() {
            control.cancel.check()?;
            let first = self.prompt_tokens + at * CHUNK_ROWS;
            let positions: Vec<u32> = (first as u32..).take(chunk.len()).collect();
            let embedded = self.model.embed(chunk)?;
            let stream = self.model.forward(&embedded, &positions, cache, &mut [])?;
            last = self.model.last_logits(&stream)?.to_vec1::<f32>()?;
        }
        Ok(last)
    }

    /// Rotary position of the first token behind the prompt and its question.
    fn first_position(&self) -> usize {
        self.prompt_tokens + self.plan.question_ids.len()
    }

    /// Logits `[V]` after each of some tokens that are fed together, each of which sees those before it.
    fn forced(
        &self,
        ids: &[u32],
        cache: &mut KvCache,
        control: &mut RunControl<'_>,
    ) -> Result<Vec<Vec<f32>>, SessionError> {
        let mut logits = Vec::with_capacity(ids.len());
        for chunk in ids.chunks(CHUNK_ROWS) {
            control.cancel.check()?;
            let first = self.first_position() + logits.len();
            let positions: Vec<u32> = (first as u32..).take(chunk.len()).collect();
            let stream =
                self.model
                    .forward(&self.model.embed(chunk)?, &positions, cache, &mut [])?;
            let rows = self.model.logits(&stream)?.to_device(&Device::Cpu)?;
            logits.extend(rows.to_vec2::<f32>()?);
            (control.on_tokens)(logits.len(), ids.len());
        }
        Ok(logits)
    }

    fn answer_nll(
        &self,
        first_logits: &[f32],
        cache: &mut KvCache,
        control: &mut RunControl<'_>,
    ) -> Result<Option<f64>, SessionError> {
        let Some((&first, rest)) = self.plan.answer_ids.split_first() else {
            return Ok(None);
        };
        let mut sum = negative_log_likelihood(first_logits, first)?;
        let fed = self.plan.answer_ids.len() - 1;
        let fed = self.plan.answer_ids.get(..fed).unwrap_or_default();
        for (logits, &token) in self.forced(fed, cache, control)?.iter().zip(rest) {
            sum += negative_log_likelihood(logits, token)?;
        }
        Ok(Some(sum / self.plan.answer_ids.len() as f64))
    }

    /// The greedy generation from the first token's logits on. As long as it would say what was forced, it has been run
    /// already; from where the two part it is decoded token by token. The cache holds `kept` tokens and the forced ones.
    fn generate(
        &self,
        first_logits: Vec<f32>,
        steps: &[Vec<f32>],
        kept: usize,
        cache: &mut KvCache,
        control: &mut RunControl<'_>,
    ) -> Result<Vec<u32>, SessionError> {
        let mut logits = first_logits;
        let mut top = top_token(&logits)?;
        let mut ids: Vec<u32> = Vec::new();
        for (&forced, after) in self.plan.step_ids.iter().zip(steps) {
            if self.ends(&ids, top) || top != forced {
                break;
            }
            ids.push(forced);
            logits.clone_from(after);
            top = top_token(after)?;
        }
        if self.ends(&ids, top) {
            return Ok(ids);
        }
        cache.truncate(kept + ids.len());
        let run = GreedyRun {
            model: self.model,
            first_logits: Tensor::new(logits, &Device::Cpu)?,
            first_position: (self.first_position() + ids.len()) as u32,
            most_tokens: self.plan.most_tokens - ids.len(),
            ignore_eos: self.plan.ignore_eos,
        };
        ids.extend(run.run(cache, &mut [], control)?);
        Ok(ids)
    }

    /// Whether the generation ends before this token.
    fn ends(&self, ids: &[u32], next: u32) -> bool {
        let full = ids.len() >= self.plan.most_tokens;
        full || (!self.plan.ignore_eos && self.model.is_end_of_text(next))
    }
}
