//! What stands in the middle while nothing is open: the one next step.

use egui::{Button, RichText, Ui, vec2};

use super::View;
use super::capture::progress_ui;
use crate::gui::command::{CaptureCommand, Commands, JobCommand, LessonCommand, SessionCommand};
use crate::gui::lessons::lessons;

/// Draws the page.
pub fn welcome_ui(ui: &mut Ui, view: &View<'_>, commands: &mut Commands) {
    ui.vertical_centered(|ui| {
        ui.add_space((ui.available_height() * 0.22).min(160.0));
        ui.heading(RichText::new("KVLens").size(34.0));
        ui.add_space(6.0);
        ui.label("Which prompt tokens does decoding really attend to,");
        ui.label("and how well does each observation window foresee them?");
        ui.add_space(24.0);
        if let Some(job) = view.data.job_on_show() {
            ui.label(&job.title);
            progress_ui(ui, &job.progress);
            if ui.button("Cancel").clicked() {
                commands.send(JobCommand::CancelJob(job.key.clone()));
            }
            return;
        }
        let run = Button::new(RichText::new("Run the demo").size(20.0)).min_size(vec2(220.0, 46.0));
        if ui.add(run).clicked() {
            commands.send(CaptureCommand::RunDemo);
        }
        ui.add_space(4.0);
        ui.weak("Captures the built-in prompts with the built-in model; needs no download");
        ui.add_space(20.0);
        if ui.button("Open session…").clicked() {
            commands.send(SessionCommand::AskForSession);
        }
        ui.weak("or drop a .kvlens folder here");
        ui.add_space(12.0);
        ui.weak("New to KV-cache eviction? Take a lesson");
        for (number, lesson) in lessons().iter().enumerate() {
            if ui.link(&lesson.title).on_hover_text(&lesson.aim).clicked() {
                commands.send(LessonCommand::StartLesson(number));
            }
        }
        recent_ui(ui, view, commands);
    });
}

fn recent_ui(ui: &mut Ui, view: &View<'_>, commands: &mut Commands) {
    if view.settings.recent.is_empty() {
        return;
    }
    ui.add_space(20.0);
    ui.weak("Recent");
    for path in view.settings.recent.iter().take(5) {
        let name = path.file_name().map_or_else(
            || path.display().to_string(),
            |name| name.to_string_lossy().into_owned(),
        );
        if ui
            .link(name)
            .on_hover_text(path.display().to_string())
            .clicked()
        {
            commands.send(SessionCommand::OpenSession(path.clone()));
        }
    }
}
