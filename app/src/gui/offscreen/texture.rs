//! Textures as egui means them: premultiplied colours, clamped at the edges.

use egui::epaint::ImageData;
use egui::{Color32, TextureFilter, TextureOptions};

/// One texture, row-major.
pub(super) struct Texture {
    width: usize,
    height: usize,
    texels: Vec<Color32>,
    linear: bool,
}

impl Texture {
    pub(super) fn new(image: &ImageData, options: TextureOptions) -> Self {
        let ImageData::Color(image) = image;
        Self {
            width: image.size[0],
            height: image.size[1],
            texels: image.pixels.clone(),
            linear: options.magnification == TextureFilter::Linear,
        }
    }

    /// Replaces the part that starts at `at`; what would fall outside is dropped.
    pub(super) fn patch(&mut self, at: [usize; 2], image: &ImageData) {
        let ImageData::Color(image) = image;
        let width = image.size[0].min(self.width.saturating_sub(at[0]));
        if width == 0 {
            return;
        }
        for (row, source) in image.pixels.chunks_exact(image.size[0]).enumerate() {
            let start = (at[1] + row) * self.width + at[0];
            if let (Some(target), Some(source)) = (
                self.texels.get_mut(start..start + width),
                source.get(..width),
            ) {
                target.copy_from_slice(source);
            }
        }
    }

    fn texel(&self, x: i64, y: i64) -> [f32; 4] {
        let clamp = |at: i64, size: usize| at.clamp(0, size.max(1) as i64 - 1) as usize;
        let at = clamp(y, self.height) * self.width + clamp(x, self.width);
        self.texels
            .get(at)
            .map_or([0.0; 4], |color| color.to_array().map(f32::from))
    }

    /// The colour at `uv`, premultiplied, 0 to 255 per channel.
    pub(super) fn sample(&self, u: f32, v: f32) -> [f32; 4] {
        let (x, y) = (u * self.width as f32, v * self.height as f32);
        if !self.linear {
            return self.texel(x.floor() as i64, y.floor() as i64);
        }
        let (x, y) = (x - 0.5, y - 0.5);
        let (left, top) = (x.floor(), y.floor());
        let (right_share, bottom_share) = (x - left, y - top);
        let (left, top) = (left as i64, top as i64);
        let upper = mix(
            self.texel(left, top),
            self.texel(left + 1, top),
            right_share,
        );
        let lower = mix(
            self.texel(left, top + 1),
            self.texel(left + 1, top + 1),
            right_share,
        );
        mix(upper, lower, bottom_share)
    }
}

fn mix(a: [f32; 4], b: [f32; 4], share: f32) -> [f32; 4] {
    std::array::from_fn(|channel| a[channel] + (b[channel] - a[channel]) * share)
}
