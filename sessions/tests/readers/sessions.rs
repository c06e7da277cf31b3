//! Sessions: one that was captured here, with one of its files replaced. What hashes would refuse at once is given its
//! right hash, so that what stands behind them is read.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use kvlens_datasets::{DataSpec, LoadOptions, load_with};
use kvlens_sessions::model::{DeviceChoice, DtypeChoice, ModelSource};
use kvlens_sessions::{
    CancelFlag, CapturePlan, DecodePlan, Keep, Session, Shrink, StartMode, capture, pack, unpack,
};
use sha2::{Digest as _, Sha256};

use super::{folder, is_read, of_package};

const MANIFEST: &str = "manifest.json";
const SAMPLE: &str = "sample-00000.safetensors";

/// What a session's files are, each as the target of its name wants it.
pub struct Seeds {
    /// Without the hash of itself.
    pub manifest: Vec<u8>,
    /// The one sample.
    pub sample: Vec<u8>,
    /// The session packed.
    pub pack: Vec<u8>,
}

/// Captures a short prompt with a window of rows and one of scores.
///
/// # Panics
/// Where that fails.
pub fn seeds() -> Seeds {
    let whole = whole();
    let file = folder().join("seed.zip");
    let cancel = CancelFlag::default();
    let keys = Shrink {
        keep: Keep::Keys,
        numbers: None,
    };
    let session = put(whole.manifest.as_bytes(), &whole.sample);
    let session = Session::open(session).unwrap();
    // or what is damaged of it would all be refused at the door
    session.load_sample(0).unwrap();
    pack(&session, &file, keys, &mut |_, _| {}, &cancel).unwrap();
    Seeds {
        manifest: whole.manifest.clone().into_bytes(),
        sample: whole.sample.clone(),
        pack: fs::read(file).unwrap(),
    }
}

/// Puts a manifest and a sample in the place of the session's.
fn put(manifest: &[u8], sample: &[u8]) -> &'static Path {
    let path = &whole().path;
    fs::write(path.join(MANIFEST), manifest).unwrap();
    fs::write(path.join(SAMPLE), sample).unwrap();
    path
}

/// The session as it was captured.
struct Whole {
    path: PathBuf,
    /// Without the hash of itself.
    manifest: String,
    sample: Vec<u8>,
}

fn whole() -> &'static Whole {
    static WHOLE: OnceLock<Whole> = OnceLock::new();
    WHOLE.get_or_init(|| {
        let path = folder().join("a.kvlens");
        captured(&path);
        Whole {
            manifest: unsealed(&fs::read(path.join(MANIFEST)).unwrap()),
            sample: fs::read(path.join(SAMPLE)).unwrap(),
            path,
        }
    })
}

fn captured(path: &Path) {
    let model = super::models::whole();
    let data = folder().join("prompt.txt");
    let text = of_package("tests/fixtures/prompt.txt");
    fs::create_dir_all(folder()).unwrap();
    fs::copy(text, &data).unwrap();
    let samples = load_with(&[DataSpec::File(data)], &LoadOptions::default()).unwrap();
    let plan = CapturePlan {
        windows: vec!["last:4".to_owned(), "knorm".to_owned()],
        decode: DecodePlan {
            max_tokens: 2,
            ignore_eos: true,
            ..DecodePlan::default()
        },
        device: DeviceChoice::Cpu,
        dtype: DtypeChoice::F32,
        ..CapturePlan::plain(ModelSource::Demo, vec!["prompt".to_owned()])
    };
    let cancel = CancelFlag::default();
    let samples = &samples.samples;
    capture(
        &plan,
        model,
        samples,
        path,
        StartMode::New,
        &mut |_| {},
        &cancel,
    )
    .unwrap();
}

fn sha256(bytes: &[u8]) -> String {
    let hash = Sha256::digest(bytes);
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A manifest of the version before those that hold their own hash, so that a change of it is read and not only told.
fn unsealed(manifest: &[u8]) -> String {
    let text = String::from_utf8_lossy(manifest);
    let lines = text.lines().filter_map(|line| match line {
        line if line.contains("manifest_sha256") => None,
        line if line.contains("format_version") => Some("  \"format_version\": 2,"),
        line => Some(line),
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// Opens the session and reads all of it; an error has a sentence.
fn read_all(path: &Path) -> bool {
    let read = || {
        let session = Session::open(path)?;
        for index in 0..session.sample_count() {
            session.load_record(index)?;
            session.check_sample(index)?;
            let sample = session.load_sample(index)?;
            for window in sample.windows() {
                sample.importance(window, window.published_side())?;
            }
        }
        Ok::<_, kvlens_sessions::SessionError>(())
    };
    is_read(read().map_err(|error| error.to_string()))
}

/// Reads the bytes as a session's manifest.
///
/// # Panics
/// Where the reader does.
pub fn read_manifest(bytes: &[u8]) -> bool {
    read_all(put(bytes, &whole().sample))
}

/// Reads the bytes as a session's sample, whose hash is the one that the manifest says.
///
/// # Panics
/// Where the reader does.
pub fn read_sample(bytes: &[u8]) -> bool {
    let whole = whole();
    let known = sha256(&whole.sample);
    let manifest = whole.manifest.replace(&known, &sha256(bytes));
    read_all(put(manifest.as_bytes(), bytes))
}

/// Reads the bytes as a packed session.
///
/// # Panics
/// Where the reader does, or where an unpacked session cannot be read.
pub fn read_pack(bytes: &[u8]) -> bool {
    fs::create_dir_all(folder()).unwrap();
    let (file, to) = (
        folder().join("packed.zip"),
        folder().join("unpacked.kvlens"),
    );
    fs::write(&file, bytes).unwrap();
    let unpacked = unpack(&file, &to, &mut |_, _| {}, &CancelFlag::default());
    if is_read(unpacked.map_err(|error| error.to_string())) {
        assert!(read_all(&to));
        fs::remove_dir_all(&to).unwrap();
        return true;
    }
    assert!(!to.exists());
    false
}
