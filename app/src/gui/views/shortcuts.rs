//! The list of keys.

use egui::{Grid, Ui, Window};

use crate::gui::command::{Command, Commands, shortcuts};

/// Draws the list in a window of its own.
pub fn shortcuts_ui(ui: &Ui, commands: &mut Commands) {
    let mut open = true;
    Window::new("Keyboard shortcuts")
        .open(&mut open)
        .collapsible(false)
        .resizable(false)
        .anchor(egui::Align2::CENTER_CENTER, egui::Vec2::ZERO)
        .show(ui.ctx(), |ui| {
            Grid::new("shortcuts")
                .num_columns(2)
                .spacing([24.0, 6.0])
                .show(ui, |ui| {
                    for shortcut in shortcuts() {
                        ui.label(shortcut.text);
                        ui.monospace(ui.ctx().format_shortcut(&shortcut.keys));
                        ui.end_row();
                    }
                    for (gesture, keys) in [
                        ("Select one head", "click in the map"),
                        ("Add or remove heads", "Ctrl or Shift + click or drag"),
                        ("Select a block of heads", "drag in the map"),
                        ("Set the budget", "click or drag in the curves"),
                        ("Jump to a token", "click in the strip"),
                    ] {
                        ui.label(gesture);
                        ui.label(keys);
                        ui.end_row();
                    }
                });
        });
    if !open {
        commands.send(Command::ToggleShortcuts);
    }
}
