//! Who imports whom inside the crate: the modules at its top can be put in one order, so each can be understood, and
//! one day built, without those above it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

type Imports = BTreeMap<String, BTreeSet<String>>;

fn sources(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

/// The code of a file without comments and without its tests, which may look at everything.
fn code(path: &Path) -> String {
    let text = std::fs::read_to_string(path).unwrap();
    let end = text.find("#[cfg(test)]\nmod tests").unwrap_or(text.len());
    let lines = text[..end].lines();
    let code: Vec<&str> = lines
        .filter(|line| !line.trim_start().starts_with("//"))
        .collect();
    code.join("\n")
}

fn word(text: &str) -> &str {
    let end = text.find(|c: char| !(c.is_alphanumeric() || c == '_'));
    &text[..end.unwrap_or(text.len())]
}

/// Names behind every `crate::`, also those in braces.
fn named(code: &str) -> Vec<String> {
    let mut names = Vec::new();
    for (place, text) in code.match_indices("crate::") {
        let rest = &code[place + text.len()..];
        match rest.strip_prefix('{') {
            Some(list) => {
                let list = list.split('}').next().unwrap();
                names.extend(list.split(',').map(|name| word(name.trim()).to_owned()));
            }
            None => names.push(word(rest).to_owned()),
        }
    }
    names
}

/// Which module each name of the crate's front comes from: `Needs` from `prefill`.
fn homes(front: &str) -> BTreeMap<String, String> {
    let mut homes = BTreeMap::new();
    for import in front.split("pub use ").skip(1) {
        let import = import.split(';').next().unwrap();
        let module = word(import);
        for name in import
            .split("::")
            .skip(1)
            .flat_map(|list| list.split([',', '{', '}']))
        {
            homes.insert(word(name.trim()).to_owned(), module.to_owned());
        }
    }
    homes
}

fn imports() -> Imports {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let homes = homes(&code(&root.join("lib.rs")));
    let mut files = Vec::new();
    sources(&root, &mut files);
    let module_of = |path: &Path| {
        let inside = path.strip_prefix(&root).unwrap().with_extension("");
        let first = inside.components().next().unwrap();
        first.as_os_str().to_str().unwrap().to_owned()
    };
    let modules: BTreeSet<String> = files.iter().map(|path| module_of(path)).collect();
    let mut imports = Imports::new();
    for path in &files {
        let module = module_of(path);
        if module == "lib" || path.ends_with("tests.rs") {
            continue;
        }
        let of_module = imports.entry(module.clone()).or_default();
        for name in named(&code(path)) {
            let home = homes.get(&name).cloned().unwrap_or(name);
            if modules.contains(&home) && home != module {
                of_module.insert(home);
            }
        }
    }
    imports
}

/// Everything that a module leans on, directly or not.
fn reached(imports: &Imports, from: &str) -> BTreeSet<String> {
    let mut reached = BTreeSet::new();
    let mut next = vec![from.to_owned()];
    while let Some(module) = next.pop() {
        for other in imports.get(&module).into_iter().flatten() {
            if reached.insert(other.clone()) {
                next.push(other.clone());
            }
        }
    }
    reached
}

#[test]
fn modules_import_each_other_in_one_direction() {
    let imports = imports();
    for needed in ["windows", "model", "capture", "prefill"] {
        assert!(
            imports[needed].len() > 1,
            "the reading of imports is broken"
        );
    }
    for module in imports.keys() {
        let circle = reached(&imports, module).contains(module);
        assert!(
            !circle,
            "'{module}' imports itself over others: {:?}",
            imports[module]
        );
    }
}
