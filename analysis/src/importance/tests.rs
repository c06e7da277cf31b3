//! Rows, groups and refusals by hand.

use super::*;
use crate::pooling::Pooling;
use crate::scoring::{GroupOrder, KeySet, RowReduction};

fn rows(weights: &[f32], rows: usize) -> AttentionRows<'_> {
    AttentionRows {
        weights,
        rows,
        prompt_tokens: weights.len() / rows,
    }
}

fn head(scores: &[f32], prompt_share: f32) -> ReducedHead {
    ReducedHead {
        scores: scores.to_vec(),
        prompt_share,
    }
}

fn of(
    heads: Vec<ReducedHead>,
    kv_heads: usize,
    scoring: Scoring,
) -> Result<Importance, AnalysisError> {
    Importance::from_reduced(
        vec![heads],
        kv_heads,
        scoring,
        ForcedKeep::default(),
        vec![0],
    )
}

#[test]
fn rows_reduce_over_the_keys_that_each_row_saw() {
    let weights = [0.5, 0.25, 0.25, 0.125, 0.125, 0.0];
    let reduced = |reduce| reduce_rows(rows(&weights, 2), KeySet::Causal, reduce).unwrap();
    assert_eq!(
        reduced(RowReduction::Mean),
        head(&[0.3125, 0.1875, 0.125], 0.625)
    );
    assert_eq!(
        reduced(RowReduction::Sum),
        head(&[0.625, 0.375, 0.25], 0.625)
    );
    assert_eq!(reduced(RowReduction::Max), head(&[0.5, 0.25, 0.25], 0.625));
}

#[test]
fn prompt_keys_rescale_each_row_and_leave_the_share() {
    let weights = [0.25, 0.25, 0.125, 0.0, 0.0, 0.0];
    let reduced = reduce_rows(rows(&weights, 3), KeySet::Prompt, RowReduction::Mean).unwrap();
    // The rows become (1/2, 1/2), (1, 0) and, without any weight on the prompt, (0, 0).
    assert_eq!(reduced, head(&[0.5, 1.0 / 6.0], 0.625 / 3.0));
}

#[test]
fn the_largest_row_may_be_negative_outside_attention() {
    let reduced = reduce_rows(rows(&[-3.0, -2.0], 2), KeySet::Causal, RowReduction::Max).unwrap();
    assert_eq!(reduced.scores, [-2.0]);
}

#[test]
fn rows_of_another_length_are_refused() {
    let block = AttentionRows {
        weights: &[0.0; 7],
        rows: 2,
        prompt_tokens: 4,
    };
    let refused = reduce_rows(block, KeySet::Causal, RowReduction::Mean).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "a block of attention rows holds 7 values, its dimensions [rows 2, tokens 4] need 8"
    );
    for (rows, prompt_tokens) in [(0, 4), (4, 0)] {
        let block = AttentionRows {
            weights: &[],
            rows,
            prompt_tokens,
        };
        let refused = reduce_rows(block, KeySet::Causal, RowReduction::Mean);
        assert!(matches!(refused, Err(AnalysisError::Empty { .. })));
    }
}

#[test]
fn nan_is_refused_with_its_layer_head_and_token() {
    for reduce in [RowReduction::Mean, RowReduction::Sum, RowReduction::Max] {
        let weights = [0.1, 0.2, f32::NAN, 0.1, 0.9, 0.3];
        let spoiled = reduce_rows(rows(&weights, 2), KeySet::Causal, reduce).unwrap();
        let sound = head(&[0.1; 3], 1.0);
        let layers = vec![vec![sound.clone(), sound.clone()], vec![sound, spoiled]];
        for pool in [Pooling::None, Pooling::Max { kernel: 3 }] {
            let scoring = Scoring {
                pool,
                ..Scoring::default()
            };
            let boundary = ForcedKeep::default();
            let refused =
                Importance::from_reduced(layers.clone(), 1, scoring, boundary, vec![0; 2])
                    .unwrap_err();
            assert_eq!(
                refused.to_string(),
                "the score of layer 1, head 1, token 2 is NaN, not a finite number"
            );
        }
    }
    let scores = vec![0.0, 1.0, f32::INFINITY, 0.0];
    let (kind, shares, seen) = (HeadKind::Layer, vec![1.0; 2], vec![0; 2]);
    let refused = Importance::new(2, 1, kind, 2, scores, shares, seen).unwrap_err();
    assert!(matches!(
        refused,
        AnalysisError::NotFinite {
            layer: 1,
            head: 0,
            token: 0,
            ..
        }
    ));
}

#[test]
fn groups_are_neighbouring_query_heads() {
    let heads = || {
        let scores = [[1.0, 0.0], [0.0, 0.5], [0.25, 0.25], [0.75, 0.0]];
        scores
            .iter()
            .zip([0.5, 1.0, 0.25, 0.75])
            .map(|(s, share)| head(s, share))
            .collect::<Vec<_>>()
    };
    let scoring = |group| Scoring {
        group,
        ..Scoring::default()
    };

    let apart = of(heads(), 2, scoring(GroupReduction::None)).unwrap();
    assert_eq!((apart.heads(), apart.head_kind()), (4, HeadKind::Query));
    assert_eq!(apart.head(0, 3), [0.75, 0.0]);

    let mean = of(heads(), 2, scoring(GroupReduction::Mean)).unwrap();
    assert_eq!((mean.heads(), mean.head_kind()), (2, HeadKind::Kv));
    assert_eq!(mean.head(0, 0), [0.5, 0.25]);
    assert_eq!(mean.head(0, 1), [0.5, 0.125]);
    assert_eq!(
        (mean.prompt_share(0, 0), mean.prompt_share(0, 1)),
        (0.75, 0.5)
    );

    let max = of(heads(), 2, scoring(GroupReduction::Max)).unwrap();
    assert_eq!(max.head(0, 0), [1.0, 0.5]);
    assert_eq!(max.head(0, 1), [0.75, 0.25]);
}

#[test]
fn pooling_stops_before_the_recent_tokens() {
    let scoring = Scoring {
        pool: Pooling::Max { kernel: 3 },
        ..Scoring::default()
    };
    let heads = vec![vec![head(&[0.1, 0.2, 0.3, 0.9, 0.8], 1.0)]];
    let boundary = ForcedKeep {
        sinks: 1,
        recent: 2,
    };
    let importance = Importance::from_reduced(heads, 1, scoring, boundary, vec![0]).unwrap();
    assert_eq!(importance.head(0, 0), [0.2, 0.3, 0.3, 0.9, 0.9]);
}

#[test]
fn the_order_of_pooling_and_grouping_is_the_scorings() {
    let heads = || vec![head(&[4.0, 0.0, 0.0], 1.0), head(&[0.0, 0.0, 4.0], 1.0)];
    let scoring = |group_order| Scoring {
        pool: Pooling::Max { kernel: 3 },
        group: GroupReduction::Mean,
        group_order,
        ..Scoring::default()
    };
    let pool_first = of(heads(), 1, scoring(GroupOrder::PoolFirst)).unwrap();
    assert_eq!(pool_first.head(0, 0), [2.0, 4.0, 2.0]);
    let group_first = of(heads(), 1, scoring(GroupOrder::GroupFirst)).unwrap();
    assert_eq!(group_first.head(0, 0), [2.0, 2.0, 2.0]);
}

#[test]
fn uneven_heads_are_refused() {
    let short = vec![head(&[0.1, 0.2], 1.0), head(&[0.1], 1.0)];
    let refused = of(short, 1, Scoring::default()).unwrap_err();
    let expected = AnalysisError::HeadLength {
        layer: 0,
        head: 1,
        expected: 2,
        found: 1,
    };
    assert_eq!(refused, expected);

    let layers = vec![vec![head(&[0.1], 1.0); 2], vec![head(&[0.1], 1.0); 3]];
    let (scoring, boundary) = (Scoring::default(), ForcedKeep::default());
    let refused = Importance::from_reduced(layers, 2, scoring, boundary, vec![0; 2]).unwrap_err();
    assert_eq!(
        refused,
        AnalysisError::HeadCount {
            layer: 1,
            expected: 2,
            found: 3
        }
    );

    for kv_heads in [0, 2, 4] {
        let refused = of(vec![head(&[0.1], 1.0); 3], kv_heads, Scoring::default()).unwrap_err();
        assert_eq!(
            refused,
            AnalysisError::Grouping {
                query_heads: 3,
                kv_heads
            }
        );
    }
    assert!(matches!(
        of(vec![], 1, Scoring::default()),
        Err(AnalysisError::Empty { .. })
    ));
}

#[test]
fn flat_scores_must_fill_their_dimensions() {
    let new = |scores, shares| {
        Importance::new(
            2,
            3,
            HeadKind::Query,
            4,
            vec![0.0; scores],
            vec![1.0; shares],
            vec![0; 2],
        )
    };
    assert!(new(24, 6).is_ok());
    assert!(matches!(
        new(23, 6),
        Err(AnalysisError::Length {
            expected: 24,
            found: 23,
            ..
        })
    ));
    assert!(matches!(
        new(24, 5),
        Err(AnalysisError::Length {
            expected: 6,
            found: 5,
            ..
        })
    ));
    let no_tokens = Importance::new(1, 1, HeadKind::Query, 0, vec![], vec![1.0], vec![0]);
    assert_eq!(
        no_tokens,
        Err(AnalysisError::Empty {
            what: "prompt tokens"
        })
    );
}

#[test]
fn the_mean_over_heads_is_over_those_that_are_named() {
    let scores = vec![1.0, 2.0, 3.0, 6.0, 5.0, 4.0];
    let (kind, shares) = (HeadKind::Query, vec![1.0, 0.5, 0.0]);
    let importance = Importance::new(1, 3, kind, 2, scores, shares, vec![1]).unwrap();
    let mean = importance.mean_over_heads(&[(0, 0), (0, 1)]).unwrap();
    assert_eq!(mean.head(0, 0), [2.0, 4.0]);
    assert_eq!(mean.prompt_share(0, 0), 0.75);
    assert_eq!(
        (mean.head_kind(), mean.first_visible(0)),
        (HeadKind::Layer, 1)
    );
    assert!(importance.mean_over_heads(&[]).is_err());
}

fn max_pooled(group: GroupReduction) -> Scoring {
    Scoring {
        pool: Pooling::Max { kernel: 3 },
        group,
        ..Scoring::default()
    }
}

#[test]
fn unpooled_scores_are_reduced_over_the_group_alike_and_decide_between_equals() {
    let heads = || vec![head(&[1.0, 4.0, 0.0], 1.0), head(&[3.0, 0.0, 2.0], 1.0)];
    let grouped = of(heads(), 1, max_pooled(GroupReduction::Mean)).unwrap();
    let scores = grouped.head_scores(0, 0, ForcedKeep::default());
    assert_eq!(scores.scores(), [3.5, 3.5, 3.0]);
    assert_eq!(scores.tie_break(), [2.0, 2.0, 1.0]);
    let apart = of(heads(), 1, max_pooled(GroupReduction::None)).unwrap();
    let mean = apart.mean_over_heads(&[(0, 0), (0, 1)]).unwrap();
    let of_mean = mean.head_scores(0, 0, ForcedKeep::default());
    assert_eq!(of_mean.scores(), scores.scores());
    assert_eq!(of_mean.tie_break(), scores.tie_break());
    let raw = of(heads(), 1, Scoring::default()).unwrap();
    let raw = raw.head_scores(0, 1, ForcedKeep::default());
    assert_eq!(raw.tie_break(), raw.scores());
}

#[test]
fn what_is_ranked_is_neither_exempt_nor_out_of_sight() {
    let importance = |first| {
        let (kind, scores) = (HeadKind::Query, vec![0.5; 8]);
        Importance::new(1, 1, kind, 8, scores, vec![1.0], vec![first]).unwrap()
    };
    let exempt = ForcedKeep {
        sinks: 2,
        recent: 1,
    };
    for (first, rankable) in [(0, 2..7), (2, 2..7), (5, 5..7), (7, 7..7), (99, 7..7)] {
        let seen = importance(first);
        assert_eq!(seen.head_scores(0, 0, exempt).rankable(), rankable);
    }
    let (kind, scores) = (HeadKind::Query, vec![0.5; 8]);
    let refused = Importance::new(1, 1, kind, 8, scores, vec![1.0], vec![]).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "the first visible tokens of an importance holds 0 values, its dimensions [layers 1] need 1"
    );
    let heads = vec![vec![head(&[0.5], 1.0)]];
    let (scoring, boundary) = (Scoring::default(), ForcedKeep::default());
    assert!(Importance::from_reduced(heads, 1, scoring, boundary, vec![0; 2]).is_err());
}

#[test]
fn query_heads_read_the_scores_of_their_group() {
    let heads: Vec<ReducedHead> = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6]
        .map(|score| head(&[score, 0.0], score))
        .to_vec();
    let grouped = of(heads.clone(), 2, max_pooled(GroupReduction::Max)).unwrap();
    let viewed = grouped.for_query_heads(6).unwrap();
    assert_eq!((viewed.heads(), viewed.head_kind()), (6, HeadKind::Query));
    for query_head in 0..6 {
        let kv_head = query_head / 3;
        assert!(std::ptr::eq(
            viewed.head(0, query_head),
            grouped.head(0, kv_head)
        ));
        let share = grouped.prompt_share(0, kv_head);
        assert_eq!(viewed.prompt_share(0, query_head), share);
    }
    let layer = of(heads.clone(), 2, max_pooled(GroupReduction::Layer)).unwrap();
    let layer = layer.for_query_heads(6).unwrap();
    assert_eq!(layer.head(0, 5), layer.head(0, 0));
    let apart = of(heads, 2, Scoring::default()).unwrap();
    assert_eq!(apart.for_query_heads(6).unwrap(), apart);
    for wrong in [0, 1, 5] {
        assert!(grouped.for_query_heads(wrong).is_err(), "{wrong}");
    }
}
