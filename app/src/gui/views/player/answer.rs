//! The answer, token by token: what is written at the step, and the way to every other step.

use egui::{Button, Response, RichText, Role, ScrollArea, Ui, WidgetInfo};

use kvlens_sessions::SampleRecord;

use crate::gui::command::{Commands, LookCommand};
use crate::gui::views::token_rows::visible;

/// Rows of words at most; of a longer answer the step's own row stays in sight.
const MOST_ROWS: f32 = 3.0;

/// Why some steps have a number in the place of a word, and what the whole answer reads.
pub(super) fn lacking_ui(ui: &mut Ui, record: &SampleRecord, texts: &[String]) {
    let Some(first) = texts.iter().position(String::is_empty) else {
        return;
    };
    ui.horizontal_wrapped(|ui| {
        ui.weak(format!(
            "A number such as [{}] stands for a token whose text this session does not hold, because an older program \
             captured it; capture it again to read every word. The whole answer:",
            first + 1
        ));
        ui.monospace(record.generated.trim());
    });
}

/// Draws the words of the steps; a click goes to one. A token whose text the session does not hold shows its number.
pub(super) fn answer_ui(ui: &mut Ui, texts: &[String], step: usize, commands: &mut Commands) {
    let id = egui::Id::unique("step of the answer in sight");
    let before: Option<usize> = ui.data(|data| data.get_temp(id));
    let has_moved = before != Some(step);
    ui.data_mut(|data| data.insert_temp(id, step));
    let row = ui.text_style_height(&egui::TextStyle::Monospace) + 6.0;
    ScrollArea::vertical()
        .id_salt("answer of the player")
        .max_height(MOST_ROWS * row)
        .auto_shrink([false, true])
        .show(ui, |ui| {
            ui.horizontal_wrapped(|ui| {
                ui.spacing_mut().item_spacing = egui::vec2(1.0, 2.0);
                ui.spacing_mut().button_padding = egui::vec2(1.0, 0.0);
                for (index, text) in texts.iter().map(String::as_str).enumerate() {
                    let word = word_ui(ui, (index, text), step, commands);
                    if has_moved && index == step {
                        word.scroll_to_me(Some(egui::Align::Center));
                    }
                }
            });
        });
}

fn word_ui(
    ui: &mut Ui,
    (index, text): (usize, &str),
    step: usize,
    commands: &mut Commands,
) -> Response {
    let word = match text {
        "" => format!("[{}]", index + 1),
        text => visible(text).collect(),
    };
    let word = RichText::new(word).monospace();
    // what is not written yet stands back
    let word = if index <= step { word } else { word.weak() };
    let button = ui.add(Button::selectable(index == step, word).small());
    let name = format!("Step {} {text:?}", index + 1);
    button.widget_info(|| WidgetInfo::selected(Role::Button, true, index == step, &name));
    if button.clicked() {
        commands.send(LookCommand::SetDecodeStep(index));
    }
    button.on_hover_text(name)
}
