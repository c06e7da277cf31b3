//! Sessions as one file, and files that only look like one.

use std::fs;
use std::io::Write as _;
use std::path::Path;

use kvlens_sessions::{
    CancelFlag, CapturePlan, HalfFormat, Keep, Session, SessionError, Shrink, Shrunk, StartMode,
    is_packed, is_unpacked_in, pack, unpack,
};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use crate::common::{demo_model, demo_samples, key_values, plan, run_capture};

const KEYS: Shrink = Shrink {
    keep: Keep::Keys,
    numbers: None,
};

fn session(folder: &Path) -> Session {
    let plan = CapturePlan {
        keep: Some(Keep::KeysAndValues),
        ..plan(&["last:8", "knorm"], 4)
    };
    let (model, samples) = (demo_model(), demo_samples("demo:length=512,samples=2"));
    let out = folder.join("a.kvlens");
    run_capture(&plan, &model, &samples, &out, StartMode::New, None).unwrap();
    Session::open(&out).unwrap()
}

fn packed(session: &Session, out: &Path, shrink: Shrink) -> Result<Shrunk, SessionError> {
    pack(session, out, shrink, &mut |_, _| {}, &CancelFlag::default())
}

fn unpacked(file: &Path, out: &Path) -> Result<usize, SessionError> {
    unpack(file, out, &mut |_, _| {}, &CancelFlag::default())
}

#[test]
fn a_packed_session_comes_back_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let session = session(folder.path());
    let all = Shrink {
        keep: Keep::KeysAndValues,
        numbers: None,
    };
    packed(&session, &at("all.zip"), all).unwrap();
    assert!(is_packed(&at("all.zip")) && !is_packed(session.path()));
    assert_eq!(unpacked(&at("all.zip"), &at("all.kvlens")).unwrap(), 2);
    let names = |folder: &Path| {
        let mut names: Vec<_> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        names.sort();
        names
    };
    assert_eq!(names(&at("all.kvlens")), names(session.path()));
    for name in names(session.path()) {
        let [before, after] =
            [session.path(), &at("all.kvlens")].map(|folder| fs::read(folder.join(&name)).unwrap());
        // of the manifest, too: nothing of it was changed
        assert!(before == after, "{name:?}");
    }
    assert!(is_unpacked_in(&at("all.zip"), &at("all.kvlens")).unwrap());

    // the same bytes each time
    packed(&session, &at("again.zip"), all).unwrap();
    assert!(fs::read(at("all.zip")).unwrap() == fs::read(at("again.zip")).unwrap());

    // smaller, and nothing but smaller
    let told = packed(&session, &at("keys.zip"), KEYS).unwrap();
    assert!(told.bytes[1] * 10 < told.bytes[0] * 7, "{told:?}");
    unpacked(&at("keys.zip"), &at("keys.kvlens")).unwrap();
    assert!(!is_unpacked_in(&at("all.zip"), &at("keys.kvlens")).unwrap());
    let smaller = Session::open(&at("keys.kvlens")).unwrap();
    let [before, after] = [&session, &smaller].map(|one| one.load_sample(1).unwrap());
    assert!(after.values().is_none());
    assert_eq!(key_values(before.keys()), key_values(after.keys()));
    let half = Shrink {
        numbers: Some(HalfFormat::F16),
        ..KEYS
    };
    let told = packed(&session, &at("half.zip"), half).unwrap();
    assert!(told.largest_change > 0.0, "{told:?}");

    // what is there stays
    let there = fs::read(at("keys.zip")).unwrap();
    assert!(packed(&session, &at("keys.zip"), all).is_err());
    assert!(fs::read(at("keys.zip")).unwrap() == there);
    assert!(unpacked(&at("keys.zip"), &at("all.kvlens")).is_err());
    assert!(Session::open(&at("all.kvlens")).is_ok());
    assert!(packed(&smaller, &at("more.zip"), all).is_err());
    assert!(!at("more.zip").exists() && !at("more.zip.partial").exists());
}

#[test]
fn what_is_cancelled_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let session = session(folder.path());
    let cancel = CancelFlag::default();
    cancel.cancel();
    let stopped = pack(&session, &at("a.zip"), KEYS, &mut |_, _| {}, &cancel);
    assert!(matches!(stopped, Err(SessionError::Cancelled)));
    packed(&session, &at("b.zip"), KEYS).unwrap();
    let stopped = unpack(&at("b.zip"), &at("b.kvlens"), &mut |_, _| {}, &cancel);
    assert!(matches!(stopped, Err(SessionError::Cancelled)));
    for name in [
        "a.zip",
        "a.zip.partial",
        "b.kvlens",
        "b.kvlens.partial",
        "b.kvlens.lock",
    ] {
        assert!(!at(name).exists(), "{name}");
    }
    // what a killed program left is cleared away
    std::fs::create_dir(at("b.kvlens.partial")).unwrap();
    std::fs::write(at("b.kvlens.partial/sample-00000.safetensors"), "half").unwrap();
    assert_eq!(unpacked(&at("b.zip"), &at("b.kvlens")).unwrap(), 2);
    assert!(!at("b.kvlens.partial").exists());
}

/// An archive of these names and contents.
fn archive(path: &Path, files: &[(&str, &[u8])]) {
    let mut archive = ZipWriter::new(fs::File::create(path).unwrap());
    let options = SimpleFileOptions::DEFAULT.compression_method(CompressionMethod::Stored);
    for (name, contents) in files {
        archive.start_file(*name, options).unwrap();
        archive.write_all(contents).unwrap();
    }
    archive.finish().unwrap();
}

#[test]
fn nothing_leaves_the_folder_and_nothing_else_is_unpacked() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let session = session(folder.path());
    let read = |name: &str| fs::read(session.path().join(name)).unwrap();
    let manifest = read("manifest.json");
    let samples = ["sample-00000.safetensors", "sample-00001.safetensors"].map(read);
    let own = |prefix: &str| {
        [
            "manifest.json",
            "sample-00000.safetensors",
            "sample-00001.safetensors",
        ]
        .map(|name| format!("{prefix}{name}"))
    };
    let inside = own("a.kvlens/");
    let contents: [&[u8]; 3] = [&manifest, &samples[0], &samples[1]];
    let whole: Vec<(&str, &[u8])> = inside.iter().map(String::as_str).zip(contents).collect();
    let file = at("x.zip");
    let refused = |files: &[(&str, &[u8])], words: &str| {
        archive(&file, files);
        let error = unpacked(&file, &at("in/out.kvlens"))
            .unwrap_err()
            .to_string();
        assert!(error.contains(words), "{words}: {error}");
        assert!(!at("in/out.kvlens").exists(), "{words}");
        assert!(!at("evil").exists() && !at("in/evil").exists(), "{words}");
    };
    archive(&file, &whole);
    assert_eq!(unpacked(&file, &at("good.kvlens")).unwrap(), 2);

    for evil in [
        "a.kvlens/../../evil",
        "../evil",
        "/evil",
        "evil",
        "a.kvlens/b/evil",
        "a.kvlens/..\\evil",
    ] {
        let files = [&whole[..], &[(evil, b"x")]].concat();
        archive(&file, &files);
        let error = unpacked(&file, &at("in/out.kvlens"))
            .unwrap_err()
            .to_string();
        let is_told = [
            "outside its folder",
            "no folder of it",
            "more than one folder",
        ];
        assert!(
            is_told.iter().any(|words| error.contains(words)),
            "{evil}: {error}"
        );
        assert!(
            !at("evil").exists() && !at("in").join("evil").exists(),
            "{evil}"
        );
        assert!(!at("in/out.kvlens").exists(), "{evil}");
    }
    let other = own("b.kvlens/");
    refused(
        &[whole[0], (&other[1], &samples[0]), whole[2]],
        "more than one folder",
    );
    refused(&[whole[0], whole[1]], "lacks 'sample-00001.safetensors'");
    refused(
        &[&whole[..], &[("a.kvlens/more", b"x")]].concat(),
        "holds 'more'",
    );
    refused(&whole[1..], "no manifest.json");
    refused(
        &[whole[0], whole[1], (&inside[2], &samples[0])],
        "SHA-256 differs",
    );
    let changed = String::from_utf8(manifest.clone())
        .unwrap()
        .replacen("demo", "dem0", 1);
    refused(
        &[(&inside[0], changed.as_bytes()), whole[1], whole[2]],
        "was changed",
    );
    refused(&[("a.kvlens/manifest.json", b"{}")], "damaged");

    // a link is no file of a session
    let mut linked = ZipWriter::new(fs::File::create(&file).unwrap());
    let options = SimpleFileOptions::DEFAULT.compression_method(CompressionMethod::Stored);
    linked
        .add_symlink("a.kvlens/evil", "/etc/passwd", options)
        .unwrap();
    linked.finish().unwrap();
    assert!(
        unpacked(&file, &at("in/out.kvlens"))
            .unwrap_err()
            .to_string()
            .contains("outside")
    );
    for text in [&b"no archive"[..], b"PK\x03\x04", b""] {
        fs::write(&file, text).unwrap();
        assert!(unpacked(&file, &at("in/out.kvlens")).is_err());
    }
    assert!(unpacked(folder.path(), &at("in/out.kvlens")).is_err());
}
