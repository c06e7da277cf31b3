//! Opening a session and reading its samples one by one.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use kvlens_datasets::read_at_most;
use rayon::prelude::*;

use super::journal;
use super::manifest::{MANIFEST_FILE, MOST_BYTES, Manifest, SampleState};
use super::opened_file::OpenedFile;
use super::parts;
use super::sample_file::{CapturedSample, LayerRange, SampleHeader};
use super::sample_reader::{Part, SampleReader};
use super::verified::VerifiedFiles;
use crate::SessionError;
use crate::error::Context;
use crate::hash::sha256_hex;
use crate::plan::CapturePlan;

/// An open session. Only the manifest is read; samples are loaded when asked for.
#[derive(Debug, Clone)]
pub struct Session {
    path: PathBuf,
    name: String,
    manifest: Manifest,
    /// Places of the finished samples in the manifest.
    finished: Vec<usize>,
    verified: Arc<VerifiedFiles>,
    /// Folders of the parts, where it is in parts.
    parts: Vec<PathBuf>,
    missing: usize,
}

impl Session {
    /// Whether a folder is a session, or a session in parts.
    pub fn is_there(path: &Path) -> bool {
        path.join(MANIFEST_FILE).is_file() || !parts::part_folders(path).is_empty()
    }

    /// Opens a session folder. One whose samples were captured in parts is opened as the whole that they make.
    ///
    /// # Errors
    /// [`SessionError::Session`] for a folder that is no session, a damaged manifest, a newer format, or a
    /// manifest that points outside the folder.
    pub fn open(path: &Path) -> Result<Self, SessionError> {
        let parts = parts::part_folders(path);
        let (manifest, missing) = match parts.is_empty() {
            true => (Manifest::read(path)?, 0),
            false => {
                let joined = parts::read(path, &parts)?;
                (joined.manifest, joined.missing)
            }
        };
        let places = (0..).zip(&manifest.samples);
        let finished = places
            .filter(|(_, entry)| matches!(entry.state, SampleState::Finished { .. }))
            .map(|(place, _)| place)
            .collect();
        Ok(Self {
            path: path.to_owned(),
            name: name_of(path, &manifest),
            manifest,
            finished,
            verified: Arc::default(),
            parts,
            missing,
        })
    }

    /// The plan that a session was begun with, for whoever goes on with it: also of a manifest that was changed since it
    /// was written, which going on makes good.
    ///
    /// # Errors
    /// As [`open`](Self::open), but for that.
    pub fn begun_plan(path: &Path) -> Result<CapturePlan, SessionError> {
        Ok(Manifest::find(path)?.manifest.plan)
    }

    /// The folder's name without `.kvlens`; of a part, that of the session it is a part of.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What was captured, and how far it is.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// SHA-256 of the manifest, and of the journal where there is one, which hold those of all samples: what names the
    /// session's content.
    ///
    /// # Errors
    /// [`SessionError::Io`] when the manifest cannot be read any more.
    pub fn sha256(&self) -> Result<String, SessionError> {
        let mut bytes = Vec::new();
        for folder in self.folders() {
            let path = folder.join(MANIFEST_FILE);
            bytes.extend(read_at_most(&path, MOST_BYTES).io("read the session's manifest", &path)?);
            bytes.extend(journal::bytes(folder)?);
        }
        Ok(sha256_hex(&bytes))
    }

    /// The folders that hold its files: those of its parts, or its own.
    pub fn folders(&self) -> Vec<&Path> {
        match self.parts.is_empty() {
            true => vec![&self.path],
            false => self.parts.iter().map(PathBuf::as_path).collect(),
        }
    }

    /// Whether its samples lie in parts, which are written one by one.
    pub fn is_in_parts(&self) -> bool {
        !self.parts.is_empty()
    }

    /// Samples that are in no part, because their part was not begun; the manifest does not know them.
    pub fn missing_samples(&self) -> usize {
        self.missing
    }

    /// Finished samples.
    pub fn sample_count(&self) -> usize {
        self.finished.len()
    }

    /// Loads the finished sample number `index`, counted over finished samples only. An open session (its clones
    /// with it) hashes each file once, and again only when the file was changed since: when its length or the time of
    /// its last change differs.
    ///
    /// # Errors
    /// [`SessionError::Session`] for an index past the end, or for a file that is missing, truncated or not
    /// the one that the manifest was written for.
    pub fn load_sample(&self, index: usize) -> Result<CapturedSample, SessionError> {
        self.verified(index)?.sample(Part::Whole)
    }

    /// Opens a sample to load some of its layers at a time: the file is hashed once, as in
    /// [`load_sample`](Self::load_sample), and of its tensors no more is held than what is asked for.
    ///
    /// # Errors
    /// As [`load_sample`](Self::load_sample).
    pub fn open_sample(&self, index: usize) -> Result<OpenSample<'_>, SessionError> {
        let layers = self.manifest.shape.layers;
        Ok(OpenSample {
            reader: self.verified(index)?,
            layers,
        })
    }

    /// Loads of a sample what one key/value head of a layer needs: the sample as if the model had this layer only, with
    /// this key/value head and the H / G query heads that share it; all are number 0 there. Reads a L * G-th of
    /// the tensors, after the file was hashed once as in [`load_sample`](Self::load_sample).
    ///
    /// # Errors
    /// As [`load_sample`](Self::load_sample), and for a head that is not there.
    pub fn load_head_group(
        &self,
        index: usize,
        layer: usize,
        kv_head: usize,
    ) -> Result<CapturedSample, SessionError> {
        let shape = &self.manifest.shape;
        if layer >= shape.layers || kv_head >= shape.kv_heads {
            return Err(self.refused(format!(
                "the session has {} layers of {} key/value heads, no head {kv_head} in a layer {layer}",
                shape.layers, shape.kv_heads
            )));
        }
        self.verified(index)?
            .sample(Part::HeadGroup { layer, kv_head })
    }

    /// Reads what stands in a sample's file before its tensors, at most 100 MB, and checks that it fits the
    /// manifest. The tensors are neither read nor hashed: a damage in them is found by
    /// [`load_sample`](Self::load_sample) only.
    ///
    /// # Errors
    /// [`SessionError::Session`] for an index past the end, or for a file that is missing or whose header is damaged.
    pub fn load_record(&self, index: usize) -> Result<SampleHeader, SessionError> {
        let (path, _) = self.file_of(index)?;
        let file = OpenedFile::open(&path)?;
        Ok(SampleReader::new(file, &self.manifest.shape)?.into_header())
    }

    /// What is of use of each [record](Self::load_record), in the order of the samples; they are read on all cores.
    pub fn of_records<T: Send>(
        &self,
        of: impl Fn(SampleHeader) -> T + Send + Sync,
    ) -> Vec<Result<T, SessionError>> {
        let indices = (0..self.sample_count()).into_par_iter();
        indices
            .map(|index| self.load_record(index).map(&of))
            .collect()
    }

    /// Sees that a finished sample's file is the one that was written, and that its parts fit each other and the
    /// manifest. What was hashed before is not hashed again, see [`load_sample`](Self::load_sample).
    ///
    /// # Errors
    /// As [`load_sample`](Self::load_sample).
    pub fn check_sample(&self, index: usize) -> Result<SampleHeader, SessionError> {
        Ok(self.verified(index)?.into_header())
    }

    /// The file of a finished sample and its SHA-256.
    fn file_of(&self, index: usize) -> Result<(PathBuf, &str), SessionError> {
        let place = self.finished.get(index);
        let entry = place.and_then(|&place| self.manifest.samples.get(place));
        match entry.map(|entry| &entry.state) {
            Some(SampleState::Finished { file, sha256, .. }) => Ok((self.path.join(file), sha256)),
            _ => Err(self.refused(format!(
                "the session has {} finished samples, no number {index}",
                self.sample_count()
            ))),
        }
    }

    /// The file of a finished sample, found to be the one that was written.
    fn verified(&self, index: usize) -> Result<SampleReader<'_>, SessionError> {
        let (path, sha256) = self.file_of(index)?;
        SampleReader::new(self.verified.open(&path, sha256)?, &self.manifest.shape)
    }

    fn refused(&self, reason: String) -> SessionError {
        SessionError::Session {
            reason,
            path: self.path.clone(),
        }
    }
}

/// A finished sample whose file was found to be the one that was written, and is open.
pub struct OpenSample<'a> {
    reader: SampleReader<'a>,
    layers: usize,
}

impl OpenSample<'_> {
    /// What stands before its tensors.
    pub fn header(&self) -> &SampleHeader {
        self.reader.header()
    }

    /// The sample as if the model had `count` layers from layer `first` on, which are number 0 and up there; of the
    /// last layers as many as there are. [`CapturedSample::layers`] says which they are.
    ///
    /// # Errors
    /// [`SessionError::Session`] for a file that was changed since it was opened; [`SessionError::Internal`] for no
    /// layer.
    pub fn layers(&mut self, first: usize, count: usize) -> Result<CapturedSample, SessionError> {
        let of = self.layers;
        let count = count.min(of.saturating_sub(first));
        if count == 0 {
            return Err(SessionError::Internal {
                reason: format!("none of {of} layers from layer {first} on were asked for"),
            });
        }
        self.reader
            .sample(Part::Layers(LayerRange { first, count, of }))
    }
}

fn name_of(path: &Path, manifest: &Manifest) -> String {
    let absolute = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let file_name = absolute.file_name().unwrap_or_default().to_string_lossy();
    let is_part = manifest.plan.prompts.part.is_some() && parts::is_part_name(&file_name);
    let named = absolute.parent().filter(|_| is_part).unwrap_or(&absolute);
    named.file_stem().map_or_else(
        || path.display().to_string(),
        |stem| stem.to_string_lossy().into_owned(),
    )
}
