//! Every message since the start; a toast goes, the log stays.

use std::path::Path;

use egui::{RichText, ScrollArea, Ui};

use super::{PaneView, SCROLLED_SHARE, View, empty_hint};
use crate::gui::command::{Commands, ProgramCommand};
use crate::gui::data::Message;
use crate::gui::layout::Pane;

/// Lines that are drawn at most.
const MOST_LINES: usize = 200;

impl Pane {
    /// Messages.
    pub const LOG: Self = Self::of(&LogView);
}

struct LogView;

impl PaneView for LogView {
    fn name(&self) -> &'static str {
        "Log"
    }

    fn title(&self) -> &'static str {
        "Log"
    }

    fn help(&self) -> &'static str {
        include_str!("../../../help/views/log.md")
    }

    fn presented_share(&self) -> f32 {
        SCROLLED_SHARE
    }

    fn ui(&self, ui: &mut Ui, view: &View<'_>, commands: &mut Commands) {
        log_ui(ui, view, commands);
    }
}

fn log_ui(ui: &mut Ui, view: &View<'_>, commands: &mut Commands) {
    if view.data.log.is_empty() {
        empty_hint(ui, "Messages will be kept here");
        return;
    }
    ui.horizontal(|ui| {
        if ui.button("Clear").clicked() {
            commands.send(ProgramCommand::ClearLog);
        }
        if ui.button("Copy").clicked() {
            let lines = view.data.log.iter();
            let lines: Vec<String> = lines
                .map(|line| format!("{} {}", line.time(), line.text))
                .collect();
            ui.ctx().copy_text(lines.join("\n"));
        }
    });
    // what one looks for is near the end
    let first = view.data.log.len().saturating_sub(MOST_LINES);
    if first > 0 {
        ui.weak(format!("{first} lines before these; Copy takes all"));
    }
    ScrollArea::vertical()
        .id_salt("log")
        .auto_shrink(false)
        .stick_to_bottom(true)
        .show(ui, |ui| {
            for message in view.data.log.iter().skip(first) {
                let (sign, color) = view.theme.severity(message.severity, ui.visuals());
                ui.horizontal_top(|ui| {
                    ui.label(RichText::new(message.time()).monospace().weak())
                        .on_hover_text("Time of day, UTC");
                    ui.label(RichText::new(sign).color(color));
                    // a long path breaks within its own column
                    ui.vertical(|ui| {
                        let text = RichText::new(&message.text).color(color);
                        ui.add(egui::Label::new(text).wrap());
                        folder_ui(ui, message);
                    });
                });
            }
        });
}

/// Opens the folder that a message names, in the desktop's own window.
fn folder_ui(ui: &mut Ui, message: &Message) {
    let Some(path) = &message.path else {
        return;
    };
    let is_session = path.extension().is_some_and(|ending| ending == "kvlens");
    let folder = match path.is_dir() && !is_session {
        true => Some(path.as_path()),
        false => path.parent(),
    };
    let Some(folder) = folder else { return };
    ui.horizontal(|ui| buttons_ui(ui, folder, path));
}

fn buttons_ui(ui: &mut Ui, folder: &Path, path: &Path) {
    let open = ui
        .small_button("Open folder")
        .on_hover_text(folder.display().to_string());
    if open.clicked() {
        let url = format!("file://{}", folder.display());
        ui.ctx().open_url(egui::OpenUrl::new_tab(url));
    }
    if ui.small_button("Copy path").clicked() {
        ui.ctx().copy_text(path.display().to_string());
    }
}
