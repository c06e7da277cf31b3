//! A button that puts numbers on the clipboard, as a table that a spreadsheet takes.

use egui::{Role, Ui, WidgetInfo};

/// Draws the button; `text` is made when it is pressed.
pub fn copy_button(ui: &mut Ui, name: &str, text: impl FnOnce() -> String) {
    let button = ui
        .small_button("Copy")
        .on_hover_text("Copy the numbers as a table, columns parted by tabs");
    button.widget_info(|| WidgetInfo::labeled(Role::Button, true, name));
    if button.clicked() {
        ui.ctx().copy_text(text());
    }
}
