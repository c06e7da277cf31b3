//! What comes in: keys, dropped files, and paths that a dialog gave.

use std::path::PathBuf;

use egui::{Event, KeyboardShortcut};

use super::Workbench;
use super::dropped::dropped_command;
use crate::gui::command::{
    Action, CaptureCommand, Command, ExportCommand, JobCommand, LessonCommand, ProgramCommand,
    SessionCommand, shortcuts,
};
use crate::gui::data::Severity;
use crate::gui::dialogs::Purpose;
use crate::gui::export::ExportSettings;
use crate::gui::link::is_state;

impl Workbench {
    pub(super) fn take_path(&mut self, purpose: Purpose, path: PathBuf) {
        let mut capture = self.settings.capture.clone();
        let command: Command = match purpose {
            Purpose::Session => SessionCommand::OpenSession(path).into(),
            Purpose::Beside => SessionCommand::OpenBeside(path).into(),
            Purpose::Lesson => LessonCommand::OpenLesson(path).into(),
            Purpose::Copy => SessionCommand::SaveSessionAs(path).into(),
            Purpose::Model => {
                capture.model = path.display().to_string();
                CaptureCommand::EditCapture(Box::new(capture)).into()
            }
            Purpose::Export => ExportCommand::EditExport(ExportSettings {
                out: path.display().to_string(),
                ..self.settings.export.clone()
            })
            .into(),
            Purpose::Prompts => {
                capture.add_data(&path.display().to_string());
                CaptureCommand::EditCapture(Box::new(capture)).into()
            }
        };
        self.commands.send(command);
    }

    pub(super) fn take_dropped_files(&mut self, context: &egui::Context) {
        let dropped = context.input(|input| input.raw.dropped_files.clone());
        for file in dropped {
            match dropped_command(file.path(), &self.settings.capture) {
                Some(command) => self.commands.send(command),
                None => self.note(
                    Severity::Error,
                    format!(
                        "{} is no session, checkpoint or file of prompts",
                        file.path().display()
                    ),
                ),
            }
        }
    }

    pub(super) fn take_keys(&mut self, context: &egui::Context) {
        let typing = context.text_edit_focused();
        if !typing {
            self.take_pasted_links(context);
        }
        let focused = context.memory(|memory| memory.focused().is_some());
        for (keys, command) in keyed_commands() {
            // Keys without Ctrl belong to whatever has the focus; Ctrl+A and Ctrl+Z to a text field.
            let taken = if *command == Command::Job(JobCommand::CancelJobs) {
                self.escape_closes_something(context) || focused || self.data.jobs.is_empty()
            } else if keys.modifiers.command {
                typing && matches!(keys.logical_key, egui::Key::A | egui::Key::Z)
            } else {
                focused
            };
            if !taken && context.input_mut(|input| input.consume_shortcut(keys)) {
                self.commands.send(command.clone());
            }
        }
    }

    /// A link that is pasted where nothing is typed is followed.
    fn take_pasted_links(&mut self, context: &egui::Context) {
        let pasted = context.input(|input| {
            let mut pasted = input.events.iter().filter_map(|event| match event {
                Event::Paste(text) if is_state(text) => Some(text.clone()),
                _ => None,
            });
            pasted.next_back()
        });
        if let Some(link) = pasted {
            self.commands.send(ProgramCommand::FollowLink(link));
        }
    }

    /// Escape closes menus and windows, and leaves fields, as everywhere, before it stops jobs.
    fn escape_closes_something(&mut self, context: &egui::Context) -> bool {
        // the palette takes its own Escape, and a field that is left keeps it
        if self.palette.is_some() || !context.input(|input| input.key_pressed(egui::Key::Escape)) {
            return false;
        }
        if egui::Popup::is_any_open(context) {
            egui::Popup::close_all(context);
            return true;
        }
        let was_open = self.export_open
            || self.recipes_open
            || self.shortcuts_open
            || self.help.is_some()
            || self.confirmation.is_some()
            || self.browser.is_some();
        if !was_open && self.presentation.is_some() {
            self.toggle_presentation(context);
            return true;
        }
        self.confirmation = None;
        self.browser = None;
        self.export_open = false;
        self.recipes_open = false;
        self.shortcuts_open = false;
        self.help = None;
        was_open
    }
}

/// Every key with its command. Those with more modifiers come first: Ctrl+Shift+Z holds a Ctrl+Z.
fn keyed_commands() -> Vec<(&'static KeyboardShortcut, &'static Command)> {
    let keyed = shortcuts().iter().filter_map(|entry| match &entry.action {
        Action::Send(command) => Some(entry.keys.iter().map(move |keys| (keys, command))),
        Action::TypePath { .. } => None,
    });
    let mut keyed: Vec<_> = keyed.flatten().collect();
    keyed.sort_by_key(|(keys, _)| !keys.modifiers.shift);
    keyed
}
