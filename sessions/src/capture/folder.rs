//! The session folder of a running capture.

use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use kvlens_datasets::{Sample, Samples};

use crate::SessionError;
use crate::error::Context;
use crate::files::OwnedLock;
use crate::hash::sha256_hex;
use crate::model::Model;
use crate::plan::CapturePlan;
use crate::store::{
    FORMAT_VERSION, Found, JOURNAL_FILE, Journal, LOCK_FILE, MANIFEST_FILE, Manifest, SampleEntry,
    SampleState, difference as another, found_in_file, remove_journal,
};
use crate::windows::ReadyWindow;

/// What to do with a session folder that is already there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StartMode {
    /// Refuse: nothing that is there is touched.
    New,
    /// Go on where it stopped, if the plan, the model and the samples are the same; begin if there is none.
    Resume,
    /// Remove an earlier session and begin anew. Anything else in the folder is refused.
    Replace,
}

/// A session folder with its manifest, kept in step with each other.
pub(crate) struct SessionFolder {
    path: PathBuf,
    manifest: Manifest,
    journal: Journal,
    /// Kept as long as the capture runs.
    _lock: OwnedLock,
}

impl SessionFolder {
    pub(crate) fn start(
        plan: &CapturePlan,
        model: &Model,
        windows: &[ReadyWindow],
        samples: Samples<'_>,
        out: &Path,
        mode: StartMode,
    ) -> Result<Self, SessionError> {
        let fresh = new_manifest(plan, model, windows, samples)?;
        if out.exists() && mode == StartMode::New {
            return Err(refused(
                out,
                "the output is already there; give another --out, or --resume to go on with it",
            ));
        }
        std::fs::create_dir_all(out).io("create the session folder", out)?;
        let lock = OwnedLock::take(
            &out.join(LOCK_FILE),
            "another capture is writing this session",
        )?;
        let manifest = match mode {
            StartMode::Resume if out.join(MANIFEST_FILE).is_file() => resumed(fresh, out)?,
            StartMode::New | StartMode::Resume => {
                clear(out)?;
                fresh
            }
            StartMode::Replace => {
                remove_session(out)?;
                fresh
            }
        };
        manifest.write(out)?;
        Ok(Self {
            path: out.to_owned(),
            manifest,
            journal: Journal::begin(out)?,
            _lock: lock,
        })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn is_finished(&self, index: usize) -> bool {
        let entry = self.manifest.samples.get(index);
        entry.is_some_and(|entry| matches!(entry.state, SampleState::Finished { .. }))
    }

    pub(crate) fn set_state(
        &mut self,
        index: usize,
        state: SampleState,
    ) -> Result<(), SessionError> {
        if let Some(entry) = self.manifest.samples.get_mut(index) {
            self.journal.add(index, &entry.id, &state)?;
            entry.state = state;
        }
        Ok(())
    }

    /// Ends the run: the manifest takes the journal over.
    pub(crate) fn close(self) -> Result<(), SessionError> {
        self.manifest.write(&self.path)?;
        remove_journal(&self.path)
    }
}

/// The manifest to go on with, if it is of the same capture: samples whose files are missing or damaged are to be
/// captured again. Of what was found only the samples' states are taken over, by their files; everything else is as
/// this program has it, so a manifest that was changed is made good.
fn resumed(fresh: Manifest, out: &Path) -> Result<Manifest, SessionError> {
    let Found { manifest, changed } = Manifest::find(out)?;
    if let Some(part) = difference(&manifest, &fresh) {
        let reason = format!(
            "the session was begun with another {part}, so it cannot be resumed; give another --out"
        );
        return Err(refused(out, &reason));
    }
    let mut samples = manifest.samples;
    for entry in &mut samples {
        if let SampleState::Finished { .. } = entry.state {
            let whole = found_in_file(out, entry, &fresh.shape, changed.is_some());
            entry.state = whole.unwrap_or(SampleState::Pending);
        }
    }
    Ok(Manifest {
        created_unix_secs: manifest.created_unix_secs,
        // what an older program did not write down of its samples is not claimed of them
        text_rules: manifest.text_rules.and(fresh.text_rules),
        samples,
        ..fresh
    })
}

/// What a session was begun with that is another now.
fn difference(found: &Manifest, fresh: &Manifest) -> Option<String> {
    let what = |what: &str| Some(what.to_owned());
    if found.device != fresh.device {
        return what("device or number format");
    }
    // the model may have been replaced by one of the same name and another shape, which is told as the model
    let found = Manifest {
        shape: fresh.shape.clone(),
        ..found.clone()
    };
    another(&found, fresh).or_else(|| match same_samples(&found, fresh) {
        true => None,
        false => what("set of samples"),
    })
}

fn new_manifest(
    plan: &CapturePlan,
    model: &Model,
    windows: &[ReadyWindow],
    samples: Samples<'_>,
) -> Result<Manifest, SessionError> {
    let entries = samples.iter().map(|sample| Ok(pending(&*sample?)));
    let since_1970 = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    Ok(Manifest {
        format_version: FORMAT_VERSION,
        kvlens_version: env!("CARGO_PKG_VERSION").to_owned(),
        created_unix_secs: since_1970.as_secs(),
        plan: plan.clone(),
        model: model.identity().clone(),
        window_weights_sha256: windows
            .iter()
            .map(|window| (window.label().to_owned(), window.loaded_weights_sha256()))
            .filter(|(_, loaded)| !loaded.is_empty())
            .collect(),
        text_rules: Some(model.text_rules(plan.chat)),
        shape: model.config().into(),
        device: model.device_name(),
        dtype: model.dtype_name().to_owned(),
        samples: entries.collect::<Result<_, SessionError>>()?,
    })
}

fn pending(sample: &Sample) -> SampleEntry {
    // a sample is plain text and numbers, which always have a JSON form
    let text = serde_json::to_vec(sample).unwrap_or_default();
    SampleEntry {
        id: sample.id.clone(),
        sample_sha256: sha256_hex(&text),
        state: SampleState::Pending,
    }
}

fn same_samples(found: &Manifest, fresh: &Manifest) -> bool {
    let identity = |manifest: &Manifest| -> Vec<(String, String)> {
        let entries = manifest.samples.iter();
        entries
            .map(|entry| (entry.id.clone(), entry.sample_sha256.clone()))
            .collect()
    };
    identity(found) == identity(fresh)
}

fn refused(path: &Path, reason: &str) -> SessionError {
    SessionError::Session {
        reason: reason.to_owned(),
        path: path.to_owned(),
    }
}

/// Removes what a run left that was stopped before there was a manifest; refuses a folder with anything else in it.
fn clear(folder: &Path) -> Result<(), SessionError> {
    for file in our_files(
        folder,
        "the output folder holds something that is no session",
    )? {
        let is_left_over = file.extension().is_some_and(|ending| ending == PARTIAL);
        if !is_left_over {
            let reason = "the output folder holds a part of a session without a manifest";
            return Err(refused(&file, reason));
        }
        std::fs::remove_file(&file).io("remove what an earlier run left", &file)?;
    }
    Ok(())
}

/// Removes the files of an earlier session; refuses to touch a folder with anything else in it.
fn remove_session(folder: &Path) -> Result<(), SessionError> {
    if !folder.join(MANIFEST_FILE).is_file() {
        return clear(folder);
    }
    let refusal =
        "the old session holds a file that KVLens did not write; remove it or give another --out";
    let mut files = our_files(folder, refusal)?;
    manifest_last(&mut files);
    for file in files {
        std::fs::remove_file(&file).io("remove the old session", &file)?;
    }
    Ok(())
}

/// Ends the name of a file that is on its way.
const PARTIAL: &str = "partial";

/// What a capture wrote into a folder, its lock apart; a `refusal` of anything else.
fn our_files(folder: &Path, refusal: &str) -> Result<Vec<PathBuf>, SessionError> {
    let is_ours = |name: &str| {
        let name = name.strip_suffix(".partial").unwrap_or(name);
        let is_sample = name.starts_with("sample-") && name.ends_with(".safetensors");
        is_sample || [MANIFEST_FILE, JOURNAL_FILE].contains(&name)
    };
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).io("look into the output folder", folder)? {
        let entry = entry.io("look into the output folder", folder)?;
        match entry.file_name().to_string_lossy() {
            name if name == LOCK_FILE => {}
            name if is_ours(&name) => files.push(entry.path()),
            _ => return Err(refused(&entry.path(), refusal)),
        }
    }
    Ok(files)
}

/// A removal that is interrupted leaves a session, whose manifest says what the files are, and not files of nobody.
fn manifest_last(files: &mut [PathBuf]) {
    files.sort();
    files.sort_by_key(|file| file.ends_with(MANIFEST_FILE));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_that_cannot_be_removed_whole_stays_a_session() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(MANIFEST_FILE), "{}").unwrap();
        std::fs::write(folder.path().join("sample-00000.safetensors"), "").unwrap();
        // a folder is no file that can be removed, so this is where it ends
        std::fs::create_dir(folder.path().join("sample-00001.safetensors")).unwrap();
        assert!(remove_session(folder.path()).is_err());
        assert!(folder.path().join(MANIFEST_FILE).is_file());
        assert!(!folder.path().join("sample-00000.safetensors").exists());
        std::fs::remove_dir(folder.path().join("sample-00001.safetensors")).unwrap();
        remove_session(folder.path()).unwrap();
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn the_manifest_goes_last_whatever_the_folder_lists_first() {
        let names = [
            "sample-00001.safetensors",
            MANIFEST_FILE,
            "sample-00000.safetensors",
        ];
        let mut files = names.map(PathBuf::from);
        manifest_last(&mut files);
        let expected = [
            "sample-00000.safetensors",
            "sample-00001.safetensors",
            MANIFEST_FILE,
        ];
        assert_eq!(files, expected.map(PathBuf::from));
    }
}
