//! Writing a file so that it is there whole or not at all.

use std::io::Write;
use std::path::Path;

use crate::SessionError;
use crate::error::Context;

/// Writes `bytes` aside, syncs them, and renames them to `path`.
///
/// # Errors
/// [`SessionError::Io`] when that cannot be done; what stood there stays.
pub fn write_file(path: &Path, bytes: &[u8]) -> Result<(), SessionError> {
    let aside = path.with_added_extension("partial");
    let written = write_and_sync(&aside, bytes).and_then(|()| std::fs::rename(&aside, path));
    if written.is_err() {
        // the rest of a failed write must not stay; that it cannot be removed changes nothing
        let _ = std::fs::remove_file(&aside);
    }
    written.io("write the file", path)?;
    sync_folder(path);
    Ok(())
}

/// Copies a file aside, lets `check` look at the copy, and renames it to `to`.
pub(crate) fn copy_file(
    from: &Path,
    to: &Path,
    check: impl FnOnce(&Path) -> Result<(), SessionError>,
) -> Result<(), SessionError> {
    let aside = to.with_added_extension("partial");
    let copied = std::fs::copy(from, &aside)
        .and_then(|_| std::fs::File::open(&aside)?.sync_all())
        .io("copy the file", from)
        .and_then(|()| check(&aside))
        .and_then(|()| std::fs::rename(&aside, to).io("write the file", to));
    if copied.is_err() {
        let _ = std::fs::remove_file(&aside);
    }
    copied?;
    sync_folder(to);
    Ok(())
}

fn write_and_sync(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut file = std::fs::File::create(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// Makes the rename itself last. Not every file system can sync a folder; the file is whole either way.
fn sync_folder(path: &Path) {
    if let Some(folder) = path
        .parent()
        .and_then(|parent| std::fs::File::open(parent).ok())
    {
        let _ = folder.sync_all();
    }
}
