//! What a sample of a needle grid says of its windows.

use kvlens_analysis::needle::{NeedleGrids, NeedlePlace, NeedleValues};
use kvlens_analysis::statistics::mean;
use kvlens_analysis::{Budget, Metric, SampleGroup};
use kvlens_sessions::SampleRecord;

use super::fidelity::{FULL_LABEL, WindowOutcome};
use super::{MeasuredSample, MeasuredWindow};

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
    window: &MeasuredWindow,
    budget_tokens: usize,
    mean: impl Fn(&[f64]) -> f64,
) -> Option<NeedleValues> {
    let comparison = &window.comparison;
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
