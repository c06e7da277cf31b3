//! Whether a head is the same in every sample: its numbers over the samples of a group, and its place among the heads.

use std::collections::HashSet;

use super::{HeadOverlaps, HeadProfile, ProfileNumber};
use crate::budget::Budget;
use crate::collection::{HeadShape, SampleGroup};
use crate::statistics::{average_ranks, concordance, mean};

/// What one sample says of its heads.
#[derive(Debug, Clone, Copy)]
pub struct SampleProfile<'a> {
    /// Equal for copies, which count once.
    pub content: &'a str,
    /// Its heads.
    pub shape: HeadShape,
    /// `[L, heads]`.
    pub profiles: &'a [HeadProfile],
    /// The budgets that apply to its prompt.
    pub budgets: &'a [Budget],
    /// `[L, heads][budgets]`.
    pub overlaps: &'a [Vec<HeadOverlaps>],
}

/// Profiles gathered so far, by group.
#[derive(Debug, Clone, Default)]
pub struct ProfileSamples {
    groups: Vec<GroupProfiles>,
}

#[derive(Debug, Clone)]
struct GroupProfiles {
    group: SampleGroup,
    shape: HeadShape,
    contents: HashSet<String>,
    numbers: Vec<Gathered>,
}

/// One number over the samples so far.
#[derive(Debug, Clone)]
struct Gathered {
    number: ProfileNumber,
    budget: Option<Budget>,
    /// `[samples][L, heads]`.
    by_sample: Vec<Vec<f64>>,
}

/// One number of a group's heads over its samples.
#[derive(Debug, Clone)]
pub struct NumberStability<'a> {
    /// The samples.
    pub group: &'a SampleGroup,
    /// The heads.
    pub shape: HeadShape,
    /// The number.
    pub number: ProfileNumber,
    /// The budget that it is at; none where it hangs on none.
    pub budget: Option<Budget>,
    /// Kendall's coefficient of concordance W of the heads' order over samples, 0..=1: 1 where every sample orders the
    /// heads alike. Over the heads in which every sample has the number; NaN for fewer than two samples or heads.
    pub concordance: f64,
    /// `[L, heads]`.
    pub by_head: Vec<HeadNumberStability>,
}

/// One number of one head over samples; NaN where too few have it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct HeadNumberStability {
    /// Samples in which it is defined.
    pub samples: usize,
    /// Mean over them.
    pub mean: f64,
    /// Standard deviation over them, by `samples - 1`.
    pub deviation: f64,
    /// Share of a sample's heads whose number is lower, equal ones counted half, in the mean over samples: 0 for a head
    /// that is lowest in all of them, nearly 1 for one that is highest.
    pub place: f64,
    /// Its standard deviation over samples; 0.29 where the place is drawn anew in each.
    pub place_deviation: f64,
}

impl ProfileSamples {
    /// Adds a sample. A copy of one in its group says nothing, and neither does one of other heads than the first.
    pub fn add(&mut self, group: SampleGroup, sample: SampleProfile<'_>) {
        let known = self.groups.iter().position(|known| known.group == group);
        let index = known.unwrap_or_else(|| {
            self.groups.push(GroupProfiles {
                group,
                shape: sample.shape,
                contents: HashSet::new(),
                numbers: Vec::new(),
            });
            self.groups.len() - 1
        });
        let entry = &mut self.groups[index];
        if entry.shape == sample.shape && entry.contents.insert(sample.content.to_owned()) {
            entry.add(sample);
        }
    }

    /// Every number of every group with more than one sample, groups in the order of coming.
    pub fn stabilities(&self) -> impl Iterator<Item = NumberStability<'_>> {
        let several = self.groups.iter().filter(|group| group.contents.len() > 1);
        several.flat_map(|group| {
            let numbers = group.numbers.iter();
            numbers.map(|gathered| gathered.stability(group))
        })
    }
}

impl GroupProfiles {
    fn add(&mut self, sample: SampleProfile<'_>) {
        for number in ProfileNumber::ALL {
            if !number.is_overlap() {
                let heads = sample.profiles.iter();
                let values = heads.map(|profile| number.of(profile, None)).collect();
                self.push(number, None, values);
                continue;
            }
            for (at, &budget) in sample.budgets.iter().enumerate() {
                let heads = sample.profiles.iter().zip(sample.overlaps);
                let values = heads.map(|(profile, overlaps)| number.of(profile, overlaps.get(at)));
                let values = values.collect();
                self.push(number, Some(budget), values);
            }
        }
    }

    fn push(&mut self, number: ProfileNumber, budget: Option<Budget>, values: Vec<f64>) {
        let is_it = |known: &Gathered| known.number == number && known.budget == budget;
        let known = self.numbers.iter().position(is_it);
        let index = known.unwrap_or_else(|| {
            self.numbers.push(Gathered {
                number,
                budget,
                by_sample: Vec::new(),
            });
            self.numbers.len() - 1
        });
        self.numbers[index].by_sample.push(values);
    }
}

impl Gathered {
    fn stability<'a>(&self, group: &'a GroupProfiles) -> NumberStability<'a> {
        let heads = group.shape.layers * group.shape.heads;
        let places: Vec<Vec<f64>> = self.by_sample.iter().map(|sample| places(sample)).collect();
        let defined: Vec<usize> = (0..heads)
            .filter(|&head| self.by_sample.iter().all(|sample| !sample[head].is_nan()))
            .collect();
        let of_defined = |sample: &Vec<f64>| defined.iter().map(|&head| sample[head]).collect();
        let common: Vec<Vec<f64>> = self.by_sample.iter().map(of_defined).collect();
        let of_head = |head: usize| {
            let over_samples = |samples: &[Vec<f64>]| -> Vec<f64> {
                let values = samples.iter().map(|sample| sample[head]);
                values.filter(|value| !value.is_nan()).collect()
            };
            let (values, places) = (over_samples(&self.by_sample), over_samples(&places));
            HeadNumberStability {
                samples: values.len(),
                mean: mean(values.iter().copied()).unwrap_or(f64::NAN),
                deviation: deviation(&values),
                place: mean(places.iter().copied()).unwrap_or(f64::NAN),
                place_deviation: deviation(&places),
            }
        };
        NumberStability {
            group: &group.group,
            shape: group.shape,
            number: self.number,
            budget: self.budget,
            concordance: match common.len() > 1 {
                true => concordance(&common),
                false => f64::NAN,
            },
            by_head: (0..heads).map(of_head).collect(),
        }
    }
}

/// Of each head the share of the heads that are lower, equal ones counted half; NaN where it has no number.
fn places(values: &[f64]) -> Vec<f64> {
    let known = values.iter().copied().filter(|value| !value.is_nan());
    let known: Vec<f64> = known.collect();
    let count = known.len() as f64;
    let mut ranks = average_ranks(&known).into_iter();
    let place = |value: &f64| match value.is_nan() {
        true => f64::NAN,
        false => ranks.next().map_or(f64::NAN, |rank| (rank - 0.5) / count),
    };
    values.iter().map(place).collect()
}

fn deviation(values: &[f64]) -> f64 {
    let Some(mean) = mean(values.iter().copied()).filter(|_| values.len() > 1) else {
        return f64::NAN;
    };
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    (squares / (values.len() - 1) as f64).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::importance::HeadKind;

    fn profile(recent_share: f64) -> HeadProfile {
        HeadProfile {
            prompt_share: 1.0,
            entropy: f64::NAN,
            effective_tokens: 1.0,
            tokens_for: [1, 2, 3],
            sink_share: 0.0,
            recent_share,
            evidence_share: f64::NAN,
        }
    }

    fn add(samples: &mut ProfileSamples, content: &str, shares: [f64; 3]) {
        let group = SampleGroup {
            model: "demo".to_owned(),
            task: "facts".to_owned(),
            question_place: None,
        };
        samples.add(
            group,
            SampleProfile {
                content,
                shape: HeadShape {
                    layers: 1,
                    heads: 3,
                    head_kind: HeadKind::Query,
                },
                profiles: &shares.map(profile),
                budgets: &[],
                overlaps: &[],
            },
        );
    }

    fn recent(samples: &ProfileSamples) -> Option<NumberStability<'_>> {
        let mut all = samples.stabilities();
        all.find(|found| found.number == ProfileNumber::RecentShare)
    }

    /// Expected by NumPy: mean and std(ddof=1) of 0.2, 0.4, 0.9; W of the ranks 1 2 3, 1 2 3, 3 1 2 is
    /// 12 * 6 / (9 * 24).
    #[test]
    fn numbers_and_places_over_three_samples() {
        let mut samples = ProfileSamples::default();
        add(&mut samples, "a", [0.2, 0.5, 0.6]);
        assert!(recent(&samples).is_none(), "one sample is none");
        add(&mut samples, "b", [0.4, 0.5, 0.6]);
        add(&mut samples, "c", [0.9, 0.1, 0.3]);
        add(&mut samples, "c", [0.0, 0.0, 0.0]);
        let found = recent(&samples).unwrap();
        let head = found.by_head[0];
        assert_eq!(head.samples, 3);
        assert!((head.mean - 0.5).abs() < 1e-12);
        assert!((head.deviation - 0.36055512754639896).abs() < 1e-12);
        assert!((head.place - (0.5 + 0.5 + 2.5) / 9.0).abs() < 1e-12);
        assert!(
            (found.concordance - 1.0 / 3.0).abs() < 1e-12,
            "{}",
            found.concordance
        );
    }

    #[test]
    fn a_number_that_no_sample_has_is_undefined_and_equal_ones_share_a_place() {
        let mut samples = ProfileSamples::default();
        add(&mut samples, "a", [0.2, 0.2, 0.6]);
        add(&mut samples, "b", [0.3, 0.3, f64::NAN]);
        let found = recent(&samples).unwrap();
        assert_eq!(found.by_head[2].samples, 1);
        assert!(found.by_head[2].deviation.is_nan());
        assert_eq!(found.by_head[0].place, (1.0 / 3.0 + 0.5) / 2.0);
        let mut all = samples.stabilities();
        let entropy = all.find(|found| found.number == ProfileNumber::Entropy);
        let entropy = entropy.unwrap();
        assert!(entropy.concordance.is_nan() && entropy.by_head[0].mean.is_nan());
    }
}
