//! What a sample of a needle grid says of its windows.

use kvlens_analysis::needle::{NeedleGrids, NeedlePlace, NeedleValues};
use kvlens_analysis::statistics::mean;
use kvlens_analysis::{Budget, Comparison, Metric, SampleGroup};
use kvlens_sessions::SampleRecord;

use super::fidelity::{FULL_LABEL, WindowOutcome};

/// Where the sample belongs in a grid; none of a sample without an asked length and depth.
pub fn needle_place(record: &SampleRecord) -> Option<NeedlePlace> {
    Some(NeedlePlace {
        length: record.asked_length?,
        depth: record.depth?,
    })
}

/// What it says of a window at a budget in tokens; none where the window was not compared there. `mean` is taken over
/// `[L, heads]` values, NaN where they are undefined.
pub fn needle_values(
    record: &SampleRecord,
    comparison: &Comparison,
    budget_tokens: usize,
    mean: impl Fn(&[f64]) -> f64,
) -> Option<NeedleValues> {
    let index = comparison.budget_index(budget_tokens).ok()?;
    let of = |metric| Some(mean(&comparison.metric_map(metric, index))).filter(|it| !it.is_nan());
    Some(NeedleValues {
        score: record.score,
        evicted_score: None,
        evidence_kept: of(Metric::EvidenceKept),
        recall: of(Metric::Recall),
    })
}

/// Adds the score of what the model answers from each evicted cache. The full cache counts at every budget.
pub fn add_evictions(
    grids: &mut NeedleGrids,
    group: &SampleGroup,
    content: &str,
    place: NeedlePlace,
    windows: &[WindowOutcome],
) {
    let evicted = windows.iter().filter(|window| window.label != FULL_LABEL);
    let mut budgets: Vec<Budget> = Vec::new();
    for outcome in evicted.flat_map(|window| &window.by_budget) {
        if !budgets.contains(&outcome.budget) {
            budgets.push(outcome.budget);
        }
    }
    for window in windows {
        for outcome in &window.by_budget {
            let values = NeedleValues {
                evicted_score: outcome.score,
                ..NeedleValues::default()
            };
            let mut add = |budget| {
                grids.add(group, budget, (content, place), (&window.label, values));
            };
            match window.label == FULL_LABEL {
                true => budgets.iter().copied().for_each(add),
                false => add(outcome.budget),
            }
        }
    }
}

/// Adds what a sample, named by its content, says of each window, given by its label and comparison, at the budgets that
/// apply to its prompt.
pub fn add_needle<'a>(
    grids: &mut NeedleGrids,
    (group, content): (&SampleGroup, &str),
    record: &SampleRecord,
    windows: impl Iterator<Item = (&'a str, &'a Comparison)> + Clone,
    budgets: &[Budget],
) {
    let Some(place) = needle_place(record) else {
        return;
    };
    let over_heads = |values: &[f64]| {
        let defined = values.iter().copied().filter(|value| !value.is_nan());
        mean(defined).unwrap_or(f64::NAN)
    };
    for &budget in budgets {
        let tokens = budget.tokens(record.prompt_ids.len());
        for (label, comparison) in windows.clone() {
            if let Some(values) = needle_values(record, comparison, tokens, over_heads) {
                grids.add(group, budget, (content, place), (label, values));
            }
        }
    }
}
