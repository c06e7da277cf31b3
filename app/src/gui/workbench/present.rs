//! The presentation: one or two views, large, beside the lesson if one is given, and nothing else.

use egui::{RichText, Ui, ViewportCommand};

use super::Workbench;
use crate::gui::command::{Command, Commands, LayoutCommand};
use crate::gui::layout::Pane;
use crate::gui::views::View;

/// How much larger everything is drawn, so that the last row of a room can read it.
const ENLARGED: f32 = 1.5;

/// Views at most.
const MOST_VIEWS: usize = 2;

/// What was before the presentation.
pub(super) struct Presentation {
    zoom_factor: f32,
}

impl Workbench {
    /// Begins the presentation, or ends it with everything as it was.
    pub(super) fn toggle_presentation(&mut self, context: &egui::Context) {
        let is_beginning = self.presentation.is_none();
        match self.presentation.take() {
            Some(before) => context.set_zoom_factor(before.zoom_factor),
            None => {
                let zoom_factor = context.zoom_factor();
                context.set_zoom_factor(zoom_factor * ENLARGED);
                self.presentation = Some(Presentation { zoom_factor });
            }
        }
        context.send_viewport_cmd(ViewportCommand::Fullscreen(is_beginning));
    }

    /// The views that are presented: those that the step of the lesson brings to the front, or else the one that was
    /// last brought there and the first of the others in sight. None while nothing is presented.
    pub(super) fn presented(&self) -> Vec<Pane> {
        if self.presentation.is_none() || self.data.session.is_none() {
            return Vec::new();
        }
        let visible = self.layout.visible();
        let step = self.lesson.as_ref().and_then(|open| {
            let step = open.lesson.steps.get(open.step)?;
            open.asks().is_none().then_some(step)
        });
        let commands = step.map_or(&[][..], |step| step.commands.as_slice());
        let mut wanted: Vec<Pane> = commands.iter().filter_map(shown_pane).collect();
        wanted.retain(|pane| visible.contains(pane));
        if wanted.is_empty() {
            wanted = self.layout.latest_first();
        }
        wanted.truncate(MOST_VIEWS);
        wanted
    }
}

fn shown_pane(command: &Command) -> Option<Pane> {
    match command {
        Command::Layout(LayoutCommand::ShowPane(pane)) => Some(*pane),
        _ => None,
    }
}

/// Draws the views below each other, each under its title.
pub(super) fn present_ui(ui: &mut Ui, view: &View<'_>, panes: &[Pane], commands: &mut Commands) {
    let height = ui.available_height() / panes.len().max(1) as f32;
    for pane in panes {
        let size = egui::vec2(ui.available_width(), height - ui.spacing().item_spacing.y);
        ui.allocate_ui(size, |ui| {
            ui.set_min_size(size);
            ui.label(RichText::new(pane.title()).heading());
            pane.view().ui(ui, view, commands);
        });
    }
}
