//! Attention rows head by head, as the questions about steps and places need them.

use anyhow::{Result, bail};
use kvlens_analysis::drift::HeadRows;
use kvlens_analysis::{AttentionRows, GroupReduction, SideScoring};
use kvlens_sessions::{CapturedSample, QueryRows};

/// Told how many key/value heads are done and how many there are, before each of them; an error stops the work.
pub type OnHead<'a> = &'a mut dyn FnMut(usize, usize) -> Result<()>;

/// Hands the rows of every head of one side to `ask`, by layer, then head; gives the answers `[L, heads]`. Heads that
/// share a group's rows are each asked with them.
/// Only the rows of one key/value head are held at a time, `[H / G, W, T]`, or of one layer where that is one head.
///
/// # Errors
/// Rows that are not of the sample's model, and what `on_head` and `ask` refuse.
pub fn by_head<A>(
    captured: &CapturedSample,
    rows: &QueryRows,
    side: SideScoring,
    on_head: OnHead<'_>,
    mut ask: impl FnMut(usize, usize, HeadRows<'_>) -> Result<A>,
) -> Result<Vec<A>> {
    if !side.scoring.weight.is_none() {
        bail!("steps and places are told of attention alone; leave out the weight by values");
    }
    let (layers, kv_heads, prompt_tokens, _) = captured.keys().shape();
    let SideScoring {
        scoring,
        boundary,
        per_query_head,
    } = side;
    let kv_heads_together = match scoring.group {
        GroupReduction::Layer => kv_heads.max(1),
        GroupReduction::None | GroupReduction::Mean | GroupReduction::Max => 1,
    };
    let mut answers = Vec::new();
    for layer in 0..layers {
        let mut head = 0;
        for first in (0..kv_heads).step_by(kv_heads_together) {
            let mut weights = Vec::new();
            for kv_head in first..first + kv_heads_together {
                on_head(layer * kv_heads + kv_head, layers * kv_heads)?;
                weights.extend(captured.keys().attention_rows(rows, layer, kv_head)?);
            }
            let together: Vec<AttentionRows<'_>> = weights
                .iter()
                .map(|weights| AttentionRows {
                    weights,
                    rows: rows.count(),
                    prompt_tokens,
                })
                .collect();
            let size = scoring.group.size(together.len(), together.len()).max(1);
            for query_heads in together.chunks(size) {
                let rows = HeadRows {
                    query_heads,
                    scoring,
                    boundary,
                };
                let heads = if per_query_head { size } else { 1 };
                for _ in 0..heads {
                    answers.push(ask(layer, head, rows)?);
                    head += 1;
                }
            }
        }
    }
    Ok(answers)
}
