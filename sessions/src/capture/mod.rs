//! Running a plan: every sample through one prefill, the decode stage and the windows, into a session.

mod events;
mod folder;
mod prepared;
mod sample;

use std::path::Path;

use kvlens_datasets::{Sample, Samples};

pub use events::{CaptureEvent, CaptureSummary, Stage};
pub use folder::StartMode;

use crate::files::write_file;
use crate::hash::sha256_hex;
use crate::model::Model;
use crate::plan::CapturePlan;
use crate::store::{SampleState, sample_file_name, write_sample};
use crate::windows::{ReadyWindow, expand_all, parse_windows};
use crate::{CancelFlag, Needs, SessionError};
use folder::SessionFolder;
pub(crate) use prepared::{Lengths, check_positions, refuse_far_too_long};
use prepared::{check_all, prepare};
use sample::SeenPrompt;

/// Runs `plan` with a loaded model on `samples` and writes the session `out`.
///
/// Everything that can be refused is refused before anything is written: windows, prompts that are empty or
/// longer than the model's positions, an output that cannot be written. A finished sample is on disk before
/// the next begins. Samples are read one after the other each time that they are needed, so that those of a data set
/// that lies on disk take the memory of two.
///
/// # Errors
/// A sentence for what was refused; [`SessionError::Cancelled`] after a cancel, with finished samples kept.
pub fn capture<'a>(
    plan: &CapturePlan,
    model: &Model,
    samples: impl Into<Samples<'a>>,
    out: &Path,
    start: StartMode,
    on_event: &mut dyn FnMut(CaptureEvent),
    cancel: &CancelFlag,
) -> Result<CaptureSummary, SessionError> {
    let samples = samples.into();
    plan.decode.check()?;
    let windows = parse_windows(&expand_all(&plan.windows, model.source()))?
        .into_iter()
        .map(|window| window.ready(model))
        .collect::<Result<Vec<_>, _>>()?;
    let needs = windows
        .iter()
        .fold(Needs::default(), |needs, window| needs.and(&window.needs()));
    let mut job = CaptureJob {
        plan,
        model,
        windows: &windows,
        needs: &needs,
        room: Needs::default(),
        cancel,
    };
    job.room = check_all(&job, samples)?;
    let mut folder = SessionFolder::start(plan, model, &windows, samples, out, start)?;
    on_event(CaptureEvent::Started);
    let outcome = job.run_all(samples, &mut folder, on_event);
    // also of a run that ends early; what a killed one leaves in the journal counts all the same
    let closed = folder.close();
    let summary = outcome?;
    closed.map(|()| summary)
}

/// What every sample of a run shares.
struct CaptureJob<'a> {
    plan: &'a CapturePlan,
    model: &'a Model,
    windows: &'a [ReadyWindow],
    /// What the windows need.
    needs: &'a Needs,
    /// What questions and decode stages need, of any sample: several may share a prefill.
    room: Needs,
    cancel: &'a CancelFlag,
}

impl CaptureJob<'_> {
    fn run_all(
        &self,
        samples: Samples<'_>,
        folder: &mut SessionFolder,
        on_event: &mut dyn FnMut(CaptureEvent),
    ) -> Result<CaptureSummary, SessionError> {
        let mut summary = CaptureSummary::default();
        let count = samples.len();
        let mut shared = None;
        let mut left = samples.iter().enumerate().peekable();
        while let Some((index, sample)) = left.next() {
            let sample = &*sample?;
            if folder.is_finished(index) {
                summary.already_finished += 1;
                continue;
            }
            let id = sample.id.clone();
            on_event(CaptureEvent::SampleStarted {
                index,
                count,
                id: id.clone(),
            });
            let written = self.run_and_write(sample, index, folder, &mut shared, on_event);
            let next = left.peek().and_then(|(_, next)| next.as_deref().ok());
            shared = shared.filter(|_| share_a_prefill(sample, next));
            match written {
                Ok((state, rounding)) => {
                    folder.set_state(index, state)?;
                    summary.finished += 1;
                    let known = summary.largest_rounding.into_iter().chain(rounding);
                    summary.largest_rounding = known.reduce(f32::max);
                    on_event(CaptureEvent::SampleFinished { index, count, id });
                }
                Err(
                    error @ (SessionError::Cancelled
                    | SessionError::Io { .. }
                    | SessionError::Internal { .. }),
                ) => return Err(error),
                Err(error) => {
                    let reason = error.to_string();
                    let state = SampleState::Failed {
                        reason: reason.clone(),
                    };
                    folder.set_state(index, state)?;
                    summary.failed += 1;
                    on_event(CaptureEvent::SampleFailed { index, id, reason });
                }
            }
        }
        Ok(summary)
    }

    fn run_and_write(
        &self,
        sample: &Sample,
        index: usize,
        folder: &SessionFolder,
        shared: &mut Option<SeenPrompt>,
        on_event: &mut dyn FnMut(CaptureEvent),
    ) -> Result<(SampleState, Option<f32>), SessionError> {
        let captured = self.capture_sample(&prepare(self, sample)?, shared, on_event)?;
        let file = sample_file_name(index);
        let path = folder.path().join(&file);
        let bytes = write_sample(&captured, &path)?;
        write_file(&path, &bytes)?;
        let state = SampleState::Finished {
            file,
            sha256: sha256_hex(&bytes),
            prompt_tokens: captured.record.prompt_ids.len(),
            decode_tokens: captured.record.generated_ids.len(),
        };
        Ok((state, captured.record.largest_rounding))
    }
}

/// Whether the next sample asks another question of the same prompt, after it.
fn share_a_prefill(sample: &Sample, next: Option<&Sample>) -> bool {
    next.is_some_and(|next| {
        let are_asked_later = sample.later_question.is_some() && next.later_question.is_some();
        are_asked_later && sample.prompt == next.prompt
    })
}
