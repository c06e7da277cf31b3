//! The last prompt window: the queries of the last W prompt tokens, as SnapKV observes with
//! (Li et al. 2024, arXiv 2404.14469, and its repository).

use std::time::Instant;

use kvlens_analysis::{ForcedKeep, Scoring};

use super::{ObservationWindow, WindowLabel, snapkv_scoring};
use crate::SessionError;
use crate::model::Model;
use crate::observation::{Cost, Observation};
use crate::prefill::{Needs, Prefilled, RunControl};

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
        let mut options = label.options();
        let rows = options.main_count("w", PUBLISHED_ROWS)?;
        options.finish()?;
        Ok(Self {
            label: label.text().to_owned(),
            rows,
        })
    }
}

impl ObservationWindow for LastPrompt {
    fn label(&self) -> &str {
        &self.label
    }

    fn needs(&self) -> Needs {
        Needs {
            last_rows: self.rows,
            ..Needs::default()
        }
    }

    /// Sum over the rows, max pooling with kernel 7, each query head on its own: SnapKV's LongBench setting.
    fn scoring(&self) -> Scoring {
        snapkv_scoring()
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
        let rows = prefilled.last_rows(count)?;
        let cost = Cost {
            rows: count,
            seconds: started.elapsed().as_secs_f64(),
            flops: model.config().scoring_flops(count, prompt_tokens),
            extra_tokens: 0,
            peak_bytes: rows.bytes(),
        };
        let first = prompt_tokens - count;
        let token_ids = prefilled.prompt_ids().iter().skip(first).copied().collect();
        Observation::by_queries(self.info(token_ids, cost), rows)
    }
}
