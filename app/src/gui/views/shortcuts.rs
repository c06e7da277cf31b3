//! The list of keys.

use egui::{Grid, KeyboardShortcut, ModifierNames, Ui, Window};

use crate::gui::command::{Commands, ProgramCommand, shortcuts};

/// Draws the list in a window of its own.
pub fn shortcuts_ui(ui: &Ui, commands: &mut Commands) {
    let mut open = true;
    Window::new("Keyboard shortcuts")
        .open(&mut open)
        .collapsible(false)
        .resizable(false)
        .anchor(egui::Align2::CENTER_CENTER, egui::Vec2::ZERO)
        .vscroll(true)
        .max_height(ui.ctx().content_rect().height() - 80.0)
        .show(ui.ctx(), |ui| {
            Grid::new("shortcuts")
                .num_columns(2)
                .spacing([24.0, 6.0])
                .show(ui, |ui| {
                    for entry in shortcuts() {
                        let keys: Vec<String> = entry.keys.iter().map(keys_text).collect();
                        ui.label(entry.full_text());
                        ui.monospace(keys.join(", "));
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
        commands.send(ProgramCommand::ToggleShortcuts);
    }
}

/// Keys as they stand on the keyboard: `[` and not its name. Symbols that the fonts may lack stay names.
pub fn keys_text(keys: &KeyboardShortcut) -> String {
    let modifiers = ModifierNames::NAMES.format(&keys.modifiers, cfg!(target_os = "macos"));
    let symbol = keys.logical_key.symbol_or_name();
    let key = if symbol.is_ascii() {
        symbol
    } else {
        keys.logical_key.name()
    };
    if modifiers.is_empty() {
        key.to_owned()
    } else {
        format!("{modifiers}+{key}")
    }
}

#[cfg(test)]
mod tests {
    use egui::{Key, Modifiers};

    use super::*;

    #[test]
    fn keys_are_shown_as_on_the_keyboard() {
        let text = |modifiers, key| keys_text(&KeyboardShortcut::new(modifiers, key));
        assert_eq!(text(Modifiers::NONE, Key::OpenBracket), "[");
        assert_eq!(text(Modifiers::NONE, Key::Questionmark), "?");
        assert_eq!(text(Modifiers::NONE, Key::ArrowLeft), "Left");
        assert_eq!(text(Modifiers::CTRL, Key::O), "Ctrl+O");
    }
}
