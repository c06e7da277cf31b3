//! One frame of the workbench: hear the lanes, apply the commands, draw.
//!
//! Needs no window: the tests drive this very code through `egui_kittest`, and `eframe` only adds
//! the window around it.

mod apply;
mod dropped;
mod events;
mod look;
mod panes;
mod picture;
mod questions;

use std::collections::{BTreeSet, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use egui::util::undoer::Undoer;
use egui::{KeyboardShortcut, Ui};
use egui_notify::Toasts;
use serde_json::Value;

use super::command::{
    Action, CaptureCommand, Command, Commands, ExportCommand, Hover, JobCommand, LessonCommand,
    SessionCommand, shortcuts,
};
use super::data::{Data, Message, OpenedSession, Severity, Shown};
use super::derived::{Derived, Wanted};
use super::dialogs::{Answer, Dialogs, Purpose};
use super::export::ExportSettings;
use super::lanes::{Event, Lanes};
use super::layout::{Layout, Pane};
use super::lessons::OpenLesson;
use super::query::Pool;
use super::session_maps::GatheredKey;
use super::state::{Settings, ThemeChoice};
use super::theme::Theme;
use super::views::budget_bar::budget_bar_ui;
use super::views::capture::capture_ui;
use super::views::export::export_ui;
use super::views::help::{HelpPage, help_ui};
use super::views::lesson::lesson_ui;
use super::views::menu::menu_ui;
use super::views::palette::{PaletteState, palette_ui};
use super::views::running::{Confirmation, confirmation_ui};
use super::views::shortcuts::shortcuts_ui;
use super::views::top_bar::top_bar_ui;
use super::views::welcome::welcome_ui;
use super::views::{Need, View};
use dropped::dropped_command;
use look::Look;
use panes::PaneBehavior;
use picture::WantedPicture;

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
    openings: u64,
    scroll_to: Option<usize>,
    shortcuts_open: bool,
    export_open: bool,
    /// What was asked for and would lose work.
    confirmation: Option<Confirmation>,
    /// Whether the program may end though a capture ran.
    is_quitting: bool,
    /// A view whose picture was asked for.
    picture: Option<WantedPicture>,
    /// A view whose numbers shall be copied.
    numbers_wanted: Option<Pane>,
    palette: Option<PaletteState>,
    help: Option<HelpPage>,
    lesson: Option<OpenLesson>,
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
        settings: Settings,
        layout: Layout,
        sessions_folder: PathBuf,
    ) -> anyhow::Result<Self> {
        let (waker, pool_waker) = (context.clone(), context.clone());
        let mut workbench = Self {
            settings,
            layout,
            data: Data::default(),
            derived: Derived::default(),
            derived_beside: Derived::default(),
            lanes: Lanes::start(move || waker.request_repaint())?,
            pool: Pool::start(move || pool_waker.request_repaint())?,
            dialogs: Dialogs::default(),
            toasts: Toasts::default().with_anchor(egui_notify::Anchor::BottomRight),
            commands: Commands::default(),
            undoer: Undoer::default(),
            written_layout: None,
            layout_was_set: true,
            script: VecDeque::new(),
            sessions_folder,
            shown_versions: 0,
            openings: 0,
            scroll_to: None,
            shortcuts_open: false,
            export_open: false,
            confirmation: None,
            is_quitting: false,
            picture: None,
            numbers_wanted: None,
            palette: None,
            help: None,
            lesson: None,
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
        self.draw(ui, &look);
        self.layout_may_have_moved(ui.ctx());
        self.toasts.show(ui.ctx());
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
                Answer::Unavailable => self.note(
                    Severity::Warning,
                    "No file dialog is to be had here; type the path in the File menu or the field",
                ),
                Answer::Closed => {}
            }
            context.request_repaint();
        }
    }

    fn next_of_script(&mut self, context: &egui::Context) {
        if self.data.jobs.is_empty()
            && self.commands.is_empty()
            && let Some(command) = self.script.pop_front()
        {
            self.commands.send(command);
            context.request_repaint();
        }
    }

    fn take_path(&mut self, purpose: Purpose, path: PathBuf) {
        let mut capture = self.settings.capture.clone();
        let command: Command = match purpose {
            Purpose::Session => SessionCommand::OpenSession(path).into(),
            Purpose::Lesson => LessonCommand::OpenLesson(path).into(),
            Purpose::Copy => SessionCommand::SaveSessionAs(path).into(),
            Purpose::Model => {
                capture.model = path.display().to_string();
                CaptureCommand::EditCapture(Box::new(capture)).into()
            }
            Purpose::Export => ExportCommand::EditExport(ExportSettings {
                out: path.display().to_string(),
                ..self.settings.export.clone()
            })
            .into(),
            Purpose::Prompts => {
                capture.data = path.display().to_string();
                CaptureCommand::EditCapture(Box::new(capture)).into()
            }
        };
        self.commands.send(command);
    }

    fn take_dropped_files(&mut self, context: &egui::Context) {
        let dropped = context.input(|input| input.raw.dropped_files.clone());
        for file in dropped {
            match dropped_command(file.path(), &self.settings.capture) {
                Some(command) => self.commands.send(command),
                None => self.note(
                    Severity::Error,
                    format!(
                        "{} is no session, checkpoint or file of prompts",
                        file.path().display()
                    ),
                ),
            }
        }
    }

    fn take_keys(&mut self, context: &egui::Context) {
        let typing = context.text_edit_focused();
        let focused = context.memory(|memory| memory.focused().is_some());
        for (keys, command) in keyed_commands() {
            // Keys without Ctrl belong to whatever has the focus; Ctrl+A and Ctrl+Z to a text field.
            let taken = if *command == Command::Job(JobCommand::CancelJobs) {
                self.escape_closes_something(context) || focused || self.data.jobs.is_empty()
            } else if keys.modifiers.command {
                typing && matches!(keys.logical_key, egui::Key::A | egui::Key::Z)
            } else {
                focused
            };
            if !taken && context.input_mut(|input| input.consume_shortcut(keys)) {
                self.commands.send(command.clone());
            }
        }
    }

    /// Escape closes menus and windows, and leaves fields, as everywhere, before it stops jobs.
    fn escape_closes_something(&mut self, context: &egui::Context) -> bool {
        // the palette takes its own Escape, and a field that is left keeps it
        if self.palette.is_some() || !context.input(|input| input.key_pressed(egui::Key::Escape)) {
            return false;
        }
        if egui::Popup::is_any_open(context) {
            egui::Popup::close_all(context);
            return true;
        }
        let was_open = self.export_open
            || self.shortcuts_open
            || self.help.is_some()
            || self.confirmation.is_some();
        self.confirmation = None;
        self.export_open = false;
        self.shortcuts_open = false;
        self.help = None;
        was_open
    }

    fn apply_theme(&mut self, context: &egui::Context) {
        if self.theme_applied == Some(self.settings.theme) {
            return;
        }
        context.set_theme(match self.settings.theme {
            ThemeChoice::System => egui::ThemePreference::System,
            ThemeChoice::Dark => egui::ThemePreference::Dark,
            ThemeChoice::Light => egui::ThemePreference::Light,
        });
        self.theme_applied = Some(self.settings.theme);
    }

    fn refresh(&mut self, context: &egui::Context) -> Look {
        let time = context.input(|input| input.time);
        let look = self.look();
        self.undoer.feed_state(time, &look);
        let needs = self.needs();
        self.pool.begin_frame();
        self.derive(&needs);
        for words in self.pool.take_faults() {
            let text = format!(
                "A value could not be computed, which is a fault of the program; what it shows is missing ({words})"
            );
            self.note(Severity::Error, text);
        }
        self.refresh_questions(&needs);
        look
    }

    /// Renews what follows from the samples on show and the choices.
    fn derive(&mut self, needs: &BTreeSet<Need>) {
        let Some((session, shown)) = with_sample(self.data.session.as_ref()) else {
            return;
        };
        // maps of an earlier budget or scoring look the same, but are not what stands above them
        let maps = &self.data.answers.maps;
        let gathered = GatheredKey::of(session, &self.settings.choices);
        let all = maps
            .held()
            .filter(|(key, _)| key.gathered.is_shown_for(&gathered));
        let main = Wanted {
            info: &session.info,
            shown,
            choices: &self.settings.choices,
            all: all.map(|(_, found)| (&**found, maps.version())),
            needs,
        };
        self.derived.refresh(&self.pool, &main);
        match with_sample(self.data.beside.as_ref()) {
            Some((other, shown_beside)) => {
                let beside = Wanted {
                    info: &other.info,
                    shown: shown_beside,
                    all: None,
                    ..main
                };
                self.derived_beside.refresh(&self.pool, &beside);
                self.derived.hold_against(&self.derived_beside);
            }
            // what is on its way for it is not waited for
            None => self.derived_beside = Derived::default(),
        }
        self.derived.point_at(shown, &session.info, &self.hover);
    }

    /// What has to be made for the views in sight, for a lesson's numbers, and for a table to be copied.
    fn needs(&self) -> BTreeSet<Need> {
        let choices = &self.settings.choices;
        let panes = self.layout.visible().into_iter().chain(self.numbers_wanted);
        let mut needs: BTreeSet<Need> = panes
            .flat_map(|pane| pane.view().needs(choices))
            .copied()
            .collect();
        if self.lesson.is_some() {
            needs.extend([Need::Curves, Need::Tokens]);
        }
        needs
    }

    fn draw(&mut self, ui: &mut Ui, look: &Look) {
        let panes: BTreeSet<Pane> = Pane::all().filter(|pane| self.layout.has(*pane)).collect();
        let view = View {
            settings: &self.settings,
            data: &self.data,
            derived: &self.derived,
            beside: self
                .data
                .beside
                .as_ref()
                .filter(|beside| beside.shown.is_some())
                .map(|_| &self.derived_beside),
            theme: Theme::of(ui.visuals()),
            panes: &panes,
            hover: &self.hover,
            scroll_to: self.scroll_to.take(),
            lesson: self.lesson.as_ref(),
            can_undo: self.undoer.has_undo(look),
            can_redo: self.undoer.has_redo(look),
        };
        if !self.is_deriving()
            && let Some(pane) = self.numbers_wanted.take()
        {
            let read = pane.view().numbers();
            match read.and_then(|read| read(&view)) {
                Some(table) => {
                    ui.ctx().copy_text(table.into_text());
                    self.toasts.info("Copied; paste into a spreadsheet");
                }
                None => {
                    let text = format!("{} has no numbers to copy yet", pane.title());
                    self.toasts.warning(text);
                }
            }
        }
        let commands = &mut self.commands;
        egui::Panel::top("menu").show(ui, |ui| menu_ui(ui, &view, commands));
        egui::Panel::top("session").show(ui, |ui| top_bar_ui(ui, &view, commands));
        if let Some(open) = &self.lesson {
            egui::Panel::left("lesson panel")
                .default_size(270.0)
                .size_range(230.0..=480.0)
                .show(ui, |ui| lesson_ui(ui, &view, open, commands));
        } else if !self.settings.hide_capture {
            egui::Panel::left("capture panel")
                .default_size(240.0)
                .size_range(210.0..=420.0)
                .show(ui, |ui| capture_ui(ui, &view, commands));
        }
        if self.data.session.is_none() {
            egui::CentralPanel::default().show(ui, |ui| welcome_ui(ui, &view, commands));
        } else {
            egui::Panel::bottom("budget").show(ui, |ui| budget_bar_ui(ui, &view, commands));
            let layout = &mut self.layout;
            let paper = egui::Frame::new().fill(ui.visuals().panel_fill);
            egui::CentralPanel::no_frame().frame(paper).show(ui, |ui| {
                let mut behavior = PaneBehavior {
                    view: &view,
                    commands,
                };
                layout.tree_mut().ui(&mut behavior, ui);
            });
        }
        if self.export_open {
            export_ui(ui, &view, commands);
        }
        if self.shortcuts_open {
            shortcuts_ui(ui, commands);
        }
        if let Some(asked) = self.confirmation {
            confirmation_ui(ui.ctx(), asked, commands);
        }
        if let Some(page) = self.help {
            help_ui(ui, page, commands);
        }
        if let Some(palette) = &mut self.palette {
            palette_ui(ui, &view, palette, commands);
        }
    }

    /// A line for the log, and a toast.
    fn note(&mut self, severity: Severity, text: impl Into<String>) {
        let text = text.into();
        // Notes of what goes as planned stand in the log; a toast is for what one has to know.
        let toast = match severity {
            Severity::Info => None,
            Severity::Success => Some(self.toasts.success(text.as_str())),
            Severity::Warning => Some(self.toasts.warning(text.as_str())),
            Severity::Error => Some(self.toasts.error(text.as_str())),
        };
        if let Some(toast) = toast {
            toast.closable(true);
        }
        self.data.log.push(Message { severity, text });
    }
}

/// A session with a sample on show.
fn with_sample(session: Option<&OpenedSession>) -> Option<(&OpenedSession, &Shown)> {
    let session = session?;
    Some((session, session.shown.as_ref()?))
}

/// Every key with its command. Those with more modifiers come first: Ctrl+Shift+Z holds a Ctrl+Z.
fn keyed_commands() -> Vec<(&'static KeyboardShortcut, &'static Command)> {
    let keyed = shortcuts().iter().filter_map(|entry| match &entry.action {
        Action::Send(command) => Some(entry.keys.iter().map(move |keys| (keys, command))),
        Action::TypePath { .. } => None,
    });
    let mut keyed: Vec<_> = keyed.flatten().collect();
    keyed.sort_by_key(|(keys, _)| !keys.modifiers.shift);
    keyed
}
