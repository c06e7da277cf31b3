//! The window's own threads.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use crossbeam_channel::{Receiver, bounded};
use rayon::{ThreadPool, ThreadPoolBuilder};

/// A frame waits so long, for all its values together.
const PATIENCE: Duration = Duration::from_millis(2);

/// Curves over many heads are gone through by several threads; more than these would not be felt.
const MOST_THREADS: usize = 8;

/// Threads for what a frame has no time for. Not rayon's global pool, which is the model's: a value would wait for a
/// free thread between two matrix products.
pub struct Pool {
    threads: ThreadPool,
    wake: Arc<dyn Fn() + Send + Sync>,
    /// What threads panicked with.
    faults: Arc<Mutex<Vec<String>>>,
    waited_for: Ticket,
    patience: Duration,
    deadline: Cell<Instant>,
}

/// Stands for a value that is waited for.
pub(super) type Ticket = Arc<()>;

impl Pool {
    /// Starts the threads; they call `wake` whenever a value is there.
    ///
    /// # Errors
    /// When the system has no threads to give.
    pub fn start(wake: impl Fn() + Send + Sync + 'static) -> anyhow::Result<Self> {
        // one core stays with the thread that draws, or frames would wait for the curves of many heads
        let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get() - 1);
        let threads = ThreadPoolBuilder::new()
            .thread_name(|number| format!("kvlens-window-{number}"))
            .num_threads(cores.clamp(1, MOST_THREADS))
            .build()
            .context("cannot start the threads of the window")?;
        Ok(Self {
            threads,
            wake: Arc::new(wake),
            faults: Arc::default(),
            waited_for: Ticket::default(),
            patience: PATIENCE,
            deadline: Cell::new(Instant::now()),
        })
    }

    /// Lets a frame wait longer than the two milliseconds of a frame: a picture shall show no value of the choice before.
    pub fn set_patience(&mut self, patience: Duration) {
        self.patience = patience;
    }

    /// From now on values are waited for as long as a frame may take for them.
    pub fn begin_frame(&self) {
        self.deadline.set(Instant::now() + self.patience);
    }

    /// Whether a value that somebody needs is on its way.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        Arc::strong_count(&self.waited_for) > 1
    }

    /// What threads panicked with since this was asked last.
    #[must_use]
    pub fn take_faults(&self) -> Vec<String> {
        let mut faults = self.faults.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut faults)
    }

    pub(super) fn deadline(&self) -> Instant {
        self.deadline.get()
    }

    /// Makes a value on one of the threads. After a panic the channel is closed without one.
    pub(super) fn run<V: Send + 'static>(
        &self,
        make: impl FnOnce() -> V + Send + 'static,
    ) -> (Receiver<V>, Ticket) {
        let (sender, receiver) = bounded(1);
        let (wake, faults) = (Arc::clone(&self.wake), Arc::clone(&self.faults));
        self.threads.spawn(move || {
            match catch_unwind(AssertUnwindSafe(make)) {
                // an error means that nobody needs the value any more
                Ok(value) => drop(sender.send(value)),
                Err(panic) => {
                    let mut faults = faults.lock().unwrap_or_else(PoisonError::into_inner);
                    faults.push(words_of(&*panic).to_owned());
                }
            }
            drop(sender);
            wake();
        });
        (receiver, Arc::clone(&self.waited_for))
    }
}

/// What a panic says.
pub(in crate::gui) fn words_of(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("no reason given")
}
