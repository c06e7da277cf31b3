//! What a sample of a needle grid says of its windows.

use kvlens_analysis::needle::{NeedleGrids, NeedlePlace, NeedleValues};
use kvlens_analysis::statistics::mean;
use kvlens_analysis::{Budget, Comparison, Metric, SampleGroup};
use kvlens_sessions::SampleRecord;

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
        evidence_kept: of(Metric::EvidenceKept),
        recall: of(Metric::Recall),
    })
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
