//! Files that others hand over, damaged the same way in every run: for the tests of what reads them.

#[path = "../../datasets/tests/checked/damage.rs"]
mod damage;

use std::path::Path;

use damage::{Numbers, damaged, times};

/// How often a file is damaged.
const ROUNDS: u64 = 2_000;

/// Lets damaged forms of a text be read: what panics is found, and so is what refuses without a sentence.
pub fn each_form_is_read_or_refused(text: &str, read: impl Fn(&[u8]) -> Result<(), String>) {
    read(text.as_bytes()).unwrap();
    let mut numbers = Numbers::of(20);
    let mut refused = 0;
    for _ in 0..ROUNDS * times() {
        if let Err(sentence) = read(&damaged(text.as_bytes(), text.len(), &mut numbers)) {
            assert!(!sentence.is_empty());
            refused += 1;
        }
    }
    // or the damage tests nothing
    assert!(refused > ROUNDS * times() / 20, "{refused}");
}

/// The same of a file of this name. What is no file is refused as well: whoever opens a pipe waits, and a device has no
/// end.
pub fn each_is_read_or_refused(name: &str, text: &str, read: impl Fn(&Path) -> Result<(), String>) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    each_form_is_read_or_refused(text, |bytes| {
        std::fs::write(&path, bytes).unwrap();
        read(&path)
    });
    #[cfg(unix)]
    for put in no_files(&path) {
        std::fs::remove_file(&path).unwrap();
        put();
        assert!(!read(&path).unwrap_err().is_empty());
    }
}

/// Ways to put in a file's place what is none, the folder last.
#[cfg(unix)]
fn no_files(path: &Path) -> [Box<dyn Fn() + '_>; 3] {
    [
        Box::new(move || {
            let made = std::process::Command::new("mkfifo").arg(path).status();
            assert!(made.unwrap().success());
        }),
        Box::new(move || std::os::unix::fs::symlink("/dev/zero", path).unwrap()),
        Box::new(move || std::fs::create_dir(path).unwrap()),
    ]
}
