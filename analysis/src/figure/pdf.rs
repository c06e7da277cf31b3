//! A scene as PDF: vector graphics, text that can be searched, the font inside.
//!
//! svg2pdf 0.13 and resvg 0.45 would make this file and `png.rs` of the SVG. Measured in a crate of their own, with their
//! text: 32 more crates (among them second versions of tiny-skia, png, kurbo and skrifa) and 2.6 minutes of processor
//! time in a cold build, which is more than the 390 lines of the two files are worth.

use std::collections::BTreeMap;

use miniz_oxide::deflate::compress_to_vec_zlib;
use pdf_writer::types::{CidFontType, FontFlags, LineJoinStyle, SystemInfo, UnicodeCmap};
use pdf_writer::{Content, Filter, Finish, Name, Pdf, Rect, Ref, Str};

use super::FigureError;
use super::font::{FONT_FILE, Font};
use super::scene::{Anchor, Point, Rgb, Scene, Shape, Stroke, TextStyle};

const CATALOG: Ref = Ref::new(1);
const PAGES: Ref = Ref::new(2);
const PAGE: Ref = Ref::new(3);
const CONTENT: Ref = Ref::new(4);
const FONT: Ref = Ref::new(5);
const CID_FONT: Ref = Ref::new(6);
const DESCRIPTOR: Ref = Ref::new(7);
const FONT_DATA: Ref = Ref::new(8);
const TO_UNICODE: Ref = Ref::new(9);
const INFO: Ref = Ref::new(10);
/// The first of the states that set an opacity.
const FIRST_STATE: i32 = 11;

const FONT_RESOURCE: Name<'static> = Name(b"F");
const POSTSCRIPT_NAME: Name<'static> = Name(b"NotoSans-Regular");
const SYSTEM: SystemInfo<'static> = SystemInfo {
    registry: Str(b"Adobe"),
    ordering: Str(b"Identity"),
    supplement: 0,
};
/// How hard streams are compressed, 0..=10.
const COMPRESSION: u8 = 9;

/// The bytes of the file. It carries no date, so the same scene gives the same bytes.
pub(super) fn write(scene: &Scene) -> Result<Vec<u8>, FigureError> {
    let mut page = PageWriter {
        content: Content::new(),
        font: Font::open()?,
        letters: BTreeMap::new(),
        opacities: Vec::new(),
    };
    // from points downwards to points upwards
    let height = scene.height as f32;
    page.content.transform([1.0, 0.0, 0.0, -1.0, 0.0, height]);
    page.content.set_line_join(LineJoinStyle::RoundJoin);
    for shape in &scene.shapes {
        page.shape(shape);
    }
    let mut pdf = Pdf::new();
    pdf.catalog(CATALOG).pages(PAGES);
    pdf.pages(PAGES).kids([PAGE]).count(1);
    pdf.document_info(INFO)
        .creator(pdf_writer::TextStr("KVLens"))
        .producer(pdf_writer::TextStr("KVLens"));
    let mut leaf = pdf.page(PAGE);
    leaf.parent(PAGES)
        .media_box(Rect::new(0.0, 0.0, scene.width as f32, height))
        .contents(CONTENT);
    let mut resources = leaf.resources();
    resources.fonts().pair(FONT_RESOURCE, FONT);
    let mut states = resources.ext_g_states();
    for index in 0..page.opacities.len() {
        let name = state_name(index);
        states.pair(Name(name.as_bytes()), state_ref(index));
    }
    states.finish();
    resources.finish();
    leaf.finish();
    for (index, &opacity) in page.opacities.iter().enumerate() {
        pdf.ext_graphics(state_ref(index))
            .non_stroking_alpha(opacity as f32);
    }
    let content = compress_to_vec_zlib(&page.content.finish(), COMPRESSION);
    pdf.stream(CONTENT, &content).filter(Filter::FlateDecode);
    write_font(&mut pdf, &page.font, &page.letters);
    Ok(pdf.finish())
}

fn state_name(index: usize) -> String {
    format!("G{index}")
}

fn state_ref(index: usize) -> Ref {
    Ref::new(FIRST_STATE + index as i32)
}

struct PageWriter {
    content: Content,
    font: Font,
    /// The glyphs in use with the letters that they stand for.
    letters: BTreeMap<u16, char>,
    /// Opacities below 1 in the order in which they first came.
    opacities: Vec<f64>,
}

impl PageWriter {
    fn shape(&mut self, shape: &Shape) {
        match shape {
            Shape::Line { points, stroke } => self.line(points, stroke),
            Shape::Area {
                points,
                fill,
                opacity,
            } => self.area(points, *fill, *opacity),
            Shape::Text { text, place, style } => self.text(text, *place, style),
        }
    }

    fn path(&mut self, points: &[Point]) {
        for (index, &(x, y)) in points.iter().enumerate() {
            let (x, y) = (hundredths(x), hundredths(y));
            match index {
                0 => self.content.move_to(x, y),
                _ => self.content.line_to(x, y),
            };
        }
    }

    fn line(&mut self, points: &[Point], stroke: &Stroke) {
        let [red, green, blue] = parts(stroke.color);
        let dash = stroke.dash.iter().map(|&length| length as f32);
        self.content
            .set_stroke_rgb(red, green, blue)
            .set_line_width(stroke.width as f32)
            .set_dash_pattern(dash, 0.0);
        self.path(points);
        self.content.stroke();
    }

    fn area(&mut self, points: &[Point], fill: Rgb, opacity: f64) {
        let [red, green, blue] = parts(fill);
        let see_through = opacity < 1.0;
        if see_through {
            let known = self.opacities.iter().position(|&known| known == opacity);
            let index = known.unwrap_or(self.opacities.len());
            if known.is_none() {
                self.opacities.push(opacity);
            }
            let name = state_name(index);
            self.content
                .save_state()
                .set_parameters(Name(name.as_bytes()));
        }
        self.content.set_fill_rgb(red, green, blue);
        self.path(points);
        self.content.close_path();
        self.content.fill_nonzero();
        if see_through {
            self.content.restore_state();
        }
    }

    fn text(&mut self, text: &str, (x, y): Point, style: &TextStyle) {
        let mut glyphs = Vec::with_capacity(2 * text.len());
        for letter in text.chars() {
            let glyph = self.font.glyph(letter);
            self.letters.entry(glyph).or_insert(self.font.shown(letter));
            glyphs.extend(glyph.to_be_bytes());
        }
        let width = self.font.width(text, style.size);
        let back = match style.anchor {
            Anchor::Start => 0.0,
            Anchor::Middle => 0.5 * width,
            Anchor::End => width,
        };
        // the page is upside down, so letters are turned over once more
        let matrix = match style.upwards {
            true => [0.0, -1.0, -1.0, 0.0, hundredths(x), hundredths(y + back)],
            false => [1.0, 0.0, 0.0, -1.0, hundredths(x - back), hundredths(y)],
        };
        let [red, green, blue] = parts(style.color);
        self.content
            .begin_text()
            .set_fill_rgb(red, green, blue)
            .set_font(FONT_RESOURCE, style.size as f32)
            .set_text_matrix(matrix)
            .show(Str(&glyphs))
            .end_text();
    }
}

/// The font whole, with the widths and letters of the glyphs in use.
fn write_font(pdf: &mut Pdf, font: &Font, letters: &BTreeMap<u16, char>) {
    pdf.type0_font(FONT)
        .base_font(POSTSCRIPT_NAME)
        .encoding_predefined(Name(b"Identity-H"))
        .descendant_font(CID_FONT)
        .to_unicode(TO_UNICODE);
    let mut cid = pdf.cid_font(CID_FONT);
    cid.subtype(CidFontType::Type2)
        .base_font(POSTSCRIPT_NAME)
        .system_info(SYSTEM)
        .font_descriptor(DESCRIPTOR)
        .cid_to_gid_map_predefined(Name(b"Identity"));
    let mut widths = cid.widths();
    for &glyph in letters.keys() {
        let width = (1000.0 * font.advance(glyph)) as f32;
        widths.same(glyph, glyph, width);
    }
    widths.finish();
    cid.finish();
    let measures = font.measures();
    let [left, lower, right, upper] = measures.bounds;
    pdf.font_descriptor(DESCRIPTOR)
        .name(POSTSCRIPT_NAME)
        .flags(FontFlags::NON_SYMBOLIC)
        .bbox(Rect::new(left, lower, right, upper))
        .italic_angle(0.0)
        .ascent(measures.ascent)
        .descent(measures.descent)
        .cap_height(measures.cap_height)
        .stem_v(80.0)
        .font_file2(FONT_DATA);
    let data = compress_to_vec_zlib(FONT_FILE, COMPRESSION);
    pdf.stream(FONT_DATA, &data)
        .filter(Filter::FlateDecode)
        .pair(Name(b"Length1"), FONT_FILE.len() as i32);
    let mut map = UnicodeCmap::new(Name(b"KVLens-Identity"), SYSTEM);
    for (&glyph, &letter) in letters {
        map.pair(glyph, letter);
    }
    pdf.cmap(TO_UNICODE, &map.finish());
}

fn parts(Rgb(red, green, blue): Rgb) -> [f32; 3] {
    [red, green, blue].map(|part| (f32::from(part) / 255.0 * 1000.0).round() / 1000.0)
}

fn hundredths(value: f64) -> f32 {
    ((value * 100.0).round() / 100.0) as f32
}
