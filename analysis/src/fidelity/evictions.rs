//! From plain rows, one for each eviction of each sample, to means over samples and to correlations, always within a
//! group and at one budget: pooled budgets would correlate by themselves, since a larger one foresees more and
//! changes less.

use super::relation::{
    MeanCorrelation, correlation_of_means, correlation_over_samples, correlation_over_windows,
};
use crate::budget::Budget;
use crate::distinct;
use crate::error::AnalysisError;
use crate::statistics::{Interval, mean, mean_interval};

/// One eviction of one sample: what it foresaw and what it changed. `G` is what samples are averaged within, such
/// as model, task and place of the question.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Eviction<'a, G> {
    /// The group.
    pub group: G,
    /// What the sample is, by content: a second row of the same content, window and budget does not count.
    pub sample: &'a str,
    /// Label of the window.
    pub window: &'a str,
    /// The budget as it was typed.
    pub budget: Budget,
    /// What was foreseen, such as recall; NaN where it is undefined.
    pub foreseen: f64,
    /// What became of the output, such as KL; NaN where the data do not say.
    pub changed: f64,
}

/// A window at one budget in one group.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct EvictionMean<'a, G> {
    /// The group.
    pub group: G,
    /// Label of the window.
    pub window: &'a str,
    /// The budget as it was typed.
    pub budget: Budget,
    /// Samples that say what became of the output.
    pub samples: usize,
    /// Mean over them of what became of it.
    pub changed: f64,
    /// [`mean_interval`] of that mean.
    pub interval: Option<Interval>,
    /// Mean over those of them that say what was foreseen; NaN of none.
    pub foreseen: f64,
}

/// The correlations of one group at one budget, over the samples that every window has.
#[derive(Debug, Clone, PartialEq)]
pub struct BudgetCorrelations<'a, G> {
    /// The group.
    pub group: G,
    /// The budget as it was typed.
    pub budget: Budget,
    /// Labels of the windows, in the order of coming.
    pub windows: Vec<&'a str>,
    /// Samples that every one of them has both values of.
    pub samples: usize,
    /// [`correlation_over_samples`] of each window.
    pub over_samples: Vec<f64>,
    /// [`correlation_over_windows`]; none of fewer than two windows.
    pub over_windows: Option<MeanCorrelation>,
    /// [`correlation_of_means`]; none of fewer than two windows.
    pub of_means: Option<f64>,
}

/// Means over samples of every window, by group, window and budget in the order of coming. `bounds` are what no
/// value of the changed quantity can leave; an end may be infinite.
pub fn eviction_means<'a, G: Copy + PartialEq>(
    rows: &[Eviction<'a, G>],
    bounds: Option<(f64, f64)>,
    seed: u64,
) -> Vec<EvictionMean<'a, G>> {
    let curves = distinct(rows.iter().map(|row| (row.group, row.window, row.budget)));
    let mean_of = |(group, window, budget): (G, &'a str, Budget)| {
        let of_curve = rows
            .iter()
            .filter(|row| row.group == group && row.window == window && row.budget == budget);
        let counted = once_a_sample(of_curve.filter(|row| !row.changed.is_nan()));
        let changed: Vec<f64> = counted.iter().map(|row| row.changed).collect();
        let foreseen = counted.iter().map(|row| row.foreseen);
        Some(EvictionMean {
            group,
            window,
            budget,
            samples: changed.len(),
            changed: mean(changed.iter().copied())?,
            interval: mean_interval(&changed, bounds, seed),
            foreseen: mean(foreseen.filter(|value| !value.is_nan())).unwrap_or(f64::NAN),
        })
    };
    curves.into_iter().filter_map(mean_of).collect()
}

/// The correlations of every group at every budget, in the order of coming. The caller leaves out what is no window
/// to be judged: the decode stage itself and the full cache have the best of both by what they are.
///
/// # Errors
/// [`AnalysisError::NotANumber`] for an infinite value.
pub fn eviction_correlations<'a, G: Copy + PartialEq>(
    rows: &[Eviction<'a, G>],
    seed: u64,
) -> Result<Vec<BudgetCorrelations<'a, G>>, AnalysisError> {
    let defined: Vec<&Eviction<'a, G>> = rows
        .iter()
        .filter(|row| !row.foreseen.is_nan() && !row.changed.is_nan())
        .collect();
    let parts = distinct(defined.iter().map(|row| (row.group, row.budget)));
    let correlations = parts.into_iter().map(|(group, budget)| {
        let of_part = defined.iter().copied();
        let of_part: Vec<&Eviction<'a, G>> = of_part
            .filter(|row| row.group == group && row.budget == budget)
            .collect();
        correlations_of(&of_part, (group, budget), seed)
    });
    correlations.collect()
}

fn correlations_of<'a, G: Copy + PartialEq>(
    rows: &[&Eviction<'a, G>],
    (group, budget): (G, Budget),
    seed: u64,
) -> Result<BudgetCorrelations<'a, G>, AnalysisError> {
    let windows = distinct(rows.iter().map(|row| row.window));
    let by_window: Vec<Vec<&Eviction<'a, G>>> = windows
        .iter()
        .map(|window| once_a_sample(rows.iter().copied().filter(|row| row.window == *window)))
        .collect();
    let value = |window: &[&Eviction<'a, G>], sample: &str| {
        let row = window.iter().find(|row| row.sample == sample)?;
        Some((row.foreseen, row.changed))
    };
    let mut foreseen = vec![Vec::new(); windows.len()];
    let mut changed = vec![Vec::new(); windows.len()];
    for sample in distinct(rows.iter().map(|row| row.sample)) {
        let of_windows = by_window.iter().map(|window| value(window, sample));
        let Some(of_windows) = of_windows.collect::<Option<Vec<_>>>() else {
            continue;
        };
        for (index, (one, other)) in of_windows.into_iter().enumerate() {
            foreseen[index].push(one);
            changed[index].push(other);
        }
    }
    let over_samples = foreseen.iter().zip(&changed);
    let several = windows.len() > 1;
    Ok(BudgetCorrelations {
        group,
        budget,
        samples: foreseen.first().map_or(0, Vec::len),
        over_samples: over_samples
            .map(|(foreseen, changed)| correlation_over_samples(foreseen, changed))
            .collect::<Result<_, _>>()?,
        over_windows: several
            .then(|| correlation_over_windows(&foreseen, &changed, seed))
            .transpose()?,
        of_means: several
            .then(|| means_correlation(&foreseen, &changed))
            .transpose()?,
        windows,
    })
}

/// [`correlation_of_means`]; NaN without samples.
fn means_correlation(foreseen: &[Vec<f64>], changed: &[Vec<f64>]) -> Result<f64, AnalysisError> {
    match foreseen.first().is_none_or(Vec::is_empty) {
        true => Ok(f64::NAN),
        false => correlation_of_means(foreseen, changed),
    }
}

/// The first row of every sample.
fn once_a_sample<'r, 'a: 'r, G: 'r>(
    rows: impl Iterator<Item = &'r Eviction<'a, G>>,
) -> Vec<&'r Eviction<'a, G>> {
    let mut found: Vec<&Eviction<'a, G>> = Vec::new();
    for row in rows {
        if found.iter().all(|known| known.sample != row.sample) {
            found.push(row);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(
        group: &'static str,
        (sample, window): (&'static str, &'static str),
        tokens: usize,
        (foreseen, changed): (f64, f64),
    ) -> Eviction<'static, &'static str> {
        Eviction {
            group,
            sample,
            window,
            budget: Budget::Tokens(tokens),
            foreseen,
            changed,
        }
    }

    /// More budget foresees more and changes less, whatever the window: pooled, these rows correlate with -1.
    #[test]
    fn a_lone_window_has_no_correlation_however_many_budgets_it_has() {
        let rows = [
            row("end", ("a", "random"), 8, (0.1, 3.0)),
            row("end", ("a", "random"), 16, (0.2, 2.0)),
            row("end", ("a", "random"), 32, (0.4, 1.0)),
        ];
        let found = eviction_correlations(&rows, 1).unwrap();
        assert_eq!(found.len(), 3);
        for part in found {
            assert_eq!((part.windows, part.samples), (vec!["random"], 1));
            assert!(part.over_windows.is_none() && part.of_means.is_none());
            assert!(part.over_samples[0].is_nan());
        }
    }

    #[test]
    fn places_of_the_question_and_budgets_are_kept_apart() {
        let mut rows = Vec::new();
        for (sample, more) in [("a", 0.0), ("b", 0.1)] {
            for tokens in [8, 64] {
                let shift = tokens as f64 / 100.0 + more;
                // at the end the better window changes less, at the start more
                rows.push(row(
                    "end",
                    (sample, "last"),
                    tokens,
                    (0.2 + shift, 2.0 - shift),
                ));
                rows.push(row(
                    "end",
                    (sample, "laq"),
                    tokens,
                    (0.3 + shift, 1.0 - shift),
                ));
                rows.push(row(
                    "start",
                    (sample, "last"),
                    tokens,
                    (0.2 + shift, 1.0 - shift),
                ));
                rows.push(row(
                    "start",
                    (sample, "laq"),
                    tokens,
                    (0.3 + shift, 2.0 - shift),
                ));
            }
        }
        let found = eviction_correlations(&rows, 1).unwrap();
        let told: Vec<(&str, String, usize, f64, f64)> = found
            .iter()
            .map(|part| {
                let over = part.over_windows.unwrap();
                let budget = part.budget.to_string();
                (
                    part.group,
                    budget,
                    part.samples,
                    over.spearman,
                    part.of_means.unwrap(),
                )
            })
            .collect();
        let line = |group, budget: &str, r| (group, budget.to_owned(), 2, r, r);
        assert_eq!(
            told,
            [
                line("end", "8", -1.0),
                line("start", "8", 1.0),
                line("end", "64", -1.0),
                line("start", "64", 1.0),
            ]
        );
        assert_eq!(found[0].over_samples, [-1.0, -1.0]);
        let means = eviction_means(&rows, Some((0.0, f64::INFINITY)), 1);
        assert_eq!(means.len(), 8);
        assert_eq!(
            (means[0].group, means[0].window, means[0].samples),
            ("end", "last", 2)
        );
        assert!((means[0].changed - 1.87).abs() < 1e-12);
        assert!((means[0].foreseen - 0.33).abs() < 1e-12);
        assert!(means[0].interval.unwrap().low >= 0.0);
    }

    #[test]
    fn only_samples_that_every_window_has_are_correlated_and_copies_count_once() {
        let rows = [
            row("g", ("a", "last"), 8, (0.1, 2.0)),
            row("g", ("a", "laq"), 8, (0.2, 1.0)),
            row("g", ("a", "laq"), 8, (0.0, 9.0)),
            row("g", ("b", "last"), 8, (0.9, 9.0)),
            row("g", ("c", "last"), 8, (0.1, 2.0)),
            row("g", ("c", "laq"), 8, (0.3, f64::NAN)),
        ];
        let found = eviction_correlations(&rows, 1).unwrap();
        assert_eq!((found[0].samples, found[0].of_means), (1, Some(-1.0)));
        let means = eviction_means(&rows, None, 1);
        let told: Vec<(&str, usize, f64)> = means
            .iter()
            .map(|mean| (mean.window, mean.samples, mean.changed))
            .collect();
        assert_eq!(told, [("last", 3, 13.0 / 3.0), ("laq", 1, 1.0)]);
        assert!(eviction_correlations(&rows[..0], 1).unwrap().is_empty());
        let apart = [rows[3], row("g", ("a", "laq"), 8, (0.2, 1.0))];
        let none = &eviction_correlations(&apart, 1).unwrap()[0];
        assert!(none.samples == 0 && none.of_means.is_some_and(f64::is_nan));
    }
}
