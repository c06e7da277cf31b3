//! The bar beside a map that says which colour is which number.

use egui::{Align2, FontId, Mesh, Rect, Ui, pos2, vec2};

use crate::gui::theme::{ColorMap, Theme};

/// Room that a bar with its numbers takes.
pub const BAR_WIDTH: f32 = 46.0;

/// As many digits as tell the ends of a bar apart.
fn bar_text(value: f32) -> String {
    let text = format!("{value:.3}");
    let short = text.trim_end_matches('0').trim_end_matches('.');
    match short {
        "" | "-0" => "0".to_owned(),
        short => short.to_owned(),
    }
}

const STEPS: usize = 32;

/// Draws the bar into `rect`, the highest number on top; `number` says which one a value of the map stands for.
pub fn color_bar(ui: &Ui, rect: Rect, map: ColorMap, number: &dyn Fn(f32) -> f32, theme: &Theme) {
    let bar = Rect::from_min_size(rect.min, vec2(12.0, rect.height()));
    let (low, high) = map.range();
    let mut mesh = Mesh::default();
    for step in 0..=STEPS {
        let share = step as f32 / STEPS as f32;
        let color = theme.map(map, high + (low - high) * share);
        let y = bar.top() + share * bar.height();
        mesh.colored_vertex(pos2(bar.left(), y), color);
        mesh.colored_vertex(pos2(bar.right(), y), color);
    }
    for step in 0..STEPS as u32 {
        let first = 2 * step;
        mesh.add_triangle(first, first + 1, first + 2);
        mesh.add_triangle(first + 1, first + 2, first + 3);
    }
    let painter = ui.painter();
    painter.add(mesh);
    let text = ui.visuals().weak_text_color();
    let font = FontId::proportional(10.0);
    let marks = [(0.0, high), (0.5, (low + high) / 2.0), (1.0, low)];
    for (share, value) in marks {
        let anchor = match share {
            0.0 => Align2::LEFT_TOP,
            1.0 => Align2::LEFT_BOTTOM,
            _ => Align2::LEFT_CENTER,
        };
        let at = pos2(bar.right() + 4.0, bar.top() + share * bar.height());
        painter.text(at, anchor, bar_text(number(value)), font.clone(), text);
    }
}
