//! Draws egui's triangles on the CPU, without a display or a graphics driver.
//!
//! Pictures for the documentation and image snapshots in tests have to come out the same on every
//! machine, so nothing here depends on a driver: coverage, interpolation and blending are plain
//! IEEE arithmetic in a fixed order. The crate `dream-soft-render` was tried first; it caps a
//! surface at 1280 x 720 and stretches the middle texels of a nearest-filtered texture, which
//! would show a heat map with cells of unequal size.

mod raster;
mod texture;

use std::collections::HashMap;

use egui::epaint::{ImageDelta, Primitive};
use egui::{ClippedPrimitive, Color32, TextureId, TexturesDelta};

use raster::{Clip, Surface};
use texture::Texture;

/// An opaque picture, row-major from the top left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    /// Pixels per row.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// `width * height * 4` bytes, red, green, blue, alpha.
    pub rgba: Vec<u8>,
}

/// The textures that egui handed over so far, and the way to draw with them.
#[derive(Default)]
pub struct OffscreenRenderer {
    textures: HashMap<TextureId, Texture>,
    /// What egui gave up with the frame before: it may still be drawn with in that frame.
    to_free: Vec<TextureId>,
}

impl OffscreenRenderer {
    /// Takes over what egui says about textures; to be called for every frame, drawn or not.
    pub fn update_textures(&mut self, delta: &TexturesDelta) {
        for id in self.to_free.drain(..) {
            self.textures.remove(&id);
        }
        for (id, changes) in &delta.set {
            for change in changes {
                self.set_texture(*id, change);
            }
        }
        self.to_free.extend(&delta.free);
    }

    fn set_texture(&mut self, id: TextureId, change: &ImageDelta) {
        match (change.pos, self.textures.get_mut(&id)) {
            (Some(at), Some(texture)) => texture.patch(at, &change.image),
            _ => {
                self.textures
                    .insert(id, Texture::new(&change.image, change.options));
            }
        }
    }

    /// Draws one frame of `size` pixels over `background`.
    ///
    /// Paint callbacks need a graphics driver and are left out.
    #[must_use]
    pub fn render(
        &self,
        primitives: &[ClippedPrimitive],
        size: [usize; 2],
        pixels_per_point: f32,
        background: Color32,
    ) -> Picture {
        let mut surface = Surface::new(size, background);
        for ClippedPrimitive {
            clip_rect,
            primitive,
        } in primitives
        {
            let Primitive::Mesh(mesh) = primitive else {
                continue;
            };
            let Some(texture) = self.textures.get(&mesh.texture_id) else {
                continue;
            };
            let clip = Clip::new(*clip_rect, pixels_per_point, size);
            for corners in mesh.indices.chunks_exact(3) {
                let [a, b, c] = corners else { continue };
                let (Some(a), Some(b), Some(c)) = (
                    mesh.vertices.get(*a as usize),
                    mesh.vertices.get(*b as usize),
                    mesh.vertices.get(*c as usize),
                ) else {
                    continue;
                };
                surface.triangle([a, b, c], texture, clip, pixels_per_point);
            }
        }
        Picture {
            width: size[0],
            height: size[1],
            rgba: surface.into_rgba(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use egui::{Rect, pos2, vec2};

    fn draw(paint: impl Fn(&egui::Ui)) -> Picture {
        let context = egui::Context::default();
        let input = egui::RawInput {
            screen_rect: Some(Rect::from_min_size(pos2(0.0, 0.0), vec2(40.0, 30.0))),
            ..Default::default()
        };
        let mut output = context.run_ui(input, |ui| paint(ui));
        let mut renderer = OffscreenRenderer::default();
        let delta = std::mem::take(&mut output.textures_delta);
        renderer.update_textures(&delta);
        let mut delta = delta;
        delta.clear();
        let primitives = context.tessellate(output.shapes, 1.0);
        renderer.render(&primitives, [40, 30], 1.0, Color32::BLACK)
    }

    fn pixel(picture: &Picture, x: usize, y: usize) -> [u8; 3] {
        let at = (y * picture.width + x) * 4;
        [picture.rgba[at], picture.rgba[at + 1], picture.rgba[at + 2]]
    }

    #[test]
    fn a_filled_rectangle_covers_exactly_its_pixels() {
        let picture = draw(|ui| {
            let rect = Rect::from_min_size(pos2(5.0, 4.0), vec2(10.0, 6.0));
            ui.painter().rect_filled(rect, 0.0, Color32::RED);
        });
        assert_eq!(pixel(&picture, 10, 7), [255, 0, 0]);
        assert_eq!(pixel(&picture, 2, 7), [0, 0, 0]);
        assert_eq!(pixel(&picture, 10, 20), [0, 0, 0]);
        let red = (0..30)
            .flat_map(|y| (0..40).map(move |x| (x, y)))
            .filter(|&(x, y)| pixel(&picture, x, y) == [255, 0, 0])
            .count();
        assert_eq!(red, 60);
    }

    #[test]
    fn nearest_texture_cells_are_equally_wide() {
        let picture = draw(|ui| {
            let colors = [Color32::RED, Color32::GREEN, Color32::BLUE];
            let image = egui::ColorImage::new([3, 1], colors.to_vec());
            let texture = ui
                .ctx()
                .load_texture("cells", image, egui::TextureOptions::NEAREST);
            let rect = Rect::from_min_size(pos2(3.0, 0.0), vec2(30.0, 10.0));
            let uv = Rect::from_min_max(pos2(0.0, 0.0), pos2(1.0, 1.0));
            let mut mesh = egui::Mesh::with_texture(texture.id());
            mesh.add_rect_with_uv(rect, uv, Color32::WHITE);
            ui.painter().add(mesh);
            // The handle has to outlive the frame, or the texture is freed before it is drawn.
            ui.data_mut(|data| data.insert_temp(egui::Id::unique("cells"), texture));
        });
        let count = |wanted: [u8; 3]| (0..40).filter(|&x| pixel(&picture, x, 5) == wanted).count();
        assert_eq!(count([255, 0, 0]), 10);
        assert_eq!(count([0, 255, 0]), 10);
        assert_eq!(count([0, 0, 255]), 10);
    }
}
