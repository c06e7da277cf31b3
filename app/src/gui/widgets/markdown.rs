//! Markdown as text on the screen.

use egui::Ui;
use egui_commonmark::{CommonMarkCache, CommonMarkViewer};

/// Draws a text. Nothing is kept between two frames: the program's pages are short and have no pictures.
pub fn markdown(ui: &mut Ui, text: &str) {
    CommonMarkViewer::new().show(ui, &mut CommonMarkCache::default(), text);
}
