//! Data runs one way: datasets -> sessions -> analysis -> app, and each heavy library has one home.
//! (`sessions` uses `analysis` for scores and rankings, never the other way.)

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]

use std::collections::BTreeSet;

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
        ["rand_chacha", "serde", "serde_json", "sha2", "thiserror"]
    );
}

/// Training switches off the sharing of matrix products between threads, in the one copy that candle uses.
#[test]
fn there_is_one_copy_of_the_matrix_product() {
    let lock = include_str!("../../Cargo.lock");
    assert_eq!(lock.matches("name = \"gemm\"\n").count(), 1);
}
