//! What each command does.

use std::path::PathBuf;

use super::Workbench;
use crate::gui::attention_picture::AttentionKey;
use crate::gui::capture_settings::CaptureSettings;
use crate::gui::command::Command;
use crate::gui::data::{Job, Progress, Severity};
use crate::gui::dialogs::Purpose;
use crate::gui::layout::Layout;
use crate::gui::state::Choices;
use crate::gui::views::help::HelpPage;
use crate::gui::views::palette::PaletteState;
use crate::gui::worker::Request;
use kvlens_analysis::Budget;

impl Workbench {
    pub(super) fn apply(&mut self, command: Command, context: &egui::Context) {
        let choices = &mut self.settings.choices;
        match command {
            Command::AskForSession => self.dialogs.ask(Purpose::Session, "", context),
            Command::AskForModel => self.dialogs.ask(Purpose::Model, "", context),
            Command::AskForPrompts => self.dialogs.ask(Purpose::Prompts, "", context),
            Command::AskForCopy => self.ask_for_copy(context),
            Command::OpenSession(path) => self.open(path),
            Command::SaveSessionAs(path) => self.save_as(path),
            Command::ClearRecent => self.settings.recent.clear(),
            Command::EditCapture(edited) => {
                self.settings.capture = edited;
                self.data.capture_error = None;
            }
            Command::RunDemo => {
                let windows = self.settings.capture.windows.clone();
                self.capture(CaptureSettings {
                    windows,
                    ..CaptureSettings::default()
                });
            }
            Command::RunCapture => self.capture(self.settings.capture.clone()),
            Command::CancelJobs => self.cancel_jobs(),
            Command::SelectSample(index) => self.show_sample(index),
            Command::StepSample(step) => self.step_sample(step),
            Command::SetBudget(budget) => choices.budget = budget,
            Command::StepBudget(step) => self.step_budget(step),
            Command::SetMetric(metric) => choices.metric = metric,
            Command::SetByLayer(by_layer) => choices.by_layer = by_layer,
            Command::SelectHeads { heads, change } => choices.select(&heads, change),
            Command::SelectAllHeads => choices.heads.clear(),
            Command::SetWindow(label) => choices.window = Some(label),
            Command::SetMinus(label) => choices.minus = label,
            Command::ToggleWindow(label) => {
                if !choices.hidden_windows.remove(&label) {
                    choices.hidden_windows.insert(label);
                }
            }
            Command::SetTokenHeat(heat) => choices.token_heat = heat,
            Command::SetHeatScale(scale) => choices.heat_scale = scale,
            Command::SetMeasureOptions(options) => {
                choices.measure = options;
                self.measure_again();
            }
            Command::SetDrift(drift) => choices.drift = drift,
            Command::SetQueries(part) => choices.queries = part,
            Command::SetFidelity(fidelity) => choices.fidelity = fidelity,
            Command::Ask(kind) => self.ask_again(kind),
            Command::ScrollToToken(token) => self.scroll_to = Some(token),
            Command::SetTheme(theme) => self.settings.theme = theme,
            Command::ToggleCapturePanel => {
                self.settings.hide_capture = !self.settings.hide_capture;
            }
            Command::TogglePane(pane) => self.layout.toggle(pane),
            Command::ShowPane(pane) => self.layout.show(pane),
            Command::ResetLayout => self.layout = Layout::default(),
            Command::UsePreset(preset) => self.layout = Layout::of(preset),
            Command::ToggleHelp(pane) => {
                let page = pane.map_or(HelpPage::Glossary, HelpPage::Pane);
                self.help = Some(page).filter(|page| self.help != Some(*page));
            }
            Command::TogglePalette => {
                self.palette = match self.palette.take() {
                    Some(_) => None,
                    None => Some(PaletteState::default()),
                };
            }
            Command::ClearLog => self.data.log.clear(),
            Command::ToggleShortcuts => self.shortcuts_open = !self.shortcuts_open,
            Command::Undo => self.undo(),
            Command::Redo => self.redo(),
            Command::Quit => context.send_viewport_cmd(egui::ViewportCommand::Close),
        }
    }

    pub(super) fn ask(&mut self, title: String, captures: bool, request: Request) {
        if !matches!(request, Request::Question(_)) {
            self.give_way();
        }
        match self.worker.ask(request) {
            Ok((id, cancel)) => self.data.jobs.push(Job {
                id,
                title,
                captures,
                progress: Progress::default(),
                cancel,
            }),
            Err(error) => self.note(Severity::Error, format!("{error:#}")),
        }
    }

    fn open(&mut self, path: PathBuf) {
        let options = self.settings.choices.measure;
        self.ask(
            "Opening the session".to_owned(),
            false,
            Request::Open { path, options },
        );
    }

    fn ask_for_copy(&mut self, context: &egui::Context) {
        if let Some(session) = &self.data.session {
            let name = format!("{}.kvlens", session.info.name);
            self.dialogs.ask(Purpose::Copy, &name, context);
        }
    }

    fn save_as(&mut self, to: PathBuf) {
        let Some(session) = &self.data.session else {
            return;
        };
        let from = session.info.path.clone();
        self.ask(
            "Saving the session".to_owned(),
            false,
            Request::SaveAs { from, to },
        );
    }

    fn capture(&mut self, settings: CaptureSettings) {
        if self.data.capture_job().is_some() {
            return;
        }
        self.data.capture_error = None;
        if let Err(error) = settings.plan() {
            let reason = format!("{error:#}");
            self.data.capture_error = Some(reason.clone());
            self.note(Severity::Error, reason);
            return;
        }
        let out = settings
            .typed_out()
            .unwrap_or_else(|| self.fresh_folder(&settings.session_stem()));
        let options = self.settings.choices.measure;
        let request = Request::Capture {
            settings: Box::new(settings),
            out,
            options,
        };
        self.ask("Capturing".to_owned(), true, request);
    }

    /// A folder of the program's own that is not there yet.
    fn fresh_folder(&self, stem: &str) -> PathBuf {
        let numbered = |number: usize| match number {
            1 => self.sessions_folder.join(format!("{stem}.kvlens")),
            number => self.sessions_folder.join(format!("{stem}-{number}.kvlens")),
        };
        let mut number = 1;
        while numbered(number).exists() {
            number += 1;
        }
        numbered(number)
    }

    fn cancel_jobs(&mut self) {
        for job in &self.data.jobs {
            job.cancel.cancel();
        }
    }

    fn show_sample(&mut self, index: usize) {
        let Some(session) = &self.data.session else {
            return;
        };
        if index >= session.info.samples.len() {
            return;
        }
        let title = "Measuring the sample".to_owned();
        // Whoever leafs through samples wants the last one, not all that were passed.
        for job in self.data.jobs.iter().filter(|job| job.title == title) {
            job.cancel.cancel();
        }
        let request = Request::Measure {
            path: session.info.path.clone(),
            index,
            options: self.settings.choices.measure,
        };
        self.ask(title, false, request);
    }

    /// Asks for the attention of the primary head, unless it is there or asked for.
    pub(super) fn read_attention(&mut self) {
        let Some(key) = self.wanted_attention() else {
            return;
        };
        if self.asked_attention.as_ref() != Some(&key) {
            self.asked_attention = Some(key.clone());
            let title = "Reading the attention".to_owned();
            // whoever leafs through heads wants the last one
            for job in self.data.jobs.iter().filter(|job| job.title == title) {
                job.cancel.cancel();
            }
            self.ask(title, false, Request::Attention(key));
        }
    }

    fn wanted_attention(&self) -> Option<AttentionKey> {
        let session = self.data.session.as_ref()?;
        Some(AttentionKey {
            path: session.info.path.clone(),
            index: session.shown.as_ref()?.index,
            head: *self.settings.choices.heads.first()?,
            window: self.derived.window.clone()?,
        })
    }

    fn step_sample(&mut self, step: i32) {
        if let Some(shown) = self.data.shown()
            && let Some(index) = shown.index.checked_add_signed(step as isize)
        {
            self.show_sample(index);
        }
    }

    fn measure_again(&mut self) {
        if let Some(shown) = self.data.shown() {
            self.show_sample(shown.index);
        }
    }

    fn step_budget(&mut self, step: i32) {
        let budgets = self.derived.budgets();
        let Some(last) = budgets.len().checked_sub(1) else {
            return;
        };
        let index = self
            .derived
            .budget_index
            .saturating_add_signed(step as isize)
            .min(last);
        if let Some(tokens) = budgets.get(index) {
            self.settings.choices.budget = Budget::Tokens(*tokens);
        }
    }

    fn undo(&mut self) {
        if let Some(choices) = self.undoer.undo(&self.settings.choices) {
            let choices = choices.clone();
            self.restore(choices);
        }
    }

    fn redo(&mut self) {
        if let Some(choices) = self.undoer.redo(&self.settings.choices) {
            let choices = choices.clone();
            self.restore(choices);
        }
    }

    fn restore(&mut self, choices: Choices) {
        let scored_otherwise = choices.measure != self.settings.choices.measure;
        self.settings.choices = choices;
        if scored_otherwise {
            self.measure_again();
        }
    }
}
