//! Fidelity: what really happens to the output when the prompt's cache is evicted.
//!
//! The prompt is prefilled once on the full cache. Then the same continuation is run behind the full cache and
//! behind what each eviction leaves of it, with the positions that it would have had: the given tokens
//! teacher-forced (row i is token i fed at position T + i and gives the distribution of token i + 1), the
//! reference answer, and a free greedy generation. What comes out of the prompt itself, the first token's
//! distribution, is made before any eviction and cannot differ. A question that comes after the prompt is fed to every
//! cache first, so row i then stands at T + Q + i.

mod continuation;
#[cfg(test)]
mod output_tests;
#[cfg(test)]
mod tests;

use kvlens_analysis::fidelity::{StepFidelity, step_fidelity};
use rayon::prelude::*;

pub use continuation::{Continuation, ContinuationPlan};

use crate::SessionError;
use crate::model::{Evicted, KvCache, Model};
use crate::prefill::{Needs, Prefilled, RunControl};
use continuation::Continuer;

/// A prompt with its full cache and what follows on it.
pub struct FidelityTest<'m> {
    continuer: Continuer<'m>,
    prefilled: Prefilled,
    full: Continuation,
}

impl<'m> FidelityTest<'m> {
    /// Prefills the prompt and runs the continuation on the full cache.
    ///
    /// # Errors
    /// [`SessionError::Plan`] for a plan without tokens, or if prompt and continuation need more positions
    /// than the model has; [`SessionError::Cancelled`]; what the model says of the tokens.
    pub fn begin(
        model: &'m Model,
        prompt_ids: &[u32],
        plan: ContinuationPlan,
        control: &mut RunControl<'_>,
    ) -> Result<Self, SessionError> {
        let room = plan.room();
        let needed = prompt_ids.len().saturating_add(room);
        let positions = model.config().max_positions;
        if plan.step_ids.is_empty() || needed > positions {
            return Err(SessionError::Plan {
                reason: match plan.step_ids.is_empty() {
                    true => "fidelity needs at least one token behind the prompt".to_owned(),
                    false => format!(
                        "the prompt of {} tokens with {room} behind it needs {needed} positions, but the model has {positions}; decode fewer tokens",
                        prompt_ids.len()
                    ),
                },
            });
        }
        let needs = Needs::room(room);
        let mut prefilled = Prefilled::run(model, prompt_ids, &needs, control)?;
        let continuer = Continuer {
            model,
            plan,
            prompt_tokens: prompt_ids.len(),
            last_logits: prefilled.last_logits().clone(),
        };
        let full = continuer.run(prefilled.prompt_cache(), control)?;
        Ok(Self {
            continuer,
            prefilled,
            full,
        })
    }

    /// The continuation on the full cache.
    pub fn full(&self) -> &Continuation {
        &self.full
    }

    /// The same continuation on what an eviction leaves of the cache.
    ///
    /// # Errors
    /// [`SessionError::Internal`] if the eviction is of another prompt or other heads; [`SessionError::Cancelled`].
    pub fn evicted(
        &mut self,
        kept: Evicted,
        control: &mut RunControl<'_>,
    ) -> Result<Continuation, SessionError> {
        let mut cache = self.evicted_cache(kept)?;
        self.continuer.run(&mut cache, control)
    }

    fn evicted_cache(&mut self, kept: Evicted) -> Result<KvCache, SessionError> {
        let (found, expected) = (kept.prompt_tokens(), self.continuer.prompt_tokens);
        if found != expected {
            return Err(SessionError::Internal {
                reason: format!(
                    "the eviction is of a prompt of {found} tokens, not of this one of {expected}"
                ),
            });
        }
        let room = self.continuer.plan.room();
        self.prefilled.prompt_cache().keeping(kept, room)
    }

    /// Every step of a continuation against the full cache, S entries.
    ///
    /// # Errors
    /// [`SessionError::Analysis`] for logits that are not finite.
    pub fn compare(&self, other: &Continuation) -> Result<Vec<StepFidelity>, SessionError> {
        let steps = self.full.steps().par_iter().zip(other.steps());
        steps
            .map(|(full, other)| Ok(step_fidelity(full, other)?))
            .collect()
    }
}
