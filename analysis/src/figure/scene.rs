//! What a figure is made of before it becomes a file: lines, areas and texts on a page.
//!
//! Lengths are points (1/72 inch), the origin is the upper left corner, y grows downwards.

use std::collections::BTreeSet;

use super::font::Font;

/// A colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Rgb(pub u8, pub u8, pub u8);

impl Rgb {
    /// Black.
    pub const BLACK: Self = Self(0, 0, 0);
    /// White.
    pub const WHITE: Self = Self(255, 255, 255);

    /// The grey of what data are held against.
    pub const REFERENCE: Self = Self(120, 120, 120);

    /// A step from this colour towards another; 0 is this one, 1 the other.
    #[must_use]
    pub fn towards(self, other: Self, share: f32) -> Self {
        let mix = |from: u8, to: u8| {
            let (from, to) = (f32::from(from), f32::from(to));
            (from + (to - from) * share + 0.5) as u8
        };
        Self(
            mix(self.0, other.0),
            mix(self.1, other.1),
            mix(self.2, other.2),
        )
    }

    /// Its lightness as a grey printer shows it, 0..=1 (Rec. 601 luma).
    pub fn luma(self) -> f32 {
        (0.299 * f32::from(self.0) + 0.587 * f32::from(self.1) + 0.114 * f32::from(self.2)) / 255.0
    }
}

/// A place on the page, in points.
pub type Point = (f64, f64);

/// Which part of a text stands at its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Anchor {
    /// Its beginning.
    Start,
    /// Its middle.
    Middle,
    /// Its end.
    End,
}

/// How a line is drawn.
#[derive(Debug, Clone, PartialEq)]
pub struct Stroke {
    /// Colour.
    pub color: Rgb,
    /// Width in points.
    pub width: f64,
    /// Lengths of dashes and gaps in turn, in points; none for a solid line.
    pub dash: Vec<f64>,
}

impl Stroke {
    /// A solid line.
    pub fn solid(color: Rgb, width: f64) -> Self {
        Self {
            color,
            width,
            dash: Vec::new(),
        }
    }
}

/// How a text is set.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TextStyle {
    /// Size in points.
    pub size: f64,
    /// What stands at the place.
    pub anchor: Anchor,
    /// Colour.
    pub color: Rgb,
    /// Whether it runs upwards, turned by a quarter to the left.
    pub upwards: bool,
}

/// One thing on the page.
#[derive(Debug, Clone, PartialEq)]
pub enum Shape {
    /// An open line through points.
    Line {
        /// At least two.
        points: Vec<Point>,
        /// How it is drawn.
        stroke: Stroke,
    },
    /// A filled outline.
    Area {
        /// Its corners.
        points: Vec<Point>,
        /// Colour.
        fill: Rgb,
        /// 0..=1.
        opacity: f64,
    },
    /// A text; its place is on the base line.
    Text {
        /// The text.
        text: String,
        /// Where its anchor stands.
        place: Point,
        /// How it is set.
        style: TextStyle,
    },
}

/// A page.
#[derive(Debug, Clone, PartialEq)]
pub struct Scene {
    /// Width in points.
    pub width: f64,
    /// Height in points.
    pub height: f64,
    /// From the back to the front.
    pub shapes: Vec<Shape>,
}

impl Scene {
    /// Adds a line; one with fewer than two points is nothing.
    pub fn line(&mut self, points: Vec<Point>, stroke: Stroke) {
        if points.len() > 1 {
            self.shapes.push(Shape::Line { points, stroke });
        }
    }

    /// Adds an area; one with fewer than three corners is nothing.
    pub fn area(&mut self, points: Vec<Point>, fill: Rgb, opacity: f64) {
        if points.len() > 2 {
            self.shapes.push(Shape::Area {
                points,
                fill,
                opacity,
            });
        }
    }

    /// Adds an upright rectangle from its upper left corner.
    pub fn rect(&mut self, (x, y): Point, width: f64, height: f64, fill: Rgb, opacity: f64) {
        let (right, below) = (x + width, y + height);
        let corners = vec![(x, y), (right, y), (right, below), (x, below)];
        self.area(corners, fill, opacity);
    }

    /// Adds a text.
    pub fn text(&mut self, text: impl Into<String>, place: Point, style: TextStyle) {
        let text = text.into();
        self.shapes.push(Shape::Text { text, place, style });
    }

    /// Letters of its texts that the font lacks; control characters are no letters.
    pub(super) fn letters_missing_in(&self, font: &Font) -> BTreeSet<char> {
        let texts = self.shapes.iter().filter_map(|shape| match shape {
            Shape::Text { text, .. } => Some(text),
            Shape::Line { .. } | Shape::Area { .. } => None,
        });
        let letters = texts.flat_map(|text| text.chars());
        letters
            .filter(|letter| !letter.is_control() && !font.has(*letter))
            .collect()
    }
}
