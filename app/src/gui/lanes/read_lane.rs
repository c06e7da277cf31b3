//! The lane that opens sessions, measures samples, answers what a session alone can answer, and writes exports.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;

use kvlens_datasets::Samples;
use kvlens_sessions::Session;

use super::copied::copy_session;
use super::opened::{describe, details, measured};
use super::{Event, ReadRequest, Reporter, Serve};
use crate::gui::attention_picture::{AttentionKey, AttentionPicture};
use crate::gui::capture_refusal::CaptureRefusal;
use crate::gui::capture_settings::CaptureSettings;
use crate::gui::compare_samples::Gathered;
use crate::gui::data::{Progress, SessionInfo, Severity, Slot};
use crate::gui::prompt_preview::PromptPreview;
use crate::gui::questions::Answer;
use crate::gui::state::HeadAddress;
use crate::gui::{export, questions};
use crate::jobs::estimate::{self, Estimated};
use crate::jobs::failure::{is_cancelled, is_unreadable};
use crate::jobs::prompts::Beginning;
use crate::jobs::session::session_folder;
use crate::measurement::MeasureOptions;

/// What stays between two jobs.
#[derive(Default)]
pub(super) struct ReadLane {
    /// Samples whose row of the table lacks the rest.
    unread: VecDeque<(Arc<Session>, usize)>,
    gathered: Gathered,
}

impl Serve for ReadLane {
    type Request = ReadRequest;

    fn serve(&mut self, request: ReadRequest, reporter: &Reporter<'_>) -> anyhow::Result<()> {
        match request {
            ReadRequest::Open {
                slot,
                path,
                options,
            } => self.open(slot, &path, options, reporter),
            ReadRequest::Measure {
                slot,
                path,
                index,
                options,
            } => {
                let session = reporter.samples.session(&path)?;
                match measured(slot, &session, index, options, reporter) {
                    Ok(event) => (reporter.event)(event),
                    Err(error) if is_unreadable(&error) => {
                        let severity = Some(Severity::Error);
                        reporter.tell_unreadable((&session, index), &error, severity);
                    }
                    Err(error) => return Err(error),
                }
                Ok(())
            }
            ReadRequest::Attention(key) => {
                let picture = attention(key, reporter)?;
                reporter.answer(Answer::Attention(Arc::new(picture)));
                Ok(())
            }
            ReadRequest::CompareSamples(key) => self.gathered.compare(*key, reporter),
            ReadRequest::Question(question) => questions::answer(*question, reporter),
            ReadRequest::Export(figure) => export::export(&figure, reporter),
            ReadRequest::Preview(figure) => export::preview(&figure, reporter),
            ReadRequest::ExportFidelity(export) => export::export_fidelity(*export, reporter),
            ReadRequest::Estimate(settings) => {
                reporter.cancel.check()?;
                let said = estimated(&settings, reporter);
                let said = said.map_err(|error| CaptureRefusal::of(&error));
                (reporter.event)(Event::Estimated(said));
                Ok(())
            }
            ReadRequest::SaveAs { from, to } => {
                copy_session(&from, &to)?;
                (reporter.event)(Event::Saved(to));
                Ok(())
            }
            ReadRequest::Details { path } => {
                self.read_details_of(reporter.samples.session(&path)?);
                Ok(())
            }
        }
    }

    /// Reads one more of the rows that the table of samples still lacks.
    fn while_idle(&mut self) -> Option<Event> {
        let (session, index) = self.unread.pop_front()?;
        Some(match session.load_record(index) {
            Ok(header) => Event::SampleDetails {
                path: session.path().to_owned(),
                index,
                details: details(&header.record),
            },
            Err(error) => Event::SampleUnreadable {
                path: session.path().to_owned(),
                index,
                reason: error.to_string(),
                severity: Some(Severity::Warning),
            },
        })
    }
}

impl ReadLane {
    /// Opens a session, unpacked where it is packed; says so only when one of its samples could be measured as well, the
    /// first that is whole.
    fn open(
        &mut self,
        slot: Slot,
        path: &Path,
        options: MeasureOptions,
        reporter: &Reporter<'_>,
    ) -> anyhow::Result<()> {
        let mut tell = |done, count| {
            (reporter.progress)(Progress {
                stage: "Unpack".to_owned(),
                sample: Some((done + 1, count)),
                ..Progress::default()
            });
        };
        let folder = session_folder(path, &mut tell, reporter.cancel)?;
        let session = reporter.samples.session(&folder)?;
        let mut info = describe(&session);
        let first = first_measured(slot, &session, &mut info, options, reporter)?;
        if slot == Slot::Main {
            self.read_details_of(session);
        }
        (reporter.event)(Event::SessionOpened { slot, info });
        if let Some(event) = first {
            (reporter.event)(event);
        }
        Ok(())
    }

    /// Leaves the rows of the table of samples to be read when nothing else is to be done.
    fn read_details_of(&mut self, session: Session) {
        let (rows, session) = (0..session.sample_count(), Arc::new(session));
        self.unread = rows.map(|index| (Arc::clone(&session), index)).collect();
    }
}

/// The first sample that can be measured; those before it are told, and marked where their files are at fault. An error
/// where there are some and none can be.
fn first_measured(
    slot: Slot,
    session: &Session,
    info: &mut SessionInfo,
    options: MeasureOptions,
    reporter: &Reporter<'_>,
) -> anyhow::Result<Option<Event>> {
    let mut refused: Vec<(&str, anyhow::Error)> = Vec::new();
    for (index, row) in info.samples.iter_mut().enumerate() {
        match measured(slot, session, index, options, reporter) {
            Ok(event) => {
                for (id, error) in refused {
                    let text = format!("The sample {id} cannot be shown: {error:#}");
                    (reporter.event)(Event::Warning(text));
                }
                return Ok(Some(event));
            }
            Err(error) if is_cancelled(&error) => return Err(error),
            Err(error) => {
                row.unreadable = is_unreadable(&error).then(|| format!("{error:#}"));
                refused.push((&row.id, error));
            }
        }
    }
    match refused.into_iter().next() {
        Some((_, error)) => Err(error),
        None => Ok(None),
    }
}

/// One head of a sample: of the one that is held, or else of what this head needs of its file.
fn attention(key: AttentionKey, reporter: &Reporter<'_>) -> anyhow::Result<AttentionPicture> {
    let session = reporter.samples.session(&key.sample.path)?;
    if let Some(captured) = reporter.samples.held(&session, key.sample.index) {
        return AttentionPicture::read(&captured, key);
    }
    let Some(HeadAddress { layer, head }) = key.head else {
        let captured = reporter.samples.load(&session, key.sample.index)?;
        reporter.cancel.check()?;
        return AttentionPicture::read(&captured, key);
    };
    let shape = &session.manifest().shape;
    let group = shape.query_heads / shape.kv_heads.max(1);
    let part = session.load_head_group(key.sample.index, layer, head / group.max(1))?;
    reporter.cancel.check()?;
    let within = HeadAddress {
        layer: 0,
        head: head % group.max(1),
    };
    AttentionPicture::at(&part, Some(within), key)
}

/// Text of prompts that is read for the preview: a file may have any size, and each change of a field reads it anew.
const PREVIEW_BYTES: usize = 8 << 20;

/// What the capture of these settings would take, or that its model has to be fetched first. Its prompts are told before.
fn estimated(settings: &CaptureSettings, reporter: &Reporter<'_>) -> anyhow::Result<String> {
    let plan = settings.plan()?;
    let first = settings.first_prompts(PREVIEW_BYTES, reporter.cancel);
    let preview = match &first {
        Ok(first) => PromptPreview::of(&plan, first).ok(),
        // how the other rows are read helps to say how this one is to be
        Err(_) => {
            let lenient = settings.leaving_out_bad_rows();
            let rest = lenient.first_prompts(PREVIEW_BYTES, reporter.cancel);
            let of_rest = rest.and_then(|rest| PromptPreview::of(&plan, &rest));
            of_rest.ok()
        }
    };
    (reporter.event)(Event::PromptsRead(preview));
    reporter.cancel.check()?;
    let Beginning { loaded, is_whole } = first?;
    let line = match estimate::run(&plan, Samples::from(&loaded.samples))? {
        Estimated::Missing(id) => format!("{id} will be fetched from the hub"),
        Estimated::Known(estimate) => estimate.needs_line(),
    };
    Ok(match is_whole {
        true => line,
        false => format!("{line}, by the first {} prompts", loaded.samples.len()),
    })
}
