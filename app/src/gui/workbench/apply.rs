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
use crate::gui::data::{Job, Progress};
use crate::gui::lanes::{ReadRequest, Request};

impl Workbench {
    pub(super) fn apply(&mut self, command: Command, context: &egui::Context) {
        match command {
            Command::Session(command) => self.apply_session(command, context),
            Command::Capture(command) => self.apply_capture(command, context),
            Command::Job(command) => self.apply_job(command),
            Command::Look(command) => self.apply_look(command),
            Command::Export(command) => self.apply_export(command, context),
            Command::Layout(command) => self.apply_layout(command, context),
            Command::Lesson(command) => self.apply_lesson(command, context),
            Command::Program(command) => self.apply_program(command, context),
        }
    }

    /// Hands a request to its lane; an older one of the same key makes room.
    pub(super) fn ask(&mut self, request: impl Into<Request>) {
        let request = request.into();
        if let Request::Read(read) = &request
            && !matches!(read, ReadRequest::Question(_))
        {
            self.give_way();
        }
        let asked = self.lanes.ask(request);
        self.data.jobs.retain(|job| Some(job.id) != asked.replaced);
        self.data.jobs.push(Job {
            id: asked.job,
            title: asked.key.title().to_owned(),
            key: asked.key,
            progress: Progress::default(),
            cancel: asked.cancel,
        });
    }
}
