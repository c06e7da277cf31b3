//! A file dialog of the window's own, for machines whose desktop has none.

use std::path::{Path, PathBuf};

use egui::{Id, Key, Modal, ScrollArea, Ui};

use crate::gui::dialogs::Purpose;
use crate::gui::theme::Theme;
use crate::gui::widgets::path_field::path_field_in;

const WIDTH: f32 = 460.0;

/// Entries of a folder at most: more are not scrolled through.
const MOST_ENTRIES: usize = 2000;

/// Where one is, and what was found there.
pub struct Browser {
    purpose: Purpose,
    folder: PathBuf,
    /// Name to save under, or a path that is typed.
    typed: String,
    entries: Vec<Entry>,
    /// How many are there besides those that are listed.
    left_out: usize,
    /// Why the folder cannot be read.
    error: Option<String>,
}

struct Entry {
    name: String,
    is_folder: bool,
    /// Whether the folder is what was asked for.
    is_itself: bool,
}

/// What came of it in a frame.
pub enum Browsed {
    /// It stays open.
    Open,
    /// It was closed.
    Closed,
    /// A path was chosen.
    Chosen(Purpose, PathBuf),
}

impl Browser {
    /// Begins in a folder, or where the program was started; `name` is what to save under.
    #[must_use]
    pub fn new(purpose: Purpose, name: String, folder: Option<&Path>) -> Self {
        let here = || std::env::current_dir().unwrap_or_else(|_| PathBuf::from("/"));
        let folder = folder.filter(|folder| folder.is_dir());
        let folder = folder.map_or_else(here, |folder| {
            std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned())
        });
        let mut browser = Self {
            purpose,
            folder,
            typed: name,
            entries: Vec::new(),
            left_out: 0,
            error: None,
        };
        browser.read();
        browser
    }

    /// Reads the folder: what was asked for first, then other folders, then files, all by name.
    fn read(&mut self) {
        self.entries.clear();
        self.left_out = 0;
        self.error = None;
        let read = match std::fs::read_dir(&self.folder) {
            Ok(read) => read,
            Err(error) => {
                self.error = Some(error.to_string());
                return;
            }
        };
        let purpose = self.purpose;
        let entries = read.filter_map(Result::ok).map(|entry| Entry {
            name: entry.file_name().to_string_lossy().into_owned(),
            is_folder: entry.path().is_dir(),
            is_itself: is_itself(purpose, &entry.path()),
        });
        let mut entries: Vec<Entry> = entries
            .filter(|entry| !entry.name.starts_with('.'))
            .filter(|entry| entry.is_folder || takes_file(purpose, &entry.name))
            .collect();
        entries.sort_by(|a, b| {
            let first = |entry: &Entry| (entry.is_itself, entry.is_folder);
            first(b).cmp(&first(a)).then_with(|| a.name.cmp(&b.name))
        });
        self.left_out = entries.len().saturating_sub(MOST_ENTRIES);
        entries.truncate(MOST_ENTRIES);
        self.entries = entries;
    }

    fn enter(&mut self, folder: PathBuf) {
        self.folder = folder;
        self.read();
    }

    /// Draws it.
    pub fn show(&mut self, ui: &Ui, theme: &Theme) -> Browsed {
        // nothing beneath it says anything of what the pointer is on
        let dialog = Modal::new(Id::unique("file dialog"));
        let answer = dialog.show(ui.ctx(), |ui| {
            ui.set_width(WIDTH);
            let closed = title_ui(ui, title(self.purpose));
            let browsed = self.inside_ui(ui, theme);
            if closed { Browsed::Closed } else { browsed }
        });
        let is_left = answer.should_close();
        match answer.inner {
            Browsed::Open if is_left => Browsed::Closed,
            browsed => browsed,
        }
    }

    fn inside_ui(&mut self, ui: &mut Ui, theme: &Theme) -> Browsed {
        ui.horizontal(|ui| {
            let parent = self.folder.parent().map(Path::to_owned);
            let up = ui.add_enabled(parent.is_some(), egui::Button::new("Up"));
            if let Some(parent) = parent.filter(|_| up.clicked()) {
                self.enter(parent);
            }
            ui.add(egui::Label::new(self.folder.display().to_string()).truncate());
        });
        if let Some(error) = &self.error {
            ui.label(egui::RichText::new(error).color(theme.error));
        }
        let mut clicked = None;
        ScrollArea::vertical()
            .id_salt("files")
            .max_height(260.0)
            .auto_shrink(false)
            .show(ui, |ui| {
                for entry in &self.entries {
                    let sign = match (entry.is_itself, entry.is_folder) {
                        (true, _) => "✔",
                        (false, true) => "📁",
                        (false, false) => "    ",
                    };
                    let row = ui.selectable_label(false, format!("{sign} {}", entry.name));
                    if row.clicked() {
                        clicked = Some((entry.name.clone(), entry.is_folder));
                    }
                }
            });
        if self.left_out > 0 {
            ui.weak(format!(
                "{} more are not listed; type the path",
                self.left_out
            ));
        }
        let mut chosen = None;
        if let Some((name, is_folder)) = clicked {
            let path = self.folder.join(&name);
            match (is_folder, is_itself(self.purpose, &path)) {
                (true, true) => chosen = Some(path),
                (true, false) => self.enter(path),
                (false, _) => self.typed = name,
            }
        }
        ui.horizontal(|ui| {
            let name = ui.label(if saves(self.purpose) { "Name" } else { "Path" });
            let field = path_field_in(ui, &self.folder, "browsed", &mut self.typed, "", 280.0);
            let field = field.labelled_by(name.id);
            let entered = field.lost_focus() && ui.input(|input| input.key_pressed(Key::Enter));
            let text = if saves(self.purpose) {
                "Save"
            } else {
                "Choose"
            };
            if (ui.button(text).clicked() || entered) && !self.typed.trim().is_empty() {
                let path = self.folder.join(self.typed.trim());
                match path.is_dir() && !is_itself(self.purpose, &path) {
                    true => self.enter(path),
                    false => chosen = Some(path),
                }
            }
            let takes_folder = matches!(self.purpose, Purpose::Model);
            if takes_folder && ui.button("This folder").clicked() {
                chosen = Some(self.folder.clone());
            }
        });
        match chosen {
            Some(path) => Browsed::Chosen(self.purpose, path),
            None => Browsed::Open,
        }
    }
}

/// The title, and a button that closes the dialog; says whether it was clicked.
fn title_ui(ui: &mut Ui, title: &str) -> bool {
    let layout = egui::Layout::right_to_left(egui::Align::Center);
    let height = ui.spacing().interact_size.y;
    ui.allocate_ui_with_layout(egui::vec2(ui.available_width(), height), layout, |ui| {
        let close = ui.small_button("✖").on_hover_text("Close");
        close.widget_info(|| {
            egui::WidgetInfo::labeled(egui::Role::Button, true, "Close the file dialog")
        });
        ui.with_layout(egui::Layout::left_to_right(egui::Align::Center), |ui| {
            ui.heading(title);
        });
        close.clicked()
    })
    .inner
}

fn title(purpose: Purpose) -> &'static str {
    match purpose {
        Purpose::Session => "Open a session folder",
        Purpose::Beside => "Open a session folder beside",
        Purpose::Copy => "Save the session as",
        Purpose::Model => "Choose a checkpoint",
        Purpose::Prompts => "Choose a file of prompts",
        Purpose::Lesson => "Open a lesson",
        Purpose::Export => "Export the figure as",
    }
}

fn saves(purpose: Purpose) -> bool {
    matches!(purpose, Purpose::Copy | Purpose::Export)
}

/// Whether a folder is what was asked for, and not one to look into.
fn is_itself(purpose: Purpose, folder: &Path) -> bool {
    let has = |file: &str| folder.join(file).is_file();
    match purpose {
        Purpose::Session | Purpose::Beside => has("manifest.json"),
        Purpose::Model => has("config.json"),
        Purpose::Lesson => has("lesson.md"),
        Purpose::Copy | Purpose::Prompts | Purpose::Export => false,
    }
}

fn takes_file(purpose: Purpose, name: &str) -> bool {
    let ending = Path::new(name)
        .extension()
        .and_then(|ending| ending.to_str());
    let ending = ending.map(str::to_ascii_lowercase);
    let is = |known: &[&str]| {
        ending
            .as_deref()
            .is_some_and(|ending| known.contains(&ending))
    };
    match purpose {
        Purpose::Session | Purpose::Beside | Purpose::Copy => false,
        Purpose::Model => is(&["gguf"]),
        Purpose::Prompts => is(&["txt", "jsonl", "ndjson", "json", "parquet"]),
        Purpose::Lesson => is(&["md"]),
        Purpose::Export => is(&["svg", "pdf", "png"]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_come_first_and_only_what_fits_is_listed() {
        let folder = tempfile::tempdir().unwrap();
        for file in ["b.jsonl", "a.txt", "picture.jpg", ".hidden.txt"] {
            std::fs::write(folder.path().join(file), "").unwrap();
        }
        std::fs::create_dir(folder.path().join("z")).unwrap();
        let browser = Browser::new(Purpose::Prompts, String::new(), Some(folder.path()));
        let names: Vec<&str> = browser
            .entries
            .iter()
            .map(|entry| entry.name.as_str())
            .collect();
        assert_eq!(names, ["z", "a.txt", "b.jsonl"]);
        let run = folder.path().join("run.kvlens");
        std::fs::create_dir(&run).unwrap();
        assert!(!is_itself(Purpose::Session, &run));
        std::fs::write(run.join("manifest.json"), "{}").unwrap();
        assert!(is_itself(Purpose::Session, &run));
    }

    #[test]
    fn what_is_not_listed_is_counted() {
        let folder = tempfile::tempdir().unwrap();
        for index in 0..MOST_ENTRIES + 3 {
            std::fs::create_dir(folder.path().join(index.to_string())).unwrap();
        }
        let mut browser = Browser::new(Purpose::Model, String::new(), Some(folder.path()));
        assert_eq!((browser.entries.len(), browser.left_out), (MOST_ENTRIES, 3));
        browser.enter(folder.path().join("0"));
        assert_eq!(browser.left_out, 0);
    }

    #[test]
    fn nothing_beneath_it_answers_the_pointer() {
        let context = egui::Context::default();
        let mut browser = Browser::new(Purpose::Model, String::new(), None);
        let theme = Theme::of(&egui::Visuals::dark());
        for _ in 0..2 {
            let mut output = context.run_ui(egui::RawInput::default(), |ui| {
                assert!(matches!(browser.show(ui, theme), Browsed::Open));
            });
            output.textures_delta.clear();
        }
        let top = context.memory(|memory| memory.top_modal_layer());
        assert!(top.is_some(), "a view beneath would show its words over it");
    }

    #[test]
    fn a_folder_that_cannot_be_read_is_said() {
        let mut browser = Browser::new(Purpose::Model, String::new(), None);
        browser.enter(PathBuf::from("/no/such/folder"));
        assert!(browser.error.is_some() && browser.entries.is_empty());
    }
}
