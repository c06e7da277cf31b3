//! Curves and dots with bands, names and a hover that says their numbers: every plot of the window. Those that say so can
//! be zoomed and moved.

mod outer;
mod sight;

use egui::{Align2, Color32, Pos2, Response, RichText, Role, Ui, WidgetInfo, vec2};
use egui_plot::{
    AxisHints, FilledArea, GridInput, GridMark, HLine, HoverPosition, Line, LineStyle, MarkerShape,
    Plot, PlotBounds, PlotPoint, PlotPoints, PlotTransform, PlotUi, Points, Text, VLine,
    uniform_grid_spacer,
};

use crate::gui::numbers::with_minus;
use crate::gui::theme::{SeriesStyle, Theme};
pub use outer::outer_numbers;

/// Low enough that two bands over each other still show both.
const BAND_OPACITY: f32 = 0.14;

/// Bands beyond so many grow fainter together, or they would hide the curves.
const CLEAR_BANDS: f32 = 3.0;

/// Curves of more points have a marker at some of them only: so many along what is in sight, each curve's at places of its
/// own, so that markers of curves that meet do not cover each other.
const MOST_MARKERS: usize = 12;
const MARKERS: usize = 4;

/// Grid lines with a number that an axis of whole or any numbers has at most.
const MOST_LABELS: f64 = 8.0;

/// Height of the horizontal axis, and about the width of a letter of an axis's name.
const BELOW_PLOT: f32 = 40.0;
const LETTER_WIDTH: f32 = 7.0;

/// What the vertical axis takes of a plot's width, about, and the room that the number of an octave wants.
const BESIDE_PLOT: f32 = 50.0;
const OCTAVE_ROOM: f32 = 20.0;

/// Width of the vertical line, which is more than that of any grid line.
const VERTICAL: f32 = 1.6;

/// Radius of the dots of a line by its width.
const DOT_SHARE: f32 = 0.75;

/// Radius of a marker on a line, in points.
const MARKER: f32 = 3.5;

/// How near a point the pointer has to be to be on it, in points of the screen.
const REACH: f32 = 10.0;

/// How much of its colour a curve keeps that is out of date.
const FADED: f32 = 0.35;

/// What numbers an axis has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AxisNumbers {
    /// Shares, with lines at tenths.
    Shares,
    /// Logarithms to base 2 of whole numbers, with lines at powers of two.
    Octaves,
    /// Logarithms to base 10, with lines at powers of ten.
    Decades,
    /// Whole numbers.
    Whole,
    /// Any numbers.
    Any,
}

/// An axis.
#[derive(Clone, Debug)]
pub struct PlotAxis {
    /// Its name.
    pub label: String,
    /// The number at its start.
    pub low: f64,
    /// The number at its end.
    pub high: f64,
    /// What numbers it has.
    pub numbers: AxisNumbers,
    /// What its numbers are parts of, if the hover says which part in percent.
    pub whole: Option<f64>,
}

impl PlotAxis {
    /// An axis of shares.
    #[must_use]
    pub fn shares(label: impl Into<String>) -> Self {
        Self {
            label: label.into(),
            low: 0.0,
            high: 1.0,
            numbers: AxisNumbers::Shares,
            whole: None,
        }
    }
}

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

/// Words in a plot.
#[derive(Clone, Debug)]
pub struct PlotText {
    /// The words.
    pub text: String,
    /// Where they stand.
    pub at: [f64; 2],
    /// Which side of them stands there.
    pub anchor: Align2,
    /// In points.
    pub size: f32,
    /// Their colour.
    pub color: Color32,
    /// Whether they stand on a ground of their own, so that lines do not run through them.
    pub has_ground: bool,
}

impl PlotText {
    /// Words at the foot of a vertical line, on the side that has room, and over whatever runs there.
    #[must_use]
    pub fn at_vertical(text: &str, at: f64, axes: [&PlotAxis; 2], color: Color32) -> Self {
        let [x, y] = axes;
        let (anchor, text) = match at > (x.low + x.high) / 2.0 {
            true => (Align2::RIGHT_BOTTOM, format!("{text}  ")),
            false => (Align2::LEFT_BOTTOM, format!("  {text}")),
        };
        Self {
            text,
            at: [at, y.low],
            anchor,
            size: 12.0,
            color,
            has_ground: true,
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

/// A plot.
pub struct LinePlot<'a> {
    /// What a screen reader says; also tells the plots apart.
    pub name: &'a str,
    /// Points of the screen; all of the row if there is none.
    pub width: Option<f32>,
    /// Points of the screen.
    pub height: f32,
    /// Whether the axes have numbers and names.
    pub has_axes: bool,
    /// The horizontal axis.
    pub x: PlotAxis,
    /// The vertical axis.
    pub y: PlotAxis,
    /// The curves, the first at the bottom.
    pub curves: Vec<PlotCurve>,
    /// Where a vertical line stands.
    pub vertical: Option<f64>,
    /// Where a horizontal line stands.
    pub horizontal: Option<f64>,
    /// Words over the curves.
    pub texts: Vec<PlotText>,
    /// Places on the horizontal axis and what is there, for a hover that tells all curves.
    pub words: Vec<(f64, String)>,
    /// Whether the curves are out of date.
    pub faded: bool,
    /// Whether the wheel zooms, the second button moves and a double click shows all again.
    pub moves: bool,
    /// Whether the hover tells every curve's number at the pointer's place, and not the nearest one's.
    pub tells_all: bool,
}

impl<'a> LinePlot<'a> {
    /// A plot as wide as its row, without curves yet.
    #[must_use]
    pub fn new(name: &'a str, height: f32, x: PlotAxis, y: PlotAxis) -> Self {
        Self {
            name,
            width: None,
            height,
            has_axes: true,
            x,
            y,
            curves: Vec::new(),
            vertical: None,
            horizontal: None,
            texts: Vec::new(),
            words: Vec::new(),
            faded: false,
            moves: false,
            tells_all: false,
        }
    }

    /// Draws the plot.
    pub fn show(self, ui: &mut Ui, theme: &Theme) -> PlotAnswer {
        let whole = self.bounds();
        let bounds = match self.moves {
            true => sight::of(ui, self.name, whole),
            false => whole,
        };
        let tells_all = self.tells_all;
        let told = tells_all.then(|| self.told(theme));
        let is_moved = self.moves;
        let (x, y) = (self.x.clone(), self.y.clone());
        // room for the half of the last number that stands right of its line
        let width = self
            .width
            .unwrap_or_else(|| (ui.available_width() - 12.0).max(40.0));
        let apart = (width - BESIDE_PLOT) / bounds.width() as f32;
        let plot = Plot::new(("line plot", self.name))
            .width(width)
            .height(self.height)
            .show_axes(self.has_axes)
            .allow_drag(false)
            .allow_zoom(false)
            .allow_scroll(false)
            .allow_boxed_zoom(false)
            .allow_double_click_reset(false)
            .show_crosshair(false)
            .custom_x_axes(vec![axis_hints(AxisHints::new_x(), &self.x, apart)])
            .custom_y_axes(vec![axis_hints(
                AxisHints::new_y(),
                &self.drawn_y(),
                f32::INFINITY,
            )])
            .x_grid_spacer(spacer(self.x.numbers))
            .y_grid_spacer(spacer(self.y.numbers))
            .label_formatter(move |position| match tells_all {
                true => None,
                false => hover_text(position, &x, &y),
            });
        let name = self.name.to_owned();
        let answer = plot.show(ui, |plot| {
            plot.set_plot_bounds(bounds);
            self.draw(plot, theme);
        });
        let response = answer.response;
        response.widget_info(|| WidgetInfo::labeled(Role::Canvas, true, &name));
        let pointer = response.interact_pointer_pos();
        let at = pointer
            .or_else(|| response.hover_pos())
            .map(|pointer| answer.transform.value_from_position(pointer).x);
        if is_moved {
            sight::answer(ui, &name, &response, whole, answer.transform.bounds());
        }
        if let (Some(told), Some(at)) = (told, at) {
            told.show(&response, at);
        }
        PlotAnswer {
            response,
            at,
            transform: answer.transform,
        }
    }

    /// What the hover says of every curve that has a name.
    fn told(&self, theme: &Theme) -> Told {
        let named = self.curves.iter().filter(|curve| !curve.name.is_empty());
        let curve = |curve: &PlotCurve| {
            let points = curve.xs.iter().copied().zip(curve.ys.iter().copied());
            let color = theme.legible(curve.style.color);
            (curve.name.clone(), color, points.collect())
        };
        Told {
            x: self.x.clone(),
            words: self.words.clone(),
            curves: named.map(curve).collect(),
        }
    }

    /// The vertical axis, without its name where that would be longer than the axis.
    fn drawn_y(&self) -> PlotAxis {
        PlotAxis {
            label: match has_room_for_name(self.height, &self.y.label) {
                true => self.y.label.clone(),
                false => String::new(),
            },
            ..self.y.clone()
        }
    }

    /// Names of the curves with markers, in an order that does not change with the curve in front.
    fn marked(&self) -> Vec<&str> {
        let has_markers =
            |curve: &&PlotCurve| matches!(curve.drawn, Drawn::Line { markers: true, .. });
        let marked = self.curves.iter().filter(has_markers);
        let mut names: Vec<&str> = marked.map(|curve| curve.name.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    fn bounds(&self) -> PlotBounds {
        let (x, y) = (&self.x, &self.y);
        let width = (x.high - x.low).max(1e-9);
        let height = (y.high - y.low).max(1e-9);
        PlotBounds::from_min_max(
            [x.low - 0.02 * width, y.low - 0.04 * height],
            [x.high + 0.02 * width, y.high + 0.04 * height],
        )
    }

    fn draw(&self, plot: &mut PlotUi<'_>, theme: &Theme) {
        let strength = if self.faded { FADED } else { 1.0 };
        let bands = self.curves.iter().filter(|curve| curve.band.is_some());
        let crowd = (CLEAR_BANDS / bands.count().max(1) as f32).min(1.0);
        for curve in &self.curves {
            if let Some((low, high)) = &curve.band {
                let color = curve.style.color.gamma_multiply(BAND_OPACITY * crowd);
                let [xs, low, high] = defined([&curve.xs, low, high]);
                let area = FilledArea::new("", &xs, &low, &high);
                plot.add(area.fill_color(color).allow_hover(false));
            }
        }
        if let Some(at) = self.vertical {
            let color = theme.selection.gamma_multiply(0.7);
            plot.vline(
                VLine::new("", at)
                    .color(color)
                    .width(VERTICAL)
                    .allow_hover(false),
            );
        }
        if let Some(at) = self.horizontal {
            let line = HLine::new("", at).color(theme.random).width(1.0);
            let dashed = line.style(LineStyle::Dashed { length: 6.0 });
            plot.hline(dashed.allow_hover(false));
        }
        let marked = self.marked();
        for curve in &self.curves {
            let place = marked.binary_search(&curve.name.as_str()).unwrap_or(0);
            let phase = (place as f64 + 0.5) / marked.len().max(1) as f64;
            draw_curve(plot, curve, strength, phase);
        }
        for text in &self.texts {
            let [x, y] = text.at;
            let words = RichText::new(&text.text).size(text.size);
            let words = match text.has_ground {
                true => words.background_color(theme.paper),
                false => words,
            };
            let words = Text::new("", PlotPoint::new(x, y), words);
            plot.text(
                words
                    .anchor(text.anchor)
                    .color(theme.legible(text.color))
                    .allow_hover(false),
            );
        }
    }
}

/// Whether the vertical axis of a plot of this height is as long as its name.
#[must_use]
pub fn has_room_for_name(height: f32, name: &str) -> bool {
    name.chars().count() as f32 * LETTER_WIDTH <= height - BELOW_PLOT
}

/// What was done to a plot.
pub struct PlotAnswer {
    /// Its response.
    pub response: Response,
    /// The place on the horizontal axis that is clicked, dragged or pointed at.
    pub at: Option<f64>,
    transform: PlotTransform,
}

impl PlotAnswer {
    /// Where a point stands on the screen.
    #[must_use]
    pub fn place(&self, [x, y]: [f64; 2]) -> Pos2 {
        self.transform.position_from_point(&PlotPoint::new(x, y))
    }

    /// Which of some points the pointer is on: the nearest within its reach.
    #[must_use]
    pub fn nearest(&self, points: impl Iterator<Item = [f64; 2]>) -> Option<usize> {
        let pointer = self.response.interact_pointer_pos();
        let pointer = pointer.or_else(|| self.response.hover_pos())?;
        let distance = |point: [f64; 2]| self.place(point).distance(pointer);
        let points = points.map(distance).enumerate();
        let near = points.filter(|(_, distance)| *distance <= REACH);
        let nearest = near.min_by(|a, b| a.1.total_cmp(&b.1));
        nearest.map(|(index, _)| index)
    }
}

/// Name, colour and points.
type ToldCurve = (String, Color32, Vec<(f64, f64)>);

/// Curves with their names, for a hover that tells all of them.
struct Told {
    x: PlotAxis,
    words: Vec<(f64, String)>,
    curves: Vec<ToldCurve>,
}

impl Told {
    /// Every curve's number at the point that is nearest to a place.
    fn show(self, response: &Response, at: f64) {
        response.clone().on_hover_ui_at_pointer(|ui| {
            let place = place_text(at.clamp(self.x.low, self.x.high), &self.x);
            let distance = |x: f64| (x - at).abs();
            let words = self.words.iter();
            let word = words.min_by(|a, b| distance(a.0).total_cmp(&distance(b.0)));
            ui.weak(match word {
                Some((_, word)) => format!("{}: {place} {word}", self.x.label),
                None => format!("{}: {place}", self.x.label),
            });
            egui::Grid::new("numbers of all curves")
                .num_columns(2)
                .spacing([10.0, 1.0])
                .show(ui, |ui| {
                    for (name, color, points) in &self.curves {
                        let nearest = points
                            .iter()
                            .min_by(|a, b| distance(a.0).total_cmp(&distance(b.0)));
                        ui.colored_label(*color, name);
                        ui.monospace(match nearest {
                            Some((_, y)) if y.is_finite() => with_minus(&format!("{y:.3}")),
                            _ => "–".to_owned(),
                        });
                        ui.end_row();
                    }
                });
        });
    }
}

/// The points at which all of some curves have a number: a band ends where it is undefined.
fn defined<const N: usize>(curves: [&[f64]; N]) -> [Vec<f64>; N] {
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

fn draw_curve(plot: &mut PlotUi<'_>, curve: &PlotCurve, strength: f32, phase: f64) {
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

/// Marks with the room that their numbers need; egui_plot fades them in from less to more, and faint ones cannot be read.
/// Octaves stand so many points `apart`: where they are narrow, every second or fourth has its number.
fn axis_hints<'a>(hints: AxisHints<'a>, axis: &PlotAxis, apart: f32) -> AxisHints<'a> {
    let (numbers, every) = (axis.numbers, octaves_between_numbers(apart));
    let is_passed_over = move |mark: &GridMark| {
        matches!(numbers, AxisNumbers::Octaves) && mark.value.round() as i64 % every != 0
    };
    let hints = hints
        .label(axis.label.clone())
        .formatter(move |mark, range| match is_passed_over(&mark) {
            true => String::new(),
            false => mark_text(mark, numbers, range.end() - range.start()),
        });
    match numbers {
        AxisNumbers::Octaves if every > 1 => hints.label_spacing(1.0..=1.01),
        AxisNumbers::Octaves => hints.label_spacing(OCTAVE_ROOM..=OCTAVE_ROOM + 0.01),
        AxisNumbers::Whole => hints.label_spacing(24.0..=24.01),
        AxisNumbers::Shares | AxisNumbers::Any | AxisNumbers::Decades => {
            hints.label_spacing(16.0..=16.01)
        }
    }
}

/// From one number of an axis of octaves to the next, in octaves.
fn octaves_between_numbers(apart: f32) -> i64 {
    let mut steps = [1, 2, 4].into_iter();
    steps
        .find(|&step| apart * step as f32 >= OCTAVE_ROOM)
        .unwrap_or(8)
}

fn mark_text(mark: GridMark, numbers: AxisNumbers, span: f64) -> String {
    match numbers {
        AxisNumbers::Octaves => short_whole(mark.value.exp2()),
        AxisNumbers::Decades if mark.value.fract().abs() > 1e-6 => String::new(),
        AxisNumbers::Decades => format!("{}", 10_f64.powi(mark.value.round() as i32)),
        AxisNumbers::Whole if mark.value.fract().abs() > 1e-6 => String::new(),
        AxisNumbers::Whole => with_minus(&short_whole(mark.value)),
        AxisNumbers::Shares => format!("{}", (mark.value * 10.0).round() / 10.0),
        AxisNumbers::Any => {
            let decimals = -round_step(span / MOST_LABELS).log10().floor();
            let decimals = decimals.clamp(0.0, 6.0) as usize;
            with_minus(&format!("{:.decimals$}", mark.value))
        }
    }
}

/// A whole number in as few letters as fit between two grid lines.
fn short_whole(number: f64) -> String {
    if number >= 1024.0 && (number / 1024.0).fract() == 0.0 {
        format!("{:.0}k", number / 1024.0)
    } else {
        format!("{number:.0}")
    }
}

fn spacer(numbers: AxisNumbers) -> Box<dyn Fn(GridInput) -> Vec<GridMark>> {
    match numbers {
        AxisNumbers::Shares => Box::new(uniform_grid_spacer(|_| [0.1, 0.5, 1.0])),
        AxisNumbers::Octaves => Box::new(|input| octaves(input.bounds)),
        AxisNumbers::Decades => Box::new(uniform_grid_spacer(|_| [1.0, 10.0, 100.0])),
        AxisNumbers::Whole => Box::new(uniform_grid_spacer(|input| {
            let step = round_step((input.bounds.1 - input.bounds.0) / MOST_LABELS).max(1.0);
            [step, 5.0 * step, 10.0 * step]
        })),
        AxisNumbers::Any => Box::new(uniform_grid_spacer(|input| {
            let step = round_step((input.bounds.1 - input.bounds.0) / MOST_LABELS);
            [step, 5.0 * step, 10.0 * step]
        })),
    }
}

/// The smallest of 1, 2 and 5 times a power of ten that is at least so large.
fn round_step(least: f64) -> f64 {
    let power = 10_f64.powf(least.max(1e-12).log10().floor());
    let times = [1.0, 2.0, 5.0].into_iter();
    let mut steps = times.map(|times| times * power);
    steps
        .find(|step| *step >= least * (1.0 - 1e-9))
        .unwrap_or(10.0 * power)
}

/// A line at every power of two.
fn octaves(bounds: (f64, f64)) -> Vec<GridMark> {
    let first = bounds.0.ceil().max(0.0) as i32;
    (first..=bounds.1.floor() as i32)
        .map(|octave| GridMark {
            value: f64::from(octave),
            step_size: 1.0,
        })
        .collect()
}

/// A place on the horizontal axis in words, with its part of the whole.
fn place_text(at: f64, axis: &PlotAxis) -> String {
    let number = match axis.numbers {
        AxisNumbers::Octaves => at.exp2().round(),
        AxisNumbers::Decades => 10_f64.powf(at),
        AxisNumbers::Whole => at.round(),
        AxisNumbers::Shares | AxisNumbers::Any => at,
    };
    let text = match axis.numbers {
        AxisNumbers::Octaves | AxisNumbers::Whole => format!("{number:.0}"),
        AxisNumbers::Shares | AxisNumbers::Any | AxisNumbers::Decades => format!("{number:.3}"),
    };
    match axis.whole {
        Some(whole) => format!("{text}, {:.1} %", 100.0 * number / whole),
        None => text,
    }
}

fn hover_text(position: &HoverPosition<'_>, x: &PlotAxis, y: &PlotAxis) -> Option<String> {
    match position {
        HoverPosition::NearDataPoint {
            plot_name,
            position,
            ..
        } if !plot_name.is_empty() => {
            let at = place_text(position.x, x);
            let value = with_minus(&format!("{:.3}", position.y));
            Some(format!(
                "{plot_name}\n{}: {at}\n{}: {value}",
                x.label, y.label
            ))
        }
        _ => None,
    }
}

/// The height that a plot may take, so that it never grows past its pane.
#[must_use]
pub fn height_left(ui: &Ui) -> f32 {
    let left = ui.available_size() - vec2(0.0, ui.spacing().item_spacing.y);
    left.y.max(60.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(value: f64, numbers: AxisNumbers, span: f64) -> String {
        let mark = GridMark {
            value,
            step_size: 1.0,
        };
        mark_text(mark, numbers, span)
    }

    #[test]
    fn narrow_octaves_share_a_number() {
        let steps = [40.0, 20.0, 17.0, 9.0, 3.0].map(octaves_between_numbers);
        assert_eq!(steps, [1, 1, 2, 4, 8]);
    }

    #[test]
    fn numbers_have_as_many_letters_as_they_need() {
        assert_eq!(mark(10.0, AxisNumbers::Octaves, 10.0), "1k");
        assert_eq!(mark(9.0, AxisNumbers::Octaves, 10.0), "512");
        assert_eq!(mark(1000.0, AxisNumbers::Whole, 1000.0), "1000");
        assert_eq!(mark(0.5, AxisNumbers::Whole, 3.0), "");
        assert_eq!(mark(0.30000000000000004, AxisNumbers::Shares, 1.0), "0.3");
        assert_eq!(mark(0.002, AxisNumbers::Any, 0.01), "0.002");
        assert_eq!(mark(1.5, AxisNumbers::Any, 3.0), "1.5");
        assert_eq!(mark(-0.2, AxisNumbers::Any, 1.0), "−0.2");
        assert_eq!(mark(200.0, AxisNumbers::Any, 400.0), "200");
        assert_eq!(mark(-2.0, AxisNumbers::Decades, 4.0), "0.01");
        assert_eq!(mark(3.0, AxisNumbers::Decades, 4.0), "1000");
    }

    #[test]
    fn words_stand_on_the_side_of_a_vertical_line_that_has_room() {
        let x = PlotAxis {
            low: 1000.0,
            high: 1100.0,
            ..PlotAxis::shares("position")
        };
        let y = PlotAxis::shares("recall");
        let at = |at| PlotText::at_vertical("end", at, [&x, &y], Color32::WHITE);
        let (left, right) = (at(1074.0), at(1010.0));
        assert_eq!(
            (left.anchor, left.at),
            (Align2::RIGHT_BOTTOM, [1074.0, 0.0])
        );
        assert_eq!(left.text, "end  ");
        assert_eq!(
            (right.anchor, right.text.as_str()),
            (Align2::LEFT_BOTTOM, "  end")
        );
        assert!(left.has_ground && right.has_ground);
    }

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

    #[test]
    fn grid_lines_stand_at_powers_of_two() {
        let marks = octaves((-0.2, 10.3));
        let marks: Vec<f64> = marks.iter().map(|mark| mark.value).collect();
        let expected: Vec<f64> = (0..=10).map(f64::from).collect();
        assert_eq!(marks, expected);
    }

    #[test]
    fn grid_lines_stand_at_round_numbers() {
        for (least, step) in [
            (0.9, 1.0),
            (1.0, 1.0),
            (2.1, 5.0),
            (7.0, 10.0),
            (0.03, 0.05),
        ] {
            assert!((round_step(least) - step).abs() < 1e-9, "{least}");
        }
    }
}
