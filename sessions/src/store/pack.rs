//! A session as one file to share: a zip archive that compresses nothing, with the session's folder in it, so that any
//! other program unpacks it as well.
//!
//! What others hand over is held to what is written here: one folder with the manifest and the files that it names, each
//! the one that the manifest was written for. Nothing else is unpacked, and nothing outside the folder.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, Read as _, Write as _};
use std::path::{Component, Path, PathBuf};

use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

use super::manifest::{Found, MANIFEST_FILE, MOST_BYTES, Manifest, SampleState};
use super::new_folder::fill_new_folder;
use super::opened_file::OpenedFile;
use super::session::Session;
use super::shrink::{Shrink, Shrunk, require_can_shrink, shrink_each};
use super::verified::require_sha256;
use crate::error::Context;
use crate::files::{OwnedLock, fill_file, write_file};
use crate::{CancelFlag, SessionError};

/// Where a zip archive with something in it begins.
const MAGIC: [u8; 4] = *b"PK\x03\x04";

/// Far above what a session has files; the table of an archive is read before anything is known of it.
const MOST_FILES: usize = 10_000_000;

/// Whether this is a packed session, by its first bytes. Nothing that is no regular file is opened.
pub fn is_packed(path: &Path) -> bool {
    let mut start = [0; 4];
    path.is_file()
        && File::open(path).is_ok_and(|mut file| file.read_exact(&mut start).is_ok())
        && start == MAGIC
}

/// Writes a finished session as one file, with less of each sample where that is asked for; what is there stays as it
/// is. `on_sample` is told how many are done of how many.
///
/// # Errors
/// [`SessionError::Session`] for an output that is there, a session that is not finished or keeps less than is to be
/// left, a sample that is damaged; [`SessionError::Cancelled`]. Nothing is left of the output then.
pub fn pack(
    session: &Session,
    out: &Path,
    shrink: Shrink,
    on_sample: &mut dyn FnMut(usize, usize),
    cancel: &CancelFlag,
) -> Result<Shrunk, SessionError> {
    require_can_shrink(session, shrink)?;
    if out.exists() {
        return Err(SessionError::Session {
            reason: "the output is already there; give another --out".to_owned(),
            path: out.to_owned(),
        });
    }
    let mut told = None;
    let fill = |file: &mut File| {
        let mut archive = ZipWriter::new(file);
        let folder = format!("{}.kvlens", session.name());
        let mut put = |name: &str, bytes: &[u8]| {
            // dates of files would make other bytes each time
            let options = SimpleFileOptions::DEFAULT
                .compression_method(CompressionMethod::Stored)
                .large_file(bytes.len() as u64 >= u64::from(u32::MAX));
            archive
                .start_file(format!("{folder}/{name}"), options)
                .map_err(std::io::Error::from)
                .and_then(|()| archive.write_all(bytes))
                .io("write the file", out)
        };
        let (manifest, shrunk) = shrink_each(session, shrink, &mut put, on_sample, cancel)?;
        put(MANIFEST_FILE, &manifest.sealed()?)?;
        let finished = archive.finish().map_err(std::io::Error::from);
        finished.io("write the file", out)?;
        told = Some(shrunk);
        Ok(())
    };
    fill_file(out, fill, |_| Ok(()))?;
    told.ok_or_else(|| SessionError::Internal {
        reason: "a session was packed and told nothing".to_owned(),
    })
}

/// Writes the folder of a packed session. Gives the number of its samples; `on_sample` is told how many are unpacked,
/// and of how many.
///
/// # Errors
/// [`SessionError::Session`] for what is no packed session, one that was changed since it was packed, and an output
/// that is there; [`SessionError::Cancelled`]. What was unpacked is removed then.
pub fn unpack(
    file: &Path,
    out: &Path,
    on_sample: &mut dyn FnMut(usize, usize),
    cancel: &CancelFlag,
) -> Result<usize, SessionError> {
    let mut packed = Packed::open(file)?;
    let files = packed.sample_files()?;
    if out.exists() {
        return Err(SessionError::Session {
            reason: "the output is already there; give another --out".to_owned(),
            path: out.to_owned(),
        });
    }
    if let Some(parent) = out.parent() {
        std::fs::create_dir_all(parent).io("create the folder of the session", parent)?;
    }
    let _lock = OwnedLock::take(
        &out.with_added_extension("lock"),
        "another program unpacks a session to this place",
    )?;
    // of a program that was killed
    let aside = out.with_added_extension("partial");
    if aside.exists() {
        std::fs::remove_dir_all(&aside).io("remove what is left of an earlier run", &aside)?;
    }
    let samples = fill_new_folder(&aside, || {
        for (index, (name, sha256)) in files.iter().enumerate() {
            cancel.check()?;
            on_sample(index, files.len());
            packed.unpack(name, &aside.join(name), sha256)?;
        }
        write_file(&aside.join(MANIFEST_FILE), &packed.manifest_bytes)?;
        Ok(files.len())
    })?;
    std::fs::rename(&aside, out).io("put the session in its place", out)?;
    Ok(samples)
}

/// Whether a folder holds what a packed session holds, by their manifests.
///
/// # Errors
/// [`SessionError::Session`] for what is no packed session.
pub fn is_unpacked_in(file: &Path, folder: &Path) -> Result<bool, SessionError> {
    let packed = Packed::open(file)?;
    Ok(Manifest::read(folder).is_ok_and(|there| there == packed.manifest))
}

/// A packed session with its table of files.
struct Packed {
    path: PathBuf,
    archive: ZipArchive<BufReader<File>>,
    /// Their places in the archive.
    files: BTreeMap<String, usize>,
    manifest_bytes: Vec<u8>,
    manifest: Manifest,
}

impl Packed {
    fn open(path: &Path) -> Result<Self, SessionError> {
        let wrong = |reason: String| SessionError::Session {
            reason,
            path: path.to_owned(),
        };
        if !is_packed(path) {
            return Err(wrong("the file is no packed session".to_owned()));
        }
        let file = File::open(path).io("open the packed session", path)?;
        let length = file.metadata().io("open the packed session", path)?.len();
        let mut archive =
            ZipArchive::new(BufReader::new(file)).map_err(|error| wrong(damaged(&error)))?;
        let files = table(&mut archive, length).map_err(wrong)?;
        let &place = files.get(MANIFEST_FILE).ok_or_else(|| {
            wrong(format!(
                "the file is no packed session: it has no {MANIFEST_FILE}"
            ))
        })?;
        let manifest_bytes = manifest_bytes(&mut archive, place).map_err(wrong)?;
        let Found { manifest, changed } = Manifest::parse(&manifest_bytes).map_err(wrong)?;
        if let Some(what) = changed {
            return Err(wrong(format!(
                "{what} since it was packed; get the file again"
            )));
        }
        Ok(Self {
            path: path.to_owned(),
            archive,
            files,
            manifest_bytes,
            manifest,
        })
    }

    /// Name and SHA-256 of each sample's file: those that are there are those that the manifest names.
    fn sample_files(&self) -> Result<Vec<(String, String)>, SessionError> {
        let named = self
            .manifest
            .samples
            .iter()
            .filter_map(|entry| match &entry.state {
                SampleState::Finished { file, sha256, .. } => Some((file.clone(), sha256.clone())),
                _ => None,
            });
        let named: BTreeMap<String, String> = named.collect();
        let wrong = |reason: String| Err(self.wrong(reason));
        if let Some(name) = named.keys().find(|name| !self.files.contains_key(*name)) {
            return wrong(format!(
                "the packed session lacks '{name}'; get the file again"
            ));
        }
        let mut there = self.files.keys().filter(|name| *name != MANIFEST_FILE);
        if let Some(name) = there.find(|name| !named.contains_key(*name)) {
            return wrong(format!(
                "the packed session holds '{name}', which it does not name"
            ));
        }
        Ok(named.into_iter().collect())
    }

    fn unpack(&mut self, name: &str, to: &Path, sha256: &str) -> Result<(), SessionError> {
        let Some(&place) = self.files.get(name) else {
            return Err(self.wrong(format!("the packed session lacks '{name}'")));
        };
        let (path, archive) = (&self.path, &mut self.archive);
        let fill = |file: &mut File| {
            let entry = archive.by_index(place).map_err(std::io::Error::from);
            let mut entry = entry.io("read the packed session", path)?;
            std::io::copy(&mut entry, file).io("unpack the file", to)?;
            Ok(())
        };
        fill_file(to, fill, |copy| {
            require_sha256(&mut OpenedFile::open(copy)?, sha256)
        })
    }

    fn wrong(&self, reason: String) -> SessionError {
        SessionError::Session {
            reason,
            path: self.path.clone(),
        }
    }
}

fn damaged(error: &dyn std::fmt::Display) -> String {
    format!("the packed session is damaged ({error}); get the file again")
}

/// The files of an archive of `length` bytes, by their names in its one folder.
fn table(
    archive: &mut ZipArchive<BufReader<File>>,
    length: u64,
) -> Result<BTreeMap<String, usize>, String> {
    let mut files = BTreeMap::new();
    let mut folder: Option<String> = None;
    let mut bytes = 0_u64;
    if archive.len() > MOST_FILES {
        return Err(format!(
            "the packed session has more than {MOST_FILES} files"
        ));
    }
    for place in 0..archive.len() {
        let entry = archive
            .by_index_raw(place)
            .map_err(|error| damaged(&error))?;
        let whole = entry.name().map_err(|error| damaged(&error))?.into_owned();
        let shown = whole.escape_debug().to_string();
        let (inside, name) = whole.split_once('/').unwrap_or_default();
        if !is_plain(inside) {
            return Err(format!(
                "the packed session names '{shown}', which lies in no folder of it"
            ));
        }
        if folder.get_or_insert_with(|| inside.to_owned()) != inside {
            return Err("the packed session has more than one folder".to_owned());
        }
        if name.is_empty() {
            // the folder itself, as other programs write it
            continue;
        }
        if !is_plain(name) || entry.is_symlink() {
            return Err(format!(
                "the packed session points outside its folder, to '{shown}'"
            ));
        }
        let is_stored = entry.compression() == CompressionMethod::Stored && !entry.encrypted();
        if !is_stored || entry.size() != entry.compressed_size() {
            return Err(format!(
                "'{shown}' is compressed or encrypted; unpack the file by the program that packed it"
            ));
        }
        bytes = bytes.saturating_add(entry.size());
        if bytes > length {
            return Err("the files of the packed session are larger than itself".to_owned());
        }
        if files.insert(name.to_owned(), place).is_some() {
            return Err(format!("the packed session has '{shown}' twice"));
        }
    }
    Ok(files)
}

fn manifest_bytes(
    archive: &mut ZipArchive<BufReader<File>>,
    place: usize,
) -> Result<Vec<u8>, String> {
    let entry = archive.by_index(place).map_err(|error| damaged(&error))?;
    if entry.size() > MOST_BYTES {
        return Err(format!(
            "the manifest shall have {} bytes, more than the {MOST_BYTES} that one may have",
            entry.size()
        ));
    }
    let mut bytes = Vec::new();
    let read = entry.take(MOST_BYTES).read_to_end(&mut bytes);
    read.map_err(|error| damaged(&error))?;
    Ok(bytes)
}

/// Whether a name is one folder or file on every system.
fn is_plain(name: &str) -> bool {
    let mut parts = Path::new(name).components();
    let is_one = matches!(
        (parts.next(), parts.next()),
        (Some(Component::Normal(part)), None) if part == name
    );
    is_one && !name.contains(['/', '\\', ':']) && !name.contains(char::is_control)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_names_lead_nowhere_else() {
        for good in ["a", "sample-00000.safetensors", "..a", "größer"] {
            assert!(is_plain(good), "{good}");
        }
        for bad in [
            "", ".", "..", "/a", "a/b", "a/..", "..\\a", "C:a", "a\0", "a/", "./a",
        ] {
            assert!(!is_plain(bad), "{bad:?}");
        }
    }
}
