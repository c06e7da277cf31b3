//! The keyboard in a page or dialog that has just opened.

use egui::{Context, Id, Response};

/// Whether what has this name was not drawn in the frame before.
pub fn is_opening(context: &Context, id: Id) -> bool {
    let frame = context.cumulative_frame_nr();
    let last: Option<u64> = context.data_mut(|data| {
        let seen = id.with("seen");
        let last = data.get_temp(seen);
        data.insert_temp(seen, frame);
        last
    });
    last.is_none_or(|last| last + 1 < frame)
}

/// Gives a widget the keyboard's focus when it comes into sight, so that a dialog that opens answers to Enter and Tab goes
/// on inside it.
pub fn focus_when_opened(widget: &Response) {
    if is_opening(&widget.ctx, widget.id) {
        widget.request_focus();
    }
}
