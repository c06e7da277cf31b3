use super::super::mean;
use super::*;

mod coverage;

fn uniform(count: usize) -> Vec<f64> {
    let mut random = ChaCha8Rng::seed_from_u64(3);
    (0..count).map(|_| random.random::<f64>()).collect()
}

/// Equal but for what rounding does: `0.5 * (1 - LEVEL)` is not 0.025 in binary.
fn assert_close(found: Interval, expected: Interval) {
    let away = (found.low - expected.low)
        .abs()
        .max((found.high - expected.high).abs());
    assert!(away < 1e-12, "{found:?} is not {expected:?}");
}

#[test]
fn without_two_samples_or_scatter_there_is_no_interval() {
    let share = Some((0.0, 1.0));
    assert_eq!(mean_interval(&[], share, 1), None);
    assert_eq!(mean_interval(&[0.5], share, 1), None);
    assert_eq!(mean_interval(&[0.5, f64::NAN, 0.25], share, 1), None);
    assert_eq!(mean_interval(&[0.1; 3], None, 1), None);
    assert_eq!(
        mean_interval(&[0.1; 3], Some((0.0, f64::INFINITY)), 1),
        None
    );
    // Equal on paper, not in binary.
    assert_eq!(mean_interval(&[0.3, 0.1 + 0.2, 0.3], None, 1), None);
}

/// 0.025^(1/6) is 0.5407; scipy.stats.beta.ppf gives the ends of Clopper and Pearson.
#[test]
fn scores_of_zero_and_one_have_the_interval_of_clopper_and_pearson() {
    let scores = |right: usize, of: usize| -> Vec<f64> {
        (0..of)
            .map(|score| if score < right { 1.0 } else { 0.0 })
            .collect()
    };
    for (right, of, low, high) in [
        (6, 6, 0.540_741_873_560_099_5, 1.0),
        (0, 6, 0.0, 0.459_258_126_439_900_4),
        (5, 6, 0.358_765_421_002_325_2, 0.995_789_255_485_510_7),
        (9, 10, 0.554_983_882_971_804_7, 0.997_471_421_455_538_2),
        (4, 8, 0.157_012_770_487_057_95, 0.842_987_229_512_942),
    ] {
        let found = mean_interval(&scores(right, of), Some((0.0, 1.0)), 1).unwrap();
        assert!(
            (found.low - low).abs() < 1e-12,
            "{right} of {of}: {found:?}"
        );
        assert!(
            (found.high - high).abs() < 1e-12,
            "{right} of {of}: {found:?}"
        );
    }
}

/// By hand: the mean of n values c and the bound 0 under weights from the simplex is c times the largest of n
/// uniform draws, whose 2.5 % quantile is 0.025^(1/n); so it is from the other bound.
#[test]
fn equal_values_have_the_same_interval_scaled_to_where_they_are() {
    let end = 0.025_f64.powf(1.0 / 6.0);
    let found = mean_interval(&[0.5; 6], Some((0.0, 1.0)), 1).unwrap();
    assert!((found.low - 0.5 * end).abs() < 1e-12, "{found:?}");
    assert!((found.high - (1.0 - 0.5 * end)).abs() < 1e-12, "{found:?}");
    let difference = mean_interval(&[0.0; 6], Some((-1.0, 1.0)), 1).unwrap();
    assert!(
        (difference.high - (1.0 - end)).abs() < 1e-12,
        "{difference:?}"
    );
    assert!(
        (difference.low + difference.high).abs() < 1e-12,
        "{difference:?}"
    );
}

#[test]
fn one_repeated_value_is_judged_by_the_bounds_and_many_others_are_not() {
    let zeros = |others: usize, count: usize| -> Vec<f64> {
        let values = (0..count).map(|index| match index < others {
            true => 0.25 + index as f64 / count as f64 / 4.0,
            false => 0.0,
        });
        values.collect()
    };
    let share = Some((0.0, 1.0));
    // One of six: without bounds Student's interval, which would reach below zero.
    let few = zeros(1, 6);
    let found = mean_interval(&few, share, 1).unwrap();
    let expected = bounded_interval(&few, (0.0, 1.0), 0.025).unwrap();
    assert_close(found, expected);
    assert!(found.low > 0.0 && found.high > 0.45, "{found:?}");
    let many = zeros(40, 130);
    assert_eq!(
        mean_interval(&many, share, 1),
        mean_interval(&many, None, 1)
    );
    // A mean over heads that is 1 on paper and not in binary lies on the bound all the same.
    let nearly = [
        1.0 - f64::EPSILON,
        1.0 - f64::EPSILON,
        1.0 - f64::EPSILON,
        0.75,
    ];
    assert_close(
        mean_interval(&nearly, share, 1).unwrap(),
        bounded_interval(&nearly, (0.0, 1.0), 0.025).unwrap(),
    );
    // Two values that differ are no repeated value.
    assert_eq!(most_frequent(&[0.25, 0.5], share).times, 1);
    let twice = most_frequent(&[0.3, 0.5, 0.1 + 0.2, 0.7], share);
    assert_eq!((twice.times, twice.value), (2, 0.1 + 0.2));
}

/// The mean recall over 16 heads at 10 tokens is a multiple of 1 / 160: three samples of four agree by chance, and the
/// interval does not jump for it.
#[test]
fn values_that_agree_by_chance_have_the_interval_of_their_scatter() {
    let share = Some((0.0, 1.0));
    let agree = [0.3375, 0.3375, 0.3375, 0.40625];
    assert_eq!(
        mean_interval(&agree, share, 1),
        mean_interval(&agree, None, 1)
    );
    let found = mean_interval(&agree, share, 1).unwrap();
    let beside = mean_interval(&[0.3375, 0.3375, 0.34375, 0.40625], share, 1).unwrap();
    assert!((found.low - beside.low).abs() < 0.01, "{found:?}");
    assert!((found.high - beside.high).abs() < 0.01, "{found:?}");
}

#[test]
fn the_seed_fixes_the_interval() {
    let samples = uniform(20);
    let with = |seed| mean_interval(&samples, None, seed);
    assert_eq!(with(7), with(7));
    assert_ne!(with(7), with(8));
}

#[test]
fn few_samples_have_students_interval() {
    // Mean 2.5, standard deviation sqrt(5 / 3), three degrees of freedom.
    let interval = mean_interval(&[1.0, 2.0, 3.0, 4.0], None, 1).unwrap();
    let reach = 3.182_446_305_283_708 * (5.0_f64 / 3.0).sqrt() / 2.0;
    assert!((interval.low - (2.5 - reach)).abs() < 1e-12);
    assert!((interval.high - (2.5 + reach)).abs() < 1e-12);
}

/// Over a third of the resamples of these samples are constant, so the tail has no end.
#[test]
fn one_value_among_equals_falls_back_on_students_interval() {
    let mut samples = vec![0.0; 30];
    samples[4] = 3.0;
    let interval = mean_interval(&samples, None, 1).unwrap();
    let reach = student_t(29).unwrap() * 0.1;
    assert!((interval.low - (0.1 - reach)).abs() < 1e-12);
    assert!((interval.high - (0.1 + reach)).abs() < 1e-12);
}

#[test]
fn one_sample_far_off_does_not_carry_the_interval_past_it() {
    let samples = [0.41, 0.52, 0.53, 0.525, 0.535, 0.53, 0.52, 0.54];
    let whole = Moments::of(samples.iter().copied());
    let (_, high) = studentised_tails(&samples, &whole, 1, RESAMPLES).unwrap();
    assert!(
        whole.mean - high * whole.standard_error() < 0.41,
        "the case shows nothing"
    );
    assert_eq!(mean_interval(&samples, None, 1).unwrap().low, 0.41);
}

#[test]
fn an_interval_is_cut_to_what_is_possible() {
    let wide = mean_interval(&[0.25, 0.75], None, 1).unwrap();
    assert!(wide.low < -2.0 && wide.high > 3.0);
    let cut = mean_interval(&[0.25, 0.75], Some((0.0, 1.0)), 1).unwrap();
    assert_eq!((cut.low, cut.high), (0.0, 1.0));
    let above = mean_interval(&[0.25, 0.75], Some((0.0, f64::INFINITY)), 1).unwrap();
    assert_eq!((above.low, above.high), (0.0, wide.high));
    assert!(cut.contains(0.0) && !cut.contains(1.5));
}

#[test]
fn students_percentile_is_that_of_scipy() {
    // scipy.stats.t.ppf(0.975, freedom)
    for (freedom, expected) in [
        (1, 12.706_204_736_175),
        (6, 2.446_911_851_145),
        (7, 2.364_624_251_593),
        (12, 2.178_812_829_663),
        (29, 2.045_229_642_133),
        (1000, 1.962_339_080_8),
    ] {
        assert!(
            (student_t(freedom).unwrap() - expected).abs() < 1e-9,
            "{freedom}"
        );
    }
}

/// The mean of many samples is normal: the interval reaches 1.96 standard errors to each side. A
/// tail of 1999 resamples scatters by sqrt(0.025 * 0.975 / 1999) over the normal density there,
/// 0.0584, which is 0.06 standard errors; five times that is allowed, and t is not yet normal.
#[test]
fn the_interval_is_the_normal_one_for_many_samples() {
    let samples = uniform(400);
    let middle = mean(samples.iter().copied()).unwrap();
    let variance = mean(samples.iter().map(|s| (s - middle).powi(2))).unwrap();
    let standard_error = (variance / 400.0).sqrt();
    let interval = mean_interval(&samples, None, 11).unwrap();
    let allowed = 5.0 * 0.06 * standard_error;
    assert!((interval.low - (middle - 1.96 * standard_error)).abs() < allowed);
    assert!((interval.high - (middle + 1.96 * standard_error)).abs() < allowed);
}
