//! The asked budgets on a prompt of a certain length.

use kvlens_analysis::Budget;

/// Which of the asked budgets apply to a sample.
#[derive(Debug, PartialEq)]
pub struct SampleBudgets {
    /// Those that the prompt can hold, in the order of asking.
    pub applying: Vec<Budget>,
    /// Those in tokens that are larger than the prompt.
    pub left_out: Vec<Budget>,
}

impl SampleBudgets {
    /// Sorts the asked budgets out for a prompt of `prompt_tokens`.
    pub fn new(asked: &[Budget], prompt_tokens: usize) -> Self {
        let too_large =
            |budget: &Budget| matches!(*budget, Budget::Tokens(tokens) if tokens > prompt_tokens);
        let (left_out, applying) = asked.iter().copied().partition(too_large);
        Self { applying, left_out }
    }

    /// The budgets that apply in tokens: distinct, ascending.
    pub fn tokens(&self, prompt_tokens: usize) -> Vec<usize> {
        let mut tokens: Vec<usize> = self
            .applying
            .iter()
            .map(|budget| budget.tokens(prompt_tokens))
            .collect();
        tokens.sort_unstable();
        tokens.dedup();
        tokens
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn budgets_become_sorted_distinct_tokens() {
        let asked = [
            Budget::Fraction(0.2),
            Budget::Tokens(64),
            Budget::Fraction(0.1),
        ];
        let budgets = SampleBudgets::new(&asked, 640);
        assert_eq!(budgets.applying, asked);
        assert_eq!(budgets.tokens(640), [64, 128]);
    }

    #[test]
    fn a_budget_larger_than_the_prompt_is_left_out() {
        let asked = [
            Budget::Tokens(256),
            Budget::Tokens(100),
            Budget::Fraction(0.5),
        ];
        let budgets = SampleBudgets::new(&asked, 100);
        assert_eq!(budgets.tokens(100), [50, 100]);
        assert_eq!(budgets.left_out, [Budget::Tokens(256)]);
    }
}
