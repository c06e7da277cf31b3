//! Comparisons put together: of a window that observed anew for each budget, and of one layer after the other.

use super::{BudgetCurves, Comparison, HeadComparison, same};
use crate::error::AnalysisError;

impl Comparison {
    /// Takes in the layers of another comparison of the same window, behind its own.
    ///
    /// # Errors
    /// [`AnalysisError::Mismatch`] when they differ in heads, tokens or budgets.
    pub fn append(&mut self, behind: Self) -> Result<(), AnalysisError> {
        same("heads", self.heads, behind.heads)?;
        same("prompt tokens", self.prompt_tokens, behind.prompt_tokens)?;
        same(
            "numbers of budgets",
            self.budgets.len(),
            behind.budgets.len(),
        )?;
        self.layers += behind.layers;
        self.rankable_tokens.extend(behind.rankable_tokens);
        self.by_head.extend(behind.by_head);
        Ok(())
    }

    /// One comparison of a window that has another ranking at each budget, from the comparisons of these rankings with
    /// the same truth at the same budgets, each with its budget in tokens. Everything is undefined at other budgets, as
    /// is the area under recall, which is about one ranking at all of them. None of no comparison.
    pub fn joined(parts: &[(usize, &Self)]) -> Option<Self> {
        let (_, first) = parts.first()?;
        let by_head = (0..first.by_head.len()).map(|index| HeadComparison {
            curves: joined_curves(&first.budgets, parts, index),
            recall_auc: f64::NAN,
        });
        Some(Self {
            by_head: by_head.collect(),
            ..(*first).clone()
        })
    }
}

fn joined_curves(budgets: &[usize], parts: &[(usize, &Comparison)], head: usize) -> BudgetCurves {
    let mut joined = BudgetCurves::undefined(budgets.len());
    for (point, budget) in budgets.iter().enumerate() {
        let part = parts.iter().find(|(own, _)| own == budget);
        let of_head = part.and_then(|(_, part)| part.by_head.get(head));
        if let Some(of_head) = of_head {
            joined.take(&of_head.curves, point);
        }
    }
    joined
}

impl BudgetCurves {
    /// Takes one point over from other curves of as many points.
    fn take(&mut self, other: &Self, point: usize) {
        let curves = [
            (&mut self.recall, &other.recall),
            (&mut self.kept_recall, &other.kept_recall),
            (&mut self.hit_rate, &other.hit_rate),
            (&mut self.jaccard, &other.jaccard),
            (&mut self.mass, &other.mass),
            (&mut self.mass_of_oracle, &other.mass_of_oracle),
            (&mut self.evidence_kept, &other.evidence_kept),
            (&mut self.output_error, &other.output_error),
        ];
        for (own, other) in curves {
            if let (Some(own), Some(other)) = (own.get_mut(point), other.get(point)) {
                *own = *other;
            }
        }
    }
}
