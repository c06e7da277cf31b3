//! The next capture.

use egui::{Key, Modifiers};
use serde::{Deserialize, Serialize};
use strum::{EnumDiscriminants, EnumIter, IntoStaticStr};

use super::entry::{Entry, Menu, Offer};
use crate::gui::capture_settings::CaptureSettings;
use crate::gui::recipes::RecipeSettings;
use crate::gui::views::View;

/// A command about the next capture.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, EnumDiscriminants)]
#[strum_discriminants(name(CaptureKind), derive(EnumIter, IntoStaticStr))]
pub enum CaptureCommand {
    /// Ask for the folder of a checkpoint.
    AskForModel,
    /// Ask for a file of prompts.
    AskForPrompts,
    /// Fill the capture panel with what the open session was captured by.
    FollowSession,
    /// Copy the command line of the panel's capture.
    CopyCapture,
    /// Change the fields of the capture panel.
    EditCapture(Box<CaptureSettings>),
    /// Capture the built-in prompts with the built-in model.
    RunDemo,
    /// Capture what the panel says.
    RunCapture,
    /// Go on with the capture that was cancelled or failed last.
    ResumeCapture,
    /// Open the dialog of recipes, or close it.
    ToggleRecipes,
    /// Change the fields of that dialog.
    EditRecipe(RecipeSettings),
    /// Run the recipe that the dialog says.
    RunRecipe,
}

impl CaptureKind {
    /// What menus and palette offer of it.
    pub(super) fn offer(self, view: &View<'_>) -> Offer {
        let is_free = view.data.capture_job().is_none();
        match self {
            Self::AskForModel => Offer::one(
                Entry::new("Choose the model to capture", CaptureCommand::AskForModel).asks(),
            ),
            Self::AskForPrompts => Offer::one(
                Entry::new("Choose a file of prompts", CaptureCommand::AskForPrompts).asks(),
            ),
            Self::FollowSession => {
                let plan = view.data.session.as_ref();
                let plan = plan.and_then(|session| session.info.plan.as_ref());
                Offer::one(
                    Entry::new("Capture as the open session", CaptureCommand::FollowSession)
                        .help("Fills the capture panel with the model, prompts and windows of the open session")
                        .possible_if(plan.is_some()),
                )
            }
            Self::CopyCapture => Offer::one(
                Entry::new(
                    "Copy the command line of the capture",
                    CaptureCommand::CopyCapture,
                )
                .help("What the capture panel would run, for a terminal"),
            ),
            Self::EditCapture => Offer::Elsewhere("the fields stand in the capture panel"),
            Self::RunDemo => Offer::one(
                Entry::new("Run the demo", CaptureCommand::RunDemo)
                    .help("Captures the built-in prompts with the built-in model")
                    .menu(Menu::File, 2)
                    .possible_if(is_free),
            ),
            Self::RunCapture => Offer::one(
                Entry::new("Run the capture", CaptureCommand::RunCapture)
                    .key(Modifiers::COMMAND, Key::Enter)
                    .possible_if(is_free),
            ),
            Self::ResumeCapture => Offer::one(
                Entry::new("Resume the capture", CaptureCommand::ResumeCapture)
                    .help("Goes on with the capture that was stopped last")
                    .menu(Menu::File, 2)
                    .possible_if(is_free && view.data.going_on().is_some()),
            ),
            Self::ToggleRecipes => Offer::one(
                Entry::new("Recipes of papers", CaptureCommand::ToggleRecipes)
                    .help("Measures what a paper measured, and writes both numbers side by side")
                    .asks()
                    .menu(Menu::File, 2),
            ),
            Self::EditRecipe => Offer::Elsewhere("the fields stand in the dialog of recipes"),
            Self::RunRecipe => Offer::Elsewhere("the dialog of recipes has its button"),
        }
    }
}
