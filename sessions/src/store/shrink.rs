//! A smaller session from a larger one: without values or keys, or with 16-bit numbers.

use std::path::Path;

use super::manifest::{FORMAT_VERSION, Manifest, SampleState};
use super::merge::sample_file_name;
use super::new_folder::fill_new_folder;
use super::sample_file::write_sample;
use super::session::Session;
use crate::error::Context;
use crate::files::write_file;
use crate::half_format::HalfFormat;
use crate::hash::sha256_hex;
use crate::plan::{CapturePlan, Keep};
use crate::{CancelFlag, SessionError};

/// What is made smaller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shrink {
    /// What is left of each sample.
    pub keep: Keep,
    /// The format of keys, values and queries, where it becomes another.
    pub numbers: Option<HalfFormat>,
}

/// What became of a session.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Shrunk {
    /// Samples that were written.
    pub samples: usize,
    /// Bytes of their files before and after.
    pub bytes: [u64; 2],
    /// The largest change of a prompt token's importance at the decode stage (mean over steps, not pooled), over all
    /// samples, heads and tokens; 0 where no number was rounded.
    pub largest_change: f32,
}

/// Writes the session `out` with less of each sample; what is there stays as it is. `on_sample` is told how many are
/// done of how many.
///
/// # Errors
/// [`SessionError::Session`] for an output that is there, a session that is not finished or keeps less than is to be
/// left, a sample that is damaged; [`SessionError::Cancelled`]. What was
/// written is removed then.
pub fn shrink(
    session: &Session,
    out: &Path,
    shrink: Shrink,
    on_sample: &mut dyn FnMut(usize, usize),
    cancel: &CancelFlag,
) -> Result<Shrunk, SessionError> {
    require_can_shrink(session, shrink)?;
    fill_new_folder(out, || {
        let mut put = |name: &str, bytes: &[u8]| write_file(&out.join(name), bytes);
        let (manifest, told) = shrink_each(session, shrink, &mut put, on_sample, cancel)?;
        // last: it never tells of files that are not there
        manifest.write(out)?;
        Ok(told)
    })
}

/// Refuses a session of which not all of what is to be left is there.
pub(super) fn require_can_shrink(session: &Session, shrink: Shrink) -> Result<(), SessionError> {
    let refused = |reason: &str| {
        Err(SessionError::Session {
            reason: reason.to_owned(),
            path: session.path().to_owned(),
        })
    };
    let manifest = session.manifest();
    let mut states = manifest.samples.iter().map(|entry| &entry.state);
    if states.any(|state| *state == SampleState::Pending) || session.missing_samples() > 0 {
        return refused(
            "the session is not finished; go on with it by kvlens capture --resume first",
        );
    }
    let (kept, left) = (manifest.plan.keep(), shrink.keep);
    left.check_numbers(shrink.numbers)?;
    match (kept.holds(left), left.has_values()) {
        (true, _) => {}
        (false, true) => return refused("the session keeps no values that could be left"),
        (false, false) => {
            return refused(&format!(
                "the session keeps {kept} alone, of which {left} cannot be made"
            ));
        }
    }
    Ok(())
}

/// Takes a file's name and its bytes.
type PutFile<'a> = &'a mut dyn FnMut(&str, &[u8]) -> Result<(), SessionError>;

/// Gives the name and the bytes of each smaller sample to `put`, and then what goes with them.
pub(super) fn shrink_each(
    session: &Session,
    shrink: Shrink,
    put: PutFile<'_>,
    on_sample: &mut dyn FnMut(usize, usize),
    cancel: &CancelFlag,
) -> Result<(Manifest, Shrunk), SessionError> {
    let mut smaller = session.manifest().clone();
    smaller.format_version = FORMAT_VERSION;
    smaller.plan = CapturePlan {
        keep: Some(shrink.keep),
        numbers: shrink.numbers.or(smaller.plan.numbers),
        ..smaller.plan
    };
    let mut told = Shrunk {
        samples: 0,
        bytes: [0; 2],
        largest_change: 0.0,
    };
    let entries = smaller.samples.iter_mut().enumerate();
    let finished = entries.filter_map(|(place, entry)| match &mut entry.state {
        SampleState::Finished { file, sha256, .. } => Some((place, file, sha256)),
        _ => None,
    });
    for (index, (place, file, sha256)) in finished.enumerate() {
        cancel.check()?;
        on_sample(index, session.sample_count());
        let whole = session.load_sample(index)?;
        let mut part = whole.kept(shrink.keep)?;
        if let Some(numbers) = shrink.numbers {
            part = part.rounded(numbers)?;
            let change = part.record.largest_rounding.unwrap_or_default();
            told.largest_change = told.largest_change.max(change);
        }
        let before = session.path().join(file.as_str());
        // the samples of a session in parts lie in their part's folder
        *file = sample_file_name(place);
        let bytes = write_sample(&part, Path::new(file.as_str()))?;
        put(file.as_str(), &bytes)?;
        *sha256 = sha256_hex(&bytes);
        let before = std::fs::metadata(&before).io("look at a sample's file", &before)?;
        told.samples += 1;
        told.bytes[0] += before.len();
        told.bytes[1] += bytes.len() as u64;
    }
    Ok((smaller, told))
}
