//! What is read of a sample's file, and when it is hashed.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::common::{demo_model, demo_samples, plan, run_capture, values};
use kvlens_sessions::{CapturePlan, Keep, OutputPlace, Session, StartMode};

/// A session of one sample, and the sample's file.
fn captured(folder: &Path, windows: &[&str]) -> (PathBuf, PathBuf) {
    let (model, samples) = (demo_model(), demo_samples("demo:length=512,samples=1"));
    let out = folder.join("a.kvlens");
    run_capture(
        &plan(windows, 8),
        &model,
        &samples,
        &out,
        StartMode::New,
        None,
    )
    .unwrap();
    let file = out.join("sample-00000.safetensors");
    (out, file)
}

/// Changes a byte in the middle, which is one of a tensor.
fn flip_a_byte(file: &Path) {
    let mut bytes = std::fs::read(file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x40;
    std::fs::write(file, bytes).unwrap();
}

fn set_modified(file: &Path, time: SystemTime) {
    let file = std::fs::File::options().append(true).open(file).unwrap();
    file.set_modified(time).unwrap();
}

#[test]
fn a_record_is_read_without_the_tensors() {
    let folder = tempfile::tempdir().unwrap();
    let (out, file) = captured(folder.path(), &["last:8", "knorm"]);
    let session = Session::open(&out).unwrap();
    let sample = session.load_sample(0).unwrap();
    let header = session.load_record(0).unwrap();
    assert_eq!(header.record, sample.record);
    let labels = header.observations.iter().map(|info| info.label.as_str());
    assert_eq!(labels.collect::<Vec<_>>(), ["decode", "last:8", "knorm"]);
    let whole = std::fs::read(&file).unwrap();
    let (length, _) = safetensors::SafeTensors::read_metadata(&whole).unwrap();
    assert_eq!(header.tensor_bytes, whole.len() - 8 - length);

    flip_a_byte(&file);
    assert_eq!(session.load_record(0).unwrap(), header);
    let refused = Session::open(&out).unwrap().load_sample(0).unwrap_err();
    assert!(refused.to_string().contains("SHA-256 differs"), "{refused}");

    std::fs::write(&file, &whole[..8 + length]).unwrap();
    assert_eq!(session.load_record(0).unwrap(), header);
    let refused = session.load_sample(0).unwrap_err().to_string();
    assert!(refused.contains("truncated"), "{refused}");

    std::fs::write(&file, &whole[..8 + length - 1]).unwrap();
    let refused = session.load_record(0).unwrap_err().to_string();
    assert!(refused.contains("damaged (it ends after"), "{refused}");
    let mut endless = whole.clone();
    endless[..8].copy_from_slice(&u64::MAX.to_le_bytes());
    std::fs::write(&file, &endless).unwrap();
    let refused = session.load_record(0).unwrap_err().to_string();
    assert!(refused.contains("more than the"), "{refused}");
}

/// A file that is changed without a trace shows what was not hashed: only then is it taken.
#[test]
fn an_open_session_hashes_a_file_once_until_it_changes() {
    let folder = tempfile::tempdir().unwrap();
    let (out, file) = captured(folder.path(), &["last:8"]);
    let long_ago = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
    set_modified(&file, long_ago);
    let session = Session::open(&out).unwrap();
    session.load_sample(0).unwrap();

    flip_a_byte(&file);
    set_modified(&file, long_ago);
    session.load_sample(0).unwrap();
    session.clone().load_head_group(0, 0, 0).unwrap();
    let refused = Session::open(&out).unwrap().load_sample(0).unwrap_err();
    assert!(refused.to_string().contains("SHA-256 differs"), "{refused}");

    set_modified(&file, long_ago + Duration::from_secs(1));
    for refused in [
        session.load_sample(0).unwrap_err(),
        session.load_head_group(0, 0, 0).unwrap_err(),
    ] {
        assert!(refused.to_string().contains("SHA-256 differs"), "{refused}");
    }
    flip_a_byte(&file);
    session.load_sample(0).unwrap();
}

#[test]
fn a_head_group_has_the_numbers_of_the_whole_sample() {
    let folder = tempfile::tempdir().unwrap();
    let (out, _) = captured(folder.path(), &["last:8", "h2o", "knorm", "random"]);
    let session = Session::open(&out).unwrap();
    let whole = session.load_sample(0).unwrap();
    let (layers, kv_heads, ..) = whole.keys().shape();
    let group = whole.keys().group_size().unwrap();
    for (layer, kv_head) in
        (0..layers).flat_map(|layer| (0..kv_heads).map(move |head| (layer, head)))
    {
        let part = session.load_head_group(0, layer, kv_head).unwrap();
        assert_eq!(part.record, whole.record);
        assert_eq!(part.keys().group_size().unwrap(), group);
        let keys = whole.keys().layer(layer).unwrap().get(kv_head).unwrap();
        let found = part.keys().layer(0).unwrap().get(0).unwrap();
        assert_eq!(values(&found), values(&keys));
        let pairs = std::iter::once((part.oracle(), whole.oracle()));
        for (found, expected) in pairs.chain(part.windows().iter().zip(whole.windows())) {
            assert_eq!(found.label(), expected.label());
            match (found.query_rows(), expected.query_rows()) {
                (Some(found), Some(expected)) => assert_eq!(
                    part.keys().attention_rows(found, 0, 0).unwrap(),
                    whole
                        .keys()
                        .attention_rows(expected, layer, kv_head)
                        .unwrap()
                ),
                _ => scores_agree(&part, found, &whole, expected, layer, kv_head * group),
            }
        }
    }
    let refused = session.load_head_group(0, layers, 0).unwrap_err();
    assert!(refused.to_string().contains("4 layers of 2"), "{refused}");
    assert!(session.load_head_group(0, 0, kv_heads).is_err());
}

fn scores_agree(
    part: &kvlens_sessions::CapturedSample,
    found: &kvlens_sessions::Observation,
    whole: &kvlens_sessions::CapturedSample,
    expected: &kvlens_sessions::Observation,
    layer: usize,
    first_head: usize,
) {
    let found = part
        .keys()
        .importance(found, found.published_side())
        .unwrap();
    let expected = whole
        .keys()
        .importance(expected, expected.published_side())
        .unwrap();
    for head in 0..found.heads() {
        let bits = |scores: &[f32]| {
            scores
                .iter()
                .map(|score| score.to_bits())
                .collect::<Vec<_>>()
        };
        assert_eq!(
            bits(found.head(0, head)),
            bits(expected.head(layer, first_head + head))
        );
    }
}

#[test]
fn a_sample_says_what_it_holds() {
    let folder = tempfile::tempdir().unwrap();
    let (out, _) = captured(folder.path(), &["last:8"]);
    let session = Session::open(&out).unwrap();
    let (sample, header) = (
        session.load_sample(0).unwrap(),
        session.load_record(0).unwrap(),
    );
    // texts and ids besides; the table of positions is no tensor any more
    assert!(sample.bytes().abs_diff(header.tensor_bytes) < 100 * 1024);
    let group = session.load_head_group(0, 1, 1).unwrap();
    assert!(group.bytes() < sample.bytes() / 4);
}

#[cfg(unix)]
#[test]
fn what_is_no_file_is_refused_and_not_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let (out, file) = captured(folder.path(), &["last:8"]);
    std::fs::remove_file(&file).unwrap();
    let made = std::process::Command::new("mkfifo").arg(&file).status();
    assert!(made.unwrap().success());
    let session = Session::open(&out).unwrap();
    for refused in [
        session.load_record(0).unwrap_err(),
        session.load_sample(0).unwrap_err(),
    ] {
        assert!(refused.to_string().contains("no regular file"), "{refused}");
    }
}

/// A session whose plan says nothing of values has none; with them a head's part is as in the whole sample.
#[test]
fn values_are_kept_where_the_plan_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let (out, _) = captured(folder.path(), &["last:8"]);
    let without = Session::open(&out).unwrap().load_sample(0).unwrap();
    assert!(without.values().is_none());
    let plan = CapturePlan {
        keep: Some(Keep::KeysAndValues),
        ..plan(&["last:8"], 8)
    };
    let (model, samples) = (demo_model(), demo_samples("demo:length=512,samples=1"));
    let out = folder.path().join("values.kvlens");
    run_capture(&plan, &model, &samples, &out, StartMode::New, None).unwrap();
    let session = Session::open(&out).unwrap();
    let whole = session.load_sample(0).unwrap();
    let kept = whole.values().unwrap();
    let (layers, kv_heads, tokens, head_dim) = whole.keys().shape();
    assert_eq!(kept.prompt().len(), layers);
    assert_eq!(kept.prompt()[0].dims(), [kv_heads, tokens, head_dim]);
    assert_eq!(
        kept.decode_keys().layers()[0].dims(),
        [kv_heads, 8, head_dim]
    );
    assert_eq!(kept.decode_values()[0].dims(), [kv_heads, 8, head_dim]);
    assert!(whole.bytes() - without.bytes() == kept.bytes());
    let part = session.load_head_group(0, 2, 1).unwrap();
    let rows = |sample: &kvlens_sessions::CapturedSample, layer, head| {
        let rows = sample.oracle().query_rows().unwrap();
        let reads = sample.values().unwrap();
        let at = [OutputPlace::Head, OutputPlace::Projected];
        let reads = at.map(|at| reads.reads(sample.keys(), rows, layer, head, at).unwrap());
        reads.concat()
    };
    assert_eq!(
        values(&part.values().unwrap().output_norms()[0]),
        values(&kept.output_norms()[2].narrow(0, 2, 2).unwrap())
    );
    for (part, whole) in rows(&part, 0, 0).iter().zip(&rows(&whole, 2, 1)) {
        let errors = |reads: &kvlens_analysis::HeadReads| {
            reads.errors_along((0..tokens).step_by(3), [0, 10, 100].into_iter())
        };
        assert_eq!(errors(part), errors(whole));
    }
    let text = plan.keep().to_string();
    assert_eq!(text.parse::<Keep>().unwrap(), Keep::KeysAndValues);
    assert!(
        "values"
            .parse::<Keep>()
            .unwrap_err()
            .to_string()
            .contains("keys,values")
    );
}
