//! Attention rows head by head, as the questions about steps and places need them.

use anyhow::Result;
use kvlens_analysis::drift::HeadRows;
use kvlens_analysis::{AttentionRows, ForcedKeep, GroupReduction, Scoring};
use kvlens_sessions::{CapturedSample, QueryRows};

/// Told how many key/value heads are done and how many there are, before each of them; an error stops the work.
pub type OnHead<'a> = &'a mut dyn FnMut(usize, usize) -> Result<()>;

/// Hands the rows of every head of a scoring to `ask`, by layer, then head; gives the answers `[L, heads]`.
/// Only the rows of one key/value head are held at a time, `[H / G, W, T]`.
///
/// # Errors
/// Rows that are not of the sample's model, and what `on_head` and `ask` refuse.
pub fn by_head<A>(
    captured: &CapturedSample,
    rows: &QueryRows,
    scoring: Scoring,
    boundary: ForcedKeep,
    on_head: OnHead<'_>,
    mut ask: impl FnMut(usize, usize, HeadRows<'_>) -> Result<A>,
) -> Result<Vec<A>> {
    let (layers, kv_heads, prompt_tokens, _) = captured.keys().tensor().dims4()?;
    let mut answers = Vec::new();
    for layer in 0..layers {
        for kv_head in 0..kv_heads {
            on_head(layer * kv_heads + kv_head, layers * kv_heads)?;
            let weights = captured.keys().attention_rows(rows, layer, kv_head)?;
            let group: Vec<AttentionRows<'_>> = weights
                .iter()
                .map(|weights| AttentionRows {
                    weights,
                    rows: rows.count(),
                    prompt_tokens,
                })
                .collect();
            let size = match scoring.group {
                GroupReduction::None => 1,
                GroupReduction::Mean | GroupReduction::Max => group.len().max(1),
            };
            for (place, query_heads) in group.chunks(size).enumerate() {
                let rows = HeadRows {
                    query_heads,
                    scoring,
                    boundary,
                };
                let head = kv_head * group.len() / size + place;
                answers.push(ask(layer, head, rows)?);
            }
        }
    }
    Ok(answers)
}
