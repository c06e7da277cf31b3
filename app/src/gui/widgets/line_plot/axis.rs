//! The axes of a plot: where their lines stand and what numbers are written there.

use egui_plot::{AxisHints, GridInput, GridMark, uniform_grid_spacer};

use crate::gui::numbers::with_minus;

/// Grid lines with a number that an axis of whole or any numbers has at most.
const MOST_LABELS: f64 = 8.0;

/// The room that the number of an octave wants.
const OCTAVE_ROOM: f32 = 20.0;

/// What numbers an axis has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AxisNumbers {
    /// Shares, with lines at tenths.
    Shares,
    /// Logarithms to base 2 of whole numbers, with lines at powers of two.
    Octaves,
    /// Logarithms to base 10, with lines at powers of ten.
    Decades,
    /// Whole numbers.
    Whole,
    /// Any numbers.
    Any,
}

/// An axis.
#[derive(Clone, Debug)]
pub struct PlotAxis {
    /// Its name.
    pub label: String,
    /// The number at its start.
    pub low: f64,
    /// The number at its end.
    pub high: f64,
    /// What numbers it has.
    pub numbers: AxisNumbers,
    /// What its numbers are parts of, if the hover says which part in percent.
    pub whole: Option<f64>,
}

impl PlotAxis {
    /// An axis of shares.
    #[must_use]
    pub fn shares(label: impl Into<String>) -> Self {
        Self {
            label: label.into(),
            low: 0.0,
            high: 1.0,
            numbers: AxisNumbers::Shares,
            whole: None,
        }
    }
}

/// Marks with the room that their numbers need; egui_plot fades them in from less to more, and faint ones cannot be read.
/// Octaves stand so many points `apart`: where they are narrow, every second or fourth has its number.
pub(super) fn axis_hints<'a>(hints: AxisHints<'a>, axis: &PlotAxis, apart: f32) -> AxisHints<'a> {
    let (numbers, every) = (axis.numbers, octaves_between_numbers(apart));
    let is_passed_over = move |mark: &GridMark| {
        matches!(numbers, AxisNumbers::Octaves) && mark.value.round() as i64 % every != 0
    };
    let hints = hints
        .label(axis.label.clone())
        .formatter(move |mark, range| match is_passed_over(&mark) {
            true => String::new(),
            false => mark_text(mark, numbers, range.end() - range.start()),
        });
    match numbers {
        AxisNumbers::Octaves if every > 1 => hints.label_spacing(1.0..=1.01),
        AxisNumbers::Octaves => hints.label_spacing(OCTAVE_ROOM..=OCTAVE_ROOM + 0.01),
        AxisNumbers::Whole => hints.label_spacing(24.0..=24.01),
        AxisNumbers::Shares | AxisNumbers::Any | AxisNumbers::Decades => {
            hints.label_spacing(16.0..=16.01)
        }
    }
}

/// From one number of an axis of octaves to the next, in octaves.
fn octaves_between_numbers(apart: f32) -> i64 {
    let mut steps = [1, 2, 4].into_iter();
    steps
        .find(|&step| apart * step as f32 >= OCTAVE_ROOM)
        .unwrap_or(8)
}

pub(super) fn mark_text(mark: GridMark, numbers: AxisNumbers, span: f64) -> String {
    match numbers {
        AxisNumbers::Octaves => short_whole(mark.value.exp2()),
        AxisNumbers::Decades if mark.value.fract().abs() > 1e-6 => String::new(),
        AxisNumbers::Decades => format!("{}", 10_f64.powi(mark.value.round() as i32)),
        AxisNumbers::Whole if mark.value.fract().abs() > 1e-6 => String::new(),
        AxisNumbers::Whole => with_minus(&short_whole(mark.value)),
        AxisNumbers::Shares => format!("{}", (mark.value * 10.0).round() / 10.0),
        AxisNumbers::Any => {
            let decimals = -round_step(span / MOST_LABELS).log10().floor();
            let decimals = decimals.clamp(0.0, 6.0) as usize;
            with_minus(&format!("{:.decimals$}", mark.value))
        }
    }
}

/// A whole number in as few letters as fit between two grid lines.
fn short_whole(number: f64) -> String {
    if number >= 1024.0 && (number / 1024.0).fract() == 0.0 {
        format!("{:.0}k", number / 1024.0)
    } else {
        format!("{number:.0}")
    }
}

pub(super) fn spacer(numbers: AxisNumbers) -> Box<dyn Fn(GridInput) -> Vec<GridMark>> {
    match numbers {
        AxisNumbers::Shares => Box::new(uniform_grid_spacer(|_| [0.1, 0.5, 1.0])),
        AxisNumbers::Octaves => Box::new(|input| octaves(input.bounds)),
        AxisNumbers::Decades => Box::new(uniform_grid_spacer(|_| [1.0, 10.0, 100.0])),
        AxisNumbers::Whole => Box::new(uniform_grid_spacer(|input| {
            let step = round_step((input.bounds.1 - input.bounds.0) / MOST_LABELS).max(1.0);
            [step, 5.0 * step, 10.0 * step]
        })),
        AxisNumbers::Any => Box::new(uniform_grid_spacer(|input| {
            let step = round_step((input.bounds.1 - input.bounds.0) / MOST_LABELS);
            [step, 5.0 * step, 10.0 * step]
        })),
    }
}

/// The smallest of 1, 2 and 5 times a power of ten that is at least so large.
fn round_step(least: f64) -> f64 {
    let power = 10_f64.powf(least.max(1e-12).log10().floor());
    let times = [1.0, 2.0, 5.0].into_iter();
    let mut steps = times.map(|times| times * power);
    steps
        .find(|step| *step >= least * (1.0 - 1e-9))
        .unwrap_or(10.0 * power)
}

/// A line at every power of two.
fn octaves(bounds: (f64, f64)) -> Vec<GridMark> {
    let first = bounds.0.ceil().max(0.0) as i32;
    (first..=bounds.1.floor() as i32)
        .map(|octave| GridMark {
            value: f64::from(octave),
            step_size: 1.0,
        })
        .collect()
}

/// A place on the horizontal axis in words, with its part of the whole.
pub(super) fn place_text(at: f64, axis: &PlotAxis) -> String {
    let number = match axis.numbers {
        AxisNumbers::Octaves => at.exp2().round(),
        AxisNumbers::Decades => 10_f64.powf(at),
        AxisNumbers::Whole => at.round(),
        AxisNumbers::Shares | AxisNumbers::Any => at,
    };
    let text = match axis.numbers {
        AxisNumbers::Octaves | AxisNumbers::Whole => format!("{number:.0}"),
        AxisNumbers::Shares | AxisNumbers::Any | AxisNumbers::Decades => format!("{number:.3}"),
    };
    match axis.whole {
        Some(whole) => format!("{text}, {:.1} %", 100.0 * number / whole),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(value: f64, numbers: AxisNumbers, span: f64) -> String {
        let mark = GridMark {
            value,
            step_size: 1.0,
        };
        mark_text(mark, numbers, span)
    }

    #[test]
    fn narrow_octaves_share_a_number() {
        let steps = [40.0, 20.0, 17.0, 9.0, 3.0].map(octaves_between_numbers);
        assert_eq!(steps, [1, 1, 2, 4, 8]);
    }

    #[test]
    fn numbers_have_as_many_letters_as_they_need() {
        assert_eq!(mark(10.0, AxisNumbers::Octaves, 10.0), "1k");
        assert_eq!(mark(9.0, AxisNumbers::Octaves, 10.0), "512");
        assert_eq!(mark(1000.0, AxisNumbers::Whole, 1000.0), "1000");
        assert_eq!(mark(0.5, AxisNumbers::Whole, 3.0), "");
        assert_eq!(mark(0.30000000000000004, AxisNumbers::Shares, 1.0), "0.3");
        assert_eq!(mark(0.002, AxisNumbers::Any, 0.01), "0.002");
        assert_eq!(mark(1.5, AxisNumbers::Any, 3.0), "1.5");
        assert_eq!(mark(-0.2, AxisNumbers::Any, 1.0), "−0.2");
        assert_eq!(mark(200.0, AxisNumbers::Any, 400.0), "200");
        assert_eq!(mark(-2.0, AxisNumbers::Decades, 4.0), "0.01");
        assert_eq!(mark(3.0, AxisNumbers::Decades, 4.0), "1000");
    }

    #[test]
    fn grid_lines_stand_at_powers_of_two() {
        let marks = octaves((-0.2, 10.3));
        let marks: Vec<f64> = marks.iter().map(|mark| mark.value).collect();
        let expected: Vec<f64> = (0..=10).map(f64::from).collect();
        assert_eq!(marks, expected);
    }

    #[test]
    fn grid_lines_stand_at_round_numbers() {
        for (least, step) in [
            (0.9, 1.0),
            (1.0, 1.0),
            (2.1, 5.0),
            (7.0, 10.0),
            (0.03, 0.05),
        ] {
            assert!((round_step(least) - step).abs() < 1e-9, "{least}");
        }
    }
}
