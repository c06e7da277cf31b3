//! What is open, and which of its samples is on show.

use std::path::PathBuf;

use egui::{Key, Modifiers};
use serde::{Deserialize, Serialize};
use strum::{EnumDiscriminants, EnumIter, IntoStaticStr};

use super::entry::{Entry, Menu, Offer};
use crate::gui::data::OpenedSession;
use crate::gui::views::View;

/// A command about sessions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, EnumDiscriminants)]
#[strum_discriminants(name(SessionKind), derive(EnumIter, IntoStaticStr))]
pub enum SessionCommand {
    /// Ask for a session folder.
    AskForSession,
    /// Open a session folder.
    OpenSession(PathBuf),
    /// Ask for a session folder to hold the open one against.
    AskForBeside,
    /// Open a session, or the same once more, to hold the open one against.
    OpenBeside(PathBuf),
    /// Let the two sessions change places.
    SwapSessions,
    /// Close the one beside.
    CloseBeside,
    /// Ask where to save the open session.
    AskForCopy,
    /// Save a copy of the open session.
    SaveSessionAs(PathBuf),
    /// Forget the sessions that were opened.
    ClearRecent,
    /// Show another sample, by its number among the finished ones.
    SelectSample(usize),
    /// Show another sample of the session beside.
    SelectSampleBeside(usize),
    /// Show the sample so many places further down, or up if negative.
    StepSample(i32),
}

/// Submenus of recent sessions.
const RECENT: &str = "Recent sessions";
const RECENT_BESIDE: &str = "Recent beside";

impl SessionKind {
    /// What menus and palette offer of it.
    pub(super) fn offer(self, view: &View<'_>) -> Offer {
        let is_open = view.data.session.is_some();
        let beside = view.data.beside.is_some();
        match self {
            Self::AskForSession => Offer::one(
                Entry::new("Open a session", SessionCommand::AskForSession)
                    .asks()
                    .key(Modifiers::COMMAND, Key::O)
                    .menu(Menu::File, 0),
            ),
            Self::OpenSession => {
                let typed = Entry::typed("Open path", "folder.kvlens", |path| {
                    SessionCommand::OpenSession(path).into()
                });
                recent(view, typed, RECENT, true, SessionCommand::OpenSession)
            }
            Self::AskForBeside => Offer::one(
                Entry::new("Open beside", SessionCommand::AskForBeside)
                    .asks()
                    .help("A second session, B, to hold the open one against: the map shows A − B")
                    .key(Modifiers::COMMAND | Modifiers::SHIFT, Key::O)
                    .menu(Menu::File, 0)
                    .possible_if(is_open),
            ),
            Self::OpenBeside => {
                let typed = Entry::typed("Open path beside", "other.kvlens", |path| {
                    SessionCommand::OpenBeside(path).into()
                });
                let open = SessionCommand::OpenBeside;
                recent(view, typed, RECENT_BESIDE, is_open, open)
            }
            Self::SwapSessions => Offer::one(
                Entry::new("Swap A and B", SessionCommand::SwapSessions)
                    .menu(Menu::File, 0)
                    .submenu(RECENT_BESIDE)
                    .possible_if(beside),
            ),
            Self::CloseBeside => Offer::one(
                Entry::new("Close B", SessionCommand::CloseBeside)
                    .menu(Menu::File, 0)
                    .submenu(RECENT_BESIDE)
                    .possible_if(beside),
            ),
            Self::AskForCopy => Offer::one(
                Entry::new("Save the session as", SessionCommand::AskForCopy)
                    .asks()
                    .key(Modifiers::COMMAND, Key::S)
                    .menu(Menu::File, 1)
                    .possible_if(is_open),
            ),
            Self::SaveSessionAs => Offer::one(
                Entry::typed("Save to path", "copy.kvlens", |path| {
                    SessionCommand::SaveSessionAs(path).into()
                })
                .menu(Menu::File, 1)
                .possible_if(is_open),
            ),
            Self::ClearRecent => Offer::one(
                Entry::new("Forget recent sessions", SessionCommand::ClearRecent)
                    .menu(Menu::File, 0)
                    .submenu(RECENT)
                    .possible_if(!view.settings.recent.is_empty()),
            ),
            Self::SelectSample => {
                let session = view.data.session.as_ref();
                samples(session, "Sample", SessionCommand::SelectSample)
            }
            Self::SelectSampleBeside => {
                let session = view.data.beside.as_ref();
                samples(session, "Sample of B", SessionCommand::SelectSampleBeside)
            }
            Self::StepSample => Offer::each(
                [
                    ("Sample before", -1, Key::ArrowUp),
                    ("Sample after", 1, Key::ArrowDown),
                ],
                |(text, step, key)| {
                    Entry::new(text, SessionCommand::StepSample(step))
                        .key(Modifiers::NONE, key)
                        .possible_if(is_open)
                },
            ),
        }
    }
}

/// A field for a path, and what was opened before.
fn recent(
    view: &View<'_>,
    typed: Entry,
    submenu: &'static str,
    is_possible: bool,
    open: fn(PathBuf) -> SessionCommand,
) -> Offer {
    let known = view.settings.recent.iter().map(|path| {
        Entry::new(path.display().to_string(), open(path.clone()))
            .of(submenu)
            .menu(Menu::File, 0)
            .submenu(submenu)
    });
    let entries = std::iter::once(typed.menu(Menu::File, 0)).chain(known);
    Offer::each(entries, |entry| entry.possible_if(is_possible))
}

fn samples(
    session: Option<&OpenedSession>,
    group: &'static str,
    select: fn(usize) -> SessionCommand,
) -> Offer {
    let samples = session.map_or(&[][..], |session| &session.info.samples);
    Offer::each(samples.iter().enumerate(), |(index, sample)| {
        Entry::new(sample.id.clone(), select(index)).of(group)
    })
}
