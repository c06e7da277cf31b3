//! What an eviction rule keeps at a budget.

use crate::ranking::Rankings;
use crate::tokens::ForcedKeep;

/// Which prompt tokens a head keeps at a budget, `[T]`.
///
/// Forced-keep and exempt tokens come first: the most recent ones from the end of the prompt, then the
/// sinks from its start. What the budget leaves goes to the top of the ranking among the other tokens, and last to
/// those that the layer does not see, by position. A budget past the prompt keeps everything.
///
/// # Panics
/// When the layer or the head does not exist.
pub fn selection(
    rankings: &Rankings,
    layer: usize,
    head: usize,
    forced_keep: ForcedKeep,
    budget_tokens: usize,
) -> Vec<bool> {
    let mut kept = vec![false; rankings.prompt_tokens()];
    let order = keep_order(rankings, (layer, head), forced_keep);
    for token in order.take(budget_tokens) {
        kept[token] = true;
    }
    kept
}

/// The place of every token among those that a head keeps, `[T]`: a token is kept at a budget above its place.
pub(crate) fn keep_places(
    rankings: &Rankings,
    head: (usize, usize),
    forced_keep: ForcedKeep,
) -> Vec<u32> {
    let mut places = vec![0; rankings.prompt_tokens()];
    for (token, place) in keep_order(rankings, head, forced_keep).zip(0..) {
        places[token] = place;
    }
    places
}

/// All tokens of the prompt in the order in which a growing budget keeps them.
pub(crate) fn keep_order(
    rankings: &Rankings,
    (layer, head): (usize, usize),
    forced_keep: ForcedKeep,
) -> impl Iterator<Item = usize> {
    let prompt_tokens = rankings.prompt_tokens();
    let forced = forced_keep.union(rankings.exempt());
    let rest = forced.rest(prompt_tokens);
    let recent_start = prompt_tokens.saturating_sub(forced.recent);
    let recent = (recent_start..prompt_tokens).rev();
    let sinks = 0..forced.sinks.min(recent_start);
    let unseen = rest.start..rankings.first_visible(layer).clamp(rest.start, rest.end);
    let ranked = rankings
        .order(layer, head)
        .iter()
        .map(|&token| token as usize)
        .filter(move |token| rest.contains(token));
    recent.chain(sinks).chain(ranked).chain(unseen)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::importance::{HeadKind, Importance};

    fn rankings(exempt: ForcedKeep, first_visible: usize) -> Rankings {
        let scores = vec![0.1, 0.2, 0.9, 0.3, 0.8, 0.4, 0.5, 0.0];
        let (kind, seen) = (HeadKind::Query, vec![first_visible]);
        let importance = Importance::new(1, 1, kind, 8, scores, vec![1.0], seen).unwrap();
        Rankings::of(&importance, exempt).unwrap()
    }

    fn kept(exempt: ForcedKeep, forced: ForcedKeep, budget: usize) -> Vec<usize> {
        kept_of(&rankings(exempt, 0), forced, budget)
    }

    fn kept_of(rankings: &Rankings, forced: ForcedKeep, budget: usize) -> Vec<usize> {
        let kept = selection(rankings, 0, 0, forced, budget);
        (0..8).filter(|&token| kept[token]).collect()
    }

    #[test]
    fn what_the_layer_does_not_see_is_kept_last_unless_it_is_forced() {
        let sliding = rankings(ForcedKeep::default(), 3);
        let forced = ForcedKeep {
            sinks: 1,
            recent: 1,
        };
        assert_eq!(kept_of(&sliding, forced, 4), [0, 4, 6, 7]);
        assert_eq!(kept_of(&sliding, forced, 6), [0, 3, 4, 5, 6, 7]);
        assert_eq!(kept_of(&sliding, forced, 7), [0, 1, 3, 4, 5, 6, 7]);
        let places = keep_places(&sliding, (0, 0), forced);
        assert_eq!(places, [1, 6, 7, 5, 2, 4, 3, 0]);
    }

    #[test]
    fn forced_tokens_come_before_the_ranking() {
        let forced = ForcedKeep {
            sinks: 1,
            recent: 2,
        };
        assert_eq!(kept(ForcedKeep::default(), forced, 5), [0, 2, 4, 6, 7]);
    }

    #[test]
    fn a_small_budget_keeps_the_most_recent_then_the_first() {
        let forced = ForcedKeep {
            sinks: 2,
            recent: 2,
        };
        assert_eq!(kept(ForcedKeep::default(), forced, 1), [7]);
        assert_eq!(kept(ForcedKeep::default(), forced, 3), [0, 6, 7]);
        assert!(kept(ForcedKeep::default(), forced, 0).is_empty());
    }

    #[test]
    fn recent_tokens_win_where_both_ends_overlap() {
        let forced = ForcedKeep {
            sinks: 4,
            recent: 6,
        };
        assert_eq!(kept(ForcedKeep::default(), forced, 5), [3, 4, 5, 6, 7]);
        assert_eq!(
            kept(ForcedKeep::default(), forced, 7),
            [0, 2, 3, 4, 5, 6, 7]
        );
    }

    #[test]
    fn exempt_tokens_are_kept_as_forced_ones_are() {
        let exempt = ForcedKeep {
            sinks: 0,
            recent: 3,
        };
        let forced = ForcedKeep {
            sinks: 1,
            recent: 1,
        };
        assert_eq!(kept(exempt, forced, 5), [0, 2, 5, 6, 7]);
        assert_eq!(kept(exempt, forced, 99), [0, 1, 2, 3, 4, 5, 6, 7]);
    }
}
