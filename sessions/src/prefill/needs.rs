//! What windows need of the pass over the prompt.

use std::collections::{BTreeMap, BTreeSet};

use super::column_sums::ColumnSums;
use super::query_moments::QueryMoments;
use crate::SessionError;
use crate::model::{Decoder, LayerTap};

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
    /// So many tokens behind the prompt, at the positions behind it.
    pub fn room(tokens: usize) -> Self {
        Self {
            extra_tokens: tokens,
            extra_positions: tokens,
            ..Self::default()
        }
    }

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
    pub(super) fn new(needs: &Needs, decoder: &Decoder, prompt_tokens: usize) -> Self {
        let config = decoder.config();
        let blocks = decoder.kernels().blocks;
        Self {
            column_sums: needs.column_sums.then(|| ColumnSums::new(config, blocks)),
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

    /// What looks at every row of the prompt.
    pub(super) fn taps(&mut self) -> impl Iterator<Item = &mut dyn LayerTap> {
        let sums = self.column_sums.iter_mut().map(|sums| sums as _);
        let moments = self.query_moments.values_mut().map(|moments| moments as _);
        sums.chain(moments)
    }

    /// Once the whole prompt was looked at.
    ///
    /// # Errors
    /// [`SessionError::Tensor`] if the device fails.
    pub(super) fn finish(&mut self) -> Result<(), SessionError> {
        let mut moments = self.query_moments.values_mut();
        moments.try_for_each(QueryMoments::bring)
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
    SessionError::Internal {
        reason: format!("prefill kept no {what}, because the window did not ask for it"),
    }
}
