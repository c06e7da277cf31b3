//! Asked budgets in the order in which one pass over a ranking meets them.

use std::ops::Range;

use crate::overlap::is_defined;

/// Budgets as places in a ranking, ascending, and where each was among the budgets that were asked for.
#[derive(Debug, Clone)]
pub(crate) struct AscendingBudgets {
    rankable: usize,
    tops: Vec<usize>,
    asked: Vec<usize>,
}

impl AscendingBudgets {
    /// A budget past the rankable tokens means all of them.
    pub(crate) fn new(budgets: &[usize], rankable: usize) -> Self {
        let tops = budgets.iter().map(|&budget| budget.min(rankable));
        let mut ascending: Vec<(usize, usize)> = tops.zip(0..).collect();
        ascending.sort_unstable();
        let (tops, asked) = ascending.into_iter().unzip();
        Self {
            rankable,
            tops,
            asked,
        }
    }

    /// The budgets, ascending.
    pub(crate) fn tops(&self) -> &[usize] {
        &self.tops
    }

    /// For each budget below the number of rankable tokens the ranks that it adds to those of the budget before, and
    /// its place among the asked ones. The end of the ranks is the budget; ranks behind the largest budget do not
    /// come.
    pub(crate) fn steps(&self) -> impl Iterator<Item = (Range<usize>, usize)> {
        let places = self.tops.iter().zip(&self.asked);
        let defined = places.filter(|&(&top, _)| is_defined(top, self.rankable));
        defined.scan(0, |start, (&top, &asked)| {
            let added = *start..top;
            *start = top;
            Some((added, asked))
        })
    }

    /// Number of budgets.
    pub(crate) fn count(&self) -> usize {
        self.tops.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_ascend_and_end_before_the_whole_ranking() {
        let budgets = AscendingBudgets::new(&[3, 1, 9, 3, 4], 4);
        let steps: Vec<(Range<usize>, usize)> = budgets.steps().collect();
        assert_eq!(steps, [(0..1, 1), (1..3, 0), (3..3, 3)]);
        assert_eq!(budgets.tops(), [1, 3, 3, 4, 4]);
        assert_eq!(budgets.count(), 5);
        assert_eq!(AscendingBudgets::new(&[1], 0).steps().count(), 0);
    }
}
