//! The one thread that owns the model, and the two bounded channels to it.
//!
//! Requests go in with a number and a cancel flag; events come out and wake the screen. Results are
//! never dropped: the worker waits when the screen is slow. Progress is: a newer one follows anyway.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;

use anyhow::Context as _;
use crossbeam_channel::{Receiver, Sender, TryRecvError, TrySendError, bounded};
use kvlens_sessions::{CancelFlag, SessionError};

use super::attention_picture::{AttentionKey, AttentionPicture};
use super::capture_settings::CaptureSettings;
use super::data::{Progress, SampleDetails, SessionInfo, Slot};
use super::jobs::{Jobs, Reporter};
use super::questions::{Answer, Question};
use super::session_maps::{SessionMaps, SessionMapsKey};
use crate::measurement::{MeasureOptions, MeasuredSample};

const REQUEST_CAPACITY: usize = 64;
const EVENT_CAPACITY: usize = 256;

/// What the worker can be asked for.
#[derive(Clone, Debug)]
pub enum Request {
    /// Open a session and measure its first finished sample.
    Open {
        /// Where it shall stand.
        slot: Slot,
        /// The folder.
        path: PathBuf,
        /// How to measure.
        options: MeasureOptions,
    },
    /// Measure one sample of a session.
    Measure {
        /// Where it shall stand.
        slot: Slot,
        /// The session's folder.
        path: PathBuf,
        /// Number among the finished samples.
        index: usize,
        /// How to measure.
        options: MeasureOptions,
    },
    /// Read the attention of one head.
    Attention(AttentionKey),
    /// Compare the windows in every head over all samples of a session.
    CompareSamples(Box<SessionMapsKey>),
    /// Capture, then open what was captured.
    Capture {
        /// What to capture.
        settings: Box<CaptureSettings>,
        /// The new session's folder.
        out: PathBuf,
        /// How to measure the first sample.
        options: MeasureOptions,
    },
    /// Answer a question beyond the measurement of a sample.
    Question(Box<Question>),
    /// Make a figure: the words of the command behind `kvlens`.
    Export(Vec<String>),
    /// Estimate what a capture would take.
    Estimate {
        /// What to capture.
        settings: Box<CaptureSettings>,
    },
    /// Copy a session.
    SaveAs {
        /// The session's folder.
        from: PathBuf,
        /// The folder to make.
        to: PathBuf,
    },
}

/// What the worker says.
pub enum Event {
    /// A job is on.
    Started {
        /// The job.
        job: u64,
    },
    /// How far a job is.
    Progress {
        /// The job.
        job: u64,
        /// How far.
        progress: Progress,
    },
    /// A session is open.
    SessionOpened {
        /// Where it stands.
        slot: Slot,
        /// What is known of it.
        info: SessionInfo,
    },
    /// More samples of the session are finished.
    SessionGrew(SessionInfo),
    /// The attention of one head.
    AttentionRead(Arc<AttentionPicture>),
    /// Maps over the samples so far.
    SamplesCompared(Arc<SessionMaps>),
    /// An answer to a question, or what is known of it so far.
    Answered(Answer),
    /// A sample is measured.
    SampleMeasured {
        /// Where it stands.
        slot: Slot,
        /// The session's folder.
        path: PathBuf,
        /// Number among the finished samples.
        index: usize,
        /// How it was measured.
        options: MeasureOptions,
        /// Its numbers.
        sample: Arc<MeasuredSample>,
    },
    /// A row of the table of samples was filled in.
    SampleDetails {
        /// The session's folder.
        path: PathBuf,
        /// Number among the finished samples.
        index: usize,
        /// The row's details.
        details: SampleDetails,
    },
    /// Something worth a line in the log.
    Note(String),
    /// Something that went on, but not as asked.
    Warning(String),
    /// A session was copied.
    Saved(PathBuf),
    /// A figure was made; the names of its files.
    Exported(Vec<String>),
    /// What a capture would take in memory, or why that cannot be said.
    Estimated(String),
    /// A capture begins with this model, which could be loaded.
    ModelLoaded(String),
    /// A capture ended well.
    Captured {
        /// The session's folder.
        path: PathBuf,
        /// Finished samples.
        samples: usize,
    },
    /// A job ended without a result.
    Failed {
        /// The job.
        job: u64,
        /// A sentence.
        reason: String,
    },
    /// A job was cancelled.
    Cancelled {
        /// What became of the job's results.
        outcome: String,
    },
    /// A job is over, whichever way; always its last event.
    Finished {
        /// The job.
        job: u64,
    },
}

struct Envelope {
    job: u64,
    cancel: CancelFlag,
    request: Request,
}

/// The screen's end of the worker.
pub struct Worker {
    requests: Option<Sender<Envelope>>,
    events: Option<Receiver<Event>>,
    thread: Option<JoinHandle<()>>,
    cancels: Vec<(u64, CancelFlag)>,
    last_job: u64,
}

impl Worker {
    /// Starts the thread; it calls `wake` whenever there is something to poll.
    ///
    /// # Errors
    /// When the system has no thread to give.
    pub fn start(wake: impl Fn() + Send + 'static) -> anyhow::Result<Self> {
        let (request_sender, requests) = bounded(REQUEST_CAPACITY);
        let (event_sender, events) = bounded(EVENT_CAPACITY);
        let outbox = Outbox {
            events: event_sender,
            wake: Box::new(wake),
        };
        let thread = std::thread::Builder::new()
            .name("kvlens-worker".to_owned())
            .spawn(move || run(&requests, &outbox))
            .context("cannot start the worker thread")?;
        Ok(Self {
            requests: Some(request_sender),
            events: Some(events),
            thread: Some(thread),
            cancels: Vec::new(),
            last_job: 0,
        })
    }

    /// Hands a request over; gives its number and the flag that stops it.
    ///
    /// # Errors
    /// When far too many requests wait already, or when the worker is gone.
    pub fn ask(&mut self, request: Request) -> anyhow::Result<(u64, CancelFlag)> {
        self.last_job += 1;
        let envelope = Envelope {
            job: self.last_job,
            cancel: CancelFlag::default(),
            request,
        };
        let (job, cancel) = (envelope.job, envelope.cancel.clone());
        let requests = self.requests.as_ref().context("the worker is shut down")?;
        requests.try_send(envelope).map_err(|error| match error {
            TrySendError::Full(_) => anyhow::anyhow!("the worker is busy; try again in a moment"),
            TrySendError::Disconnected(_) => {
                anyhow::anyhow!("the worker has stopped; restart the program")
            }
        })?;
        self.cancels.push((job, cancel.clone()));
        Ok((job, cancel))
    }

    /// The next event, if there is one; never waits.
    pub fn poll(&mut self) -> Option<Event> {
        let event = self.events.as_ref()?.try_recv().ok()?;
        if let Event::Finished { job } = event {
            self.cancels.retain(|(known, _)| *known != job);
        }
        Some(event)
    }
}

impl Drop for Worker {
    /// Stops what runs and waits for it, so that no half-written session is left behind.
    fn drop(&mut self) {
        for (_, cancel) in &self.cancels {
            cancel.cancel();
        }
        // Without a receiver a worker that waits to send an event goes on, and so comes to its end.
        self.events = None;
        self.requests = None;
        if let Some(thread) = self.thread.take() {
            // A panic of the thread was reported when it happened.
            let _ = thread.join();
        }
    }
}

/// The worker's end of the channel of events.
struct Outbox {
    events: Sender<Event>,
    wake: Box<dyn Fn() + Send>,
}

impl Outbox {
    fn send(&self, event: Event) {
        // An error means that the screen is gone, and with it whoever wanted to know.
        let _ = self.events.send(event);
        (self.wake)();
    }

    fn progress(&self, job: u64, progress: Progress) {
        if self
            .events
            .try_send(Event::Progress { job, progress })
            .is_ok()
        {
            (self.wake)();
        }
    }
}

fn run(requests: &Receiver<Envelope>, outbox: &Outbox) {
    let mut jobs = Jobs::default();
    loop {
        // Reading the other samples' details is worth doing only while nothing else is asked for.
        let envelope = match requests.try_recv() {
            Ok(envelope) => envelope,
            Err(TryRecvError::Disconnected) => return,
            Err(TryRecvError::Empty) => {
                if let Some(event) = jobs.read_next_details() {
                    outbox.send(event);
                    continue;
                }
                match requests.recv() {
                    Ok(envelope) => envelope,
                    Err(_) => return,
                }
            }
        };
        outbox.send(Event::Started { job: envelope.job });
        let job = envelope.job;
        if let Some(reason) = serve(&mut jobs, outbox, envelope) {
            outbox.send(Event::Failed { job, reason });
        }
        outbox.send(Event::Finished { job });
    }
}

/// Whether a job ended because it was asked to, which is no failure.
fn stopped(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref(), Some(SessionError::Cancelled))
}

/// Runs one request; gives the reason when it failed.
fn serve(jobs: &mut Jobs, outbox: &Outbox, envelope: Envelope) -> Option<String> {
    let Envelope {
        job,
        cancel,
        request,
    } = envelope;
    let reporter = Reporter {
        event: &|event| outbox.send(event),
        progress: &|progress| outbox.progress(job, progress),
        cancel: &cancel,
    };
    match catch_unwind(AssertUnwindSafe(|| jobs.serve(request, &reporter))) {
        Ok(Ok(())) => None,
        Ok(Err(error)) if stopped(&error) => None,
        Ok(Err(error)) => Some(format!("{error:#}")),
        Err(panic) => {
            *jobs = Jobs::default();
            let what = panic
                .downcast_ref::<String>()
                .map(String::as_str)
                .or_else(|| panic.downcast_ref::<&str>().copied())
                .unwrap_or("no reason given");
            Some(format!(
                "the program made a mistake and gave this job up ({what})"
            ))
        }
    }
}
