//! The query heads that share a key/value head, or a layer, collapsed to one.

use super::ReducedHead;
use crate::error::AnalysisError;
use crate::scoring::{GroupOrder, GroupReduction, Scoring};

/// One score per token of a group.
pub(crate) struct GroupScores {
    pub(crate) scores: Vec<f32>,
    /// The scores before pooling; none where pooling leaves them as they are.
    pub(crate) unpooled: Option<Vec<f32>>,
}

/// Pools and reduces the heads of one group; pooling stops at the position `cut`.
pub(crate) fn score_group(
    group: &[ReducedHead],
    scoring: Scoring,
    cut: usize,
) -> Result<GroupScores, AnalysisError> {
    scoring.pool.check()?;
    let heads: Vec<&[f32]> = group.iter().map(|head| head.scores.as_slice()).collect();
    let unpooled = reduce_group(&heads, scoring.group);
    if scoring.pool.changes_nothing() {
        return Ok(GroupScores {
            scores: unpooled,
            unpooled: None,
        });
    }
    let scores = match scoring.group_order {
        GroupOrder::PoolFirst => {
            let pooled: Vec<Vec<f32>> = heads
                .iter()
                .map(|scores| scoring.pool.pool(scores, cut))
                .collect::<Result<_, _>>()?;
            let pooled: Vec<&[f32]> = pooled.iter().map(Vec::as_slice).collect();
            reduce_group(&pooled, scoring.group)
        }
        GroupOrder::GroupFirst => scoring.pool.pool(&unpooled, cut)?,
    };
    Ok(GroupScores {
        scores,
        unpooled: Some(unpooled),
    })
}

/// Reduces equally long heads to one; a group without reduction has a single head.
fn reduce_group(heads: &[&[f32]], group: GroupReduction) -> Vec<f32> {
    let tokens = heads.first().map_or(0, |head| head.len());
    let of_token = |token: usize| heads.iter().map(move |head| head[token]);
    let size = heads.len() as f64;
    (0..tokens)
        .map(|token| match group {
            GroupReduction::Max => of_token(token).fold(f32::NEG_INFINITY, f32::max),
            GroupReduction::None | GroupReduction::Mean | GroupReduction::Layer => {
                (of_token(token).map(f64::from).sum::<f64>() / size) as f32
            }
        })
        .collect()
}

/// Mean over a group of the attention that falls on the prompt.
pub(super) fn mean_share(group: &[ReducedHead]) -> f32 {
    let sum: f64 = group.iter().map(|head| f64::from(head.prompt_share)).sum();
    (sum / group.len() as f64) as f32
}
