//! The part of a plot that is in sight: zoomed by the wheel, moved with the second button, all again by a double click.

use egui::{Id, PointerButton, Response, Ui};
use egui_plot::PlotBounds;

/// What a turn of the wheel by one point does.
const ZOOM_PER_POINT: f64 = 0.003;
/// The smallest part of the whole that is shown.
const SMALLEST: f64 = 0.01;

/// Lower and upper ends of both axes.
type Ends = [[f64; 2]; 2];

fn id(name: &str) -> Id {
    Id::unique(("sight of the plot", name))
}

/// What is in sight of a plot of this name; all of it before anybody zoomed, and where all is another than it was.
pub(super) fn of(ui: &Ui, name: &str, whole: PlotBounds) -> PlotBounds {
    let known: Option<(Ends, Ends)> = ui.data(|data| data.get_temp(id(name)));
    match known {
        Some((of, sight)) if of == ends(&whole) => bounds(sight),
        _ => whole,
    }
}

/// Remembers what the pointer made of it.
pub(super) fn answer(
    ui: &Ui,
    name: &str,
    response: &Response,
    whole: PlotBounds,
    shown: &PlotBounds,
) {
    if response.double_clicked() {
        ui.data_mut(|data| data.remove::<(Ends, Ends)>(id(name)));
        return;
    }
    let (all, before) = (ends(&whole), ends(shown));
    let mut sight = before;
    let size = response.rect.size();
    let shares = |at: egui::Pos2| {
        let at = (at - response.rect.min) / size;
        [f64::from(at.x), 1.0 - f64::from(at.y)]
    };
    if response.dragged_by(PointerButton::Secondary) {
        let moved = response.drag_delta() / size;
        let moved = [-f64::from(moved.x), f64::from(moved.y)];
        for axis in 0..2 {
            sight[axis] = panned(sight[axis], all[axis], moved[axis]);
        }
    }
    let turned = ui.input(|input| input.smooth_scroll_delta().y);
    if let Some(at) = response.hover_pos().filter(|_| turned != 0.0) {
        let factor = (-f64::from(turned) * ZOOM_PER_POINT).exp();
        for (axis, share) in shares(at).into_iter().enumerate() {
            sight[axis] = zoomed(sight[axis], all[axis], share, factor);
        }
    }
    if sight != before {
        ui.data_mut(|data| data.insert_temp(id(name), (all, sight)));
        ui.ctx().request_repaint();
    }
}

fn ends(bounds: &PlotBounds) -> Ends {
    let (low, high) = (bounds.min(), bounds.max());
    [[low[0], high[0]], [low[1], high[1]]]
}

fn bounds([x, y]: Ends) -> PlotBounds {
    PlotBounds::from_min_max([x[0], y[0]], [x[1], y[1]])
}

/// An axis wider by a factor, the number at this share of it staying where it is.
fn zoomed([low, high]: [f64; 2], all: [f64; 2], share: f64, factor: f64) -> [f64; 2] {
    let (width, widest) = (high - low, all[1] - all[0]);
    let new = (width * factor).clamp(SMALLEST * widest, widest);
    let low = (low + share * (width - new)).clamp(all[0], all[1] - new);
    [low, low + new]
}

/// An axis moved by a share of its width.
fn panned([low, high]: [f64; 2], all: [f64; 2], share: f64) -> [f64; 2] {
    let width = high - low;
    let low = (low + share * width).clamp(all[0], (all[1] - width).max(all[0]));
    [low, low + width]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_under_the_pointer_stays_and_the_ends_hold() {
        let all = [0.0, 10.0];
        let zoomed_in = zoomed(all, all, 0.25, 0.5);
        assert_eq!(zoomed_in, [1.25, 6.25]);
        assert_eq!(zoomed_in[0] + 0.25 * 5.0, 2.5);
        assert_eq!(zoomed(zoomed_in, all, 0.25, 100.0), all);
        assert_eq!(panned(zoomed_in, all, 5.0), [5.0, 10.0]);
        assert_eq!(panned(zoomed_in, all, -5.0), [0.0, 5.0]);
    }
}
