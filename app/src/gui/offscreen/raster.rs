//! Triangles onto an opaque surface: centre sampling, top-left rule, premultiplied blending.

use egui::epaint::Vertex;
use egui::{Color32, Rect};

use super::texture::Texture;

/// The pixels that a primitive may touch, half open.
#[derive(Clone, Copy)]
pub(super) struct Clip {
    left: i64,
    top: i64,
    right: i64,
    bottom: i64,
}

impl Clip {
    pub(super) fn new(rect: Rect, pixels_per_point: f32, size: [usize; 2]) -> Self {
        let edge =
            |at: f32, limit: usize| ((at * pixels_per_point).round() as i64).clamp(0, limit as i64);
        Self {
            left: edge(rect.min.x, size[0]),
            top: edge(rect.min.y, size[1]),
            right: edge(rect.max.x, size[0]),
            bottom: edge(rect.max.y, size[1]),
        }
    }
}

/// What is drawn on.
pub(super) struct Surface {
    width: usize,
    rgb: Vec<[u8; 3]>,
}

/// A corner in pixels, in double precision so that shared edges come out the same from both sides.
#[derive(Clone, Copy)]
struct Corner {
    x: f64,
    y: f64,
}

/// Twice the signed area of the triangle `a`, `b`, `p`.
fn edge(a: Corner, b: Corner, p: Corner) -> f64 {
    (b.x - a.x) * (p.y - a.y) - (b.y - a.y) * (p.x - a.x)
}

/// Whether pixels exactly on the edge from `a` to `b` belong to the triangle on its right hand.
fn owns_edge(a: Corner, b: Corner) -> bool {
    b.y < a.y || (b.y == a.y && b.x > a.x)
}

impl Surface {
    pub(super) fn new(size: [usize; 2], background: Color32) -> Self {
        let rgb = [background.r(), background.g(), background.b()];
        Self {
            width: size[0],
            rgb: vec![rgb; size[0] * size[1]],
        }
    }

    /// Draws one triangle; both windings are visible.
    pub(super) fn triangle(
        &mut self,
        corners: [&Vertex; 3],
        texture: &Texture,
        clip: Clip,
        pixels_per_point: f32,
    ) {
        let place = |vertex: &Vertex| Corner {
            x: f64::from(vertex.pos.x * pixels_per_point),
            y: f64::from(vertex.pos.y * pixels_per_point),
        };
        let [a, mut b, mut c] = corners;
        let mut area = edge(place(a), place(b), place(c));
        if area < 0.0 {
            (b, c) = (c, b);
            area = -area;
        }
        if !area.is_normal() {
            return;
        }
        let (pa, pb, pc) = (place(a), place(b), place(c));
        let lowest = |x: f64, y: f64, z: f64| (x.min(y).min(z) - 0.5).ceil() as i64;
        let highest = |x: f64, y: f64, z: f64| (x.max(y).max(z) - 0.5).floor() as i64 + 1;
        let rows =
            lowest(pa.y, pb.y, pc.y).max(clip.top)..highest(pa.y, pb.y, pc.y).min(clip.bottom);
        let columns =
            lowest(pa.x, pb.x, pc.x).max(clip.left)..highest(pa.x, pb.x, pc.x).min(clip.right);
        for y in rows {
            for x in columns.clone() {
                let centre = Corner {
                    x: x as f64 + 0.5,
                    y: y as f64 + 0.5,
                };
                let weights = [
                    (edge(pb, pc, centre), owns_edge(pb, pc)),
                    (edge(pc, pa, centre), owns_edge(pc, pa)),
                    (edge(pa, pb, centre), owns_edge(pa, pb)),
                ];
                if weights
                    .iter()
                    .all(|&(weight, owned)| weight > 0.0 || (weight == 0.0 && owned))
                {
                    let weights = weights.map(|(weight, _)| (weight / area) as f32);
                    self.blend(x as usize, y as usize, shade([a, b, c], weights, texture));
                }
            }
        }
    }

    /// Source over the surface; `source` is premultiplied, 0 to 255.
    fn blend(&mut self, x: usize, y: usize, source: [f32; 4]) {
        let Some(pixel) = self.rgb.get_mut(y * self.width + x) else {
            return;
        };
        let through = 1.0 - source[3] / 255.0;
        for (channel, value) in pixel.iter_mut().enumerate() {
            let mixed = source[channel] + f32::from(*value) * through;
            *value = mixed.round().clamp(0.0, 255.0) as u8;
        }
    }

    pub(super) fn into_rgba(self) -> Vec<u8> {
        self.rgb
            .into_iter()
            .flat_map(|[red, green, blue]| [red, green, blue, 255])
            .collect()
    }
}

/// Vertex colour times texture, as egui's own shaders do it (in gamma space).
fn shade(corners: [&Vertex; 3], weights: [f32; 3], texture: &Texture) -> [f32; 4] {
    let mut tint = [0.0_f32; 4];
    let (mut u, mut v) = (0.0_f32, 0.0_f32);
    for (corner, weight) in corners.into_iter().zip(weights) {
        for (sum, channel) in tint.iter_mut().zip(corner.color.to_array()) {
            *sum += f32::from(channel) * weight;
        }
        u += corner.uv.x * weight;
        v += corner.uv.y * weight;
    }
    let texel = texture.sample(u, v);
    std::array::from_fn(|channel| tint[channel] * texel[channel] / 255.0)
}
