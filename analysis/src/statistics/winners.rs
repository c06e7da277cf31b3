//! Which window wins in a head, by how much, and whether that is more than chance.

use rayon::prelude::*;

use super::paired::{Verdict, paired_difference};
use super::{Interval, WindowValues, benjamini_hochberg};
use crate::error::AnalysisError;

/// Corrected p-value up to which a win is called resolved.
pub const WIN_LEVEL: f64 = 0.05;

/// The best window of one head.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct HeadWinner {
    /// Index of the window with the highest mean over samples; the lower index of equals.
    pub winner: usize,
    /// Its mean over samples.
    pub mean: f64,
    /// Index of the window with the second highest mean; none when there is only one window.
    pub runner_up: Option<usize>,
    /// Mean of winner less runner-up over samples; 0 without a runner-up.
    pub margin: f64,
    /// [`bootstrap_interval`](super::bootstrap_interval) of the margin; none of fewer than two samples.
    pub interval: Option<Interval>,
    /// The largest two-sided [`sign_flip_p`](super::sign_flip_p) of the winner against any other window.
    pub p: f64,
    /// `p` corrected over all heads by [`benjamini_hochberg`].
    pub p_corrected: f64,
    /// Whether the margin's interval lies above zero and `p_corrected` is at most [`WIN_LEVEL`].
    pub resolved: bool,
}

/// The winner of every head, `[heads]`; higher values win.
///
/// The winner is picked by the same samples that judge it. A two-sided test against each other window
/// allows for that: picking the better of two windows and testing one-sided at half the level is the
/// same thing, and with more windows the gap between the first two is smaller still under chance (Gutmann
/// and Maymin, "Is the selected population the best?", Annals of Statistics 15, 1987). With fewer than six
/// samples `p` cannot fall below 0.05, so nothing is resolved.
///
/// # Errors
/// None for values that exist; refusals of the tests underneath are passed on.
pub fn winners_by_head(values: &WindowValues, seed: u64) -> Result<Vec<HeadWinner>, AnalysisError> {
    let means: Vec<Vec<f64>> = (0..values.windows())
        .map(|window| values.head_means(window))
        .collect();
    let mut winners: Vec<HeadWinner> = (0..values.heads())
        .into_par_iter()
        .map(|head| {
            let of_head: Vec<f64> = means.iter().map(|by_head| by_head[head]).collect();
            winner_of(values, head, &of_head, seed)
        })
        .collect::<Result<_, _>>()?;
    let p_values: Vec<f64> = winners.iter().map(|winner| winner.p).collect();
    for (winner, corrected) in winners.iter_mut().zip(benjamini_hochberg(&p_values)?) {
        winner.p_corrected = corrected;
        winner.resolved &= corrected <= WIN_LEVEL;
    }
    Ok(winners)
}

/// The winner before correction: resolved as far as its interval goes.
fn winner_of(
    values: &WindowValues,
    head: usize,
    means: &[f64],
    seed: u64,
) -> Result<HeadWinner, AnalysisError> {
    let mut order: Vec<usize> = (0..means.len()).collect();
    order.sort_by(|&a, &b| means[b].total_cmp(&means[a]));
    let (winner, others) = order
        .split_first()
        .ok_or(AnalysisError::Empty { what: "windows" })?;
    let best = values.over_samples(*winner, head);
    let mut found = HeadWinner {
        winner: *winner,
        mean: means[*winner],
        runner_up: others.first().copied(),
        margin: 0.0,
        interval: None,
        p: if others.is_empty() { 1.0 } else { 0.0 },
        p_corrected: 1.0,
        resolved: false,
    };
    for (place, &other) in others.iter().enumerate() {
        let against = paired_difference(&best, &values.over_samples(other, head), seed)?;
        found.p = found.p.max(against.p);
        if place == 0 {
            found.margin = against.mean;
            found.interval = against.interval;
            found.resolved = against.verdict == Verdict::FirstHigher;
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Three windows, eight samples, two heads. In head 0 window 2 leads by a tenth; in head 1 windows 0
    /// and 1 are equal.
    fn values(samples: usize) -> WindowValues {
        let scatter = |sample: usize| (sample * 5 % 8) as f64 / 200.0;
        let mut all = Vec::new();
        for [first, second] in [[0.3, 0.6], [0.4, 0.6], [0.5, 0.1]] {
            for sample in 0..samples {
                all.extend([first + scatter(sample), second + sample as f64 / 100.0]);
            }
        }
        WindowValues::new(3, samples, 2, all).unwrap()
    }

    #[test]
    fn a_clear_winner_is_resolved_and_a_tie_is_not() {
        let winners = winners_by_head(&values(8), 1).unwrap();
        let clear = winners[0];
        assert_eq!((clear.winner, clear.runner_up), (2, Some(1)));
        assert!((clear.margin - 0.1).abs() < 1e-12);
        assert_eq!((clear.p, clear.p_corrected), (2.0 / 256.0, 4.0 / 256.0));
        assert!(clear.resolved);
        let tie = winners[1];
        assert_eq!((tie.winner, tie.runner_up, tie.margin), (0, Some(1), 0.0));
        assert_eq!((tie.p, tie.resolved), (1.0, false));
    }

    #[test]
    fn few_samples_resolve_nothing() {
        let winner = winners_by_head(&values(5), 1).unwrap()[0];
        assert_eq!(winner.p, 2.0 / 32.0);
        assert!(!winner.resolved);
    }

    #[test]
    fn a_window_alone_wins_over_nobody() {
        let alone = WindowValues::new(1, 2, 1, vec![0.5, 0.75]).unwrap();
        let winner = winners_by_head(&alone, 1).unwrap()[0];
        assert_eq!((winner.winner, winner.runner_up), (0, None));
        assert_eq!(
            (winner.mean, winner.margin, winner.resolved),
            (0.625, 0.0, false)
        );
    }
}
