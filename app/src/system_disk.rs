//! What a disk has room for.

use std::path::Path;

use sysinfo::Disks;

/// Bytes that can still be written where a path is, or will be; nothing where it cannot be told.
#[must_use]
pub fn free_bytes(path: &Path) -> Option<u64> {
    let absolute = std::path::absolute(path).ok()?;
    let there = absolute.ancestors().find(|ancestor| ancestor.exists())?;
    let there = there.canonicalize().ok()?;
    let disks = Disks::new_with_refreshed_list().ok()?;
    let holding = disks.iter();
    let holding = holding.filter(|disk| there.starts_with(disk.mount_point()));
    // the innermost mount; of one over the other the later
    let holding = holding.max_by_key(|disk| disk.mount_point().components().count())?;
    // not every mount is listed, such as those in memory: of another one nothing is known
    is_on(&there, holding.mount_point()).then(|| holding.available_space())
}

#[cfg(unix)]
fn is_on(path: &Path, mount_point: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    let device = |path: &Path| path.metadata().map(|metadata| metadata.dev());
    matches!((device(path), device(mount_point)), (Ok(one), Ok(other)) if one == other)
}

#[cfg(not(unix))]
fn is_on(_path: &Path, _mount_point: &Path) -> bool {
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_is_not_there_yet_lies_on_the_disk_of_the_one_above() {
        let folder = tempfile::tempdir().unwrap();
        let free = free_bytes(folder.path());
        assert!(free.is_none_or(|bytes| bytes > 0));
        let inside = free_bytes(&folder.path().join("a/b"));
        assert_eq!(free.is_some(), inside.is_some());
    }
}
