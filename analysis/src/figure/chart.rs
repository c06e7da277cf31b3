//! A figure in terms of its data: panels, their marks, a legend, a colour bar.

use super::axis::Axis;
use super::palette::{Marker, SeriesStyle, diverging, sequential};
use super::scene::Rgb;

/// Widths that journals and conferences set figures in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ColumnWidth {
    /// One of two columns, 84 mm.
    #[default]
    Single,
    /// Both columns, 174 mm.
    Double,
    /// The text of a NeurIPS paper, 5.5 inches.
    Neurips,
    /// A column of an ICML paper, 3.25 inches.
    Icml,
    /// A column of an ACL paper, 77 mm.
    Acl,
    /// A slide 10 inches wide, within its margins.
    Slides,
}

impl ColumnWidth {
    /// In points.
    pub fn points(self) -> f64 {
        let millimetres = match self {
            Self::Single => 84.0,
            Self::Double => 174.0,
            Self::Neurips => 139.7,
            Self::Icml => 82.55,
            Self::Acl => 77.0,
            Self::Slides => 230.0,
        };
        millimetres * 72.0 / 25.4
    }

    /// Whether it has room for four panels side by side.
    pub(super) fn is_wide(self) -> bool {
        match self {
            Self::Single | Self::Icml | Self::Acl => false,
            Self::Double | Self::Neurips | Self::Slides => true,
        }
    }
}

/// How a figure is set.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PageStyle {
    /// Width of the page.
    pub width: ColumnWidth,
    /// Size of the text in points.
    pub font_size: f64,
}

impl Default for PageStyle {
    fn default() -> Self {
        Self {
            width: ColumnWidth::Single,
            font_size: 7.0,
        }
    }
}

/// A figure.
#[derive(Debug, Clone, PartialEq)]
pub struct Chart {
    /// From left to right, then downwards; all have the same kind of axes.
    pub panels: Vec<Panel>,
    /// Panels side by side.
    pub columns: usize,
    /// Height of a panel's frame over its width.
    pub aspect: f64,
    /// Names of series.
    pub legend: Vec<LegendEntry>,
    /// What the colours of cells mean.
    pub bar: Option<ColorBar>,
    /// A line under everything.
    pub note: Option<String>,
}

/// One frame.
#[derive(Debug, Clone, PartialEq)]
pub struct Panel {
    /// A line above the frame; empty for none.
    pub title: String,
    /// Horizontal.
    pub x: Axis,
    /// Vertical.
    pub y: Axis,
    /// From the back to the front.
    pub marks: Vec<Mark>,
}

/// Something drawn in a frame, in the numbers of its axes.
#[derive(Debug, Clone, PartialEq)]
pub enum Mark {
    /// A curve with a band around it.
    Curve {
        /// Its colour, dash and marker.
        style: SeriesStyle,
        /// x and y.
        points: Vec<(f64, f64)>,
        /// x, low and high; empty for none.
        band: Vec<(f64, f64, f64)>,
        /// Opacity of the band, 0..=1.
        opacity: f64,
        /// Index of the first marked point, so that the markers of curves do not cover each other.
        first_marker: usize,
    },
    /// A bar from 0.
    Bar {
        /// Its colour and marker.
        style: SeriesStyle,
        /// Its middle.
        x: f64,
        /// Its width.
        width: f64,
        /// Its height.
        y: f64,
        /// The ends of its interval.
        interval: Option<(f64, f64)>,
    },
    /// A marker with an interval.
    Dot {
        /// Its colour and marker.
        style: SeriesStyle,
        /// Where it stands.
        x: f64,
        /// Where it stands.
        y: f64,
        /// The ends of its interval in y.
        interval: Option<(f64, f64)>,
    },
    /// A cell of a map, one wide and one high.
    Cell {
        /// Its middle.
        x: f64,
        /// Its middle.
        y: f64,
        /// Its colour.
        fill: Rgb,
        /// What is drawn on it.
        sign: CellSign,
        /// The end of the colour bar that its value lies beyond, whose colour it has.
        beyond: Option<Beyond>,
    },
    /// A thin line without markers: what a curve is to be held against.
    Line {
        /// Its colour.
        color: Rgb,
        /// x and y.
        points: Vec<(f64, f64)>,
    },
    /// A line across the frame at a number of the x axis.
    Upright {
        /// The number.
        x: f64,
    },
}

/// What is drawn on a cell besides its colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CellSign {
    /// Nothing.
    None,
    /// A stroke that rises from corner to corner: no number, or a difference that is not resolved.
    Stroke,
    /// A stroke that falls: such a difference below zero, which grey alone does not tell from one above.
    Falling,
    /// A level stroke: a value below zero, which grey alone does not tell from one above.
    Minus,
    /// Two level strokes: a difference that is shown to be none to speak of.
    Equal,
    /// A series' marker.
    Marker(Marker),
}

/// An end of a colour bar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Beyond {
    /// The lower one.
    Below,
    /// The upper one.
    Above,
}

/// A name in the legend.
#[derive(Debug, Clone, PartialEq)]
pub struct LegendEntry {
    /// The name.
    pub label: String,
    /// How its series is drawn.
    pub style: SeriesStyle,
    /// Whether it is drawn as a line.
    pub line: bool,
}

/// A colour bar with a fixed range.
#[derive(Debug, Clone, PartialEq)]
pub struct ColorBar {
    /// What the colours show.
    pub label: String,
    /// The axis along the bar.
    pub axis: Axis,
    /// Which colours.
    pub map: ColorMap,
    /// Whether cells lie below its lower end, and above its upper one.
    pub beyond: (bool, bool),
}

/// The colours of a bar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColorMap {
    /// From little to much.
    Sequential,
    /// From less to more than none, which stands in the middle.
    Diverging,
}

impl ColorMap {
    /// The colour of a share of the bar, 0..=1.
    pub fn color(self, share: f32) -> Rgb {
        match self {
            Self::Sequential => sequential(share),
            Self::Diverging => diverging(share),
        }
    }
}
