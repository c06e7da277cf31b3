//! What commands that take something away do.

use super::Workbench;
use crate::gui::command::ExportCommand;
use crate::gui::data::Severity;
use crate::gui::dialogs::Purpose;
use crate::gui::export::{FidelityExport, evictions};
use crate::gui::lanes::ReadRequest;
use crate::gui::link::link_of;
use crate::gui::numbers::TableFormat;
use crate::gui::workbench::picture::PictureUse;
use crate::jobs::figure::FigureRequest;

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
            ExportCommand::Export(figure) => match figure.kind.is_of_sessions() {
                true => self.ask(ReadRequest::Export(figure)),
                false => self.export_fidelity(*figure),
            },
            ExportCommand::Preview(figure) => self.ask(ReadRequest::Preview(figure)),
            ExportCommand::CopyNumbers(pane) => {
                self.numbers_wanted = Some((pane, TableFormat::Tabs));
            }
            ExportCommand::CopyTable { pane, format } => {
                self.numbers_wanted = Some((pane, format));
            }
            ExportCommand::CopyLink => match link_of(&self.commands_of_now()) {
                Ok(link) => {
                    context.copy_text(link);
                    let text =
                        "A link to what is shown is on the clipboard; paste it into a window";
                    self.note(Severity::Success, text);
                }
                Err(error) => self.note(Severity::Error, format!("{error:#}")),
            },
            ExportCommand::CopyScript => {
                context.copy_text(self.script_of_now());
                self.note(
                    Severity::Success,
                    "A script of what is shown is on the clipboard",
                );
            }
            ExportCommand::SaveScript => self.save_script(),
            ExportCommand::SavePage(pane) => {
                self.page_table = None;
                self.numbers_wanted = Some((pane, TableFormat::Html));
                self.ask_for_picture(pane, PictureUse::Page, context);
            }
            ExportCommand::CopyPicture(pane) => {
                self.ask_for_picture(pane, PictureUse::Copy, context);
            }
            ExportCommand::SavePicture(pane) => {
                self.ask_for_picture(pane, PictureUse::Save, context);
            }
        }
    }

    fn save_script(&mut self) {
        let script = self.script_of_now();
        let saved = self.free_path("look", "json").and_then(|path| {
            kvlens_sessions::write_file(&path, script.as_bytes())?;
            Ok(path)
        });
        match saved {
            Ok(path) => {
                let text = format!(
                    "Saved {}; File, Play a script opens it again",
                    path.display()
                );
                self.note(Severity::Success, text);
            }
            Err(error) => self.note(Severity::Error, format!("{error:#}")),
        }
    }

    /// Evictions lie in no session: what was measured in the window goes with the request.
    fn export_fidelity(&mut self, figure: FigureRequest) {
        let Some(session) = &self.data.session else {
            return;
        };
        let only = session.shown.as_ref().map(|shown| shown.index);
        let only = only.filter(|_| !self.settings.export.all_samples);
        let results = self.data.answers.fidelity.value();
        let points = results.map_or(&[][..], |results| &results.points);
        let export = FidelityExport {
            evictions: evictions(points, figure.kind, only),
            session: session.info.path.clone(),
            figure,
        };
        self.ask(ReadRequest::ExportFidelity(Box::new(export)));
    }

    fn ask_for_export(&mut self, context: &egui::Context) {
        if let Some(session) = &self.data.session {
            let path = self.settings.export.path(&session.info.path);
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            self.dialogs.ask(Purpose::Export, &name, context);
        }
    }
}
