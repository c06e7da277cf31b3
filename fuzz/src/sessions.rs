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
    let (path, _) = session();
    let file = crate::folder().join("seed.zip");
    let cancel = CancelFlag::default();
    let keys = Shrink {
        keep: Keep::Keys,
        numbers: None,
    };
    let session = Session::open(path).unwrap();
    pack(&session, &file, keys, &mut |_, _| {}, &cancel).unwrap();
    Seeds {
        manifest: unsealed(&fs::read(path.join(MANIFEST)).unwrap()),
        sample: fs::read(path.join(SAMPLE)).unwrap(),
        pack: fs::read(file).unwrap(),
    }
}

/// The session's folder, and the hash of its sample as the manifest has it.
fn session() -> (&'static Path, &'static str) {
    static SESSION: OnceLock<(PathBuf, String)> = OnceLock::new();
    let (path, sha256) = SESSION.get_or_init(|| {
        let path = crate::folder().join("a.kvlens");
        captured(&path);
        let sha256 = sha256(&fs::read(path.join(SAMPLE)).unwrap());
        (path, sha256)
    });
    (path, sha256)
}

fn captured(path: &Path) {
    let model = crate::models::whole();
    let data = crate::folder().join("prompt.txt");
    let text = crate::models::of_repository("../sessions/tests/fixtures/prompt.txt");
    fs::create_dir_all(crate::folder()).unwrap();
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
    capture(&plan, model, samples, path, StartMode::New, &mut |_| {}, &cancel).unwrap();
}

fn sha256(bytes: &[u8]) -> String {
    let hash = Sha256::digest(bytes);
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A manifest without the line that holds the hash of itself, as earlier programs wrote them.
fn unsealed(manifest: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(manifest);
    let lines = text.lines().filter(|line| !line.contains("manifest_sha256"));
    lines.collect::<Vec<_>>().join("\n").into_bytes()
}

/// Opens the session and reads all of it; an error has a sentence.
fn read_all(path: &Path) {
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
    if let Err(error) = read() {
        assert!(!error.to_string().is_empty());
    }
}

/// Reads the bytes as a session's manifest.
///
/// # Panics
/// Where the reader does.
pub fn read_manifest(bytes: &[u8]) {
    let (path, _) = session();
    fs::write(path.join(MANIFEST), bytes).unwrap();
    read_all(path);
}

/// Reads the bytes as a session's sample, whose hash is the one that the manifest says.
///
/// # Panics
/// Where the reader does.
pub fn read_sample(bytes: &[u8]) {
    let (path, known) = session();
    static WHOLE: OnceLock<String> = OnceLock::new();
    let whole = WHOLE.get_or_init(|| {
        let manifest = fs::read(path.join(MANIFEST)).unwrap();
        String::from_utf8(unsealed(&manifest)).unwrap()
    });
    fs::write(path.join(SAMPLE), bytes).unwrap();
    fs::write(path.join(MANIFEST), whole.replace(known, &sha256(bytes))).unwrap();
    read_all(path);
}

/// Reads the bytes as a packed session.
///
/// # Panics
/// Where the reader does, or where an unpacked session cannot be read.
pub fn read_pack(bytes: &[u8]) {
    let folder = crate::folder();
    fs::create_dir_all(&folder).unwrap();
    let (file, to) = (folder.join("packed.zip"), folder.join("unpacked.kvlens"));
    fs::write(&file, bytes).unwrap();
    match unpack(&file, &to, &mut |_, _| {}, &CancelFlag::default()) {
        Ok(_) => {
            read_all(&to);
            fs::remove_dir_all(&to).unwrap();
        }
        Err(error) => {
            assert!(!error.to_string().is_empty());
            assert!(!to.exists());
        }
    }
}
