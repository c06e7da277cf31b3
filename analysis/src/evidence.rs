//! What becomes of the tokens that an answer needs when each head evicts by itself: a token is gone for good where no
//! head of any layer keeps it (the global eviction of arXiv 2603.01426).

use std::ops::Range;

use rayon::prelude::*;

use crate::importance::Importance;
use crate::keep_rule::KeepRule;
use crate::ranking::Rankings;
use crate::selection::keep_places;

/// The needed tokens at one budget.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct EvidenceSurvival {
    /// The budget in tokens.
    pub budget: usize,
    /// Share of them that a head keeps, in the mean over all heads that see any; NaN where none does.
    pub kept: f64,
    /// Share of them that no head keeps; NaN where no head sees any.
    pub lost_everywhere: f64,
    /// What `kept` can be at most: a head that sees E of them keeps no more than the budget's part of E.
    pub most_kept: f64,
    /// What `lost_everywhere` is at least, if every head kept others.
    pub least_lost: f64,
}

/// Needed tokens that any layer sees, each once.
fn seen_evidence(rankings: &Rankings, evidence: &[Range<usize>]) -> Vec<usize> {
    let mut tokens: Vec<usize> = evidence.iter().cloned().flatten().collect();
    tokens.sort_unstable();
    tokens.dedup();
    let inside = first_visible(rankings)..rankings.prompt_tokens();
    tokens.retain(|token| inside.contains(token));
    tokens
}

/// Attention of the decode stage, in the mean over its steps, that each head puts on the needed tokens, `[L, heads]`;
/// NaN where none is known. A head with much of it reads the answer off the prompt: a retrieval head (Wu et al. 2024,
/// arXiv 2404.15574).
pub fn evidence_attention(decode_mass: &Importance, evidence: &[Range<usize>]) -> Vec<f64> {
    let mut tokens: Vec<usize> = evidence.iter().cloned().flatten().collect();
    tokens.sort_unstable();
    tokens.dedup();
    let heads = decode_mass.heads();
    let of_head = |index: usize| {
        let mass = decode_mass.head(index / heads, index % heads);
        let masses = tokens.iter().filter_map(|&token| mass.get(token));
        match tokens.is_empty() {
            true => f64::NAN,
            false => masses.map(|&mass| f64::from(mass)).sum(),
        }
    };
    (0..decode_mass.layers() * heads).map(of_head).collect()
}

/// What a rule keeps of the needed tokens at each budget.
pub fn evidence_survival(
    rankings: &Rankings,
    keep_rule: KeepRule,
    evidence: &[Range<usize>],
    budgets: &[usize],
) -> Vec<EvidenceSurvival> {
    EvidenceTally::of(rankings, keep_rule, evidence, budgets).survivals()
}

/// What some layers keep of the needed tokens, to be counted together with what others keep.
#[derive(Debug, Clone)]
pub struct EvidenceTally {
    /// Needed tokens, each once.
    tokens: Vec<usize>,
    by_budget: Vec<BudgetTally>,
}

#[derive(Debug, Clone)]
struct BudgetTally {
    budget: usize,
    /// Of each needed token, whether a head keeps it.
    anywhere: Vec<bool>,
    /// Of each head that sees any, the share that it keeps of those.
    shares: Vec<f64>,
    /// Over these heads, the sum of the largest shares that they could keep.
    most: f64,
}

impl EvidenceTally {
    /// What the heads of these layers keep at each budget.
    pub fn of(
        rankings: &Rankings,
        keep_rule: KeepRule,
        evidence: &[Range<usize>],
        budgets: &[usize],
    ) -> Self {
        let tokens = seen_evidence(rankings, evidence);
        let of_budget = |&budget: &usize| kept_at(rankings, keep_rule, &tokens, budget);
        Self {
            by_budget: budgets.par_iter().map(of_budget).collect(),
            tokens,
        }
    }

    /// Counts other layers' heads with its own: those of the same window at the same budgets.
    pub fn append(&mut self, mut behind: Self) {
        // the side that sees fewer tokens has kept nothing of the others
        self.see(&behind.tokens);
        behind.see(&self.tokens);
        for (own, other) in self.by_budget.iter_mut().zip(behind.by_budget) {
            for (anywhere, other) in own.anywhere.iter_mut().zip(other.anywhere) {
                *anywhere |= other;
            }
            own.shares.extend(other.shares);
            own.most += other.most;
        }
    }

    /// Needed tokens that any of the layers sees.
    pub fn needed(&self) -> usize {
        self.tokens.len()
    }

    /// What became of them.
    pub fn survivals(&self) -> Vec<EvidenceSurvival> {
        let of = |tally: &BudgetTally| {
            let lost = tally.anywhere.iter().filter(|anywhere| !**anywhere);
            let (heads, tokens) = (tally.shares.len() as f64, self.tokens.len() as f64);
            EvidenceSurvival {
                budget: tally.budget,
                kept: tally.shares.iter().sum::<f64>() / heads,
                lost_everywhere: lost.count() as f64 / tokens,
                most_kept: tally.most / heads,
                least_lost: (1.0 - heads * tally.budget as f64 / tokens).max(0.0),
            }
        };
        self.by_budget.iter().map(of).collect()
    }

    /// Knows of more tokens, in ascending order, which none of its heads keeps. Layers see the end of the prompt from
    /// different positions on, so what one sees more stands before what another sees.
    fn see(&mut self, tokens: &[usize]) {
        let more = tokens.len().saturating_sub(self.tokens.len());
        self.tokens.splice(0..0, tokens.iter().copied().take(more));
        for tally in &mut self.by_budget {
            tally
                .anywhere
                .splice(0..0, std::iter::repeat_n(false, more));
        }
    }
}

fn first_visible(rankings: &Rankings) -> usize {
    let layers = 0..rankings.layers();
    let first = layers.map(|layer| rankings.first_visible(layer)).min();
    first.unwrap_or(0)
}

fn kept_at(
    rankings: &Rankings,
    keep_rule: KeepRule,
    tokens: &[usize],
    budget: usize,
) -> BudgetTally {
    let (mut anywhere, mut shares) = (vec![false; tokens.len()], Vec::new());
    let mut most = 0.0;
    for layer in 0..rankings.layers() {
        let unseen = tokens.partition_point(|&token| token < rankings.first_visible(layer));
        if unseen == tokens.len() {
            continue;
        }
        for head in 0..rankings.heads() {
            let places = keep_places(rankings, (layer, head), keep_rule.at(budget));
            let mut kept = 0.0;
            for (anywhere, &token) in anywhere.iter_mut().zip(tokens).skip(unseen) {
                if (places[token] as usize) < budget {
                    *anywhere = true;
                    kept += 1.0;
                }
            }
            let seen = (tokens.len() - unseen) as f64;
            shares.push(kept / seen);
            most += (budget as f64 / seen).min(1.0);
        }
    }
    BudgetTally {
        budget,
        anywhere,
        shares,
        most,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::importance::HeadKind;
    use crate::tokens::ForcedKeep;

    /// Two layers of two heads over six tokens; the second layer sees the last three alone.
    fn rankings() -> Rankings {
        let scores = [
            [6.0, 5.0, 4.0, 3.0, 2.0, 1.0],
            [1.0, 6.0, 5.0, 4.0, 3.0, 2.0],
            [0.0, 0.0, 0.0, 3.0, 2.0, 1.0],
            [0.0, 0.0, 0.0, 1.0, 2.0, 3.0],
        ];
        let scores: Vec<f32> = scores.concat();
        let (kind, shares) = (HeadKind::Query, vec![1.0; 4]);
        let importance = Importance::new(2, 2, kind, 6, scores, shares, vec![0, 3]).unwrap();
        Rankings::of(&importance, ForcedKeep::default()).unwrap()
    }

    #[test]
    fn a_token_is_lost_where_no_head_keeps_it() {
        // tokens 1, 2 and 4; only 4 is seen by the second layer
        let evidence = [1..3, 4..5, 2..3];
        let found = evidence_survival(&rankings(), KeepRule::default(), &evidence, &[1, 2, 6]);
        let shares = |place: usize| (found[place].kept, found[place].lost_everywhere);
        // at 1: heads keep {0}, {1}, {3}, {5}
        assert_eq!(shares(0), ((1.0 / 3.0) / 4.0, 2.0 / 3.0));
        // at 2: {0, 1}, {1, 2}, {3, 4}, {5, 4}
        assert_eq!(shares(1), ((1.0 / 3.0 + 2.0 / 3.0 + 1.0 + 1.0) / 4.0, 0.0));
        assert_eq!(shares(2), (1.0, 0.0));
        // two heads see three of them, two see one; four heads of one token could keep all
        let bounds = |place: usize| (found[place].most_kept, found[place].least_lost);
        assert_eq!(bounds(0), ((1.0 / 3.0 + 1.0 / 3.0 + 1.0 + 1.0) / 4.0, 0.0));
        assert_eq!(bounds(2), (1.0, 0.0));
        // a rule that keeps the last two keeps token 4 in every head
        let recent = KeepRule::from(ForcedKeep {
            sinks: 0,
            recent: 2,
        });
        let found = evidence_survival(&rankings(), recent, &evidence, &[2]);
        assert_eq!(found[0].lost_everywhere, 2.0 / 3.0);
    }

    #[test]
    fn attention_on_needed_tokens_counts_each_of_them_once() {
        let mass = vec![0.5, 0.25, 0.125, 0.0, 0.0, 0.5];
        let mass = Importance::new(1, 2, HeadKind::Query, 3, mass, vec![1.0; 2], vec![0]).unwrap();
        assert_eq!(evidence_attention(&mass, &[1..3, 2..3]), [0.375, 0.5]);
        let unknown = evidence_attention(&mass, &[]);
        assert!(unknown.iter().all(|share| share.is_nan()));
    }

    #[test]
    fn layers_that_are_counted_apart_are_counted_as_together() {
        let scores = |layer: usize| -> Vec<f32> {
            let rankings = rankings();
            let heads = 0..rankings.heads();
            heads
                .flat_map(|head| {
                    let rank = rankings.rank(layer, head).iter();
                    rank.map(|&rank| -(rank.min(6) as f32)).collect::<Vec<_>>()
                })
                .collect()
        };
        let (evidence, budgets) = ([1..3, 4..5], [1, 2, 6]);
        let layer = |layer: usize, first: usize| {
            let (kind, shares) = (HeadKind::Query, vec![1.0; 2]);
            let importance = Importance::new(1, 2, kind, 6, scores(layer), shares, vec![first]);
            let rankings = Rankings::of(&importance.unwrap(), ForcedKeep::default()).unwrap();
            EvidenceTally::of(&rankings, KeepRule::default(), &evidence, &budgets)
        };
        let together = evidence_survival(&rankings(), KeepRule::default(), &evidence, &budgets);
        for [first, second] in [[0, 1], [1, 0]] {
            let mut tally = layer(first, 3 * first);
            tally.append(layer(second, 3 * second));
            assert_eq!((tally.needed(), tally.survivals().len()), (3, 3));
            for (found, expected) in tally.survivals().iter().zip(&together) {
                assert!((found.kept - expected.kept).abs() < 1e-12);
                assert_eq!(found.lost_everywhere, expected.lost_everywhere);
            }
        }
    }

    #[test]
    fn without_evidence_nothing_is_said() {
        let found = evidence_survival(&rankings(), KeepRule::default(), &[], &[2]);
        assert!(found[0].kept.is_nan() && found[0].lost_everywhere.is_nan());
    }
}
