//! The window around the workbench: `eframe`, and what is kept between two runs.

use anyhow::Context as _;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Start;
use super::command::{ProgramCommand, SessionCommand};
use super::data::Severity;
use super::desktop;
use super::workbench::Workbench;
use crate::jobs::folders::sessions_folder;

const SETTINGS_KEY: &str = "kvlens-settings-1";
const LAYOUT_KEY: &str = "kvlens-layout-1";

/// Opens the window and stays until it is closed.
pub(super) fn open_window(start: Start) -> anyhow::Result<()> {
    let options = eframe::NativeOptions {
        viewport: egui::ViewportBuilder::default()
            .with_app_id("kvlens")
            .with_title("KVLens")
            .with_inner_size([1280.0, 800.0])
            .with_min_inner_size([800.0, 520.0])
            .with_drag_and_drop(true),
        ..eframe::NativeOptions::default()
    };
    let create: eframe::AppCreator<'_> =
        Box::new(move |creation| Ok(Box::new(Application::new(creation, start)?)));
    eframe::run_native("KVLens", options, create)
        .map_err(|error| anyhow::anyhow!("{error}"))
        .context("the window cannot be opened; `kvlens doctor` tells what is missing")
}

struct Application {
    workbench: Workbench,
}

impl Application {
    fn new(creation: &eframe::CreationContext<'_>, start: Start) -> anyhow::Result<Self> {
        let mut workbench = Workbench::new(
            &creation.egui_ctx,
            restore(creation.storage, SETTINGS_KEY),
            restore(creation.storage, LAYOUT_KEY),
            sessions_folder(),
        )?;
        // one after the other, so that each is remembered and the last one stays
        let opening = start.sessions.into_iter();
        let opening = opening.map(|path| SessionCommand::OpenSession(path).into());
        workbench.play(opening.chain(start.script).collect());
        Ok(Self { workbench })
    }
}

impl eframe::App for Application {
    fn ui(&mut self, ui: &mut egui::Ui, _frame: &mut eframe::Frame) {
        let is_closed = ui.ctx().input(|input| input.viewport().close_requested());
        if is_closed && !self.workbench.may_close() {
            ui.ctx()
                .send_viewport_cmd(egui::ViewportCommand::CancelClose);
            self.workbench.send(ProgramCommand::Quit);
        }
        self.workbench.ui(ui);
        for address in desktop::take_addresses(ui.ctx()) {
            if let Err(sentence) = desktop::open(&address) {
                self.workbench.note(Severity::Warning, sentence);
            }
        }
    }

    fn clear_color(&self, visuals: &egui::Visuals) -> [f32; 4] {
        visuals.panel_fill.to_normalized_gamma_f32()
    }

    fn save(&mut self, storage: &mut dyn eframe::Storage) {
        store(storage, SETTINGS_KEY, self.workbench.settings());
        store(storage, LAYOUT_KEY, self.workbench.layout_of_ones_own());
    }
}

/// What was stored; the default when nothing was, or when an older version stored something else.
fn restore<T: DeserializeOwned + Default>(storage: Option<&dyn eframe::Storage>, key: &str) -> T {
    storage
        .and_then(|storage| storage.get_string(key))
        .and_then(|text| serde_json::from_str(&text).ok())
        .unwrap_or_default()
}

fn store<T: Serialize>(storage: &mut dyn eframe::Storage, key: &str, value: &T) {
    if let Ok(text) = serde_json::to_string(value) {
        storage.set_string(key, text);
    }
}
