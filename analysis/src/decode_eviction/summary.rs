//! Rankings while decoding in the mean over heads, steps and samples.

use super::{Horizon, RankedStep};
use crate::budget::Budget;

/// Means of recall and mass over the heads and steps of a sample, and of these over samples.
#[derive(Debug, Clone, Default)]
pub struct DecodeEvictionMeans {
    /// In the order of coming.
    points: Vec<(DecodeEvictionPoint, Sums, Sums)>,
}

/// Where a mean stands.
#[derive(Debug, Clone, PartialEq)]
pub struct DecodeEvictionPoint {
    /// What ranked.
    pub ranking: String,
    /// What it was held against.
    pub horizon: Horizon,
    /// The budget as it was typed.
    pub budget: Budget,
}

/// Means at a point; NaN where nothing is defined.
#[derive(Debug, Clone, PartialEq)]
pub struct DecodeEvictionMean {
    /// Where.
    pub point: DecodeEvictionPoint,
    /// Of recall.
    pub recall: f64,
    /// Of mass.
    pub mass: f64,
    /// Samples that they are over.
    pub samples: usize,
}

/// Sums of recall and mass, and how many of them are defined.
#[derive(Debug, Clone, Copy, Default)]
struct Sums {
    recall: f64,
    mass: f64,
    count: usize,
}

impl Sums {
    fn add(&mut self, recall: f64, mass: f64) {
        if recall.is_finite() {
            self.recall += recall;
            self.mass += mass;
            self.count += 1;
        }
    }

    fn means(&self) -> (f64, f64) {
        let count = self.count as f64;
        (self.recall / count, self.mass / count)
    }
}

impl DecodeEvictionMeans {
    /// Adds one head of the sample that is being added. `rankings` and `budgets` are those that it was ranked by and at.
    pub fn add_head(&mut self, rankings: &[String], budgets: &[Budget], steps: &[RankedStep]) {
        let held = || steps.iter().flat_map(|step| &step.horizons);
        let mut horizons: Vec<Horizon> = Vec::new();
        for held in held() {
            if !horizons.contains(&held.horizon) {
                horizons.push(held.horizon);
            }
        }
        for horizon in horizons {
            for (by, ranking) in rankings.iter().enumerate() {
                for (at, &budget) in budgets.iter().enumerate() {
                    let own = self.of(DecodeEvictionPoint {
                        ranking: ranking.clone(),
                        horizon,
                        budget,
                    });
                    for held in held().filter(|held| held.horizon == horizon) {
                        let kept = held.kept.get(by).and_then(|kept| kept.get(at));
                        if let Some(kept) = kept {
                            own.add(kept.recall, kept.mass);
                        }
                    }
                }
            }
        }
    }

    fn of(&mut self, point: DecodeEvictionPoint) -> &mut Sums {
        let known = self.points.iter().position(|(known, ..)| *known == point);
        let place = known.unwrap_or_else(|| {
            self.points.push((point, Sums::default(), Sums::default()));
            self.points.len() - 1
        });
        &mut self.points[place].1
    }

    /// Takes the means of the heads that were added as those of one sample.
    pub fn end_sample(&mut self) {
        for (_, of_sample, of_all) in &mut self.points {
            let (recall, mass) = std::mem::take(of_sample).means();
            of_all.add(recall, mass);
        }
    }

    /// Every point, in the order of coming.
    pub fn means(&self) -> Vec<DecodeEvictionMean> {
        let points = self.points.iter();
        points
            .map(|(point, _, of_all)| {
                let (recall, mass) = of_all.means();
                DecodeEvictionMean {
                    point: point.clone(),
                    recall,
                    mass,
                    samples: of_all.count,
                }
            })
            .collect()
    }
}
