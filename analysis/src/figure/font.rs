//! The one font of the figures: Noto Sans, cut to what figures need, so that widths, PDF and PNG are the
//! same on every machine.

use skrifa::instance::{LocationRef, Size};
use skrifa::outline::{DrawSettings, OutlinePen};
use skrifa::{FontRef, GlyphId, MetadataProvider};

use super::FigureError;

/// The file, see `analysis/fonts/README.md`.
pub(super) const FONT_FILE: &[u8] = include_bytes!("../../fonts/NotoSans-figures.ttf");

/// Its name.
pub(super) const FONT_NAME: &str = "Noto Sans";

/// What stands in for a letter that the font lacks.
const SUBSTITUTE: char = '?';

/// The opened font.
pub(super) struct Font {
    font: FontRef<'static>,
}

/// Measures of the whole font in thousandths of its size, as PDF wants them.
pub(super) struct FontBox {
    pub ascent: f32,
    pub descent: f32,
    pub cap_height: f32,
    /// Left, lower, right, upper.
    pub bounds: [f32; 4],
}

impl Font {
    pub(super) fn open() -> Result<Self, FigureError> {
        let font = FontRef::new(FONT_FILE).map_err(|error| FigureError::Font {
            reason: error.to_string(),
        })?;
        Ok(Self { font })
    }

    /// Whether the font has the letter.
    pub(super) fn has(&self, letter: char) -> bool {
        self.font.charmap().map(letter).is_some()
    }

    /// The letter itself; a question mark for one that the font lacks.
    pub(super) fn shown(&self, letter: char) -> char {
        match self.has(letter) {
            true => letter,
            false => SUBSTITUTE,
        }
    }

    /// The glyph of a letter as it is shown.
    pub(super) fn glyph(&self, letter: char) -> u16 {
        let glyph = self.font.charmap().map(self.shown(letter));
        glyph.map_or(0, |glyph| u16::try_from(glyph.to_u32()).unwrap_or(0))
    }

    /// How far a glyph moves on, as a share of the font's size.
    pub(super) fn advance(&self, glyph: u16) -> f64 {
        let metrics = self
            .font
            .glyph_metrics(Size::new(1.0), LocationRef::default());
        let advance = metrics.advance_width(GlyphId::from(glyph));
        f64::from(advance.unwrap_or(0.0))
    }

    /// Width of a text in points.
    pub(super) fn width(&self, text: &str, size: f64) -> f64 {
        let letters = text.chars();
        size * letters
            .map(|letter| self.advance(self.glyph(letter)))
            .sum::<f64>()
    }

    pub(super) fn measures(&self) -> FontBox {
        let metrics = self.font.metrics(Size::new(1000.0), LocationRef::default());
        let bounds = metrics.bounds.map_or([0.0, -300.0, 1000.0, 1100.0], |b| {
            [b.x_min, b.y_min, b.x_max, b.y_max]
        });
        FontBox {
            ascent: metrics.ascent,
            descent: metrics.descent,
            cap_height: metrics.cap_height.unwrap_or(714.0),
            bounds,
        }
    }

    /// Draws a glyph's outline at a size in the pen's units, y upwards.
    pub(super) fn draw(&self, glyph: u16, size: f32, pen: &mut impl OutlinePen) {
        if let Some(outline) = self.font.outline_glyphs().get(GlyphId::from(glyph)) {
            let settings = DrawSettings::unhinted(Size::new(size), LocationRef::default());
            // the outlines of the font that is built in were drawn in tests
            let _ = outline.draw(settings, pen);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sign_that_figures_use_is_in_the_font() {
        let font = Font::open().unwrap();
        let missing = font.glyph('\u{4e2d}');
        assert_eq!(missing, font.glyph(SUBSTITUTE));
        for letter in "abcXYZ0189 %.,:;+-–—×·µ@#()[]{}/=_'\"&<>…".chars() {
            assert!(
                letter == SUBSTITUTE || font.glyph(letter) != missing,
                "{letter}"
            );
        }
    }

    #[test]
    fn widths_add_up_and_grow_with_the_size() {
        let font = Font::open().unwrap();
        let (a, b) = (font.width("recall", 7.0), font.width("at 64", 7.0));
        assert!((font.width("recallat 64", 7.0) - a - b).abs() < 1e-9);
        assert!((font.width("recall", 14.0) - 2.0 * a).abs() < 1e-6);
        assert!(a > 15.0 && a < 30.0, "{a}");
    }
}
