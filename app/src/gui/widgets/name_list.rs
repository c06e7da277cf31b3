//! A list of names, each with a word on it, in two columns that can be read down.

use egui::text::{LayoutJob, TextFormat};
use egui::{Button, ScrollArea, TextStyle, TextWrapMode, Ui};

use super::together::text_width;

/// Between the names and their words.
const GAP: f32 = 16.0;

/// A line of the list.
pub struct Named<'a> {
    /// The name.
    pub name: &'a str,
    /// The word on it.
    pub summary: &'a str,
    /// What stands at the pointer.
    pub help: String,
}

/// Draws the list; gives the number of the line that was clicked.
pub fn name_list(ui: &mut Ui, lines: &[Named<'_>]) -> Option<usize> {
    let widths = lines.iter().map(|line| text_width(ui, line.name));
    let column = widths.fold(0.0, f32::max) + GAP;
    let list = ScrollArea::vertical().show(ui, |ui| {
        ui.style_mut().wrap_mode = Some(TextWrapMode::Extend);
        let mut clicked = None;
        for (number, line) in lines.iter().enumerate() {
            let button = ui.add(Button::new(line_job(ui, line, column)));
            let name = format!("{}: {}", line.name, line.summary);
            button.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Button, true, &name));
            if button.on_hover_text(&line.help).clicked() {
                clicked = Some(number);
            }
        }
        clicked
    });
    list.inner
}

fn line_job(ui: &Ui, line: &Named<'_>, column: f32) -> LayoutJob {
    let font = TextStyle::Button.resolve(ui.style());
    let visuals = ui.visuals();
    let mut job = LayoutJob::default();
    let name = TextFormat::simple(font.clone(), visuals.text_color());
    job.append(line.name, 0.0, name);
    let behind = column - text_width(ui, line.name);
    let summary = TextFormat::simple(font, visuals.weak_text_color());
    job.append(line.summary, behind, summary);
    job
}
