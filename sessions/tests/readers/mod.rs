//! What reads files that others hand over: bytes are written to a file in memory, read as what they claim to be, and
//! held to what is promised of it. A panic is a finding, and so are a hang and gigabytes of memory; an error is not.
//!
//! The fuzz targets and the ordinary tests read by the same functions.

pub mod models;
pub mod sessions;
pub mod windows;

use std::path::{Path, PathBuf};

/// Reads bytes as what they claim to be, and says whether they are; panics where a promise is broken.
pub type Read = fn(&[u8]) -> bool;

/// The readers, by the names of their fuzz targets and of the folders of `tests/corpus`.
pub const ALL: [(&str, Read); 12] = [
    ("manifest", sessions::read_manifest),
    ("sample", sessions::read_sample),
    ("pack", sessions::read_pack),
    ("scores", windows::read_scores),
    ("trained", windows::read_trained),
    ("gguf", models::read_gguf),
    ("weights", models::read_weights),
    ("config", models::read_config),
    ("generation_config", models::read_generation_config),
    ("tokenizer", models::read_tokenizer),
    ("tokenizer_config", models::read_tokenizer_config),
    ("template", models::read_template),
];

/// Where files are cheap; the system's folder for temporary files where there is no such place.
pub fn folder() -> PathBuf {
    let memory = Path::new("/dev/shm");
    let base = match memory.is_dir() {
        true => memory.to_owned(),
        false => std::env::temp_dir(),
    };
    base.join(format!("kvlens-readers-{}", std::process::id()))
}

/// A file of this package.
pub fn of_package(path: &str) -> PathBuf {
    // the folder of whoever reads by it lies beside this package's
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../sessions")
        .join(path)
}

/// Whether something was read; an error has a sentence.
fn is_read<T>(read: Result<T, String>) -> bool {
    if let Err(sentence) = &read {
        assert!(!sentence.is_empty());
    }
    read.is_ok()
}
