//! Files that others hand over, damaged the same way in every run: for the tests of what reads them.

#[path = "../../datasets/tests/checked/damage.rs"]
mod damage;

use std::path::Path;

use damage::{Numbers, damaged};

/// How often a file is damaged.
const ROUNDS: usize = 2_000;

/// Writes damaged forms of a text to a file of this name and lets each be read: what panics is found, and so is what
/// refuses without a sentence.
pub fn each_is_read_or_refused(name: &str, text: &str, read: impl Fn(&Path) -> Result<(), String>) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, text).unwrap();
    read(&path).unwrap();
    let mut numbers = Numbers(20);
    let mut refused = 0;
    for _ in 0..ROUNDS {
        std::fs::write(&path, damaged(text.as_bytes(), &mut numbers)).unwrap();
        if let Err(sentence) = read(&path) {
            assert!(!sentence.is_empty());
            refused += 1;
        }
    }
    // or the damage tests nothing
    assert!(refused > ROUNDS / 20, "{refused}");
}
