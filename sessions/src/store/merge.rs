//! Parts into one session, in a folder of its own.

use std::path::{Path, PathBuf};

use super::manifest::{Manifest, SampleState};
use super::new_folder::fill_new_folder;
use super::opened_file::OpenedFile;
use super::parts::{Joined, join, part_folders};
use super::verified::require_sha256;
use crate::files::copy_file;
use crate::{CancelFlag, SessionError};

/// Copies sessions that hold parts of one capture, or folders of such parts, into one new session, whose manifest comes
/// last. Gives the number of its samples; `on_sample` is told how many are copied, and of how many.
///
/// # Errors
/// [`SessionError::Session`] for sessions that do not belong together or leave samples out, for a file that is not the
/// one that was written, and for an output that is there; [`SessionError::Cancelled`] after a cancel. What was copied
/// is removed then.
pub fn merge(
    sessions: &[PathBuf],
    out: &Path,
    on_sample: &mut dyn FnMut(usize, usize),
    cancel: &CancelFlag,
) -> Result<usize, SessionError> {
    let refused = |reason: String| SessionError::Session {
        reason,
        path: out.to_owned(),
    };
    let mut manifests = Vec::new();
    for session in sessions {
        let parts = part_folders(session);
        match parts.is_empty() {
            true => manifests.push(with_paths(session)?),
            false => {
                for part in parts {
                    manifests.push(with_paths(&part)?);
                }
            }
        }
    }
    let apart = |reason: String| SessionError::Session {
        reason,
        path: sessions.first().cloned().unwrap_or_default(),
    };
    let Joined { manifest, missing } = join(manifests).map_err(apart)?;
    if missing > 0 {
        return Err(refused(format!(
            "{missing} samples are in none of the parts; capture the parts that are missing, then merge"
        )));
    }
    fill_new_folder(out, || copy_all(manifest, out, on_sample, cancel))
}

/// A manifest whose files are named by their whole paths.
fn with_paths(session: &Path) -> Result<Manifest, SessionError> {
    let mut manifest = Manifest::read(session)?;
    for entry in &mut manifest.samples {
        if let SampleState::Finished { file, .. } = &mut entry.state {
            *file = session.join(&*file).to_string_lossy().into_owned();
        }
    }
    Ok(manifest)
}

fn copy_all(
    mut manifest: Manifest,
    out: &Path,
    on_sample: &mut dyn FnMut(usize, usize),
    cancel: &CancelFlag,
) -> Result<usize, SessionError> {
    let count = manifest.samples.len();
    for (index, entry) in manifest.samples.iter_mut().enumerate() {
        cancel.check()?;
        if let SampleState::Finished { file, sha256, .. } = &mut entry.state {
            let name = sample_file_name(index);
            copy_file(Path::new(file), &out.join(&name), |copy| {
                require_sha256(&mut OpenedFile::open(copy)?, sha256)
            })?;
            *file = name;
        }
        on_sample(index + 1, count);
    }
    manifest.write(out)?;
    Ok(count)
}

/// Name of the file of sample number `index`.
pub(crate) fn sample_file_name(index: usize) -> String {
    format!("sample-{index:05}.safetensors")
}
