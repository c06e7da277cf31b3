//! What commands about jobs do.

use super::Workbench;
use crate::gui::command::JobCommand;

impl Workbench {
    pub(super) fn apply_job(&mut self, command: JobCommand) {
        match command {
            JobCommand::CancelJobs => self.data.jobs.iter().for_each(|job| job.cancel.cancel()),
            JobCommand::Ask(kind) => self.ask_again(kind),
        }
    }
}
