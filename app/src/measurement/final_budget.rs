//! Windows that observed anew for each budget (`budget=final`), joined to one.

use kvlens_analysis::Comparison;
use kvlens_sessions::Cost;
use kvlens_sessions::windows::{FinalPart, final_part};

use super::{MeasuredSample, MeasuredWindow};

impl MeasuredSample {
    /// The observations of a window with `budget=final` as that window: what it says of a budget is what the
    /// observation for that budget says, and nothing at others. It costs what all of them cost.
    #[must_use]
    pub fn joined(mut self) -> Self {
        let prompt_tokens = self.record.prompt_ids.len();
        let mut windows: Vec<MeasuredWindow> = Vec::with_capacity(self.windows.len());
        for window in self.windows {
            let Some(FinalPart {
                window: label,
                budget,
            }) = final_part(&window.label)
            else {
                windows.push(window);
                continue;
            };
            let part = (budget.tokens(prompt_tokens), window);
            let known = windows.iter_mut().find(|known| known.label == label);
            match known {
                Some(known) => known.at_budgets.push(part),
                None => windows.push(MeasuredWindow {
                    label,
                    at_budgets: vec![part.clone()],
                    ..part.1
                }),
            }
        }
        self.windows = windows.into_iter().map(MeasuredWindow::of_parts).collect();
        self
    }
}

impl MeasuredWindow {
    /// What stands for the window at a budget in tokens: itself, or its observation for that budget, if there is one.
    pub fn at(&self, budget_tokens: usize) -> Option<&Self> {
        match self.at_budgets.as_slice() {
            [] => Some(self),
            parts => {
                let mut parts = parts.iter();
                let found = parts.find(|(tokens, _)| *tokens == budget_tokens);
                found.map(|(_, part)| part)
            }
        }
    }

    /// What stands for the window nearest to a budget in tokens: itself, or its observation for the budget that is the
    /// smallest factor away.
    #[must_use]
    pub fn nearest(&self, budget_tokens: usize) -> &Self {
        let factor = |tokens: usize| {
            let ratio = tokens.max(1) as f64 / budget_tokens.max(1) as f64;
            ratio.max(1.0 / ratio)
        };
        let parts = self.at_budgets.iter();
        let nearest = parts.min_by(|(one, _), (other, _)| factor(*one).total_cmp(&factor(*other)));
        nearest.map_or(self, |(_, part)| part)
    }

    /// The budgets in tokens that it observed for, where it observed anew for each; none otherwise.
    pub fn own_budgets(&self) -> Vec<usize> {
        self.at_budgets.iter().map(|(tokens, _)| *tokens).collect()
    }

    /// What was observed: the window itself, or its observation for each budget. For what is about no budget.
    pub fn observations(&self) -> impl Iterator<Item = &Self> {
        let itself = self.at_budgets.is_empty().then_some(self);
        let parts = self.at_budgets.iter().map(|(_, part)| part);
        itself.into_iter().chain(parts)
    }

    fn of_parts(self) -> Self {
        let parts = &self.at_budgets;
        let comparisons: Vec<(usize, &Comparison)> = parts
            .iter()
            .map(|(tokens, part)| (*tokens, &part.comparison))
            .collect();
        let ceilings: Vec<(usize, &Comparison)> = parts
            .iter()
            .filter_map(|(tokens, part)| Some((*tokens, part.ceiling.as_deref()?)))
            .collect();
        let Some(comparison) = Comparison::joined(&comparisons) else {
            return self;
        };
        let costs = parts.iter().map(|(_, part)| part.cost);
        Self {
            comparison,
            ceiling: Comparison::joined(&ceilings).map(Into::into),
            cost: costs.fold(Cost::default(), Cost::and_then),
            ..self
        }
    }
}
