//! The grid of samples that have a length and a depth, at every budget that was asked for.

use kvlens_analysis::Budget;
use kvlens_analysis::SampleGroup;
use kvlens_analysis::needle::NeedleGrids;
use kvlens_analysis::statistics::mean;

use crate::measurement::MeasuredSample;
use crate::measurement::needle::{needle_place, needle_values};

/// Adds what a sample, named by its content, says of each window at the budgets that apply to its prompt.
pub fn add_needle(
    grids: &mut NeedleGrids,
    group: &SampleGroup,
    content: &str,
    sample: &MeasuredSample,
    budgets: &[Budget],
) {
    let record = &sample.record;
    let Some(place) = needle_place(record) else {
        return;
    };
    let over_heads = |values: &[f64]| {
        let defined = values.iter().copied().filter(|value| !value.is_nan());
        mean(defined).unwrap_or(f64::NAN)
    };
    for &budget in budgets {
        let tokens = budget.tokens(record.prompt_ids.len());
        for window in &sample.windows {
            if let Some(values) = needle_values(record, window, tokens, over_heads) {
                grids.add(group, budget, (content, place), (&window.label, values));
            }
        }
    }
}
