//! Which line of a plot stands in front: the one that the pointer is on or, without one, the chosen window's.

use egui::Color32;

use super::View;
use crate::gui::theme::SeriesStyle;
use crate::gui::widgets::line_plot::PlotCurve;

/// What is left of the other curves while the pointer is on one.
const DIMMED: f32 = 0.35;

/// Widths of the line that the pointer is on, of the one in front, and of the others.
const POINTED_AT: f32 = 4.0;
const IN_FRONT: f32 = 3.0;
const OTHERS: f32 = 1.6;

/// What stands in front.
pub struct Front<'a> {
    label: Option<&'a str>,
    is_pointed_at: bool,
}

impl<'a> Front<'a> {
    /// The window that the pointer is on, or else the chosen one.
    #[must_use]
    pub fn of(view: &'a View<'_>) -> Self {
        let pointed_at = view.hover.window.as_deref();
        Self {
            label: pointed_at.or(view.derived.window.as_deref()),
            is_pointed_at: pointed_at.is_some(),
        }
    }

    /// The same among lines of which it may be none: then the first of them stands in front.
    #[must_use]
    pub fn among(self, lines: impl IntoIterator<Item = &'a str>) -> Self {
        let mut lines = lines.into_iter();
        let first = lines.next();
        if self.label.is_some() && (first == self.label || lines.any(|it| Some(it) == self.label)) {
            return self;
        }
        Self {
            label: first,
            is_pointed_at: false,
        }
    }

    /// Whether this line does.
    #[must_use]
    pub fn is(&self, label: &str) -> bool {
        self.label == Some(label)
    }

    /// A line's colour: that of its name, and fainter while the pointer is on another.
    #[must_use]
    pub fn color(&self, label: &str, color: Color32) -> Color32 {
        match self.is_pointed_at && !self.is(label) {
            true => color.gamma_multiply(DIMMED),
            false => color,
        }
    }

    /// The same of a style.
    #[must_use]
    pub fn style(&self, label: &str, style: SeriesStyle) -> SeriesStyle {
        SeriesStyle {
            color: self.color(label, style.color),
            ..style
        }
    }

    /// A line's width.
    #[must_use]
    pub fn width(&self, label: &str) -> f32 {
        match (self.is_pointed_at, self.is(label)) {
            (true, true) => POINTED_AT,
            (false, true) => IN_FRONT,
            (_, false) => OTHERS,
        }
    }

    /// Puts the curve in front last: what is drawn last covers the others. Only its band stays, because the bands of many
    /// would hide each other.
    pub fn arrange(&self, curves: &mut [PlotCurve]) {
        for curve in curves.iter_mut().filter(|curve| !self.is(&curve.name)) {
            curve.band = None;
        }
        curves.sort_by_key(|curve| self.is(&curve.name));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn front(label: &str, is_pointed_at: bool) -> Front<'_> {
        Front {
            label: Some(label),
            is_pointed_at,
        }
    }

    #[test]
    fn one_line_stands_in_front() {
        let lines = ["last:8", "h2o"];
        let chosen = front("h2o", false).among(lines);
        assert!(chosen.is("h2o") && !chosen.is("last:8"));
        assert!(chosen.width("h2o") > chosen.width("last:8"));
        let none_of_them = front("laq:n=8", true).among(lines);
        assert!(none_of_them.is("last:8"));
        let gray = Color32::WHITE;
        for line in lines {
            assert_eq!(
                none_of_them.color(line, gray),
                gray,
                "the colour of its name"
            );
        }
        let pointed_at = front("h2o", true).among(lines);
        assert_eq!(pointed_at.color("h2o", gray), gray);
        assert_ne!(pointed_at.color("last:8", gray), gray);
    }

    #[test]
    fn only_the_line_in_front_has_its_band_and_it_is_drawn_last() {
        let theme = crate::gui::theme::Theme::of(&egui::Visuals::dark());
        let curve = |name: &str| PlotCurve {
            name: name.to_owned(),
            style: theme.series(name, 0),
            xs: vec![0.0],
            ys: vec![0.5],
            band: Some((vec![0.4], vec![0.6])),
            drawn: crate::gui::widgets::line_plot::Drawn::CURVE,
        };
        let mut curves = ["last:8", "h2o", "knorm"].map(curve);
        front("last:8", false).arrange(&mut curves);
        let names: Vec<&str> = curves.iter().map(|curve| curve.name.as_str()).collect();
        assert_eq!(names, ["h2o", "knorm", "last:8"]);
        let bands: Vec<bool> = curves.iter().map(|curve| curve.band.is_some()).collect();
        assert_eq!(bands, [false, false, true]);
    }
}
