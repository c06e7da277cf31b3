//! Cutting a copy of the prompt's cache down to a budget: what a ranking keeps, and the first stage of a
//! lookahead, which ranks for itself.
//!
//! Sources: SnapKV (Li et al. 2024, arXiv 2404.14469), StreamingLLM (Xiao et al. 2023, arXiv 2309.17453), and
//! for the sizes and the H2O variant the repository of LAQ (github.com/noforit/Lookahead_Q-Cache).

use kvlens_analysis::allocation::BudgetAllocation;
use kvlens_analysis::{
    Budget, ForcedKeep, GroupReduction, KeySet, Pooling, Rankings, RowReduction, Scoring, selection,
};

use crate::footprint::{Memory, RunShape};
use crate::label::WindowOptions;
use crate::model::{Evicted, KvCache, Model, ModelConfig};
use crate::observation::{Cost, Observation, ObservationInfo};
use crate::prefill::{Needs, Prefilled};
use crate::{CancelFlag, SessionError};

/// The last W prompt tokens that SnapKV observes with in LAQ's first stage.
const PUBLISHED_ROWS: usize = 32;

/// LAQ's released script gives the first stage the budget of the final eviction (`budget=final`). One lookahead that
/// serves every budget needs one of its own: a tenth of the prompt.
const DEFAULT_BUDGET: Budget = Budget::Fraction(0.1);

/// Attention sinks that StreamingLLM keeps.
const SINKS: usize = 4;

/// What an eviction by a ranking keeps of every head: the forced-keep tokens, then the top of the ranking, as
/// many as the head was allotted (see [`selection()`]).
///
/// # Errors
/// [`SessionError::Internal`] if the allocation is not of the ranking's layers and heads.
pub fn evict(
    rankings: &Rankings,
    forced_keep: ForcedKeep,
    allocation: &BudgetAllocation,
) -> Result<Evicted, SessionError> {
    let heads = rankings.heads();
    if (allocation.layers(), allocation.heads()) != (rankings.layers(), heads) {
        return Err(SessionError::Internal {
            reason: "the budgets of the heads are not those of the heads that were ranked"
                .to_owned(),
        });
    }
    let tokens = |layer: usize, head: usize| {
        let tokens = allocation.tokens().get(layer * heads + head);
        tokens.copied().unwrap_or(0)
    };
    let kept = selected(rankings, forced_keep, tokens);
    Evicted::new(kept, rankings.prompt_tokens())
}

/// `[L][heads][tokens of the head]`, ascending.
fn selected(
    rankings: &Rankings,
    forced_keep: ForcedKeep,
    tokens: impl Fn(usize, usize) -> usize,
) -> Vec<Vec<Vec<u32>>> {
    let positions = |layer: usize, head: usize| {
        let kept = selection(rankings, layer, head, forced_keep, tokens(layer, head));
        let positions = kept.iter().zip(0_u32..);
        positions
            .filter_map(|(&kept, position)| kept.then_some(position))
            .collect()
    };
    (0..rankings.layers())
        .map(|layer| {
            (0..rankings.heads())
                .map(|head| positions(layer, head))
                .collect()
        })
        .collect()
}

/// Which tokens are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Method {
    /// Sum over the last W prompt rows, max pooling with kernel 7; the last W are always kept.
    SnapKv,
    /// As LAQ's repository has H2O: SnapKV without pooling.
    H2o,
    /// The first four tokens and the most recent ones.
    Streaming,
}

/// Whose selection it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sharing {
    /// Each query head keeps its own tokens: keys and values are expanded to H heads before they are cached
    /// (as released).
    QueryHead,
    /// The query heads of a key/value head share what the mean of their scores selects.
    KvHead,
}

/// An eviction with its options.
#[derive(Debug, Clone)]
pub(crate) struct Eviction {
    method: Method,
    budget: Budget,
    rows: usize,
    sharing: Sharing,
}

impl Eviction {
    /// Reads `method=snapkv|h2o|streaming`, `budget=256|10%`, `stage-w=W` and `heads=query|kv`.
    pub(crate) fn from_options(options: &mut WindowOptions<'_>) -> Result<Self, SessionError> {
        Ok(Self {
            budget: options.budget(DEFAULT_BUDGET)?,
            method: options.choice(
                "method",
                &[
                    ("snapkv", Method::SnapKv),
                    ("h2o", Method::H2o),
                    ("streaming", Method::Streaming),
                ],
            )?,
            rows: options.count("stage-w", PUBLISHED_ROWS)?,
            sharing: options.choice(
                "heads",
                &[("query", Sharing::QueryHead), ("kv", Sharing::KvHead)],
            )?,
        })
    }

    pub(crate) fn needs(&self) -> Needs {
        Needs {
            last_rows: match self.method {
                Method::SnapKv | Method::H2o => self.rows,
                Method::Streaming => 0,
            },
            ..Needs::default()
        }
    }

    /// Tokens that each head keeps of a prompt.
    pub(crate) fn kept_tokens(&self, prompt_tokens: usize) -> usize {
        self.budget.tokens(prompt_tokens)
    }

    /// Operations of scoring the prompt.
    pub(crate) fn flops(&self, config: &ModelConfig, prompt_tokens: usize) -> f64 {
        config.scoring_flops(self.needs().last_rows.min(prompt_tokens), prompt_tokens)
    }

    /// Ranking the prompt, then decoding `room` tokens on what is kept.
    pub(crate) fn memory(&self, run: &RunShape<'_>, room: usize) -> Memory {
        let heads = match self.sharing {
            Sharing::QueryHead => run.config.query_heads,
            Sharing::KvHead => run.config.kv_heads,
        };
        let ranking = match self.needs().last_rows.min(run.prompt_tokens) {
            0 => Memory::default(),
            rows => run.ranked(rows),
        };
        let slots = self.kept_tokens(run.prompt_tokens).saturating_add(room);
        let cache = run.beside_the_model(run.cache(heads, slots));
        ranking.max(cache + run.forward(1, slots))
    }

    /// A copy of the prompt's cache with what the eviction keeps, and room for `room` more tokens.
    pub(crate) fn run(
        &self,
        model: &Model,
        prefilled: &mut Prefilled,
        room: usize,
        cancel: &CancelFlag,
    ) -> Result<KvCache, SessionError> {
        let kept = self.kept(model, prefilled, cancel)?;
        let kept = Evicted::new(kept, prefilled.prompt_tokens())?;
        prefilled.prompt_cache().keeping(kept, room)
    }

    /// `[L][heads][kept]`, ascending.
    fn kept(
        &self,
        model: &Model,
        prefilled: &Prefilled,
        cancel: &CancelFlag,
    ) -> Result<Vec<Vec<Vec<u32>>>, SessionError> {
        let prompt_tokens = prefilled.prompt_tokens();
        let kept = self.kept_tokens(prompt_tokens);
        let config = model.config();
        let heads = match self.sharing {
            Sharing::QueryHead => config.query_heads,
            Sharing::KvHead => config.kv_heads,
        };
        if self.method == Method::Streaming {
            let sinks = SINKS.min(kept);
            let recent = prompt_tokens - (kept - sinks);
            let positions: Vec<u32> = (0..sinks)
                .chain(recent..prompt_tokens)
                .map(|position| position as u32)
                .collect();
            return Ok(vec![vec![positions; heads]; config.layers]);
        }
        let forced_keep = ForcedKeep {
            sinks: 0,
            recent: self.rows,
        };
        let rankings = self.rank(model, prefilled, forced_keep, cancel)?;
        Ok(selected(&rankings, forced_keep, |_, _| kept))
    }

    fn rank(
        &self,
        model: &Model,
        prefilled: &Prefilled,
        forced_keep: ForcedKeep,
        cancel: &CancelFlag,
    ) -> Result<Rankings, SessionError> {
        let scoring = Scoring {
            keys: KeySet::Causal,
            reduce: RowReduction::Sum,
            pool: match self.method {
                Method::SnapKv => Pooling::Max { kernel: 7 },
                Method::H2o | Method::Streaming => Pooling::None,
            },
            group: match self.sharing {
                Sharing::QueryHead => GroupReduction::None,
                Sharing::KvHead => GroupReduction::Mean,
            },
            ..Scoring::default()
        };
        let count = self.rows.min(prefilled.prompt_tokens());
        let info = ObservationInfo {
            label: "eviction".to_owned(),
            scoring,
            keep_rule: forced_keep.into(),
            token_ids: Vec::new(),
            ready_made: None,
            reduced: None,
            cost: Cost::default(),
        };
        let rows = prefilled.last_rows(count)?;
        let observation = Observation::by_queries(info, rows)?;
        let keys = prefilled.keys_for_scoring(model)?.stopped_by(cancel);
        let importance = keys.importance_as_published(&observation)?;
        Ok(Rankings::of(&importance, ForcedKeep::default())?)
    }
}
