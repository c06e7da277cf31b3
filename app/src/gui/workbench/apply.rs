//! What each command does.

use std::path::PathBuf;

use super::Workbench;
use super::picture::PictureUse;
use crate::demo::DEMO_WINDOWS;
use crate::gui::attention_picture::AttentionKey;
use crate::gui::capture_settings::CaptureSettings;
use crate::gui::command::Command;
use crate::gui::data::{Job, JobKind, Progress, Severity, Slot};
use crate::gui::dialogs::Purpose;
use crate::gui::layout::Layout;
use crate::gui::lessons::{LessonPlace, fits, lessons};
use crate::gui::session_maps::{COMPARE_TITLE, GatheredKey, SessionMapsKey};
use crate::gui::state::{MapKind, MapScope};
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
            Command::OpenSession(path) => self.open(Slot::Main, path),
            Command::OpenBeside(path) => self.open(Slot::Beside, path),
            Command::CloseBeside => self.data.beside = None,
            Command::SwapSessions => self.swap_sessions(),
            Command::SaveSessionAs(path) => self.save_as(path),
            Command::ClearRecent => self.settings.recent.clear(),
            Command::EditCapture(edited) => {
                self.settings.capture = edited;
                self.data.capture_error = None;
                self.estimate_memory();
            }
            Command::RunDemo => {
                self.capture(CaptureSettings {
                    windows: DEMO_WINDOWS.map(str::to_owned).to_vec(),
                    ..CaptureSettings::default()
                });
            }
            Command::RunCapture => self.capture(self.settings.capture.clone()),
            Command::CancelJobs => self.cancel_jobs(),
            Command::SelectSample(index) => self.show_sample(Slot::Main, index),
            Command::SelectSampleBeside(index) => self.show_sample(Slot::Beside, index),
            Command::StepSample(step) => self.step_sample(step),
            Command::SetBudget(budget) => choices.budget = budget,
            Command::StepBudget(step) => self.step_budget(step),
            Command::SetMetric(metric) => choices.metric = metric,
            Command::SetByLayer(by_layer) => choices.by_layer = by_layer,
            Command::SelectHeads { heads, change } => choices.select(&heads, change),
            Command::SelectAllHeads => choices.heads.clear(),
            Command::Pin(head) => choices.pinned = head,
            Command::SetMapKind(kind) => choices.map_kind = kind,
            Command::SetMapScope(scope) => {
                choices.map_scope = scope;
                // what was cancelled or failed is asked again
                if !self.data.is_comparing_samples() {
                    self.asked_maps = None;
                }
            }
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
            Command::ToggleExport(pane) => {
                if let Some(nearest) = pane.and_then(|pane| pane.view().figure()) {
                    self.settings.export.kind = nearest(choices);
                }
                self.export_open = pane.is_some() || !self.export_open;
            }
            Command::EditExport(edited) => self.settings.export = edited,
            Command::AskForExport => self.ask_for_export(context),
            Command::Export(words) => {
                self.ask(
                    "Exporting".to_owned(),
                    JobKind::Asked,
                    Request::Export(words),
                );
            }
            Command::CopyNumbers(pane) => self.numbers_wanted = Some(pane),
            Command::CopyPicture(pane) => self.ask_for_picture(pane, PictureUse::Copy, context),
            Command::SavePicture(pane) => self.ask_for_picture(pane, PictureUse::Save, context),
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
            Command::StartLesson(lesson) => self.show_lesson(LessonPlace { lesson, step: 0 }),
            Command::StepLesson(steps) => {
                if let Some(place) = self.lesson.and_then(|place| place.moved(steps)) {
                    self.show_lesson(place);
                }
            }
            Command::CloseLesson => self.lesson = None,
            Command::Undo => self.undo(),
            Command::Redo => self.redo(),
            Command::Quit => context.send_viewport_cmd(egui::ViewportCommand::Close),
        }
    }

    pub(super) fn ask(&mut self, title: String, kind: JobKind, request: Request) {
        if !matches!(request, Request::Question(_)) {
            self.give_way();
        }
        match self.worker.ask(request) {
            Ok((id, cancel)) => self.data.jobs.push(Job {
                id,
                title,
                kind,
                progress: Progress::default(),
                cancel,
            }),
            Err(error) => self.note(Severity::Error, format!("{error:#}")),
        }
    }

    fn open(&mut self, slot: Slot, path: PathBuf) {
        let request = Request::Open {
            slot,
            path,
            options: self.settings.choices.measure,
        };
        self.ask("Opening the session".to_owned(), JobKind::Asked, request);
    }

    fn ask_for_copy(&mut self, context: &egui::Context) {
        if let Some(session) = &self.data.session {
            let name = format!("{}.kvlens", session.info.name);
            self.dialogs.ask(Purpose::Copy, &name, context);
        }
    }

    fn ask_for_export(&mut self, context: &egui::Context) {
        if let Some(session) = &self.data.session {
            let path = self.settings.export.path(&session.info.path);
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            self.dialogs.ask(Purpose::Export, &name, context);
        }
    }

    fn save_as(&mut self, to: PathBuf) {
        let Some(session) = &self.data.session else {
            return;
        };
        let from = session.info.path.clone();
        self.ask(
            "Saving the session".to_owned(),
            JobKind::Asked,
            Request::SaveAs { from, to },
        );
    }

    /// Asks what the panel's capture would take, unless it is no plan yet. Until the answer comes the last one
    /// stays, so that nothing jumps while somebody types.
    pub(super) fn estimate_memory(&mut self) {
        let title = "Estimating the memory".to_owned();
        // whoever types wants to know of what stands there in the end
        for job in self.data.jobs.iter().filter(|job| job.title == title) {
            job.cancel.cancel();
        }
        if self.settings.capture.plan().is_ok() {
            let settings = Box::new(self.settings.capture.clone());
            self.ask(title, JobKind::Unasked, Request::Estimate { settings });
        } else {
            self.data.capture_memory = None;
        }
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
        self.ask("Capturing".to_owned(), JobKind::Capture, request);
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

    /// Sets the views of a step; captures the prompts of the tours first if they are not there.
    fn show_lesson(&mut self, place: LessonPlace) {
        let Some(lesson) = lessons().into_iter().nth(place.lesson) else {
            return;
        };
        let Some(step) = lesson.steps.into_iter().nth(place.step) else {
            return;
        };
        self.lesson = Some(place);
        self.script.clear();
        if !fits(&self.data) {
            self.capture(CaptureSettings {
                windows: DEMO_WINDOWS.map(str::to_owned).to_vec(),
                ..CaptureSettings::default()
            });
        }
        self.script.extend(step.commands);
    }

    fn cancel_jobs(&mut self) {
        for job in &self.data.jobs {
            job.cancel.cancel();
        }
    }

    pub(super) fn show_sample(&mut self, slot: Slot, index: usize) {
        let Some(session) = self.data.slot(slot) else {
            return;
        };
        if index >= session.info.samples.len() {
            return;
        }
        let title = match slot {
            Slot::Main => "Measuring the sample",
            Slot::Beside => "Measuring the sample of B",
        };
        let title = title.to_owned();
        // Whoever leafs through samples wants the last one, not all that were passed.
        for job in self.data.jobs.iter().filter(|job| job.title == title) {
            job.cancel.cancel();
        }
        let request = Request::Measure {
            slot,
            path: session.info.path.clone(),
            index,
            options: self.settings.choices.measure,
        };
        self.ask(title, JobKind::Asked, request);
    }

    /// Asks for the attention of the primary head, unless it is there or asked for.
    pub(super) fn read_attention(&mut self) {
        let Some(key) = self.wanted_attention() else {
            return;
        };
        let is_here = self.data.attention.as_ref().is_some_and(|it| it.key == key);
        if !is_here && self.asked_attention.as_ref() != Some(&key) {
            self.asked_attention = Some(key.clone());
            let title = "Reading the attention".to_owned();
            // whoever leafs through heads wants the last one
            for job in self.data.jobs.iter().filter(|job| job.title == title) {
                job.cancel.cancel();
            }
            self.ask(title, JobKind::Asked, Request::Attention(key));
        }
    }

    fn wanted_attention(&self) -> Option<AttentionKey> {
        let session = self.data.session.as_ref()?;
        Some(AttentionKey {
            path: session.info.path.clone(),
            index: session.shown.as_ref()?.index,
            head: self.settings.choices.primary_head()?,
            window: self.derived.window.clone()?,
        })
    }

    /// Asks for maps over all samples, unless they are there, asked for, or not wanted.
    pub(super) fn compare_samples(&mut self) {
        let Some(key) = self.wanted_maps() else {
            return;
        };
        if self.asked_maps.as_ref() == Some(&key) {
            return;
        }
        self.asked_maps = Some(key.clone());
        self.data.answers.failures.remove(COMPARE_TITLE);
        // whoever drags the budget wants the last one
        for job in &self.data.jobs {
            if job.title == COMPARE_TITLE {
                job.cancel.cancel();
            }
        }
        self.ask(
            COMPARE_TITLE.to_owned(),
            JobKind::Asked,
            Request::CompareSamples(Box::new(key)),
        );
    }

    fn wanted_maps(&self) -> Option<SessionMapsKey> {
        let choices = &self.settings.choices;
        let session = self.data.session.as_ref()?;
        let sample = &session.shown.as_ref()?.sample;
        if choices.map_scope != MapScope::Session {
            return None;
        }
        let window = self.derived.window.clone()?;
        let minus = self.derived.minus.clone();
        let labels = sample.windows.iter().map(|window| window.label.clone());
        Some(SessionMapsKey {
            gathered: GatheredKey::of(&session.info.path, choices),
            windows: labels
                .filter(|label| !choices.hidden_windows.contains(label))
                .collect(),
            pair: minus
                .filter(|_| choices.map_kind == MapKind::Window)
                .map(|minus| [window, minus]),
        })
    }

    fn step_sample(&mut self, step: i32) {
        if let Some(shown) = self.data.shown()
            && let Some(index) = shown.index.checked_add_signed(step as isize)
        {
            self.show_sample(Slot::Main, index);
        }
    }

    pub(super) fn measure_again(&mut self) {
        for slot in [Slot::Main, Slot::Beside] {
            let shown = self.data.slot(slot).and_then(|it| it.shown.as_ref());
            if let Some(index) = shown.map(|shown| shown.index) {
                self.show_sample(slot, index);
            }
        }
    }

    /// Lets B show the prompt that A shows. Of one session twice, each keeps its own.
    pub(super) fn match_sample_beside(&mut self) {
        let (Some(main), Some(beside)) = (&self.data.session, &self.data.beside) else {
            return;
        };
        if main.info.path == beside.info.path {
            return;
        }
        let id = main.shown.as_ref().map(|shown| &shown.sample.record.id);
        let mut ids = beside.info.samples.iter().map(|row| &row.id);
        let index = ids.position(|known| Some(known) == id);
        let is_shown = beside.shown.as_ref().map(|shown| shown.index) == index;
        if let Some(index) = index.filter(|_| !is_shown) {
            self.show_sample(Slot::Beside, index);
        }
    }

    fn swap_sessions(&mut self) {
        if self.data.beside.is_some() {
            std::mem::swap(&mut self.data.session, &mut self.data.beside);
            self.asked_attention = None;
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
}
