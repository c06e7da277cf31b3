//! Axes of budgets and shares, and which points of a curve are drawn.

use egui_plot::{AxisHints, GridInput, GridMark, uniform_grid_spacer};
use kvlens_analysis::Metric;

/// Curves get no more points than a screen can show.
pub(super) const POINTS_PER_CURVE: f64 = 300.0;

/// An axis of shares, with as many digits as they have.
pub fn share_axis(metric: Metric) -> AxisHints<'static> {
    AxisHints::new_y()
        .label(metric.label())
        .formatter(|mark, _| format!("{}", (mark.value * 10.0).round() / 10.0))
}

/// Lines at tenths, halves and ones: a low plot still has numbers.
pub fn share_grid() -> impl Fn(GridInput) -> Vec<GridMark> {
    uniform_grid_spacer(|_| [0.1, 0.5, 1.0])
}

/// A number of tokens in as few letters as fit between two grid lines.
pub fn short_tokens(octave: f64) -> String {
    let tokens = octave.exp2();
    if tokens >= 1024.0 {
        format!("{:.0}k", tokens / 1024.0)
    } else {
        format!("{tokens:.0}")
    }
}

/// A line at every power of two.
pub fn octaves(bounds: (f64, f64)) -> Vec<GridMark> {
    let first = bounds.0.ceil().max(0.0) as i32;
    let last = bounds.1.floor() as i32;
    (first..=last)
        .map(|octave| GridMark {
            value: f64::from(octave),
            step_size: 1.0,
        })
        .collect()
}

/// Places of the budgets that are drawn: all octaves get about the same number of points.
pub fn thin_out(budgets: &[usize], points: f64) -> Vec<usize> {
    let span = budgets.last().map_or(0.0, |last| (*last as f64).log2());
    let mut drawn = Vec::new();
    let mut next = 0.0;
    for (index, budget) in budgets.iter().enumerate() {
        let octave = (*budget as f64).log2();
        if octave >= next || index + 1 == budgets.len() {
            drawn.push(index);
            next = octave + span / points;
        }
    }
    drawn
}

pub fn octaves_of(budgets: &[usize], drawn: &[usize]) -> Vec<f64> {
    drawn
        .iter()
        .filter_map(|index| budgets.get(*index))
        .map(|budget| (*budget as f64).log2())
        .collect()
}

pub fn picked(values: &[f64], drawn: &[usize]) -> Vec<f64> {
    drawn
        .iter()
        .filter_map(|index| values.get(*index))
        .copied()
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_curves_are_thinned_out_and_keep_both_ends() {
        let budgets: Vec<usize> = (1..=1024).collect();
        let drawn = thin_out(&budgets, POINTS_PER_CURVE);
        assert!(drawn.len() <= POINTS_PER_CURVE as usize + 2);
        assert_eq!(drawn.first(), Some(&0));
        assert_eq!(drawn.last(), Some(&1023));
        assert!(drawn.starts_with(&[0, 1, 2, 3]), "small budgets all stay");
    }

    #[test]
    fn grid_lines_stand_at_powers_of_two() {
        let marks: Vec<f64> = octaves((-0.2, 10.3))
            .iter()
            .map(|mark| mark.value)
            .collect();
        assert_eq!(marks.first(), Some(&0.0));
        assert_eq!(marks.last(), Some(&10.0));
        assert_eq!(marks.len(), 11);
    }
}
