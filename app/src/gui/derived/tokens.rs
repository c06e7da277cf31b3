//! Scores, ranks and heat of the prompt tokens under the selected heads.

use std::ops::Range;
use std::sync::Arc;

use kvlens_analysis::{ForcedKeep, KeepRule, Rankings, UNRANKED, selection};

use super::kept::KeptTokens;
use crate::gui::state::{HeatScale, TokenHeat};
use crate::measurement::{MeasuredSample, MeasuredWindow, Ranked};

/// Oracle and window over the prompt, both as the mean over the selected heads.
#[derive(Clone, Debug, Default)]
pub struct TokenScores {
    oracle: Side,
    window: Side,
    /// What the window's eviction rule keeps whatever the score.
    keep_rule: KeepRule,
    /// Tokens that can be ranked at all.
    pub rankable: usize,
    /// Heads that the mean is over.
    pub heads: usize,
}

/// One side's importance of every prompt token, with its ranking.
#[derive(Clone, Debug, Default)]
struct Side {
    scores: Vec<f32>,
    /// Rankings, and the layer and head in them.
    ranked: Option<(Arc<Rankings>, (usize, usize))>,
}

/// The heat of every token, on the scale and for the side that was asked for.
#[derive(Clone, Debug, Default)]
pub struct TokenShade {
    /// One value per token; 0 to 1, or -1 to 1 for a difference; NaN for tokens that are not ranked.
    pub values: Vec<f32>,
    /// Whether the values are differences.
    pub difference: bool,
    /// Differs whenever the values do.
    pub version: u64,
}

impl TokenScores {
    /// Scores of a window and of the decode stage over `heads`, given as layer and head.
    pub(super) fn of(
        sample: &MeasuredSample,
        window: &MeasuredWindow,
        heads: &[(usize, usize)],
        exempt: ForcedKeep,
    ) -> Self {
        let oracle = side(&sample.truth, heads, exempt);
        let own = side(&window.ranked, heads, exempt);
        Self {
            rankable: oracle.rankable(),
            oracle,
            window: own,
            keep_rule: window.keep_rule,
            heads: heads.len(),
        }
    }

    /// Prompt tokens.
    #[must_use]
    pub fn len(&self) -> usize {
        self.oracle.scores.len()
    }

    /// Whether there are no tokens.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.oracle.scores.is_empty()
    }

    /// Rank by the oracle, 0 for the best; nothing for tokens that are exempt or out of sight.
    #[must_use]
    pub fn oracle_rank(&self, token: usize) -> Option<usize> {
        self.oracle.rank(token)
    }

    /// Rank by the window, 0 for the best; nothing for tokens that are exempt or out of sight.
    #[must_use]
    pub fn window_rank(&self, token: usize) -> Option<usize> {
        self.window.rank(token)
    }

    /// Importance by the oracle.
    #[must_use]
    pub fn oracle_score(&self, token: usize) -> Option<f32> {
        self.oracle.scores.get(token).copied()
    }

    /// Importance by the window.
    #[must_use]
    pub fn window_score(&self, token: usize) -> Option<f32> {
        self.window.scores.get(token).copied()
    }

    /// What the window's rule keeps at a budget by either side's scores.
    pub(super) fn kept(&self, budget_tokens: usize) -> KeptTokens {
        let forced_keep = self.keep_rule.at(budget_tokens);
        let kept = |side: &Side| match &side.ranked {
            Some((rankings, (layer, head))) => {
                selection(rankings, *layer, *head, forced_keep, budget_tokens)
            }
            None => Vec::new(),
        };
        KeptTokens {
            oracle: kept(&self.oracle),
            window: kept(&self.window),
        }
    }

    /// The heat of every token.
    pub(super) fn shade(&self, heat: TokenHeat, scale: HeatScale, version: u64) -> TokenShade {
        let values = match heat {
            TokenHeat::Oracle => self.oracle.heat(scale, self.rankable),
            TokenHeat::Window => self.window.heat(scale, self.rankable),
            TokenHeat::Difference => {
                let mut values = self.oracle.heat(scale, self.rankable);
                let other = self.window.heat(scale, self.rankable);
                for (value, other) in values.iter_mut().zip(other) {
                    *value -= other;
                }
                values
            }
        };
        TokenShade {
            values,
            difference: heat == TokenHeat::Difference,
            version,
        }
    }
}

impl TokenShade {
    /// The strongest value of each of `columns` equal parts of the prompt, sign kept.
    #[must_use]
    pub fn strip(&self, columns: usize) -> Vec<f32> {
        let tokens = self.values.len();
        let columns = columns.min(tokens);
        (0..columns)
            .map(|column| {
                let part = part(column, columns, tokens);
                strongest(self.values.get(part).unwrap_or(&[]))
            })
            .collect()
    }
}

/// The tokens of one of `columns` equal parts.
pub(super) fn part(column: usize, columns: usize, tokens: usize) -> Range<usize> {
    column * tokens / columns..(column + 1) * tokens / columns
}

/// The value farthest from zero; NaN only if there is nothing else.
fn strongest(values: &[f32]) -> f32 {
    values.iter().copied().fold(f32::NAN, |best, value| {
        if best.is_nan() || value.abs() > best.abs() {
            value
        } else {
            best
        }
    })
}

impl Side {
    /// Tokens that are ranked.
    fn rankable(&self) -> usize {
        let ranked = self.ranked.as_ref();
        ranked.map_or(0, |(rankings, (layer, _))| rankings.rankable_tokens(*layer))
    }

    /// 0 is best.
    fn ranks(&self) -> &[u32] {
        let ranked = self.ranked.as_ref();
        ranked.map_or(&[], |(rankings, (layer, head))| {
            rankings.rank(*layer, *head)
        })
    }

    fn rank(&self, token: usize) -> Option<usize> {
        let rank = self.ranks().get(token).copied()?;
        (rank != UNRANKED).then_some(rank as usize)
    }

    fn heat(&self, scale: HeatScale, rankable: usize) -> Vec<f32> {
        match scale {
            HeatScale::LogRank => {
                let span = (rankable.max(2) as f32).ln();
                (0..self.ranks().len())
                    .map(|token| {
                        self.rank(token)
                            .map_or(f32::NAN, |rank| 1.0 - ((rank + 1) as f32).ln() / span)
                    })
                    .collect()
            }
            HeatScale::SquareRoot => {
                let largest = (0..self.scores.len())
                    .filter(|token| self.rank(*token).is_some())
                    .filter_map(|token| self.scores.get(token).copied())
                    .fold(f32::MIN_POSITIVE, f32::max);
                (0..self.scores.len())
                    .map(|token| match (self.rank(token), self.scores.get(token)) {
                        (Some(_), Some(score)) => (score.max(0.0) / largest).sqrt(),
                        _ => f32::NAN,
                    })
                    .collect()
            }
        }
    }
}

/// The head's own ranking, or for several heads the ranking of their mean importance.
fn side(ranked: &Ranked, heads: &[(usize, usize)], exempt: ForcedKeep) -> Side {
    let Ranked {
        importance,
        rankings,
    } = ranked;
    if let [(layer, head)] = *heads {
        return Side {
            scores: importance.head(layer, head).to_vec(),
            ranked: Some((Arc::clone(rankings), (layer, head))),
        };
    }
    let Ok(mean) = importance.mean_over_heads(heads) else {
        return Side::default();
    };
    let rankings = Rankings::of(&mean, exempt).ok();
    Side {
        scores: mean.head(0, 0).to_vec(),
        ranked: rankings.map(|rankings| (Arc::new(rankings), (0, 0))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kvlens_analysis::{HeadKind, Importance};

    /// One head; both sides are given by the order in which they rank the tokens.
    fn scores(oracle: [u32; 4], window: [u32; 4], exempt: ForcedKeep) -> TokenScores {
        let side = |ranks: [u32; 4]| {
            let scores = ranks.map(|rank| 1.0 / (rank as f32 + 1.0)).to_vec();
            let (shares, first_visible) = (vec![1.0], vec![0]);
            let importance =
                Importance::new(1, 1, HeadKind::Query, 4, scores, shares, first_visible).unwrap();
            let ranked = Ranked {
                rankings: Arc::new(Rankings::of(&importance, exempt).unwrap()),
                importance: Arc::new(importance),
            };
            super::side(&ranked, &[(0, 0)], exempt)
        };
        TokenScores {
            oracle: side(oracle),
            window: side(window),
            keep_rule: KeepRule::default(),
            rankable: 4,
            heads: 1,
        }
    }

    fn recent(recent: usize) -> ForcedKeep {
        ForcedKeep { sinks: 0, recent }
    }

    #[test]
    fn the_best_tokens_are_kept() {
        let tokens = scores([0, 1, 2, 3], [3, 2, 1, 0], ForcedKeep::default());
        let kept = tokens.kept(1);
        assert_eq!(kept.oracle, [true, false, false, false]);
        assert_eq!(kept.window, [false, false, false, true]);
    }

    #[test]
    fn what_the_rule_keeps_is_kept_first_and_counts_towards_the_budget() {
        let rule = KeepRule {
            fixed: recent(1),
            ..KeepRule::default()
        };
        let mut tokens = scores([0, 1, 2, 3], [1, 0, 2, 3], ForcedKeep::default());
        tokens.keep_rule = rule;
        let kept = tokens.kept(2);
        assert_eq!(kept.oracle, [true, false, false, true]);
        assert_eq!(kept.window, [false, true, false, true]);
        let exempt = scores([0, 1, 2, 3], [1, 0, 2, 3], recent(1));
        assert_eq!(exempt.window_rank(3), None);
        assert_eq!(
            exempt.kept(2).window,
            kept.window,
            "exempt tokens are no gift on top of the budget"
        );
    }

    #[test]
    fn heat_runs_from_one_for_the_best_token_to_zero_for_the_worst() {
        let tokens = scores([0, 1, 2, 3], [3, 2, 1, 0], ForcedKeep::default());
        let shade = tokens.shade(TokenHeat::Oracle, HeatScale::LogRank, 1);
        assert_eq!(shade.values[0], 1.0);
        assert_eq!(shade.values[3], 0.0);
        let root = tokens.shade(TokenHeat::Oracle, HeatScale::SquareRoot, 1);
        assert_eq!(
            root.values,
            [1.0, 0.5_f32.sqrt(), (1.0_f32 / 3.0).sqrt(), 0.5]
        );
        let difference = tokens.shade(TokenHeat::Difference, HeatScale::LogRank, 1);
        assert_eq!(difference.values[0], 1.0);
        assert_eq!(difference.values[3], -1.0);
    }

    #[test]
    fn the_strip_keeps_the_strongest_value_of_each_part() {
        let shade = TokenShade {
            values: vec![0.1, -0.9, f32::NAN, 0.2, f32::NAN, f32::NAN],
            difference: true,
            version: 1,
        };
        let strip = shade.strip(3);
        assert_eq!(strip[..2], [-0.9, 0.2]);
        assert!(strip[2].is_nan());
        assert_eq!(shade.strip(100).len(), 6);
    }
}
