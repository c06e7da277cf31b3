//! A command line to read and to copy.

use egui::{Frame, Label, RichText, Ui};

/// Draws the command in letters that can be read, broken where its dialog ends, below a button that copies it.
pub fn command_line_ui(ui: &mut Ui, line: &str) {
    ui.horizontal(|ui| {
        ui.label("The same from the command line");
        if ui.button("Copy command").clicked() {
            ui.ctx().copy_text(line.to_owned());
        }
    });
    Frame::new()
        .fill(ui.visuals().extreme_bg_color)
        .inner_margin(6.0)
        .corner_radius(3.0)
        .show(ui, |ui| {
            ui.set_min_width(ui.available_width());
            let text = RichText::new(line)
                .monospace()
                .color(ui.visuals().text_color());
            ui.add(Label::new(text).wrap().selectable(true));
        });
}
