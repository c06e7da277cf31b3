//! The sessions that were named: session folders themselves, or folders that hold some.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use kvlens_analysis::{Budget, SampleKey, distinct};
use kvlens_sessions::{SampleHeader, SampleRecord, SampleState, Session};
use sha2::{Digest, Sha256};

use super::budgets::SampleBudgets;
use super::failure::Failure;
use super::left_out::NONE_READ;
use crate::measurement::StageProgress;

/// Folders inside folders that are looked into for sessions.
const DEEPEST: usize = 8;

/// Sessions that were named or found.
pub struct FoundSessions {
    /// Those with a finished sample, in the order of their names.
    pub sessions: Vec<Session>,
    /// Folders of those without one that lie in a folder of sessions: their captures have just begun, or failed.
    pub unfinished: Vec<PathBuf>,
}

impl FoundSessions {
    /// The sessions, after a warning for each that is left out.
    #[must_use]
    pub fn tell(self, progress: &dyn StageProgress) -> Vec<Session> {
        for folder in &self.unfinished {
            progress.note(&format!(
                "warning: a session is left out, {NONE_FINISHED}: {}",
                folder.display()
            ));
        }
        self.sessions
    }
}

/// Every folder that is given or found, folders of sessions by name. A session that is named must have a finished
/// sample; of those in a folder, one must.
///
/// # Errors
/// [`Failure::BadInput`] for the same session twice, one without a finished sample, and a folder that
/// holds none; what a session refuses when it is opened.
pub fn open_sessions(paths: &[PathBuf]) -> Result<FoundSessions> {
    let mut found = FoundSessions {
        sessions: Vec::new(),
        unfinished: Vec::new(),
    };
    for path in paths {
        for folder in session_folders(path)? {
            let session = Session::open(&folder)?;
            let is_named = folder == *path;
            if found
                .sessions
                .iter()
                .any(|known| is_same(known.path(), session.path()))
            {
                return Err(bad_input("the session is named twice", &folder));
            }
            match session.sample_count() {
                0 if is_named => return Err(none_finished(&folder)),
                0 => found.unfinished.push(folder),
                _ => found.sessions.push(session),
            }
        }
    }
    match (found.sessions.is_empty(), found.unfinished.first()) {
        (true, Some(folder)) => Err(none_finished(folder)),
        _ => Ok(found),
    }
}

/// Said of a session without a finished sample.
const NONE_FINISHED: &str = "it has no finished sample";

fn none_finished(folder: &Path) -> anyhow::Error {
    let sentence = "the session has no finished sample; go on with its capture by --resume";
    bad_input(sentence, folder)
}

/// The folder itself where it is a session, or no folder: opening it then says what is wrong with it.
///
/// # Errors
/// [`Failure::BadInput`] for a folder that is no session and holds none.
fn session_folders(path: &Path) -> Result<Vec<PathBuf>> {
    if is_session(path) || !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut found = Vec::new();
    look_into(path, DEEPEST, &mut found)?;
    match found.is_empty() {
        true => Err(bad_input(
            "the folder is no KVLens session, and holds none",
            path,
        )),
        false => Ok(found),
    }
}

fn look_into(folder: &Path, deepest: usize, found: &mut Vec<PathBuf>) -> Result<()> {
    let entries = fs::read_dir(folder)
        .and_then(Iterator::collect::<std::io::Result<Vec<_>>>)
        .with_context(|| format!("the folder cannot be looked into: {}", folder.display()))?;
    let mut folders: Vec<PathBuf> = entries
        .into_iter()
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .map(|entry| entry.path())
        .collect();
    folders.sort();
    for inside in folders {
        if is_session(&inside) {
            found.push(inside);
        } else if deepest > 1 {
            look_into(&inside, deepest - 1, found)?;
        }
    }
    Ok(())
}

fn is_session(folder: &Path) -> bool {
    Session::is_there(folder)
}

fn is_same(a: &Path, b: &Path) -> bool {
    matches!((a.canonicalize(), b.canonicalize()), (Ok(a), Ok(b)) if a == b)
}

fn bad_input(sentence: &str, path: &Path) -> anyhow::Error {
    Failure::BadInput(format!("{sentence}: {}", path.display())).into()
}

/// What stands before the tensors of a session's first finished sample of which that can be read. It tells the windows,
/// where the plan may say `all`: every sample of a session was observed by the same ones.
///
/// # Errors
/// Where there is none: why it cannot be read of the first.
pub fn first_header(session: &Session) -> Result<SampleHeader> {
    let first = session.load_record(0);
    first.or_else(|error| {
        let mut others = 1..session.sample_count();
        let found = others.find_map(|index| session.load_record(index).ok());
        found.ok_or(error).context(NONE_READ)
    })
}

/// The windows of all sessions, each once.
///
/// # Errors
/// As [`first_header`].
pub fn window_labels(sessions: &[Session]) -> Result<Vec<String>> {
    let mut labels: Vec<String> = Vec::new();
    for session in sessions {
        let header = first_header(session)?;
        labels.extend(header.windows().iter().map(|window| window.label.clone()));
    }
    Ok(distinct(labels))
}

/// A budget that is larger than some prompts is left out there; one that fits none makes an empty table.
///
/// # Errors
/// [`Failure::BadInput`] for the latter.
pub fn refuse_useless_budgets(sessions: &[Session], budgets: &[Budget]) -> Result<()> {
    let longest = sessions
        .iter()
        .flat_map(|session| session.manifest().finished())
        .filter_map(|entry| match entry.state {
            SampleState::Finished { prompt_tokens, .. } => Some(prompt_tokens),
            SampleState::Pending | SampleState::Failed { .. } => None,
        })
        .max()
        .unwrap_or(0);
    if SampleBudgets::new(budgets, longest).applying.is_empty() {
        return Err(Failure::BadInput(format!(
            "every budget is larger than the longest prompt, which has {longest} tokens; give smaller --budgets"
        ))
        .into());
    }
    Ok(())
}

/// What a sample is, so that copies are known, also those in another session, and so that samples are paired that are
/// one document with the question elsewhere, or one prompt before another model.
pub fn sample_key(session: &Session, record: &SampleRecord) -> SampleKey {
    let manifest = session.manifest();
    let ids = |ids: &[u32]| -> Vec<u8> { ids.iter().flat_map(|id| id.to_le_bytes()).collect() };
    let prompt_ids = ids(&record.prompt_ids);
    let generated_ids = ids(&record.generated_ids);
    let mut content = vec![
        manifest.model.weights_sha256.as_bytes(),
        manifest.dtype.as_bytes(),
        &prompt_ids,
        &generated_ids,
    ];
    let mut prompt = vec![record.prompt.as_bytes()];
    // several questions may be asked after one prompt, and have one answer
    let question_ids = ids(record.question_ids());
    if let Some(later) = &record.asked_later {
        content.push(&question_ids);
        prompt.push(later.text.as_bytes());
    }
    SampleKey {
        content: short_hash(&content),
        document: record.document_and_question(),
        prompt: short_hash(&prompt),
    }
}

/// The first 16 hexadecimal digits of a hash of some parts, which is the same on every machine.
fn short_hash(parts: &[&[u8]]) -> String {
    let mut hasher = Sha256::new();
    for part in parts {
        // with its length, so that no two divisions into parts are alike
        hasher.update((part.len() as u64).to_le_bytes());
        hasher.update(part);
    }
    let digest = hasher.finalize();
    digest
        .iter()
        .take(8)
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_a_hash_are_kept_apart() {
        // hashlib.sha256(struct.pack("<Q", 1) + b"a" + struct.pack("<Q", 1) + b"b").hexdigest()[:16]
        assert_eq!(short_hash(&[b"a", b"b"]), "cf6ab613e3942391");
        assert_ne!(short_hash(&[b"ab", b""]), short_hash(&[b"a", b"b"]));
    }

    #[test]
    fn sessions_are_found_by_name_however_deep() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["b.kvlens", "runs/a.kvlens", "runs/tables"] {
            fs::create_dir_all(folder.path().join(name)).unwrap();
        }
        for name in ["b.kvlens", "runs/a.kvlens"] {
            fs::write(folder.path().join(name).join("manifest.json"), "{}").unwrap();
        }
        let found = session_folders(folder.path()).unwrap();
        let inside = |name: &str| folder.path().join(name);
        assert_eq!(found, [inside("b.kvlens"), inside("runs/a.kvlens")]);
        let refused = open_sessions(&[inside("runs/tables")]).err().unwrap();
        assert!(refused.to_string().contains("holds none"), "{refused}");
    }
}
