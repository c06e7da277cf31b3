//! A field for a path: it shows what there is under what was typed so far, and Tab completes it as a shell does.

use std::path::{MAIN_SEPARATOR, Path, PathBuf};

use egui::text::{CCursor, CCursorRange};
use egui::text_edit::TextEditState;
use egui::{Align2, Id, Key, Modifiers, Response, TextEdit, TextWrapMode, Ui};
use kvlens_sessions::model::ModelSource;

/// Names that are shown at most.
const MOST_SHOWN: usize = 8;

/// Entries of a folder that are looked at: one with more is typed faster than it is read.
const MOST_READ: usize = 4096;

/// What is offered of what there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Offered {
    Everything,
    /// Folders and GGUF files; nothing where the name of the built-in model was typed.
    Models,
}

impl Offered {
    fn has(self, path: &str) -> bool {
        match self {
            Self::Everything => true,
            Self::Models => path.ends_with(MAIN_SEPARATOR) || path.ends_with(".gguf"),
        }
    }
}

/// Draws the field, so wide, for paths from where the program was started.
pub fn path_field(ui: &mut Ui, name: &str, text: &mut String, hint: &str, width: f32) -> Response {
    path_field_in(ui, Path::new("."), name, text, hint, width)
}

/// The same for a model: the built-in one, a folder, or a GGUF file.
pub fn model_field(ui: &mut Ui, name: &str, text: &mut String, hint: &str, width: f32) -> Response {
    field(
        ui,
        (Path::new("."), Offered::Models),
        name,
        text,
        hint,
        width,
    )
}

/// The same for paths from a folder.
pub fn path_field_in(
    ui: &mut Ui,
    base: &Path,
    name: &str,
    text: &mut String,
    hint: &str,
    width: f32,
) -> Response {
    field(ui, (base, Offered::Everything), name, text, hint, width)
}

fn field(
    ui: &mut Ui,
    (base, offered): (&Path, Offered),
    name: &str,
    text: &mut String,
    hint: &str,
    width: f32,
) -> Response {
    let id = Id::unique(("path field", name));
    let has_focus = ui.memory(|memory| memory.has_focus(id));
    let is_built_in = matches!(ModelSource::from(text.clone()), ModelSource::Demo);
    let is_whole = offered == Offered::Models && is_built_in;
    let mut found = match has_focus && !text.is_empty() && !is_whole {
        true => remembered(ui, id, base, text),
        false => Vec::new(),
    };
    found.retain(|path| offered.has(path));
    // where there is nothing to complete, Tab goes on to the next field
    let completes = found.iter().any(|path| path != text);
    if completes && ui.input_mut(|input| input.consume_key(Modifiers::NONE, Key::Tab)) {
        *text = common_start(&found);
        let mut state = TextEditState::load(ui.ctx(), id).unwrap_or_default();
        let end = CCursorRange::one(CCursor::new(text.chars().count()));
        state.cursor.set_char_range(Some(end));
        state.store(ui.ctx(), id);
    }
    let field = TextEdit::singleline(text)
        .id(id)
        .hint_text(hint)
        .desired_width(width)
        .align(Align2::LEFT_CENTER)
        .lock_focus(completes);
    let response = ui.add(field);
    if completes && response.has_focus() {
        response.show_tooltip_ui(|ui| {
            ui.style_mut().wrap_mode = Some(TextWrapMode::Extend);
            for path in found.iter().take(MOST_SHOWN) {
                ui.monospace(last_part(path));
            }
            let more = found.len().saturating_sub(MOST_SHOWN);
            ui.weak(match more {
                0 => "Tab completes".to_owned(),
                more => format!("and {more} more; Tab completes"),
            });
        });
    }
    response
}

/// The completions of a text; the disk is asked once for each text.
fn remembered(ui: &Ui, id: Id, base: &Path, text: &str) -> Vec<String> {
    let of = (base.to_owned(), text.to_owned());
    let known: Option<((PathBuf, String), Vec<String>)> = ui.data(|data| data.get_temp(id));
    if let Some((known, found)) = known
        && known == of
    {
        return found;
    }
    let found = completions(base, text);
    ui.data_mut(|data| data.insert_temp(id, (of, found.clone())));
    found
}

/// What there is whose path from the base begins with the text, by name; a folder ends with a separator unless it is a session. Hidden
/// ones only where their dot was typed.
fn completions(base: &Path, text: &str) -> Vec<String> {
    let (folder, start) = match text.rfind(MAIN_SEPARATOR) {
        Some(at) => text.split_at(at + MAIN_SEPARATOR.len_utf8()),
        None => ("", text),
    };
    // what cannot be read has nothing to show; opening it says why
    let entries = std::fs::read_dir(base.join(folder))
        .into_iter()
        .flatten()
        .flatten();
    let mut found: Vec<String> = entries
        .take(MOST_READ)
        .filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            let is_shown =
                name.starts_with(start) && (start.starts_with('.') || !name.starts_with('.'));
            is_shown.then(|| {
                let path = entry.path();
                let is_session = path.extension().is_some_and(|ending| ending == "kvlens");
                match path.is_dir() && !is_session {
                    true => format!("{folder}{name}{MAIN_SEPARATOR}"),
                    false => format!("{folder}{name}"),
                }
            })
        })
        .collect();
    found.sort();
    found
}

/// What all of them begin with.
fn common_start(paths: &[String]) -> String {
    let Some((first, others)) = paths.split_first() else {
        return String::new();
    };
    let common = others.iter().fold(first.chars().count(), |common, other| {
        let same = first.chars().zip(other.chars()).take_while(|(a, b)| a == b);
        common.min(same.count())
    });
    first.chars().take(common).collect()
}

/// The name without the folder that it is in.
fn last_part(path: &str) -> String {
    let name = Path::new(path).file_name();
    let name = name.map_or(path.into(), |name| name.to_string_lossy());
    match path.ends_with(MAIN_SEPARATOR) {
        true => format!("{name}{MAIN_SEPARATOR}"),
        false => name.into_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_there_is_completes_a_path() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["run-a.kvlens", "runs", ".hidden"] {
            std::fs::create_dir(folder.path().join(name)).unwrap();
        }
        std::fs::write(folder.path().join("prompts.jsonl"), "").unwrap();
        let root = format!("{}{MAIN_SEPARATOR}", folder.path().display());
        let all = |names: &[&str]| -> Vec<String> {
            names.iter().map(|name| format!("{root}{name}")).collect()
        };
        let runs = format!("runs{MAIN_SEPARATOR}");
        let here = Path::new(".");
        assert_eq!(
            completions(here, &root),
            all(&["prompts.jsonl", "run-a.kvlens", &runs])
        );
        let found = completions(here, &format!("{root}r"));
        assert_eq!(found, all(&["run-a.kvlens", &runs]));
        assert_eq!(common_start(&found), format!("{root}run"));
        assert_eq!(
            completions(here, &format!("{root}.h")),
            all(&[&format!(".hidden{MAIN_SEPARATOR}")])
        );
        assert_eq!(completions(here, &format!("{root}nothing/x")), [""; 0]);
        assert_eq!(completions(folder.path(), "p"), ["prompts.jsonl"]);
        // of models a folder or a GGUF file
        let is_offered = ["runs/", "small.gguf", "demo.log"].map(|path| Offered::Models.has(path));
        assert_eq!(is_offered, [true, true, false]);
        assert!(Offered::Everything.has("demo.log"));
        assert_eq!(common_start(&[]), "");
        assert_eq!(last_part(&found[0]), "run-a.kvlens");
        assert_eq!(last_part(&found[1]), runs);
    }
}
