//! What views of further questions share: the job that answers, and why there was no answer.

use egui::{Label, RichText, Ui};

use super::View;
use super::capture::progress_ui;
use crate::gui::command::{Commands, JobCommand};
use crate::gui::data::Job;
use crate::gui::lanes::JobKey;
use crate::gui::questions::QuestionKind;
use crate::jobs::left_out::{LeftOut, UnreadSample};

/// Room for a plot, below which a reason is not broken into several lines.
const LITTLE_HEIGHT: f32 = 320.0;

/// The job that answers a question, if it runs or waits.
#[must_use]
pub fn job_of<'a>(view: &View<'a>, kind: QuestionKind) -> Option<&'a Job> {
    view.data.job(&JobKey::Question(kind))
}

/// Why the question had no answer when it was asked last.
pub fn error_ui(ui: &mut Ui, view: &View<'_>, kind: QuestionKind) {
    job_error_ui(ui, view, &JobKey::Question(kind));
}

/// Why a job had no result when it was asked for last.
pub fn job_error_ui(ui: &mut Ui, view: &View<'_>, key: &JobKey) {
    if let Some(reason) = view.data.answers.failure(key) {
        let text = RichText::new(reason).color(view.theme.error);
        // where there is little room it takes a line, or nothing were left of the plot
        match ui.available_height() < LITTLE_HEIGHT {
            true => ui.add(Label::new(text).truncate()).on_hover_text(reason),
            false => ui.label(text),
        };
    }
}

/// Which samples a view of a whole session is without; why, under the pointer.
pub fn left_out_ui(ui: &mut Ui, view: &View<'_>, left_out: &LeftOut) {
    if left_out.count() == 0 {
        return;
    }
    let text = RichText::new(left_out.to_string()).color(view.theme.error);
    ui.label(text).on_hover_ui(|ui| {
        for UnreadSample { id, reason } in left_out.named() {
            ui.label(format!("{id}: {reason}"));
        }
    });
}

/// What stands above a plot that is not whole: progress, or a button that starts the work.
pub fn ask_ui(ui: &mut Ui, job: Option<&Job>, kind: QuestionKind, commands: &mut Commands) {
    match job {
        Some(job) => progress_ui(ui, &job.progress),
        None => {
            ui.horizontal(|ui| {
                ui.weak("Not measured to the end");
                if ui.button(kind.job_title()).clicked() {
                    commands.send(JobCommand::Ask(kind));
                }
            });
        }
    }
}
