//! The axis of budgets, and which points of a curve are drawn.

use std::collections::BTreeSet;

use crate::gui::derived::Derived;
use crate::gui::widgets::line_plot::{AxisNumbers, PlotAxis};

/// The name of the axis of budgets.
pub const BUDGET_AXIS: &str = "Budget in tokens";

/// Budgets up to the largest.
pub fn budget_axis(largest: usize) -> PlotAxis {
    PlotAxis {
        label: BUDGET_AXIS.to_owned(),
        low: 0.0,
        high: (largest as f64).log2().max(1.0),
        numbers: AxisNumbers::Octaves,
        whole: Some(largest as f64),
    }
}

/// The budgets of one session's curves, and which of them are drawn.
pub struct DrawnBudgets {
    drawn: Vec<usize>,
    octaves: Vec<f64>,
}

impl DrawnBudgets {
    /// Of curves that get about so many points each: a screen can show no more.
    pub fn of(derived: &Derived, points: f64) -> Self {
        let budgets = derived.budgets();
        let drawn = thin_out(budgets, points, derived.final_budgets());
        let octaves = drawn.iter().filter_map(|index| budgets.get(*index));
        Self {
            octaves: octaves.map(|budget| (*budget as f64).log2()).collect(),
            drawn,
        }
    }

    /// Places on the axis.
    pub fn octaves(&self) -> Vec<f64> {
        self.octaves.clone()
    }

    /// A curve's values there.
    pub fn pick(&self, values: &[f64]) -> Vec<f64> {
        let picked = self.drawn.iter().filter_map(|index| values.get(*index));
        picked.copied().collect()
    }
}

/// Places of the budgets that are drawn: all octaves get about the same number of points, and those that some windows
/// observed for are among them.
fn thin_out(budgets: &[usize], points: f64, own: &BTreeSet<usize>) -> Vec<usize> {
    let span = budgets.last().map_or(0.0, |last| (*last as f64).log2());
    let mut drawn = Vec::new();
    let mut next = 0.0;
    for (index, budget) in budgets.iter().enumerate() {
        let octave = (*budget as f64).log2();
        if octave >= next || index + 1 == budgets.len() || own.contains(budget) {
            drawn.push(index);
            next = octave + span / points;
        }
    }
    drawn
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_curves_are_thinned_out_and_keep_both_ends() {
        let budgets: Vec<usize> = (1..=1024).collect();
        let drawn = thin_out(&budgets, 300.0, &BTreeSet::from([777]));
        assert!(drawn.len() <= 303 && drawn.contains(&776));
        assert_eq!(drawn.first(), Some(&0));
        assert_eq!(drawn.last(), Some(&1023));
        assert!(drawn.starts_with(&[0, 1, 2, 3]), "small budgets all stay");
    }
}
