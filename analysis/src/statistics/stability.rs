//! Whether a head has the same best window in every sample.

use rayon::prelude::*;

use super::WindowValues;

/// How far samples agree on the windows of one head.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct HeadStability {
    /// The window that is best in most samples; the lower index of equals.
    pub best: usize,
    /// Share of the samples in which it is best; a sample with `k` best windows counts `1/k` for each of
    /// them. By chance it is at least one over the number of windows.
    pub share: f64,
    /// Kendall's coefficient of concordance W of the windows' ranks over samples, corrected for ties, 0..=1
    /// (Kendall and Babington Smith 1939; the Friedman statistic over `samples * (windows - 1)`): 1 when
    /// every sample ranks all windows alike, near 0 when their orders have nothing in common. NaN for
    /// one window, or when every sample holds all windows equal.
    pub concordance: f64,
}

/// The stability of every head, `[heads]`; higher values are better. None of a head that is undefined somewhere.
pub fn stability_by_head(values: &WindowValues) -> Vec<Option<HeadStability>> {
    let defined = values.defined_heads();
    let found = defined
        .par_iter()
        .map(|&head| {
            let by_window: Vec<Vec<f64>> = (0..values.windows())
                .map(|window| values.over_samples(window, head))
                .collect();
            let by_sample: Vec<Vec<f64>> = (0..values.samples())
                .map(|sample| by_window.iter().map(|window| window[sample]).collect())
                .collect();
            stability(&by_sample)
        })
        .collect();
    values.by_head(&defined, found)
}

/// The stability of `[samples][windows]`.
fn stability(by_sample: &[Vec<f64>]) -> HeadStability {
    let windows = by_sample.first().map_or(0, Vec::len);
    let mut votes = vec![0.0; windows];
    for sample in by_sample {
        let best = sample.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let vote = 1.0 / sample.iter().filter(|&&value| value == best).count() as f64;
        let winners = sample.iter().zip(&mut votes);
        for (_, votes) in winners.filter(|(value, _)| **value == best) {
            *votes += vote;
        }
    }
    let (mut best, mut most) = (0, 0.0);
    for (window, &count) in votes.iter().enumerate() {
        if count > most {
            (best, most) = (window, count);
        }
    }
    HeadStability {
        best,
        share: most / by_sample.len() as f64,
        concordance: concordance(by_sample),
    }
}

/// Kendall's coefficient of concordance W of what every sample ranks alike or not, `[samples][things]`, corrected for
/// ties; NaN for fewer than two things, or where every sample holds all of them equal. No value may be NaN.
pub fn concordance(by_sample: &[Vec<f64>]) -> f64 {
    let things = by_sample.first().map_or(0, Vec::len);
    let mut rank_sums = vec![0.0; things];
    let mut tied = 0.0;
    for sample in by_sample {
        let ranks = average_ranks(sample);
        for (sum, rank) in rank_sums.iter_mut().zip(&ranks) {
            *sum += rank;
        }
        tied += ties(&ranks);
    }
    let (samples, count) = (by_sample.len() as f64, things as f64);
    let middle = 0.5 * samples * (count + 1.0);
    let spread: f64 = rank_sums.iter().map(|sum| (sum - middle).powi(2)).sum();
    let largest = samples * (samples * (count.powi(3) - count) - tied);
    match largest > 0.0 {
        true => (12.0 * spread / largest).min(1.0),
        false => f64::NAN,
    }
}

/// Ranks from 1 for the lowest value; equal ones share the mean of theirs. No value may be NaN.
pub fn average_ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&a, &b| values[a].total_cmp(&values[b]));
    let mut ranks = vec![0.0; values.len()];
    let mut before = 0;
    for equal in order.chunk_by(|&a, &b| values[a] == values[b]) {
        let rank = before as f64 + 0.5 * (equal.len() as f64 + 1.0);
        for &index in equal {
            ranks[index] = rank;
        }
        before += equal.len();
    }
    ranks
}

/// The sum of `t^3 - t` over runs of `t` equal ranks.
fn ties(ranks: &[f64]) -> f64 {
    let mut sorted = ranks.to_vec();
    sorted.sort_by(f64::total_cmp);
    let runs = sorted.chunk_by(|a, b| a == b);
    runs.map(|run| (run.len() as f64).powi(3) - run.len() as f64)
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(by_sample: &[&[f64]]) -> HeadStability {
        let rows: Vec<Vec<f64>> = by_sample.iter().map(|row| row.to_vec()).collect();
        stability(&rows)
    }

    #[test]
    fn the_same_order_everywhere_is_fully_stable() {
        let stable = of(&[&[0.1, 0.9, 0.5], &[0.2, 0.6, 0.3], &[0.0, 0.4, 0.1]]);
        assert_eq!(
            (stable.best, stable.share, stable.concordance),
            (1, 1.0, 1.0)
        );
    }

    #[test]
    fn orders_that_cancel_have_no_concordance() {
        let opposed = of(&[&[0.1, 0.9], &[0.9, 0.1]]);
        assert_eq!(
            (opposed.best, opposed.share, opposed.concordance),
            (0, 0.5, 0.0)
        );
    }

    #[test]
    fn a_tie_for_the_best_is_shared() {
        let tied = of(&[&[0.5, 0.5, 0.1], &[0.2, 0.6, 0.3]]);
        assert_eq!((tied.best, tied.share), (1, 0.75));
    }

    #[test]
    fn one_window_and_equal_windows_have_no_order() {
        let alone = of(&[&[0.5], &[0.25]]);
        assert_eq!((alone.best, alone.share), (0, 1.0));
        assert!(alone.concordance.is_nan());
        assert!(of(&[&[0.5, 0.5], &[0.25, 0.25]]).concordance.is_nan());
    }

    #[test]
    fn heads_are_taken_apart() {
        // Two windows, two samples, two heads.
        let values = [0.9, 0.1, 0.8, 0.9, 0.1, 0.9, 0.2, 0.1].to_vec();
        let values = WindowValues::new(2, 2, 2, values, None).unwrap();
        let heads: Vec<HeadStability> = stability_by_head(&values).into_iter().flatten().collect();
        assert_eq!((heads[0].best, heads[0].share), (0, 1.0));
        assert_eq!((heads[1].share, heads[1].concordance), (0.5, 0.0));
    }
}
