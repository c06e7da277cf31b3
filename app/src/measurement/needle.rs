//! What a sample of a needle grid says of a window.

use kvlens_analysis::Metric;
use kvlens_analysis::needle::{NeedlePlace, NeedleValues};
use kvlens_sessions::SampleRecord;

use super::MeasuredWindow;

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
        evidence_kept: of(Metric::EvidenceKept),
        recall: of(Metric::Recall),
    })
}
