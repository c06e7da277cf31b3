//! Sessions made smaller.

use kvlens_sessions::{
    CancelFlag, CapturePlan, HalfFormat, Keep, Session, SessionError, Shrink, StartMode, shrink,
};

use crate::common::{demo_model, demo_samples, key_values, plan, run_capture, values};

fn larger(folder: &std::path::Path) -> Session {
    let plan = CapturePlan {
        keep: Some(Keep::KeysAndValues),
        ..plan(&["last:8", "knorm"], 8)
    };
    let (model, samples) = (demo_model(), demo_samples("demo:length=512,samples=2"));
    let out = folder.join("larger.kvlens");
    run_capture(&plan, &model, &samples, &out, StartMode::New, None).unwrap();
    Session::open(&out).unwrap()
}

#[test]
fn without_values_everything_else_is_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let larger = larger(folder.path());
    let out = folder.path().join("smaller.kvlens");
    let keys = Shrink {
        keep: Keep::Keys,
        numbers: None,
    };
    let told = shrink(&larger, &out, keys, &mut |_, _| {}, &CancelFlag::default()).unwrap();
    assert_eq!((told.samples, told.largest_change), (2, 0.0));
    assert!(told.bytes[1] * 10 < told.bytes[0] * 7, "{told:?}");
    let smaller = Session::open(&out).unwrap();
    assert_eq!(smaller.manifest().plan.keep(), Keep::Keys);
    for index in 0..2 {
        let [before, after] =
            [&larger, &smaller].map(|session| session.load_sample(index).unwrap());
        assert!(before.values().is_some() && after.values().is_none());
        assert_eq!(before.record, after.record);
        assert_eq!(key_values(before.keys()), key_values(after.keys()));
        let side = before.windows()[1].published_side();
        let scores = |sample: &kvlens_sessions::CapturedSample| {
            sample
                .keys()
                .importance(&sample.windows()[1], side)
                .unwrap()
        };
        // as text: what is undefined is not equal to itself
        let [before, after] = [scores(&before), scores(&after)].map(|found| format!("{found:?}"));
        assert!(before == after, "other scores");
    }
    let again = shrink(&larger, &out, keys, &mut |_, _| {}, &CancelFlag::default());
    assert!(again.unwrap_err().to_string().contains("already there"));
    let more = Shrink {
        keep: Keep::KeysAndValues,
        numbers: None,
    };
    let other = folder.path().join("other.kvlens");
    let refused = shrink(
        &smaller,
        &other,
        more,
        &mut |_, _| {},
        &CancelFlag::default(),
    );
    assert!(refused.unwrap_err().to_string().contains("keeps no values"));
    assert!(!other.exists());
}

/// A half has 11 bits, so a product of two of them is off by 2^-11 of itself: scores of at most 1 move by no more than the
/// logits, which are below 40 here.
#[test]
fn halves_are_rounded_and_the_largest_change_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let larger = larger(folder.path());
    let mut sizes = Vec::new();
    for (format, name, bits) in [(HalfFormat::F16, "f16", 11), (HalfFormat::Bf16, "bf16", 8)] {
        let out = folder.path().join(format!("{name}.kvlens"));
        let half = Shrink {
            keep: Keep::KeysAndValues,
            numbers: Some(format),
        };
        let told = shrink(&larger, &out, half, &mut |_, _| {}, &CancelFlag::default()).unwrap();
        let bound = 40.0 * 2.0_f32.powi(-bits);
        assert!(
            told.largest_change > 0.0 && told.largest_change < bound,
            "{told:?}"
        );
        sizes.push(told.bytes[1] as f64 / told.bytes[0] as f64);
        let smaller = Session::open(&out).unwrap().load_sample(0).unwrap();
        let dtype = smaller.keys().layer(0).unwrap().dtype();
        assert_eq!(dtype.as_str(), name);
        let exact = values(larger.load_sample(0).unwrap().keys().layer(0).unwrap());
        let rounded = smaller.keys().layer(0).unwrap();
        let rounded = values(&rounded.to_dtype(candle_core::DType::F32).unwrap());
        let near = |(exact, rounded): (&f32, &f32)| {
            (exact - rounded).abs() <= exact.abs() * 2.0_f32.powi(-bits) + 1e-7
        };
        assert!(exact.iter().zip(&rounded).all(near));
    }
    assert!(sizes.iter().all(|share| *share < 0.65), "{sizes:?}");
    let cancelled = CancelFlag::default();
    cancelled.cancel();
    let out = folder.path().join("stopped.kvlens");
    let keys = Shrink {
        keep: Keep::Keys,
        numbers: None,
    };
    let stopped = shrink(&larger, &out, keys, &mut |_, _| {}, &cancelled);
    assert!(matches!(stopped, Err(SessionError::Cancelled)));
    assert!(Session::open(&out).is_err());
}

/// What is rounded when it is captured is what a shrunk session holds, and the same is told of it.
#[test]
fn a_capture_in_halves_is_a_whole_one_that_was_shrunk() {
    let folder = tempfile::tempdir().unwrap();
    let larger = larger(folder.path());
    let shrunk = folder.path().join("shrunk.kvlens");
    let half = Shrink {
        keep: Keep::KeysAndValues,
        numbers: Some(HalfFormat::F16),
    };
    let told = shrink(
        &larger,
        &shrunk,
        half,
        &mut |_, _| {},
        &CancelFlag::default(),
    )
    .unwrap();
    let plan = CapturePlan {
        keep: Some(Keep::KeysAndValues),
        numbers: Some(HalfFormat::F16),
        ..plan(&["last:8", "knorm"], 8)
    };
    let (model, samples) = (demo_model(), demo_samples("demo:length=512,samples=2"));
    let out = folder.path().join("captured.kvlens");
    let captured = run_capture(&plan, &model, &samples, &out, StartMode::New, None).unwrap();
    assert_eq!(captured.largest_rounding, Some(told.largest_change));
    let [shrunk, captured] = [&shrunk, &out].map(|path| Session::open(path).unwrap());
    assert_eq!(captured.manifest().plan.numbers, Some(HalfFormat::F16));
    for index in 0..2 {
        let [one, other] = [&shrunk, &captured].map(|session| session.load_sample(index).unwrap());
        assert!(one.record.largest_rounding > Some(0.0));
        assert_eq!(one.record.largest_rounding, other.record.largest_rounding);
        let tensors = |sample: &kvlens_sessions::CapturedSample| {
            let queries = sample.oracle().query_rows().unwrap().queries();
            let tensors = [sample.keys().layer(0).unwrap(), queries];
            tensors.map(|tensor| {
                assert_eq!(tensor.dtype(), candle_core::DType::F16);
                values(&tensor.to_dtype(candle_core::DType::F32).unwrap())
            })
        };
        assert!(tensors(&one) == tensors(&other));
    }
}

/// Of a session without keys the queries are what is rounded; of one with scores alone nothing is.
#[test]
fn queries_without_keys_are_rounded_and_scores_are_not() {
    let folder = tempfile::tempdir().unwrap();
    let larger = larger(folder.path());
    let small = |name: &str, keep: Keep| {
        let out = folder.path().join(name);
        let half = Shrink {
            keep,
            numbers: Some(HalfFormat::Bf16),
        };
        let told = shrink(&larger, &out, half, &mut |_, _| {}, &CancelFlag::default());
        told.map(|_| Session::open(&out).unwrap().load_sample(0).unwrap())
    };
    let queries = small("queries.kvlens", Keep::ScoresAndQueries).unwrap();
    let rows = queries.oracle().query_rows().unwrap();
    assert_eq!(rows.queries().dtype(), candle_core::DType::BF16);
    let refused = small("scores.kvlens", Keep::Scores).unwrap_err();
    assert!(refused.to_string().contains("in single precision"));
    assert!(!folder.path().join("scores.kvlens").exists());
}
