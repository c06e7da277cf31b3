//! What waits for a lane: one request for each key, the newest.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use kvlens_sessions::CancelFlag;

use super::key::JobKey;

/// A request on its way.
pub(super) struct Envelope<R> {
    /// Number of the job.
    pub job: u64,
    /// Tells it from others.
    pub key: JobKey,
    /// Stops it.
    pub cancel: CancelFlag,
    /// What is asked.
    pub request: R,
}

struct Waiting<R> {
    envelopes: VecDeque<Envelope<R>>,
    is_closed: bool,
}

/// Holds at most one request for each key, so it cannot fill, and putting one in never waits.
pub(super) struct Mailbox<R> {
    waiting: Mutex<Waiting<R>>,
    changed: Condvar,
}

impl<R> Default for Mailbox<R> {
    fn default() -> Self {
        Self {
            waiting: Mutex::new(Waiting {
                envelopes: VecDeque::new(),
                is_closed: false,
            }),
            changed: Condvar::new(),
        }
    }
}

impl<R> Mailbox<R> {
    /// Puts a request behind the others. One of the same key that waits is taken out; gives its job.
    pub fn put(&self, envelope: Envelope<R>) -> Option<u64> {
        let replaced = self.take_out(&envelope.key);
        self.lock().envelopes.push_back(envelope);
        self.changed.notify_one();
        replaced
    }

    /// Takes the request of a key out before its turn; gives its job.
    pub fn take_out(&self, key: &JobKey) -> Option<u64> {
        let mut waiting = self.lock();
        let place = waiting.envelopes.iter().position(|it| it.key == *key)?;
        Some(waiting.envelopes.remove(place)?.job)
    }

    /// The next request if one waits.
    pub fn try_next(&self) -> Option<Envelope<R>> {
        self.lock().envelopes.pop_front()
    }

    /// The next request, waited for; none once the mailbox is closed.
    pub fn next(&self) -> Option<Envelope<R>> {
        let mut waiting = self.lock();
        loop {
            if waiting.is_closed {
                return None;
            }
            if let Some(envelope) = waiting.envelopes.pop_front() {
                return Some(envelope);
            }
            let changed = self.changed.wait(waiting);
            waiting = changed.unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Whether nothing is taken any more.
    pub fn is_closed(&self) -> bool {
        self.lock().is_closed
    }

    /// Drops what waits, and lets the lane end.
    pub fn close(&self) {
        let mut waiting = self.lock();
        waiting.is_closed = true;
        waiting.envelopes.clear();
        self.changed.notify_all();
    }

    /// A list is never left half changed, so one that a panic left behind is whole.
    fn lock(&self) -> MutexGuard<'_, Waiting<R>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gui::data::Slot;

    fn put(
        mailbox: &Mailbox<&'static str>,
        job: u64,
        key: JobKey,
        request: &'static str,
    ) -> Option<u64> {
        mailbox.put(Envelope {
            job,
            key,
            cancel: CancelFlag::default(),
            request,
        })
    }

    #[test]
    fn the_newest_of_a_key_counts_and_the_others_keep_their_order() {
        let mailbox = Mailbox::default();
        assert_eq!(put(&mailbox, 1, JobKey::Estimate, "a"), None);
        assert_eq!(put(&mailbox, 2, JobKey::Measure(Slot::Main), "b"), None);
        assert_eq!(put(&mailbox, 3, JobKey::Measure(Slot::Beside), "c"), None);
        assert_eq!(put(&mailbox, 4, JobKey::Estimate, "d"), Some(1));
        assert_eq!(mailbox.take_out(&JobKey::Measure(Slot::Beside)), Some(3));
        assert_eq!(mailbox.take_out(&JobKey::Attention), None);
        let order: Vec<&str> = std::iter::from_fn(|| mailbox.try_next())
            .map(|envelope| envelope.request)
            .collect();
        assert_eq!(order, ["b", "d"]);
    }

    #[test]
    fn however_many_requests_of_a_key_leave_one() {
        let mailbox = Mailbox::default();
        for job in 0..10_000 {
            put(&mailbox, job, JobKey::Estimate, "typed");
        }
        assert_eq!(mailbox.next().map(|envelope| envelope.job), Some(9_999));
        assert!(mailbox.try_next().is_none());
    }

    #[test]
    fn a_closed_mailbox_gives_nothing() {
        let mailbox = Mailbox::default();
        put(&mailbox, 1, JobKey::Attention, "a");
        mailbox.close();
        assert!(mailbox.next().is_none());
    }
}
