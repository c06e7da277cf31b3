//! Things that a wrapping row keeps together.

use egui::{Align, FontId, Label, Layout, Response, RichText, TextStyle, Ui, vec2};

/// Draws them side by side; where so much width is not left they begin a row of their own.
pub fn together<R>(ui: &mut Ui, width: f32, draw: impl FnOnce(&mut Ui) -> R) -> R {
    let size = vec2(width, ui.spacing().interact_size.y);
    let layout = Layout::left_to_right(Align::Center);
    ui.allocate_ui_with_layout(size, layout, draw).inner
}

/// Words of explanation that go to the next row together; only what no row holds is broken.
pub fn phrase(ui: &mut Ui, text: &str) -> Response {
    let label = Label::new(RichText::new(text).weak());
    ui.add(match text_width(ui, text) <= ui.max_rect().width() {
        true => label.extend(),
        false => label,
    })
}

/// Width of a text in the letters of the row.
#[must_use]
pub fn text_width(ui: &Ui, text: &str) -> f32 {
    let font = TextStyle::Body.resolve(ui.style());
    text_width_in(ui, text, font)
}

/// The same in other letters.
#[must_use]
pub fn text_width_in(ui: &Ui, text: &str, font: FontId) -> f32 {
    let color = ui.visuals().text_color();
    let text = ui.painter().layout_no_wrap(text.to_owned(), font, color);
    text.size().x
}
