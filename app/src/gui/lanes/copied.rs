//! A copy of a session.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

/// Copies the files of a session into a folder that is not there yet.
pub(super) fn copy_session(from: &Path, to: &Path) -> anyhow::Result<()> {
    if to.exists() {
        bail!(
            "there is something of that name already; choose another folder: {}",
            to.display()
        );
    }
    let aside = aside_of(to)?;
    let copied = copy_files(from, &aside).and_then(|()| {
        std::fs::rename(&aside, to).with_context(|| format!("cannot save as {}", to.display()))
    });
    if copied.is_err() && aside.exists() {
        // What went wrong first is the better news; a left-over folder is named so that it is seen.
        let _ = std::fs::remove_dir_all(&aside);
    }
    copied
}

/// A folder beside the wanted one, so that a half-made copy never carries its name.
fn aside_of(to: &Path) -> anyhow::Result<PathBuf> {
    let name = to
        .file_name()
        .with_context(|| format!("this path names no folder: {}", to.display()))?;
    let mut aside = name.to_os_string();
    aside.push(format!(".{}.part", std::process::id()));
    Ok(to.with_file_name(aside))
}

fn copy_files(from: &Path, to: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(to).with_context(|| format!("cannot make {}", to.display()))?;
    let entries =
        std::fs::read_dir(from).with_context(|| format!("cannot read {}", from.display()))?;
    for entry in entries {
        let entry = entry.with_context(|| format!("cannot read {}", from.display()))?;
        if entry.path().is_file() {
            std::fs::copy(entry.path(), to.join(entry.file_name()))
                .with_context(|| format!("cannot copy {}", entry.path().display()))?;
        }
    }
    Ok(())
}
