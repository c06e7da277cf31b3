//! A session in parts: a folder without a manifest of its own that holds `part-00000/`, `part-00001/`, ..., each a
//! session of its own with a part of the samples. It is read as the one session that all of them make.

use std::path::{Path, PathBuf};

use kvlens_datasets::SamplePart;

use super::manifest::{MANIFEST_FILE, Manifest, SampleState};
use super::same_capture::difference;
use crate::SessionError;

/// Begins the name of a part's folder.
const PREFIX: &str = "part-";

/// Parts that were found to be of one capture.
#[derive(Debug)]
pub(crate) struct Joined {
    /// As if all had been captured in one run; files are named by their part.
    pub(crate) manifest: Manifest,
    /// Samples that no part holds, because it was not begun.
    pub(crate) missing: usize,
}

/// Name of the folder of part number `index`.
pub fn part_name(index: usize) -> String {
    format!("{PREFIX}{index:05}")
}

/// Whether a folder's name is that of a part.
pub(crate) fn is_part_name(name: &str) -> bool {
    name.starts_with(PREFIX)
}

/// The folders of the parts that were begun, by name; none where the folder is no session in parts.
pub(crate) fn part_folders(folder: &Path) -> Vec<PathBuf> {
    if folder.join(MANIFEST_FILE).is_file() {
        return Vec::new();
    }
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut parts: Vec<PathBuf> = entries
        .filter(|entry| is_part_name(&entry.file_name().to_string_lossy()))
        .map(|entry| entry.path())
        .filter(|part| part.join(MANIFEST_FILE).is_file())
        .collect();
    parts.sort();
    parts
}

/// Reads parts of one folder as one session.
pub(crate) fn read(folder: &Path, parts: &[PathBuf]) -> Result<Joined, SessionError> {
    let named = parts.iter().map(|part| {
        let mut manifest = Manifest::read(part)?;
        let name = part.file_name().unwrap_or_default().to_string_lossy();
        for entry in &mut manifest.samples {
            if let SampleState::Finished { file, .. } = &mut entry.state {
                *file = format!("{name}/{file}");
            }
        }
        Ok(manifest)
    });
    join(named.collect::<Result<Vec<_>, SessionError>>()?).map_err(|reason| SessionError::Session {
        reason,
        path: folder.to_owned(),
    })
}

/// Joins the manifests of parts, in whatever order they come; a sentence where they do not belong together.
pub(crate) fn join(manifests: Vec<Manifest>) -> Result<Joined, String> {
    let mut parts: Vec<(SamplePart, Manifest)> = Vec::new();
    for manifest in manifests {
        let part = manifest.plan.prompts.part.ok_or_else(|| {
            "one of the sessions is whole and no part of one, so there is nothing to join it with; kvlens measure and figure take several sessions as they are"
                .to_owned()
        })?;
        if part.samples != manifest.samples.len() {
            return Err(format!(
                "a part shall have {} samples and has {}",
                part.samples,
                manifest.samples.len()
            ));
        }
        parts.push((part, manifest));
    }
    parts.sort_by_key(|(part, _)| part.first);
    let mut parts = parts.into_iter();
    let Some((first, mut joined)) = parts.next() else {
        return Err("there is no part to join".to_owned());
    };
    let mut held = first.samples;
    let mut end = first.end();
    let mut devices = vec![joined.device.clone()];
    for (part, manifest) in parts {
        if part.of != first.of {
            return Err(format!(
                "the parts are of {} samples and of {}",
                first.of, part.of
            ));
        }
        if part.first < end {
            return Err(format!("sample {} is in two parts", part.first + 1));
        }
        if let Some(what) = difference(&joined, &manifest) {
            return Err(format!("the parts were captured with another {what}"));
        }
        if !devices.contains(&manifest.device) {
            devices.push(manifest.device);
        }
        end = part.end();
        held += part.samples;
        joined.created_unix_secs = joined.created_unix_secs.min(manifest.created_unix_secs);
        joined.samples.extend(manifest.samples);
        // the last part read the data to their end
        joined.plan.read = manifest.plan.read;
    }
    joined.plan.prompts.part = None;
    devices.sort();
    joined.device = devices.join(", ");
    Ok(Joined {
        manifest: joined,
        missing: first.of.saturating_sub(held),
    })
}
