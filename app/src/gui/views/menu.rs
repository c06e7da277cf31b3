//! The menu bar, made from the words of the commands. Every entry shows the key that sends the same.

use std::path::PathBuf;

use egui::containers::menu::{MenuButton, MenuConfig};
use egui::{Button, Id, PopupCloseBehavior, Ui};

use super::View;
use super::shortcuts::keys_text;
use crate::gui::command::{Action, Command, Commands, Entry, Mark, Menu, Place, entries};
use crate::gui::widgets::path_field::path_field;
use crate::gui::widgets::together::text_width;

/// Draws the menu bar.
pub fn menu_ui(ui: &mut Ui, view: &View<'_>, commands: &mut Commands) {
    egui::MenuBar::new().ui(ui, |ui| {
        for menu in Menu::ALL {
            // stays open while one types or ticks in it; entries close it themselves
            let stays = MenuConfig::new().close_behavior(PopupCloseBehavior::CloseOnClickOutside);
            MenuButton::new(menu.title())
                .config(stays)
                .ui(ui, |ui| contents_ui(ui, view, menu, commands));
        }
    });
}

fn contents_ui(ui: &mut Ui, view: &View<'_>, menu: Menu, commands: &mut Commands) {
    let entries = entries(view);
    let mut placed: Vec<(Place, &Entry)> = entries
        .iter()
        .filter_map(|entry| Some((entry.place?, entry)))
        .filter(|(place, _)| place.menu == menu)
        .collect();
    // stable: in a section they stay in the order of the topics
    placed.sort_by_key(|(place, _)| place.section);
    if placed.iter().any(|(_, entry)| is_typed(entry)) {
        ui.set_min_width(320.0);
    }
    for (index, section) in placed
        .chunk_by(|(a, _), (b, _)| a.section == b.section)
        .enumerate()
    {
        if index > 0 {
            ui.separator();
        }
        section_ui(ui, section, commands);
    }
    if menu == Menu::Help {
        ui.separator();
        indented(ui, |ui| {
            ui.label(concat!("KVLens ", env!("CARGO_PKG_VERSION")));
        });
    }
}

fn is_typed(entry: &Entry) -> bool {
    matches!(entry.action, Action::TypePath { .. })
}

/// The entries of a section; a menu inside the menu stands where its first entry would.
fn section_ui(ui: &mut Ui, section: &[(Place, &Entry)], commands: &mut Commands) {
    let mut drawn: Vec<&str> = Vec::new();
    for (place, entry) in section {
        let Some(submenu) = place.submenu else {
            entry_ui(ui, entry, commands);
            continue;
        };
        if drawn.contains(&submenu) {
            continue;
        }
        drawn.push(submenu);
        ui.menu_button(submenu, |ui| {
            let inside = section.iter();
            for (_, entry) in inside.filter(|(place, _)| place.submenu == Some(submenu)) {
                entry_ui(ui, entry, commands);
            }
        });
    }
}

/// Draws an entry as a menu shows it, and sends its command when it is clicked.
pub fn entry_ui(ui: &mut Ui, entry: &Entry, commands: &mut Commands) {
    let command = match &entry.action {
        Action::TypePath { hint, command } => {
            return typed_path_ui(ui, entry, hint, *command, commands);
        }
        Action::Send(command) => command,
    };
    let text = entry.menu_text();
    let is_clicked = ui
        .add_enabled_ui(entry.is_possible, |ui| {
            let button = match entry.mark {
                Some(Mark::Tick(mut is_shown)) => ui.checkbox(&mut is_shown, text),
                Some(Mark::Radio(is_chosen)) => ui.radio(is_chosen, text),
                None => {
                    let button = Button::new(text);
                    let button = match entry.keys.first() {
                        Some(keys) => button.shortcut_text(keys_text(keys)),
                        None => button,
                    };
                    ui.add(button)
                }
            };
            match entry.help {
                "" => button,
                help => button.on_hover_text(help),
            }
        })
        .inner
        .clicked();
    if is_clicked {
        commands.send(command.clone());
        if !matches!(entry.mark, Some(Mark::Tick(_))) {
            ui.close();
        }
    }
}

/// The longest words before a field.
const LONGEST_TYPED: &str = "Open path beside";

/// What is no button begins where the words of buttons do.
fn indented(ui: &mut Ui, row: impl FnOnce(&mut Ui)) {
    ui.horizontal(|ui| {
        ui.add_space(ui.spacing().button_padding.x);
        row(ui);
    });
}

/// A field for a path with the button that uses it; machines without a file dialog need no other.
fn typed_path_ui(
    ui: &mut Ui,
    entry: &Entry,
    hint: &str,
    command: fn(PathBuf) -> Command,
    commands: &mut Commands,
) {
    let (name, is_possible) = (&entry.text, entry.is_possible);
    let id = Id::unique(("typed path", name));
    let mut text: String = ui.data(|data| data.get_temp(id).unwrap_or_default());
    indented(ui, |ui| {
        // fields and buttons stand below each other, however long the words before them
        let size = egui::vec2(text_width(ui, LONGEST_TYPED), ui.spacing().interact_size.y);
        let row = egui::Layout::left_to_right(egui::Align::Center);
        let label = ui.allocate_ui_with_layout(size, row, |ui| {
            ui.set_min_width(size.x);
            ui.label(name)
        });
        let label = label.inner;
        let field = ui
            .add_enabled_ui(is_possible, |ui| {
                path_field(ui, name, &mut text, hint, 150.0)
            })
            .inner
            .labelled_by(label.id);
        let entered = field.lost_focus() && ui.input(|input| input.key_pressed(egui::Key::Enter));
        let ready = is_possible && !text.trim().is_empty();
        let go = ui
            .add_enabled(ready, Button::new("Go"))
            .on_hover_text(name)
            .clicked();
        if ready && (go || entered) {
            commands.send(command(PathBuf::from(text.trim())));
            ui.close();
        }
    });
    ui.data_mut(|data| data.insert_temp(id, text));
}
