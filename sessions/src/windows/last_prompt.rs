//! The last prompt window: the queries of the last W prompt tokens, as SnapKV observes with
//! (Li et al. 2024, arXiv 2404.14469, and its repository), and SnapKV as three programs have it.
//!
//! All sum or average the W causal rows, which rank alike, cut the window's own columns off before they pool, and
//! always keep the window. They differ in the rest:
//!
//! | window | W | pooling | query heads that share a key/value head |
//! |---|---|---|---|
//! | `snapkv` (and `last`) | 32 | maximum of 7 | each on its own |
//! | `snapkv-kvpress` (defaults of kvpress' `SnapKVPress`) | 64 | mean of 5, padding counted | mean, after pooling |
//! | `snapkv-adakv` (AdaKV's repository, with grouping) | 32 | maximum of 7 | mean, before pooling |

use kvlens_analysis::{ForcedKeep, GroupOrder, GroupReduction, Pooling, RowReduction, Scoring};

use super::{Observe, Observed, Run, Window, WindowOptions, snapkv_scoring};
use crate::SessionError;
use crate::prefill::Needs;

/// W of SnapKV's LongBench configurations.
const PUBLISHED_ROWS: usize = 32;

/// W of kvpress.
const KVPRESS_ROWS: usize = 64;

/// The queries of prompt positions T-W..T-1; of a shorter prompt, all.
struct LastPrompt {
    rows: usize,
}

/// From `last`, `last:W` or `last:w=W`; also `snapkv`. SnapKV always keeps its own window.
pub(super) fn last_prompt(options: &mut WindowOptions<'_>) -> Result<Window, SessionError> {
    window(options, PUBLISHED_ROWS, snapkv_scoring())
}

/// From `snapkv-kvpress[:w=64]`.
pub(super) fn snapkv_kvpress(options: &mut WindowOptions<'_>) -> Result<Window, SessionError> {
    let scoring = Scoring {
        pool: Pooling::Average { kernel: 5 },
        group: GroupReduction::Mean,
        group_order: GroupOrder::PoolFirst,
        ..Scoring::default()
    };
    window(options, KVPRESS_ROWS, scoring)
}

/// From `snapkv-adakv[:w=32]`.
pub(super) fn snapkv_adakv(options: &mut WindowOptions<'_>) -> Result<Window, SessionError> {
    let scoring = Scoring {
        reduce: RowReduction::Mean,
        group: GroupReduction::Mean,
        group_order: GroupOrder::GroupFirst,
        ..snapkv_scoring()
    };
    window(options, PUBLISHED_ROWS, scoring)
}

fn window(
    options: &mut WindowOptions<'_>,
    rows: usize,
    scoring: Scoring,
) -> Result<Window, SessionError> {
    let rows = options.main_count("w", rows)?;
    let window = Window::by_rows(LastPrompt { rows }).scored(scoring);
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
