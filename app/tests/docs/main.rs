//! The pages with numbers (README.md and docs/) are made from `docs/templates` and from the tables in `docs/numbers`,
//! which `scripts/numbers.sh` measures. This holds every page to that; with `KVLENS_RENEW_DOCS=1` it writes them anew.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use minijinja::syntax::SyntaxConfig;
use minijinja::{Environment, Error, ErrorKind, UndefinedBehavior};

mod constants;
mod numbers;

/// The template and the page that it makes, from the root of the repository.
const PAGES: [(&str, &str); 9] = [
    ("README.md", "README.md"),
    ("definitions.md", "docs/definitions.md"),
    ("fidelity.md", "docs/fidelity.md"),
    ("judge-q.md", "sessions/builtin/demo/judge-q.md"),
    ("lookahead-kv.md", "sessions/builtin/demo/lookahead-kv.md"),
    ("real-model.md", "docs/real-model.md"),
    ("real-texts.md", "docs/real-texts.md"),
    ("recipes.md", "docs/recipes.md"),
    ("windows.md", "docs/windows.md"),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn render(template: &str) -> Result<String, Error> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_syntax(
        SyntaxConfig::builder()
            .trim_blocks(true)
            .lstrip_blocks(true)
            .keep_trailing_newline(true)
            .build()?,
    );
    environment.add_function("constant", constants::constant);
    numbers::add_to(&mut environment, &root().join("docs/numbers"));
    let path = root().join("docs/templates").join(template);
    let unread = |error: std::io::Error| Error::new(ErrorKind::TemplateNotFound, error.to_string());
    let source = fs::read_to_string(&path).map_err(unread)?;
    environment
        .template_from_named_str(template, &source)?
        .render(())
}

#[test]
fn every_page_is_what_its_template_and_the_measured_numbers_make() {
    let renew = std::env::var_os("KVLENS_RENEW_DOCS").is_some();
    let mut stale = Vec::new();
    for (template, page) in PAGES {
        let made = render(template).unwrap_or_else(|error| panic!("{template}: {error:#}"));
        let path = root().join(page);
        if fs::read_to_string(&path).ok().as_ref() == Some(&made) {
            continue;
        }
        match renew {
            true => fs::write(&path, &made).unwrap(),
            false => stale.push(page),
        }
    }
    assert!(
        stale.is_empty(),
        "{stale:?} are not what docs/templates and docs/numbers make; run this test with KVLENS_RENEW_DOCS=1"
    );
}

/// Folders of one machine.
const OF_A_MACHINE: [&[u8]; 6] = [
    b"/home/", b"/root/", b"/work/", b"/tmp/", b"/mnt/", b"/Users/",
];

fn files_below(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        match path.is_dir() {
            true => files.extend(files_below(&path)?),
            false => files.push(path),
        }
    }
    Ok(files)
}

/// Neither the pages nor the metadata of the tables say where things lay when they were measured.
#[test]
fn no_file_holds_a_path_of_a_machine() {
    let files = files_below(&root().join("docs")).unwrap();
    let tables = files
        .iter()
        .filter(|file| file.extension().is_some_and(|it| it == "parquet"));
    assert!(tables.count() > 20);
    for file in files {
        let bytes = fs::read(&file).unwrap();
        for path in OF_A_MACHINE {
            let held = bytes.windows(path.len()).any(|bytes| bytes == path);
            assert!(!held, "{} holds {}", file.display(), path.escape_ascii());
        }
    }
}
