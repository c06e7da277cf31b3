//! An interval for a mean over samples.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use statrs::distribution::{ContinuousCDF, StudentsT};

use super::bounded::bounded_interval;

/// Resamples of a bootstrap; one less than 2000, so that the tails fall on whole ranks.
pub const RESAMPLES: usize = 1999;

/// Share of all data sets whose interval holds the true mean.
pub const LEVEL: f64 = 0.95;

/// Samples below which the interval is Student's: so few values cannot show the shape that a bootstrap
/// would read off them, and its ends become arbitrarily wide.
pub const FEWEST_TO_RESAMPLE: usize = 8;

/// Samples beside the most frequent value from which on their mean is near enough to normal to be treated as any
/// other.
const MOST_BESIDE_THE_REPEATED: usize = 40;

/// Two values count as equal that differ by no more than this share of what they can differ by: sums that are
/// equal on paper differ by rounding.
const ROUNDING: f64 = 1e-12;

/// A two-sided interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interval {
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

impl Interval {
    /// Whether all of it lies closer to zero than a margin: of a difference, that both sides are as good as each other.
    /// That is two one-sided tests (Schuirmann 1987), each at half of what an interval of [`LEVEL`] leaves out.
    pub(crate) fn is_within(&self, margin: f64) -> bool {
        -margin < self.low && self.high < margin
    }

    /// Whether a value lies inside, ends included.
    pub fn contains(&self, value: f64) -> bool {
        self.low <= value && value <= self.high
    }

    /// The part within bounds that the true value cannot leave.
    fn within(self, (low, high): (f64, f64)) -> Self {
        Self {
            low: self.low.max(low).min(high),
            high: self.high.min(high).max(low),
        }
    }
}

/// Interval for the mean over samples, meant to cover the true mean in [`LEVEL`] of all data sets. `bounds` are
/// what a single value cannot leave: (0, 1) for a share, (-1, 1) for a difference of shares; an end may be infinite.
///
/// * Where all samples lie on the bounds (scores of 0 and 1), all are equal, or two thirds of them and more than one
///   are 0 or one bound (differences of which most are 0), the scatter of the sample says little about what other
///   samples would bring. Then it is Gaffke's interval between the bounds, which holds for every distribution and is
///   that of Clopper and Pearson for values of 0 and 1: 6 right of 6 gives 0.54 to 1. Values that are equal elsewhere
///   are not taken for more than they are: recall at a budget of B tokens is a multiple of 1 / B in each head, and
///   three samples of four may agree by chance.
/// * Otherwise, from [`FEWEST_TO_RESAMPLE`] samples on, it is the studentised bootstrap (bootstrap-t; Efron and
///   Tibshirani, "An Introduction to the Bootstrap", 1993, section 12.5) of [`RESAMPLES`] resamples, cut to
///   the samples' own range: one sample far from the others makes the tail on its side long, since resamples
///   without it scatter little.
/// * Of fewer samples, or when so many resamples are constant that a tail has no end, it is Student's.
///
/// What lies outside the bounds is cut off. None of fewer than two samples, of values that are not finite, and
/// of equal samples without finite bounds: they say nothing of their scatter.
///
/// How far it holds is tested: normal, bounded and 0/1 data are covered at least 93 times in 100 from four
/// samples on; the mean of a skewed quantity without an upper bound (such as a divergence) needs more samples:
/// about 8 for an exponential distribution, and a log-normal one is still missed 1 time in 10 at 16.
///
/// The seed fixes the draws: equally many samples are resampled alike, whatever their values.
pub fn mean_interval(values: &[f64], bounds: Option<(f64, f64)>, seed: u64) -> Option<Interval> {
    interval_of(values, bounds, seed, RESAMPLES)
}

fn interval_of(
    values: &[f64],
    bounds: Option<(f64, f64)>,
    seed: u64,
    resamples: usize,
) -> Option<Interval> {
    if values.len() < 2 || values.iter().any(|value| !value.is_finite()) {
        return None;
    }
    let finite = bounds.filter(|(low, high)| low.is_finite() && high.is_finite());
    let repeated = most_frequent(values, finite);
    let few_others = values.len() - repeated.times < MOST_BESIDE_THE_REPEATED;
    let interval = match finite {
        Some(ends) if few_others && is_dominated(values, ends, &repeated) => {
            bounded_interval(values, ends, 0.5 * (1.0 - LEVEL))
        }
        _ if repeated.times == values.len() => None,
        _ => scattered_interval(values, seed, resamples),
    }?;
    Some(match bounds {
        Some(bounds) => interval.within(bounds),
        None => interval,
    })
}

/// Whether the values are too few different ones for their scatter to say anything.
fn is_dominated(values: &[f64], (low, high): (f64, f64), repeated: &Repeated) -> bool {
    let equal = ROUNDING * (high - low);
    let on_a_bound = |value: f64| value <= low + equal || value >= high - equal;
    let is_zero = repeated.value.abs() <= equal;
    let is_a_place_of_its_own =
        is_zero || on_a_bound(repeated.value) || repeated.times == values.len();
    values.iter().all(|&value| on_a_bound(value))
        || (is_a_place_of_its_own && repeated.times > 1 && 3 * repeated.times >= 2 * values.len())
}

/// The most frequent of some values.
struct Repeated {
    value: f64,
    times: usize,
}

fn most_frequent(values: &[f64], bounds: Option<(f64, f64)>) -> Repeated {
    let mut ascending = values.to_vec();
    ascending.sort_unstable_by(f64::total_cmp);
    let largest = || {
        values
            .iter()
            .fold(0.0_f64, |most, value| most.max(value.abs()))
    };
    let equal = ROUNDING * bounds.map_or_else(largest, |(low, high)| high - low);
    let mut first = 0;
    let mut most = Repeated {
        value: f64::NAN,
        times: 0,
    };
    for (place, &value) in ascending.iter().enumerate() {
        while value - ascending[first] > equal {
            first += 1;
        }
        let times = place + 1 - first;
        if times > most.times {
            most = Repeated { value, times };
        }
    }
    most
}

/// The interval of values that are not all equal, by their scatter alone.
fn scattered_interval(values: &[f64], seed: u64, resamples: usize) -> Option<Interval> {
    let whole = Moments::of(values.iter().copied());
    let standard_error = whole.standard_error();
    let around_the_mean = |(low, high): (f64, f64)| Interval {
        low: whole.mean - high * standard_error,
        high: whole.mean - low * standard_error,
    };
    let tails = (values.len() >= FEWEST_TO_RESAMPLE)
        .then(|| studentised_tails(values, &whole, seed, resamples))
        .flatten();
    Some(match tails {
        Some(tails) => around_the_mean(tails).within(range(values)),
        None => {
            let student = student_t(values.len() - 1)?;
            around_the_mean((-student, student))
        }
    })
}

/// The smallest and the largest value.
fn range(samples: &[f64]) -> (f64, f64) {
    let start = (f64::INFINITY, f64::NEG_INFINITY);
    samples.iter().fold(start, |(least, most), &value| {
        (least.min(value), most.max(value))
    })
}

/// The lower and upper tail of `(mean of a resample - mean) / its standard error`; none when one of them
/// is not finite.
fn studentised_tails(
    samples: &[f64],
    whole: &Moments,
    seed: u64,
    resamples: usize,
) -> Option<(f64, f64)> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let count = samples.len();
    let mut ratios: Vec<f64> = (0..resamples)
        .map(|_| {
            let drawn = (0..count).map(|_| samples[random.random_range(0..count)]);
            Moments::of(drawn).studentised(whole)
        })
        .collect();
    ratios.sort_unstable_by(f64::total_cmp);
    let tail = (0.5 * (1.0 - LEVEL) * (resamples + 1) as f64).round() as usize;
    let (low, high) = (
        *ratios.get(tail.checked_sub(1)?)?,
        *ratios.get(resamples - tail)?,
    );
    (low.is_finite() && high.is_finite()).then_some((low, high))
}

/// Count, mean and sum of squared deviations, by Welford's recurrence: one pass, no cancellation.
struct Moments {
    count: f64,
    mean: f64,
    squares: f64,
}

impl Moments {
    fn of(values: impl Iterator<Item = f64>) -> Self {
        let start = Self {
            count: 0.0,
            mean: 0.0,
            squares: 0.0,
        };
        values.fold(start, |mut so_far, value| {
            so_far.count += 1.0;
            let step = value - so_far.mean;
            so_far.mean += step / so_far.count;
            so_far.squares += step * (value - so_far.mean);
            so_far
        })
    }

    fn standard_error(&self) -> f64 {
        (self.squares / (self.count - 1.0) / self.count).sqrt()
    }

    /// How many of its own standard errors this mean lies from another's.
    fn studentised(&self, whole: &Self) -> f64 {
        match self.mean - whole.mean {
            0.0 => 0.0,
            away => away / self.standard_error(),
        }
    }
}

/// The 97.5th percentile of Student's t; none for no degree of freedom.
fn student_t(freedom: usize) -> Option<f64> {
    let distribution = StudentsT::new(0.0, 1.0, freedom as f64).ok()?;
    Some(distribution.inverse_cdf(0.5 * (1.0 + LEVEL)))
}

#[cfg(test)]
mod tests;
