//! A field for something that is typed in a notation of its own, such as `5%` or `2.*, 3.1`.

use egui::{Color32, Id, TextEdit, Ui};

/// The field. What is half typed stays in it while it has the focus, is red until it means something, and counts
/// when the focus leaves.
pub struct TypedField<'a> {
    /// Tells the field's draft from others.
    pub id: &'a str,
    /// Names the field.
    pub label: Id,
    /// What holds now.
    pub current: String,
    /// Shown where nothing is typed.
    pub hint: &'a str,
    /// What may be typed.
    pub help: &'a str,
    /// In points.
    pub width: f32,
    /// Colour of a text that means nothing.
    pub error: Color32,
}

impl TypedField<'_> {
    /// Draws the field; what was typed comes once, when it is finished and means something. `read` says why not.
    pub fn show<T>(self, ui: &mut Ui, read: impl Fn(&str) -> Result<T, String>) -> Option<T> {
        let draft_id = Id::unique(self.id);
        let mut text: String = ui
            .data(|data| data.get_temp(draft_id))
            .unwrap_or(self.current);
        let wrong = read(&text).err();
        let field = TextEdit::singleline(&mut text)
            .hint_text(self.hint)
            .desired_width(self.width)
            .text_color_opt(wrong.is_some().then_some(self.error));
        let response = ui.add(field).labelled_by(self.label);
        let response = response.on_hover_text(wrong.as_deref().unwrap_or(self.help));
        if response.lost_focus() {
            ui.data_mut(|data| data.remove::<String>(draft_id));
            return read(&text).ok();
        }
        if response.has_focus() {
            ui.data_mut(|data| data.insert_temp(draft_id, text));
        }
        None
    }
}
