//! What every target does: bytes are written to a file in memory, read as what they claim to be, and held to what is
//! promised of it. A panic is a finding, and so are a hang and gigabytes of memory; an error is not.

#[path = "../../datasets/tests/checked/mod.rs"]
mod checked;
#[path = "../../sessions/tests/readers/mod.rs"]
pub mod readers;

use std::fs;

use kvlens_datasets::{BadRows, DataSpec, Format, LoadOptions, load_with};
use readers::folder;

/// Reads the bytes as a file with this ending: of a layout, or of any that it looks like.
///
/// # Panics
/// Where a promise is broken, and where the file cannot be written.
pub fn read(format: Option<Format>, ending: &str, bytes: &[u8]) {
    let folder = folder();
    fs::create_dir_all(&folder).unwrap();
    let path = folder.join(format!("rows.{ending}"));
    fs::write(&path, bytes).unwrap();
    let spec = match format {
        Some(format) => DataSpec::Benchmark { format, path },
        None => DataSpec::File(path),
    };
    let options = LoadOptions {
        bad_rows: BadRows::LeaveOut,
        ..LoadOptions::default()
    };
    match load_with(&[spec], &options) {
        Ok(loaded) => checked::check_all(&loaded),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

/// Reads the text as what is typed for prompts; what is understood reads back as it prints.
///
/// # Panics
/// Where it does not.
pub fn read_spec(text: &str) {
    if let Ok(spec) = text.parse::<DataSpec>() {
        assert_eq!(spec.to_string().parse::<DataSpec>().ok(), Some(spec));
    }
}
