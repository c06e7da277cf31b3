//! A scene as PNG, drawn on the CPU: the same bytes on every machine.

use skrifa::outline::OutlinePen;
use tiny_skia::{
    Color, FillRule, LineJoin, Paint, Path, PathBuilder, Pixmap, Stroke as Pen, StrokeDash,
    Transform,
};

use super::FigureError;
use super::font::Font;
use super::scene::{Anchor, Point, Rgb, Scene, Shape, Stroke, TextStyle};

/// Points of an inch.
const POINTS: f64 = 72.0;

/// The bytes of the file at so many pixels per inch.
pub(super) fn write(scene: &Scene, pixels_per_inch: f64) -> Result<Vec<u8>, FigureError> {
    let scale = pixels_per_inch / POINTS;
    let pixels = |points: f64| (points * scale).ceil().max(1.0) as u32;
    let (width, height) = (pixels(scene.width), pixels(scene.height));
    let refused = |reason: String| FigureError::Picture {
        width,
        height,
        reason,
    };
    let mut pixmap =
        Pixmap::new(width, height).ok_or_else(|| refused("it is too large".to_owned()))?;
    pixmap.fill(Color::WHITE);
    let mut canvas = Canvas {
        pixmap,
        font: Font::open()?,
        scale: Transform::from_scale(scale as f32, scale as f32),
    };
    for shape in &scene.shapes {
        canvas.shape(shape);
    }
    canvas
        .pixmap
        .encode_png()
        .map_err(|error| refused(error.to_string()))
}

struct Canvas {
    pixmap: Pixmap,
    font: Font,
    scale: Transform,
}

impl Canvas {
    fn shape(&mut self, shape: &Shape) {
        match shape {
            Shape::Line { points, stroke } => self.line(points, stroke),
            Shape::Area {
                points,
                fill,
                opacity,
            } => {
                if let Some(path) = path(points, true) {
                    self.fill(&path, paint(*fill, *opacity), Transform::identity());
                }
            }
            Shape::Text { text, place, style } => self.text(text, *place, style),
        }
    }

    fn fill(&mut self, path: &Path, paint: Paint<'_>, place: Transform) {
        let transform = self.scale.pre_concat(place);
        self.pixmap
            .fill_path(path, &paint, FillRule::Winding, transform, None);
    }

    fn line(&mut self, points: &[Point], stroke: &Stroke) {
        let Some(path) = path(points, false) else {
            return;
        };
        let dash = stroke.dash.iter().map(|&length| length as f32).collect();
        let pen = Pen {
            width: stroke.width as f32,
            line_join: LineJoin::Round,
            dash: StrokeDash::new(dash, 0.0),
            ..Pen::default()
        };
        let paint = paint(stroke.color, 1.0);
        self.pixmap
            .stroke_path(&path, &paint, &pen, self.scale, None);
    }

    fn text(&mut self, text: &str, (x, y): Point, style: &TextStyle) {
        let width = self.font.width(text, style.size);
        let mut along = match style.anchor {
            Anchor::Start => 0.0,
            Anchor::Middle => -0.5 * width,
            Anchor::End => -width,
        };
        let turn = match style.upwards {
            true => Transform::from_row(0.0, -1.0, 1.0, 0.0, x as f32, y as f32),
            false => Transform::from_translate(x as f32, y as f32),
        };
        for letter in text.chars() {
            let glyph = self.font.glyph(letter);
            let mut pen = GlyphPen(PathBuilder::new());
            self.font.draw(glyph, style.size as f32, &mut pen);
            if let Some(path) = pen.0.finish() {
                let place = turn.pre_translate(along as f32, 0.0);
                self.fill(&path, paint(style.color, 1.0), place);
            }
            along += style.size * self.font.advance(glyph);
        }
    }
}

fn paint(Rgb(red, green, blue): Rgb, opacity: f64) -> Paint<'static> {
    let mut paint = Paint::default();
    let alpha = (opacity.clamp(0.0, 1.0) * 255.0).round() as u8;
    paint.set_color_rgba8(red, green, blue, alpha);
    paint.anti_alias = true;
    paint
}

fn path(points: &[Point], closed: bool) -> Option<Path> {
    let mut path = PathBuilder::new();
    for (index, &(x, y)) in points.iter().enumerate() {
        match index {
            0 => path.move_to(x as f32, y as f32),
            _ => path.line_to(x as f32, y as f32),
        }
    }
    if closed {
        path.close();
    }
    path.finish()
}

/// Takes an outline whose y grows upwards.
struct GlyphPen(PathBuilder);

impl OutlinePen for GlyphPen {
    fn move_to(&mut self, x: f32, y: f32) {
        self.0.move_to(x, -y);
    }

    fn line_to(&mut self, x: f32, y: f32) {
        self.0.line_to(x, -y);
    }

    fn quad_to(&mut self, cx: f32, cy: f32, x: f32, y: f32) {
        self.0.quad_to(cx, -cy, x, -y);
    }

    fn curve_to(&mut self, ax: f32, ay: f32, bx: f32, by: f32, x: f32, y: f32) {
        self.0.cubic_to(ax, -ay, bx, -by, x, -y);
    }

    fn close(&mut self) {
        self.0.close();
    }
}
