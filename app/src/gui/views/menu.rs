//! The menu bar. Every entry sends a command, and shows the key that sends the same.

use std::path::PathBuf;

use egui::containers::menu::{MenuButton, MenuConfig};
use egui::{Button, Id, PopupCloseBehavior, TextEdit, Ui};

use super::View;
use crate::gui::command::{Command, Commands, shortcut_text};
use crate::gui::layout::{Pane, Preset};
use crate::gui::lessons::lessons;
use crate::gui::state::ThemeChoice;

/// Draws the menu bar.
pub fn menu_ui(ui: &mut Ui, view: &View<'_>, commands: &mut Commands) {
    egui::MenuBar::new().ui(ui, |ui| {
        menu(ui, "File", |ui| file_menu(ui, view, commands));
        menu(ui, "Edit", |ui| edit_menu(ui, view, commands));
        menu(ui, "View", |ui| view_menu(ui, view, commands));
        menu(ui, "Help", |ui| {
            entry(
                ui,
                "Keyboard shortcuts",
                Command::ToggleShortcuts,
                true,
                commands,
            );
            entry(ui, "Glossary", Command::ToggleHelp(None), true, commands);
            ui.menu_button("Lessons", |ui| {
                for (number, lesson) in lessons().iter().enumerate() {
                    entry(
                        ui,
                        lesson.title,
                        Command::StartLesson(number),
                        true,
                        commands,
                    );
                }
            });
            ui.menu_button("Views", |ui| {
                for pane in Pane::all() {
                    let command = Command::ToggleHelp(Some(pane));
                    entry(ui, pane.title(), command, true, commands);
                }
            });
            ui.separator();
            ui.label(concat!("KVLens ", env!("CARGO_PKG_VERSION")));
        });
    });
}

/// A menu that stays open while one types or ticks in it; entries close it themselves.
fn menu(ui: &mut Ui, title: &str, contents: impl FnOnce(&mut Ui)) {
    let stays = MenuConfig::new().close_behavior(PopupCloseBehavior::CloseOnClickOutside);
    MenuButton::new(title).config(stays).ui(ui, contents);
}

fn entry(ui: &mut Ui, text: &str, command: Command, enabled: bool, commands: &mut Commands) {
    let keys = shortcut_text(&command, ui.ctx());
    if ui
        .add_enabled(enabled, Button::new(text).shortcut_text(keys))
        .clicked()
    {
        commands.send(command);
        ui.close();
    }
}

fn file_menu(ui: &mut Ui, view: &View<'_>, commands: &mut Commands) {
    ui.set_min_width(280.0);
    entry(ui, "Open session…", Command::AskForSession, true, commands);
    typed_path(
        ui,
        "Open path",
        "folder.kvlens",
        Command::OpenSession,
        true,
        commands,
    );
    let some = view.data.session.is_some();
    typed_path(
        ui,
        "Open beside",
        "other.kvlens",
        Command::OpenBeside,
        some,
        commands,
    );
    ui.menu_button("Recent beside", |ui| beside_menu(ui, view, commands));
    ui.menu_button("Recent sessions", |ui| {
        if view.settings.recent.is_empty() {
            ui.weak("None yet");
        }
        for path in &view.settings.recent {
            let text = path.display().to_string();
            entry(
                ui,
                &text,
                Command::OpenSession(path.clone()),
                true,
                commands,
            );
        }
        ui.separator();
        let some = !view.settings.recent.is_empty();
        entry(ui, "Forget them", Command::ClearRecent, some, commands);
    });
    ui.separator();
    let open = view.data.session.is_some();
    entry(ui, "Save session as…", Command::AskForCopy, open, commands);
    typed_path(
        ui,
        "Save to path",
        "copy.kvlens",
        Command::SaveSessionAs,
        open,
        commands,
    );
    entry(
        ui,
        "Export a figure…",
        Command::ToggleExport(None),
        open,
        commands,
    );
    ui.separator();
    entry(
        ui,
        "Run the demo",
        Command::RunDemo,
        view.data.capture_job().is_none(),
        commands,
    );
    ui.separator();
    entry(ui, "Quit", Command::Quit, true, commands);
}

/// Sessions to hold the open one against; the open one too, with another of its samples.
fn beside_menu(ui: &mut Ui, view: &View<'_>, commands: &mut Commands) {
    let open = view.data.session.is_some();
    for path in &view.settings.recent {
        let text = path.display().to_string();
        let command = Command::OpenBeside(path.clone());
        entry(ui, &text, command, open, commands);
    }
    ui.separator();
    let beside = view.data.beside.is_some();
    entry(ui, "Swap A and B", Command::SwapSessions, beside, commands);
    entry(ui, "Close B", Command::CloseBeside, beside, commands);
}

/// A field for a path with the button that uses it; machines without a file dialog need no other.
fn typed_path(
    ui: &mut Ui,
    name: &str,
    hint: &str,
    command: fn(PathBuf) -> Command,
    enabled: bool,
    commands: &mut Commands,
) {
    let id = Id::unique(("typed path", name));
    let mut text: String = ui.data(|data| data.get_temp(id).unwrap_or_default());
    ui.horizontal(|ui| {
        let label = ui.label(name);
        let field = ui
            .add_enabled(
                enabled,
                TextEdit::singleline(&mut text)
                    .hint_text(hint)
                    .desired_width(150.0),
            )
            .labelled_by(label.id);
        let entered = field.lost_focus() && ui.input(|input| input.key_pressed(egui::Key::Enter));
        let ready = enabled && !text.trim().is_empty();
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

fn edit_menu(ui: &mut Ui, view: &View<'_>, commands: &mut Commands) {
    entry(ui, "Undo", Command::Undo, view.can_undo, commands);
    entry(ui, "Redo", Command::Redo, view.can_redo, commands);
    ui.separator();
    let some = !view.settings.choices.heads.is_empty();
    entry(
        ui,
        "Select every head",
        Command::SelectAllHeads,
        some,
        commands,
    );
}

fn view_menu(ui: &mut Ui, view: &View<'_>, commands: &mut Commands) {
    let mut toggle = |ui: &mut Ui, text: &str, shown: bool, command: Command| {
        let mut shown = shown;
        if ui.checkbox(&mut shown, text).clicked() {
            commands.send(command);
        }
    };
    toggle(
        ui,
        "Capture panel",
        !view.settings.hide_capture,
        Command::ToggleCapturePanel,
    );
    for pane in Pane::all() {
        toggle(
            ui,
            pane.title(),
            view.panes.contains(&pane),
            Command::TogglePane(pane),
        );
    }
    ui.separator();
    ui.menu_button("Layout", |ui| {
        for preset in Preset::ALL {
            entry(
                ui,
                preset.title(),
                Command::UsePreset(preset),
                true,
                commands,
            );
        }
    });
    entry(ui, "Reset layout", Command::ResetLayout, true, commands);
    entry(
        ui,
        "Command palette",
        Command::TogglePalette,
        true,
        commands,
    );
    ui.separator();
    ui.menu_button("Theme", |ui| {
        for choice in ThemeChoice::ALL {
            if ui
                .radio(view.settings.theme == choice, choice.label())
                .clicked()
            {
                commands.send(Command::SetTheme(choice));
                ui.close();
            }
        }
    });
}
