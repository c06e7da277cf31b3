//! What the lanes say becomes data.

use std::path::Path;

use super::Workbench;
use crate::gui::data::{Message, OpenedSession, SessionInfo, Severity, Shown, Slot};
use crate::gui::lanes::{CaptureOrder, Event, JobKey, ReadRequest};
use crate::gui::state::MapKind;

impl Workbench {
    pub(super) fn take_event(&mut self, event: Event) {
        match event {
            Event::Started { .. } => {}
            Event::Progress { job, progress } => {
                if let Some(job) = self.data.jobs.iter_mut().find(|known| known.id == job) {
                    job.progress = progress;
                }
            }
            Event::SessionOpened { slot, info } => self.take_session(slot, info),
            Event::SampleCaptured(info) => self.take_captured_sample(info),
            Event::SampleMeasured { .. } => self.take_sample(event),
            Event::Previewed(preview) => self.data.preview = Some(preview),
            Event::Answered(answer) => self.data.answers.take(answer),
            Event::SampleDetails {
                path,
                index,
                details,
            } => {
                if let Some(session) = &mut self.data.session
                    && session.info.path == path
                    && let Some(row) = session.info.samples.get_mut(index)
                {
                    row.details = Some(details);
                }
            }
            Event::SampleUnreadable {
                path,
                index,
                reason,
                severity,
            } => self.mark_unreadable((&path, index), reason, severity),
            Event::Note(text) => self.note(Severity::Info, text),
            Event::Warning(text) => self.note(Severity::Warning, text),
            Event::PromptsRead(preview) => self.data.capture_prompts = preview,
            Event::Estimated(said) => self.data.capture_estimate = Some(said),
            Event::ModelLoaded(model) => self.settings.remember_model(&model),
            Event::Saved(path) => {
                self.note(Severity::Success, format!("Saved as {}", path.display()));
            }
            Event::RecipeDone(page) => {
                self.note(
                    Severity::Success,
                    format!("Page written: {}", page.display()),
                );
                self.data.recipe_page = Some(page);
            }
            Event::Exported(files) => {
                self.note(Severity::Success, exported(&files));
            }
            Event::Captured {
                info,
                samples,
                again,
            } => {
                let name = info.path.file_name().unwrap_or(info.path.as_os_str());
                let text = format!("Captured {samples} samples into {}", name.display());
                self.end_capture(Some(info), again);
                self.note(Severity::Success, text);
            }
            Event::CaptureStopped {
                outcome,
                info,
                again,
            } => {
                self.end_capture(info, again);
                if let Some(outcome) = outcome {
                    self.note(Severity::Warning, outcome);
                }
            }
            Event::Failed { job, reason } => self.take_failure(job, reason),
            Event::Cancelled { outcome } => self.note(Severity::Warning, outcome),
            Event::Finished { job } => {
                self.end_job(job);
                if self.data.capture_job().is_none() {
                    self.data.capture = None;
                    self.confirmation = None;
                }
            }
        }
    }

    /// Marks a sample whose file is missing or damaged, in whichever slot its session is open.
    fn mark_unreadable(
        &mut self,
        (path, index): (&Path, usize),
        reason: String,
        severity: Option<Severity>,
    ) {
        let mut id = None;
        for slot in [Slot::Main, Slot::Beside] {
            let session = self.data.slot_mut(slot).as_mut();
            let row = session
                .filter(|session| session.info.path == path)
                .and_then(|session| session.info.samples.get_mut(index));
            if let Some(row) = row {
                row.unreadable = Some(reason.clone());
                id = Some(row.id.clone());
            }
        }
        if let Some((severity, id)) = severity.zip(id) {
            let stays = match severity {
                Severity::Error => "shown, and what is on show stays",
                _ => "read",
            };
            self.note(
                severity,
                format!("The sample {id} cannot be {stays}: {reason}"),
            );
        }
    }

    fn take_session(&mut self, slot: Slot, info: SessionInfo) {
        self.settings.remember(&info.path);
        self.note(Severity::Info, format!("Opened {}", info.name));
        for (id, reason) in &info.failed {
            let text = format!("{id} was not captured: {reason}");
            let message = Message::now(Severity::Warning, text);
            self.data.log.push(message);
        }
        self.openings += 1;
        *self.data.slot_mut(slot) = Some(OpenedSession {
            info,
            opened: self.openings,
            shown: None,
        });
        if slot == Slot::Beside {
            self.settings.choices.map_kind = MapKind::Beside;
            self.match_sample_beside();
        }
    }

    /// The first sample of a capture is shown, unless another session was opened since it began.
    fn take_captured_sample(&mut self, info: SessionInfo) {
        if let Some(capture) = &mut self.data.capture
            && capture.is_for_show
            && !capture.is_shown
        {
            capture.is_shown = true;
            self.open(Slot::Main, info.path.clone());
        }
        self.grow_session(info);
    }

    /// Shows what a capture left, unless another session was opened since it began.
    fn end_capture(&mut self, info: Option<SessionInfo>, again: Option<Box<CaptureOrder>>) {
        self.confirmation = None;
        let lacking = info.as_ref();
        let lacking = lacking.map_or(0, |info| info.pending + info.failed.len());
        self.data.resumable = again.map(|order| (*order, lacking));
        let is_for_show = self.data.capture.take().is_some_and(|it| it.is_for_show);
        let Some(info) = info else {
            return;
        };
        let path = info.path.clone();
        if self.data.is_open(&path) {
            self.grow_session(info);
            self.ask(ReadRequest::Details { path });
        } else if is_for_show {
            self.open(Slot::Main, path);
        }
    }

    /// Takes more samples in; what is on show stays.
    fn grow_session(&mut self, mut info: SessionInfo) {
        let Some(session) = &mut self.data.session else {
            return;
        };
        if session.info.path != info.path {
            return;
        }
        for row in &mut info.samples {
            let known = session.info.samples.iter().find(|known| known.id == row.id);
            row.details = known.and_then(|known| known.details.clone());
        }
        session.info = info;
    }

    fn take_sample(&mut self, event: Event) {
        let Event::SampleMeasured {
            slot,
            path,
            index,
            options,
            sample,
        } = event
        else {
            return;
        };
        if self.is_given_up(&JobKey::Measure(slot)) {
            return;
        }
        if let Some(session) = self.data.slot_mut(slot)
            && session.info.path == path
        {
            self.shown_versions += 1;
            let shown = Shown {
                index,
                options,
                sample,
                version: self.shown_versions,
            };
            if let Some(row) = session.info.samples.get_mut(index) {
                row.unreadable = None;
            }
            session.shown = Some(shown.clone());
            let opened = session.opened;
            let sessions = [&self.data.session, &self.data.beside];
            let open = sessions.map(|open| open.as_ref().map(|open| open.opened));
            self.seen
                .keep(opened, &shown, |opened| open.contains(&Some(opened)));
        }
        if slot == Slot::Main {
            self.match_sample_beside();
        }
    }

    /// Whether every job of the key was stopped: what still comes of it was not meant any more.
    fn is_given_up(&self, key: &JobKey) -> bool {
        self.data.job(key).is_some() && !self.data.is_asking(key)
    }

    /// Takes a job off the list; nothing more comes of it, unless a newer one of the same key answers in its place.
    pub(super) fn end_job(&mut self, job: u64) {
        let place = self.data.jobs.iter().position(|known| known.id == job);
        let Some(ended) = place.map(|place| self.data.jobs.remove(place)) else {
            return;
        };
        if self.data.job(&ended.key).is_none()
            && let Some(query) = self.data.answers.of_mut(&ended.key)
        {
            query.end();
        }
    }

    /// Errors of a capture also stay in its panel, where they can be mended.
    fn take_failure(&mut self, job: u64, reason: String) {
        let known = self.data.jobs.iter().find(|known| known.id == job);
        let text = match known {
            Some(known) => format!("{}: {reason}", known.title),
            None => reason.clone(),
        };
        let key = known.map(|known| known.key.clone());
        if key == Some(JobKey::Capture) {
            self.data.capture_error = Some(reason.clone());
        }
        // a newer job of the same key answers in its place
        let newest = |key: &JobKey| self.data.jobs.iter().rfind(|known| known.key == *key);
        if let Some(key) = key.filter(|key| newest(key).is_some_and(|newest| newest.id == job))
            && let Some(query) = self.data.answers.of_mut(&key)
        {
            query.fail(reason);
        }
        self.note(Severity::Error, text);
    }
}

/// The files by their names, and once the folder that they are in, which the log can open.
fn exported(files: &[String]) -> String {
    let name = |file: &String| {
        let name = Path::new(file).file_name();
        name.map_or_else(|| file.clone(), |name| name.to_string_lossy().into_owned())
    };
    let names: Vec<String> = files.iter().map(name).collect();
    let names = names.join(", ");
    let first = files.first().map(std::path::absolute);
    let folder = first.and_then(Result::ok);
    match folder.as_deref().and_then(Path::parent) {
        Some(folder) => format!("Exported {names} to {}", folder.display()),
        None => format!("Exported {names}"),
    }
}
