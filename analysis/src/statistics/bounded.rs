//! A confidence bound for the mean of a bounded quantity that holds whatever its distribution.
//!
//! Gaffke ("Three test statistics for a nonparametric one-sided hypothesis on the mean of a nonnegative
//! variable", Mathematical Methods of Statistics 14, 2005): with the sorted values `z_1 <= ... <= z_n`
//! and the bound `z_{n+1}`, the upper bound of level `1 - a` is the `1 - a` quantile of the mean of
//! `z_1 ... z_{n+1}` under random weights, uniform on the simplex (Dirichlet of ones). On values that are 0 or 1
//! it is the exact interval of Clopper and Pearson (Biometrika 26, 1934). Learned-Miller and Thomas ("A new
//! confidence interval for the mean of a bounded random variable", 2019) give the reasons why it should
//! always hold; no case is known in which it does not.
//!
//! That weighted mean has the B-spline with the knots `z` as its density (Curry and Schoenberg, Journal d'Analyse
//! Mathematique 17, 1966), so its distribution is a spline of degree `n`, evaluated by de Boor's recurrence.

use super::Interval;

/// Halvings until a quantile is found to the last bit of what lies between 0 and 1.
const HALVINGS: usize = 60;

/// The interval for the mean of values that all lie within `bounds`, each tail of share `tail`. None without
/// values.
pub(super) fn bounded_interval(values: &[f64], bounds: (f64, f64), tail: f64) -> Option<Interval> {
    let (low, high) = bounds;
    let mut knots = Vec::with_capacity(values.len() + 1);
    let mut end = |bound: f64, share: f64| {
        knots.clear();
        knots.extend(values.iter().map(|value| value.clamp(low, high)));
        knots.push(bound);
        knots.sort_unstable_by(f64::total_cmp);
        quantile(&knots, share)
    };
    match values.is_empty() {
        true => None,
        false => Some(Interval {
            low: end(low, tail),
            high: end(high, 1.0 - tail),
        }),
    }
}

/// The quantile of the randomly weighted mean of ascending `knots`, of which there are two or more.
fn quantile(knots: &[f64], share: f64) -> f64 {
    let (Some(&first), Some(&last)) = (knots.first(), knots.last()) else {
        return f64::NAN;
    };
    let (mut below, mut above) = (first, last);
    for _ in 0..HALVINGS {
        let middle = 0.5 * (below + above);
        if middle <= below || middle >= above {
            break;
        }
        match share_below(knots, middle) < share {
            true => below = middle,
            false => above = middle,
        }
    }
    0.5 * (below + above)
}

/// Share of the weighted means of ascending `knots` that lie at or below `x`: the spline of degree `n` whose
/// coefficients are 0 for the knots before the first and 1 from it on.
fn share_below(knots: &[f64], x: f64) -> f64 {
    let degree = knots.len() - 1;
    if x < knots[0] {
        return 0.0;
    }
    if x >= knots[degree] {
        return 1.0;
    }
    // knots[span] <= x < knots[span + 1]
    let span = knots.partition_point(|&knot| knot <= x) - 1;
    // Indices run over span - degree ..= span; what lies outside the knots repeats the outermost.
    let knot = |index: usize| knots[index.saturating_sub(degree).min(degree)];
    let mut points: Vec<f64> = (span..=span + degree)
        .map(|index| if index < degree { 0.0 } else { 1.0 })
        .collect();
    for round in 1..=degree {
        for place in (round..=degree).rev() {
            let index = span + place;
            let (from, to) = (knot(index), knot(index + degree + 1 - round));
            let share = (x - from) / (to - from);
            points[place] = (1.0 - share) * points[place - 1] + share * points[place];
        }
    }
    points[degree]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One less the divided difference of `(z - x)^n` over the knots above x, in exact fractions.
    #[test]
    fn the_distribution_is_that_of_the_divided_difference() {
        let knots = [0.0, 0.1, 0.25, 0.4, 0.9];
        for (x, expected) in [
            (0.05, 0.000_694_444_444_444_444_5),
            (0.2, 0.15),
            (0.3, 0.457_264_957_264_957_25),
            (0.5, 0.890_598_290_598_290_6),
            (0.85, 0.999_973_290_598_290_5),
        ] {
            let found = share_below(&knots, x);
            assert!((found - expected).abs() < 1e-14, "{x}: {found}");
        }
        assert_eq!(
            (share_below(&knots, -0.1), share_below(&knots, 0.9)),
            (0.0, 1.0)
        );
    }

    /// Quantiles of four million means under Dirichlet weights (NumPy), which scatter by 1e-4.
    #[test]
    fn repeated_values_have_the_quantiles_of_a_simulation() {
        let found = bounded_interval(&[0.0, 0.0, 0.0, 0.2, 0.7, 0.0], (0.0, 1.0), 0.025).unwrap();
        assert!((found.low - 0.016_360).abs() < 5e-4, "{found:?}");
        assert!((found.high - 0.573_548).abs() < 5e-4, "{found:?}");
    }

    #[test]
    fn values_beyond_a_bound_by_rounding_count_as_on_it() {
        let at = bounded_interval(&[1.0; 4], (0.0, 1.0), 0.025).unwrap();
        let beyond = bounded_interval(&[1.0 + 1e-9; 4], (0.0, 1.0), 0.025).unwrap();
        assert_eq!((at.high, beyond), (1.0, at));
        assert!(bounded_interval(&[], (0.0, 1.0), 0.025).is_none());
    }
}
