//! A button that copies a view's numbers, for views where that is wanted often.

use egui::{Role, Ui, WidgetInfo};

use crate::gui::command::{Commands, ExportCommand};
use crate::gui::layout::Pane;

/// Draws the button.
pub fn copy_button(ui: &mut Ui, name: &str, pane: Pane, commands: &mut Commands) {
    let button = ui
        .small_button("Copy")
        .on_hover_text("Copy the numbers as a table, columns parted by tabs");
    button.widget_info(|| WidgetInfo::labeled(Role::Button, true, name));
    if button.clicked() {
        commands.send(ExportCommand::CopyNumbers(pane));
    }
}
