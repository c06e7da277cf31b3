//! Tests, corrections and concordance against SciPy and statsmodels (`fixtures/make_statistics.py`), and
//! the coverage of the published interval by simulation.

#![expect(
    clippy::unwrap_used,
    reason = "a test may stop at its first wrong number"
)]

use kvlens_analysis::statistics::{
    SIGN_FLIPS, WindowValues, benjamini_hochberg, holm, mean_interval, sign_flip_p,
    stability_by_head,
};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use serde_json::Value;

fn cases(section: &str) -> Vec<Value> {
    let references: Value = serde_json::from_str(include_str!("fixtures/statistics.json")).unwrap();
    references[section].as_array().unwrap().clone()
}

fn numbers(value: &Value) -> Vec<f64> {
    let numbers = value.as_array().unwrap().iter();
    numbers.map(|number| number.as_f64().unwrap()).collect()
}

#[test]
fn exact_sign_flips_are_those_of_scipy() {
    let cases = cases("sign_flips");
    assert_eq!(cases.len(), 15);
    for case in cases {
        let found = sign_flip_p(&numbers(&case["differences"]), 1);
        assert!(
            (found - case["p"].as_f64().unwrap()).abs() < 1e-12,
            "{case}: {found}"
        );
    }
}

/// A share of 9999 draws scatters by the root of p (1 - p) / 9999; five times that is allowed.
#[test]
fn random_sign_flips_come_near_those_of_scipy() {
    for case in cases("many_samples") {
        let expected = case["p"].as_f64().unwrap();
        let found = sign_flip_p(&numbers(&case["differences"]), 1);
        let allowed = 5.0 * (expected * (1.0 - expected) / SIGN_FLIPS as f64).sqrt();
        assert!(
            (found - expected).abs() <= allowed,
            "{found} and {expected}"
        );
    }
}

#[test]
fn corrections_are_those_of_statsmodels() {
    for case in cases("corrections") {
        let p = numbers(&case["p"]);
        for (name, found) in [
            ("holm", holm(&p)),
            ("benjamini_hochberg", benjamini_hochberg(&p)),
        ] {
            let expected = numbers(&case[name]);
            for (found, expected) in found.unwrap().iter().zip(expected) {
                assert!(
                    (found - expected).abs() < 1e-12,
                    "{name}: {found} and {expected}"
                );
            }
        }
    }
}

#[test]
fn concordance_is_that_of_scipy() {
    for case in cases("concordances") {
        let by_sample: Vec<Vec<f64>> = case["values"]
            .as_array()
            .unwrap()
            .iter()
            .map(numbers)
            .collect();
        let (samples, windows) = (by_sample.len(), by_sample[0].len());
        let by_window = (0..windows).flat_map(|w| by_sample.iter().map(move |row| row[w]));
        let values = WindowValues::new(windows, samples, 1, by_window.collect(), None).unwrap();
        let found = stability_by_head(&values)[0].unwrap().concordance;
        assert!(
            (found - case["w"].as_f64().unwrap()).abs() < 1e-12,
            "{case}: {found}"
        );
    }
}

/// Share of simulated data sets whose interval holds the true mean. With 2000 data sets the share scatters
/// by 0.005 around the true coverage.
fn coverage(samples: usize, true_mean: f64, draw: impl Fn(&mut ChaCha8Rng) -> f64 + Sync) -> f64 {
    const DATA_SETS: u64 = 2000;
    let covered = (0..DATA_SETS)
        .into_par_iter()
        .filter(|&data_set| {
            let mut random = ChaCha8Rng::seed_from_u64(1_000_000 + data_set);
            let values: Vec<f64> = (0..samples).map(|_| draw(&mut random)).collect();
            mean_interval(&values, None, data_set)
                .unwrap()
                .contains(true_mean)
        })
        .count();
    covered as f64 / DATA_SETS as f64
}

/// Box and Muller's transform.
fn normal(random: &mut ChaCha8Rng) -> f64 {
    let (radius, angle): (f64, f64) = (random.random(), random.random());
    (-2.0 * (1.0 - radius).ln()).sqrt() * (std::f64::consts::TAU * angle).cos()
}

fn exponential(random: &mut ChaCha8Rng) -> f64 {
    -(1.0 - random.random::<f64>()).ln()
}

#[test]
fn the_interval_covers_normal_data() {
    let share = coverage(30, 0.0, normal);
    assert!((0.93..=0.97).contains(&share), "{share}");
}

#[test]
fn the_interval_covers_skewed_data() {
    let share = coverage(30, 1.0, exponential);
    assert!((0.93..=0.97).contains(&share), "{share}");
}

/// Recall of a good window: crowded towards 1 (the largest of two uniform draws, skewed to the left).
#[test]
fn the_interval_covers_bounded_data() {
    let share = coverage(30, 2.0 / 3.0, |random| {
        random.random::<f64>().max(random.random::<f64>())
    });
    assert!((0.93..=0.97).contains(&share), "{share}");
}

/// Eight samples are the fewest that are resampled; there the interval is cut to their range.
#[test]
fn the_interval_of_eight_samples_covers_normal_and_bounded_data() {
    let share = coverage(8, 0.0, normal);
    assert!((0.93..=0.97).contains(&share), "{share}");
    let share = coverage(8, 2.0 / 3.0, |random| {
        random.random::<f64>().max(random.random::<f64>())
    });
    assert!((0.93..=0.97).contains(&share), "{share}");
}

/// Student's interval of the few: right for normal data, whatever their number.
#[test]
fn the_interval_of_four_samples_covers_normal_data() {
    let share = coverage(4, 0.0, normal);
    assert!((0.93..=0.97).contains(&share), "{share}");
}

/// Without an effect a test at 0.05 finds one in at most one of twenty data sets.
#[test]
fn the_sign_flip_test_keeps_its_level() {
    let found = (0..2000_u64)
        .into_par_iter()
        .filter(|&data_set| {
            let mut random = ChaCha8Rng::seed_from_u64(data_set);
            let differences: Vec<f64> = (0..10).map(|_| normal(&mut random)).collect();
            sign_flip_p(&differences, 0) <= 0.05
        })
        .count();
    // The level reachable with 1024 flips is 50 / 1024; the count scatters by 9.7, five times that is allowed.
    assert!(
        (found as f64 - 2000.0 * 50.0 / 1024.0).abs() < 5.0 * 9.7,
        "{found}"
    );
}
