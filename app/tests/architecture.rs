//! Data runs one way: datasets -> sessions -> analysis -> app, and each heavy library has one home.
//! (`sessions` uses `analysis` for scores and rankings, never the other way.)

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, Package};

fn workspace() -> Metadata {
    MetadataCommand::new()
        .manifest_path(concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml"))
        .no_deps()
        .other_options(["--offline".to_owned()])
        .exec()
        .unwrap()
}

fn package<'a>(workspace: &'a Metadata, name: &str) -> &'a Package {
    let found = workspace
        .packages
        .iter()
        .find(|package| package.name.as_str() == name);
    found.unwrap_or_else(|| panic!("no package {name}"))
}

/// Everything that a package names in its Cargo.toml, for its code, its build or its tests.
fn dependencies(workspace: &Metadata, name: &str) -> BTreeSet<String> {
    let dependencies = package(workspace, name).dependencies.iter();
    dependencies
        .map(|dependency| dependency.name.clone())
        .collect()
}

fn own(dependencies: &BTreeSet<String>) -> Vec<&str> {
    let names = dependencies.iter().map(String::as_str);
    names.filter(|name| name.starts_with("kvlens")).collect()
}

#[test]
fn the_workspace_has_the_four_crates_and_no_other() {
    let workspace = workspace();
    let mut names: Vec<&str> = workspace
        .packages
        .iter()
        .map(|package| package.name.as_str())
        .collect();
    names.sort_unstable();
    assert_eq!(
        names,
        [
            "kvlens",
            "kvlens-analysis",
            "kvlens-datasets",
            "kvlens-sessions"
        ]
    );
}

#[test]
fn no_crate_imports_upward() {
    let workspace = workspace();
    let imports = |name| dependencies(&workspace, name);
    assert_eq!(own(&imports("kvlens-datasets")), Vec::<&str>::new());
    assert_eq!(own(&imports("kvlens-analysis")), Vec::<&str>::new());
    assert_eq!(
        own(&imports("kvlens-sessions")),
        ["kvlens-analysis", "kvlens-datasets"]
    );
    let app = imports("kvlens");
    assert_eq!(
        own(&app),
        ["kvlens-analysis", "kvlens-datasets", "kvlens-sessions"]
    );
}

#[test]
fn each_heavy_library_has_one_home() {
    let workspace = workspace();
    for (prefixes, home) in [
        (&["candle"][..], "kvlens-sessions"),
        (&["safetensors", "tokenizers"], "kvlens-sessions"),
        (&["polars"], "kvlens-analysis"),
        (&["egui", "eframe", "epaint", "rfd"], "kvlens"),
        (&["clap"], "kvlens"),
    ] {
        let users: Vec<&str> = workspace
            .packages
            .iter()
            .filter(|package| {
                let mut names = package
                    .dependencies
                    .iter()
                    .map(|dependency| &dependency.name);
                names.any(|name| prefixes.iter().any(|prefix| name.starts_with(prefix)))
            })
            .map(|package| package.name.as_str())
            .collect();
        assert_eq!(users, [home], "{prefixes:?}");
    }
}

#[test]
fn datasets_knows_text_and_chance_only() {
    let workspace = workspace();
    let names: Vec<&str> = package(&workspace, "kvlens-datasets")
        .dependencies
        .iter()
        .filter(|dependency| dependency.kind == DependencyKind::Normal)
        .map(|dependency| dependency.name.as_str())
        .collect();
    assert_eq!(
        names,
        [
            "rand_chacha",
            "serde",
            "serde_json",
            "sha2",
            "strsim",
            // where samples wait on disk
            "tempfile",
            "thiserror"
        ]
    );
}

/// Training switches off the sharing of matrix products between threads, in the one copy that candle uses.
#[test]
fn there_is_one_copy_of_the_matrix_product() {
    let lock = include_str!("../../Cargo.lock");
    assert_eq!(lock.matches("name = \"gemm\"\n").count(), 1);
}

/// The rooms of this crate, from the lowest; a room uses those before it and no other.
const ROOMS: [(&str, &[&str]); 7] = [
    ("demo", &[]),
    ("system_memory", &[]),
    ("measurement", &[]),
    ("jobs", &["measurement", "system_memory"]),
    ("cli", &["demo", "jobs", "measurement", "system_memory"]),
    ("gui", &["demo", "jobs", "measurement", "system_memory"]),
    ("window", &["gui", "jobs"]),
];

/// Libraries that the command line alone may name.
const LIBRARIES_OF_CLI: [&str; 4] = ["clap", "comfy_table", "indicatif", "ctrlc"];

/// Libraries that the window alone may name: those that come with its feature, so that the rest builds without them.
fn libraries_of_gui() -> Vec<String> {
    let workspace = workspace();
    let gui = &package(&workspace, "kvlens").features["gui"];
    let names = gui.iter().filter_map(|name| name.strip_prefix("dep:"));
    names.map(|name| name.replace('-', "_")).collect()
}

/// Every source file of a room, with its text.
fn sources(room: &str) -> Vec<(PathBuf, String)> {
    let src = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src"));
    let mut files = vec![src.join(format!("{room}.rs"))];
    let mut folders = vec![src.join(room)];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => folders.push(path),
                false => files.push(path),
            }
        }
    }
    let is_source = |path: &PathBuf| path.extension().is_some_and(|it| it == "rs");
    let files: Vec<_> = files
        .into_iter()
        .filter(|path| path.is_file() && is_source(path))
        .map(|path| (path.clone(), std::fs::read_to_string(&path).unwrap()))
        .collect();
    assert!(!files.is_empty(), "no room {room}");
    files
}

/// The lines of code, without comments.
fn code(text: &str) -> impl Iterator<Item = &str> {
    text.lines()
        .map(|line| line.split("//").next().unwrap_or_default())
}

/// Whether a line names `root::...` as the start of a path.
fn names_path(line: &str, root: &str) -> bool {
    let start = format!("{root}::");
    line.match_indices(&start).any(|(place, _)| {
        let before = line[..place].chars().next_back();
        !before.is_some_and(|letter| letter.is_alphanumeric() || letter == '_' || letter == ':')
    })
}

#[test]
fn every_room_uses_the_rooms_below_it_and_no_other() {
    for (room, below) in ROOMS {
        let others = ROOMS.map(|(other, _)| other);
        let forbidden = others
            .into_iter()
            .filter(|other| *other != room && !below.contains(other));
        let forbidden: Vec<String> = forbidden.map(|other| format!("crate::{other}")).collect();
        for (path, text) in sources(room) {
            for line in code(&text) {
                assert!(
                    !line.contains("use crate::{") && !line.contains("use super::super::super::{"),
                    "{}: name each room in a line of its own: {line}",
                    path.display()
                );
                for other in &forbidden {
                    let is_named = line.match_indices(other.as_str()).any(|(place, _)| {
                        let behind = line[place + other.len()..].chars().next();
                        !behind.is_some_and(|letter| letter.is_alphanumeric() || letter == '_')
                    });
                    assert!(!is_named, "{}: {line}", path.display());
                }
            }
        }
    }
}

#[test]
fn the_window_and_the_command_line_keep_their_libraries_to_themselves() {
    let of_gui = libraries_of_gui();
    assert!(of_gui.contains(&"egui".to_owned()), "{of_gui:?}");
    let of_cli = LIBRARIES_OF_CLI.map(str::to_owned).to_vec();
    for (home, libraries) in [("cli", of_cli), ("gui", of_gui)] {
        for (room, _) in ROOMS.iter().filter(|(room, _)| *room != home) {
            for (path, text) in sources(room) {
                for line in code(&text) {
                    for library in &libraries {
                        let is_named =
                            names_path(line, library) || line.trim() == format!("use {library};");
                        assert!(!is_named, "{}: {line}", path.display());
                    }
                }
            }
        }
    }
}

#[test]
fn paths_are_told_from_other_words() {
    assert!(names_path("use clap::Args;", "clap"));
    assert!(names_path("    x: &egui::Context,", "egui"));
    assert!(!names_path("use kvlens_egui::x", "egui"));
    assert!(!names_path("a::clap::b", "clap"));
}
