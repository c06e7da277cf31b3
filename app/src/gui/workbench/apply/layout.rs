//! What commands about the window do.

use super::Workbench;
use crate::gui::command::LayoutCommand;
use crate::gui::layout::Layout;

/// How much one step enlarges, and how far one can go.
const ZOOM_STEP: f32 = 0.1;
const ZOOM_RANGE: std::ops::RangeInclusive<f32> = 0.5..=3.0;

impl Workbench {
    pub(super) fn apply_layout(&mut self, command: LayoutCommand, context: &egui::Context) {
        self.forget_written_layout();
        match command {
            LayoutCommand::ToggleCapturePanel => {
                self.settings.hide_capture = !self.settings.hide_capture;
            }
            LayoutCommand::TogglePane(pane) => self.layout.toggle(pane),
            LayoutCommand::ShowPane(pane) => self.layout.show(pane),
            LayoutCommand::UsePreset(preset) => self.layout = Layout::of(preset),
            LayoutCommand::ResetLayout => self.layout = Layout::default(),
            LayoutCommand::SetTheme(theme) => self.settings.theme = theme,
            LayoutCommand::TogglePresentation => self.toggle_presentation(context),
            LayoutCommand::Zoom(steps) => zoom(context, steps),
        }
    }
}

fn zoom(context: &egui::Context, steps: i32) {
    let factor = match steps {
        0 => 1.0,
        steps => context.zoom_factor() + ZOOM_STEP * steps as f32,
    };
    context.set_zoom_factor(factor.clamp(*ZOOM_RANGE.start(), *ZOOM_RANGE.end()));
}
