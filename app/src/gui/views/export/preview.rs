//! The figure of the dialog as it would be written: as wide as the dialog, and by a click as large as the window.

use std::sync::Arc;

use egui::{
    ColorImage, Id, Image, Modal, ScrollArea, Sense, TextureHandle, TextureOptions, Ui, vec2,
};

use super::super::View;
use crate::gui::command::{Commands, ExportCommand};
use crate::gui::data::Preview;
use crate::gui::lanes::JobKey;
use crate::jobs::figure::FigureRequest;

/// What is seen of it at once in the dialog.
const HEIGHT: f32 = 240.0;

/// Of the window, what it takes when it is large.
const LARGE: f32 = 0.9;

/// Draws the figure, once it was asked for, or the button that asks for it.
pub(super) fn preview_ui(
    ui: &mut Ui,
    view: &View<'_>,
    request: &FigureRequest,
    commands: &mut Commands,
) {
    // whatever file it is written to, it is the same figure
    let is_of = |preview: &&Preview| {
        let out = request.out.clone();
        FigureRequest {
            out,
            ..preview.of.clone()
        } == *request
    };
    let Some(preview) = view.data.preview.as_ref().filter(is_of) else {
        let text = match view.data.job(&JobKey::Preview) {
            Some(_) => "Drawing…",
            None => "Preview",
        };
        let button = ui
            .button(text)
            .on_hover_text("Draw the figure here, without writing it");
        if button.clicked() {
            commands.send(ExportCommand::Preview(Box::new(request.clone())));
        }
        return;
    };
    let texture = texture_of(ui, preview);
    let size = texture.size_vec2();
    let scale = (ui.available_width() / size.x).min(1.0);
    let picture = ScrollArea::vertical()
        .id_salt("preview of the figure")
        .max_height(HEIGHT)
        .show(ui, |ui| {
            let image = Image::new((texture.id(), size * scale)).sense(Sense::click());
            ui.add(image)
        });
    let picture = picture.inner.on_hover_text("Click to see it large");
    picture.widget_info(|| {
        egui::WidgetInfo::labeled(egui::Role::Button, true, "Preview of the figure")
    });
    large_ui(ui, &texture, picture.clicked());
}

/// The picture as large as the window lets it, from a click on.
fn large_ui(ui: &Ui, texture: &TextureHandle, was_clicked: bool) {
    let id = Id::unique("large preview");
    let is_large: bool = was_clicked || ui.data(|data| data.get_temp(id)).unwrap_or_default();
    if !is_large {
        return;
    }
    let room = ui.ctx().content_rect().size() * LARGE - vec2(0.0, 32.0);
    let size = texture.size_vec2();
    let scale = (room / size).min_elem();
    let modal = Modal::new(id.with("window")).show(ui.ctx(), |ui| {
        let image = ui.image((texture.id(), size * scale));
        image.widget_info(|| {
            egui::WidgetInfo::labeled(egui::Role::Image, true, "The figure, large")
        });
        let close = ui.button("Close").on_hover_text("Back to the dialog");
        close.widget_info(|| {
            egui::WidgetInfo::labeled(egui::Role::Button, true, "Close the large figure")
        });
        close.clicked()
    });
    let stays = !(modal.inner || modal.should_close());
    ui.data_mut(|data| data.insert_temp(id, stays));
}

/// The picture on the graphics card, put there once.
fn texture_of(ui: &Ui, preview: &Preview) -> TextureHandle {
    let id = Id::unique("picture of the preview");
    let known: Option<(Arc<ColorImage>, TextureHandle)> = ui.data(|data| data.get_temp(id));
    if let Some((picture, texture)) = known
        && Arc::ptr_eq(&picture, &preview.picture)
    {
        return texture;
    }
    let picture = Arc::clone(&preview.picture);
    let options = TextureOptions::LINEAR;
    let texture = ui
        .ctx()
        .load_texture("kvlens-preview", Arc::clone(&picture), options);
    ui.data_mut(|data| data.insert_temp(id, (picture, texture.clone())));
    texture
}
