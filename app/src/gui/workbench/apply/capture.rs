//! What commands about the next capture do.

use std::path::PathBuf;

use kvlens_sessions::StartMode;

use super::Workbench;
use crate::demo::DEMO_WINDOWS;
use crate::gui::capture_settings::{CaptureSettings, PromptSource};
use crate::gui::command::CaptureCommand;
use crate::gui::data::{RunningCapture, Severity};
use crate::gui::dialogs::Purpose;
use crate::gui::lanes::{CaptureOrder, JobKey, ModelRequest, ReadRequest};
use crate::jobs::capture_words::capture_words;
use crate::jobs::figure::command_line;

impl Workbench {
    pub(super) fn apply_capture(&mut self, command: CaptureCommand, context: &egui::Context) {
        match command {
            CaptureCommand::AskForModel => self.dialogs.ask(Purpose::Model, "", context),
            CaptureCommand::AskForPrompts => self.dialogs.ask(Purpose::Prompts, "", context),
            CaptureCommand::FollowSession => self.follow_session(),
            CaptureCommand::CopyCapture => self.copy_capture(context),
            CaptureCommand::EditCapture(edited) => {
                self.settings.capture = *edited;
                self.data.capture_error = None;
                self.estimate_memory();
            }
            CaptureCommand::RunDemo => self.capture_demo(),
            CaptureCommand::RunCapture => self.capture(self.settings.capture.clone()),
            CaptureCommand::ResumeCapture => self.resume_capture(),
            CaptureCommand::ToggleRecipes => self.recipes_open = !self.recipes_open,
            CaptureCommand::EditRecipe(edited) => self.settings.recipe = edited,
            CaptureCommand::RunRecipe => self.run_recipe(),
        }
    }

    /// Captures the built-in prompts with the built-in model.
    pub(super) fn capture_demo(&mut self) {
        self.capture(CaptureSettings {
            windows: DEMO_WINDOWS.map(str::to_owned).to_vec(),
            ..CaptureSettings::default()
        });
    }

    /// Asks what the panel's capture would take, unless it is no plan yet. Until the answer comes the last one
    /// stays, so that nothing jumps while somebody types.
    pub(in crate::gui::workbench) fn estimate_memory(&mut self) {
        if self.settings.capture.plan().is_ok() {
            let settings = Box::new(self.settings.capture.clone());
            self.ask(ReadRequest::Estimate(settings));
        } else {
            self.data.capture_estimate = None;
            self.data.capture_prompts = None;
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
        self.start_capture(CaptureOrder {
            settings,
            plan: None,
            out,
            start: StartMode::New,
        });
    }

    fn resume_capture(&mut self) {
        if self.data.capture_job().is_none()
            && let Some((order, _)) = self.data.going_on()
        {
            self.start_capture(order);
        }
    }

    fn start_capture(&mut self, order: CaptureOrder) {
        self.data.capture_error = None;
        self.data.resumable = None;
        self.data.capture = Some(RunningCapture {
            is_shown: self.data.is_open(&order.out),
            out: order.out.clone(),
            is_for_show: true,
        });
        self.ask(ModelRequest::Capture(Box::new(order)));
    }

    /// Fills the panel with what the open session was captured by.
    fn follow_session(&mut self) {
        let plan = self.data.session.as_ref();
        if let Some(plan) = plan.and_then(|session| session.info.plan.clone()) {
            let settings = CaptureSettings::of_plan(&plan);
            self.settings.hide_capture = false;
            let edited = CaptureCommand::EditCapture(Box::new(settings));
            self.commands.send(edited);
        }
    }

    /// Copies the command line that runs the panel's capture.
    fn copy_capture(&mut self, context: &egui::Context) {
        let settings = &self.settings.capture;
        let stem = || PathBuf::from(format!("{}.kvlens", settings.session_stem()));
        let out = settings.typed_out().unwrap_or_else(stem);
        let words = match (settings.source, settings.plan()) {
            (PromptSource::Text, _) => {
                Err("text that is typed here stands in no file; save it as prompt.txt for the command line".to_owned())
            }
            (_, Err(error)) => Err(format!("{error:#}")),
            (_, Ok(plan)) => capture_words(&plan, &out),
        };
        match words {
            Ok(words) => {
                context.copy_text(command_line(&words));
                self.note(
                    Severity::Success,
                    "The command line of this capture is on the clipboard",
                );
            }
            Err(reason) => self.note(Severity::Warning, format!("No command line: {reason}")),
        }
    }

    /// Runs the recipe of the dialog; what can be refused without the model is refused at once.
    fn run_recipe(&mut self) {
        if self.data.job(&JobKey::Recipe).is_some() || self.data.capture_job().is_some() {
            return;
        }
        let request = self
            .settings
            .recipe
            .request(&self.settings.capture, &self.sessions_folder);
        match request.and_then(|request| request.check().map(|()| request)) {
            Ok(request) => {
                self.data.recipe_page = None;
                self.ask(ModelRequest::Recipe(Box::new(request)));
            }
            Err(error) => self.note(Severity::Error, format!("{error:#}")),
        }
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
}
