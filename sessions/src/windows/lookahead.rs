//! Lookahead Q-Cache: LAQ and LAQ++ (arXiv 2505.20334, EMNLP 2025, and its repository
//! github.com/noforit/Lookahead_Q-Cache, which the details here follow).
//!
//! Stage 1 cuts a copy of the prompt's cache down ([`Eviction`]), decodes n tokens greedily on it at
//! positions T..T+n-1 and keeps their queries `[L, H, n, D]`. Stage 2 scores the *full* prompt with those
//! alone (LAQ) or behind the last W prompt queries (LAQ++): softmax of every row over the prompt's keys, sum
//! over the rows, max pooling with kernel 7, each query head on its own; the last W tokens are always kept.
//!
//! The log-sum-exps kept here run over the prompt and, as in decoding, over the lookahead tokens' own keys up
//! to the row; the published key set `prompt` cuts that back to what the repository computes.
//! The released script gives the first stage the budget of the final eviction: `budget=final`. That takes one
//! lookahead for each budget, so the default is `budget=10%` at all of them, which flatters smaller budgets.
//! The first token is fed even if it ends the text.

use candle_core::Tensor;
use kvlens_analysis::{ForcedKeep, KeySet, Scoring};

use super::{Observe, Observed, Run, Window, WindowOptions, snapkv_scoring};
use crate::SessionError;
use crate::attention_rows::LooseRows;
use crate::eviction::Eviction;
use crate::footprint::{RunShape, WindowMemory};
use crate::greedy::GreedyRun;
use crate::model::{CapturedRows, KeptQueries, KvCache, on_cpu};
use crate::observation::QueryRows;
use crate::prefill::Needs;

/// n of the paper and the repository.
const PUBLISHED_TOKENS: usize = 8;

/// W of LAQ++ in the repository.
const PUBLISHED_ROWS: usize = 8;

/// Which prompt keys a row of stage 2 sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mask {
    /// Every row sees what stands before it: a lookahead row the whole prompt.
    Causal,
    /// The released code lays a triangular mask of all R rows over the last R *prompt* keys, although n of the
    /// rows stand behind the prompt: row r sees the keys up to T - R + r.
    AsReleased,
}

/// LAQ (W = 0) and LAQ++.
struct Lookahead {
    tokens: usize,
    prompt_rows: usize,
    mask: Mask,
    eviction: Eviction,
}

/// Stage 1 of one prompt.
struct LookedAhead {
    ids: Vec<u32>,
    /// `[L, H, n, D]`, on the CPU.
    queries: Tensor,
    /// `[L, heads of the evicted cache, n, D]`, on the CPU.
    own_keys: Tensor,
}

/// From `laq[:n=8,budget=10%|final[@5%+10%...],method=snapkv|h2o|streaming,stage-w=32,heads=query|kv,mask=causal|as-released]`.
/// LAQ keeps nothing by force.
pub(super) fn laq(options: &mut WindowOptions<'_>) -> Result<Window, SessionError> {
    Ok(window(Lookahead::from_options(options, 0)?))
}

/// From `laq++[:w=8,...]`, with the options of [`laq`]. LAQ++ keeps its last W prompt tokens.
pub(super) fn laq_plus_plus(options: &mut WindowOptions<'_>) -> Result<Window, SessionError> {
    let prompt_rows = options.count("w", PUBLISHED_ROWS)?;
    Ok(window(Lookahead::from_options(options, prompt_rows)?))
}

fn window(lookahead: Lookahead) -> Window {
    let keep = ForcedKeep {
        sinks: 0,
        recent: lookahead.prompt_rows,
    };
    let scoring = Scoring {
        keys: KeySet::Prompt,
        ..snapkv_scoring()
    };
    Window::by_rows(lookahead).scored(scoring).keeping(keep)
}

impl Lookahead {
    fn from_options(
        options: &mut WindowOptions<'_>,
        prompt_rows: usize,
    ) -> Result<Self, SessionError> {
        Ok(Self {
            tokens: options.main_count("n", PUBLISHED_TOKENS)?,
            prompt_rows,
            mask: options.choice(
                "mask",
                &[("causal", Mask::Causal), ("as-released", Mask::AsReleased)],
            )?,
            eviction: Eviction::from_options(options)?,
        })
    }

    fn look_ahead(&self, run: &mut Run<'_>) -> Result<LookedAhead, SessionError> {
        let (model, config, prompt_tokens) = (run.model, run.config(), run.prompt_tokens());
        let cancel = run.control.cancel;
        let mut cache = self
            .eviction
            .run(model, run.prefilled, self.tokens, cancel)?;
        let kept = cache.len();
        let mut queries = KeptQueries::new(config.layers, kept);
        let decoding = GreedyRun {
            model,
            first_logits: run.prefilled.last_logits().clone(),
            first_position: prompt_tokens as u32,
            most_tokens: self.tokens,
            ignore_eos: false,
        };
        let ids = decoding.run(&mut cache, &mut [&mut queries], &mut run.control)?;
        run.computed(self.eviction.flops(config, prompt_tokens));
        run.fed(config, ids.len(), kept, ids.len() - 1);
        run.held(cache.bytes());
        Ok(LookedAhead {
            own_keys: keys_behind(&cache, config.layers, kept)?,
            queries: queries.queries()?,
            ids,
        })
    }

    /// The lookahead rows as stage 2 sees the full prompt with them, behind `prompt_rows` rows of the prompt.
    fn lookahead_rows(
        &self,
        run: &Run<'_>,
        ahead: &LookedAhead,
        prompt_rows: usize,
    ) -> Result<QueryRows, SessionError> {
        let first = run.prompt_tokens() as u32;
        let count = ahead.ids.len() as u32;
        let positions: Vec<u32> = (first..first + count).collect();
        let (visible_keys, keys_behind): (Vec<u32>, _) = match self.mask {
            Mask::Causal => (
                positions.iter().map(|position| position + 1).collect(),
                Some(&ahead.own_keys),
            ),
            Mask::AsReleased => {
                let seen = released_keys(first, prompt_rows as u32 + count);
                (seen.skip(prompt_rows).collect(), None)
            }
        };
        let log_sum_exp = run.keys()?.log_sum_exp(&LooseRows {
            queries: &ahead.queries,
            visible_keys: &visible_keys,
            keys_behind,
        })?;
        let rows = CapturedRows {
            queries: ahead.queries.clone(),
            log_sum_exp,
        };
        QueryRows::new(rows, positions, visible_keys)
    }

    /// The last `count` prompt rows as stage 2 sees the prompt with them, before `lookahead_rows` others.
    fn window_rows(
        &self,
        run: &Run<'_>,
        count: usize,
        lookahead_rows: usize,
    ) -> Result<QueryRows, SessionError> {
        let rows = run.prefilled.last_rows(count)?;
        if self.mask == Mask::Causal {
            return Ok(rows);
        }
        let all_rows = (count + lookahead_rows) as u32;
        let visible_keys: Vec<u32> = released_keys(run.prompt_tokens() as u32, all_rows)
            .take(count)
            .collect();
        let log_sum_exp = run.keys()?.log_sum_exp(&LooseRows {
            queries: rows.queries(),
            visible_keys: &visible_keys,
            keys_behind: None,
        })?;
        let captured = CapturedRows {
            queries: rows.queries().clone(),
            log_sum_exp,
        };
        QueryRows::new(captured, rows.positions().to_vec(), visible_keys)
    }
}

/// For each of R rows the number of prompt keys that it sees under the released mask, at least one.
fn released_keys(prompt_tokens: u32, rows: u32) -> impl Iterator<Item = u32> {
    (0..rows).map(move |row| (prompt_tokens + row + 1).saturating_sub(rows).max(1))
}

/// Keys of the tokens behind the first `kept`, `[L, heads, n, D]`, on the CPU.
fn keys_behind(cache: &KvCache, layers: usize, kept: usize) -> Result<Tensor, SessionError> {
    let behind = cache.len() - kept;
    let keys = (0..layers)
        .map(|layer| {
            let keys = cache.keys(layer, cache.len())?;
            on_cpu(&keys.narrow(1, kept, behind)?)
        })
        .collect::<Result<Vec<_>, SessionError>>()?;
    Ok(Tensor::stack(&keys, 0)?)
}

impl Observe for Lookahead {
    fn needs(&self) -> Needs {
        let own = Needs {
            last_rows: self.prompt_rows,
            extra_positions: self.tokens,
            ..Needs::default()
        };
        own.and(&self.eviction.needs())
    }

    fn memory(&self, run: &RunShape<'_>) -> Result<WindowMemory, SessionError> {
        let prompt_rows = self.prompt_rows.min(run.prompt_tokens);
        let rows = run.observed_by_rows(prompt_rows.saturating_add(self.tokens), 0);
        let first_stage = self.eviction.memory(run, self.tokens);
        let second_stage = run.weighed(self.tokens) + rows.working;
        Ok(WindowMemory {
            working: first_stage.max(second_stage),
            ..rows
        })
    }

    fn observe(&self, run: &mut Run<'_>) -> Result<Observed, SessionError> {
        let window = self.prompt_rows.min(run.prompt_tokens());
        let ahead = self.look_ahead(run)?;
        let rows = self.lookahead_rows(run, &ahead, window)?;
        if window == 0 {
            return Ok(Observed::rows(rows, ahead.ids));
        }
        let prompt_rows = self.window_rows(run, window, ahead.ids.len())?;
        let rows = QueryRows::concatenate(&[&prompt_rows, &rows])?;
        let token_ids = [run.last_ids(window), ahead.ids].concat();
        Ok(Observed::rows(rows, token_ids))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::windows::{WindowLabel, parse_window};

    #[test]
    fn the_released_mask_ends_at_the_last_prompt_key() {
        // LAQ with n = 3 on 10 tokens: the last row sees all, the one before it loses one
        assert_eq!(released_keys(10, 3).collect::<Vec<_>>(), [8, 9, 10]);
        // LAQ++ with W = n = 2: prompt row 0 stands at position 8 and would see 9 keys
        assert_eq!(released_keys(10, 4).collect::<Vec<_>>(), [7, 8, 9, 10]);
    }

    #[test]
    fn options_are_read_and_others_refused() {
        let laq = |text: &str| {
            let label: WindowLabel = text.parse().unwrap();
            parse_window(&label)?;
            Lookahead::from_options(&mut label.options(), 0)
        };
        assert_eq!(laq("laq:4").unwrap().tokens, 4);
        assert_eq!(laq("laq").unwrap().needs().last_rows, 32);
        assert_eq!(laq("laq:method=streaming").unwrap().needs().last_rows, 0);
        assert!(laq("laq:w=8").err().unwrap().to_string().contains("'w'"));
        assert!(laq("laq:mask=square").is_err());
        assert!(laq("laq:budget=0").is_err());
        let plus = parse_window(&"laq++:w=16,n=2".parse().unwrap()).unwrap();
        assert_eq!(plus.keep_rule().fixed.recent, 16);
        assert_eq!(plus.label(), "laq++:w=16,n=2");
    }
}
