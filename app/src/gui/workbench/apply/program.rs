//! What commands about the program itself do.

use std::path::{Path, PathBuf};

use super::Workbench;
use crate::gui::command::ProgramCommand;
use crate::gui::data::Severity;
use crate::gui::link::{placed_here, read_state};
use crate::gui::read_script;
use crate::gui::views::help::HelpPage;
use crate::gui::views::palette::PaletteState;
use crate::gui::views::running::Confirmation;

impl Workbench {
    pub(super) fn apply_program(&mut self, command: ProgramCommand, context: &egui::Context) {
        match command {
            ProgramCommand::TogglePalette => {
                self.palette = match self.palette.take() {
                    Some(_) => None,
                    None => Some(PaletteState::default()),
                };
            }
            ProgramCommand::ToggleShortcuts => self.shortcuts_open = !self.shortcuts_open,
            ProgramCommand::ToggleHelp(pane) => {
                let page = pane.map_or(HelpPage::Glossary, HelpPage::Pane);
                self.help = Some(page).filter(|page| self.help != Some(*page));
            }
            ProgramCommand::PlayScript(path) => match read_script(&path) {
                Ok(script) => self.play(script),
                Err(error) => self.note(Severity::Error, format!("{error:#}")),
            },
            ProgramCommand::FollowLink(text) => self.follow_link(&text),
            ProgramCommand::ClearLog => self.data.log.clear(),
            ProgramCommand::Quit => self.quit(context),
            ProgramCommand::QuitNow => self.quit_now(context),
        }
    }

    fn follow_link(&mut self, text: &str) {
        let script = match read_state(text) {
            Ok(script) => script,
            Err(error) => return self.note(Severity::Error, format!("{error:#}")),
        };
        let session = self.data.session.as_ref();
        let open = session.map(|session| session.info.path.clone());
        let known: Vec<PathBuf> = open
            .iter()
            .chain(&self.settings.recent)
            .cloned()
            .chain(sessions_in(&self.sessions_folder))
            .collect();
        let (script, told) = placed_here(script, &known, open.as_deref());
        if let Some(told) = told {
            self.note(Severity::Warning, told);
        }
        self.script.clear();
        self.play(script);
    }

    fn quit(&mut self, context: &egui::Context) {
        match self.may_close() {
            true => context.send_viewport_cmd(egui::ViewportCommand::Close),
            false => self.confirmation = Some(Confirmation::Quit),
        }
    }

    fn quit_now(&mut self, context: &egui::Context) {
        self.stop_capture();
        self.is_quitting = true;
        context.send_viewport_cmd(egui::ViewportCommand::Close);
    }
}

/// What lies in the folder of sessions; nothing where there is none yet.
fn sessions_in(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten();
    entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .collect()
}
