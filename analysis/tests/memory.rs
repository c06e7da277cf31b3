//! What comparing layer by layer holds at its worst moment. One test in a file of its own: the allocator
//! counts everything that the process allocates.

#![expect(
    clippy::unwrap_used,
    reason = "a test may stop at its first wrong number"
)]

use kvlens_analysis::{
    Comparison, ComparisonInput, ForcedKeep, HeadKind, Importance, Metric, Rankings, compare,
};
use peak_alloc::PeakAlloc;

#[global_allocator]
static ALLOCATED: PeakAlloc = PeakAlloc;

const HEADS: usize = 8;
const TOKENS: usize = 8192;
const BUDGETS: [usize; 3] = [64, 512, 8192];

fn layer(layer: usize, salt: usize) -> Importance {
    let scores = (0..HEADS * TOKENS)
        .map(|index| ((index * 7919 + layer * 31 + salt) % 104_729) as f32)
        .collect();
    let (kind, shares) = (HeadKind::Query, vec![1.0; HEADS]);
    Importance::new(1, HEADS, kind, TOKENS, scores, shares, vec![0]).unwrap()
}

/// The comparisons by layer and the most bytes that were held beyond those held before.
fn compared(layers: usize) -> (Vec<Comparison>, usize) {
    let before = ALLOCATED.current_usage();
    ALLOCATED.reset_peak_usage();
    let none = ForcedKeep::default();
    let parts = (0..layers).map(|index| {
        let (truth, window) = (layer(index, 1), layer(index, 2));
        compare(ComparisonInput {
            truth: &Rankings::of(&truth, none).unwrap(),
            window: &Rankings::of(&window, none).unwrap(),
            decode_mass: &truth,
            keep_rule: none.into(),
            evidence: &[],
            budgets: &BUDGETS,
        })
        .unwrap()
    });
    let by_layer = parts.collect();
    (by_layer, ALLOCATED.peak_usage() - before)
}

#[test]
fn the_peak_does_not_grow_with_the_layers_but_for_the_result() {
    compared(1); // the pool's threads and their buffers exist from here on
    let (_, few) = compared(2);
    let (by_layer, many) = compared(24);
    assert_eq!(by_layer.len(), 24);
    // Two importances and two rankings of one layer, and for each thread the sorted keys (8 bytes a token, and
    // their sorted copy) and the running sums of a head (four of 8 bytes).
    let of_a_layer = HEADS * TOKENS * (2 * 4 + 2 * 8);
    let of_threads = (rayon::current_num_threads() + 1) * TOKENS * 8 * 6;
    let curves = Metric::ALL.len() * size_of::<f64>() * BUDGETS.len();
    let result = 24 * HEADS * (size_of_val(&by_layer[0].by_head[0]) + curves);
    assert!(few <= of_a_layer + of_threads + result, "{few}");
    assert!(
        many <= few.max(of_a_layer) + of_threads + 4 * result,
        "{few} and {many}"
    );
    // All layers at once would hold twelve times as much as two.
    assert!(many < 2 * few, "{few} and {many}");
}
