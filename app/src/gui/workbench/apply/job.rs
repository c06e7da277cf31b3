//! What commands about jobs do.

use super::Workbench;
use crate::gui::command::JobCommand;
use crate::gui::data::Severity;
use crate::gui::lanes::JobKey;
use crate::gui::views::running::Confirmation;

impl Workbench {
    pub(super) fn apply_job(&mut self, command: JobCommand) {
        match command {
            JobCommand::CancelJobs => self.cancel_jobs(),
            JobCommand::CancelJob(key) => self.cancel_job(&key),
            JobCommand::StopCapture => self.stop_capture(),
            JobCommand::KeepRunning => self.confirmation = None,
            JobCommand::Ask(kind) => self.ask_again(kind),
        }
    }

    /// Stops what loses nothing, and asks about the rest.
    fn cancel_jobs(&mut self) {
        let keys: Vec<JobKey> = self.data.jobs.iter().map(|job| job.key.clone()).collect();
        for key in keys {
            self.cancel_job(&key);
        }
    }

    fn cancel_job(&mut self, key: &JobKey) {
        match key.loses_work() && self.data.is_asking(key) {
            true => self.confirmation = Some(Confirmation::StopCapture),
            false => self.stop_job(key),
        }
    }

    /// Stops a job; one that only waits is gone at once.
    pub(in crate::gui::workbench) fn stop_job(&mut self, key: &JobKey) {
        if let Some(waiting) = self.lanes.cancel(key) {
            self.end_job(waiting);
        }
    }

    pub(super) fn stop_capture(&mut self) {
        self.confirmation = None;
        self.stop_job(&JobKey::Capture);
        if self.data.capture_job().is_none() && self.data.capture.take().is_some() {
            self.note(Severity::Warning, "Cancelled before the capture began");
        }
    }
}
