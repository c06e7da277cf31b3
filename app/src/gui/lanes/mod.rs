//! The two threads beside the screen: one runs models, the other reads and measures sessions.
//!
//! A request goes into the mailbox of its lane, where the newest of a [`JobKey`] counts; events come out of one
//! channel and wake the screen. Results are never dropped: a lane waits when the screen is slow. Progress is: a
//! newer one follows anyway.

mod copied;
mod event;
mod key;
mod mailbox;
mod model_lane;
mod opened;
mod read_lane;
mod report;
mod request;
mod samples;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::JoinHandle;

use anyhow::Context as _;
use crossbeam_channel::{Receiver, Sender, bounded};
use kvlens_sessions::CancelFlag;

use super::data::Progress;
use super::query::words_of;
use crate::jobs::failure::is_cancelled;
use mailbox::{Envelope, Mailbox};
use read_lane::ReadLane;

pub use event::Event;
pub use key::JobKey;
pub(in crate::gui) use model_lane::ModelLane;
pub(in crate::gui) use report::{Meter, Reporter};
pub use request::{CaptureOrder, ModelRequest, ReadRequest, Request};
pub(in crate::gui) use samples::Samples;

const EVENT_CAPACITY: usize = 256;

/// A job that was asked for.
pub struct Asked {
    /// Its number.
    pub job: u64,
    /// What tells it from others.
    pub key: JobKey,
    /// Stops it.
    pub cancel: CancelFlag,
    /// An older job of the same key that was still waiting, and is not done.
    pub replaced: Option<u64>,
}

/// The screen's end of both lanes.
pub struct Lanes {
    model: Lane<ModelRequest>,
    read: Lane<ReadRequest>,
    events: Option<Receiver<Event>>,
    /// Jobs that wait or run.
    known: Vec<(u64, JobKey, CancelFlag)>,
    last_job: u64,
}

struct Lane<R> {
    mailbox: Arc<Mailbox<R>>,
    thread: Option<JoinHandle<()>>,
}

impl Lanes {
    /// Starts the threads; they call `wake` whenever there is something to poll.
    ///
    /// # Errors
    /// When the system has no thread to give.
    pub fn start(wake: impl Fn() + Send + Sync + 'static) -> anyhow::Result<Self> {
        let (sender, events) = bounded(EVENT_CAPACITY);
        let samples = Samples::default();
        let outbox = Outbox {
            events: sender,
            wake: Arc::new(wake),
            samples,
        };
        Ok(Self {
            model: Lane::start("kvlens-model", outbox.clone(), ModelLane::default)?,
            read: Lane::start("kvlens-read", outbox, ReadLane::default)?,
            events: Some(events),
            known: Vec::new(),
            last_job: 0,
        })
    }

    /// Hands a request over. A job of the same key that waits is given up for it, one that runs is stopped.
    pub fn ask(&mut self, request: Request) -> Asked {
        self.last_job += 1;
        let (job, key, cancel) = (self.last_job, request.key(), CancelFlag::default());
        for (_, known, cancel) in &self.known {
            if *known == key {
                cancel.cancel();
            }
        }
        let replaced = match request {
            Request::Model(request) => self.model.put(job, &key, &cancel, request),
            Request::Read(request) => self.read.put(job, &key, &cancel, request),
        };
        self.known.retain(|(known, ..)| Some(*known) != replaced);
        self.known.push((job, key.clone(), cancel.clone()));
        Asked {
            job,
            key,
            cancel,
            replaced,
        }
    }

    /// Stops the job of a key; gives its number if it was only waiting, as no event tells of its end then.
    pub fn cancel(&mut self, key: &JobKey) -> Option<u64> {
        for (_, known, cancel) in &self.known {
            if known == key {
                cancel.cancel();
            }
        }
        let waiting = self.model.mailbox.take_out(key);
        let waiting = waiting.or_else(|| self.read.mailbox.take_out(key));
        self.known.retain(|(known, ..)| Some(*known) != waiting);
        waiting
    }

    /// The next event, if there is one; never waits.
    pub fn poll(&mut self) -> Option<Event> {
        let event = self.events.as_ref()?.try_recv().ok()?;
        if let Event::Finished { job } = event {
            self.known.retain(|(known, ..)| *known != job);
        }
        Some(event)
    }
}

impl Drop for Lanes {
    /// Stops what runs and waits for it, so that no half-written session is left behind.
    fn drop(&mut self) {
        for (_, _, cancel) in &self.known {
            cancel.cancel();
        }
        // Without a receiver a lane that waits to send an event goes on, and so comes to its end.
        self.events = None;
        self.model.mailbox.close();
        self.read.mailbox.close();
        for thread in [self.model.thread.take(), self.read.thread.take()] {
            // A panic of the thread was reported when it happened.
            let _ = thread.map(JoinHandle::join);
        }
    }
}

impl<R: Send + 'static> Lane<R> {
    fn start<S: Serve<Request = R> + 'static>(
        name: &str,
        outbox: Outbox,
        server: fn() -> S,
    ) -> anyhow::Result<Self> {
        let mailbox = Arc::new(Mailbox::default());
        let inside = Arc::clone(&mailbox);
        let thread = std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || run(&inside, &outbox, server))
            .with_context(|| format!("cannot start the thread {name}"))?;
        Ok(Self {
            mailbox,
            thread: Some(thread),
        })
    }

    fn put(&self, job: u64, key: &JobKey, cancel: &CancelFlag, request: R) -> Option<u64> {
        self.mailbox.put(Envelope {
            job,
            key: key.clone(),
            cancel: cancel.clone(),
            request,
        })
    }
}

/// What a lane does, and what it keeps from one job to the next.
trait Serve {
    type Request;

    /// Runs one request.
    fn serve(&mut self, request: Self::Request, reporter: &Reporter<'_>) -> anyhow::Result<()>;

    /// Something small that is worth doing while nothing is asked for.
    fn while_idle(&mut self) -> Option<Event> {
        None
    }
}

/// A lane's end of the channel of events.
#[derive(Clone)]
struct Outbox {
    events: Sender<Event>,
    wake: Arc<dyn Fn() + Send + Sync>,
    /// What both lanes loaded.
    samples: Samples,
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

fn run<S: Serve>(mailbox: &Mailbox<S::Request>, outbox: &Outbox, server: fn() -> S) {
    let mut lane = server();
    while let Some(envelope) = next(mailbox, outbox, &mut lane) {
        let job = envelope.job;
        outbox.send(Event::Started { job });
        if let Some(reason) = serve(&mut lane, outbox, envelope, server) {
            outbox.send(Event::Failed { job, reason });
        }
        outbox.send(Event::Finished { job });
    }
}

/// The next request; small things are done while there is none.
fn next<S: Serve>(
    mailbox: &Mailbox<S::Request>,
    outbox: &Outbox,
    lane: &mut S,
) -> Option<Envelope<S::Request>> {
    while !mailbox.is_closed() {
        if let Some(envelope) = mailbox.try_next() {
            return Some(envelope);
        }
        match lane.while_idle() {
            Some(event) => outbox.send(event),
            None => return mailbox.next(),
        }
    }
    None
}

/// Runs one request; gives the reason when it failed. Being asked to stop is no failure.
fn serve<S: Serve>(
    lane: &mut S,
    outbox: &Outbox,
    envelope: Envelope<S::Request>,
    server: fn() -> S,
) -> Option<String> {
    let Envelope {
        job,
        cancel,
        request,
        ..
    } = envelope;
    let reporter = Reporter {
        event: &|event| outbox.send(event),
        progress: &|progress| outbox.progress(job, progress),
        cancel: &cancel,
        samples: &outbox.samples,
    };
    match catch_unwind(AssertUnwindSafe(|| lane.serve(request, &reporter))) {
        Ok(Ok(())) => None,
        Ok(Err(error)) if is_cancelled(&error) => None,
        Ok(Err(error)) => Some(format!("{error:#}")),
        Err(panic) => {
            *lane = server();
            let what = words_of(&*panic);
            Some(format!(
                "the program made a mistake and gave this job up ({what})"
            ))
        }
    }
}
