//! One frame of the workbench: hear the lanes, apply the commands, draw.
//!
//! Needs no window: the tests drive this very code through `egui_kittest`, and `eframe` only adds
//! the window around it.

mod apply;
mod draw;
mod dropped;
mod events;
mod input;
mod look;
mod page;
mod panes;
mod picture;
mod present;
mod questions;
mod refresh;
mod script;

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use egui::Ui;
use egui::util::undoer::Undoer;
use serde_json::Value;

use super::command::{Command, Commands, Hover};
use super::data::{Data, Message, Severity};
use super::derived::Derived;
use super::dialogs::{Answer, Dialogs, Purpose};
use super::lanes::{Event, Lanes};
use super::layout::{Layout, Pane};
use super::lessons::OpenLesson;
use super::numbers::TableFormat;
use super::query::Pool;
use super::seen_samples::SeenSamples;
use super::state::{Settings, ThemeChoice};
use super::theme::Theme;
use super::toasts::Toasts;
use super::views::browser::Browser;
use super::views::help::HelpPage;
use super::views::palette::PaletteState;
use super::views::running::Confirmation;
use look::Look;
use picture::WantedPicture;
use present::Presentation;

/// The workbench.
pub struct Workbench {
    settings: Settings,
    layout: Layout,
    data: Data,
    derived: Derived,
    /// Of the session beside.
    derived_beside: Derived,
    lanes: Lanes,
    /// Makes what a frame has no time for.
    pool: Pool,
    dialogs: Dialogs,
    toasts: Toasts,
    commands: Commands,
    undoer: Undoer<Look>,
    /// The layout as it is saved; none where it may have changed since.
    written_layout: Option<Arc<Value>>,
    /// Whether the panes were put elsewhere since the last frame, which tidies their containers.
    layout_was_set: bool,
    /// What is left of a script; its next command waits until no job runs.
    script: VecDeque<Command>,
    sessions_folder: PathBuf,
    shown_versions: u64,
    seen: SeenSamples,
    openings: u64,
    scroll_to: Option<usize>,
    /// The first frame of the size that was asked for last.
    zoomed_in_frame: u64,
    shortcuts_open: bool,
    export_open: bool,
    recipes_open: bool,
    /// What was asked for and would lose work.
    confirmation: Option<Confirmation>,
    /// Whether the program may end though a capture ran.
    is_quitting: bool,
    /// A view whose picture was asked for.
    picture: Option<WantedPicture>,
    /// A view whose numbers shall be copied.
    numbers_wanted: Option<(Pane, TableFormat)>,
    /// The table of a page whose picture was asked for.
    page_table: Option<String>,
    palette: Option<PaletteState>,
    /// The window's own file dialog, where the desktop has none.
    browser: Option<Browser>,
    /// What was chosen in it in this frame.
    chosen_paths: Vec<(Purpose, PathBuf)>,
    help: Option<HelpPage>,
    lesson: Option<OpenLesson>,
    /// Where the panes stood before the lesson, while one is given.
    layout_before_lesson: Option<Layout>,
    /// What was before the presentation, while one is given.
    presentation: Option<Presentation>,
    /// What the pointer was on in the frame before.
    hover: Hover,
    theme_applied: Option<ThemeChoice>,
}

impl Workbench {
    /// A workbench with remembered settings; captures go into `sessions_folder` unless the capture
    /// panel names another one.
    ///
    /// # Errors
    /// When a thread cannot be started.
    pub fn new(
        context: &egui::Context,
        mut settings: Settings,
        layout: Layout,
        sessions_folder: PathBuf,
    ) -> anyhow::Result<Self> {
        let (waker, pool_waker) = (context.clone(), context.clone());
        // no session stands beside at the start, and its maps would be empty
        settings.choices.leave_beside();
        let mut workbench = Self {
            settings,
            layout,
            data: Data::default(),
            derived: Derived::default(),
            derived_beside: Derived::default(),
            lanes: Lanes::start(move || waker.request_repaint())?,
            pool: Pool::start(move || pool_waker.request_repaint())?,
            dialogs: Dialogs::default(),
            toasts: Toasts::default(),
            commands: Commands::default(),
            undoer: Undoer::default(),
            written_layout: None,
            layout_was_set: true,
            script: VecDeque::new(),
            sessions_folder,
            shown_versions: 0,
            seen: SeenSamples::default(),
            openings: 0,
            scroll_to: None,
            zoomed_in_frame: 0,
            shortcuts_open: false,
            export_open: false,
            recipes_open: false,
            confirmation: None,
            is_quitting: false,
            picture: None,
            numbers_wanted: None,
            page_table: None,
            palette: None,
            browser: None,
            chosen_paths: Vec::new(),
            help: None,
            lesson: None,
            layout_before_lesson: None,
            presentation: None,
            hover: Hover::default(),
            theme_applied: None,
        };
        workbench.estimate_memory();
        Ok(workbench)
    }

    /// What is kept between two runs.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Where the panes stand.
    #[must_use]
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Where the panes stand when no lesson is given: what is kept between two runs.
    #[must_use]
    pub fn layout_of_ones_own(&self) -> &Layout {
        self.layout_before_lesson.as_ref().unwrap_or(&self.layout)
    }

    /// What was loaded.
    #[must_use]
    pub fn data(&self) -> &Data {
        &self.data
    }

    /// What follows from the data and the choices.
    #[must_use]
    pub fn derived(&self) -> &Derived {
        &self.derived
    }

    /// What the pointer was on in the last frame.
    #[must_use]
    pub fn hover(&self) -> &Hover {
        &self.hover
    }

    /// Asks for something, as a view would; done before the next frame.
    pub fn send(&mut self, command: impl Into<Command>) {
        self.commands.send(command);
    }

    /// Whether no job runs and nothing is left of a script.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.data.jobs.is_empty() && self.script.is_empty() && !self.is_deriving()
    }

    /// Whether values of either session are on their way.
    fn is_deriving(&self) -> bool {
        self.pool.is_busy()
    }

    /// Lets a frame wait so long for its values, where it is more than a frame of a window: for pictures and tests.
    pub fn set_patience(&mut self, patience: Duration) {
        self.pool.set_patience(patience);
    }

    /// Whether the program can end without losing work, or somebody said that it may.
    #[must_use]
    pub fn may_close(&self) -> bool {
        self.is_quitting || self.data.capture_job().is_none()
    }

    /// Asks for a list of things, each when the jobs of the one before are done.
    pub fn play(&mut self, script: Vec<Command>) {
        self.script.extend(script);
    }

    /// Takes an event in, as if a lane had sent it.
    pub fn receive(&mut self, event: Event) {
        self.take_event(event);
    }

    /// Draws one frame into the whole of `ui`.
    pub fn ui(&mut self, ui: &mut Ui) {
        self.hear(ui.ctx());
        self.take_picture(ui.ctx());
        self.take_dropped_files(ui.ctx());
        self.take_keys(ui.ctx());
        self.next_of_script(ui.ctx());
        for command in self.commands.take() {
            self.apply(command, ui.ctx());
        }
        self.apply_theme(ui.ctx());
        let look = self.refresh(ui.ctx());
        let views = self.draw(ui, &look);
        for (purpose, path) in std::mem::take(&mut self.chosen_paths) {
            self.take_path(purpose, path);
        }
        self.layout_may_have_moved(ui.ctx());
        self.toasts.show(ui.ctx(), views, Theme::of(ui.visuals()));
        let hover = std::mem::take(&mut self.commands.hover);
        let moved = hover != self.hover;
        self.hover = hover;
        if moved || !self.commands.is_empty() {
            ui.ctx().request_repaint();
        }
    }

    /// Everything that the lanes and the dialogs have said since the last frame.
    fn hear(&mut self, context: &egui::Context) {
        while let Some(event) = self.lanes.poll() {
            self.take_event(event);
        }
        while let Some(answer) = self.dialogs.poll() {
            match answer {
                Answer::Chosen(purpose, path) => self.take_path(purpose, path),
                Answer::Unavailable(purpose, name) => {
                    let session = self.data.session.as_ref();
                    let beside = session.and_then(|session| session.info.path.parent());
                    self.browser = Some(Browser::new(purpose, name, beside));
                }
                Answer::Closed => {}
            }
            context.request_repaint();
        }
    }

    fn next_of_script(&mut self, context: &egui::Context) {
        if !self.data.jobs.is_empty() || !self.commands.is_empty() {
            return;
        }
        // what only looks elsewhere starts no job, and is done in one frame
        while let Some(command) = self.script.pop_front() {
            let may_start_a_job = !matches!(command, Command::Look(_) | Command::Layout(_));
            self.commands.send(command);
            context.request_repaint();
            if may_start_a_job {
                break;
            }
        }
    }

    fn apply_theme(&mut self, context: &egui::Context) {
        if self.theme_applied == Some(self.settings.theme) {
            return;
        }
        Theme::apply(context);
        context.set_theme(match self.settings.theme {
            ThemeChoice::System => egui::ThemePreference::System,
            ThemeChoice::Dark => egui::ThemePreference::Dark,
            ThemeChoice::Light => egui::ThemePreference::Light,
        });
        self.theme_applied = Some(self.settings.theme);
    }

    /// A line for the log, and a toast.
    pub(super) fn note(&mut self, severity: Severity, text: impl Into<String>) {
        let text = text.into();
        // Notes of what goes as planned stand in the log; a toast is for what one has to know.
        if severity != Severity::Info {
            self.toasts.push(severity, text.as_str());
        }
        self.data.log.push(Message::now(severity, text));
    }
}
