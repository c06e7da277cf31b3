//! Where a window sits: recall of W consecutive queries, swept from the prompt into the generation (the
//! figure that motivates LAQ, arXiv 2505.20334).
//!
//! A session keeps the queries of its windows and of the decode stage. The sweep takes the `last:W` window
//! with the most rows and the decode stage behind it, so `--windows last:N` with N as long as the prompt
//! sweeps the whole of it.

use anyhow::Result;
use kvlens_analysis::drift::{HeadRows, PlaceInput, PlacedRecall, recall_by_place};
use kvlens_analysis::{ForcedKeep, SideScoring};
use kvlens_sessions::{CapturedSample, Observation, QueryRows};
use serde::{Deserialize, Serialize};

use super::head_rows::{OnHead, by_head};
use super::{MeasureOptions, oracle_observation};

/// How a window is swept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sweep {
    /// W: queries of one window.
    pub width: usize,
    /// Positions from one window to the next.
    pub stride: usize,
}

impl Sweep {
    /// A window of `width` queries that is moved by half its width.
    #[must_use]
    pub const fn by_halves(width: usize) -> Self {
        Self {
            width,
            stride: if width > 1 { width / 2 } else { 1 },
        }
    }
}

/// Recall of every place of the window, for every query head; none where the session keeps no run of
/// queries that ends with the prompt and is at least as long as the window, and none where the question comes after the
/// prompt.
///
/// Where queries are compared the windows are scored as everything is; where methods are compared, as SnapKV scores
/// them, but for the options' overrides.
///
/// # Errors
/// What the sample's tensors or the numerics refuse, and what `on_head` does.
pub fn sweep_places(
    captured: &CapturedSample,
    options: &MeasureOptions,
    sweep: Sweep,
    budgets: &[usize],
    on_head: OnHead<'_>,
) -> Result<Option<Vec<Vec<PlacedRecall>>>> {
    let prompt_tokens = captured.record.prompt_ids.len();
    let decode = captured.decode_rows()?;
    let Some(prompt_end) = longest_prompt_end(captured, prompt_tokens) else {
        return Ok(None);
    };
    let rows = QueryRows::concatenate(&[prompt_end.rows, decode])?;
    // a question that comes after the prompt stands between the two, and its queries are not kept
    if rows.count() < sweep.width || captured.record.asked_later.is_some() {
        return Ok(None);
    }
    let observation = oracle_observation(captured, options)?;
    let truth = captured
        .keys()
        .importance(&observation, options.truth_scoring())?;
    let first_position = prompt_tokens - prompt_end.rows.count();
    // a window inside the prompt has no tokens of its own at the end that pooling would have to spare
    let side = SideScoring {
        boundary: ForcedKeep::default(),
        ..options.window_scoring(prompt_end.observation.published_side())
    };
    let ask = |layer: usize, head: usize, rows: HeadRows<'_>| {
        Ok(recall_by_place(PlaceInput {
            rows,
            first_position,
            width: sweep.width,
            stride: sweep.stride,
            truth: truth.head_scores(layer, head, options.exempt),
            budgets,
        })?)
    };
    by_head(captured, &rows, side, on_head, ask).map(Some)
}

/// How many queries at the end of the prompt the session keeps for such a sweep; 0 where none.
pub fn prompt_queries(captured: &CapturedSample) -> usize {
    let prompt_tokens = captured.record.prompt_ids.len();
    longest_prompt_end(captured, prompt_tokens).map_or(0, |end| end.rows.count())
}

struct PromptEnd<'a> {
    observation: &'a Observation,
    rows: &'a QueryRows,
}

/// The window with the most rows that are the last ones of the prompt, in their order.
fn longest_prompt_end(captured: &CapturedSample, prompt_tokens: usize) -> Option<PromptEnd<'_>> {
    let windows = captured.windows().iter();
    let ends = windows.filter_map(|observation| {
        let rows = observation.query_rows()?;
        let first = prompt_tokens.checked_sub(rows.count())? as u32;
        let of_prompt = (first..prompt_tokens as u32).eq(rows.positions().iter().copied());
        let sees_itself =
            (first + 1..=prompt_tokens as u32).eq(rows.visible_keys().iter().copied());
        (of_prompt && sees_itself).then_some(PromptEnd { observation, rows })
    });
    ends.reduce(
        |longest, end| match end.rows.count() > longest.rows.count() {
            true => end,
            false => longest,
        },
    )
}
