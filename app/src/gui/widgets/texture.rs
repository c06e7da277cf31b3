//! Nearest-filtered textures of coloured numbers, made again only when the numbers change.

use egui::{Color32, ColorImage, Context, Id, Rect, TextureHandle, TextureOptions, pos2};

/// What a texture was made from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TextureKey {
    /// Version of the numbers.
    pub version: u64,
    /// Columns and rows.
    pub size: [usize; 2],
    /// Whether the dark theme coloured it.
    pub dark: bool,
    /// Differs with the part of the numbers that is shown, and with their scale; 0 where that is always the same.
    pub part: u64,
}

#[derive(Clone)]
struct Cached {
    key: TextureKey,
    handle: TextureHandle,
}

/// The texture kept under `id`, made by `pixels` (row-major from the top) if `key` changed.
pub fn cached_texture(
    context: &Context,
    id: Id,
    key: TextureKey,
    pixels: impl FnOnce() -> Vec<Color32>,
) -> Option<TextureHandle> {
    if let Some(cached) = context.data(|data| data.get_temp::<Cached>(id))
        && cached.key == key
    {
        return Some(cached.handle);
    }
    let pixels = pixels();
    if pixels.is_empty() || pixels.len() != key.size[0] * key.size[1] {
        return None;
    }
    let image = ColorImage::new(key.size, pixels);
    let handle = context.load_texture("kvlens-numbers", image, TextureOptions::NEAREST);
    let cached = Cached {
        key,
        handle: handle.clone(),
    };
    context.data_mut(|data| data.insert_temp(id, cached));
    Some(handle)
}

/// Draws a whole texture into `rect`.
pub fn paint_texture(painter: &egui::Painter, texture: &TextureHandle, rect: Rect) {
    let whole = Rect::from_min_max(pos2(0.0, 0.0), pos2(1.0, 1.0));
    painter.image(texture.id(), rect, whole, Color32::WHITE);
}
