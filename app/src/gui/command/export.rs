//! What is taken away: figures, numbers and pictures.

use egui::{Key, Modifiers};
use serde::{Deserialize, Serialize};
use strum::{EnumDiscriminants, EnumIter, IntoEnumIterator as _, IntoStaticStr};

use super::entry::{Entry, Menu, Offer};
use crate::gui::export::ExportSettings;
use crate::gui::layout::Pane;
use crate::gui::numbers::TableFormat;
use crate::gui::views::View;
use crate::jobs::figure::FigureRequest;

/// A command that takes something away.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, EnumDiscriminants)]
#[strum_discriminants(name(ExportKind), derive(EnumIter, IntoStaticStr))]
pub enum ExportCommand {
    /// Open the export dialog, for what a view shows, or close it.
    ToggleExport(Option<Pane>),
    /// Change the fields of the export dialog.
    EditExport(ExportSettings),
    /// Ask where to write the figure.
    AskForExport,
    /// Make a figure.
    Export(Box<FigureRequest>),
    /// Draw a figure for the dialog, without writing it.
    Preview(Box<FigureRequest>),
    /// Copy what a view shows as a table of text.
    CopyNumbers(Pane),
    /// Copy the same in another notation.
    CopyTable {
        /// The view.
        pane: Pane,
        /// The notation.
        format: TableFormat,
    },
    /// Copy a link that leads back to what is shown.
    CopyLink,
    /// Copy the same as a script.
    CopyScript,
    /// Save such a script beside the session.
    SaveScript,
    /// Save a page of a view beside the session: its picture and its numbers, for a browser.
    SavePage(Pane),
    /// Copy a picture of a view.
    CopyPicture(Pane),
    /// Save a picture of a view beside the session.
    SavePicture(Pane),
}

/// Notations for papers.
const PAPERS: [(&str, TableFormat); 2] = [
    ("Copy Markdown table", TableFormat::Markdown),
    ("Copy LaTeX table", TableFormat::Latex),
];

impl ExportKind {
    /// What menus and palette offer of it.
    pub(super) fn offer(self, view: &View<'_>) -> Offer {
        let is_open = view.data.session.is_some();
        let each_pane = || {
            let entries = Pane::all().filter_map(|pane| self.of_pane(pane));
            Offer::each(entries, |entry| entry.possible_if(is_open))
        };
        match self {
            Self::ToggleExport => {
                let any = Entry::new("Export a figure", ExportCommand::ToggleExport(None))
                    .asks()
                    .key(Modifiers::COMMAND, Key::E)
                    .menu(Menu::File, 1)
                    .possible_if(is_open);
                let panes = each_pane().into_entries();
                Offer::Entries(std::iter::once(any).chain(panes).collect())
            }
            Self::EditExport => Offer::Elsewhere("the fields stand in the export dialog"),
            Self::AskForExport => Offer::Elsewhere("the export dialog asks for its file"),
            Self::Export => Offer::Elsewhere("the export dialog says what the figure shall be"),
            Self::Preview => Offer::Elsewhere("the export dialog draws what it would write"),
            Self::CopyNumbers | Self::CopyPicture | Self::SavePicture | Self::SavePage => {
                each_pane()
            }
            Self::CopyTable => {
                let panes = Pane::all().filter(|pane| pane.view().numbers().is_some());
                let each = panes.flat_map(|pane| PAPERS.map(|(group, format)| (pane, group, format)));
                Offer::each(each, |(pane, group, format)| {
                    let copy = ExportCommand::CopyTable { pane, format };
                    Entry::new(pane.title(), copy).of(group).possible_if(is_open)
                })
            }
            Self::CopyLink => Offer::one(
                Entry::new("Copy a link to what is shown", ExportCommand::CopyLink)
                    .help("One line for a mail or a chat: paste it into a window, or run kvlens open LINK")
                    .key(Modifiers::COMMAND, Key::L)
                    .menu(Menu::File, 1)
                    .possible_if(is_open),
            ),
            Self::CopyScript => Offer::one(
                Entry::new("Copy what is shown as a script", ExportCommand::CopyScript)
                    .help("Session, sample, window, budget, heads and views: kvlens open --script plays it")
                    .menu(Menu::File, 1)
                    .possible_if(is_open),
            ),
            Self::SaveScript => Offer::one(
                Entry::new("Save what is shown as a script", ExportCommand::SaveScript)
                    .help("Beside the session; File, Play a script opens it again")
                    .menu(Menu::File, 1)
                    .possible_if(is_open),
            ),
        }
    }

    /// The entry for a view, if it has such a thing to take away.
    fn of_pane(self, pane: Pane) -> Option<Entry> {
        let entry = |group, command| Entry::new(pane.title(), command).of(group);
        match self {
            Self::ToggleExport => pane.view().figure().map(|_| {
                let export = ExportCommand::ToggleExport(Some(pane));
                entry("Export a figure", export).asks()
            }),
            Self::CopyNumbers => {
                let copy = ExportCommand::CopyNumbers(pane);
                pane.view().numbers().map(|_| entry("Copy numbers", copy))
            }
            Self::CopyPicture => Some(entry("Copy picture", ExportCommand::CopyPicture(pane))),
            Self::SavePicture => Some(entry("Save picture", ExportCommand::SavePicture(pane))),
            Self::SavePage => pane
                .view()
                .numbers()
                .map(|_| entry("Save page", ExportCommand::SavePage(pane))),
            Self::EditExport
            | Self::AskForExport
            | Self::Export
            | Self::Preview
            | Self::CopyTable
            | Self::CopyLink
            | Self::CopyScript
            | Self::SaveScript => None,
        }
    }
}

/// What can be taken away of a view: the words of its own menu, and the command.
pub(in crate::gui) fn export_entries(pane: Pane) -> Vec<Entry> {
    let of_pane = ExportKind::iter().filter_map(|kind| kind.of_pane(pane));
    let papers = PAPERS
        .into_iter()
        .filter(|_| pane.view().numbers().is_some());
    let papers = papers.map(|(group, format)| {
        let copy = ExportCommand::CopyTable { pane, format };
        Entry::new(pane.title(), copy).of(group)
    });
    of_pane
        .chain(papers)
        .map(|entry| Entry {
            text: entry.group.to_owned(),
            group: "",
            ..entry
        })
        .collect()
}
