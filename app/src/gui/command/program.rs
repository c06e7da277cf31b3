//! Help, log and the program itself.

use std::path::PathBuf;

use egui::{Key, Modifiers};
use serde::{Deserialize, Serialize};
use strum::{EnumDiscriminants, EnumIter, IntoStaticStr};

use super::entry::{Entry, Menu, Offer};
use crate::gui::layout::Pane;
use crate::gui::views::View;

/// A command about the program.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, EnumDiscriminants)]
#[strum_discriminants(name(ProgramKind), derive(EnumIter, IntoStaticStr))]
pub enum ProgramCommand {
    /// Show or close the command palette.
    TogglePalette,
    /// Show or close the list of shortcuts.
    ToggleShortcuts,
    /// Show or close the help of a view; the glossary without one.
    ToggleHelp(Option<Pane>),
    /// Play a script: a JSON list of commands, as `kvlens open --script` does.
    PlayScript(PathBuf),
    /// Follow a link, or play a script that was copied: as far as it only opens sessions and looks at them.
    FollowLink(String),
    /// Empty the log.
    ClearLog,
    /// Leave the program; asks first where work would be lost.
    Quit,
    /// Leave the program without asking.
    QuitNow,
}

impl ProgramKind {
    /// What menus and palette offer of it.
    pub(super) fn offer(self, view: &View<'_>) -> Offer {
        match self {
            Self::TogglePalette => Offer::one(
                Entry::new("Command palette", ProgramCommand::TogglePalette)
                    .key(Modifiers::COMMAND, Key::K)
                    .key(Modifiers::COMMAND, Key::P)
                    .menu(Menu::View, 1),
            ),
            Self::ToggleShortcuts => Offer::one(
                Entry::new("Keyboard shortcuts", ProgramCommand::ToggleShortcuts)
                    .key(Modifiers::NONE, Key::Questionmark)
                    .menu(Menu::Help, 0),
            ),
            Self::ToggleHelp => {
                let glossary =
                    Entry::new("Glossary", ProgramCommand::ToggleHelp(None)).menu(Menu::Help, 0);
                let views = Pane::all().map(|pane| {
                    Entry::new(pane.title(), ProgramCommand::ToggleHelp(Some(pane)))
                        .of("Help")
                        .menu(Menu::Help, 0)
                        .submenu("Views")
                });
                Offer::Entries(std::iter::once(glossary).chain(views).collect())
            }
            Self::PlayScript => Offer::one(
                Entry::typed("Play a script", "look.json", |path| {
                    ProgramCommand::PlayScript(path).into()
                })
                .menu(Menu::File, 1),
            ),
            Self::FollowLink => {
                Offer::Elsewhere("a link is pasted, or typed where a path to open is")
            }
            Self::ClearLog => Offer::one(
                Entry::new("Clear the log", ProgramCommand::ClearLog)
                    .possible_if(!view.data.log.is_empty()),
            ),
            Self::Quit => Offer::one(
                Entry::new("Quit", ProgramCommand::Quit)
                    .key(Modifiers::COMMAND, Key::Q)
                    .menu(Menu::File, 3),
            ),
            Self::QuitNow => Offer::Elsewhere("leaving during a capture asks whether to stop it"),
        }
    }
}
