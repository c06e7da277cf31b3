//! Numbers around a small plot whose axes take no room of their own.

use egui::{Align2, FontId, Ui, vec2};
use egui_plot::GridMark;

use super::PlotAnswer;
use super::axis::{AxisNumbers, PlotAxis, mark_text};
use crate::gui::widgets::together::text_width_in;

/// Between the frame and its numbers, and between two numbers.
const GAP: f32 = 3.0;

/// Writes the numbers of the horizontal axis below the frame of a plot, and those of the vertical one left of it if asked
/// for. They take no room: whoever draws the plot leaves it.
pub fn outer_numbers(
    ui: &Ui,
    answer: &PlotAnswer,
    [x, y]: [&PlotAxis; 2],
    size: f32,
    has_left: bool,
) {
    let font = || FontId::proportional(size);
    let color = ui.visuals().weak_text_color();
    let frame = answer.response.rect;
    let width = |at: &f64| text_width_in(ui, &text(*at, x), font());
    let places = places(x);
    let widest = places.iter().map(width).fold(0.0, f32::max);
    let distance = frame.width() / places.len().max(2) as f32;
    let every = ((widest + GAP) / distance).ceil().max(1.0) as usize;
    for at in places.into_iter().step_by(every) {
        let place = answer.place([at, y.low]).x;
        let below = egui::pos2(place, frame.bottom()) + vec2(0.0, GAP / 2.0);
        ui.painter()
            .text(below, Align2::CENTER_TOP, text(at, x), font(), color);
    }
    if !has_left {
        return;
    }
    for at in [y.low, (y.low + y.high) / 2.0, y.high] {
        let place = answer.place([x.low, at]).y;
        let left = egui::pos2(frame.left() - GAP, place);
        ui.painter()
            .text(left, Align2::RIGHT_CENTER, text(at, y), font(), color);
    }
}

/// Every power of two on an axis of them, and the ends of another.
fn places(axis: &PlotAxis) -> Vec<f64> {
    match axis.numbers {
        AxisNumbers::Octaves => {
            let (low, high) = (axis.low.ceil() as i32, axis.high.floor() as i32);
            (low..=high).map(f64::from).collect()
        }
        _ => vec![axis.low, axis.high],
    }
}

fn text(at: f64, axis: &PlotAxis) -> String {
    let mark = GridMark {
        value: at,
        step_size: 1.0,
    };
    mark_text(mark, axis.numbers, axis.high - axis.low)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_axis_of_octaves_has_its_powers_of_two_and_another_its_ends() {
        let budgets = PlotAxis {
            high: 10.3,
            numbers: AxisNumbers::Octaves,
            ..PlotAxis::shares("budget")
        };
        let texts: Vec<String> = places(&budgets)
            .into_iter()
            .map(|at| text(at, &budgets))
            .collect();
        assert_eq!(texts.len(), 11);
        assert_eq!((texts[0].as_str(), texts[10].as_str()), ("1", "1k"));
        assert_eq!(places(&PlotAxis::shares("recall")), [0.0, 1.0]);
    }
}
