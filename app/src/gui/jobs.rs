//! What the worker thread does: open, measure, capture, copy. Runs no user interface.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context as _, bail};
use kvlens_datasets::QuestionPlace;
use kvlens_sessions::model::{DeviceChoice, DtypeChoice, Model, ModelSource};
use kvlens_sessions::{
    CancelFlag, CaptureEvent, SampleRecord, SampleState, Session, SessionError, Stage, StartMode,
    capture,
};

use super::attention_picture::AttentionPicture;
use super::capture_settings::CaptureSettings;
use super::compare_samples::Gathered;
use super::data::{Progress, SampleDetails, SampleRow, SessionInfo, Slot};
use super::derived::budget_grid;
use super::export;
use super::growing::Growing;
use super::model_jobs::{estimate, fetch_model, foresee_memory};
use super::questions;
use super::worker::{Event, Request};
use crate::measurement::{MeasureOptions, measure_sample};

/// How a job speaks to the screen.
pub(super) struct Reporter<'a> {
    pub(super) event: &'a dyn Fn(Event),
    pub(super) progress: &'a dyn Fn(Progress),
    pub(super) cancel: &'a CancelFlag,
}

struct LoadedModel {
    source: ModelSource,
    device: DeviceChoice,
    dtype: DtypeChoice,
    model: Model,
}

impl LoadedModel {
    fn is_of(&self, source: &ModelSource, device: DeviceChoice, dtype: DtypeChoice) -> bool {
        self.source == *source && self.device == device && self.dtype == dtype
    }
}

/// What stays between two jobs.
#[derive(Default)]
pub(super) struct Jobs {
    model: Option<LoadedModel>,
    unread: VecDeque<(Arc<Session>, usize)>,
    gathered: Gathered,
}

impl Jobs {
    pub(super) fn serve(
        &mut self,
        request: Request,
        reporter: &Reporter<'_>,
    ) -> anyhow::Result<()> {
        match request {
            Request::Open {
                slot,
                path,
                options,
            } => self.open(slot, &path, options, reporter),
            Request::Measure {
                slot,
                path,
                index,
                options,
            } => {
                let session = Session::open(&path)?;
                (reporter.event)(measured(slot, &session, index, options, reporter)?);
                Ok(())
            }
            Request::Capture {
                settings,
                out,
                options,
            } => self.capture(&settings, &out, options, reporter),
            Request::Attention(key) => {
                let captured = Session::open(&key.path)?.load_sample(key.index)?;
                reporter.cancel.check()?;
                let picture = AttentionPicture::read(&captured, key)?;
                (reporter.event)(Event::AttentionRead(Arc::new(picture)));
                Ok(())
            }
            Request::CompareSamples(key) => self.gathered.compare(*key, reporter),
            Request::Question(question) => questions::answer(*question, self, reporter),
            Request::Export(words) => export::export(&words, reporter),
            Request::Estimate { settings } => {
                reporter.cancel.check()?;
                let said = estimate(&settings).unwrap_or_else(|error| format!("{error:#}"));
                (reporter.event)(Event::Estimated(said));
                Ok(())
            }
            Request::SaveAs { from, to } => {
                copy_session(&from, &to)?;
                (reporter.event)(Event::Saved(to));
                Ok(())
            }
        }
    }

    /// Opens a session; says so only when its first sample could be measured as well.
    fn open(
        &mut self,
        slot: Slot,
        path: &Path,
        options: MeasureOptions,
        reporter: &Reporter<'_>,
    ) -> anyhow::Result<()> {
        let session = Session::open(path)?;
        let info = describe(&session);
        let first = if info.samples.is_empty() {
            None
        } else {
            Some(measured(slot, &session, 0, options, reporter)?)
        };
        let session = Arc::new(session);
        if slot == Slot::Main {
            self.read_details_of(&session);
        }
        (reporter.event)(Event::SessionOpened { slot, info });
        if let Some(event) = first {
            (reporter.event)(event);
        }
        Ok(())
    }

    /// Leaves the rows of the table of samples to be read when nothing else is to be done.
    fn read_details_of(&mut self, session: &Arc<Session>) {
        let rows = 0..session.sample_count();
        self.unread = rows.map(|index| (Arc::clone(session), index)).collect();
    }

    /// Reads one more of the rows that the table of samples still lacks.
    pub(super) fn read_next_details(&mut self) -> Option<Event> {
        let (session, index) = self.unread.pop_front()?;
        Some(match session.load_sample(index) {
            Ok(sample) => Event::SampleDetails {
                path: session.path().to_owned(),
                index,
                details: details(&sample.record),
            },
            Err(error) => Event::Warning(error.to_string()),
        })
    }

    fn capture(
        &mut self,
        settings: &CaptureSettings,
        out: &Path,
        options: MeasureOptions,
        reporter: &Reporter<'_>,
    ) -> anyhow::Result<()> {
        let plan = settings.plan()?;
        let samples = settings.samples()?;
        if out.exists() {
            bail!(
                "there is something of that name already; choose another folder: {}",
                out.display()
            );
        }
        if let Some(parent) = out.parent() {
            std::fs::create_dir_all(parent)
                .with_context(|| format!("cannot make the folder {}", parent.display()))?;
        }
        fetch_model(&plan.model, reporter)?;
        (reporter.progress)(Progress {
            stage: "Load the model".to_owned(),
            ..Progress::default()
        });
        // another model gives its memory back before this one asks for its own
        let fits = |loaded: &LoadedModel| loaded.is_of(&plan.model, plan.device, plan.dtype);
        self.model = self.model.take().filter(fits);
        let memory = foresee_memory(&plan, &samples, self.model.is_some())?;
        (reporter.event)(Event::Note(memory));
        let model = self.model(&plan.model, plan.device, plan.dtype)?;
        (reporter.event)(Event::ModelLoaded(plan.model.to_string()));
        let mut meter = Meter::new(reporter);
        let mut growing = Growing::new(out, options);
        let outcome = capture(
            &plan,
            model,
            &samples,
            out,
            StartMode::New,
            &mut |event| {
                let is_finished = matches!(event, CaptureEvent::SampleFinished { .. });
                meter.take(event);
                if is_finished {
                    growing.sample_finished(reporter);
                }
            },
            reporter.cancel,
        );
        match outcome {
            Ok(_) => {
                if growing.is_shown() {
                    growing.sample_finished(reporter);
                    self.read_details_of(&Arc::new(Session::open(out)?));
                } else {
                    self.open(Slot::Main, out, options, reporter)?;
                }
                (reporter.event)(Event::Captured {
                    path: out.to_owned(),
                    samples: samples.len(),
                });
                Ok(())
            }
            Err(SessionError::Cancelled) => self.keep_what_is_done(out, options, reporter),
            Err(error) => Err(error.into()),
        }
    }

    /// After a cancelled capture: opens the finished samples, or clears a session that has none.
    fn keep_what_is_done(
        &mut self,
        out: &Path,
        options: MeasureOptions,
        reporter: &Reporter<'_>,
    ) -> anyhow::Result<()> {
        let nothing = "Cancelled before the first sample was finished; nothing was kept".to_owned();
        let outcome = match Session::open(out).map(|session| session.sample_count()) {
            Ok(0) => {
                std::fs::remove_dir_all(out)
                    .with_context(|| format!("cannot clear {}", out.display()))?;
                nothing
            }
            Ok(finished) => {
                self.open(Slot::Main, out, options, reporter)?;
                format!("Cancelled; {finished} finished samples were kept")
            }
            Err(_) if matches!(out.try_exists(), Ok(false)) => nothing,
            // finished samples may lie there
            Err(error) => {
                format!(
                    "Cancelled; what was captured was left as it is, but cannot be read: {error}"
                )
            }
        };
        (reporter.event)(Event::Cancelled { outcome });
        Ok(())
    }

    /// The model, loaded unless it is the one of the job before.
    pub(super) fn model(
        &mut self,
        source: &ModelSource,
        device: DeviceChoice,
        dtype: DtypeChoice,
    ) -> anyhow::Result<&Model> {
        // another model gives its memory back before this one asks for its own
        let fits = |loaded: &LoadedModel| loaded.is_of(source, device, dtype);
        let loaded = match self.model.take().filter(fits) {
            Some(loaded) => loaded,
            None => LoadedModel {
                source: source.clone(),
                device,
                dtype,
                model: Model::load(source, device, dtype)?,
            },
        };
        Ok(&self.model.insert(loaded).model)
    }
}

pub(super) fn describe(session: &Session) -> SessionInfo {
    let manifest = session.manifest();
    let mut samples = Vec::new();
    let mut failed = Vec::new();
    for entry in &manifest.samples {
        match &entry.state {
            SampleState::Finished {
                prompt_tokens,
                decode_tokens,
                ..
            } => samples.push(SampleRow {
                id: entry.id.clone(),
                prompt_tokens: *prompt_tokens,
                decode_tokens: *decode_tokens,
                details: None,
            }),
            SampleState::Failed { reason } => failed.push((entry.id.clone(), reason.clone())),
            SampleState::Pending => {}
        }
    }
    SessionInfo {
        path: session.path().to_owned(),
        name: session.name().to_owned(),
        model: manifest.model.name.clone(),
        device: format!("{}, {}", manifest.device, manifest.dtype),
        layers: manifest.shape.layers,
        query_heads: manifest.shape.query_heads,
        kv_heads: manifest.shape.kv_heads,
        samples,
        failed,
    }
}

fn details(record: &SampleRecord) -> SampleDetails {
    SampleDetails {
        task: record.task.clone(),
        question_place: record
            .question_place
            .map_or("", QuestionPlace::label)
            .to_owned(),
        score: record.score,
    }
}

pub(super) fn measured(
    slot: Slot,
    session: &Session,
    index: usize,
    options: MeasureOptions,
    reporter: &Reporter<'_>,
) -> anyhow::Result<Event> {
    reporter.cancel.check()?;
    (reporter.progress)(Progress {
        stage: "Rank the tokens".to_owned(),
        ..Progress::default()
    });
    let captured = session.load_sample(index)?;
    reporter.cancel.check()?;
    let sample = measure_sample(&captured, &options, |prompt_tokens| {
        budget_grid(prompt_tokens).map_or_else(Vec::new, |grid| grid.tokens().to_vec())
    })?;
    Ok(Event::SampleMeasured {
        slot,
        path: session.path().to_owned(),
        index,
        options,
        sample: Arc::new(sample),
    })
}

/// Copies the files of a session into a folder that is not there yet.
fn copy_session(from: &Path, to: &Path) -> anyhow::Result<()> {
    if to.exists() {
        bail!(
            "there is something of that name already; choose another folder: {}",
            to.display()
        );
    }
    let aside = aside_of(to)?;
    let copied = copy_files(from, &aside).and_then(|()| {
        std::fs::rename(&aside, to).with_context(|| format!("cannot save as {}", to.display()))
    });
    if copied.is_err() && aside.exists() {
        // What went wrong first is the better news; a left-over folder is named so that it is seen.
        let _ = std::fs::remove_dir_all(&aside);
    }
    copied
}

/// A folder beside the wanted one, so that a half-made copy never carries its name.
fn aside_of(to: &Path) -> anyhow::Result<PathBuf> {
    let name = to
        .file_name()
        .with_context(|| format!("this path names no folder: {}", to.display()))?;
    let mut aside = name.to_os_string();
    aside.push(format!(".{}.part", std::process::id()));
    Ok(to.with_file_name(aside))
}

fn copy_files(from: &Path, to: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(to).with_context(|| format!("cannot make {}", to.display()))?;
    let entries =
        std::fs::read_dir(from).with_context(|| format!("cannot read {}", from.display()))?;
    for entry in entries {
        let entry = entry.with_context(|| format!("cannot read {}", from.display()))?;
        if entry.path().is_file() {
            std::fs::copy(entry.path(), to.join(entry.file_name()))
                .with_context(|| format!("cannot copy {}", entry.path().display()))?;
        }
    }
    Ok(())
}

/// Turns the capture's events into progress with speed and time left.
pub(super) struct Meter<'a> {
    reporter: &'a Reporter<'a>,
    sample: Option<(usize, usize)>,
    stage: String,
    began: Instant,
    done_at_start: usize,
}

impl<'a> Meter<'a> {
    pub(super) fn new(reporter: &'a Reporter<'a>) -> Self {
        Self {
            reporter,
            sample: None,
            stage: String::new(),
            began: Instant::now(),
            done_at_start: 0,
        }
    }

    fn take(&mut self, event: CaptureEvent) {
        match event {
            CaptureEvent::Started => {}
            CaptureEvent::SampleStarted { index, count, .. } => {
                self.begin_sample(index, count);
            }
            CaptureEvent::Progress {
                stage,
                done_tokens,
                total_tokens,
            } => self.progress(stage_name(&stage), done_tokens, total_tokens),
            CaptureEvent::SampleFinished { id, .. } => {
                (self.reporter.event)(Event::Note(format!("Captured {id}")));
            }
            CaptureEvent::SampleFailed { id, reason, .. } => {
                (self.reporter.event)(Event::Warning(format!("{id}: {reason}")));
            }
        }
    }

    /// Work on one of several samples begins; `index` counts from 0.
    pub(super) fn begin_sample(&mut self, index: usize, count: usize) {
        self.sample = Some((index + 1, count));
        self.stage.clear();
    }

    pub(super) fn progress(&mut self, stage: String, done: usize, total: usize) {
        if stage != self.stage {
            self.stage = stage;
            self.began = Instant::now();
            self.done_at_start = done;
        }
        let seconds = self.began.elapsed().as_secs_f64();
        let moved = done.saturating_sub(self.done_at_start);
        let speed = (moved > 0 && seconds > 0.0).then(|| moved as f64 / seconds);
        (self.reporter.progress)(Progress {
            stage: self.stage.clone(),
            sample: self.sample,
            tokens: Some((done, total)),
            tokens_per_second: speed,
            seconds_left: speed.map(|speed| total.saturating_sub(done) as f64 / speed),
            ..Progress::default()
        });
    }
}

fn stage_name(stage: &Stage) -> String {
    match stage {
        Stage::Prefill => "Prefill".to_owned(),
        Stage::Window(label) => format!("Window {label}"),
        Stage::Decode => "Decode".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    #[test]
    fn samples_of_a_session_that_cannot_be_read_are_not_thrown_away() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("run.kvlens");
        std::fs::create_dir(&out).unwrap();
        std::fs::write(out.join("manifest.json"), "{").unwrap();
        std::fs::write(out.join("sample-00000.safetensors"), "finished").unwrap();
        let outcomes = RefCell::new(Vec::new());
        let reporter = Reporter {
            event: &|event| {
                if let Event::Cancelled { outcome } = event {
                    outcomes.borrow_mut().push(outcome);
                }
            },
            progress: &|_| {},
            cancel: &CancelFlag::default(),
        };
        let options = MeasureOptions::default();
        Jobs::default()
            .keep_what_is_done(&out, options, &reporter)
            .unwrap();
        assert!(out.join("sample-00000.safetensors").exists());
        let outcomes = outcomes.into_inner();
        assert!(outcomes[0].contains("cannot be read"), "{outcomes:?}");
    }
}
