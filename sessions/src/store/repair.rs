//! Taking out of a session what is not whole, so that everything that it names can be read.

use std::path::{Path, PathBuf};

use super::journal;
use super::manifest::{LOCK_FILE, Manifest, SampleState};
use super::opened_file::OpenedFile;
use super::sample_reader::SampleReader;
use super::verified::require_sha256;
use crate::error::Context;
use crate::files::OwnedLock;
use crate::{CancelFlag, SessionError};

/// What a repair did.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Repaired {
    /// Finished samples that are whole.
    pub whole: usize,
    /// Id and reason of each that was not; it is to be captured again.
    pub taken_out: Vec<(String, String)>,
    /// Files that no sample names, such as what a killed run was writing.
    pub strays: Vec<String>,
    /// The folder that both were moved to; none where nothing was moved.
    pub quarantine: Option<PathBuf>,
}

/// Hashes every finished sample of a session, moves files that are not whole, and files that no sample names, into
/// `SESSION.quarantine` beside it, and says in the manifest that those samples are to be captured. `on_sample` is told
/// how many were looked at, of how many, and the id.
///
/// # Errors
/// [`SessionError::Session`] for what is no session, and for a manifest that was changed, which says nothing that could
/// be relied on; a session that is being written; [`SessionError::Cancelled`] after a cancel, with nothing changed.
pub fn repair(
    folder: &Path,
    on_sample: &mut dyn FnMut(usize, usize, &str),
    cancel: &CancelFlag,
) -> Result<Repaired, SessionError> {
    let _lock = OwnedLock::take(&folder.join(LOCK_FILE), "another writes this session")?;
    let mut manifest = Manifest::read(folder)?;
    let mut repaired = Repaired::default();
    let mut damaged = Vec::new();
    let count = manifest.samples.len();
    for (index, entry) in manifest.samples.iter().enumerate() {
        cancel.check()?;
        on_sample(index, count, &entry.id);
        let SampleState::Finished { file, sha256, .. } = &entry.state else {
            continue;
        };
        match check(&folder.join(file), sha256, &entry.id, &manifest) {
            Ok(()) => repaired.whole += 1,
            Err(error) => {
                let reason = error.to_string();
                repaired.taken_out.push((entry.id.clone(), reason));
                damaged.push((index, file.clone()));
            }
        }
    }
    repaired.strays = strays(folder, &manifest)?;
    let moved = damaged.iter().map(|(_, file)| file);
    let moved: Vec<&String> = moved.chain(&repaired.strays).collect();
    if !moved.is_empty() {
        repaired.quarantine = Some(quarantine(folder, &moved)?);
    }
    for (index, _) in &damaged {
        if let Some(entry) = manifest.samples.get_mut(*index) {
            entry.state = SampleState::Pending;
        }
    }
    manifest.write(folder)?;
    journal::remove(folder)?;
    Ok(repaired)
}

fn check(path: &Path, sha256: &str, id: &str, manifest: &Manifest) -> Result<(), SessionError> {
    let mut file = OpenedFile::open(path)?;
    require_sha256(&mut file, sha256)?;
    let header = SampleReader::new(file, &manifest.shape)?.header().clone();
    if header.record.id == id {
        return Ok(());
    }
    Err(SessionError::Session {
        reason: format!("its file is that of another sample, '{}'", header.record.id),
        path: path.to_owned(),
    })
}

/// Files that are a session's by their name, and that nothing names. What somebody else put there stays.
fn strays(folder: &Path, manifest: &Manifest) -> Result<Vec<String>, SessionError> {
    let named = |name: &str| {
        manifest
            .samples
            .iter()
            .any(|entry| matches!(&entry.state, SampleState::Finished { file, .. } if file == name))
    };
    let is_ours = |name: &str| {
        let is_sample = name.starts_with("sample-") && name.ends_with(".safetensors");
        is_sample || name.ends_with(".partial")
    };
    let mut strays = Vec::new();
    for entry in std::fs::read_dir(folder).io("look into the session folder", folder)? {
        let entry = entry.io("look into the session folder", folder)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if is_ours(&name) && !named(&name) {
            strays.push(name);
        }
    }
    strays.sort();
    Ok(strays)
}

/// Moves files of the folder beside it. Nothing that an earlier repair took out is written over.
fn quarantine(folder: &Path, files: &[&String]) -> Result<PathBuf, SessionError> {
    let folder = folder
        .canonicalize()
        .io("find the session folder", folder)?;
    let beside = folder.with_added_extension("quarantine");
    std::fs::create_dir_all(&beside).io("create the quarantine", &beside)?;
    for file in files {
        let from = folder.join(file);
        let mut to = beside.join(file);
        let mut number = 2;
        while to.exists() {
            to = beside.join(format!("{file}.{number}"));
            number += 1;
        }
        match std::fs::rename(&from, &to) {
            // a file that was missing is what was damaged
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            moved => moved.io("move a file into the quarantine", &from)?,
        }
    }
    Ok(beside)
}
