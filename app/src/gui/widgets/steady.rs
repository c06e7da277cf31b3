//! Widgets that stay the same ones whatever comes and goes above them.

use egui::{Id, Ui, UiBuilder};

/// Draws a part of a panel by a name that no other part has. egui tells widgets apart by how many stand before them: when
/// a line above went, the field that is typed in would be another one, and lose the focus.
pub fn steady<R>(ui: &mut Ui, name: &str, add: impl FnOnce(&mut Ui) -> R) -> R {
    let builder = UiBuilder::new().scope_id(Id::unique(("steady", name)));
    ui.scope_builder(builder, add).inner
}
