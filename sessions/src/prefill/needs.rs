//! What windows need of the pass over the prompt.

use std::collections::{BTreeMap, BTreeSet};

use candle_core::Tensor;

use super::column_sums::ColumnSums;
use super::query_moments::QueryMoments;
use crate::SessionError;
use crate::model::{KvCache, ModelConfig};

/// What a window needs to be kept while the prompt runs, and the room that it needs behind the prompt.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Needs {
    /// How many of the last prompt tokens' queries to keep.
    pub last_rows: usize,
    /// How many tokens the window may put into the prompt's cache behind the prompt.
    pub extra_tokens: usize,
    /// How many positions behind the prompt the window may use.
    pub extra_positions: usize,
    /// Whether to sum up the attention that all prompt rows pay to each prompt token.
    pub column_sums: bool,
    /// Take mean and covariance of the queries of all rows but so many first ones, for each number here.
    pub query_moments: BTreeSet<usize>,
}

impl Needs {
    /// What serves both.
    #[must_use]
    pub fn and(mut self, other: &Self) -> Self {
        self.last_rows = self.last_rows.max(other.last_rows);
        self.extra_tokens = self.extra_tokens.max(other.extra_tokens);
        self.extra_positions = self.extra_positions.max(other.extra_positions);
        self.column_sums |= other.column_sums;
        self.query_moments.extend(&other.query_moments);
        self
    }
}

/// What is accumulated over all rows of the prompt, so that their queries need not be kept.
#[derive(Debug)]
pub(super) struct Passes {
    column_sums: Option<ColumnSums>,
    query_moments: BTreeMap<usize, QueryMoments>,
}

impl Passes {
    pub(super) fn new(needs: &Needs, config: &ModelConfig, prompt_tokens: usize) -> Self {
        Self {
            column_sums: needs.column_sums.then(|| ColumnSums::new(config)),
            query_moments: needs
                .query_moments
                .iter()
                .map(|&skipped| {
                    let moments = QueryMoments::new(config, prompt_tokens, skipped);
                    (skipped, moments)
                })
                .collect(),
        }
    }

    /// Whether they take in every row of the prompt.
    pub(super) fn want_all_rows(&self) -> bool {
        self.column_sums.is_some() || !self.query_moments.is_empty()
    }

    /// Takes in a layer's rows `[H, R, D]` and `[H, R]` at cache indices from `first_index` on, whose keys
    /// are in the cache.
    pub(super) fn offer(
        &mut self,
        layer: usize,
        first_index: usize,
        queries: &Tensor,
        log_sum_exp: &Tensor,
        cache: &KvCache,
    ) -> Result<(), SessionError> {
        if let Some(sums) = &mut self.column_sums {
            let keys = cache.keys(layer, cache.len())?;
            sums.offer(layer, first_index, queries, log_sum_exp, &keys)?;
        }
        for moments in self.query_moments.values_mut() {
            moments.offer(layer, first_index, queries)?;
        }
        Ok(())
    }

    pub(super) fn column_sums(&self) -> Result<&ColumnSums, SessionError> {
        self.column_sums
            .as_ref()
            .ok_or_else(|| not_asked_for("sums of attention"))
    }

    pub(super) fn query_moments(&self, skipped: usize) -> Result<&QueryMoments, SessionError> {
        self.query_moments
            .get(&skipped)
            .ok_or_else(|| not_asked_for("mean and covariance of queries"))
    }
}

fn not_asked_for(what: &str) -> SessionError {
    SessionError::Plan {
        reason: format!("prefill kept no {what}, because the window did not ask for it"),
    }
}
