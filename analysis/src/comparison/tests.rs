//! Curves by hand and refusals; the properties are in the crate's tests folder.

use super::*;
use crate::ForcedKeep;

const NONE: ForcedKeep = ForcedKeep {
    sinks: 0,
    recent: 0,
};

fn importance(heads: &[&[f32]]) -> Importance {
    seen_from(0, heads)
}

fn seen_from(first: usize, heads: &[&[f32]]) -> Importance {
    let (scores, shares) = (heads.concat(), vec![1.0; heads.len()]);
    let (kind, tokens) = (HeadKind::Query, scores.len() / heads.len());
    Importance::new(1, heads.len(), kind, tokens, scores, shares, vec![first]).unwrap()
}

fn compare_at(
    truth: &Importance,
    window: &Importance,
    forced_keep: ForcedKeep,
    exempt: ForcedKeep,
    budgets: &[usize],
) -> Result<Comparison, AnalysisError> {
    compare(ComparisonInput {
        truth: &Rankings::of(truth, exempt).unwrap(),
        window: &Rankings::of(window, exempt).unwrap(),
        decode_mass: truth,
        keep_rule: forced_keep.into(),
        evidence: &[],
        budgets,
    })
}

/// The defined beginning of a curve of which the rest is undefined.
fn assert_curve(curve: &[f64], defined: &[f64]) {
    let (begin, rest) = curve.split_at(defined.len());
    assert_eq!(begin, defined);
    assert!(rest.iter().all(|value| value.is_nan()), "{curve:?}");
}

#[test]
fn curves_of_one_head_by_hand() {
    // The truth ranks 0 1 2 3, the window 3 0 1 2.
    let truth = importance(&[&[0.5, 0.25, 0.125, 0.0625]]);
    let window = importance(&[&[0.3, 0.2, 0.1, 0.4]]);
    let comparison = compare_at(&truth, &window, NONE, NONE, &[1, 2, 3, 4]).unwrap();
    assert_eq!(comparison.rankable_tokens, [4]);
    let head = comparison.head(0, 0);
    let recall = [0.0, 0.5, 2.0 / 3.0];
    assert_curve(&head.curves.recall, &recall);
    assert_curve(&head.curves.hit_rate, &recall);
    assert_curve(&head.curves.kept_recall, &recall);
    assert_curve(&head.curves.jaccard, &[0.0, 1.0 / 3.0, 0.5]);
    assert_curve(&head.curves.mass, &[0.0625, 0.5625, 0.8125]);
    assert_curve(&head.curves.mass_of_oracle, &[0.125, 0.75, 0.8125 / 0.875]);
    assert_curve(&head.curves.evidence_kept, &[]);
    // From 1 to 2 of 4 tokens: the mean of 0 and a half.
    assert_eq!(head.recall_auc, 0.25);
}

#[test]
fn forced_tokens_are_hits_of_both_sides_and_kept_by_one() {
    let truth = importance(&[&[0.5, 0.25, 0.125, 0.0625]]);
    let window = importance(&[&[0.3, 0.2, 0.1, 0.4]]);
    let forced = ForcedKeep {
        sinks: 0,
        recent: 1,
    };
    let comparison = compare_at(&truth, &window, forced, NONE, &[1, 2, 3, 4]).unwrap();
    let curves = &comparison.head(0, 0).curves;
    assert_curve(&curves.recall, &[0.0, 0.5, 2.0 / 3.0]);
    // Without token 3 both sides rank 0 1 2, but the truth's top has no need of it.
    assert_curve(&curves.hit_rate, &[1.0; 3]);
    assert_curve(&curves.kept_recall, &[0.0, 0.5, 2.0 / 3.0]);
}

#[test]
fn exempt_tokens_leave_recall_and_mass_and_use_up_the_budget() {
    let truth = importance(&[&[0.5, 0.25, 0.125, 0.0625, 0.03125]]);
    let window = importance(&[&[0.3, 0.1, 0.15, 0.2, 0.4]]);
    let exempt = ForcedKeep {
        sinks: 1,
        recent: 1,
    };
    let comparison = compare_at(&truth, &window, NONE, exempt, &[1, 2, 3, 4, 5]).unwrap();
    let curves = &comparison.head(0, 0).curves;
    // The truth ranks 1 2 3, the window 3 2 1; a budget of 2 is the exempt tokens'.
    assert_curve(&curves.recall, &[0.0, 0.5]);
    assert_curve(&curves.mass, &[0.0625, 0.1875]);
    assert_curve(&curves.mass_of_oracle, &[0.25, 0.5]);
    assert_curve(&curves.hit_rate, &[1.0, 1.0]);
    assert_curve(&curves.kept_recall, &[0.0, 0.0]);
}

#[test]
fn a_layer_without_enough_visible_tokens_has_no_answer() {
    let scores = [0.5, 0.25, 0.4, 0.3, 0.1, 0.2];
    let (truth, window) = (seen_from(2, &[&scores]), seen_from(2, &[&scores]));
    let comparison = compare_at(&truth, &window, NONE, NONE, &[1, 3, 4, 5]).unwrap();
    assert_eq!(comparison.rankable_tokens, [4]);
    for metric in Metric::ALL {
        let curve = comparison.head(0, 0).curves.of(metric);
        assert!(curve[2].is_nan() && curve[3].is_nan(), "{metric:?}");
    }
    assert_curve(&comparison.head(0, 0).curves.recall, &[1.0, 1.0]);
    assert_eq!(comparison.defined_heads(Metric::Recall, 1), 1);
    assert_eq!(comparison.defined_heads(Metric::Recall, 2), 0);
    assert!(comparison.mean(Metric::Recall, 2).is_nan());
    assert_eq!(comparison.head(0, 0).recall_auc, 1.0);
    let other = compare_at(&truth, &importance(&[&scores]), NONE, NONE, &[1]);
    assert!(matches!(
        other,
        Err(AnalysisError::Mismatch {
            what: "first visible tokens",
            ..
        })
    ));
}

#[test]
fn nothing_to_rank_is_nothing_to_ask() {
    let scores = importance(&[&[0.5, 0.25]]);
    let exempt = ForcedKeep {
        sinks: 2,
        recent: 0,
    };
    let comparison = compare_at(&scores, &scores, NONE, exempt, &[1, 2]).unwrap();
    let head = comparison.head(0, 0);
    for metric in Metric::ALL {
        assert_curve(head.curves.of(metric), &[]);
    }
    assert!(head.recall_auc.is_nan());
}

#[test]
fn evidence_is_kept_where_the_layer_sees_it() {
    let scores: [f32; 6] = [0.1, 0.6, 0.2, 0.5, 0.3, 0.4];
    let with = |first: usize, evidence: &[Range<usize>]| {
        let side = seen_from(first, &[&scores]);
        let rankings = Rankings::of(&side, NONE).unwrap();
        let sink = ForcedKeep {
            sinks: 1,
            recent: 0,
        };
        compare(ComparisonInput {
            truth: &rankings,
            window: &rankings,
            decode_mass: &side,
            keep_rule: sink.into(),
            evidence,
            budgets: &[1, 2, 3, 4, 5, 6],
        })
    };
    let kept = |first, evidence| {
        let comparison = with(first, evidence).unwrap();
        comparison.head(0, 0).curves.evidence_kept.clone()
    };
    // The rule keeps token 0 first, then 1 3 5 4 2; the evidence is 1 to 4, two of them named twice.
    let evidence = [2..5, 1..4];
    assert_curve(&kept(0, &evidence), &[0.0, 0.25, 0.5, 0.5, 0.75]);
    // Where 2 to 5 are seen, it keeps 0, then 3 5 4 2.
    assert_curve(&kept(2, &evidence), &[0.0, 1.0 / 3.0, 1.0 / 3.0]);
    assert_curve(&kept(2, &[0..2, 4..4]), &[]);
    assert_curve(&kept(0, &[]), &[]);
    assert_eq!(
        with(0, &[1..2, 3..7]).unwrap_err().to_string(),
        "the end of the evidence must lie within the prompt, not at 7"
    );
}

#[test]
fn the_largest_mass_is_not_that_of_the_truths_order() {
    // The truth is ranked by something else than its mass.
    let (truth, mass) = (
        importance(&[&[3.0, 2.0, 1.0]]),
        importance(&[&[0.1, 0.2, 0.4]]),
    );
    let rankings = Rankings::of(&truth, NONE).unwrap();
    let comparison = compare(ComparisonInput {
        truth: &rankings,
        window: &rankings,
        decode_mass: &mass,
        keep_rule: NONE.into(),
        evidence: &[],
        budgets: &[1, 2],
    })
    .unwrap();
    let [tenth, fifth, two_fifths] = [0.1_f32, 0.2, 0.4].map(f64::from);
    let expected = [tenth / two_fifths, (tenth + fifth) / (two_fifths + fifth)];
    assert_curve(&comparison.head(0, 0).curves.mass_of_oracle, &expected);
    let nothing = compare_at(&importance(&[&[0.0; 3]]), &truth, NONE, NONE, &[1]).unwrap();
    assert_curve(&nothing.head(0, 0).curves.mass_of_oracle, &[]);
}

#[test]
fn the_area_spans_a_hundredth_to_a_half_of_the_prompt() {
    // The window ranks the truth's first three tokens last: its top B are the tokens 3 to B + 2.
    let truth: Vec<f32> = (0..300_u16).map(|token| f32::from(300 - token)).collect();
    let mut window = truth.clone();
    window[..3].fill(0.0);
    let (truth, window) = (importance(&[&truth]), importance(&[&window]));
    let comparison = compare_at(&truth, &window, NONE, NONE, &[1]).unwrap();
    // So recall at B is (B - 3) / B, here from 3 to 150.
    let recall = |budget: f64| (budget - 3.0) / budget;
    let area: f64 = (3..150)
        .map(f64::from)
        .map(|b| 0.5 * (recall(b) + recall(b + 1.0)) * ((b + 1.0) / b).ln())
        .sum();
    let expected = area / 50.0_f64.ln();
    assert!((comparison.head(0, 0).recall_auc - expected).abs() < 1e-12);
}

#[test]
fn maps_means_and_bands_are_over_heads() {
    let oracle = importance(&[&[3.0, 2.0, 1.0], &[3.0, 2.0, 1.0], &[3.0, 2.0, 1.0]]);
    let window = importance(&[&[3.0, 2.0, 1.0], &[2.0, 3.0, 1.0], &[1.0, 2.0, 3.0]]);
    let comparison = compare_at(&oracle, &window, NONE, NONE, &[2, 1]).unwrap();
    assert_eq!(comparison.metric_map(Metric::Recall, 0), [1.0, 1.0, 0.5]);
    assert_eq!(comparison.metric_map(Metric::Recall, 1), [1.0, 0.0, 0.0]);
    assert_eq!(comparison.mean(Metric::Recall, 0), 2.5 / 3.0);
    assert!(
        comparison
            .metric_map(Metric::Recall, 2)
            .iter()
            .all(|value| value.is_nan())
    );
    assert_eq!(comparison.budget_index(1), Ok(1));
    assert_eq!(
        comparison.budget_index(3),
        Err(AnalysisError::BudgetNotCompared { budget: 3 })
    );

    let band = comparison.band(Metric::Recall, &[(0, 0), (0, 2), (0, 9), (4, 0)]);
    assert_eq!(band.mean, [0.75, 0.5]);
    assert_eq!((band.low[0], band.high[0]), (0.55, 0.95));
    assert_eq!((band.low[1], band.high[1]), (0.1, 0.9));
    let undefined = Band::of(&[&[0.5, f64::NAN], &[f64::NAN, f64::NAN]], 2);
    assert_eq!((undefined.mean[0], undefined.low[0]), (0.5, 0.5));
    assert!(undefined.mean[1].is_nan());
    let empty = comparison.band(Metric::Recall, &[]);
    assert!(
        empty
            .mean
            .iter()
            .chain(&empty.low)
            .chain(&empty.high)
            .all(|value| value.is_nan())
    );
}

#[test]
fn sides_that_do_not_match_are_refused() {
    let one = importance(&[&[0.5, 0.25, 0.125]]);
    let two = importance(&[&[0.5, 0.25, 0.125], &[0.5, 0.25, 0.125]]);
    let short = importance(&[&[0.5, 0.25]]);
    let refused = compare_at(&one, &two, NONE, NONE, &[1]).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "the heads of the two sides differ: 1 for the oracle, 2 for the window"
    );
    let refused = compare_at(&one, &short, NONE, NONE, &[1]).unwrap_err();
    assert!(matches!(
        refused,
        AnalysisError::Mismatch {
            what: "prompt tokens",
            ..
        }
    ));

    let exempt = ForcedKeep {
        sinks: 1,
        recent: 0,
    };
    let refused = compare(ComparisonInput {
        truth: &Rankings::of(&one, NONE).unwrap(),
        window: &Rankings::of(&one, exempt).unwrap(),
        decode_mass: &one,
        keep_rule: NONE.into(),
        evidence: &[],
        budgets: &[1],
    });
    assert!(matches!(
        refused,
        Err(AnalysisError::Mismatch {
            what: "exempt sinks",
            ..
        })
    ));
    let refused = compare(ComparisonInput {
        truth: &Rankings::of(&one, NONE).unwrap(),
        window: &Rankings::of(&one, NONE).unwrap(),
        decode_mass: &two,
        keep_rule: NONE.into(),
        evidence: &[],
        budgets: &[1],
    });
    assert!(matches!(refused, Err(AnalysisError::Mismatch { .. })));
}

#[test]
fn budgets_outside_the_prompt_are_refused() {
    let scores = importance(&[&[0.5, 0.25]]);
    for budget in [0, 3] {
        let refused = compare_at(&scores, &scores, NONE, NONE, &[1, budget]);
        assert_eq!(
            refused,
            Err(AnalysisError::BudgetOutOfRange {
                budget,
                prompt_tokens: 2
            })
        );
    }
}

#[test]
fn the_result_does_not_depend_on_the_number_of_threads() {
    let heads: Vec<Vec<f32>> = (0..64_u32)
        .map(|h| {
            (0..50_u32)
                .map(|t| ((h * 37 + t * 101) % 53) as f32)
                .collect()
        })
        .collect();
    let heads: Vec<&[f32]> = heads.iter().map(Vec::as_slice).collect();
    let oracle = importance(&heads);
    let reversed: Vec<&[f32]> = heads.iter().rev().copied().collect();
    let window = importance(&reversed);
    let with_threads = |threads| {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        let compared = pool.install(|| compare_at(&oracle, &window, NONE, NONE, &[1, 7, 50]));
        // As text, because what is undefined is not equal to itself.
        format!("{:?}", compared.unwrap())
    };
    assert_eq!(with_threads(1), with_threads(5));
}
