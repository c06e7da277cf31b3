//! Output folders: found unwritable before the work starts, filled aside, complete or not at all.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use directories::ProjectDirs;
use kvlens_sessions::Session;

use super::failure::Failure;

/// Begins the name of a folder that holds files of a run that has not ended.
pub const UNFINISHED_PREFIX: &str = ".kvlens-unfinished-";

/// Checks that `path`, which need not be there yet, can be created, without creating it.
///
/// # Errors
/// [`Failure::BadInput`] when what is there on the way to it is no folder or refuses new files.
pub fn check_can_create(path: &Path) -> Result<()> {
    let absolute = std::path::absolute(path)
        .with_context(|| format!("this is no usable output path: {}", path.display()))?;
    let there = existing(&absolute);
    let probe = there.join(format!(".kvlens-probe-{}", std::process::id()));
    fs::create_dir(&probe)
        .and_then(|()| fs::remove_dir(&probe))
        .map_err(|error| unwritable(path, &error))
}

/// Checks that a folder of tables or figures can be created, and is no session: a session would take them for damage.
///
/// # Errors
/// [`Failure::BadInput`] for a session's folder, and as [`check_can_create`].
pub fn check_output_folder(path: &Path) -> Result<()> {
    if Session::is_there(path) {
        return Err(Failure::BadInput(format!(
            "the output is a session's own folder; give another --out: {}",
            path.display()
        ))
        .into());
    }
    check_can_create(path)
}

/// The folder that is there and in which a path lies, or will.
#[must_use]
pub fn folder_above(path: &Path) -> PathBuf {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    existing(absolute.parent().unwrap_or(&absolute)).to_owned()
}

fn existing(absolute: &Path) -> &Path {
    let mut ancestors = absolute.ancestors();
    ancestors
        .find(|ancestor| ancestor.exists())
        .unwrap_or(absolute)
}

fn unwritable(path: &Path, error: &io::Error) -> anyhow::Error {
    Failure::BadInput(format!(
        "the output cannot be written ({error}); give another --out: {}",
        path.display()
    ))
    .into()
}

/// Where captures of the window go that were given no folder.
#[must_use]
pub fn sessions_folder() -> PathBuf {
    ProjectDirs::from("", "", "kvlens").map_or_else(
        || PathBuf::from("sessions"),
        |folders| folders.data_dir().join("sessions"),
    )
}

/// Files on their way into an output folder. Dropped without [`Staging::publish`], it leaves
/// everything as it was.
pub struct Staging {
    out: PathBuf,
    aside: PathBuf,
    /// Folders that were created on the way, deepest first.
    created: Vec<PathBuf>,
    /// Tells other runs that this one goes on, where the system can lock folders.
    _lock: Option<File>,
}

impl Staging {
    /// Creates `out` if needed, and a folder aside in it.
    ///
    /// # Errors
    /// [`Failure::BadInput`] when that cannot be done.
    pub fn begin(out: &Path) -> Result<Self> {
        let created = out
            .ancestors()
            .filter(|ancestor| !ancestor.as_os_str().is_empty())
            .take_while(|ancestor| !ancestor.exists())
            .map(Path::to_owned)
            .collect();
        remove_abandoned(out);
        let mut staging = Self {
            out: out.to_owned(),
            aside: out.join(format!("{UNFINISHED_PREFIX}{}", std::process::id())),
            created,
            _lock: None,
        };
        fs::create_dir_all(&staging.aside).map_err(|error| unwritable(out, &error))?;
        staging._lock = locked(&staging.aside);
        Ok(staging)
    }

    /// The folder to write files to for now.
    pub fn folder(&self) -> &Path {
        &self.aside
    }

    /// The output folder.
    pub fn target(&self) -> &Path {
        &self.out
    }

    /// Moves these files, all of them written, to the output folder. The last of them, which tells of the others, is
    /// away as long as files of this run and of an earlier one stand side by side.
    ///
    /// # Errors
    /// When one cannot be moved; those before it are in place.
    pub fn publish(mut self, names: &[impl AsRef<Path>]) -> Result<()> {
        if let Some(last) = names.last() {
            remove_if_there(&self.out.join(last))?;
        }
        for name in names {
            let target = self.out.join(name);
            fs::rename(self.aside.join(name), &target)
                .with_context(|| format!("a table cannot be put in place: {}", target.display()))?;
        }
        self.created.clear();
        Ok(())
    }
}

fn remove_if_there(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error)
            .with_context(|| format!("an earlier file cannot be removed: {}", path.display())),
        _ => Ok(()),
    }
}

/// The folder, if nobody else holds it.
fn locked(folder: &Path) -> Option<File> {
    let folder = File::open(folder).ok()?;
    folder.try_lock().ok()?;
    Some(folder)
}

/// Removes what killed runs left in an output folder.
fn remove_abandoned(out: &Path) {
    for entry in fs::read_dir(out).into_iter().flatten().flatten() {
        let name = entry.file_name();
        if name.to_string_lossy().starts_with(UNFINISHED_PREFIX)
            && let Some(_held) = locked(&entry.path())
        {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        // what cannot be tidied up is told by its name
        let _ = fs::remove_dir_all(&self.aside);
        for folder in &self.created {
            let _ = fs::remove_dir(folder);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_below_a_file_cannot_be_created() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        fs::write(&file, "x").unwrap();
        let error = check_can_create(&file.join("deep/out")).unwrap_err();
        assert!(matches!(error.downcast_ref(), Some(Failure::BadInput(_))));
        assert!(check_can_create(&folder.path().join("a/b/c")).is_ok());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[cfg(unix)]
    #[test]
    fn what_a_killed_run_left_is_removed_but_not_what_a_running_one_needs() {
        let folder = tempfile::tempdir().unwrap();
        let unfinished = |name: &str| folder.path().join(format!("{UNFINISHED_PREFIX}{name}"));
        for name in ["killed", "running"] {
            fs::create_dir(unfinished(name)).unwrap();
            fs::write(unfinished(name).join("x"), "1").unwrap();
        }
        let _running = locked(&unfinished("running")).unwrap();
        let staging = Staging::begin(folder.path()).unwrap();
        assert!(!unfinished("killed").exists());
        assert!(unfinished("running").join("x").exists());
        drop(staging);
    }

    #[test]
    fn published_files_stay_and_unpublished_ones_leave_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("a/b");
        let staging = Staging::begin(&out).unwrap();
        fs::write(staging.folder().join("x"), "1").unwrap();
        drop(staging);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);

        let staging = Staging::begin(&out).unwrap();
        fs::write(staging.folder().join("x"), "2").unwrap();
        staging.publish(&["x"]).unwrap();
        let names: Vec<_> = fs::read_dir(&out)
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        assert_eq!(names, ["x"]);
        assert_eq!(fs::read_to_string(out.join("x")).unwrap(), "2");
    }

    #[test]
    fn what_tells_of_the_tables_is_away_while_they_are_mixed() {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in [("about", "old"), ("b", "old")] {
            fs::write(folder.path().join(name), text).unwrap();
        }
        let staging = Staging::begin(folder.path()).unwrap();
        fs::write(staging.folder().join("a"), "new").unwrap();
        fs::write(staging.folder().join("about"), "new").unwrap();
        // 'b' was not written, as where a run is killed before it
        assert!(staging.publish(&["a", "b", "about"]).is_err());
        assert!(folder.path().join("a").exists());
        assert!(!folder.path().join("about").exists());
    }
}
