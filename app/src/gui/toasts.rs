//! Messages that stand over the views for a while. They wrap, and cover none of the bars around the views.

use egui::{Align2, Area, Context, Frame, Id, Label, Order, Rect, RichText, Stroke, Ui, vec2};

use super::data::Severity;
use super::theme::Theme;

/// How long a message stays, and one of something that went wrong.
const STAY_SECS: f64 = 6.0;
const ERROR_STAY_SECS: f64 = 15.0;

/// More would hide the views; the log has them all.
const MOST: usize = 4;

const WIDEST: f32 = 440.0;
const MARGIN: f32 = 12.0;

/// The messages on show.
#[derive(Default)]
pub struct Toasts {
    shown: Vec<Toast>,
}

struct Toast {
    severity: Severity,
    text: String,
    /// When it goes; nothing before its first frame.
    ends_secs: Option<f64>,
}

impl Toasts {
    /// Shows a message; the oldest make room.
    pub fn push(&mut self, severity: Severity, text: impl Into<String>) {
        self.shown.push(Toast {
            severity,
            text: text.into(),
            ends_secs: None,
        });
        let surplus = self.shown.len().saturating_sub(MOST);
        self.shown.drain(..surplus);
    }

    /// Draws the messages at the lower right of `within`, where the views stand.
    pub fn show(&mut self, context: &Context, within: Rect, theme: &Theme) {
        let now = context.input(|input| input.time);
        self.shown
            .retain(|toast| toast.ends_secs.is_none_or(|ends| ends > now));
        if self.shown.is_empty() {
            return;
        }
        let width = (within.width() - 2.0 * MARGIN).min(WIDEST);
        let area = Area::new(Id::unique("toasts"))
            .order(Order::Foreground)
            .pivot(Align2::RIGHT_BOTTOM)
            .fixed_pos(within.right_bottom() - vec2(MARGIN, MARGIN))
            .constrain_to(within)
            .show(context, |ui| {
                ui.set_max_width(width);
                let mut closed = None;
                for (place, toast) in self.shown.iter().enumerate() {
                    if toast_ui(ui, toast, theme) {
                        closed = Some(place);
                    }
                }
                closed
            });
        // what is being read does not go
        let is_read = area.response.contains_pointer();
        for toast in &mut self.shown {
            let stay = match toast.severity {
                Severity::Error => ERROR_STAY_SECS,
                Severity::Info | Severity::Success | Severity::Warning => STAY_SECS,
            };
            if is_read || toast.ends_secs.is_none() {
                toast.ends_secs = Some(now + stay);
            }
        }
        if let Some(place) = area.inner {
            self.shown.remove(place);
        }
        let ends = self.shown.iter().filter_map(|toast| toast.ends_secs);
        if let Some(first) = ends.reduce(f64::min) {
            let left = std::time::Duration::from_secs_f64((first - now).max(0.0));
            context.request_repaint_after(left);
        }
    }
}

/// Draws a message; says whether it was closed.
fn toast_ui(ui: &mut Ui, toast: &Toast, theme: &Theme) -> bool {
    let (sign, color) = theme.severity(toast.severity, ui.visuals());
    let frame = Frame::popup(ui.style()).stroke(Stroke::new(1.0, color));
    let row = frame.show(ui, |ui| {
        ui.horizontal_top(|ui| {
            let close = ui.small_button("✖").on_hover_text("Close");
            close.widget_info(|| {
                egui::WidgetInfo::labeled(egui::Role::Button, true, "Close the message")
            });
            ui.label(RichText::new(sign).color(color));
            ui.add(Label::new(&toast.text).wrap());
            close.clicked()
        })
        .inner
    });
    row.inner
}
