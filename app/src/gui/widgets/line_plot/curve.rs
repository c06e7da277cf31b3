//! One curve of a plot: its points, and how they are drawn.

use egui_plot::{Line, LineStyle, MarkerShape, PlotPoints, PlotUi, Points};

use crate::gui::theme::SeriesStyle;

/// Curves of more points have a marker at some of them only: so many along what is in sight, each curve's at places of its
/// own, so that markers of curves that meet do not cover each other.
const MOST_MARKERS: usize = 12;
const MARKERS: usize = 4;

/// Radius of the dots of a line by its width.
const DOT_SHARE: f32 = 0.75;

/// Radius of a marker on a line, in points.
const MARKER: f32 = 3.5;

/// How the points of a curve are drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Drawn {
    /// Joined by a line so wide.
    Line {
        /// In points.
        width: f32,
        /// Whether some of the points have markers.
        markers: bool,
    },
    /// Each for itself, so large.
    Dots {
        /// In points.
        radius: f32,
    },
}

impl Drawn {
    /// A curve with markers.
    pub const CURVE: Self = Self::Line {
        width: 2.0,
        markers: true,
    };

    /// Dots that can be told apart by their markers.
    pub const DOTS: Self = Self::Dots { radius: 5.0 };

    /// A line without markers.
    #[must_use]
    pub fn line(width: f32) -> Self {
        Self::Line {
            width,
            markers: false,
        }
    }
}

/// A curve.
#[derive(Clone, Debug)]
pub struct PlotCurve {
    /// For the hover; a curve without a name has none.
    pub name: String,
    /// Colour, dash and marker.
    pub style: SeriesStyle,
    /// Places on the horizontal axis.
    pub xs: Vec<f64>,
    /// Heights.
    pub ys: Vec<f64>,
    /// Lower and upper edge of a band around it.
    pub band: Option<(Vec<f64>, Vec<f64>)>,
    /// Whether a line joins its points, or each stands for itself.
    pub drawn: Drawn,
}

/// The points at which all of some curves have a number: a band ends where it is undefined.
pub(super) fn defined<const N: usize>(curves: [&[f64]; N]) -> [Vec<f64>; N] {
    let points = curves.iter().map(|curve| curve.len()).min().unwrap_or(0);
    let is_defined = |point: &usize| curves.iter().all(|curve| curve[*point].is_finite());
    let points: Vec<usize> = (0..points).filter(is_defined).collect();
    curves.map(|curve| points.iter().map(|point| curve[*point]).collect())
}

/// The points of a curve that have a marker: all of a few, and of many those at equal steps from `low` to `high` that are
/// shifted by a share of a step.
fn marked_points(points: &[[f64; 2]], [low, high]: [f64; 2], phase: f64) -> Vec<[f64; 2]> {
    if points.len() <= MOST_MARKERS {
        return points.to_vec();
    }
    let mut marked: Vec<[f64; 2]> = Vec::new();
    for step in 0..MARKERS {
        let at = low + (high - low) * (step as f64 + phase) / MARKERS as f64;
        let distance = |point: &&[f64; 2]| (point[0] - at).abs();
        let nearest = points
            .iter()
            .min_by(|a, b| distance(a).total_cmp(&distance(b)));
        marked.extend(nearest.filter(|point| marked.last() != Some(point)));
    }
    marked
}

pub(super) fn draw_curve(plot: &mut PlotUi<'_>, curve: &PlotCurve, strength: f32, phase: f64) {
    let color = curve.style.color.gamma_multiply(strength);
    let points: Vec<[f64; 2]> = curve
        .xs
        .iter()
        .zip(&curve.ys)
        .map(|(x, y)| [*x, *y])
        .filter(|point| point.iter().all(|number| number.is_finite()))
        .collect();
    let has_hover = !curve.name.is_empty();
    let (width, markers) = match curve.drawn {
        Drawn::Line { width, markers } => (width, markers),
        Drawn::Dots { radius } => {
            let dots = Points::new(curve.name.clone(), PlotPoints::from(points));
            let shape = curve.style.marker.unwrap_or(MarkerShape::Circle);
            let dots = dots.shape(shape).radius(radius);
            plot.points(dots.color(color).allow_hover(has_hover));
            return;
        }
    };
    // a dot is as wide as two lines
    let width = match curve.style.line {
        LineStyle::Dotted { .. } => DOT_SHARE * width,
        _ => width,
    };
    let sight = plot.plot_bounds();
    let marked = marked_points(&points, [sight.min()[0], sight.max()[0]], phase);
    plot.line(
        Line::new(curve.name.clone(), PlotPoints::from(points))
            .color(color)
            .style(curve.style.line)
            .width(width)
            .allow_hover(has_hover),
    );
    let Some(shape) = curve.style.marker.filter(|_| markers) else {
        return;
    };
    plot.points(
        Points::new("", PlotPoints::from(marked))
            .shape(shape)
            .radius(MARKER)
            .color(color)
            .allow_hover(false),
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markers_of_curves_that_meet_stand_at_places_of_their_own() {
        let points: Vec<[f64; 2]> = (0..=400).map(|at| [f64::from(at) / 100.0, 1.0]).collect();
        let places = |phase| -> Vec<f64> {
            let marked = marked_points(&points, [0.0, 4.0], phase);
            marked.iter().map(|point| point[0]).collect()
        };
        assert_eq!(places(0.25), [0.25, 1.25, 2.25, 3.25]);
        assert_eq!(places(0.75), [0.75, 1.75, 2.75, 3.75]);
        // zoomed in they stand in what is in sight
        let zoomed = marked_points(&points, [1.0, 2.0], 0.5);
        assert!(
            zoomed.iter().all(|point| (1.0..=2.0).contains(&point[0])),
            "{zoomed:?}"
        );
        assert_eq!(marked_points(&points[..5], [0.0, 4.0], 0.5).len(), 5);
    }
}
