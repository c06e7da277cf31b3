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
//! Left open by the sources: the first stage's budget (the released script takes that of the final
//! eviction; here `budget=10%`). The first token is fed even if it ends the text.

use std::time::Instant;

use candle_core::{Device, Tensor};
use kvlens_analysis::{ForcedKeep, KeySet, Scoring};

use super::greedy::GreedyRun;
use super::{ObservationWindow, WindowLabel, snapkv_scoring};
use crate::estimate::{RunShape, WindowMemory};
use crate::eviction::Eviction;
use crate::log_sum_exp::LooseRows;
use crate::model::{CapturedRows, KvCache, Model, RowCapture};
use crate::observation::{Cost, Observation, QueryRows};
use crate::prefill::{Needs, Prefilled, RunControl};
use crate::{CancelFlag, SessionError};

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
#[derive(Debug, Clone)]
pub struct Lookahead {
    label: String,
    tokens: usize,
    prompt_rows: usize,
    mask: Mask,
    eviction: Eviction,
}

/// Stage 1 of one prompt.
struct LookedAhead {
    ids: Vec<u32>,
    rows: CapturedRows,
    /// `[L, heads of the evicted cache, n, D]`, on the CPU.
    own_keys: Tensor,
    cache_bytes: usize,
}

impl Lookahead {
    /// From `laq[:n=8,budget=10%,method=snapkv|h2o|streaming,stage-w=32,heads=query|kv,mask=causal|as-released]`.
    ///
    /// # Errors
    /// [`SessionError::Plan`] for any other option.
    pub fn laq(label: &WindowLabel) -> Result<Self, SessionError> {
        Self::from_label(label, false)
    }

    /// From `laq++[:w=8,...]`, with the options of [`laq`](Self::laq).
    ///
    /// # Errors
    /// [`SessionError::Plan`] for any other option.
    pub fn laq_plus_plus(label: &WindowLabel) -> Result<Self, SessionError> {
        Self::from_label(label, true)
    }

    fn from_label(label: &WindowLabel, with_prompt_rows: bool) -> Result<Self, SessionError> {
        let mut options = label.options();
        let window = Self {
            label: label.text().to_owned(),
            tokens: options.main_count("n", PUBLISHED_TOKENS)?,
            prompt_rows: if with_prompt_rows {
                options.count("w", PUBLISHED_ROWS)?
            } else {
                0
            },
            mask: options.choice(
                "mask",
                &[("causal", Mask::Causal), ("as-released", Mask::AsReleased)],
            )?,
            eviction: Eviction::from_options(&mut options)?,
        };
        options.finish()?;
        Ok(window)
    }

    fn look_ahead(
        &self,
        model: &Model,
        prefilled: &mut Prefilled,
        control: &mut RunControl<'_>,
    ) -> Result<LookedAhead, SessionError> {
        let mut cache = self
            .eviction
            .run(model, prefilled, self.tokens, control.cancel)?;
        let kept = cache.len();
        let mut capture = RowCapture::new(model.config().layers, kept);
        let run = GreedyRun {
            model,
            first_logits: prefilled.last_logits().clone(),
            first_position: prefilled.prompt_tokens() as u32,
            most_tokens: self.tokens,
            ignore_eos: false,
        };
        let ids = run.run(&mut cache, Some(&mut capture), control)?;
        Ok(LookedAhead {
            own_keys: keys_behind(&cache, model.config().layers, kept)?,
            rows: capture.finish()?,
            ids,
            cache_bytes: cache.bytes(),
        })
    }

    /// The lookahead rows as stage 2 sees the full prompt with them, behind `prompt_rows` rows of the prompt.
    fn lookahead_rows(
        &self,
        model: &Model,
        prefilled: &Prefilled,
        ahead: &LookedAhead,
        prompt_rows: usize,
        cancel: &CancelFlag,
    ) -> Result<QueryRows, SessionError> {
        let first = prefilled.prompt_tokens() as u32;
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
        let keys = prefilled.keys_for_scoring(model)?.stopped_by(cancel);
        let log_sum_exp = keys.log_sum_exp(&LooseRows {
            queries: &ahead.rows.queries,
            visible_keys: &visible_keys,
            keys_behind,
        })?;
        let rows = CapturedRows {
            queries: ahead.rows.queries.clone(),
            log_sum_exp,
        };
        QueryRows::new(rows, positions, visible_keys)
    }

    /// The last `count` prompt rows as stage 2 sees the prompt with them, before `lookahead_rows` others.
    fn window_rows(
        &self,
        model: &Model,
        prefilled: &Prefilled,
        count: usize,
        lookahead_rows: usize,
        cancel: &CancelFlag,
    ) -> Result<QueryRows, SessionError> {
        let rows = QueryRows::last_of_prompt(prefilled, count)?;
        if self.mask == Mask::Causal {
            return Ok(rows);
        }
        let all_rows = (count + lookahead_rows) as u32;
        let visible_keys: Vec<u32> = released_keys(prefilled.prompt_tokens() as u32, all_rows)
            .take(count)
            .collect();
        let keys = prefilled.keys_for_scoring(model)?.stopped_by(cancel);
        let log_sum_exp = keys.log_sum_exp(&LooseRows {
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
            Ok(keys.narrow(1, kept, behind)?.to_device(&Device::Cpu)?)
        })
        .collect::<Result<Vec<_>, SessionError>>()?;
    Ok(Tensor::stack(&keys, 0)?)
}

impl ObservationWindow for Lookahead {
    fn label(&self) -> &str {
        &self.label
    }

    fn needs(&self) -> Needs {
        let own = Needs {
            last_rows: self.prompt_rows,
            extra_positions: self.tokens,
            ..Needs::default()
        };
        own.and(&self.eviction.needs())
    }

    fn scoring(&self) -> Scoring {
        Scoring {
            keys: KeySet::Prompt,
            ..snapkv_scoring()
        }
    }

    /// LAQ keeps nothing by force, LAQ++ its last W prompt tokens.
    fn forced_keep(&self) -> ForcedKeep {
        ForcedKeep {
            sinks: 0,
            recent: self.prompt_rows,
        }
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

    fn observe(
        &self,
        model: &Model,
        prefilled: &mut Prefilled,
        control: &mut RunControl<'_>,
    ) -> Result<Observation, SessionError> {
        let started = Instant::now();
        let prompt_tokens = prefilled.prompt_tokens();
        let window = self.prompt_rows.min(prompt_tokens);
        let ahead = self.look_ahead(model, prefilled, control)?;
        let mut rows = self.lookahead_rows(model, prefilled, &ahead, window, control.cancel)?;
        let mut token_ids: Vec<u32> = Vec::new();
        if window > 0 {
            let prompt_rows =
                self.window_rows(model, prefilled, window, ahead.ids.len(), control.cancel)?;
            rows = QueryRows::concatenate(&[&prompt_rows, &rows])?;
            let first = prompt_tokens - window;
            token_ids.extend(prefilled.prompt_ids().iter().skip(first));
        }
        token_ids.extend(&ahead.ids);
        let (config, fed) = (model.config(), ahead.ids.len());
        let kept = self.eviction.kept_tokens(prompt_tokens);
        let cost = Cost {
            rows: rows.count(),
            seconds: started.elapsed().as_secs_f64(),
            flops: self.eviction.flops(config, prompt_tokens)
                + config.forward_flops(fed, kept, fed - 1)
                + config.scoring_flops(rows.count(), prompt_tokens),
            extra_tokens: fed,
            peak_bytes: ahead.cache_bytes + rows.bytes(),
        };
        Observation::by_queries(self.info(token_ids, cost), rows)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_released_mask_ends_at_the_last_prompt_key() {
        // LAQ with n = 3 on 10 tokens: the last row sees all, the one before it loses one
        assert_eq!(released_keys(10, 3).collect::<Vec<_>>(), [8, 9, 10]);
        // LAQ++ with W = n = 2: prompt row 0 stands at position 8 and would see 9 keys
        assert_eq!(released_keys(10, 4).collect::<Vec<_>>(), [7, 8, 9, 10]);
    }

    #[test]
    fn options_are_read_and_others_refused() {
        let laq = |text: &str| Lookahead::laq(&text.parse().unwrap());
        assert_eq!(laq("laq:4").unwrap().tokens, 4);
        assert_eq!(laq("laq").unwrap().needs().last_rows, 32);
        assert_eq!(laq("laq:method=streaming").unwrap().needs().last_rows, 0);
        assert!(laq("laq:w=8").unwrap_err().to_string().contains("'w'"));
        assert!(laq("laq:mask=square").is_err());
        assert!(laq("laq:budget=0").is_err());
        let plus = Lookahead::laq_plus_plus(&"laq++:w=16,n=2".parse().unwrap()).unwrap();
        assert_eq!(plus.forced_keep().recent, 16);
        assert_eq!(plus.label(), "laq++:w=16,n=2");
    }
}
