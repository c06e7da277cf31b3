//! What is taken away: figures, numbers and pictures.

use egui::{Key, Modifiers};
use serde::{Deserialize, Serialize};
use strum::{EnumDiscriminants, EnumIter, IntoEnumIterator as _, IntoStaticStr};

use super::entry::{Entry, Menu, Offer};
use crate::gui::export::ExportSettings;
use crate::gui::layout::Pane;
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
    /// Copy what a view shows as a table of text.
    CopyNumbers(Pane),
    /// Copy a picture of a view.
    CopyPicture(Pane),
    /// Save a picture of a view beside the session.
    SavePicture(Pane),
}

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
            Self::CopyNumbers | Self::CopyPicture | Self::SavePicture => each_pane(),
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
            Self::EditExport | Self::AskForExport | Self::Export => None,
        }
    }
}

/// What can be taken away of a view: the words of its own menu, and the command.
pub(in crate::gui) fn export_entries(pane: Pane) -> Vec<Entry> {
    let of_pane = ExportKind::iter().filter_map(|kind| kind.of_pane(pane));
    of_pane
        .map(|entry| Entry {
            text: entry.group.to_owned(),
            group: "",
            ..entry
        })
        .collect()
}
