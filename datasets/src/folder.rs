//! Files on disk: what a folder holds, and plain texts.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use crate::bounded::read_at_most;
use crate::error::DatasetError;
use crate::records::FileKind;
use crate::sample::Sample;

/// Folders that hold a benchmark's settings, not its rows.
const SETTINGS: [&str; 2] = ["config", "prompts"];

/// How deep folders are looked into.
const DEEPEST: usize = 8;

/// The files of a folder.
#[derive(Default)]
pub(crate) struct Files {
    /// Those that rows are read from, by path.
    pub read: Vec<PathBuf>,
    /// Those that are not read.
    pub skipped: Vec<String>,
}

/// The files that a path names: a file itself; a folder with all folders in it; or `FOLDER/TASK` where no such path
/// is, which names the files of this task in the folder.
///
/// # Errors
/// A folder that cannot be read or holds no such file.
pub(crate) fn files(path: &Path) -> Result<Files, DatasetError> {
    if path.is_file() {
        return Ok(Files {
            read: vec![path.to_owned()],
            skipped: Vec::new(),
        });
    }
    if path.is_dir() {
        return found(path, &|_| true);
    }
    let (Some(folder), Some(task)) = (path.parent(), path.file_name()) else {
        return Err(missing(path));
    };
    if !folder.is_dir() {
        return Err(missing(path));
    }
    let task = task.to_string_lossy().into_owned();
    let root = folder.components().count();
    found(folder, &|file| {
        let inside: PathBuf = file.components().skip(root).collect();
        let stem = inside.file_stem();
        let names = inside.iter().chain(stem);
        names.into_iter().any(|name| is_task(name, &task))
    })
    .map(|files| Files {
        skipped: Vec::new(),
        ..files
    })
    .map_err(|_| DatasetError::NoTask {
        folder: folder.to_owned(),
        task,
    })
}

/// `narrativeqa` and, of LongBench-E, `narrativeqa_e`; `qa1` and, of the Hub's files, `qa1-00000-of-00001`.
fn is_task(name: &OsStr, task: &str) -> bool {
    let name = name.to_string_lossy();
    let rest = name.strip_prefix(task);
    rest.is_some_and(|rest| rest.is_empty() || rest == "_e" || rest.starts_with("-0"))
}

fn missing(path: &Path) -> DatasetError {
    DatasetError::Read {
        path: path.to_owned(),
        source: std::io::ErrorKind::NotFound.into(),
    }
}

fn found(folder: &Path, is_wanted: &dyn Fn(&Path) -> bool) -> Result<Files, DatasetError> {
    let mut files = Files::default();
    walk(folder, 0, &mut files)?;
    files.read.retain(|file| is_wanted(file));
    if files.read.is_empty() {
        return Err(DatasetError::Empty {
            path: folder.to_owned(),
        });
    }
    Ok(files)
}

fn walk(folder: &Path, depth: usize, files: &mut Files) -> Result<(), DatasetError> {
    let read = |source| DatasetError::Read {
        path: folder.to_owned(),
        source,
    };
    let entries = fs::read_dir(folder).map_err(read)?;
    let mut paths = Vec::new();
    for entry in entries {
        paths.push(entry.map_err(read)?.path());
    }
    paths.sort();
    for path in paths {
        let name = lossy(path.file_name());
        let is_hidden = name.starts_with('.') || SETTINGS.contains(&name.as_str());
        if path.is_dir() {
            if is_hidden {
                continue;
            }
            if depth < DEEPEST {
                walk(&path, depth + 1, files)?;
            } else {
                files.skipped.push(format!("{} (too deep)", path.display()));
            }
        } else if is_hidden || is_about_the_data(&name) || FileKind::of(&path).is_none() {
            files.skipped.push(path.display().to_string());
        } else {
            files.read.push(path);
        }
    }
    Ok(())
}

/// Files that lie beside rows and hold none: settings, descriptions, licences.
fn is_about_the_data(name: &str) -> bool {
    let name = name.to_lowercase();
    name.starts_with("dataset2")
        || name.starts_with("task2")
        || name.starts_with("model2")
        || matches!(
            name.as_str(),
            "dataset_infos.json"
                | "dataset_info.json"
                | "state.json"
                | "license.txt"
                | "requirements.txt"
        )
        || name.ends_with(".manifest.json")
}

/// What a text file may have that becomes one prompt.
pub(crate) const MOST_TEXT_BYTES: u64 = 1 << 30;

/// The one sample of a plain text file.
///
/// # Errors
/// A file that cannot be read, is no UTF-8, or is blank.
pub(crate) fn text_sample(path: &Path) -> Result<Sample, DatasetError> {
    let bytes = read_at_most(path, MOST_TEXT_BYTES).map_err(|source| DatasetError::Read {
        path: path.to_owned(),
        source,
    })?;
    if bytes.starts_with(&[0xFF, 0xFE]) || bytes.starts_with(&[0xFE, 0xFF]) {
        return Err(DatasetError::Utf16 {
            path: path.to_owned(),
        });
    }
    let text = String::from_utf8(bytes).map_err(|error| DatasetError::NotUtf8 {
        path: path.to_owned(),
        byte: error.utf8_error().valid_up_to(),
    })?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text).to_owned();
    if text.trim().is_empty() {
        return Err(DatasetError::Empty {
            path: path.to_owned(),
        });
    }
    Ok(Sample {
        id: lossy(path.file_stem()),
        dataset: lossy(path.file_name()),
        task: "text".to_owned(),
        prompt: text,
        ..Sample::default()
    })
}

/// A file's name as text.
pub(crate) fn lossy(name: Option<&OsStr>) -> String {
    name.map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default()
}
