//! What each command does: a file for each topic.

mod capture;
mod export;
mod job;
mod layout;
mod lesson;
mod look;
mod program;
mod session;

use super::Workbench;
use crate::gui::command::Command;
use crate::gui::data::{Job, JobKind, Progress, Severity};
use crate::gui::worker::Request;

impl Workbench {
    pub(super) fn apply(&mut self, command: Command, context: &egui::Context) {
        match command {
            Command::Session(command) => self.apply_session(command, context),
            Command::Capture(command) => self.apply_capture(command, context),
            Command::Job(command) => self.apply_job(command),
            Command::Look(command) => self.apply_look(command),
            Command::Export(command) => self.apply_export(command, context),
            Command::Layout(command) => self.apply_layout(command),
            Command::Lesson(command) => self.apply_lesson(command, context),
            Command::Program(command) => self.apply_program(command, context),
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
}
