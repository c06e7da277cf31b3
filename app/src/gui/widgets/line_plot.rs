//! Curves and dots with bands, names and a hover that says their numbers: every plot of the window. Those that say so can
//! be zoomed and moved.

mod axis;
mod curve;
mod outer;
mod sight;
mod told;

use egui::{Align2, Color32, Pos2, Response, RichText, Role, Ui, WidgetInfo, vec2};
use egui_plot::{
    AxisHints, FilledArea, HLine, LineStyle, Plot, PlotBounds, PlotPoint, PlotTransform, PlotUi,
    Text, VLine,
};

use crate::gui::theme::Theme;
pub use axis::{AxisNumbers, PlotAxis};
use axis::{axis_hints, spacer};
pub use curve::{Drawn, PlotCurve};
use curve::{defined, draw_curve};
pub use outer::outer_numbers;
use told::{Told, hover_text};

/// Low enough that two bands over each other still show both.
const BAND_OPACITY: f32 = 0.14;

/// Bands beyond so many grow fainter together, or they would hide the curves.
const CLEAR_BANDS: f32 = 3.0;

/// Height of the horizontal axis, and about the width of a letter of an axis's name.
const BELOW_PLOT: f32 = 40.0;
const LETTER_WIDTH: f32 = 7.0;

/// What the vertical axis takes of a plot's width, about.
const BESIDE_PLOT: f32 = 50.0;

/// Width of the vertical line, which is more than that of any grid line.
const VERTICAL: f32 = 1.6;

/// How near a point the pointer has to be to be on it, in points of the screen.
const REACH: f32 = 10.0;

/// How much of its colour a curve keeps that is out of date.
const FADED: f32 = 0.35;

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

/// The height that a plot may take, so that it never grows past its pane.
#[must_use]
pub fn height_left(ui: &Ui) -> f32 {
    let left = ui.available_size() - vec2(0.0, ui.spacing().item_spacing.y);
    left.y.max(60.0)
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
