//! The presentation: one or two views, large, beside the lesson if one is given, and nothing else.

use egui::{Align, Label, Layout, RichText, Ui, ViewportCommand};

use super::Workbench;
use crate::gui::command::{Command, Commands, LayoutCommand};
use crate::gui::layout::Pane;
use crate::gui::views::View;
use crate::gui::views::tokens::place_of_reading;

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
        // the text is drawn in another place and in other rows, and shall not begin at its first again
        self.scroll_to = self.scroll_to.or_else(|| place_of_reading(context));
        self.zoomed_in_frame = context.cumulative_frame_nr() + 1;
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
        // while a step asks, the views of the one before stay as they were
        let step = self.lesson.as_ref().and_then(|open| {
            let shown = match open.asks() {
                Some(_) => open.step.checked_sub(1)?,
                None => open.step,
            };
            open.lesson.steps.get(shown)
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
    let share = |pane: &Pane| pane.view().presented_share();
    let all: f32 = panes.iter().map(share).sum();
    let room = ui.available_height();
    for pane in panes {
        let height = room * share(pane) / all;
        let size = egui::vec2(ui.available_width(), height - ui.spacing().item_spacing.y);
        let (rect, _) = ui.allocate_exact_size(size, egui::Sense::hover());
        let mut part = ui.new_child(egui::UiBuilder::new().id_salt(pane.name()).max_rect(rect));
        // a list that wants more than its part is scrolled, and takes nothing from the view below
        part.shrink_clip_rect(rect);
        title_ui(&mut part, view, *pane);
        pane.view().ui(&mut part, view, commands);
    }
}

/// What the view is, and of which sample at which budget.
fn title_ui(ui: &mut Ui, view: &View<'_>, pane: Pane) {
    ui.horizontal(|ui| {
        ui.label(RichText::new(pane.title()).heading());
        let Some((_, shown)) = view.shown() else {
            return;
        };
        let of = format!(
            "{} · budget {} tokens",
            shown.sample.record.id,
            view.derived.budget_tokens()
        );
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            ui.add(Label::new(RichText::new(of).weak()).truncate());
        });
    });
}
