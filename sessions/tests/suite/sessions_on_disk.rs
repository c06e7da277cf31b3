//! Captures written, reopened, resumed and damaged.

use std::path::Path;

use crate::common::{demo_model, demo_samples, plan, run_capture};
use kvlens_analysis::{ForcedKeep, Importance, SideScoring};
use kvlens_datasets::LoadReport;
use kvlens_sessions::CapturePlan;
use kvlens_sessions::model::{DeviceChoice, DtypeChoice, Model, ModelSource};
use kvlens_sessions::windows::registered;
use kvlens_sessions::{CaptureEvent, Session, SessionError, StartMode};

const SAMPLES: &str = "demo:length=512";

fn importance(session: &Session, index: usize) -> Vec<f32> {
    let sample = session.load_sample(index).unwrap();
    let observations = std::iter::once(sample.oracle()).chain(sample.windows());
    observations
        .flat_map(|observation| {
            let scored = sample
                .keys()
                .importance(
                    observation,
                    SideScoring::of(observation.scoring(), ForcedKeep::default()),
                )
                .unwrap();
            scores(&scored)
        })
        .collect()
}

fn scores(importance: &Importance) -> Vec<f32> {
    let heads = (0..importance.layers())
        .flat_map(|layer| (0..importance.heads()).map(move |head| (layer, head)));
    heads
        .flat_map(|(layer, head)| importance.head(layer, head).to_vec())
        .collect()
}

fn open_error(path: &Path) -> String {
    Session::open(path).unwrap_err().to_string()
}

#[test]
fn the_demo_prompts_are_answered_and_come_back_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let (model, samples) = (demo_model(), demo_samples("demo"));
    let out = folder.path().join("a.kvlens");
    let plan = plan(&["last:32", "last:8"], 48);
    let summary = run_capture(&plan, &model, &samples, &out, StartMode::New, None).unwrap();
    assert_eq!(summary.finished, samples.len());
    let session = Session::open(&out).unwrap();
    assert_eq!(session.name(), "a");
    assert_eq!(session.manifest().plan, plan);
    for (index, sample) in samples.iter().enumerate() {
        let captured = session.load_sample(index).unwrap();
        assert_eq!(captured.record.prompt, sample.prompt);
        assert_eq!(
            captured.record.score,
            Some(1.0),
            "{}: {}",
            sample.id,
            captured.record.generated
        );
        assert_eq!(captured.record.token_texts[0], "<|bos|>");
        assert_eq!(captured.record.token_texts[1..].concat(), sample.prompt);
        assert!(!captured.record.evidence_tokens.is_empty());
        let texts = &captured.record.generated_texts;
        assert_eq!(texts.len(), captured.record.generated_ids.len());
        // what is no text is told by its name
        let words = texts.iter().filter(|text| !text.starts_with("<|"));
        let words: Vec<&str> = words.map(String::as_str).collect();
        assert_eq!(words.concat(), captured.record.generated);
    }
    let again = Session::open(&out).unwrap();
    assert_eq!(importance(&session, 0), importance(&again, 0));
}

#[test]
fn two_captures_give_the_same_figures() {
    let folder = tempfile::tempdir().unwrap();
    let (model, samples) = (demo_model(), demo_samples("demo:length=512,samples=1"));
    let paths = ["a.kvlens", "b.kvlens"].map(|name| folder.path().join(name));
    for path in &paths {
        run_capture(
            &plan(&["last:32"], 24),
            &model,
            &samples,
            path,
            StartMode::New,
            None,
        )
        .unwrap();
    }
    let [a, b] = paths.map(|path| importance(&Session::open(&path).unwrap(), 0));
    assert_eq!(a, b);
}

#[test]
fn a_cancelled_capture_resumes_to_what_an_unbroken_one_gives() {
    let folder = tempfile::tempdir().unwrap();
    let (model, samples) = (demo_model(), demo_samples(SAMPLES));
    let plan = plan(&["last:8"], 16);
    let [broken, whole] = ["broken.kvlens", "whole.kvlens"].map(|name| folder.path().join(name));
    let cancelled = run_capture(&plan, &model, &samples, &broken, StartMode::New, Some(1));
    assert!(matches!(cancelled, Err(SessionError::Cancelled)));
    assert_eq!(Session::open(&broken).unwrap().sample_count(), 1);
    let resumed = run_capture(&plan, &model, &samples, &broken, StartMode::Resume, None).unwrap();
    assert_eq!(
        (resumed.already_finished, resumed.finished),
        (1, samples.len() - 1)
    );
    run_capture(&plan, &model, &samples, &whole, StartMode::New, None).unwrap();
    let [broken, whole] = [broken, whole].map(|path| Session::open(&path).unwrap());
    for index in 0..samples.len() {
        assert_eq!(importance(&broken, index), importance(&whole, index));
    }
}

#[test]
fn a_session_is_never_overwritten_or_resumed_with_another_plan() {
    let folder = tempfile::tempdir().unwrap();
    let (model, samples) = (demo_model(), demo_samples("demo:length=512,samples=1"));
    let out = folder.path().join("a.kvlens");
    run_capture(
        &plan(&["last:8"], 4),
        &model,
        &samples,
        &out,
        StartMode::New,
        None,
    )
    .unwrap();
    let before = importance(&Session::open(&out).unwrap(), 0);
    let again = run_capture(
        &plan(&["last:8"], 4),
        &model,
        &samples,
        &out,
        StartMode::New,
        None,
    );
    assert!(again.unwrap_err().to_string().contains("--resume"));
    let other = run_capture(
        &plan(&["last:9"], 4),
        &model,
        &samples,
        &out,
        StartMode::Resume,
        None,
    );
    assert!(other.unwrap_err().to_string().contains("another plan"));
    assert_eq!(importance(&Session::open(&out).unwrap(), 0), before);
    std::fs::write(out.join("notes.txt"), "mine").unwrap();
    let replaced = run_capture(
        &plan(&["last:9"], 4),
        &model,
        &samples,
        &out,
        StartMode::Replace,
        None,
    );
    assert!(replaced.unwrap_err().to_string().contains("notes.txt"));
    assert_eq!(importance(&Session::open(&out).unwrap(), 0), before);
}

#[test]
fn a_session_that_does_not_say_what_was_read_of_its_data_is_resumed_and_says_it() {
    let folder = tempfile::tempdir().unwrap();
    let (model, samples) = (demo_model(), demo_samples("demo:length=512,samples=1"));
    let (silent, out) = (plan(&["last:8"], 4), folder.path().join("a.kvlens"));
    assert_eq!(silent.read, None);
    run_capture(&silent, &model, &samples, &out, StartMode::New, None).unwrap();
    let told = CapturePlan {
        read: Some(LoadReport::default()),
        ..silent
    };
    let resumed = run_capture(&told, &model, &samples, &out, StartMode::Resume, None).unwrap();
    assert_eq!((resumed.already_finished, resumed.finished), (1, 0));
    assert_eq!(Session::open(&out).unwrap().manifest().plan, told);
}

#[test]
fn a_resumed_capture_makes_good_what_was_lost_or_damaged() {
    let folder = tempfile::tempdir().unwrap();
    let (model, samples) = (demo_model(), demo_samples("demo:length=512,samples=3"));
    let (plan, out) = (plan(&["last:8"], 4), folder.path().join("a.kvlens"));
    run_capture(&plan, &model, &samples, &out, StartMode::New, None).unwrap();
    let wanted = [0, 1, 2].map(|index| importance(&Session::open(&out).unwrap(), index));
    let file = |index: usize| out.join(format!("sample-0000{index}.safetensors"));
    std::fs::remove_file(file(0)).unwrap();
    std::fs::write(file(2), "half").unwrap();
    for index in [0, 2] {
        let error = Session::open(&out).unwrap().load_sample(index).unwrap_err();
        assert!(error.to_string().contains("--resume"), "{error}");
    }
    let resumed = run_capture(&plan, &model, &samples, &out, StartMode::Resume, None).unwrap();
    assert_eq!((resumed.already_finished, resumed.finished), (1, 2));
    let found = [0, 1, 2].map(|index| importance(&Session::open(&out).unwrap(), index));
    assert_eq!(found, wanted);
}

#[test]
fn two_captures_do_not_write_one_session() {
    let folder = tempfile::tempdir().unwrap();
    let (model, samples) = (demo_model(), demo_samples("demo:length=512,samples=1"));
    let (plan, out) = (plan(&["last:8"], 4), folder.path().join("a.kvlens"));
    run_capture(&plan, &model, &samples, &out, StartMode::New, None).unwrap();
    let lock = out.join("session.lock");
    let other = std::fs::File::create(&lock).unwrap();
    other.lock().unwrap();
    let owner = r#"{"host":"node7","process":4711,"since_unix_secs":0}"#;
    std::fs::write(&lock, owner).unwrap();
    for mode in [StartMode::Resume, StartMode::Replace] {
        let refused = run_capture(&plan, &model, &samples, &out, mode, None).unwrap_err();
        let refused = refused.to_string();
        for word in ["another capture", "process 4711 on node7", "session.lock"] {
            assert!(refused.contains(word), "{word}: {refused}");
        }
    }
    drop(other);
    run_capture(&plan, &model, &samples, &out, StartMode::Resume, None).unwrap();
    assert!(!lock.exists());
}

/// What a capture leaves that is killed before its manifest is there.
#[test]
fn a_capture_that_was_killed_at_its_very_beginning_resumes() {
    let folder = tempfile::tempdir().unwrap();
    let (model, samples) = (demo_model(), demo_samples("demo:length=512,samples=1"));
    let (plan, out) = (plan(&["last:8"], 4), folder.path().join("a.kvlens"));
    std::fs::create_dir(&out).unwrap();
    std::fs::write(out.join("manifest.json.partial"), "{").unwrap();
    std::fs::write(out.join("session.lock"), "").unwrap();
    let resumed = run_capture(&plan, &model, &samples, &out, StartMode::Resume, None);
    assert_eq!(resumed.unwrap().finished, 1);
    assert_eq!(std::fs::read_dir(&out).unwrap().count(), 2);
}

/// The folder of a running capture, as a kill at that moment leaves it.
#[test]
fn what_a_killed_capture_wrote_down_last_counts() {
    let folder = tempfile::tempdir().unwrap();
    let (model, samples) = (demo_model(), demo_samples("demo:length=512,samples=3"));
    let (plan, out) = (plan(&["last:8"], 4), folder.path().join("a.kvlens"));
    let killed = folder.path().join("killed.kvlens");
    let mut finished = 0;
    let mut on_event = |event: CaptureEvent| {
        if matches!(event, CaptureEvent::SampleFinished { .. }) {
            finished += 1;
        }
        if finished == 2 && !killed.exists() {
            std::fs::create_dir(&killed).unwrap();
            for entry in std::fs::read_dir(&out).unwrap() {
                let entry = entry.unwrap();
                std::fs::copy(entry.path(), killed.join(entry.file_name())).unwrap();
            }
        }
    };
    let cancel = kvlens_sessions::CancelFlag::default();
    let mode = StartMode::New;
    kvlens_sessions::capture(&plan, &model, &samples, &out, mode, &mut on_event, &cancel).unwrap();
    assert!(
        !out.join("journal.jsonl").exists(),
        "the manifest took it over"
    );
    let session = Session::open(&killed).unwrap();
    assert_eq!(session.sample_count(), 2);
    assert_eq!(
        importance(&session, 1),
        importance(&Session::open(&out).unwrap(), 1)
    );

    let journal = killed.join("journal.jsonl");
    let whole = std::fs::read_to_string(&journal).unwrap();
    // the last line was not written to its end
    std::fs::write(&journal, &whole[..whole.len() - 9]).unwrap();
    assert_eq!(Session::open(&killed).unwrap().sample_count(), 1);
    // a line before it was changed: that is no kill
    std::fs::write(&journal, whole.replacen("\"index\":0", "\"index\":1", 1)).unwrap();
    assert!(open_error(&killed).contains("line 1 of the session's journal was changed"));
    let resumed = run_capture(&plan, &model, &samples, &killed, StartMode::Resume, None).unwrap();
    assert_eq!((resumed.already_finished, resumed.finished), (1, 2));
    let [killed, whole] = [&killed, &out].map(|path| Session::open(path).unwrap());
    for index in 0..3 {
        assert_eq!(importance(&killed, index), importance(&whole, index));
    }
}

#[test]
fn a_manifest_that_was_changed_is_told_and_made_good_by_resuming() {
    let folder = tempfile::tempdir().unwrap();
    let (model, samples) = (demo_model(), demo_samples("demo:length=512,samples=2"));
    let (plan, out) = (plan(&["last:8"], 4), folder.path().join("a.kvlens"));
    run_capture(&plan, &model, &samples, &out, StartMode::New, None).unwrap();
    let manifest = out.join("manifest.json");
    let good = std::fs::read(&manifest).unwrap();
    let text = String::from_utf8(good.clone()).unwrap();
    let tokens = text.find("\"prompt_tokens\": ").unwrap() + 17;
    let number = text[tokens..].split(',').next().unwrap();
    for (from, to) in [
        ("\"theta\": 500000.0".to_owned(), "\"theta\": 500001.0"),
        ("null,\n      null".to_owned(), "16,\n      null"),
        (
            format!("\"prompt_tokens\": {number}"),
            "\"prompt_tokens\": 7",
        ),
    ] {
        assert!(text.contains(&from), "no {from} in {text}");
        std::fs::write(&manifest, text.replacen(&from, to, 1)).unwrap();
        let said = open_error(&out);
        assert!(
            said.contains("manifest was changed") && said.contains("--resume"),
            "{said}"
        );
        let resumed = run_capture(&plan, &model, &samples, &out, StartMode::Resume, None).unwrap();
        assert_eq!((resumed.already_finished, resumed.finished), (2, 0));
        assert!(
            std::fs::read(&manifest).unwrap() == good,
            "{from} is not made good"
        );
    }
}

#[test]
fn damaged_sessions_are_refused_with_a_sentence() {
    let folder = tempfile::tempdir().unwrap();
    let (model, samples) = (demo_model(), demo_samples("demo:length=512,samples=1"));
    let out = folder.path().join("a.kvlens");
    run_capture(
        &plan(&["last:8"], 4),
        &model,
        &samples,
        &out,
        StartMode::New,
        None,
    )
    .unwrap();

    let sample = out.join("sample-00000.safetensors");
    let whole = std::fs::read(&sample).unwrap();
    std::fs::write(&sample, &whole[..whole.len() / 2]).unwrap();
    let error = Session::open(&out)
        .unwrap()
        .load_sample(0)
        .unwrap_err()
        .to_string();
    assert!(error.contains("truncated"), "{error}");
    std::fs::write(&sample, &whole).unwrap();
    assert!(Session::open(&out).unwrap().load_sample(0).is_ok());

    let manifest = out.join("manifest.json");
    let text = std::fs::read_to_string(&manifest).unwrap();
    let edited = |from: &str, to: &str| {
        assert!(text.contains(from), "the manifest has no {from}");
        std::fs::write(&manifest, text.replace(from, to)).unwrap();
        open_error(&out)
    };
    assert!(edited("\"format_version\": 4", "\"format_version\": 5").contains("newer KVLens"));
    assert!(edited("sample-00000.safetensors", "../sample-00000.safetensors").contains("outside"));
    assert!(edited("\"samples\"", "\"simples\"").contains("damaged"));
    std::fs::write(&manifest, &text[..text.len() / 2]).unwrap();
    assert!(open_error(&out).contains("damaged"));
    std::fs::remove_file(&manifest).unwrap();
    assert!(open_error(&out).contains("no manifest.json"));
    assert!(open_error(&folder.path().join("absent.kvlens")).contains("no such session folder"));
}

/// The hash only says that a file is the one that was written; what is in it must fit all the same.
#[test]
fn parts_that_do_not_belong_together_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (model, samples) = (demo_model(), demo_samples("demo:length=512,samples=1"));
    let out = folder.path().join("a.kvlens");
    let plan = plan(&["last:8"], 4);
    run_capture(&plan, &model, &samples, &out, StartMode::New, None).unwrap();
    let manifest = out.join("manifest.json");
    let good = std::fs::read_to_string(&manifest).unwrap();
    // of the version before manifests had a hash of their own: what is in it must fit all the same
    let good = good
        .replace("manifest_sha256", "not_looked_at")
        .replace("\"format_version\": 4", "\"format_version\": 2");
    let load_error = || {
        Session::open(&out)
            .unwrap()
            .load_sample(0)
            .unwrap_err()
            .to_string()
    };
    for (from, to, word) in [
        ("\"kv_heads\": 2", "\"kv_heads\": 0", "no heads"),
        ("\"kv_heads\": 2", "\"kv_heads\": 3", "among 3"),
        ("\"kv_heads\": 2", "\"kv_heads\": 4", "keys has shape"),
        (
            "\"query_heads\": 4",
            "\"query_heads\": 8",
            "queries of 'decode'",
        ),
    ] {
        assert!(good.contains(from));
        std::fs::write(&manifest, good.replace(from, to)).unwrap();
        let error = load_error();
        assert!(error.contains(word), "'{word}' is not in: {error}");
    }

    let sample = out.join("sample-00000.safetensors");
    let bytes = std::fs::read(&sample).unwrap();
    let (_, header) = safetensors::SafeTensors::read_metadata(&bytes).unwrap();
    let mut tensors =
        candle_core::safetensors::load_buffer(&bytes, &candle_core::Device::Cpu).unwrap();
    let shorter = tensors["keys"].narrow(2, 0, 0).unwrap();
    tensors.insert("keys".to_owned(), shorter);
    let forged = safetensors::serialize(&tensors, header.metadata().clone()).unwrap();
    std::fs::write(&sample, &forged).unwrap();
    let [old, new] = [&bytes, &forged].map(|bytes| hex_sha256(bytes));
    std::fs::write(&manifest, good.replace(&old, &new)).unwrap();
    assert!(load_error().contains("keys has shape [4, 2, 0, 32]"));
}

fn hex_sha256(bytes: &[u8]) -> String {
    use sha2::Digest as _;
    let digest = sha2::Sha256::digest(bytes);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Queries and ready-made scores alike come back as they were observed.
#[test]
fn every_window_comes_back_from_disk() {
    let folder = tempfile::tempdir().unwrap();
    let (model, samples) = (demo_model(), demo_samples("demo:length=512,samples=1"));
    let out = folder.path().join("a.kvlens");
    let labels = ["all", "union:by=best-rank,of=last:8+knorm"];
    let plan = plan(&labels, 8);
    run_capture(&plan, &model, &samples, &out, StartMode::New, None).unwrap();
    let sample = Session::open(&out).unwrap().load_sample(0).unwrap();
    let in_all = registered().iter().filter(|kind| kind.in_all);
    assert_eq!(sample.windows().len(), in_all.count() + 1);
    for window in sample.windows() {
        let importance = sample
            .keys()
            .importance(
                window,
                SideScoring::of(window.scoring(), window.forced_keep()),
            )
            .unwrap();
        let share = importance.prompt_share(0, 0);
        assert_eq!(
            share.is_nan(),
            !window.score_kind().is_attention(),
            "{}",
            window.label()
        );
        match window.query_rows() {
            Some(rows) => assert_eq!(rows.count(), window.cost().rows, "{}", window.label()),
            None => assert!(window.token_ids().is_empty(), "{}", window.label()),
        }
    }
    let kinds: Vec<&str> = sample
        .windows()
        .iter()
        .filter(|window| window.query_rows().is_none())
        .map(|window| window.score_kind().name())
        .collect();
    assert_eq!(
        kinds,
        [
            "attention",
            "accumulated-attention",
            "position",
            "expected-attention",
            "key-norm",
            "random",
            "rank"
        ]
    );
}

/// Version 1 knew neither ready-made scores nor repeats.
#[test]
fn a_session_of_the_first_format_still_opens() {
    let folder = tempfile::tempdir().unwrap();
    let (model, samples) = (demo_model(), demo_samples("demo:length=512,samples=1"));
    let out = folder.path().join("a.kvlens");
    let plan = plan(&["last:8"], 4);
    run_capture(&plan, &model, &samples, &out, StartMode::New, None).unwrap();
    let expected = importance(&Session::open(&out).unwrap(), 0);
    let path = out.join("manifest.json");
    let manifest = std::fs::read_to_string(&path).unwrap();
    let older = manifest
        .replace("\"format_version\": 4", "\"format_version\": 1")
        .replace("manifest_sha256", "unknown_then")
        .replace("text_rules", "unknown_too")
        .replace(",\n    \"repeat_cost\": 1", "");
    assert!(older.len() < manifest.len() - 10);
    std::fs::write(&path, older).unwrap();
    let session = Session::open(&out).unwrap();
    assert_eq!(session.manifest().plan, plan);
    assert_eq!(importance(&session, 0), expected);
}

#[test]
fn what_a_window_cannot_run_is_refused_before_anything_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let (model, samples) = (demo_model(), demo_samples("demo:length=512,samples=1"));
    let out = folder.path().join("a.kvlens");
    for (window, word) in [
        ("dapq:n=8,shift=5000", "positions that a window uses"),
        ("dapq:n=8,shift=-5000", "before the start of a prompt"),
        ("union:of=last:8+random", "scores and no rows"),
        ("draft:model=/no/such/folder", "/no/such/folder"),
        (
            "union:of=last:8+draft:model=/no/such/folder",
            "/no/such/folder",
        ),
    ] {
        let plan = plan(&[window], 4);
        let refused = run_capture(&plan, &model, &samples, &out, StartMode::New, None);
        let error = refused.unwrap_err().to_string();
        assert!(error.contains(word), "'{word}' is not in: {error}");
        assert!(!out.exists());
    }
}

#[test]
fn a_drafter_with_too_few_positions_is_refused_before_anything_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let checkpoint = crate::common::fixtures().join("llama-gqa-untied");
    let drafter = folder.path().join("drafter");
    std::fs::create_dir(&drafter).unwrap();
    for entry in std::fs::read_dir(&checkpoint).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), drafter.join(entry.file_name())).unwrap();
    }
    let config = std::fs::read_to_string(drafter.join("config.json")).unwrap();
    let mut config: serde_json::Value = serde_json::from_str(&config).unwrap();
    config["max_position_embeddings"] = 64.into();
    std::fs::write(drafter.join("config.json"), config.to_string()).unwrap();
    let window = format!("draft:model={}", drafter.display());
    let model = crate::common::micro_model("llama-gqa-untied");
    let out = folder.path().join("a.kvlens");
    let plan = plan(&[&window], 4);
    let samples = demo_samples(SAMPLES);
    let error = run_capture(&plan, &model, &samples, &out, StartMode::New, None).unwrap_err();
    assert!(error.to_string().contains("has 64 positions"), "{error}");
    assert!(!out.exists());
}

#[test]
fn repeats_change_nothing_but_the_time() {
    let folder = tempfile::tempdir().unwrap();
    let (model, samples) = (demo_model(), demo_samples("demo:length=512,samples=1"));
    let [once, often] = ["once.kvlens", "often.kvlens"].map(|name| folder.path().join(name));
    let mut plan = plan(&["laq:n=2", "h2o"], 4);
    run_capture(&plan, &model, &samples, &once, StartMode::New, None).unwrap();
    plan.repeat_cost = 3;
    run_capture(&plan, &model, &samples, &often, StartMode::New, None).unwrap();
    let [once, often] = [once, often].map(|path| importance(&Session::open(&path).unwrap(), 0));
    assert_eq!(once, often);
}

/// A checkpoint whose chat template, or what ends a text, was changed between two runs.
#[test]
fn what_else_shaped_a_sample_is_compared_on_resume() {
    let folder = tempfile::tempdir().unwrap();
    let checkpoint = folder.path().join("model");
    std::fs::create_dir(&checkpoint).unwrap();
    for entry in std::fs::read_dir(crate::common::fixtures().join("llama-gqa-untied")).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), checkpoint.join(entry.file_name())).unwrap();
    }
    let write = |name: &str, text: &str| std::fs::write(checkpoint.join(name), text).unwrap();
    let load = || {
        let source = ModelSource::Folder(checkpoint.clone());
        Model::load(&source, DeviceChoice::Cpu, DtypeChoice::F32).unwrap()
    };
    write("chat_template.jinja", "{{ messages[0].content }}");
    write("generation_config.json", "{\"eos_token_id\": 2}");
    let samples = demo_samples("demo:length=512,samples=1");
    let out = folder.path().join("a.kvlens");
    let plan = CapturePlan {
        chat: true,
        ..plan(&["last:8"], 4)
    };
    run_capture(&plan, &load(), &samples, &out, StartMode::New, None).unwrap();
    let resume = || run_capture(&plan, &load(), &samples, &out, StartMode::Resume, None);
    let rules = Session::open(&out)
        .unwrap()
        .manifest()
        .text_rules
        .clone()
        .unwrap();
    assert_eq!(rules.chat_template.unwrap().file, "chat_template.jinja");
    assert_eq!(rules.end_of_text_ids, [2]);
    // what changes nothing is no reason to refuse
    write(
        "generation_config.json",
        "{\"eos_token_id\": 2, \"temperature\": 0.5}",
    );
    assert_eq!(resume().unwrap().already_finished, 1);

    write("generation_config.json", "{\"eos_token_id\": 3}");
    let said = resume().unwrap_err().to_string();
    assert!(said.contains("generation_config.json"), "{said}");
    write("generation_config.json", "{\"eos_token_id\": 2");
    let warnings = load().warnings().join("\n");
    assert!(
        warnings.contains("generation_config.json is no JSON object"),
        "{warnings}"
    );
    write("generation_config.json", "{\"eos_token_id\": 2}");
    write("chat_template.jinja", "{{ messages[0].content }} Answer.");
    let said = resume().unwrap_err().to_string();
    assert!(said.contains("another chat template"), "{said}");
}

/// 4 MB of words for 4,096 positions: a part of it tells.
#[test]
fn a_text_that_is_far_too_long_is_refused_by_its_beginning() {
    let folder = tempfile::tempdir().unwrap();
    let mut samples = demo_samples("demo:length=512,samples=1");
    samples[0].prompt = "the bells rang at noon ".repeat(200_000);
    let out = folder.path().join("a.kvlens");
    let plan = plan(&["last:8"], 4);
    let refused = run_capture(&plan, &demo_model(), &samples, &out, StartMode::New, None);
    let said = refused.unwrap_err().to_string();
    for word in ["of the prompt's 4599999 bytes", "4096 positions", "shorten"] {
        assert!(said.contains(word), "{word}: {said}");
    }
    assert!(!out.exists());
}
