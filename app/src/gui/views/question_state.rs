//! What views of further questions share: the job that answers, and why there was no answer.

use egui::{RichText, Ui};

use super::View;
use crate::gui::data::Job;
use crate::gui::questions::QuestionKind;

/// The job that answers a question, if it runs or waits.
#[must_use]
pub fn job_of<'a>(view: &View<'a>, kind: QuestionKind) -> Option<&'a Job> {
    let mut jobs = view.data.jobs.iter();
    jobs.find(|job| job.title == kind.job_title())
}

/// Why the question had no answer when it was asked last.
pub fn error_ui(ui: &mut Ui, view: &View<'_>, kind: QuestionKind) {
    if let Some(reason) = view.data.answers.failures.get(kind.job_title()) {
        ui.label(RichText::new(reason).color(view.theme.error));
    }
}
