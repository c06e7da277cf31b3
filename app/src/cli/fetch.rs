//! Getting a model from the hub before it is loaded.

use std::fmt::Write;
use std::io::{self, IsTerminal};

use anyhow::{Context, Result};
use indicatif::{ProgressBar, ProgressState, ProgressStyle};
use kvlens_sessions::SessionError;
use kvlens_sessions::estimate::readable_bytes;
use kvlens_sessions::hub::{DownloadProgress, HubSettings};
use kvlens_sessions::model::ModelSource;

use super::output;
use crate::jobs::failure::Failure;
use crate::jobs::fetch::{missing, run as fetch};
use crate::jobs::{Cancel, Watch};
use crate::measurement::StageProgress;

/// Sees that a model is here: one that is a hub id and not complete in the local hub cache is downloaded.
///
/// # Errors
/// What the hub says; [`Failure::Interrupted`] after a cancel.
pub fn fetch_model(source: &ModelSource, cancel: &Cancel) -> Result<()> {
    let Some(id) = missing(source) else {
        return Ok(());
    };
    let mut bar = Bar::new(&id.to_string())?;
    let outcome = fetch(source, &mut bar, cancel);
    bar.end();
    match outcome {
        Err(SessionError::Cancelled) => Err(Failure::Interrupted(format!(
            "stopped; what was fetched of the model is kept, and the same command goes on with it: {}",
            HubSettings::from_environment().cache.folder().display()
        ))
        .into()),
        outcome => Ok(outcome?),
    }
}

/// Refuses a hub id that is not here, where nothing may be written.
///
/// # Errors
/// [`Failure::BadInput`].
pub fn require_model(source: &ModelSource) -> Result<()> {
    match missing(source) {
        None => Ok(()),
        Some(id) => Err(Failure::BadInput(format!(
            "the model '{id}' is neither a folder nor complete in the local hub cache; a capture without --estimate fetches it"
        ))
        .into()),
    }
}

/// A bar on a terminal; where stderr is piped, a line for each file.
struct Bar {
    bar: Option<ProgressBar>,
    file: String,
}

impl Bar {
    fn new(model: &str) -> Result<Self> {
        if !io::stderr().is_terminal() {
            return Ok(Self {
                bar: None,
                file: String::new(),
            });
        }
        let layout = "{prefix} {bar:24} {bytes}/{total_bytes}, {rate}, {eta} left, {msg}";
        let style = ProgressStyle::with_template(layout)
            .context("a progress bar cannot be laid out")?
            .with_key("rate", |state: &ProgressState, text: &mut dyn Write| {
                // a rate that cannot be written is left out
                let _ = write!(text, "{}/s", readable_bytes(state.per_sec()));
            });
        let bar = ProgressBar::new(0).with_style(style);
        bar.set_prefix(format!("fetch {model}"));
        Ok(Self {
            bar: Some(bar),
            file: String::new(),
        })
    }

    fn show(&mut self, progress: DownloadProgress<'_>) {
        let is_new = self.file != progress.file;
        if is_new {
            progress.file.clone_into(&mut self.file);
        }
        match &self.bar {
            Some(bar) => {
                if is_new {
                    bar.set_length(progress.total_bytes);
                    bar.set_message(self.file.clone());
                    // what was here before is no speed
                    bar.reset_eta();
                }
                bar.set_position(progress.done_bytes);
            }
            None if is_new => output::note(&format!(
                "fetch: {}, {} of {} are here",
                progress.file,
                readable_bytes(progress.done_bytes as f64),
                readable_bytes(progress.total_bytes as f64)
            )),
            None => {}
        }
    }

    fn end(self) {
        if let Some(bar) = self.bar {
            bar.finish_and_clear();
        }
    }
}

impl StageProgress for Bar {
    fn stage(&mut self, _name: &str, _done: usize, _total: usize) {}

    fn note(&self, line: &str) {
        output::note(line);
    }
}

impl Watch for Bar {
    fn sample(&mut self, _index: usize, _count: usize, _id: &str) {}

    fn fetching(&mut self, progress: DownloadProgress<'_>) {
        self.show(progress);
    }
}
