//! The words of commands, and where they stand: what menus, palette and the list of keys are made of.

use std::path::PathBuf;

use egui::{Key, KeyboardShortcut, Modifiers};

use super::Command;

/// What menus and palette say of a kind of command.
pub enum Offer {
    /// One entry for each value that can be asked for now.
    Entries(Vec<Entry>),
    /// None, because it is asked for somewhere else.
    Elsewhere(&'static str),
}

impl Offer {
    /// A single entry.
    pub(super) fn one(entry: Entry) -> Self {
        Self::Entries(vec![entry])
    }

    /// An entry for each of these.
    pub(super) fn each<T>(values: impl IntoIterator<Item = T>, entry: impl Fn(T) -> Entry) -> Self {
        Self::Entries(values.into_iter().map(entry).collect())
    }

    /// The entries.
    #[must_use]
    pub fn into_entries(self) -> Vec<Entry> {
        match self {
            Self::Entries(entries) => entries,
            Self::Elsewhere(_) => Vec::new(),
        }
    }
}

/// A menu of the menu bar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Menu {
    /// What comes in and goes out.
    File,
    /// What is undone and selected.
    Edit,
    /// What is shown and where.
    View,
    /// What explains.
    Help,
}

impl Menu {
    /// Every menu from left to right.
    pub const ALL: [Self; 4] = [Self::File, Self::Edit, Self::View, Self::Help];

    /// Its text.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::File => "File",
            Self::Edit => "Edit",
            Self::View => "View",
            Self::Help => "Help",
        }
    }
}

/// Where an entry stands in the menus.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The menu.
    pub menu: Menu,
    /// Lines part the sections; in a section, entries stand in the order of the topics.
    pub section: u8,
    /// The menu inside that menu, if any.
    pub submenu: Option<&'static str>,
}

/// How a menu shows what is chosen already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// One of its own.
    Tick(bool),
    /// One of several.
    Radio(bool),
}

/// What an entry does.
#[derive(Clone, Debug)]
pub enum Action {
    /// Sends a command.
    Send(Command),
    /// Sends a command about a path that is typed first.
    TypePath {
        /// What such a path looks like.
        hint: &'static str,
        /// The command.
        command: fn(PathBuf) -> Command,
    },
}

/// A command with its words.
#[derive(Clone, Debug)]
pub struct Entry {
    /// What the entries of a kind have in common, such as `Metric`; empty where there is but one.
    pub group: &'static str,
    /// The words.
    pub text: String,
    /// More words, for the pointer.
    pub help: &'static str,
    /// What it does.
    pub action: Action,
    /// Whether a dialog asks before it is done.
    pub asks: bool,
    /// Its keys.
    pub keys: Vec<KeyboardShortcut>,
    /// Its place in the menus, if it has one.
    pub place: Option<Place>,
    /// What a menu shows before it.
    pub mark: Option<Mark>,
    /// Whether it can be done now.
    pub is_possible: bool,
    /// Whether the palette offers it, too: a tick of a menu says what a click would do, a line of the palette cannot.
    pub is_in_palette: bool,
}

impl Entry {
    /// An entry of the palette.
    pub(super) fn new(text: impl Into<String>, command: impl Into<Command>) -> Self {
        Self::acting(text.into(), Action::Send(command.into()))
    }

    /// A field of a menu.
    pub(super) fn typed(text: &str, hint: &'static str, command: fn(PathBuf) -> Command) -> Self {
        Self::acting(text.to_owned(), Action::TypePath { hint, command })
    }

    fn acting(text: String, action: Action) -> Self {
        Self {
            group: "",
            text,
            help: "",
            action,
            asks: false,
            keys: Vec::new(),
            place: None,
            mark: None,
            is_possible: true,
            is_in_palette: true,
        }
    }

    /// The same as one of a group.
    pub(super) fn of(self, group: &'static str) -> Self {
        Self { group, ..self }
    }

    /// The same with more words.
    pub(super) fn help(self, help: &'static str) -> Self {
        Self { help, ..self }
    }

    /// The same, opening a dialog.
    pub(super) fn asks(self) -> Self {
        Self { asks: true, ..self }
    }

    /// The same with a key more.
    pub(super) fn key(mut self, modifiers: Modifiers, key: Key) -> Self {
        self.keys.push(KeyboardShortcut::new(modifiers, key));
        self
    }

    /// The same in a menu.
    pub(super) fn menu(self, menu: Menu, section: u8) -> Self {
        let submenu = None;
        let place = Some(Place {
            menu,
            section,
            submenu,
        });
        Self { place, ..self }
    }

    /// The same in a menu inside its menu.
    pub(super) fn submenu(mut self, submenu: &'static str) -> Self {
        if let Some(place) = &mut self.place {
            place.submenu = Some(submenu);
        }
        self
    }

    /// The same with a mark.
    pub(super) fn mark(self, mark: Mark) -> Self {
        let mark = Some(mark);
        Self { mark, ..self }
    }

    /// The same, possible only if so.
    pub(super) fn possible_if(self, is_possible: bool) -> Self {
        Self {
            is_possible,
            ..self
        }
    }

    /// The same, in the palette only if so.
    pub(super) fn in_palette_if(self, is_in_palette: bool) -> Self {
        Self {
            is_in_palette,
            ..self
        }
    }

    /// The words of a menu.
    #[must_use]
    pub fn menu_text(&self) -> String {
        match self.asks {
            true => format!("{}…", self.text),
            false => self.text.clone(),
        }
    }

    /// The words of the palette and of the list of keys, which stand alone.
    #[must_use]
    pub fn full_text(&self) -> String {
        match self.group {
            "" => self.text.clone(),
            group => format!("{group}: {}", self.text),
        }
    }
}
