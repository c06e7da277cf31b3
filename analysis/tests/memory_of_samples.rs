//! What measuring many samples holds at its worst moment. One test in a file of its own: the allocator counts
//! everything that the process allocates.

#![expect(
    clippy::unwrap_used,
    reason = "a test may stop at its first wrong number"
)]

use kvlens_analysis::collection::{CollectedSample, CollectedWindow};
use kvlens_analysis::tables::{
    OverlapTable, SampleContext, TableWriter, WindowContext, overlap_rows,
};
use kvlens_analysis::{
    Budget, Collection, Comparison, ComparisonInput, ForcedKeep, HeadKind, Importance, Metric,
    Rankings, SampleGroup, SampleKey, compare,
};
use peak_alloc::PeakAlloc;

#[global_allocator]
static ALLOCATED: PeakAlloc = PeakAlloc;

const HEADS: usize = 8;
const TOKENS: usize = 8192;
const BUDGETS: [Budget; 2] = [Budget::Tokens(64), Budget::Tokens(512)];

fn importance(salt: usize) -> Importance {
    let scores = (0..HEADS * TOKENS).map(|index| ((index * 7919 + salt) % 104_729) as f32);
    Importance::new(
        1,
        HEADS,
        HeadKind::Query,
        TOKENS,
        scores.collect(),
        vec![1.0; HEADS],
        vec![0],
    )
    .unwrap()
}

fn compared(sample: usize) -> Comparison {
    let none = ForcedKeep::default();
    let (truth, window) = (importance(2 * sample), importance(2 * sample + 1));
    compare(ComparisonInput {
        truth: &Rankings::of(&truth, none).unwrap(),
        window: &Rankings::of(&window, none).unwrap(),
        decode_mass: &truth,
        keep_rule: none.into(),
        evidence: &[],
        budgets: &BUDGETS.map(|budget| budget.tokens(TOKENS)),
    })
    .unwrap()
}

/// The most bytes that were held beyond those held before, from the first sample to the finished table.
fn peak_of(samples: usize) -> usize {
    let folder = tempfile::tempdir().unwrap();
    let before = ALLOCATED.current_usage();
    ALLOCATED.reset_peak_usage();
    let mut table = TableWriter::<OverlapTable>::create(folder.path(), "{}").unwrap();
    let mut collection = Collection::new(&BUDGETS, &[], Metric::Recall);
    let group = SampleGroup {
        model: "demo".to_owned(),
        task: "facts".to_owned(),
        question_place: None,
    };
    for sample in 0..samples {
        let name = format!("sample-{sample}");
        let context = SampleContext {
            session: "s".to_owned(),
            model: "demo".to_owned(),
            dataset: "facts".to_owned(),
            task: "facts".to_owned(),
            sample: name.clone(),
            prompt_tokens: TOKENS as u32,
            decode_tokens: 16,
            ..SampleContext::default()
        };
        let comparison = compared(sample);
        let of_window = WindowContext {
            sample: &context,
            window: "last",
            score_kind: "attention",
            compare: "queries",
        };
        let rows = overlap_rows(of_window, &comparison, None, &BUDGETS).unwrap();
        table.write(&rows).unwrap();
        let window = CollectedWindow {
            label: "last",
            score_kind: "attention",
            comparison: &comparison,
            ceiling: None,
        };
        let key = SampleKey {
            content: name.clone(),
            document: None,
            prompt: name.clone(),
        };
        let sample = CollectedSample {
            key: &key,
            session: "s",
            sample: &name,
            prompt_tokens: TOKENS,
        };
        collection.add(&group, sample, &[window]);
    }
    assert_eq!(collection.summaries(Metric::Recall, 1)[0].samples, samples);
    table.finish().unwrap();
    ALLOCATED.peak_usage() - before
}

#[test]
fn the_peak_does_not_grow_with_the_samples_but_for_their_rows() {
    peak_of(1); // the pools' threads and their buffers exist from here on
    let (few, many) = (peak_of(2), peak_of(32));
    // A sample at work: importance, order and rank of two sides, 4 bytes each.
    let of_a_sample = 2 * 3 * 4 * HEADS * TOKENS;
    assert!(few >= of_a_sample, "{few}");
    // Thirty samples more are thirty times 16 rows of some thirty columns, a third of them text, and what the
    // collection keeps of them: two kilobytes a row are plenty.
    let rows = 30 * HEADS * BUDGETS.len() * 2048;
    assert!(many <= few + rows, "{few} and {many}");
    assert!(rows < 30 * of_a_sample / 10);
}
