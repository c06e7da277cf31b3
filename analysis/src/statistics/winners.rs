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
    /// [`mean_interval`](super::mean_interval) of the margin.
    pub interval: Option<Interval>,
    /// The largest two-sided [`sign_flip_p`](super::sign_flip_p) of the winner against any other window.
    pub p: f64,
    /// `p` corrected over all heads by [`benjamini_hochberg`].
    pub p_corrected: f64,
    /// Whether the margin's interval lies above zero and `p_corrected`, hence `p`, is at most [`WIN_LEVEL`].
    pub resolved: bool,
}

impl HeadWinner {
    /// Whether the runner-up is as good within a margin (two one-sided tests, Schuirmann 1987): the whole interval of
    /// the lead lies below it. Without an interval nothing is claimed.
    pub fn is_equivalent(&self, margin: f64) -> bool {
        self.interval
            .is_some_and(|interval| interval.is_within(margin))
    }
}

/// The winner of every head, `[heads]`; higher values win. None of a head that is undefined for a window or a
/// sample; such heads do not count in the correction either.
///
/// The winner is picked by the same samples that judge it. A two-sided test against each other window
/// allows for that: picking the better of two windows and testing one-sided at half the level is the
/// same thing, and with more windows the gap between the first two is smaller still under chance (Gutmann
/// and Maymin, "Is the selected population the best?", Annals of Statistics 15, 1987). With fewer than six
/// samples `p` cannot fall below 0.05, so nothing is resolved.
///
/// # Errors
/// None for values that exist; refusals of the tests underneath are passed on.
pub fn winners_by_head(
    values: &WindowValues,
    seed: u64,
) -> Result<Vec<Option<HeadWinner>>, AnalysisError> {
    let means: Vec<Vec<f64>> = (0..values.windows())
        .map(|window| values.head_means(window))
        .collect();
    let defined = values.defined_heads();
    let mut winners: Vec<HeadWinner> = defined
        .par_iter()
        .map(|&head| {
            let of_head: Vec<f64> = means.iter().map(|by_head| by_head[head]).collect();
            winner_of(values, head, &of_head, seed)
        })
        .collect::<Result<_, _>>()?;
    let p_values: Vec<f64> = winners.iter().map(|winner| winner.p).collect();
    for (winner, corrected) in winners.iter_mut().zip(benjamini_hochberg(&p_values)?) {
        winner.p_corrected = corrected;
        winner.resolved &= corrected <= WIN_LEVEL;
    }
    Ok(values.by_head(&defined, winners))
}

/// As [`winners_by_head`], of a metric of which lower values may be the better ones: margins are then how far the winner
/// lies below.
///
/// # Errors
/// As [`winners_by_head`].
pub fn best_by_head(
    values: &WindowValues,
    higher_is_better: bool,
    seed: u64,
) -> Result<Vec<Option<HeadWinner>>, AnalysisError> {
    if higher_is_better {
        return winners_by_head(values, seed);
    }
    let mut winners = winners_by_head(&values.negated(), seed)?;
    for winner in winners.iter_mut().flatten() {
        winner.mean = -winner.mean;
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
        let against = paired_difference(
            &best,
            &values.over_samples(other, head),
            values.bounds(),
            seed,
        )?;
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

    /// Three windows, eight samples, two heads. In head 0 window 2 leads by a tenth and a little more, never by the
    /// same in two samples; in head 1 windows 0 and 1 are equal.
    fn values(samples: usize) -> WindowValues {
        let scatter = |sample: usize| (sample * 5 % 8) as f64 / 200.0;
        let mut all = Vec::new();
        for (window, [first, second]) in [[0.3, 0.6], [0.4, 0.6], [0.5, 0.1]].iter().enumerate() {
            for sample in 0..samples {
                let own = scatter(sample) * (1.0 + window as f64 / 10.0);
                all.extend([first + own, second + sample as f64 / 100.0]);
            }
        }
        WindowValues::new(3, samples, 2, all, Some((0.0, 1.0))).unwrap()
    }

    #[test]
    fn a_clear_winner_is_resolved_and_a_tie_is_not() {
        let winners = winners_by_head(&values(8), 1).unwrap();
        let clear = winners[0].unwrap();
        assert_eq!((clear.winner, clear.runner_up), (2, Some(1)));
        // a tenth of the mean scatter, 0.0175, more
        assert!((clear.margin - 0.10175).abs() < 1e-12);
        assert_eq!((clear.p, clear.p_corrected), (2.0 / 256.0, 4.0 / 256.0));
        assert!(clear.resolved);
        let tie = winners[1].unwrap();
        assert_eq!((tie.winner, tie.runner_up, tie.margin), (0, Some(1), 0.0));
        assert_eq!((tie.p, tie.resolved), (1.0, false));
    }

    #[test]
    fn few_samples_resolve_nothing() {
        let winner = winners_by_head(&values(5), 1).unwrap()[0].unwrap();
        assert_eq!(winner.p, 2.0 / 32.0);
        assert!(!winner.resolved);
    }

    #[test]
    fn where_lower_is_better_the_lowest_wins() {
        let winner = best_by_head(&values(8), false, 1).unwrap()[0].unwrap();
        assert_eq!((winner.winner, winner.runner_up), (0, Some(1)));
        // 0.3 and the mean scatter, 0.0175; the next has a tenth and a tenth of that scatter more
        assert!((winner.mean - 0.3175).abs() < 1e-12);
        assert!((winner.margin - 0.10175).abs() < 1e-12);
        assert!(winner.resolved);
    }

    #[test]
    fn a_window_alone_wins_over_nobody() {
        let alone = WindowValues::new(1, 2, 1, vec![0.5, 0.75], None).unwrap();
        let winner = winners_by_head(&alone, 1).unwrap()[0].unwrap();
        assert_eq!((winner.winner, winner.runner_up), (0, None));
        assert_eq!(
            (winner.mean, winner.margin, winner.resolved),
            (0.625, 0.0, false)
        );
    }

    #[test]
    fn a_head_that_is_undefined_somewhere_has_no_winner_and_corrects_nobody() {
        let clear = winners_by_head(&values(8), 1).unwrap()[0].unwrap();
        let of = |window: usize| values(8).over_samples(window, 0);
        // head 1 is undefined in one sample of one window
        let rows = (0..3).flat_map(|window| {
            let undefined = move |sample| window == 1 && sample == 3;
            let samples = of(window).into_iter().enumerate();
            samples.flat_map(move |(sample, value)| {
                [value, if undefined(sample) { f64::NAN } else { 0.5 }]
            })
        });
        let values = WindowValues::new(3, 8, 2, rows.collect(), Some((0.0, 1.0))).unwrap();
        let winners = winners_by_head(&values, 1).unwrap();
        assert!(winners[1].is_none());
        let found = winners[0].unwrap();
        assert_eq!((found.p, found.p_corrected), (clear.p, clear.p));
    }
}
