//! How well the cache is ranked while it decodes, over the selected heads and at the budget.

use std::collections::BTreeSet;

use kvlens_analysis::Band;
use kvlens_analysis::decode_eviction::{HeldAgainst, Horizon};
use kvlens_analysis::figure::palette::repeat;

use super::Derived;
use super::curves::{HeadGrid, selected_heads};
use super::drift::{DriftCurve, nearest};
use crate::gui::data::SessionInfo;
use crate::gui::query::Pool;
use crate::gui::question_choices::{DecodeCacheChoices, DecodeCacheMetric};
use crate::gui::questions::Answers;
use crate::gui::questions::decode_cache::DecodeCacheAnswer;
use crate::gui::state::{Choices, HeadAddress};

/// A curve for every ranking of the cache.
#[derive(Clone, Debug)]
pub struct DecodeCacheCurves {
    /// Version of the measured sample that they are of.
    pub shown_version: u64,
    /// What they were made for.
    pub choices: DecodeCacheChoices,
    /// The budget that they are at; another one than the workbench's while that is still being measured.
    pub budget_tokens: usize,
    /// S.
    pub decode_steps: usize,
    /// Decode steps that were done when the cache was ranked.
    pub steps: Vec<usize>,
    /// A curve for each ranking.
    pub curves: Vec<DriftCurve>,
    /// The most that any tokens hold, of mass.
    pub most: Option<Vec<f64>>,
    /// What the session lacks, as a sentence; there are no curves then.
    pub lacking: Option<String>,
}

pub(super) type DecodeCacheKey = (u64, BTreeSet<HeadAddress>, usize, DecodeCacheChoices);

impl Derived {
    /// Renews what the view of the decoding cache draws.
    pub fn refresh_decode_cache(
        &mut self,
        pool: &Pool,
        info: &SessionInfo,
        choices: &Choices,
        answers: &Answers,
    ) {
        let (wanted, grid) = (self.budget_tokens(), HeadGrid::of(info));
        let (heads, asked) = (choices.heads.clone(), choices.decode_cache);
        if let Some(answer) = answers.decode_cache.value().cloned() {
            let at = nearest(&answer.key.budgets, wanted);
            let key = (answers.decode_cache.version(), heads.clone(), at, asked);
            self.decode_cache.in_pool(pool, key, move |_| {
                curves(&answer, grid, &heads, (asked, at))
            });
        }
    }

    /// No view of it is in sight.
    pub fn let_decode_cache_go(&mut self) {
        self.decode_cache.let_go();
    }

    /// The curves, as far as they were asked for.
    #[must_use]
    pub fn decode_cache(&self) -> Option<&DecodeCacheCurves> {
        self.decode_cache.value()
    }
}

fn curves(
    answer: &DecodeCacheAnswer,
    grid: HeadGrid,
    selection: &BTreeSet<HeadAddress>,
    (choices, at): (DecodeCacheChoices, usize),
) -> DecodeCacheCurves {
    let choices = DecodeCacheChoices {
        every: answer.key.width,
        ..choices
    };
    let ranked = match &answer.ranked {
        Ok(ranked) => ranked,
        Err(lacking) => {
            return DecodeCacheCurves {
                shown_version: answer.key.shown_version,
                choices,
                budget_tokens: 0,
                decode_steps: answer.decode_steps,
                steps: Vec::new(),
                curves: Vec::new(),
                most: None,
                lacking: Some(lacking.clone()),
            };
        }
    };
    let horizon = choices.horizon.horizon(answer.key.width);
    let heads = selected_heads(ranked.layers, ranked.heads, grid, selection);
    let heads = heads.iter();
    let heads = heads.filter_map(|(layer, head)| ranked.by_head.get(layer * ranked.heads + head));
    // steps at which a horizon reaches past the end of the stage are the same in every head
    let held: Vec<Vec<(usize, &HeldAgainst)>> = heads
        .map(|steps| {
            let steps = steps.iter();
            let held =
                steps.filter_map(|step| Some((step.step, of_horizon(&step.horizons, horizon)?)));
            held.collect()
        })
        .collect();
    let steps = held.first().map_or_else(Vec::new, |held| {
        held.iter().map(|(step, _)| *step).collect()
    });
    let band = |value: &dyn Fn(&HeldAgainst) -> Option<f64>| {
        let of_heads: Vec<Vec<f64>> = held
            .iter()
            .map(|held| {
                let values = held.iter().map(|(_, held)| value(held));
                values.map(|value| value.unwrap_or(f64::NAN)).collect()
            })
            .collect();
        let of_heads: Vec<&[f64]> = of_heads.iter().map(Vec::as_slice).collect();
        Band::of(&of_heads, steps.len())
    };
    let labels: Vec<&str> = ranked.rankings.iter().map(String::as_str).collect();
    let curve = |(index, label): (usize, &String)| DriftCurve {
        label: label.clone(),
        repeat: repeat(&labels, index),
        heads: held.len(),
        band: band(&|held| {
            let kept = held.kept.get(index)?.get(at)?;
            Some(match choices.metric {
                DecodeCacheMetric::Recall => kept.recall,
                DecodeCacheMetric::Mass => kept.mass,
            })
        }),
    };
    let most = || band(&|held| held.most.get(at).copied()).mean;
    DecodeCacheCurves {
        shown_version: answer.key.shown_version,
        choices,
        budget_tokens: answer.key.budgets.get(at).copied().unwrap_or(0),
        decode_steps: answer.decode_steps,
        curves: ranked.rankings.iter().enumerate().map(curve).collect(),
        most: (choices.metric == DecodeCacheMetric::Mass).then(most),
        steps,
        lacking: None,
    }
}

fn of_horizon(all: &[HeldAgainst], horizon: Horizon) -> Option<&HeldAgainst> {
    all.iter().find(|held| held.horizon == horizon)
}

#[cfg(test)]
mod tests {
    use kvlens_analysis::decode_eviction::{KeptOfLater, RankedStep};

    use super::*;
    use crate::gui::questions::CurvesKey;
    use crate::measurement::decode_eviction::{HorizonChoice, RankedSample};

    /// Two heads of one layer, ranked after 2 and 4 of 5 steps: the last has no next 2.
    fn answer() -> DecodeCacheAnswer {
        let held = |horizon, recall: f64| HeldAgainst {
            horizon,
            steps: 1,
            cached_share: 1.0,
            most: vec![0.9, 0.95],
            kept: vec![vec![
                KeptOfLater {
                    recall,
                    mass: recall / 2.0,
                },
                KeptOfLater {
                    recall: f64::NAN,
                    mass: f64::NAN,
                },
            ]],
        };
        let step = |step, recall| RankedStep {
            step,
            cached_tokens: 9,
            visible_tokens: 9,
            budgets: vec![4, 8],
            horizons: match step {
                2 => vec![held(Horizon::Next(2), recall), held(Horizon::Rest, 0.1)],
                _ => vec![held(Horizon::Rest, recall)],
            },
        };
        DecodeCacheAnswer {
            key: CurvesKey {
                shown_version: 3,
                width: 2,
                budgets: vec![4, 8],
            },
            decode_steps: 5,
            ranked: Ok(RankedSample {
                rankings: vec!["last:1".to_owned()],
                layers: 1,
                heads: 2,
                by_head: vec![
                    vec![step(2, 0.2), step(4, 0.5)],
                    vec![step(2, 0.6), step(4, 0.7)],
                ],
            }),
        }
    }

    #[test]
    fn a_curve_is_the_mean_over_the_selected_heads_where_the_horizon_fits() {
        let grid = HeadGrid {
            layers: 1,
            query_heads: 2,
        };
        let of = |selected: &[usize], horizon, metric| {
            let selected = selected.iter();
            let selection = selected.map(|&head| HeadAddress { layer: 0, head });
            let choices = DecodeCacheChoices {
                every: 2,
                horizon,
                metric,
            };
            curves(&answer(), grid, &selection.collect(), (choices, 0))
        };
        let near = of(&[], HorizonChoice::NextRanking, DecodeCacheMetric::Recall);
        assert_eq!((near.steps.as_slice(), near.most), (&[2][..], None));
        assert!((near.curves[0].band.mean[0] - 0.4).abs() < 1e-12);
        let rest = of(&[1], HorizonChoice::Rest, DecodeCacheMetric::Mass);
        assert_eq!(rest.steps, [2, 4]);
        assert_eq!(rest.curves[0].band.mean, [0.05, 0.35]);
        assert_eq!((rest.curves[0].heads, rest.most), (1, Some(vec![0.9, 0.9])));
    }
}
