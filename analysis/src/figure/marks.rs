//! Marks on the page: curves, bars, cells, markers.

use super::axis::Axis;
use super::chart::{Beyond, CellSign, LegendEntry, Mark};
use super::clip::Heights;
use super::palette::{Dash, Marker, SeriesStyle};
use super::scene::{Point, Rgb, Scene, Stroke};

const CURVE_LINE: f64 = 1.0;
const MARKER_RADIUS: f64 = 1.9;
const INTERVAL_LINE: f64 = 0.6;
const THIN_LINE: f64 = 0.5;
/// Markers on one curve.
const MARKERS: usize = 5;
/// What a cell reaches over its neighbours.
const SEAM: f64 = 0.08;
/// Corners of a disc.
const CORNERS: usize = 16;

/// Where a panel stands.
pub(super) struct Frame {
    pub left: f64,
    pub top: f64,
    pub width: f64,
    pub height: f64,
    /// How much larger than in a column its marks are drawn.
    pub scale: f64,
}

impl Frame {
    pub(super) fn x(&self, axis: &Axis, number: f64) -> f64 {
        self.left + self.width * axis.share(number).clamp(0.0, 1.0)
    }

    pub(super) fn y(&self, axis: &Axis, number: f64) -> f64 {
        self.top + self.height * (1.0 - axis.share(number).clamp(0.0, 1.0))
    }

    /// Where a number would stand if the axis went on.
    fn free_y(&self, axis: &Axis, number: f64) -> f64 {
        self.top + self.height * (1.0 - axis.share(number))
    }

    fn heights(&self) -> Heights {
        Heights {
            top: self.top,
            bottom: self.top + self.height,
        }
    }
}

/// Draws a mark in its frame. What lies above or below the value axis is cut off, and has no marker.
pub(super) fn draw_mark(
    scene: &mut Scene,
    frame: &Frame,
    x_axis: &Axis,
    y_axis: &Axis,
    mark: &Mark,
) {
    let held = |(x, y): Point| (frame.x(x_axis, x), frame.y(y_axis, y));
    let place = |(x, y): Point| (frame.x(x_axis, x), frame.free_y(y_axis, y));
    let heights = frame.heights();
    let radius = frame.scale * MARKER_RADIUS;
    match mark {
        Mark::Curve {
            style,
            points,
            band,
            opacity,
            first_marker,
        } => {
            let upper = band.iter().map(|&(x, _, high)| place((x, high)));
            let lower = band.iter().rev().map(|&(x, low, _)| place((x, low)));
            let band = heights.part_of_area(upper.chain(lower).collect());
            scene.area(band, style.color, *opacity);
            let points: Vec<Point> = points.iter().copied().map(place).collect();
            for part in heights.parts_of_line(&points) {
                scene.line(part, stroke(style, frame.scale));
            }
            let step = points.len().div_ceil(MARKERS).max(1);
            let marked = points.iter().skip(first_marker % step).step_by(step);
            for &point in marked.filter(|point| heights.has(point.1)) {
                draw_marker(scene, point, style.marker, style.color, radius);
            }
        }
        Mark::Bar {
            style,
            x,
            width,
            y,
            interval,
        } => {
            let (left, top) = held((x - 0.5 * width, *y));
            let (right, bottom) = held((x + 0.5 * width, y_axis.range.0.max(0.0)));
            scene.rect((left, top), right - left, bottom - top, style.color, 0.75);
            let ends = interval.map(|(low, high)| (place((*x, low)), place((*x, high))));
            draw_interval(scene, frame.scale, heights, ends);
            let point = place((*x, *y));
            if heights.has(point.1) {
                draw_marker(scene, point, style.marker, style.color, radius);
            }
        }
        Mark::Dot {
            style,
            x,
            y,
            interval,
        } => {
            let ends = interval.map(|(low, high)| (place((*x, low)), place((*x, high))));
            draw_interval(scene, frame.scale, heights, ends);
            let point = place((*x, *y));
            if heights.has(point.1) {
                draw_marker(scene, point, style.marker, style.color, 1.4 * radius);
            }
        }
        Mark::Cell {
            x,
            y,
            fill,
            sign,
            beyond,
        } => {
            let (left, top) = held((x - 0.5, y + 0.5));
            let (right, bottom) = held((x + 0.5, y - 0.5));
            draw_cell(scene, (left, top), (right, bottom), *fill, *sign);
            let reach = 0.4 * (right - left).min(bottom - top);
            let corner = beyond.map(|beyond| match beyond {
                Beyond::Above => vec![(right - reach, top), (right, top), (right, top + reach)],
                Beyond::Below => vec![
                    (left, bottom - reach),
                    (left + reach, bottom),
                    (left, bottom),
                ],
            });
            if let Some(corner) = corner {
                scene.area(corner, ink_on(*fill), 1.0);
            }
        }
        Mark::Line { color, points } => {
            let points: Vec<Point> = points.iter().copied().map(place).collect();
            for part in heights.parts_of_line(&points) {
                scene.line(part, Stroke::solid(*color, frame.scale * THIN_LINE));
            }
        }
        Mark::Upright { x } => {
            let x = frame.x(x_axis, *x);
            let ends = vec![(x, frame.top), (x, frame.top + frame.height)];
            scene.line(ends, reference());
        }
    }
}

fn reference() -> Stroke {
    Stroke {
        color: Rgb::REFERENCE,
        width: 0.7,
        dash: vec![2.0, 1.5],
    }
}

/// Draws the swatch of a legend entry from its left end.
pub(super) fn draw_swatch(
    scene: &mut Scene,
    (x, y): Point,
    width: f64,
    scale: f64,
    entry: &LegendEntry,
) {
    if entry.line {
        scene.line(vec![(x, y), (x + width, y)], stroke(&entry.style, scale));
    }
    let middle = (x + 0.5 * width, y);
    let (marker, color) = (entry.style.marker, entry.style.color);
    draw_marker(scene, middle, marker, color, 1.2 * scale * MARKER_RADIUS);
}

fn stroke(style: &SeriesStyle, scale: f64) -> Stroke {
    let dash: &[f64] = match style.dash {
        Dash::Solid => &[],
        Dash::Dashed => &[4.0, 2.0],
        Dash::Dotted => &[1.2, 1.4],
        Dash::Long => &[8.0, 2.0],
    };
    Stroke {
        color: style.color,
        width: scale * CURVE_LINE,
        dash: dash.iter().map(|length| scale * length).collect(),
    }
}

fn draw_interval(scene: &mut Scene, scale: f64, heights: Heights, ends: Option<(Point, Point)>) {
    let ends = ends.map_or_else(Vec::new, |(low, high)| vec![low, high]);
    for part in heights.parts_of_line(&ends) {
        scene.line(part, Stroke::solid(Rgb::BLACK, scale * INTERVAL_LINE));
    }
}

fn draw_cell(
    scene: &mut Scene,
    (left, top): Point,
    (right, bottom): Point,
    fill: Rgb,
    sign: CellSign,
) {
    // a little larger than the cell, so that no seam shows
    let (width, height) = (right - left, bottom - top);
    scene.rect((left, top), width + SEAM, height + SEAM, fill, 1.0);
    let ink = ink_on(fill);
    match sign {
        CellSign::None => {}
        CellSign::Stroke => {
            let inset = 0.25 * width.min(height);
            let ends = vec![(left + inset, bottom - inset), (right - inset, top + inset)];
            scene.line(ends, Stroke::solid(ink, 0.5));
        }
        CellSign::Falling => {
            let inset = 0.25 * width.min(height);
            let ends = vec![(left + inset, top + inset), (right - inset, bottom - inset)];
            scene.line(ends, Stroke::solid(ink, 0.5));
        }
        CellSign::Minus => {
            let (reach, middle) = (0.18 * width.min(height), 0.5 * (top + bottom));
            let center = 0.5 * (left + right);
            let ends = vec![(center - reach, middle), (center + reach, middle)];
            scene.line(ends, Stroke::solid(ink, 0.5));
        }
        CellSign::Equal => {
            let (reach, apart) = (0.2 * width.min(height), 0.09 * width.min(height));
            let (center, middle) = (0.5 * (left + right), 0.5 * (top + bottom));
            for y in [middle - apart, middle + apart] {
                let ends = vec![(center - reach, y), (center + reach, y)];
                scene.line(ends, Stroke::solid(ink, 0.5));
            }
        }
        CellSign::Marker(marker) => {
            let middle = (0.5 * (left + right), 0.5 * (top + bottom));
            let radius = (0.25 * width.min(height)).min(1.5 * MARKER_RADIUS);
            draw_marker(scene, middle, marker, ink, radius);
        }
    }
}

/// What can be seen on a cell.
fn ink_on(fill: Rgb) -> Rgb {
    match fill.luma() > 0.5 {
        true => Rgb(40, 40, 40),
        false => Rgb(235, 235, 235),
    }
}

fn draw_marker(scene: &mut Scene, (x, y): Point, marker: Marker, color: Rgb, radius: f64) {
    let corner = |turn: f64, far: f64| {
        let (sin, cos) = (turn * std::f64::consts::TAU).sin_cos();
        (x + far * sin, y - far * cos)
    };
    let around = |count: usize, first: f64, far: f64| -> Vec<Point> {
        (0..count)
            .map(|index| corner(first + index as f64 / count as f64, far))
            .collect()
    };
    match marker {
        Marker::Circle => scene.area(around(CORNERS, 0.0, radius), color, 1.0),
        Marker::Diamond => scene.area(around(4, 0.0, 1.25 * radius), color, 1.0),
        Marker::Square => scene.area(around(4, 0.125, 1.25 * radius), color, 1.0),
        Marker::Up => scene.area(around(3, 0.0, 1.3 * radius), color, 1.0),
        Marker::Down => scene.area(around(3, 0.5, 1.3 * radius), color, 1.0),
        Marker::Cross | Marker::Plus => {
            let turned = match marker {
                Marker::Cross => 0.125,
                _ => 0.0,
            };
            for first in [turned, turned + 0.25] {
                let ends = vec![
                    corner(first, 1.25 * radius),
                    corner(first + 0.5, 1.25 * radius),
                ];
                scene.line(ends, Stroke::solid(color, 0.5 * radius));
            }
        }
    }
}
