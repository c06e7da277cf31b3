//! Pictures of single views, cut out of what the window shows.

use std::io::Cursor;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use crossbeam_channel::{Receiver, bounded};
use egui::{ColorImage, Id, Rect};

use super::Workbench;
use crate::gui::data::Severity;
use crate::gui::layout::Pane;

/// What becomes of a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PictureUse {
    /// Into the clipboard.
    Copy,
    /// Into a file beside the session.
    Save,
    /// Into a page with the view's numbers.
    Page,
}

/// A picture that the window has not given yet.
pub(super) struct WantedPicture {
    pane: Pane,
    usage: PictureUse,
    window: Receiver<Arc<ColorImage>>,
}

fn place_id(pane: Pane) -> Id {
    Id::unique(("place of the view", pane))
}

/// Remembers where a view stands in this frame.
pub(super) fn remember_place(ui: &egui::Ui, pane: Pane) {
    let rect = ui.max_rect();
    ui.data_mut(|data| data.insert_temp(place_id(pane), rect));
}

impl Workbench {
    /// Asks the window for a picture; it comes with one of the next frames.
    pub(super) fn ask_for_picture(
        &mut self,
        pane: Pane,
        usage: PictureUse,
        context: &egui::Context,
    ) {
        let (sender, receiver) = bounded(1);
        let awake = context.clone();
        context.request_screenshot(move |window| {
            // No receiver means that another picture was asked for since.
            let _ = sender.try_send(window);
            awake.request_repaint();
        });
        self.picture = Some(WantedPicture {
            pane,
            usage,
            window: receiver,
        });
    }

    /// Takes the picture that was asked for, if it came.
    pub(super) fn take_picture(&mut self, context: &egui::Context) {
        let wanted = self.picture.as_ref();
        let is_page = wanted.is_some_and(|wanted| wanted.usage == PictureUse::Page);
        // a page waits for its table, too
        if is_page && self.page_table.is_none() && self.numbers_wanted.is_some() {
            return;
        }
        let Some(window) = wanted.and_then(|wanted| wanted.window.try_recv().ok()) else {
            return;
        };
        let Some(WantedPicture { pane, usage, .. }) = self.picture.take() else {
            return;
        };
        let place = context.data(|data| data.get_temp::<Rect>(place_id(pane)));
        let scale = context.pixels_per_point();
        let [width, height] = window.size.map(|side| side as f32 / scale);
        let whole = Rect::from_min_size(egui::Pos2::ZERO, egui::vec2(width, height));
        // The window may have shrunk since the view was drawn.
        let place = place.map(|place| place.intersect(whole));
        let Some(place) = place.filter(|place| place.is_positive()) else {
            return;
        };
        let picture = window.region(&place, Some(scale));
        match usage {
            PictureUse::Copy => {
                context.copy_image(picture);
                self.note(
                    Severity::Success,
                    format!("Copied a picture of {}", pane.title()),
                );
            }
            PictureUse::Page => match self.save_page(pane, &picture) {
                Ok(path) => {
                    self.note(Severity::Success, format!("Saved {}", path.display()));
                }
                Err(error) => self.note(Severity::Error, format!("{error:#}")),
            },
            PictureUse::Save => match self.save_picture(pane, &picture) {
                Ok(path) => {
                    self.note(Severity::Success, format!("Saved {}", path.display()));
                }
                Err(error) => self.note(Severity::Error, format!("{error:#}")),
            },
        }
    }

    /// Beside the session, under a name that is free.
    fn save_picture(&self, pane: Pane, picture: &ColorImage) -> Result<PathBuf> {
        let path = self.free_path(&stem_of(pane), "png")?;
        std::fs::write(&path, png(picture)?)
            .with_context(|| format!("the picture cannot be written: {}", path.display()))?;
        Ok(path)
    }

    /// Beside the session, a name that nothing has.
    pub(super) fn free_path(&self, stem: &str, ending: &str) -> Result<PathBuf> {
        let session = self.data.session.as_ref().context("no session is open")?;
        let of = |number: usize| {
            let number = if number > 1 {
                format!("-{number}")
            } else {
                String::new()
            };
            let path = &session.info.path;
            path.with_extension(format!("{stem}{number}.{ending}"))
        };
        let mut number = 1;
        while of(number).exists() {
            number += 1;
        }
        Ok(of(number))
    }
}

/// The view's title as a part of a file's name.
pub(super) fn stem_of(pane: Pane) -> String {
    let title = pane.title().to_lowercase();
    let words = title.split(|letter: char| !letter.is_alphanumeric());
    let words: Vec<&str> = words
        .filter(|word| !word.is_empty() && *word != "×")
        .collect();
    words.join("-")
}

/// A picture as the bytes of a PNG file.
pub(super) fn png(picture: &ColorImage) -> Result<Vec<u8>> {
    let [width, height] = picture.size;
    let pixels = picture.pixels.iter();
    let bytes: Vec<u8> = pixels.flat_map(|pixel| pixel.to_array()).collect();
    let mut written = Cursor::new(Vec::new());
    image::RgbaImage::from_raw(width as u32, height as u32, bytes)
        .context("the picture has the wrong size")?
        .write_to(&mut written, image::ImageFormat::Png)
        .context("the picture cannot be made a PNG file")?;
    Ok(written.into_inner())
}
