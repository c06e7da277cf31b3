//! The last prompt window: the queries of the last W prompt tokens, as SnapKV observes with
//! (Li et al. 2024, arXiv 2404.14469, and its repository).

use std::time::Instant;

use kvlens_analysis::{
    ForcedKeep, GroupOrder, GroupReduction, KeySet, Pooling, RowReduction, Scoring,
};

use super::{ObservationWindow, WindowLabel};
use crate::SessionError;
use crate::model::Model;
use crate::observation::{Cost, Observation, ObservationInfo};
use crate::prefill::{Prefilled, RunControl};

/// W of SnapKV's LongBench configurations.
const PUBLISHED_ROWS: usize = 32;

/// The queries of prompt positions T-W..T-1.
#[derive(Debug, Clone)]
pub struct LastPrompt {
    label: String,
    rows: usize,
}

impl LastPrompt {
    /// From `last`, `last:W` or `last:w=W`.
    ///
    /// # Errors
    /// [`SessionError::Plan`] for other options or a W of 0.
    pub fn from_label(label: &WindowLabel) -> Result<Self, SessionError> {
        Ok(Self {
            label: label.text().to_owned(),
            rows: label.only_count("w", PUBLISHED_ROWS)?,
        })
    }
}

impl ObservationWindow for LastPrompt {
    fn label(&self) -> &str {
        &self.label
    }

    fn prompt_rows(&self) -> usize {
        self.rows
    }

    /// Sum over the rows, max pooling with kernel 7, each query head on its own: SnapKV's LongBench setting.
    fn scoring(&self) -> Scoring {
        Scoring {
            keys: KeySet::Causal,
            reduce: RowReduction::Sum,
            pool: Pooling::Max { kernel: 7 },
            group: GroupReduction::None,
            group_order: GroupOrder::PoolFirst,
        }
    }

    /// SnapKV always keeps its own window.
    fn forced_keep(&self) -> ForcedKeep {
        ForcedKeep {
            sinks: 0,
            recent: self.rows,
        }
    }

    /// A prompt shorter than W is observed with all its rows.
    fn observe(
        &self,
        model: &Model,
        prefilled: &mut Prefilled,
        _control: &mut RunControl<'_>,
    ) -> Result<Observation, SessionError> {
        let started = Instant::now();
        let prompt_tokens = prefilled.prompt_tokens();
        let count = self.rows.min(prompt_tokens);
        let first = prompt_tokens - count;
        let rows = prefilled.last_rows(count)?;
        let bytes = rows.queries.elem_count() * rows.queries.dtype().size_in_bytes()
            + rows.log_sum_exp.elem_count() * 4;
        let info = ObservationInfo {
            label: self.label.clone(),
            scoring: self.scoring(),
            forced_keep: self.forced_keep(),
            token_ids: prefilled.prompt_ids().iter().skip(first).copied().collect(),
            cost: Cost {
                rows: count,
                seconds: started.elapsed().as_secs_f64(),
                flops: model.config().scoring_flops(count, prompt_tokens),
                extra_tokens: 0,
                peak_bytes: bytes,
            },
        };
        let positions = (first as u32..prompt_tokens as u32).collect();
        let visible_keys = (first as u32 + 1..=prompt_tokens as u32).collect();
        Observation::new(info, rows, positions, visible_keys)
    }
}
