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

use kvlens_analysis::{ForcedKeep, GroupReduction, Pooling, RowReduction, Scoring};

use super::appended::{Appended, cached_bytes};
use super::window::Unloaded;
use super::{Observe, Observed, Run, Window, WindowOptions};
use crate::SessionError;
use crate::eviction::Eviction;
use crate::footprint::{Memory, RunShape, WindowMemory, drafter_memory};
use crate::greedy::GreedyRun;
use crate::model::{DeviceChoice, DtypeChoice, Model, ModelSource};
use crate::observation::QueryRows;
use crate::prefill::{Needs, Prefilled};

/// Draft tokens at most.
const DEFAULT_TOKENS: usize = 32;

/// Prompt rows that SpecKV observes with.
const PUBLISHED_ROWS: usize = 33;

/// Queries of the model for drafted tokens; `D` drafts.
struct Draft<D> {
    label: String,
    tokens: usize,
    prompt_rows: usize,
    drafter: D,
}

/// Another checkpoint that drafts, before it is loaded.
struct Checkpoint {
    source: ModelSource,
    dtype: DtypeChoice,
}

/// From `draft[:n=32,w=33,model=DIR,dtype=auto]` or
/// `draft[:n=32,w=33,budget=10%,method=snapkv|h2o|streaming,stage-w=32,heads=query|kv]`.
/// A path can hold no comma.
pub(super) fn draft(options: &mut WindowOptions<'_>) -> Result<Window, SessionError> {
    let tokens = options.main_count("n", DEFAULT_TOKENS)?;
    let prompt_rows = options.parsed("w", PUBLISHED_ROWS)?;
    let asked = Draft {
        label: options.label().to_owned(),
        tokens,
        prompt_rows,
        drafter: (),
    };
    let window = match options.text("model") {
        None => Window::by_rows(asked.by(Eviction::from_options(options)?)),
        Some(path) => {
            let drafter = Checkpoint {
                source: ModelSource::from(path.to_owned()),
                dtype: options.parsed("dtype", DtypeChoice::Auto)?,
            };
            Window::new(true, asked.by(drafter))
        }
    };
    let scoring = Scoring {
        reduce: RowReduction::Max,
        pool: Pooling::Max { kernel: 7 },
        group: GroupReduction::Max,
        ..Scoring::default()
    };
    Ok(window.scored(scoring).keeping(ForcedKeep {
        sinks: 0,
        recent: prompt_rows,
    }))
}

impl<D> Draft<D> {
    fn by<E>(self, drafter: E) -> Draft<E> {
        Draft {
            label: self.label,
            tokens: self.tokens,
            prompt_rows: self.prompt_rows,
            drafter,
        }
    }

    fn own_needs(&self) -> Needs {
        Needs {
            last_rows: self.prompt_rows,
            extra_tokens: self.tokens,
            extra_positions: self.tokens,
            ..Needs::default()
        }
    }

    /// With what is loaded for drafting, and what drafting takes.
    fn memory_with(&self, run: &RunShape<'_>, loaded: Memory, drafting: Memory) -> WindowMemory {
        let prompt_rows = self.prompt_rows.min(run.prompt_tokens);
        let rows = run.observed_by_rows(prompt_rows.saturating_add(self.tokens), self.tokens);
        WindowMemory {
            loaded,
            working: drafting.max(rows.working),
            ..rows
        }
    }

    fn greedy<'a>(&self, model: &'a Model, prefilled: &Prefilled) -> GreedyRun<'a> {
        GreedyRun {
            model,
            first_logits: prefilled.last_logits().clone(),
            first_position: prefilled.prompt_tokens() as u32,
            most_tokens: self.tokens,
            ignore_eos: false,
        }
    }

    /// The model's own queries for a draft, behind the last rows of the prompt.
    fn observe_draft(&self, run: &mut Run<'_>, ids: Vec<u32>) -> Result<Observed, SessionError> {
        let prompt_tokens = run.prompt_tokens();
        let appended = Appended {
            embeddings: run.model.embed(&ids)?,
            first_position: prompt_tokens as u32,
            adapters: None,
        };
        let rows = appended.run(run)?;
        // the rows by themselves, beside all rows
        run.held(cached_bytes(run, &rows) + rows.bytes());
        let window = self.prompt_rows.min(prompt_tokens);
        if window == 0 {
            return Ok(Observed::rows(rows, ids));
        }
        let prompt_rows = run.prefilled.last_rows(window)?;
        let rows = QueryRows::concatenate(&[&prompt_rows, &rows])?;
        Ok(Observed::rows(rows, [run.last_ids(window), ids].concat()))
    }
}

/// The model itself drafts, on an evicted cache.
impl Observe for Draft<Eviction> {
    fn needs(&self) -> Needs {
        self.own_needs().and(&self.drafter.needs())
    }

    fn memory(&self, run: &RunShape<'_>) -> Result<WindowMemory, SessionError> {
        let drafting = self.drafter.memory(run, self.tokens);
        Ok(self.memory_with(run, Memory::default(), drafting))
    }

    fn observe(&self, run: &mut Run<'_>) -> Result<Observed, SessionError> {
        let (model, config, cancel) = (run.model, run.config(), run.control.cancel);
        let mut cache = self
            .drafter
            .run(model, run.prefilled, self.tokens, cancel)?;
        let kept = cache.len();
        let drafting = self.greedy(model, run.prefilled);
        let ids = drafting.run(&mut cache, &mut [], &mut run.control)?;
        run.computed(self.drafter.flops(config, run.prompt_tokens()));
        run.fed(config, ids.len(), kept, ids.len() - 1);
        run.held(cache.bytes());
        self.observe_draft(run, ids)
    }
}

impl Unloaded for Draft<Checkpoint> {
    fn needs_with(&self, _source: &ModelSource) -> Result<Needs, SessionError> {
        Ok(self.own_needs())
    }

    fn footprint(&self, run: &RunShape<'_>) -> Result<WindowMemory, SessionError> {
        let Checkpoint { source, dtype } = &self.drafter;
        let (loaded, drafting) = drafter_memory(source, *dtype, self.tokens, run)?;
        Ok(self.memory_with(run, loaded, drafting))
    }

    /// Loads the drafting checkpoint onto the model's device; its ids must mean the same tokens.
    fn load(self: Box<Self>, model: &Model) -> Result<Box<dyn Observe>, SessionError> {
        let device: DeviceChoice = model.device_name().parse()?;
        let drafter = Model::load(&self.drafter.source, device, self.drafter.dtype)?;
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
        Ok(Box::new(self.by(drafter)))
    }
}

/// Another checkpoint drafts, over its own full cache.
impl Observe for Draft<Model> {
    fn needs(&self) -> Needs {
        self.own_needs()
    }

    /// Refuses a prompt that, with the draft behind it, passes the drafter's positions.
    fn check_prompt(&self, prompt_tokens: usize) -> Result<(), SessionError> {
        let positions = self.drafter.config().max_positions;
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

    fn loaded_weights_sha256(&self) -> Vec<String> {
        vec![self.drafter.identity().weights_sha256.clone()]
    }

    fn observe(&self, run: &mut Run<'_>) -> Result<Observed, SessionError> {
        let (config, prompt_tokens) = (self.drafter.config(), run.prompt_tokens());
        self.check_prompt(prompt_tokens)?;
        let room = Needs {
            extra_tokens: self.tokens,
            ..Needs::default()
        };
        let prompt_ids = run.prefilled.prompt_ids();
        let mut prefilled = Prefilled::run(&self.drafter, prompt_ids, &room, &mut run.control)?;
        let drafting = self.greedy(&self.drafter, &prefilled);
        let cache = prefilled.prompt_cache();
        let ids = drafting.run(cache, &mut [], &mut run.control)?;
        run.fed(config, prompt_tokens, 0, 1);
        run.fed(config, ids.len(), prompt_tokens, ids.len() - 1);
        run.held(cache.bytes());
        self.observe_draft(run, ids)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::windows::parse_window;

    #[test]
    fn a_draft_is_made_by_a_checkpoint_or_on_an_evicted_cache() {
        let draft = |text: &str| parse_window(&text.parse().unwrap());
        let needs = draft("draft").and_then(|window| window.needs(&ModelSource::Demo));
        let needs = needs.unwrap();
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
