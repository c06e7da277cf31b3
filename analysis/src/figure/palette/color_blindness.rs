//! The window colours as readers with colour-vision deficiencies see them.

use super::*;

type Matrix = [[f64; 3]; 3];

/// Severity 1.0 of Machado, Oliveira and Fernandes, "A Physiologically-based Model for Simulation of Color
/// Vision Deficiency", IEEE TVCG 15(6), 2009, table 1: matrices for linear RGB. The first is normal vision.
const VISIONS: [(&str, Matrix); 4] = [
    (
        "normal",
        [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]],
    ),
    (
        "protanopia",
        [
            [0.152286, 1.052583, -0.204868],
            [0.114503, 0.786281, 0.099216],
            [-0.003882, -0.048116, 1.051998],
        ],
    ),
    (
        "deuteranopia",
        [
            [0.367322, 0.860646, -0.227968],
            [0.280085, 0.672501, 0.047413],
            [-0.011820, 0.042940, 0.968881],
        ],
    ),
    (
        "tritanopia",
        [
            [1.255528, -0.076749, -0.178779],
            [-0.078411, 0.930809, 0.147602],
            [0.004733, 0.691367, 0.303900],
        ],
    ),
];

/// Three just noticeable differences of Oklab, each 0.02 (CSS Color Module Level 4, section 13.2): thin lines need more
/// than the one that tells large patches apart.
const APART: f64 = 3.0 * 0.02;

/// Linear RGB to the cone responses of Oklab, and their cube roots to Oklab (Ottosson, "A perceptual color space for
/// image processing", 2020).
const TO_CONES: Matrix = [
    [0.4122214708, 0.5363325363, 0.0514459929],
    [0.2119034982, 0.6806995451, 0.1073969566],
    [0.0883024619, 0.2817188376, 0.6299787005],
];
const TO_OKLAB: Matrix = [
    [0.2104542553, 0.7936177850, -0.0040720468],
    [1.9779984951, -2.4285922050, 0.4505937099],
    [0.0259040371, 0.7827717662, -0.8086757660],
];

fn times(matrix: Matrix, vector: [f64; 3]) -> [f64; 3] {
    matrix.map(|row| row.iter().zip(vector).map(|(a, b)| a * b).sum())
}

fn linear(channel: u8) -> f64 {
    let share = f64::from(channel) / 255.0;
    match share <= 0.04045 {
        true => share / 12.92,
        false => ((share + 0.055) / 1.055).powf(2.4),
    }
}

fn seen(color: Rgb, vision: Matrix) -> [f64; 3] {
    let Rgb(red, green, blue) = color;
    let simulated =
        times(vision, [red, green, blue].map(linear)).map(|light| light.clamp(0.0, 1.0));
    times(TO_OKLAB, times(TO_CONES, simulated).map(f64::cbrt))
}

fn distance(a: Rgb, b: Rgb, vision: Matrix) -> f64 {
    let squares = seen(a, vision)
        .into_iter()
        .zip(seen(b, vision))
        .map(|(a, b)| (a - b).powi(2));
    squares.sum::<f64>().sqrt()
}

#[test]
fn oklab_and_the_simulation_have_their_known_values() {
    let red = seen(Rgb(255, 0, 0), VISIONS[0].1);
    for (found, known) in red.into_iter().zip([0.62796, 0.22486, 0.12585]) {
        assert!((found - known).abs() < 1e-4, "{red:?}");
    }
    // Green and red of one lightness: far apart, but not without the cones that tell them apart.
    let (red, green) = (Rgb(200, 60, 60), Rgb(110, 120, 30));
    assert!(distance(red, green, VISIONS[0].1) > 3.0 * APART);
    assert!(distance(red, green, VISIONS[2].1) < APART);
}

#[test]
fn no_two_colours_of_the_palette_meet_for_a_colour_blind_reader() {
    let muted = |all: [Rgb; 8]| all[..MUTED.len()].to_vec();
    for palette in [
        [SERIES_DARK.to_vec(), muted(MUTED_DARK)].concat(),
        [SERIES_LIGHT.to_vec(), muted(MUTED_LIGHT)].concat(),
    ] {
        for (vision, matrix) in VISIONS {
            for (index, &color) in palette.iter().enumerate() {
                for &other in &palette[..index] {
                    let apart = distance(color, other, matrix);
                    assert!(
                        apart >= APART,
                        "{vision}: {other:?} and {color:?}, {apart:.3}"
                    );
                }
            }
        }
    }
}
