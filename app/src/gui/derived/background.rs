//! A value that is computed anew when its key changes, on a thread of its own where that would hold up a frame.

use std::thread::JoinHandle;

/// More scores than this are not gone through within a frame.
const QUICK_SCORES: usize = 1 << 20;

/// One remembered value, and the one that is on its way.
pub(super) struct Background<K, V> {
    held: Option<(K, V)>,
    running: Option<(K, JoinHandle<V>)>,
    /// The key whose value could not be made: it is not tried again.
    failed: Option<K>,
    is_failure_news: bool,
    version: u64,
}

impl<K, V> Default for Background<K, V> {
    fn default() -> Self {
        Self {
            held: None,
            running: None,
            failed: None,
            is_failure_news: false,
            version: 0,
        }
    }
}

impl<K: PartialEq, V: Send + 'static> Background<K, V> {
    /// Computes the value unless it is the one for `key`, or on its way; `scores` says how many it goes through, and
    /// `compute` is given the new version. Of several keys that come while one is computed, the last is taken next.
    pub(super) fn renew(
        &mut self,
        key: K,
        scores: usize,
        compute: impl FnOnce(u64) -> V + Send + 'static,
    ) {
        self.take_finished();
        let is_held = self.held.as_ref().is_some_and(|(held, _)| *held == key);
        if self.running.is_some() || is_held || self.failed.as_ref() == Some(&key) {
            return;
        }
        self.version += 1;
        let version = self.version;
        if scores <= QUICK_SCORES {
            self.held = Some((key, compute(version)));
            return;
        }
        let builder = std::thread::Builder::new().name("kvlens-derived".to_owned());
        // without another thread to be had, the old value stays until the next frame tries again
        if let Ok(thread) = builder.spawn(move || compute(version)) {
            self.running = Some((key, thread));
        }
    }

    /// Takes in what has come; also called where no view needs the value any more, so that it does not stay busy.
    pub(super) fn take_finished(&mut self) {
        let is_finished = |(_, thread): &(K, JoinHandle<V>)| thread.is_finished();
        if !self.running.as_ref().is_some_and(is_finished) {
            return;
        }
        if let Some((key, thread)) = self.running.take() {
            match thread.join() {
                Ok(value) => {
                    self.held = Some((key, value));
                    self.failed = None;
                }
                // a fault of the program, whose words stand on the standard error
                Err(_) => {
                    self.failed = Some(key);
                    self.is_failure_news = true;
                }
            }
        }
    }

    /// Whether a value could not be made since this was asked last.
    pub(super) fn take_failure(&mut self) -> bool {
        std::mem::take(&mut self.is_failure_news)
    }

    /// The last value, and the key that it is for.
    pub(super) fn held(&self) -> Option<(&K, &V)> {
        self.held.as_ref().map(|(key, value)| (key, value))
    }

    /// Whether a newer value is on its way.
    pub(super) fn is_busy(&self) -> bool {
        self.running.is_some()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::sync_channel;

    use super::*;

    #[test]
    fn a_quick_value_is_there_at_once_and_renewed_only_for_another_key() {
        let mut value = Background::default();
        for (key, version) in [(1, 1), (1, 1), (2, 2)] {
            value.renew(key, 10, |version| version);
            assert_eq!(value.held(), Some((&key, &version)));
            assert!(!value.is_busy());
        }
    }

    #[test]
    fn a_slow_value_leaves_the_old_one_until_it_is_there() {
        let mut value = Background::default();
        value.renew(1, 10, |_| "quick");
        let (go, wait) = sync_channel::<()>(1);
        let slow = move |_| {
            // ends with the sender, whatever the test does
            let _ = wait.recv();
            "slow"
        };
        value.renew(2, QUICK_SCORES + 1, slow);
        assert!(value.is_busy());
        assert_eq!(value.held(), Some((&1, &"quick")));
        drop(go);
        while value.is_busy() {
            value.renew(2, QUICK_SCORES + 1, |_| "never");
        }
        assert_eq!(value.held(), Some((&2, &"slow")));
    }

    #[test]
    fn a_panic_is_told_once_and_not_tried_again_for_the_same_key() {
        let mut value: Background<i32, &str> = Background::default();
        let broken = |_| -> &'static str { panic!("on purpose") };
        value.renew(1, QUICK_SCORES + 1, broken);
        while value.is_busy() {
            value.take_finished();
        }
        assert!(value.take_failure() && !value.take_failure());
        value.renew(1, QUICK_SCORES + 1, broken);
        assert!(!value.is_busy() && value.held().is_none());
        value.renew(2, 10, |_| "another");
        assert_eq!(value.held(), Some((&2, &"another")));
    }
}
