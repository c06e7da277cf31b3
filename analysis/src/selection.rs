//! What an eviction rule keeps at a budget.

use crate::ranking::Rankings;
use crate::tokens::ForcedKeep;

/// Which prompt tokens a head keeps at a budget, `[T]`.
///
/// Forced-keep and exempt tokens come first: the most recent ones from the end of the prompt, then the
/// sinks from its start. What the budget leaves goes to the top of the ranking among the other tokens.
/// A budget past the prompt keeps everything.
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
    let prompt_tokens = rankings.prompt_tokens();
    let forced = forced_keep.union(rankings.exempt());
    let rest = forced.rest(prompt_tokens);
    let recent_start = prompt_tokens.saturating_sub(forced.recent);
    let recent = (recent_start..prompt_tokens).rev();
    let sinks = 0..forced.sinks.min(recent_start);
    let ranked = rankings
        .order(layer, head)
        .iter()
        .map(|&token| token as usize)
        .filter(|token| rest.contains(token));
    let mut kept = vec![false; prompt_tokens];
    for token in recent.chain(sinks).chain(ranked).take(budget_tokens) {
        kept[token] = true;
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::importance::{HeadKind, Importance};

    fn rankings(exempt: ForcedKeep) -> Rankings {
        let scores = vec![0.1, 0.2, 0.9, 0.3, 0.8, 0.4, 0.5, 0.0];
        let importance = Importance::new(1, 1, HeadKind::Query, 8, scores, vec![1.0]).unwrap();
        Rankings::of(&importance, exempt).unwrap()
    }

    fn kept(exempt: ForcedKeep, forced: ForcedKeep, budget: usize) -> Vec<usize> {
        let kept = selection(&rankings(exempt), 0, 0, forced, budget);
        (0..8).filter(|&token| kept[token]).collect()
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
