//! Merging windows by the places that they give to the tokens.

use candle_core::{Device, Tensor};
use kvlens_analysis::{ForcedKeep, Rankings};
use rayon::prelude::*;

use crate::SessionError;
use crate::attention_rows::PromptKeys;
use crate::observation::{Observation, ScoreKind, TokenScores};

/// How the places of one token become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RankMerge {
    /// The best of them.
    Best,
    /// Their mean.
    Mean,
}

/// Scores `[L, H, T]`: T minus the merged place, counted from 0. Every member is scored as it was published.
pub(super) fn merge_ranks(
    members: &[Observation],
    keys: &PromptKeys,
    query_heads: usize,
    merge: RankMerge,
) -> Result<TokenScores, SessionError> {
    let (layers, _, prompt_tokens, _) = keys.tensor().dims4()?;
    let rankings = members
        .iter()
        .map(|member| {
            let importance = keys.importance(member, member.published_side())?;
            Ok(Rankings::of(&importance, ForcedKeep::default())?)
        })
        .collect::<Result<Vec<_>, SessionError>>()?;
    let by_head: Vec<Vec<f32>> = (0..layers * query_heads)
        .into_par_iter()
        .map(|index| {
            let (layer, head) = (index / query_heads, index % query_heads);
            let places: Vec<&[u32]> = rankings
                .iter()
                // a member may rank for a whole group of query heads
                .map(|ranking| ranking.rank(layer, head * ranking.heads() / query_heads))
                .collect();
            merged(&places, prompt_tokens, merge)
        })
        .collect();
    let shape = (layers, query_heads, prompt_tokens);
    let scores = Tensor::from_vec(by_head.concat(), shape, &Device::Cpu)?;
    TokenScores::new(ScoreKind::Rank, &scores)
}

fn merged(places: &[&[u32]], prompt_tokens: usize, merge: RankMerge) -> Vec<f32> {
    let members = places.len() as f64;
    // what a layer does not see comes last for every member
    let unranked = u32::try_from(prompt_tokens).unwrap_or(u32::MAX);
    (0..prompt_tokens)
        .map(|token| {
            let of_token = places.iter().map(|places| {
                places
                    .get(token)
                    .map_or(unranked, |place| unranked.min(*place))
            });
            let place = match merge {
                RankMerge::Mean => of_token.map(f64::from).sum::<f64>() / members,
                RankMerge::Best => of_token
                    .enumerate()
                    .map(|(member, place)| f64::from(place) + member as f64 / members)
                    .fold(f64::INFINITY, f64::min),
            };
            (prompt_tokens as f64 - place) as f32
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn best_places_are_dealt_out_in_turn_and_means_are_means() {
        let (a, b) = ([0_u32, 1, 2, 3], [3_u32, 0, 1, 2]);
        assert_eq!(merged(&[&a, &b], 4, RankMerge::Best), [4.0, 3.5, 2.5, 1.5]);
        assert_eq!(merged(&[&a, &b], 4, RankMerge::Mean), [2.5, 3.5, 2.5, 1.5]);
    }
}
