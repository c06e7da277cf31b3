//! A draft, as SpecKV observes with (after github.com/furiosa-ai/draft-based-approx-llm): the model's own
//! queries for tokens that something cheaper wrote.
//!
//! The draft of up to n tokens is decoded greedily at positions T..T+n-1, by a smaller checkpoint over its own
//! full cache (`model=DIR`, which may also be the same checkpoint at another `dtype`), or by the model itself on an
//! evicted copy of the prompt's cache (options as for `laq`). The draft is then run behind the prompt over the full
//! cache in one pass. Rows `[L, H, W + n, D]`: the last `w=33` prompt rows and all draft rows. Score: largest over
//! the rows, max pooling with kernel 7, largest over the query heads of a key/value head. The last W tokens are
//! always kept.
//!
//! From the repository: w = 33, the maxima, the kernel. Left open: how long the draft is (there as long as the
//! answer may get; here `n=32`).

use std::time::Instant;

use kvlens_analysis::{ForcedKeep, GroupReduction, Pooling, RowReduction, Scoring};

use super::appended::{Appended, cost_of_appended};
use super::greedy::GreedyRun;
use super::{ObservationWindow, WindowLabel};
use crate::SessionError;
use crate::estimate::{Memory, RunShape, WindowMemory, drafter_memory};
use crate::eviction::Eviction;
use crate::model::{DeviceChoice, DtypeChoice, Model, ModelSource};
use crate::observation::{Observation, QueryRows};
use crate::prefill::{Needs, Prefilled, RunControl};

/// Draft tokens at most.
const DEFAULT_TOKENS: usize = 32;

/// Prompt rows that SpecKV observes with.
const PUBLISHED_ROWS: usize = 33;

/// Who drafts.
enum Drafter {
    /// The model itself on an evicted cache.
    Evicted(Eviction),
    /// Another checkpoint, loaded before the first sample.
    Checkpoint {
        source: ModelSource,
        dtype: DtypeChoice,
        model: Option<Box<Model>>,
    },
}

/// Queries of the model for drafted tokens.
pub struct Draft {
    label: String,
    tokens: usize,
    prompt_rows: usize,
    drafter: Drafter,
}

/// A draft and what it cost, but for the time.
struct Drafted {
    ids: Vec<u32>,
    flops: f64,
    bytes: usize,
}

impl Draft {
    /// From `draft[:n=32,w=33,model=DIR,dtype=auto]` or
    /// `draft[:n=32,w=33,budget=10%,method=snapkv|h2o|streaming,stage-w=32,heads=query|kv]`.
    /// A path can hold no comma.
    ///
    /// # Errors
    /// [`SessionError::Plan`] for any other option.
    pub fn from_label(label: &WindowLabel) -> Result<Self, SessionError> {
        let mut options = label.options();
        let tokens = options.main_count("n", DEFAULT_TOKENS)?;
        let prompt_rows = options.parsed("w", PUBLISHED_ROWS)?;
        let drafter = match options.text("model") {
            None => Drafter::Evicted(Eviction::from_options(&mut options)?),
            Some(path) => Drafter::Checkpoint {
                source: ModelSource::from(path.to_owned()),
                dtype: options.parsed("dtype", DtypeChoice::Auto)?,
                model: None,
            },
        };
        options.finish()?;
        Ok(Self {
            label: label.text().to_owned(),
            tokens,
            prompt_rows,
            drafter,
        })
    }

    fn draft(
        &self,
        model: &Model,
        prefilled: &mut Prefilled,
        control: &mut RunControl<'_>,
    ) -> Result<Drafted, SessionError> {
        match &self.drafter {
            Drafter::Evicted(eviction) => self.draft_evicted(eviction, model, prefilled, control),
            Drafter::Checkpoint {
                model: Some(drafter),
                ..
            } => self.draft_with(drafter, prefilled.prompt_ids(), control),
            Drafter::Checkpoint { model: None, .. } => Err(SessionError::Plan {
                reason: format!("window '{}' was not prepared", self.label),
            }),
        }
    }

    fn draft_evicted(
        &self,
        eviction: &Eviction,
        model: &Model,
        prefilled: &mut Prefilled,
        control: &mut RunControl<'_>,
    ) -> Result<Drafted, SessionError> {
        let prompt_tokens = prefilled.prompt_tokens();
        let mut cache = eviction.run(model, prefilled, self.tokens, control.cancel)?;
        let kept = cache.len();
        let run = GreedyRun {
            model,
            first_logits: prefilled.last_logits().clone(),
            first_position: prompt_tokens as u32,
            most_tokens: self.tokens,
            ignore_eos: false,
        };
        let ids = run.run(&mut cache, None, control)?;
        let config = model.config();
        Ok(Drafted {
            flops: eviction.flops(config, prompt_tokens)
                + config.forward_flops(ids.len(), kept, ids.len() - 1),
            bytes: cache.bytes(),
            ids,
        })
    }

    fn draft_with(
        &self,
        drafter: &Model,
        prompt_ids: &[u32],
        control: &mut RunControl<'_>,
    ) -> Result<Drafted, SessionError> {
        let config = drafter.config();
        let prompt_tokens = prompt_ids.len();
        self.check_positions(drafter, prompt_tokens)?;
        let room = Needs {
            extra_tokens: self.tokens,
            ..Needs::default()
        };
        let mut prefilled = Prefilled::run(drafter, prompt_ids, &room, control)?;
        let run = GreedyRun {
            model: drafter,
            first_logits: prefilled.last_logits().clone(),
            first_position: prompt_tokens as u32,
            most_tokens: self.tokens,
            ignore_eos: false,
        };
        let cache = prefilled.prompt_cache();
        let ids = run.run(cache, None, control)?;
        Ok(Drafted {
            flops: config.forward_flops(prompt_tokens, 0, 1)
                + config.forward_flops(ids.len(), prompt_tokens, ids.len() - 1),
            bytes: cache.bytes(),
            ids,
        })
    }

    /// Refuses a prompt that, with the draft behind it, passes the drafter's positions.
    fn check_positions(&self, drafter: &Model, prompt_tokens: usize) -> Result<(), SessionError> {
        let positions = drafter.config().max_positions;
        let needed = prompt_tokens.saturating_add(self.tokens);
        if needed <= positions {
            return Ok(());
        }
        Err(SessionError::Plan {
            reason: format!(
                "window '{}': the drafting model has {positions} positions, but prompt and draft need {needed}; shorten the prompt, or draft with another model",
                self.label
            ),
        })
    }

    /// Tokens that ran through the drafter, besides those that ran through the model.
    fn drafted_tokens(&self, prompt_tokens: usize, drafted: usize) -> usize {
        match self.drafter {
            Drafter::Evicted(_) => drafted,
            Drafter::Checkpoint { .. } => prompt_tokens + drafted,
        }
    }
}

impl ObservationWindow for Draft {
    fn label(&self) -> &str {
        &self.label
    }

    fn needs(&self) -> Needs {
        let own = Needs {
            last_rows: self.prompt_rows,
            extra_tokens: self.tokens,
            extra_positions: self.tokens,
            ..Needs::default()
        };
        match &self.drafter {
            Drafter::Evicted(eviction) => own.and(&eviction.needs()),
            Drafter::Checkpoint { .. } => own,
        }
    }

    fn check_prompt(&self, prompt_tokens: usize) -> Result<(), SessionError> {
        match &self.drafter {
            Drafter::Checkpoint {
                model: Some(drafter),
                ..
            } => self.check_positions(drafter, prompt_tokens),
            Drafter::Checkpoint { model: None, .. } | Drafter::Evicted(_) => Ok(()),
        }
    }

    fn scoring(&self) -> Scoring {
        Scoring {
            reduce: RowReduction::Max,
            pool: Pooling::Max { kernel: 7 },
            group: GroupReduction::Max,
            ..Scoring::default()
        }
    }

    fn forced_keep(&self) -> ForcedKeep {
        ForcedKeep {
            sinks: 0,
            recent: self.prompt_rows,
        }
    }

    /// Loads the drafting checkpoint onto the model's device; its ids must mean the same tokens.
    fn prepare(&mut self, model: &Model) -> Result<(), SessionError> {
        let Drafter::Checkpoint {
            source,
            dtype,
            model: loaded,
        } = &mut self.drafter
        else {
            return Ok(());
        };
        let device: DeviceChoice = model.device_name().parse()?;
        let drafter = Model::load(source, device, *dtype)?;
        if !drafter.has_vocabulary_of(model) {
            return Err(SessionError::Plan {
                reason: format!(
                    "window '{}': the drafting model '{}' has another vocabulary than '{}', so its tokens mean something else; give a smaller model of the same family",
                    self.label,
                    drafter.identity().name,
                    model.identity().name
                ),
            });
        }
        *loaded = Some(Box::new(drafter));
        Ok(())
    }

    fn loaded_weights_sha256(&self) -> Vec<String> {
        match &self.drafter {
            Drafter::Checkpoint {
                model: Some(model), ..
            } => vec![model.identity().weights_sha256.clone()],
            _ => Vec::new(),
        }
    }

    fn memory(&self, run: &RunShape<'_>) -> Result<WindowMemory, SessionError> {
        let prompt_rows = self.prompt_rows.min(run.prompt_tokens);
        let rows = run.observed_by_rows(prompt_rows.saturating_add(self.tokens), self.tokens);
        let (loaded, drafting) = match &self.drafter {
            Drafter::Evicted(eviction) => (Memory::default(), eviction.memory(run, self.tokens)),
            Drafter::Checkpoint { source, dtype, .. } => {
                drafter_memory(source, *dtype, self.tokens, run)?
            }
        };
        Ok(WindowMemory {
            loaded,
            working: drafting.max(rows.working),
            ..rows
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
        let drafted = self.draft(model, prefilled, control)?;
        let appended = Appended {
            embeddings: model.embed(&drafted.ids)?,
            first_position: prompt_tokens as u32,
            adapters: None,
        };
        let draft_rows = appended.run(model, prefilled, control)?;
        let mut cost = cost_of_appended(model, &draft_rows, prompt_tokens);
        let mut rows = draft_rows;
        let mut token_ids: Vec<u32> = Vec::new();
        let window = self.prompt_rows.min(prompt_tokens);
        if window > 0 {
            let prompt_rows = QueryRows::last_of_prompt(prefilled, window)?;
            rows = QueryRows::concatenate(&[&prompt_rows, &rows])?;
            let first = prompt_tokens - window;
            token_ids.extend(prefilled.prompt_ids().iter().skip(first));
        }
        token_ids.extend(&drafted.ids);
        cost.rows = rows.count();
        cost.flops += drafted.flops + model.config().scoring_flops(window, prompt_tokens);
        cost.extra_tokens += self.drafted_tokens(prompt_tokens, drafted.ids.len());
        cost.peak_bytes = rows.bytes() + drafted.bytes.max(cost.peak_bytes);
        cost.seconds = started.elapsed().as_secs_f64();
        Observation::by_queries(self.info(token_ids, cost), rows)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_draft_is_made_by_a_checkpoint_or_on_an_evicted_cache() {
        let draft = |text: &str| Draft::from_label(&text.parse().unwrap());
        let needs = draft("draft").map(|window| window.needs()).unwrap();
        assert_eq!((needs.last_rows, needs.extra_tokens), (33, 32));
        assert!(draft("draft:model=a/b,dtype=bf16,n=4,w=0").is_ok());
        let refused = |text: &str| draft(text).err().map(|error| error.to_string());
        assert!(
            refused("draft:model=a/b,budget=5%")
                .unwrap()
                .contains("'budget'")
        );
        assert!(refused("draft:dtype=bf16").unwrap().contains("'dtype'"));
    }
}
