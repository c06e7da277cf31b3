//! What commands about sessions do.

use std::path::{Path, PathBuf};

use super::Workbench;
use crate::gui::command::{ProgramCommand, SessionCommand};
use crate::gui::data::{Severity, Shown, Slot};
use crate::gui::dialogs::Purpose;
use crate::gui::lanes::{JobKey, ReadRequest};
use crate::gui::link::is_state;
use crate::gui::workbench::dropped::{dropped_command, has_prompts};

impl Workbench {
    pub(super) fn apply_session(&mut self, command: SessionCommand, context: &egui::Context) {
        match command {
            SessionCommand::AskForSession => self.dialogs.ask(Purpose::Session, "", context),
            SessionCommand::AskForBeside => self.dialogs.ask(Purpose::Beside, "", context),
            SessionCommand::OpenSession(path) => self.open_by_hand(path),
            SessionCommand::OpenBeside(path) => self.open(Slot::Beside, path),
            SessionCommand::SwapSessions => self.swap_sessions(),
            SessionCommand::CloseBeside => self.close_beside(),
            SessionCommand::AskForCopy => self.ask_for_copy(context),
            SessionCommand::SaveSessionAs(path) => self.save_as(path),
            SessionCommand::ClearRecent => self.settings.recent.clear(),
            SessionCommand::SelectSample(index) => self.show_sample(Slot::Main, index),
            SessionCommand::SelectSampleBeside(index) => self.show_sample(Slot::Beside, index),
            SessionCommand::StepSample(step) => self.step_sample(step),
        }
    }

    /// Opens a session that somebody wants to see, rather than that of a running capture.
    fn open_by_hand(&mut self, path: PathBuf) {
        if let Some(link) = path.to_str().filter(|text| is_state(text)) {
            self.commands
                .send(ProgramCommand::FollowLink(link.to_owned()));
            return;
        }
        if has_prompts(&path) && path.is_file() {
            self.offer_to_capture(&path);
            return;
        }
        if let Some(capture) = &mut self.data.capture {
            capture.is_for_show = capture.out == path;
        }
        self.open(Slot::Main, path);
    }

    /// A file of prompts is no session, but can become one.
    fn offer_to_capture(&mut self, path: &Path) {
        if let Some(command) = dropped_command(path, &self.settings.capture) {
            self.commands.send(command);
        }
        // the panel of a lesson stands in its place
        self.leave_lesson();
        self.settings.hide_capture = false;
        let name = path.file_name().unwrap_or(path.as_os_str());
        let text = format!(
            "{} holds prompts and no session; press Run in the capture panel to capture them",
            name.display()
        );
        self.note(Severity::Warning, text);
    }

    pub(in crate::gui::workbench) fn open(&mut self, slot: Slot, path: PathBuf) {
        self.ask(ReadRequest::Open {
            slot,
            path,
            options: self.settings.choices.measure,
        });
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
        self.ask(ReadRequest::SaveAs { from, to });
    }

    pub(in crate::gui::workbench) fn show_sample(&mut self, slot: Slot, index: usize) {
        let Some(session) = self.data.slot(slot) else {
            return;
        };
        let Some(row) = session.info.samples.get(index) else {
            return;
        };
        let options = self.settings.choices.measure;
        if let Some(seen) = self.seen.find(session.opened, (index, &row.id), &options) {
            self.show_again(slot, seen);
            return;
        }
        let request = ReadRequest::Measure {
            slot,
            path: session.info.path.clone(),
            index,
            options,
        };
        self.ask(request);
    }

    /// Shows a sample that was on show before, in this very frame.
    fn show_again(&mut self, slot: Slot, seen: Shown) {
        self.stop_job(&JobKey::Measure(slot));
        if let Some(session) = self.data.slot_mut(slot) {
            let opened = session.opened;
            session.shown = Some(seen.clone());
            // the one that was shown last goes last
            self.seen.keep(opened, &seen, |_| true);
        }
        if slot == Slot::Main {
            self.match_sample_beside();
        }
    }

    /// Goes on from the sample on show; those that are known to be unreadable are passed over.
    fn step_sample(&mut self, step: i32) {
        let Some(session) = &self.data.session else {
            return;
        };
        let mut index = session.shown.as_ref().map(|shown| shown.index);
        let is_unreadable = |index: &usize| {
            let row = session.info.samples.get(*index);
            row.is_some_and(|row| row.unreadable.is_some())
        };
        loop {
            index = index.and_then(|index| index.checked_add_signed(step as isize));
            match index {
                Some(unreadable) if step != 0 && is_unreadable(&unreadable) => {}
                Some(index) => return self.show_sample(Slot::Main, index),
                None => return,
            }
        }
    }

    pub(in crate::gui::workbench) fn measure_again(&mut self) {
        for slot in [Slot::Main, Slot::Beside] {
            let shown = self.data.slot(slot).and_then(|it| it.shown.as_ref());
            if let Some(index) = shown.map(|shown| shown.index) {
                self.show_sample(slot, index);
            }
        }
    }

    /// Lets B show the prompt that A shows. Of one session twice, each keeps its own.
    pub(in crate::gui::workbench) fn match_sample_beside(&mut self) {
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

    /// What needs a second session goes with it.
    fn close_beside(&mut self) {
        self.data.beside = None;
        self.settings.choices.leave_beside();
    }

    fn swap_sessions(&mut self) {
        if self.data.beside.is_some() {
            std::mem::swap(&mut self.data.session, &mut self.data.beside);
        }
    }
}
