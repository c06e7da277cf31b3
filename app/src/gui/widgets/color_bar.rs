//! The bar beside a map that says which colour is which number, and what the numbers are.

use egui::text::{LayoutJob, TextFormat};
use egui::{Align2, FontId, Mesh, Pos2, Rect, Ui, pos2, vec2};

use super::together::text_width_in;
use crate::gui::numbers::with_minus;
use crate::gui::theme::{ColorMap, Theme};

/// Width of the colours, and what stands between them, their numbers and their name.
const WIDTH: f32 = 12.0;
const GAP: f32 = 4.0;

const STEPS: usize = 32;

/// A bar.
pub struct ColorBar<'a> {
    /// Its colours.
    pub map: ColorMap,
    /// Which number a value of the map stands for.
    pub number: &'a dyn Fn(f32) -> f32,
    /// What the numbers are, with their unit if they have one.
    pub name: &'a str,
    /// Size of the letters.
    pub size: f32,
}

impl ColorBar<'_> {
    /// Places from the top down as shares of the height, and the numbers that stand there.
    fn marks(&self) -> [(f32, Align2, String); 3] {
        let (low, high) = self.map.range();
        [
            (0.0, Align2::LEFT_TOP, high),
            (0.5, Align2::LEFT_CENTER, (low + high) / 2.0),
            (1.0, Align2::LEFT_BOTTOM, low),
        ]
        .map(|(share, anchor, value)| (share, anchor, bar_text((self.number)(value))))
    }

    /// Room that the bar takes with numbers and name.
    #[must_use]
    pub fn width(&self, ui: &Ui) -> f32 {
        WIDTH + GAP + self.numbers_width(ui) + GAP + self.size
    }

    fn numbers_width(&self, ui: &Ui) -> f32 {
        let font = || FontId::proportional(self.size);
        let widths = self
            .marks()
            .map(|(.., text)| text_width_in(ui, &text, font()));
        widths.into_iter().fold(0.0, f32::max)
    }

    /// Draws the bar at its upper left corner, the highest number on top.
    pub fn show(&self, ui: &Ui, min: Pos2, height: f32, theme: &Theme) {
        let bar = Rect::from_min_size(min, vec2(WIDTH, height));
        let painter = ui.painter();
        painter.add(self.colors(bar, theme));
        let color = ui.visuals().weak_text_color();
        for (share, anchor, text) in self.marks() {
            let at = pos2(bar.right() + GAP, bar.top() + share * height);
            painter.text(at, anchor, text, FontId::proportional(self.size), color);
        }
        let left = bar.right() + GAP + self.numbers_width(ui) + GAP;
        upright(ui, self.name, self.size, pos2(left, bar.center().y), height);
    }

    fn colors(&self, bar: Rect, theme: &Theme) -> Mesh {
        let (low, high) = self.map.range();
        let mut mesh = Mesh::default();
        for step in 0..=STEPS {
            let share = step as f32 / STEPS as f32;
            let color = theme.map(self.map, high + (low - high) * share);
            let y = bar.top() + share * bar.height();
            mesh.colored_vertex(pos2(bar.left(), y), color);
            mesh.colored_vertex(pos2(bar.right(), y), color);
        }
        for step in 0..STEPS as u32 {
            let first = 2 * step;
            mesh.add_triangle(first, first + 1, first + 2);
            mesh.add_triangle(first + 1, first + 2, first + 3);
        }
        mesh
    }
}

/// As many digits as tell the ends of a bar apart.
fn bar_text(value: f32) -> String {
    let text = format!("{value:.3}");
    let short = text.trim_end_matches('0').trim_end_matches('.');
    match short {
        "" | "-0" => "0".to_owned(),
        short => with_minus(short),
    }
}

/// Draws a name that is read from below, in the middle of what it names; one that is longer ends in an ellipsis.
pub fn upright(ui: &Ui, name: &str, size: f32, left_middle: Pos2, longest: f32) {
    let color = ui.visuals().weak_text_color();
    let format = TextFormat::simple(FontId::proportional(size), color);
    let mut job = LayoutJob::single_section(name.to_owned(), format);
    job.wrap.max_width = longest;
    job.wrap.max_rows = 1;
    job.wrap.break_anywhere = true;
    let words = ui.painter().layout_job(job);
    let at = pos2(left_middle.x, left_middle.y + words.size().x / 2.0);
    let shape = egui::epaint::TextShape::new(at, words, color);
    ui.painter()
        .add(shape.with_angle(-std::f32::consts::FRAC_PI_2));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ends_of_a_bar_have_as_many_digits_as_they_need() {
        let texts = [1.0, 0.5, -0.25, 0.007, 0.0, -0.0001].map(bar_text);
        assert_eq!(texts, ["1", "0.5", "−0.25", "0.007", "0", "0"]);
    }
}
