//! The lane that runs models: captures, and what a session alone cannot answer.

use std::path::Path;

use anyhow::{Context as _, anyhow, bail};
use kvlens_sessions::model::{DeviceChoice, Model, ModelSource};
use kvlens_sessions::{Session, StartMode};

use super::opened::describe;
use super::{CaptureOrder, Event, Meter, ModelRequest, Reporter, Serve};
use crate::gui::questions::{fidelity, queries};
use crate::gui::recipes;
use crate::jobs::capture::{CaptureRequest, Left, left_behind, run as capture};
use crate::jobs::failure::is_cancelled;
use crate::jobs::models::Models;

/// Holds the model between two jobs.
#[derive(Default)]
pub(in crate::gui) struct ModelLane {
    models: Models,
}

impl Serve for ModelLane {
    type Request = ModelRequest;

    fn serve(&mut self, request: ModelRequest, reporter: &Reporter<'_>) -> anyhow::Result<()> {
        match request {
            ModelRequest::Capture(order) => self.capture(&order, reporter),
            ModelRequest::Interventions(question) => {
                queries::answer_interventions(self, question, reporter)
            }
            ModelRequest::Fidelity(question) => fidelity::answer(self, &question, reporter),
            ModelRequest::Recipe(request) => recipes::cook(&request, &mut self.models, reporter),
        }
    }
}

impl ModelLane {
    fn capture(&mut self, order: &CaptureOrder, reporter: &Reporter<'_>) -> anyhow::Result<()> {
        let request = request_of(order)?;
        let out = &order.out;
        let on_sample = || match Session::open(out) {
            Ok(session) => (reporter.event)(Event::SampleCaptured(describe(&session))),
            Err(error) => (reporter.event)(Event::Warning(error.to_string())),
        };
        let mut meter = Meter::of_capture(reporter, &on_sample);
        match capture(&request, &mut self.models, &mut meter, reporter.cancel) {
            Ok(summary) => {
                let info = describe(&Session::open(out)?);
                let again = (summary.failed > 0).then(|| going_on(order));
                (reporter.event)(Event::Captured {
                    info,
                    samples: summary.finished + summary.failed + summary.already_finished,
                    again,
                });
                Ok(())
            }
            Err(error) if is_cancelled(&error) => {
                (reporter.event)(cancelled(order, &request)?);
                Ok(())
            }
            Err(error) => {
                // what was there before this run is not its own, but can be gone on with as well
                let is_session = Session::open(out).ok();
                (reporter.event)(Event::CaptureStopped {
                    outcome: None,
                    info: is_session.as_ref().map(describe),
                    again: is_session.map(|_| going_on(order)),
                });
                Err(error)
            }
        }
    }

    /// The model that a session was captured with, from where its manifest says, or else from `elsewhere`.
    pub(in crate::gui) fn session_model(
        &mut self,
        session: &Session,
        elsewhere: Option<&ModelSource>,
        reporter: &Reporter<'_>,
    ) -> anyhow::Result<&Model> {
        reporter.stage("Load the model");
        let (plan, expected) = (&session.manifest().plan, &session.manifest().model);
        let sources: Vec<ModelSource> = std::iter::once(&plan.model)
            .chain(elsewhere)
            .cloned()
            .collect();
        self.models
            .of_session(session, &sources, DeviceChoice::Auto, plan.dtype, reporter.cancel)
            .map_err(|refused| {
                anyhow!(
                    "this needs the model '{}' that the session was captured with ({refused}); put the folder where \
                     it is now into Model of the capture panel, and try again",
                    expected.name
                )
            })
    }
}

/// The job's request; makes the folder above a new session.
fn request_of(order: &CaptureOrder) -> anyhow::Result<CaptureRequest> {
    let out = &order.out;
    let (plan, prompts) = match &order.plan {
        Some(plan) => (plan.as_ref().clone(), None),
        None => {
            let typed = order.settings.typed_prompt();
            (order.settings.plan()?, typed.map(|typed| vec![typed]))
        }
    };
    let request = CaptureRequest {
        plan,
        prompts,
        out: out.clone(),
        start: order.start,
    };
    if order.start == StartMode::New && out.exists() {
        bail!(
            "there is something of that name already; choose another folder: {}",
            out.display()
        );
    }
    if let Some(parent) = out.parent() {
        std::fs::create_dir_all(parent)
            .with_context(|| format!("cannot make the folder {}", parent.display()))?;
    }
    Ok(request)
}

/// What to ask for to go on with a capture.
fn going_on(order: &CaptureOrder) -> Box<CaptureOrder> {
    Box::new(CaptureOrder {
        start: StartMode::Resume,
        ..order.clone()
    })
}

/// After a cancelled capture: keeps the finished samples, or clears a session that has none.
fn cancelled(order: &CaptureOrder, request: &CaptureRequest) -> anyhow::Result<Event> {
    let out: &Path = &order.out;
    let (outcome, info) = match left_behind(request) {
        Left::Nothing => {
            if out.exists() {
                std::fs::remove_dir_all(out)
                    .with_context(|| format!("cannot clear {}", out.display()))?;
            }
            let text = "Cancelled before the first sample was finished; nothing was kept";
            (text.to_owned(), None)
        }
        Left::Finished(finished) => {
            let info = describe(&Session::open(out)?);
            let to_go = info.pending + info.failed.len();
            let text = format!(
                "Cancelled; {finished} finished samples were kept and {to_go} are to go: Resume goes on with them"
            );
            (text, Some(info))
        }
        // finished samples may lie there
        Left::Unreadable(error) => (
            format!("Cancelled; what was captured was left as it is, but cannot be read: {error}"),
            None,
        ),
    };
    Ok(Event::CaptureStopped {
        outcome: Some(outcome),
        again: info.is_some().then(|| going_on(order)),
        info,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gui::capture_settings::CaptureSettings;

    #[test]
    fn samples_of_a_session_that_cannot_be_read_are_not_thrown_away() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("run.kvlens");
        std::fs::create_dir(&out).unwrap();
        std::fs::write(out.join("manifest.json"), "{").unwrap();
        std::fs::write(out.join("sample-00000.safetensors"), "finished").unwrap();
        let order = CaptureOrder {
            settings: CaptureSettings::default(),
            plan: None,
            out: out.clone(),
            start: StartMode::Resume,
        };
        let request = request_of(&order).unwrap();
        let Event::CaptureStopped { outcome, again, .. } = cancelled(&order, &request).unwrap()
        else {
            panic!("another event");
        };
        assert!(out.join("sample-00000.safetensors").exists());
        assert!(outcome.unwrap().contains("cannot be read"));
        assert!(again.is_none());
    }
}
