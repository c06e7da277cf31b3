//! A session that is shown while it is captured: its first sample at once, the others as they are finished.

use std::path::Path;

use kvlens_sessions::Session;

use super::data::Slot;
use super::jobs::{Reporter, describe, measured};
use super::worker::Event;
use crate::measurement::MeasureOptions;

/// What is shown of a capture that runs.
pub(super) struct Growing<'a> {
    out: &'a Path,
    options: MeasureOptions,
    is_shown: bool,
}

impl<'a> Growing<'a> {
    /// Nothing is finished yet; the session is written to `out`.
    pub(super) fn new(out: &'a Path, options: MeasureOptions) -> Self {
        Self {
            out,
            options,
            is_shown: false,
        }
    }

    /// Whether a sample is on show.
    pub(super) fn is_shown(&self) -> bool {
        self.is_shown
    }

    /// Another sample is on disk. What cannot be shown now is only a warning: the capture goes on.
    pub(super) fn sample_finished(&mut self, reporter: &Reporter<'_>) {
        if let Err(error) = self.show(reporter) {
            (reporter.event)(Event::Warning(format!("{error:#}")));
        }
    }

    fn show(&mut self, reporter: &Reporter<'_>) -> anyhow::Result<()> {
        let session = Session::open(self.out)?;
        let info = describe(&session);
        if self.is_shown {
            (reporter.event)(Event::SessionGrew(info));
            return Ok(());
        }
        let first = measured(Slot::Main, &session, 0, self.options, reporter)?;
        let slot = Slot::Main;
        (reporter.event)(Event::SessionOpened { slot, info });
        (reporter.event)(first);
        self.is_shown = true;
        Ok(())
    }
}
