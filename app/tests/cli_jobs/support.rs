//! Running the program and reading what it wrote.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use kvlens_analysis::tables::TableFile;

/// What a run of the program left behind.
#[derive(Debug)]
pub struct Ran {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

/// The program in `folder`, without any display.
pub fn kvlens(folder: &Path) -> Command {
    let mut command = Command::new(assert_cmd::cargo::cargo_bin!("kvlens"));
    command.current_dir(folder);
    for name in ["DISPLAY", "WAYLAND_DISPLAY", "WAYLAND_SOCKET"] {
        command.env_remove(name);
    }
    command
}

pub fn run(folder: &Path, arguments: &[&str]) -> Ran {
    let output = kvlens(folder).args(arguments).output().unwrap();
    Ran {
        code: output.status.code().expect("ended by itself"),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// Runs what must succeed.
pub fn run_ok(folder: &Path, arguments: &[&str]) -> Ran {
    let ran = run(folder, arguments);
    assert_eq!(ran.code, 0, "{arguments:?}: {ran:#?}");
    ran
}

/// The built-in model as a folder that a test may spoil.
pub fn model_copy(to: &Path) {
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("../sessions/builtin/demo");
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_file() {
            fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
    }
}

pub fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

pub fn read_table(folder: &Path, name: &str) -> TableFile {
    TableFile::read(&folder.join(name)).unwrap()
}

pub fn column_names(table: &TableFile) -> Vec<String> {
    table.columns().into_iter().map(|(name, _)| name).collect()
}

pub fn texts(table: &TableFile, column: &str) -> Vec<String> {
    let cells = table.text(column).unwrap().into_iter();
    cells.map(|cell| cell.expect("no missing text")).collect()
}

pub fn numbers(table: &TableFile, column: &str) -> Vec<f64> {
    let cells = table.numbers(column).unwrap().into_iter();
    cells.map(|cell| cell.expect("no missing number")).collect()
}

/// Every file below a folder with its bytes, to see that nothing changed.
pub fn snapshot(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                files.push((path.clone(), fs::read(&path).unwrap()));
            }
        }
    }
    files.sort();
    files
}

/// A damage that nothing but the file's hash tells: a bit of its last tensor.
pub fn flip_last_bit(file: &Path) {
    let mut bytes = fs::read(file).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(file, bytes).unwrap();
}
