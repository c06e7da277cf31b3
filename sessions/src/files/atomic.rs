//! Writing a file so that it is there whole or not at all.

use std::fs::File;
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
    let mut source = File::open(from).io("copy the file", from)?;
    let mut copy = |file: &mut File| std::io::copy(&mut source, file).io("copy the file", from);
    fill_file(to, |file| copy(file).map(drop), check)
}

/// Lets `fill` write a file aside and `check` look at it, and renames it to `to`.
pub(crate) fn fill_file(
    to: &Path,
    fill: impl FnOnce(&mut File) -> Result<(), SessionError>,
    check: impl FnOnce(&Path) -> Result<(), SessionError>,
) -> Result<(), SessionError> {
    let aside = to.with_added_extension("partial");
    let fill_aside = || {
        let mut file = File::create(&aside).io("write the file", to)?;
        fill(&mut file)?;
        file.sync_all().io("write the file", to)?;
        drop(file);
        check(&aside)?;
        std::fs::rename(&aside, to).io("write the file", to)
    };
    let filled = fill_aside();
    if filled.is_err() {
        let _ = std::fs::remove_file(&aside);
    }
    filled?;
    sync_folder(to);
    Ok(())
}

fn write_and_sync(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// Makes the rename itself last. Not every file system can sync a folder; the file is whole either way.
fn sync_folder(path: &Path) {
    if let Some(folder) = path.parent().and_then(|parent| File::open(parent).ok()) {
        let _ = folder.sync_all();
    }
}
