//! Sessions without keys: what their scores still say, and what is refused with a sentence.

use kvlens_analysis::{ForcedKeep, Pooling, RowReduction, Scoring, SideScoring};
use kvlens_sessions::{
    CancelFlag, CapturePlan, CapturedSample, Keep, Observation, Session, Shrink, StartMode, shrink,
};

use crate::common::{demo_model, demo_samples, plan, run_capture, values};

const WINDOWS: [&str; 3] = ["last:8", "tova", "knorm"];

fn captured(folder: &std::path::Path, keep: Keep) -> Session {
    let plan = CapturePlan {
        keep: Some(keep),
        ..plan(&WINDOWS, 8)
    };
    let (model, samples) = (demo_model(), demo_samples("demo:length=512,samples=1"));
    let out = folder.join(format!("{}.kvlens", keep.to_string().replace(',', "-")));
    run_capture(&plan, &model, &samples, &out, StartMode::New, None).unwrap();
    Session::open(&out).unwrap()
}

/// Everything of an importance as text: what is undefined is not equal to itself.
fn scores(sample: &CapturedSample, observation: &Observation, side: SideScoring) -> String {
    format!("{:?}", sample.importance(observation, side).unwrap())
}

fn both(sample: &CapturedSample) -> impl Iterator<Item = &Observation> {
    std::iter::once(sample.oracle()).chain(sample.windows())
}

#[test]
fn scores_in_place_of_keys_are_to_the_bit_what_the_keys_make() {
    let folder = tempfile::tempdir().unwrap();
    let whole = captured(folder.path(), Keep::Keys);
    let small = captured(folder.path(), Keep::Scores);
    let out = folder.path().join("shrunk.kvlens");
    let less = Shrink {
        keep: Keep::Scores,
        numbers: None,
    };
    shrink(&whole, &out, less, &mut |_, _| {}, &CancelFlag::default()).unwrap();
    let shrunk = Session::open(&out).unwrap();
    assert_eq!(shrunk.manifest().plan.keep(), Keep::Scores);
    let whole = whole.load_sample(0).unwrap();
    for session in [&small, &shrunk] {
        let small = session.load_sample(0).unwrap();
        assert!(!small.keys().are_kept() && whole.keys().are_kept());
        assert!(small.bytes() < whole.bytes());
        for (kept, made) in both(&small).zip(both(&whole)) {
            assert_eq!((kept.rows(), kept.label()), (made.rows(), made.label()));
            let tokens = whole.record.prompt_ids.len();
            assert_eq!(kept.rows_in_prompt(tokens), made.rows_in_prompt(tokens));
            // under one scoring for all with any pooling, and as published
            let other = Scoring {
                pool: Pooling::Average { kernel: 5 },
                ..Scoring::default()
            };
            let sides = [Scoring::default(), other]
                .map(|scoring| SideScoring::of(scoring, ForcedKeep::default()));
            for side in sides.into_iter().chain([made.published_side()]) {
                assert_eq!(scores(&small, kept, side), scores(&whole, made, side));
            }
        }
        // the decode stage as each method would have scored it
        for window in whole.windows() {
            let side = window.published_side();
            let of = |sample: &CapturedSample| scores(sample, sample.oracle(), side);
            assert_eq!(of(&small), of(&whole));
        }
        let part = session.load_head_group(0, 1, 1).unwrap();
        let side = SideScoring::of(Scoring::default(), ForcedKeep::default());
        let found = part.importance(part.oracle(), side).unwrap();
        let expected = whole.importance(whole.oracle(), side).unwrap();
        assert_eq!(found.head(0, 0), expected.head(1, found.heads()));
    }
}

#[test]
fn what_needs_keys_or_single_rows_is_refused_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let session = captured(folder.path(), Keep::Scores);
    let small = session.load_sample(0).unwrap();
    let largest = Scoring {
        reduce: RowReduction::Max,
        ..Scoring::default()
    };
    let side = SideScoring::of(largest, ForcedKeep::default());
    let oracle = small.oracle();
    let refusals = [
        small.importance(oracle, side).unwrap_err(),
        oracle.by_rows(0..4).unwrap_err(),
        small.keys().layer(0).unwrap_err(),
        small.decode_rows().unwrap_err(),
    ];
    let words = [
        "cannot make them anew by the largest over rows with causal keys",
        "none of a part of them",
        "keeps no keys",
        "keeps no queries",
    ];
    for (refused, words) in refusals.iter().zip(words) {
        let said = refused.to_string();
        assert!(said.contains(words) && said.contains("--keep"), "{said}");
    }
    assert!(oracle.by_rows(0..oracle.rows()).is_ok());
    let out = folder.path().join("larger.kvlens");
    for more in [Keep::Keys, Keep::Queries, Keep::KeysAndValues] {
        let asked = Shrink {
            keep: more,
            numbers: None,
        };
        let refused = shrink(
            &session,
            &out,
            asked,
            &mut |_, _| {},
            &CancelFlag::default(),
        );
        assert!(refused.unwrap_err().to_string().contains("keeps"));
        assert!(!out.exists());
    }
}

#[test]
fn queries_without_keys_are_as_they_were_and_make_no_scores() {
    let folder = tempfile::tempdir().unwrap();
    let whole = captured(folder.path(), Keep::Keys).load_sample(0).unwrap();
    let side = SideScoring::of(Scoring::default(), ForcedKeep::default());
    for keep in [Keep::Queries, Keep::ScoresAndQueries] {
        let small = captured(folder.path(), keep).load_sample(0).unwrap();
        for (kept, made) in both(&small).zip(both(&whole)) {
            let [kept, made] = [kept, made].map(Observation::query_rows);
            assert_eq!(kept.is_some(), made.is_some());
            if let (Some(kept), Some(made)) = (kept, made) {
                assert_eq!(values(kept.queries()), values(made.queries()));
                assert_eq!(values(kept.log_sum_exp()), values(made.log_sum_exp()));
            }
        }
        let scored = small.importance(small.oracle(), side);
        match keep {
            Keep::Queries => {
                let said = scored.unwrap_err().to_string();
                assert!(said.contains("keeps queries alone"), "{said}");
            }
            _ => assert_eq!(
                format!("{:?}", scored.unwrap()),
                scores(&whole, whole.oracle(), side)
            ),
        }
    }
}

#[test]
fn what_is_kept_is_written_in_any_order() {
    for (text, keep) in [
        ("scores", Keep::Scores),
        ("queries,scores", Keep::ScoresAndQueries),
        ("queries", Keep::Queries),
        ("scores,keys", Keep::Keys),
        ("values, keys", Keep::KeysAndValues),
    ] {
        assert_eq!(text.parse::<Keep>().unwrap(), keep, "{text}");
        assert_eq!(keep.to_string().parse::<Keep>().unwrap(), keep);
    }
    for text in ["", "values", "scores,values", "kys", "keys,keys"] {
        assert!(text.parse::<Keep>().is_err(), "{text}");
    }
}
