//! Asked budgets in the order in which one pass over a ranking meets them.

use std::ops::Range;

/// Budgets as places in a ranking, ascending, and where each was among the budgets that were asked for.
pub(crate) struct AscendingBudgets(Vec<(usize, usize)>);

impl AscendingBudgets {
    /// A budget past the rankable tokens means all of them.
    pub(crate) fn new(budgets: &[usize], rankable: usize) -> Self {
        let tops = budgets.iter().map(|&budget| budget.min(rankable));
        let mut ascending: Vec<(usize, usize)> = tops.zip(0..).collect();
        ascending.sort_unstable();
        Self(ascending)
    }

    /// What the top of a ranking holds at each budget, in the order that was asked for, with the number of
    /// tokens of that top. `add` adds what lies at a range of ranks; those behind the largest budget are not
    /// looked at.
    pub(crate) fn sums<S: Copy + Default>(
        &self,
        mut add: impl FnMut(&mut S, Range<usize>),
    ) -> Vec<(S, usize)> {
        let mut sums = vec![(S::default(), 0); self.0.len()];
        let (mut sum, mut start) = (S::default(), 0);
        for &(top, asked) in &self.0 {
            add(&mut sum, start..top);
            sums[asked] = (sum, top);
            start = top;
        }
        sums
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_come_as_asked_and_end_with_the_ranking() {
        let held = [1, 2, 4, 8];
        let sums = AscendingBudgets::new(&[3, 1, 9, 3], 4)
            .sums(|sum: &mut i32, ranks| *sum += held[ranks].iter().sum::<i32>());
        assert_eq!(sums, [(7, 3), (1, 1), (15, 4), (7, 3)]);
    }
}
