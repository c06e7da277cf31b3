//! A row of choices of which exactly one holds.

use egui::{Response, Ui};

/// Draws the choices; gives the one that was clicked.
pub fn segmented<T: Copy + PartialEq>(
    ui: &mut Ui,
    current: T,
    choices: &[T],
    label: impl Fn(T) -> &'static str,
    describe: impl Fn(Response, T) -> Response,
) -> Option<T> {
    let mut clicked = None;
    ui.horizontal(|ui| {
        ui.spacing_mut().item_spacing.x = 2.0;
        for choice in choices {
            let button = ui.selectable_label(*choice == current, label(*choice));
            if describe(button, *choice).clicked() {
                clicked = Some(*choice);
            }
        }
    });
    clicked
}
