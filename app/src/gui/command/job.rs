//! What runs.

use egui::{Key, Modifiers};
use serde::{Deserialize, Serialize};
use strum::{EnumDiscriminants, EnumIter, IntoStaticStr};

use super::entry::{Entry, Offer};
use crate::gui::lanes::JobKey;
use crate::gui::questions::QuestionKind;
use crate::gui::views::View;

/// A command about jobs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, EnumDiscriminants)]
#[strum_discriminants(name(JobCommandKind), derive(EnumIter, IntoStaticStr))]
pub enum JobCommand {
    /// Stop every job; asks first where work would be lost.
    CancelJobs,
    /// Stop one job; asks first where work would be lost.
    CancelJob(JobKey),
    /// Stop the capture without asking.
    StopCapture,
    /// Let go on what was asked about.
    KeepRunning,
    /// Have a question answered, again if it was cancelled.
    Ask(QuestionKind),
}

impl JobCommandKind {
    /// What menus and palette offer of it.
    pub(super) fn offer(self, view: &View<'_>) -> Offer {
        match self {
            Self::CancelJobs => Offer::one(
                Entry::new("Cancel what runs", JobCommand::CancelJobs)
                    .key(Modifiers::NONE, Key::Escape)
                    .possible_if(!view.data.jobs.is_empty()),
            ),
            Self::CancelJob => Offer::each(view.data.jobs_on_show(), |job| {
                Entry::new(job.title.clone(), JobCommand::CancelJob(job.key.clone())).of("Cancel")
            }),
            Self::StopCapture => Offer::Elsewhere("cancelling the capture asks whether to stop it"),
            Self::KeepRunning => Offer::Elsewhere("it is an answer to that question"),
            Self::Ask => Offer::each(
                [
                    ("Measure fidelity", QuestionKind::Fidelity),
                    ("Run the interventions", QuestionKind::Interventions),
                    ("Measure the drift again", QuestionKind::Drift),
                    ("Sweep the window again", QuestionKind::Places),
                    ("Rank the decoding cache again", QuestionKind::DecodeCache),
                    ("Compare the queries again", QuestionKind::Queries),
                    ("Profile the heads again", QuestionKind::Profile),
                    ("Average all samples again", QuestionKind::SessionCurves),
                ],
                |(text, kind)| {
                    Entry::new(text, JobCommand::Ask(kind)).possible_if(view.shown().is_some())
                },
            ),
        }
    }
}
