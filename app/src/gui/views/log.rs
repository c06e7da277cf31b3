//! Every message since the start; a toast goes, the log stays.

use egui::{RichText, ScrollArea, Ui};

use super::{PaneView, View, empty_hint};
use crate::gui::command::{Commands, ProgramCommand};
use crate::gui::layout::Pane;

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
            let lines: Vec<&str> = view
                .data
                .log
                .iter()
                .map(|line| line.text.as_str())
                .collect();
            ui.ctx().copy_text(lines.join("\n"));
        }
    });
    ScrollArea::vertical()
        .id_salt("log")
        .auto_shrink(false)
        .stick_to_bottom(true)
        .show(ui, |ui| {
            for message in &view.data.log {
                let (sign, color) = view.theme.severity(message.severity, ui.visuals());
                ui.horizontal_wrapped(|ui| {
                    ui.label(RichText::new(sign).color(color));
                    ui.label(RichText::new(&message.text).color(color));
                });
            }
        });
}
