//! The decode stage as a place to evict: how well the tokens of a cache, those of the prompt and the generated ones, are
//! ranked every few decode steps for what later steps attend to.
//!
//! A model that writes for thousands of steps fills its cache by what it writes, so H2O (arXiv 2306.14048), R-KV (arXiv
//! 2505.24133) and LazyEviction cut the cache down again while it decodes. Here, after every n steps,
//! each ranking orders all tokens so far, and is held against the mean attention of later steps on the same tokens:
//! of the next step, of the next n, or of all to the end.
//!
//! What is left out: nothing is really evicted, so every step attends to a full cache and a token that a method would
//! have lost at one ranking may be ranked again at the next; no tokens are kept whatever their score, so the recent ones
//! that most methods always keep count as any other; heads of a group rank by themselves; and what these methods add to
//! attention (R-KV's redundancy of keys, LazyEviction's intervals of recurrence) is not made.
//!
//! N is the number of tokens before the first generated one: the prompt's T, and a question's behind it. A ranking after
//! n steps orders N + n tokens; generated token i (from 0) stands at position N + i.

mod ranking;
mod summary;
#[cfg(test)]
mod tests;

use std::ops::Range;

use rayon::prelude::*;

use crate::budget::Budget;
use crate::error::{AnalysisError, finite};
use crate::order::{SortKeys, descending};
use crate::overlap::{is_defined, overlap_along, share_of};

pub use ranking::DecodeRanking;
use ranking::Scorer;
pub use summary::{DecodeEvictionMean, DecodeEvictionMeans, DecodeEvictionPoint};

/// What one query head pays in the decode stage, with a full cache.
#[derive(Debug, Clone, Copy)]
pub struct DecodeHead<'a> {
    /// S.
    pub steps: usize,
    /// Attention of each step on the prompt, `[S, T]` row-major, not renormalised; zero where a step does not see a token.
    pub on_prompt: &'a [f32],
    /// The same on the R tokens behind it, a question's and the generated ones, `[S, R]`.
    pub behind: &'a [f32],
    /// How many tokens a step sees in this layer, itself included; none for all.
    pub sliding_window: Option<usize>,
    /// Euclidean norm of the key of each token, `[T + R]`.
    pub key_norms: &'a [f32],
    /// What all rows of the prompt paid to each of its tokens, `[T]`, where that is known.
    pub prompt_sums: Option<&'a [f32]>,
    /// Of what is drawn by chance.
    pub seed: u64,
}

/// When tokens are ranked, by what, and what that is held against.
#[derive(Debug, Clone, PartialEq)]
pub struct DecodeEvictionPlan {
    /// Decode steps from one ranking to the next, at least 1; the first is after so many steps.
    pub every: usize,
    /// What orders the tokens.
    pub rankings: Vec<DecodeRanking>,
    /// Later steps that each is held against.
    pub horizons: Vec<Horizon>,
    /// Budgets: tokens, or shares of the tokens in the cache at the ranking.
    pub budgets: Vec<Budget>,
}

/// Later decode steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Horizon {
    /// So many right behind the ranking, at least 1.
    Next(usize),
    /// All to the end of the decode stage.
    Rest,
}

impl std::fmt::Display for Horizon {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Next(steps) => f.pad(&steps.to_string()),
            Self::Rest => f.pad("rest"),
        }
    }
}

impl std::str::FromStr for Horizon {
    type Err = AnalysisError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match (text, text.parse()) {
            ("rest", _) => Ok(Self::Rest),
            (_, Ok(steps)) if steps > 0 => Ok(Self::Next(steps)),
            _ => Err(AnalysisError::Unknown {
                what: "the horizon",
                given: text.to_owned(),
                expected: "a number of decode steps from 1 on, or rest",
            }),
        }
    }
}

impl Horizon {
    /// The steps of a stage of `steps` after the first `done`; none where it ends before the horizon does.
    fn of(self, done: usize, steps: usize) -> Option<Range<usize>> {
        let end = match self {
            Self::Next(next) => done.checked_add(next)?,
            Self::Rest => steps,
        };
        (done < end && end <= steps).then_some(done..end)
    }
}

/// One head after some decode steps, under every ranking.
#[derive(Debug, Clone, PartialEq)]
pub struct RankedStep {
    /// Decode steps that were done.
    pub step: usize,
    /// Tokens in the cache: those before the decode stage and `step` generated ones.
    pub cached_tokens: usize,
    /// Tokens of them that the next step sees, and that are ranked.
    pub visible_tokens: usize,
    /// The budgets in tokens.
    pub budgets: Vec<usize>,
    /// What the rankings are held against; a horizon that reaches past the last step is left out.
    pub horizons: Vec<HeldAgainst>,
}

/// What later steps say of the rankings at one step.
#[derive(Debug, Clone, PartialEq)]
pub struct HeldAgainst {
    /// Which steps.
    pub horizon: Horizon,
    /// How many they are.
    pub steps: usize,
    /// Attention of these steps that falls on the ranked tokens; the rest is on what is generated later.
    pub cached_share: f64,
    /// Of each budget, the largest share of that attention that any tokens hold: that of the later steps' own top B.
    /// NaN where the budget is not below the ranked tokens.
    pub most: Vec<f64>,
    /// `[rankings][budgets]`.
    pub kept: Vec<Vec<KeptOfLater>>,
}

/// What the top B of a ranking are worth to later steps; NaN where B is not below the ranked tokens.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct KeptOfLater {
    /// Share of the later steps' top B that is among them.
    pub recall: f64,
    /// Share of the later steps' attention on the ranked tokens that falls on them.
    pub mass: f64,
}

/// Ranks the tokens of one head every few decode steps and holds that against what later steps attend to. Ties go to the
/// lower position.
///
/// Nothing where the stage has no step behind the first `every`.
///
/// # Errors
/// [`AnalysisError::Length`] or [`AnalysisError::Empty`] for buffers that do not fit each other;
/// [`AnalysisError::OutOfBounds`] for an `every` of 0; [`AnalysisError::NotANumber`]; [`AnalysisError::PromptTooLong`].
pub fn decode_eviction(
    head: &DecodeHead<'_>,
    plan: &DecodeEvictionPlan,
) -> Result<Vec<RankedStep>, AnalysisError> {
    let tokens = head.check()?;
    if plan.every == 0 {
        return Err(AnalysisError::OutOfBounds {
            what: "the number of decode steps from one ranking to the next",
            bounds: "at 1 or above",
            value: "0".to_owned(),
        });
    }
    let before = tokens - head.steps;
    let done: Vec<usize> = (plan.every..head.steps).step_by(plan.every).collect();
    let rests = head.sums_to_the_end(&done, tokens);
    let mut scorers: Vec<Scorer<'_>> = plan
        .rankings
        .iter()
        .map(|&ranking| Scorer::new(ranking, head, tokens))
        .collect();
    let mut ranked = Vec::with_capacity(done.len());
    for (&step, rest) in done.iter().zip(&rests) {
        let cached = before + step;
        let visible = head.first_visible(cached)..cached;
        let budgets = plan.budgets.iter().map(|budget| budget.tokens(cached));
        let at = Ranking {
            budgets: budgets.collect(),
            orders: scorers
                .iter_mut()
                .map(|scorer| order(&scorer.scores(step)[visible.clone()]))
                .collect(),
            visible,
        };
        let held = plan.horizons.iter().filter_map(|&horizon| {
            let steps = horizon.of(step, head.steps)?;
            Some(match horizon {
                Horizon::Rest => at.held_against(horizon, steps.len(), rest),
                Horizon::Next(_) => {
                    let mut sums = vec![0.0; tokens];
                    head.add_rows(steps.clone(), &mut sums);
                    at.held_against(horizon, steps.len(), &sums)
                }
            })
        });
        ranked.push(RankedStep {
            step,
            cached_tokens: cached,
            visible_tokens: at.visible.len(),
            horizons: held.collect(),
            budgets: at.budgets,
        });
    }
    Ok(ranked)
}

/// Some heads in parallel, in their order.
///
/// # Errors
/// As [`decode_eviction`].
pub fn decode_evictions_of(
    heads: &[DecodeHead<'_>],
    plan: &DecodeEvictionPlan,
) -> Result<Vec<Vec<RankedStep>>, AnalysisError> {
    let heads = heads.par_iter();
    heads.map(|head| decode_eviction(head, plan)).collect()
}

impl DecodeHead<'_> {
    /// Tokens in all, T + R.
    fn check(&self) -> Result<usize, AnalysisError> {
        if self.steps == 0 || self.on_prompt.is_empty() {
            return Err(AnalysisError::Empty {
                what: "decode steps and prompt tokens",
            });
        }
        let tokens = self.prompt_tokens() + self.behind.len() / self.steps;
        let buffers = [
            (
                "attention on the prompt",
                self.on_prompt.len(),
                self.prompt_tokens() * self.steps,
            ),
            (
                "attention behind the prompt",
                self.behind.len(),
                (tokens - self.prompt_tokens()) * self.steps,
            ),
            ("the norms of keys", self.key_norms.len(), tokens),
            (
                "the attention of the prompt's rows",
                self.prompt_sums.map_or(self.prompt_tokens(), <[f32]>::len),
                self.prompt_tokens(),
            ),
        ];
        for (what, found, expected) in buffers {
            if found != expected {
                return Err(AnalysisError::Length {
                    what,
                    dimensions: format!("[steps {}, tokens {tokens}]", self.steps),
                    expected,
                    found,
                });
            }
        }
        if tokens - self.prompt_tokens() < self.steps {
            return Err(AnalysisError::Length {
                what: "attention behind the prompt",
                dimensions: format!("[steps {0}, tokens {0} at least]", self.steps),
                expected: self.steps * self.steps,
                found: self.behind.len(),
            });
        }
        if u32::try_from(tokens).is_err() {
            return Err(AnalysisError::PromptTooLong {
                prompt_tokens: tokens,
            });
        }
        for (what, values) in [
            ("the attention on the prompt", self.on_prompt),
            ("the attention behind the prompt", self.behind),
            ("the norm of a key", self.key_norms),
            (
                "the attention of the prompt's rows",
                self.prompt_sums.unwrap_or_default(),
            ),
        ] {
            finite(what, values, |index| format!("number {index}"))?;
        }
        Ok(tokens)
    }

    /// T.
    fn prompt_tokens(&self) -> usize {
        self.on_prompt.len() / self.steps.max(1)
    }

    /// The first position that the step which stands right behind so many tokens sees.
    fn first_visible(&self, cached: usize) -> usize {
        self.sliding_window
            .map_or(0, |window| (cached + 1).saturating_sub(window))
    }

    /// Adds the attention of some steps to a sum for each token, `[T + R]`.
    fn add_rows(&self, steps: Range<usize>, sums: &mut [f64]) {
        let (on_prompt, behind) = sums.split_at_mut(self.prompt_tokens());
        for (weights, sums) in [(self.on_prompt, on_prompt), (self.behind, behind)] {
            let width = sums.len();
            let rows = weights.chunks_exact(width.max(1));
            for row in rows.skip(steps.start).take(steps.len()) {
                for (sum, &weight) in sums.iter_mut().zip(row) {
                    *sum += f64::from(weight);
                }
            }
        }
    }

    /// Attention of all steps from each of some on, `[done][T + R]`: from the end, so that every row is added once.
    fn sums_to_the_end(&self, done: &[usize], tokens: usize) -> Vec<Vec<f64>> {
        let (mut sums, mut end) = (vec![0.0; tokens], self.steps);
        let from_the_end = done.iter().rev().map(|&first| {
            self.add_rows(first..end, &mut sums);
            end = first;
            sums.clone()
        });
        let mut all: Vec<Vec<f64>> = from_the_end.collect();
        all.reverse();
        all
    }
}

/// The tokens of a cache in the order of every ranking.
struct Ranking {
    visible: Range<usize>,
    budgets: Vec<usize>,
    /// Of positions among the visible ones, best first.
    orders: Vec<Vec<u32>>,
}

impl Ranking {
    /// By the attention that some later steps pay in all.
    fn held_against(&self, horizon: Horizon, steps: usize, sums: &[f64]) -> HeldAgainst {
        let later = &sums[self.visible.clone()];
        let own: Vec<f32> = later.iter().map(|&sum| sum as f32).collect();
        let own = order(&own);
        let mut rank = vec![0; own.len()];
        for (&token, place) in own.iter().zip(0..) {
            rank[token as usize] = place;
        }
        let all: f64 = later.iter().sum();
        let kept = self.orders.iter().map(|order| {
            let shared = overlap_along(order, &rank);
            let masses = running_shares(order, later, all);
            let at = self
                .budgets
                .iter()
                .map(|&budget| match is_defined(budget, order.len()) {
                    true => KeptOfLater {
                        recall: share_of(budget, shared[budget]),
                        mass: masses[budget],
                    },
                    false => KeptOfLater {
                        recall: f64::NAN,
                        mass: f64::NAN,
                    },
                });
            at.collect()
        });
        let most = running_shares(&own, later, all);
        HeldAgainst {
            horizon,
            steps,
            cached_share: all / steps as f64,
            kept: kept.collect(),
            most: self
                .budgets
                .iter()
                .map(|&budget| match is_defined(budget, own.len()) {
                    true => most[budget],
                    false => f64::NAN,
                })
                .collect(),
        }
    }
}

fn order(scores: &[f32]) -> Vec<u32> {
    descending(SortKeys {
        scores,
        tie_break: None,
    })
}

/// Share of all attention that the first B tokens of an order hold, for B in 0..=n.
fn running_shares(order: &[u32], attention: &[f64], all: f64) -> Vec<f64> {
    let mut sum = 0.0;
    let sums = order.iter().map(|&token| {
        sum += attention[token as usize];
        sum / all
    });
    std::iter::once(0.0).chain(sums).collect()
}
