//! What the hover of a plot says.

use egui::{Color32, Response};
use egui_plot::HoverPosition;

use super::axis::{PlotAxis, place_text};
use crate::gui::numbers::with_minus;

/// Name, colour and points.
pub(super) type ToldCurve = (String, Color32, Vec<(f64, f64)>);

/// Curves with their names, for a hover that tells all of them.
pub(super) struct Told {
    pub(super) x: PlotAxis,
    pub(super) words: Vec<(f64, String)>,
    pub(super) curves: Vec<ToldCurve>,
}

impl Told {
    /// Every curve's number at the point that is nearest to a place.
    pub(super) fn show(self, response: &Response, at: f64) {
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

pub(super) fn hover_text(
    position: &HoverPosition<'_>,
    x: &PlotAxis,
    y: &PlotAxis,
) -> Option<String> {
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
