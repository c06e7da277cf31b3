//! The sessions that were named: session folders themselves, or folders that hold some.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use kvlens_analysis::{Budget, SampleKey};
use kvlens_sessions::{CapturedSample, SampleState, Session};

use super::budgets::SampleBudgets;
use super::failure::Failure;

/// Folders inside folders that are looked into for sessions.
const DEEPEST: usize = 8;

/// Every folder that is given or found, folders of sessions by name; each must have a finished sample.
///
/// # Errors
/// [`Failure::BadInput`] for the same session twice, one without a finished sample, and a folder that
/// holds none; what a session refuses when it is opened.
pub fn open_sessions(paths: &[PathBuf]) -> Result<Vec<Session>> {
    let mut sessions: Vec<Session> = Vec::new();
    for path in paths {
        for folder in session_folders(path)? {
            let session = Session::open(&folder)?;
            if sessions
                .iter()
                .any(|known| is_same(known.path(), session.path()))
            {
                return Err(bad_input("the session is named twice", &folder));
            }
            if session.sample_count() == 0 {
                return Err(bad_input(
                    "the session has no finished sample; go on with its capture by --resume",
                    &folder,
                ));
            }
            sessions.push(session);
        }
    }
    Ok(sessions)
}

/// The folder itself where it is a session or holds none: opening it then says what is wrong with it.
fn session_folders(path: &Path) -> Result<Vec<PathBuf>> {
    if is_session(path) || !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut found = Vec::new();
    look_into(path, DEEPEST, &mut found)?;
    if found.is_empty() {
        found.push(path.to_owned());
    }
    Ok(found)
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
    folder.join("manifest.json").is_file()
}

fn is_same(a: &Path, b: &Path) -> bool {
    matches!((a.canonicalize(), b.canonicalize()), (Ok(a), Ok(b)) if a == b)
}

fn bad_input(sentence: &str, path: &Path) -> anyhow::Error {
    Failure::BadInput(format!("{sentence}: {}", path.display())).into()
}

/// The windows of all sessions, each once. The plan may say `all`, so a sample tells them: every sample of a
/// session was observed by the same windows.
///
/// # Errors
/// When a session's first sample cannot be read.
pub fn window_labels(sessions: &[Session]) -> Result<Vec<String>> {
    let mut labels: Vec<String> = Vec::new();
    for session in sessions {
        for window in session.load_sample(0)?.windows() {
            if labels.iter().all(|label| label != window.label()) {
                labels.push(window.label().to_owned());
            }
        }
    }
    Ok(labels)
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

/// Equal where two sessions ran the same sample, by the same model in the same number format, to the same decode stage.
pub fn pairing_key(session: &Session, index: usize, captured: &CapturedSample) -> SampleKey {
    let entry = session.manifest().finished().nth(index);
    let sample = entry.map_or("", |entry| entry.sample_sha256.as_str());
    let mut hasher = DefaultHasher::new();
    session.manifest().model.weights_sha256.hash(&mut hasher);
    session.manifest().dtype.hash(&mut hasher);
    captured.record.prompt_ids.hash(&mut hasher);
    captured.record.generated_ids.hash(&mut hasher);
    format!("{sample}-{:016x}", hasher.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

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
        let empty = inside("runs/tables");
        assert_eq!(
            session_folders(&empty).unwrap(),
            std::slice::from_ref(&empty)
        );
        assert!(open_sessions(&[empty]).is_err());
    }
}
