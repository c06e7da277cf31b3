//! What undo goes back over: what is looked at, and where the panes stand.

use std::sync::Arc;

use egui::Event;
use serde::Deserialize as _;
use serde_json::Value;

use super::Workbench;
use crate::gui::layout::Layout;
use crate::gui::state::Choices;

/// One step of undo.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Look {
    choices: Choices,
    /// As it is saved: without the places on the screen, which a resized window changes, and equal whatever the
    /// order in which its parts were made.
    layout: Arc<Value>,
}

impl Workbench {
    /// What is looked at now.
    pub(super) fn look(&mut self) -> Look {
        let layout = self.written_layout.get_or_insert_with(|| {
            let written = serde_json::to_value(&self.layout);
            Arc::new(written.unwrap_or_default())
        });
        Look {
            choices: self.settings.choices.clone(),
            layout: Arc::clone(layout),
        }
    }

    /// Forgets how the layout is written where it may have changed: a drawn frame moves panes only by what came in,
    /// and not by a pointer that merely passes.
    pub(super) fn layout_may_have_moved(&mut self, context: &egui::Context) {
        let passes = |event: &Event| {
            matches!(
                event,
                Event::PointerMoved(_) | Event::PointerGone | Event::MouseMoved(_)
            )
        };
        let has_moved = context.input(|input| {
            input.pointer.any_down() || input.events.iter().any(|event| !passes(event))
        });
        if has_moved || std::mem::take(&mut self.layout_was_set) {
            self.written_layout = None;
        }
    }

    /// The panes were put elsewhere.
    pub(super) fn forget_written_layout(&mut self) {
        self.written_layout = None;
        self.layout_was_set = true;
    }

    pub(super) fn undo(&mut self) {
        let now = self.look();
        if let Some(look) = self.undoer.undo(&now).cloned() {
            self.restore(look, &now);
        }
    }

    pub(super) fn redo(&mut self) {
        let now = self.look();
        if let Some(look) = self.undoer.redo(&now).cloned() {
            self.restore(look, &now);
        }
    }

    fn restore(&mut self, look: Look, now: &Look) {
        if look.layout != now.layout
            && let Ok(layout) = Layout::deserialize(&*look.layout)
        {
            self.layout = layout;
            self.forget_written_layout();
        }
        let scored_otherwise = look.choices.measure != now.choices.measure;
        self.settings.choices = look.choices;
        if scored_otherwise {
            self.measure_again();
        }
    }
}
