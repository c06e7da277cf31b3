//! What undo goes back over: what is looked at, and where the panes stand.

use super::Workbench;
use crate::gui::layout::Layout;
use crate::gui::state::Choices;

/// One step of undo.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Look {
    choices: Choices,
    /// As it is saved: without the places on the screen, which a resized window changes, and equal whatever the
    /// order in which its parts were made.
    layout: serde_json::Value,
}

impl Workbench {
    /// What is looked at now.
    pub(super) fn look(&self) -> Look {
        Look {
            choices: self.settings.choices.clone(),
            layout: serde_json::to_value(&self.layout).unwrap_or_default(),
        }
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
            && let Ok(layout) = serde_json::from_value::<Layout>(look.layout)
        {
            self.layout = layout;
        }
        let scored_otherwise = look.choices.measure != now.choices.measure;
        self.settings.choices = look.choices;
        if scored_otherwise {
            self.measure_again();
        }
    }
}
