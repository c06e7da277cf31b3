//! What runs: each job with a button of its own, what asks before work is lost, and a stopped capture to go on with.

use egui::{Align2, Button, Context, RichText, Ui, Vec2, Window};

use super::View;
use crate::gui::command::{CaptureCommand, Command, Commands, JobCommand, ProgramCommand};
use crate::gui::data::Job;

/// What was asked for and would lose work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Confirmation {
    /// Stopping the capture.
    StopCapture,
    /// Leaving the program while a capture runs.
    Quit,
}

/// The job that was asked for first, and a menu of the others; drawn from the right.
pub fn jobs_ui(ui: &mut Ui, view: &View<'_>, commands: &mut Commands) {
    let mut jobs = view.data.jobs_on_show();
    let Some(first) = jobs.next() else {
        return;
    };
    let others: Vec<&Job> = jobs.collect();
    if !others.is_empty() {
        ui.menu_button(format!("{} more", others.len()), |ui| {
            for job in others {
                ui.horizontal(|ui| {
                    ui.label(&job.title);
                    let text = format!("Cancel: {}", job.title);
                    if ui.button(text).clicked() {
                        commands.send(JobCommand::CancelJob(job.key.clone()));
                        ui.close();
                    }
                });
            }
        })
        .response
        .on_hover_text("Further jobs, each with a button that stops it");
    }
    if ui
        .button("Cancel job")
        .on_hover_text(format!("Stop this job: {}", first.title))
        .clicked()
    {
        commands.send(JobCommand::CancelJob(first.key.clone()));
    }
    ui.label(&first.title);
    ui.add(egui::Spinner::new().size(14.0));
}

/// A button that goes on with the capture that was stopped last.
pub fn resume_ui(ui: &mut Ui, view: &View<'_>, commands: &mut Commands) {
    let Some((order, lacking)) = view.data.going_on() else {
        return;
    };
    let name = order.out.file_stem().unwrap_or(order.out.as_os_str());
    let text = format!("Resume {}: {lacking} to go", name.display());
    let width = ui.available_width();
    let button = ui
        .add_sized([width, 28.0], Button::new(text).truncate())
        .on_hover_text(format!(
            "Go on with the capture that was stopped, as it was asked for: {}",
            order.out.display()
        ));
    if button.clicked() {
        commands.send(CaptureCommand::ResumeCapture);
    }
    ui.add_space(4.0);
}

/// Asks before work is lost.
pub fn confirmation_ui(context: &Context, asked: Confirmation, commands: &mut Commands) {
    let (title, yes, no, command) = match asked {
        Confirmation::StopCapture => (
            "Stop the capture?",
            "Stop the capture",
            "Let it run",
            Command::from(JobCommand::StopCapture),
        ),
        Confirmation::Quit => (
            "Quit while a capture runs?",
            "Stop it and quit",
            "Stay",
            ProgramCommand::QuitNow.into(),
        ),
    };
    Window::new(title)
        .collapsible(false)
        .resizable(false)
        .default_width(360.0)
        .anchor(Align2::CENTER_CENTER, Vec2::ZERO)
        .show(context, |ui| {
            ui.label(
                "The sample that is being captured is lost. Finished samples are kept, and the capture can be \
                 resumed behind them; without a finished sample nothing is kept.",
            );
            ui.add_space(8.0);
            ui.horizontal(|ui| {
                if ui.button(RichText::new(yes).strong()).clicked() {
                    commands.send(command);
                }
                if ui.button(no).clicked() {
                    commands.send(JobCommand::KeepRunning);
                }
            });
        });
}
