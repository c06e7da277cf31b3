//! What commands that take something away do.

use super::Workbench;
use crate::gui::command::ExportCommand;
use crate::gui::dialogs::Purpose;
use crate::gui::lanes::ReadRequest;
use crate::gui::workbench::picture::PictureUse;

impl Workbench {
    pub(super) fn apply_export(&mut self, command: ExportCommand, context: &egui::Context) {
        match command {
            ExportCommand::ToggleExport(pane) => {
                if let Some(nearest) = pane.and_then(|pane| pane.view().figure()) {
                    let shown = nearest(&self.settings.choices);
                    self.settings.export.kind = shown.kind;
                    self.settings.export.all_samples = shown.all_samples;
                }
                self.export_open = pane.is_some() || !self.export_open;
            }
            ExportCommand::EditExport(edited) => self.settings.export = edited,
            ExportCommand::AskForExport => self.ask_for_export(context),
            ExportCommand::Export(figure) => self.ask(ReadRequest::Export(figure)),
            ExportCommand::CopyNumbers(pane) => self.numbers_wanted = Some(pane),
            ExportCommand::CopyPicture(pane) => {
                self.ask_for_picture(pane, PictureUse::Copy, context);
            }
            ExportCommand::SavePicture(pane) => {
                self.ask_for_picture(pane, PictureUse::Save, context);
            }
        }
    }

    fn ask_for_export(&mut self, context: &egui::Context) {
        if let Some(session) = &self.data.session {
            let path = self.settings.export.path(&session.info.path);
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            self.dialogs.ask(Purpose::Export, &name, context);
        }
    }
}
