//! What commands about the window do.

use super::Workbench;
use crate::gui::command::LayoutCommand;
use crate::gui::layout::Layout;

impl Workbench {
    pub(super) fn apply_layout(&mut self, command: LayoutCommand) {
        self.written_layout = None;
        self.layout_was_set = true;
        match command {
            LayoutCommand::ToggleCapturePanel => {
                self.settings.hide_capture = !self.settings.hide_capture;
            }
            LayoutCommand::TogglePane(pane) => self.layout.toggle(pane),
            LayoutCommand::ShowPane(pane) => self.layout.show(pane),
            LayoutCommand::UsePreset(preset) => self.layout = Layout::of(preset),
            LayoutCommand::ResetLayout => self.layout = Layout::default(),
            LayoutCommand::SetTheme(theme) => self.settings.theme = theme,
        }
    }
}
