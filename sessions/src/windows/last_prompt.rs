//! The last prompt window: the queries of the last W prompt tokens, as SnapKV observes with
//! (Li et al. 2024, arXiv 2404.14469, and its repository).

use kvlens_analysis::ForcedKeep;

use super::{Observe, Observed, Run, Window, WindowOptions, snapkv_scoring};
use crate::SessionError;
use crate::prefill::Needs;

/// W of SnapKV's LongBench configurations.
const PUBLISHED_ROWS: usize = 32;

/// The queries of prompt positions T-W..T-1; of a shorter prompt, all.
struct LastPrompt {
    rows: usize,
}

/// From `last`, `last:W` or `last:w=W`. SnapKV always keeps its own window.
pub(super) fn last_prompt(options: &mut WindowOptions<'_>) -> Result<Window, SessionError> {
    let rows = options.main_count("w", PUBLISHED_ROWS)?;
    let window = Window::by_rows(LastPrompt { rows }).scored(snapkv_scoring());
    Ok(window.keeping(ForcedKeep {
        sinks: 0,
        recent: rows,
    }))
}

impl Observe for LastPrompt {
    fn needs(&self) -> Needs {
        Needs {
            last_rows: self.rows,
            ..Needs::default()
        }
    }

    fn observe(&self, run: &mut Run<'_>) -> Result<Observed, SessionError> {
        run.last_rows(self.rows)
    }
}
