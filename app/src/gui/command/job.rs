//! What runs.

use egui::{Key, Modifiers};
use serde::{Deserialize, Serialize};
use strum::{EnumDiscriminants, EnumIter, IntoStaticStr};

use super::entry::{Entry, Offer};
use crate::gui::questions::QuestionKind;
use crate::gui::views::View;

/// A command about jobs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, EnumDiscriminants)]
#[strum_discriminants(name(JobCommandKind), derive(EnumIter, IntoStaticStr))]
pub enum JobCommand {
    /// Stop every job of the worker.
    CancelJobs,
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
            Self::Ask => Offer::each(
                [
                    ("Measure fidelity", QuestionKind::Fidelity),
                    ("Run the interventions", QuestionKind::Interventions),
                    ("Measure the drift again", QuestionKind::Drift),
                    ("Sweep the window again", QuestionKind::Places),
                    ("Compare the queries again", QuestionKind::Queries),
                ],
                |(text, kind)| {
                    Entry::new(text, JobCommand::Ask(kind)).possible_if(view.shown().is_some())
                },
            ),
        }
    }
}
