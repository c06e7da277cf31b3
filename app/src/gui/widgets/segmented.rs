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
    let mut row = |ui: &mut Ui| {
        for choice in choices {
            let button = ui.selectable_label(*choice == current, label(*choice));
            if describe(button, *choice).clicked() {
                clicked = Some(*choice);
            }
        }
    };
    // a row of its own would not break where the row around it does
    if ui.layout().main_wrap() {
        row(ui);
    } else {
        ui.horizontal(|ui| {
            ui.spacing_mut().item_spacing.x = 2.0;
            row(ui);
        });
    }
    clicked
}
