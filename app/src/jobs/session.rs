//! What is in a session, whether it is whole, and the folder of a packed one.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use kvlens_sessions::{
    KeptBytes, Manifest, SampleState, Session, is_packed, is_unpacked_in, unpack,
};
use serde::Serialize;

use super::failure::{Failure, stop_if_cancelled};
use super::{Cancel, Watch};

/// What is in a session. No tensor is read for it.
#[derive(Debug, Serialize)]
pub struct SessionInfo<'a> {
    /// The folder's name without `.kvlens`.
    pub name: &'a str,
    /// Bytes of all files of the folder.
    pub bytes: u64,
    /// Samples whose files are there.
    pub finished: usize,
    /// Samples that could not be captured.
    pub failed: usize,
    /// Samples that are still to be captured.
    pub pending: usize,
    /// T of the shortest and of the longest prompt; none without a finished sample.
    pub prompt_tokens: Option<[usize; 2]>,
    /// S of the shortest and of the longest decode stage.
    pub decode_tokens: Option<[usize; 2]>,
    /// What is kept of each sample, as `--keep` has it.
    pub keep: String,
    /// How many bytes of the samples' files are what.
    pub kept_bytes: KeptBytes,
    /// Where numbers were rounded to 16 bits: by how much that changed a token's importance at most, over all samples.
    pub largest_rounding: Option<f32>,
    /// Samples of which that cannot be told, because their file is missing or damaged.
    pub unreadable: usize,
    /// Everything else: plan, model, versions, the state of each sample.
    pub manifest: &'a Manifest,
}

/// Looks at an open session.
///
/// # Errors
/// A folder that cannot be looked into.
pub fn info(session: &Session) -> Result<SessionInfo<'_>> {
    let manifest = session.manifest();
    let (mut failed, mut pending) = (0, 0);
    let (mut prompt_tokens, mut decode_tokens) = (None, None);
    for entry in &manifest.samples {
        match &entry.state {
            SampleState::Finished {
                prompt_tokens: prompt,
                decode_tokens: decode,
                ..
            } => {
                widen(&mut prompt_tokens, *prompt);
                widen(&mut decode_tokens, *decode);
            }
            SampleState::Failed { .. } => failed += 1,
            SampleState::Pending => pending += 1,
        }
    }
    let records = session.of_records(|header| (header.kept, header.record.largest_rounding));
    let (kept, rounded): (Vec<KeptBytes>, Vec<Option<f32>>) = records.into_iter().flatten().unzip();
    Ok(SessionInfo {
        name: session.name(),
        bytes: session
            .folders()
            .into_iter()
            .map(folder_bytes)
            .sum::<Result<u64>>()?,
        finished: session.sample_count(),
        failed,
        pending: pending + session.missing_samples(),
        prompt_tokens,
        decode_tokens,
        keep: manifest.plan.keep().to_string(),
        unreadable: session.sample_count() - kept.len(),
        kept_bytes: kept.into_iter().sum(),
        largest_rounding: rounded.into_iter().flatten().reduce(f32::max),
        manifest,
    })
}

fn widen(range: &mut Option<[usize; 2]>, value: usize) {
    let [least, most] = range.unwrap_or([value; 2]);
    *range = Some([least.min(value), most.max(value)]);
}

fn folder_bytes(folder: &Path) -> Result<u64> {
    let said = || format!("the session cannot be looked into: {}", folder.display());
    let mut bytes = 0;
    for entry in fs::read_dir(folder).with_context(said)? {
        bytes += entry
            .and_then(|entry| entry.metadata())
            .with_context(said)?
            .len();
    }
    Ok(bytes)
}

/// Whether a session is whole.
#[derive(Debug, Serialize)]
pub struct SessionCheck {
    /// Samples whose files are those that were written and fit the manifest.
    pub whole: usize,
    /// The others.
    pub damaged: Vec<DamagedSample>,
    /// Samples that could not be captured.
    pub failed: usize,
    /// Samples that are still to be captured.
    pub pending: usize,
}

/// A finished sample that cannot be used.
#[derive(Debug, Serialize)]
pub struct DamagedSample {
    /// Its id.
    pub sample: String,
    /// A sentence.
    pub reason: String,
}

/// Hashes every finished sample of a session and holds its parts against each other and the manifest.
///
/// # Errors
/// [`Failure::Interrupted`] after a cancel.
pub fn check(session: &Session, watch: &mut dyn Watch, cancel: &Cancel) -> Result<SessionCheck> {
    let (count, states) = (session.sample_count(), &session.manifest().samples);
    let of = |wanted: fn(&SampleState) -> bool| {
        states.iter().filter(|entry| wanted(&entry.state)).count()
    };
    let mut check = SessionCheck {
        whole: 0,
        damaged: Vec::new(),
        failed: of(|state| matches!(state, SampleState::Failed { .. })),
        pending: of(|state| matches!(state, SampleState::Pending)),
    };
    for (index, entry) in session.manifest().finished().enumerate() {
        stop_if_cancelled(cancel, "stopped; a check changes nothing")?;
        watch.sample(index, count, &entry.id);
        let outcome = session.check_sample(index).map(|header| header.record.id);
        let reason = match outcome {
            Ok(id) if id == entry.id => None,
            Ok(id) => Some(format!("its file is that of another sample, '{id}'")),
            Err(error) => Some(error.to_string()),
        };
        match reason {
            None => check.whole += 1,
            Some(reason) => check.damaged.push(DamagedSample {
                sample: entry.id.clone(),
                reason,
            }),
        }
    }
    Ok(check)
}

/// Where a packed session lies once it is unpacked: beside it, under its name without `.zip`.
///
/// # Errors
/// [`Failure::BadInput`] for a name that ends otherwise.
pub fn unpacked_name(file: &Path) -> Result<PathBuf> {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    match name.strip_suffix(".zip").filter(|stem| !stem.is_empty()) {
        Some(stem) if stem.ends_with(".kvlens") => Ok(file.with_file_name(stem)),
        Some(stem) => Ok(file.with_file_name(format!("{stem}.kvlens"))),
        None => Err(Failure::BadInput(format!(
            "the name of a packed session ends in .zip; say by --out where to unpack it: {}",
            file.display()
        ))
        .into()),
    }
}

/// Where a packed session is read from: unpacked beside itself by its own name, or, where another session has that, such
/// as the one that it was packed from without its keys, as NAME-packed.kvlens.
pub struct UnpackedPlace {
    /// The folder.
    pub folder: PathBuf,
    /// Whether it was unpacked before.
    pub is_there: bool,
}

impl UnpackedPlace {
    /// Of a packed session.
    ///
    /// # Errors
    /// What is refused of a packed session; [`Failure::BadInput`] where other sessions have both names.
    pub fn of(path: &Path) -> Result<Self> {
        let own = unpacked_name(path)?;
        let stem = own.file_stem().unwrap_or_default().to_string_lossy();
        let other = own.with_file_name(format!("{stem}-packed.kvlens"));
        for folder in [own, other] {
            let is_there = folder.exists();
            if !is_there || is_unpacked_in(path, &folder)? {
                return Ok(Self { folder, is_there });
            }
        }
        Err(Failure::BadInput(format!(
            "other sessions lie where it would be unpacked; unpack it elsewhere by kvlens session unpack with --out: {}",
            path.display()
        ))
        .into())
    }

    /// The folder, which is filled from the packed session unless it was before; `on_sample` is told how many samples are
    /// unpacked, and of how many.
    ///
    /// # Errors
    /// What is refused of a packed session; a cancel.
    pub fn filled(
        self,
        path: &Path,
        on_sample: &mut dyn FnMut(usize, usize),
        cancel: &Cancel,
    ) -> Result<PathBuf> {
        if !self.is_there {
            unpack(path, &self.folder, on_sample, cancel)?;
        }
        Ok(self.folder)
    }
}

/// The session folder itself, or that of a packed session, as [`UnpackedPlace::filled`] gives it.
///
/// # Errors
/// As [`UnpackedPlace::of`] and [`UnpackedPlace::filled`].
pub fn session_folder(
    path: &Path,
    on_sample: &mut dyn FnMut(usize, usize),
    cancel: &Cancel,
) -> Result<PathBuf> {
    if !is_packed(path) {
        return Ok(path.to_owned());
    }
    UnpackedPlace::of(path)?.filled(path, on_sample, cancel)
}
