//! A button that stays pressed, and looks like a button when it is not.

use egui::{Button, Response, Ui};

/// Draws the button; a click turns `on`.
pub fn toggle(ui: &mut Ui, on: &mut bool, text: &str) -> Response {
    // egui's own has no frame when it is off, and reads as plain text
    let mut button = ui.add(Button::selectable(*on, text).frame_when_inactive(true));
    if button.clicked() {
        *on = !*on;
        button.mark_changed();
    }
    button
}
