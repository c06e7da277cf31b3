//! Every budget in one pass over a head's two rankings, beside a plain top-k for each of twenty budgets; and a cache that is
//! ranked while it decodes.
//!
//! `cargo bench --workspace --bench budgets`. One head of 32,768 tokens unless a name says otherwise; the peak
//! of allocated memory is printed with the times. `beside_numpy.py` runs the largest one beside NumPy.

use divan::{AllocProfiler, Bencher, black_box};
use kvlens_analysis::agreement::Agreement;
use kvlens_analysis::decode_eviction::{
    DecodeEvictionPlan, DecodeHead, DecodeRanking, Horizon, RankedStep, decode_evictions_of,
};
use kvlens_analysis::{
    Budget, BudgetGrid, Comparison, ComparisonInput, ForcedKeep, HeadKind, Importance, OracleTops,
    Rankings, ReducedHead, Scoring, compare,
};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

#[global_allocator]
static ALLOCATIONS: AllocProfiler = AllocProfiler::system();

const TOKENS: usize = 32_768;
const BUDGETS: usize = 20;

fn main() {
    divan::main();
}

fn scores(heads: usize, seed: u64) -> Vec<f32> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    (0..heads * TOKENS).map(|_| random.random()).collect()
}

fn importance(heads: usize, seed: u64) -> Importance {
    let shares = vec![1.0; heads];
    Importance::new(
        1,
        heads,
        HeadKind::Query,
        TOKENS,
        scores(heads, seed),
        shares,
        vec![0],
    )
    .unwrap_or_else(|refused| unreachable!("{refused}"))
}

fn budgets() -> Vec<usize> {
    BudgetGrid::new(TOKENS, BUDGETS).map_or_else(|_| Vec::new(), |grid| grid.tokens().to_vec())
}

fn one_pass(truth: &Importance, window: &Importance, budgets: &[usize]) -> Option<Comparison> {
    let none = ForcedKeep::default();
    let rank = |side| Rankings::of(side, none).ok();
    compare(ComparisonInput {
        truth: &rank(truth)?,
        window: &rank(window)?,
        decode_mass: truth,
        keep_rule: none.into(),
        evidence: &[],
        budgets,
    })
    .ok()
}

/// Sort both sides, then every metric at all budgets.
#[divan::bench]
fn all_budgets_in_one_pass(bencher: Bencher<'_, '_>) {
    let (truth, window, budgets) = (importance(1, 1), importance(1, 2), budgets());
    bencher.bench_local(|| one_pass(black_box(&truth), black_box(&window), &budgets));
}

/// A partial sort of both sides for each budget, and the recall of that budget alone.
#[divan::bench]
fn plain_top_k_per_budget(bencher: Bencher<'_, '_>) {
    let (truth, window, budgets) = (scores(1, 1), scores(1, 2), budgets());
    bencher.bench_local(|| -> Vec<usize> {
        let top = |scores: &[f32], budget: usize| {
            let mut tokens: Vec<u32> = (0..TOKENS as u32).collect();
            tokens.select_nth_unstable_by(budget - 1, |&a, &b| {
                let (x, y) = (scores[a as usize], scores[b as usize]);
                y.total_cmp(&x).then(a.cmp(&b))
            });
            let mut kept = vec![false; TOKENS];
            for &token in &tokens[..budget] {
                kept[token as usize] = true;
            }
            kept
        };
        budgets
            .iter()
            .map(|&budget| {
                let (a, b) = (
                    top(black_box(&truth), budget),
                    top(black_box(&window), budget),
                );
                a.iter().zip(&b).filter(|&(&a, &b)| a && b).count()
            })
            .collect()
    });
}

/// Only the sort, to hold the pass against it.
#[divan::bench]
fn ranking_of_one_head(bencher: Bencher<'_, '_>) {
    let side = importance(1, 1);
    bencher.bench_local(|| Rankings::of(black_box(&side), ForcedKeep::default()));
}

/// The same of scores that max pooling has tied, with the unpooled ones as the second key.
#[divan::bench]
fn ranking_of_one_pooled_head(bencher: Bencher<'_, '_>) {
    let head = ReducedHead {
        scores: scores(1, 1),
        prompt_share: 1.0,
    };
    let (scoring, none) = (Scoring::for_queries(), ForcedKeep::default());
    let side = Importance::from_reduced(vec![vec![head]], 1, scoring, none, vec![0])
        .unwrap_or_else(|refused| unreachable!("{refused}"));
    bencher.bench_local(|| Rankings::of(black_box(&side), ForcedKeep::default()));
}

/// The budget-free measures.
#[divan::bench]
fn agreement_of_one_head(bencher: Bencher<'_, '_>) {
    let (truth, window) = (importance(1, 1), importance(1, 2));
    let all = |side| Importance::head_scores(side, 0, 0, ForcedKeep::default());
    bencher.bench_local(|| Agreement::of(all(black_box(&truth)), all(black_box(&window))));
}

/// A layer of 32 heads on all cores: what a prompt of any number of layers holds at a time.
#[divan::bench(sample_count = 10)]
fn a_layer_of_32_heads(bencher: Bencher<'_, '_>) {
    let (truth, window, budgets) = (importance(32, 1), importance(32, 2), budgets());
    bencher.bench_local(|| one_pass(black_box(&truth), black_box(&window), &budgets));
}

/// Decode steps behind the prompt, and those from one ranking of the cache to the next.
const STEPS: usize = 256;
const EVERY: usize = 16;

/// One head's cache of 32,768 prompt tokens, ranked every 16 of 256 decode steps by every ranking, held against the next
/// step, those up to the next ranking and all behind, at 20 budgets.
#[divan::bench(sample_count = 5, sample_size = 1)]
fn a_cache_ranked_while_it_decodes(bencher: Bencher<'_, '_>) {
    let (on_prompt, behind) = (scores(STEPS, 1), &scores(2, 2)[..STEPS * STEPS]);
    let (key_norms, prompt_sums) = (&scores(2, 3)[..TOKENS + STEPS], scores(1, 4));
    let head = DecodeHead {
        steps: STEPS,
        on_prompt: &on_prompt,
        behind,
        sliding_window: None,
        key_norms,
        prompt_sums: Some(&prompt_sums),
        seed: 0,
    };
    let plan = DecodeEvictionPlan {
        every: EVERY,
        rankings: DecodeRanking::USUAL.to_vec(),
        horizons: vec![Horizon::Next(1), Horizon::Next(EVERY), Horizon::Rest],
        budgets: budgets().into_iter().map(Budget::Tokens).collect(),
    };
    bencher.bench_local(|| -> Option<Vec<Vec<RankedStep>>> {
        decode_evictions_of(black_box(&[head]), &plan).ok()
    });
}

/// Layers, heads of a layer and windows of a large model's prompt.
const LAYERS: usize = 32;
const LAYER_HEADS: usize = 32;
const WINDOWS: usize = 8;

/// The truth and the windows of one layer. A prompt of 1,024 heads and 8 windows goes through the benchmarks
/// below layer by layer, as a prompt too large to hold does; every layer has these scores, which are made
/// before the clock starts.
fn layer() -> (Importance, Vec<Importance>) {
    let windows = (2..)
        .take(WINDOWS)
        .map(|seed| importance(LAYER_HEADS, seed));
    (importance(LAYER_HEADS, 1), windows.collect())
}

fn recall_alone(bencher: Bencher<'_, '_>, budgets: &[usize]) {
    let (truth, windows) = layer();
    bencher.bench_local(|| -> Option<usize> {
        let mut heads = 0;
        for _ in 0..LAYERS {
            let tops = OracleTops::of(black_box(&truth), ForcedKeep::default(), budgets).ok()?;
            for window in &windows {
                heads += tops.recall_by_head(black_box(window)).ok()?.len();
            }
        }
        Some(heads)
    });
}

/// A whole prompt, recall alone, at the budgets for which NumPy is given a top-k each.
#[divan::bench(sample_count = 3, sample_size = 1)]
fn recall_at_20_budgets_of_1024_heads_and_8_windows(bencher: Bencher<'_, '_>) {
    recall_alone(bencher, &budgets());
}

/// The same at every budget from 1 to 32,768, for which both sides are sorted.
#[divan::bench(sample_count = 3, sample_size = 1)]
fn recall_at_every_budget_of_1024_heads_and_8_windows(bencher: Bencher<'_, '_>) {
    recall_alone(bencher, &(1..=TOKENS).collect::<Vec<usize>>());
}

/// The same prompt, every metric at 20 budgets and the area under recall.
#[divan::bench(sample_count = 3, sample_size = 1)]
fn all_metrics_of_1024_heads_and_8_windows(bencher: Bencher<'_, '_>) {
    let ((truth, windows), budgets) = (layer(), budgets());
    bencher.bench_local(|| {
        let none = ForcedKeep::default();
        let mut by_window: Vec<Vec<Comparison>> = vec![Vec::new(); WINDOWS];
        for _ in 0..LAYERS {
            let ranked = Rankings::of(black_box(&truth), none).ok()?;
            for (window, layers) in windows.iter().zip(&mut by_window) {
                layers.push(
                    compare(ComparisonInput {
                        truth: &ranked,
                        window: &Rankings::of(black_box(window), none).ok()?,
                        decode_mass: &truth,
                        keep_rule: none.into(),
                        evidence: &[],
                        budgets: &budgets,
                    })
                    .ok()?,
                );
            }
        }
        Some(by_window)
    });
}
