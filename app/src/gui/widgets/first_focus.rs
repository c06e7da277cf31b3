//! The keyboard in a dialog that has just opened.

use egui::Response;

/// Gives a widget the keyboard's focus when it comes into sight, so that a dialog that opens answers to Enter and Tab goes
/// on inside it.
pub fn focus_when_opened(widget: &Response) {
    let frame = widget.ctx.cumulative_frame_nr();
    let last: Option<u64> = widget.ctx.data_mut(|data| {
        let seen = widget.id.with("seen");
        let last = data.get_temp(seen);
        data.insert_temp(seen, frame);
        last
    });
    if last.is_none_or(|last| last + 1 < frame) {
        widget.request_focus();
    }
}
