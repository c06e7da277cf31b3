//! What commands about the program itself do.

use super::Workbench;
use crate::gui::command::ProgramCommand;
use crate::gui::data::Severity;
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
            ProgramCommand::ClearLog => self.data.log.clear(),
            ProgramCommand::Quit => self.quit(context),
            ProgramCommand::QuitNow => self.quit_now(context),
        }
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
