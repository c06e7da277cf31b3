//! How much of what a head attends to most its neighbours attend to as well: the next decode step, the layer below, the
//! other heads of its group.

use std::ops::Range;

use rayon::prelude::*;

use crate::budget::AscendingBudgets;
use crate::comparison::{check_budgets, same};
use crate::drift::StepOverlaps;
use crate::error::AnalysisError;
use crate::importance::{HeadScores, Importance};
use crate::tokens::ForcedKeep;
use crate::tops::HeadTops;

/// One head at one budget. Each is the share of one top B that the other has, too: both have B tokens, so it is recall of
/// one by the other from either side, is B over the rankable tokens by chance, and the Jaccard index is
/// `overlap / (2 - overlap)`. NaN where there is no neighbour and where B is not below the rankable tokens.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct HeadOverlaps {
    /// Of a decode step with the step before, in the mean over steps.
    pub next_step: f64,
    /// Of a decode step with the mean over all steps before it, in the mean over steps.
    pub steps_before: f64,
    /// Of the head's mean over steps with the mean over the heads of the layer below.
    pub layer_below: f64,
    /// Of the head's mean over steps with that of each other head of its key/value group, in the mean over them.
    pub group: f64,
}

/// The overlaps of some layers' heads, to which those of the layers behind can be added.
#[derive(Debug, Clone)]
pub struct Neighbours {
    /// `[L, heads][budgets]`.
    by_head: Vec<Vec<HeadOverlaps>>,
    /// What the layers before and behind need of these.
    edges: Edges,
}

#[derive(Debug, Clone)]
struct Edges {
    budgets: Vec<usize>,
    /// Scores of the first layer's heads, `[heads][T]`, and its rankable tokens.
    first: Vec<Vec<f32>>,
    first_rankable: Range<usize>,
    /// Mean over the last layer's heads, `[T]`.
    last_mean: Vec<f32>,
}

impl Neighbours {
    /// Of the decode stage's mean attention, `[L, heads]`, whose heads stand in groups of `group_size` and were told apart
    /// by step as `steps` say, `[L, heads]`; empty where no single steps are known. The layer below the first one is not
    /// known.
    ///
    /// # Errors
    /// [`AnalysisError::BudgetOutOfRange`] for a budget outside 1..=T, [`AnalysisError::Mismatch`] where steps are of
    /// other heads, [`AnalysisError::Empty`] without layers or heads.
    pub fn of(
        decode_mass: &Importance,
        exempt: ForcedKeep,
        group_size: usize,
        budgets: &[usize],
        steps: &[StepOverlaps],
    ) -> Result<Self, AnalysisError> {
        check_budgets(budgets, decode_mass.prompt_tokens())?;
        let (layers, heads) = (decode_mass.layers(), decode_mass.heads());
        if !steps.is_empty() {
            same("heads with single steps", layers * heads, steps.len())?;
        }
        let means = (0..layers)
            .map(|layer| {
                let heads: Vec<(usize, usize)> = (0..heads).map(|head| (layer, head)).collect();
                let mean = decode_mass.mean_over_heads(&heads)?;
                Ok(mean.head(0, 0).to_vec())
            })
            .collect::<Result<Vec<Vec<f32>>, AnalysisError>>()?;
        let by_layer: Vec<Vec<Vec<HeadOverlaps>>> = (0..layers)
            .into_par_iter()
            .map(|layer| {
                let scores = (0..heads).map(|head| decode_mass.head(layer, head));
                let sides = LayerSides::of(
                    scores.collect(),
                    decode_mass.rankable(layer, exempt),
                    budgets,
                );
                let below = layer.checked_sub(1).and_then(|below| means.get(below));
                let below = sides.with(below.map(Vec::as_slice));
                let group = sides.within_groups(group_size);
                let steps = steps.get(layer * heads..(layer + 1) * heads);
                overlaps(budgets.len(), below, group, steps.unwrap_or_default())
            })
            .collect();
        Ok(Self {
            by_head: by_layer.into_iter().flatten().collect(),
            edges: Edges {
                budgets: budgets.to_vec(),
                first: (0..heads)
                    .map(|head| decode_mass.head(0, head).to_vec())
                    .collect(),
                first_rankable: decode_mass.rankable(0, exempt),
                last_mean: means.into_iter().next_back().unwrap_or_default(),
            },
        })
    }

    /// Adds the layers behind, whose first one has found the layer below now.
    pub fn append(&mut self, mut behind: Self) {
        let Edges {
            budgets,
            first,
            first_rankable,
            last_mean,
        } = behind.edges;
        let scores = first.iter().map(Vec::as_slice).collect();
        let sides = LayerSides::of(scores, first_rankable, &budgets);
        let below = sides.with(Some(&self.edges.last_mean));
        for (head, below) in behind.by_head.iter_mut().zip(below) {
            for (overlaps, layer_below) in head.iter_mut().zip(below) {
                overlaps.layer_below = layer_below;
            }
        }
        self.by_head.extend(behind.by_head);
        self.edges.last_mean = last_mean;
    }

    /// The overlaps of every head `[L, heads]` at each budget, in the order in which these were given.
    pub fn by_head(&self) -> &[Vec<HeadOverlaps>] {
        &self.by_head
    }

    /// The overlaps of every head at one budget, by its place.
    pub fn at(&self, budget: usize) -> Vec<HeadOverlaps> {
        let heads = self.by_head.iter();
        heads.filter_map(|head| head.get(budget).copied()).collect()
    }
}

/// The tops of a layer's heads.
struct LayerSides<'a> {
    scores: Vec<HeadScores<'a>>,
    budgets: AscendingBudgets,
    tops: Vec<HeadTops>,
}

impl<'a> LayerSides<'a> {
    fn of(scores: Vec<&'a [f32]>, rankable: Range<usize>, budgets: &[usize]) -> Self {
        let budgets = AscendingBudgets::new(budgets, rankable.len());
        let of_head = |scores: &'a [f32]| HeadScores::new(scores, None, rankable.clone());
        let scores: Vec<HeadScores<'a>> = scores.into_iter().map(of_head).collect();
        Self {
            tops: scores
                .iter()
                .map(|scores| HeadTops::of(*scores, &budgets))
                .collect(),
            scores,
            budgets,
        }
    }

    /// Overlaps of every head with other scores of the same tokens, `[heads][budgets]`.
    fn with(&self, other: Option<&[f32]>) -> Vec<Vec<f64>> {
        let of_head = |(scores, tops): (&HeadScores<'_>, &HeadTops)| match other {
            None => vec![f64::NAN; self.budgets.count()],
            Some(other) => {
                let other = HeadScores::new(other, None, scores.rankable());
                tops.recall_with(other, &self.budgets)
            }
        };
        self.scores.iter().zip(&self.tops).map(of_head).collect()
    }

    /// The same with each other head of a group, in the mean over them.
    fn within_groups(&self, size: usize) -> Vec<Vec<f64>> {
        let heads = self.scores.len();
        let size = size.clamp(1, heads.max(1));
        let of_head = |head: usize| {
            let first = head - head % size;
            let others = (first..(first + size).min(heads)).filter(|other| *other != head);
            let mut sums = vec![0.0; self.budgets.count()];
            for other in others {
                let found = self.tops[head].recall_with(self.scores[other], &self.budgets);
                for (sum, overlap) in sums.iter_mut().zip(found) {
                    *sum += overlap;
                }
            }
            let others = (size - 1) as f64;
            sums.iter().map(|sum| sum / others).collect()
        };
        (0..heads).map(of_head).collect()
    }
}

/// One layer's heads, `[heads][budgets]`.
fn overlaps(
    budgets: usize,
    below: Vec<Vec<f64>>,
    group: Vec<Vec<f64>>,
    steps: &[StepOverlaps],
) -> Vec<Vec<HeadOverlaps>> {
    let heads = below.iter().zip(&group).enumerate();
    heads
        .map(|(head, (below, group))| {
            let steps = steps.get(head);
            let at = |budget: usize| {
                let of = |numbers: Option<&Vec<f64>>| {
                    let number = numbers.and_then(|numbers| numbers.get(budget));
                    number.copied().unwrap_or(f64::NAN)
                };
                HeadOverlaps {
                    next_step: of(steps.map(|steps| &steps.next_step)),
                    steps_before: of(steps.map(|steps| &steps.steps_before)),
                    layer_below: of(Some(below)),
                    group: of(Some(group)),
                }
            };
            (0..budgets).map(at).collect()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::importance::HeadKind;

    /// Two layers of four heads in groups of two, over four tokens.
    const SCORES: [[[f32; 4]; 4]; 2] = [
        [
            [4.0, 3.0, 2.0, 1.0],
            [4.0, 2.0, 3.0, 1.0],
            [1.0, 2.0, 3.0, 4.0],
            [4.0, 3.0, 2.0, 1.0],
        ],
        [
            [4.0, 3.0, 2.0, 1.0],
            [1.0, 2.0, 3.0, 4.0],
            [1.0, 4.0, 3.0, 2.0],
            [1.0, 4.0, 3.0, 2.0],
        ],
    ];

    fn mass(layers: Range<usize>) -> Importance {
        let scores: Vec<f32> = SCORES[layers.clone()].as_flattened().concat();
        let (count, kind) = (layers.len(), HeadKind::Query);
        Importance::new(
            count,
            4,
            kind,
            4,
            scores,
            vec![1.0; 4 * count],
            vec![0; count],
        )
        .unwrap()
    }

    fn neighbours(layers: Range<usize>) -> Neighbours {
        Neighbours::of(&mass(layers), ForcedKeep::default(), 2, &[2, 4, 1], &[]).unwrap()
    }

    fn told(found: &Neighbours, number: fn(&HeadOverlaps) -> f64, budget: usize) -> Vec<f64> {
        found.at(budget).iter().map(number).collect()
    }

    /// By hand: the mean over the heads of layer 0 is 13, 10, 10, 7 quarters, whose top two are tokens 0 and 1.
    #[test]
    fn layers_and_groups_by_hand() {
        let found = neighbours(0..2);
        let group = told(&found, |head| head.group, 0);
        assert_eq!(group, [0.5, 0.5, 0.0, 0.0, 0.0, 0.0, 1.0, 1.0]);
        assert_eq!(
            told(&found, |head| head.group, 2)[..4],
            [1.0, 1.0, 0.0, 0.0]
        );
        let below = told(&found, |head| head.layer_below, 0);
        assert!(below[..4].iter().all(|overlap| overlap.is_nan()));
        assert_eq!(below[4..], [1.0, 0.0, 0.5, 0.5]);
        let all = found.at(1);
        assert!(
            all.iter()
                .all(|head| head.group.is_nan() && head.layer_below.is_nan())
        );
        assert!(found.at(0).iter().all(|head| head.next_step.is_nan()));
    }

    #[test]
    fn layers_that_are_counted_apart_are_counted_as_together() {
        let mut found = neighbours(0..1);
        found.append(neighbours(1..2));
        let together = neighbours(0..2);
        for number in [
            |head: &HeadOverlaps| head.layer_below,
            |head: &HeadOverlaps| head.group,
        ] {
            for budget in [0, 2] {
                let (apart, together) = (
                    told(&found, number, budget),
                    told(&together, number, budget),
                );
                let same = |(a, b): (&f64, &f64)| a == b || (a.is_nan() && b.is_nan());
                assert!(
                    apart.iter().zip(&together).all(same),
                    "{apart:?} {together:?}"
                );
            }
        }
    }

    #[test]
    fn a_head_alone_has_no_group() {
        let found = Neighbours::of(&mass(0..1), ForcedKeep::default(), 1, &[1], &[]).unwrap();
        assert!(found.at(0).iter().all(|head| head.group.is_nan()));
        let wrong = Neighbours::of(&mass(0..1), ForcedKeep::default(), 1, &[5], &[]);
        assert!(wrong.is_err());
    }
}
