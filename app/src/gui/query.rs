//! A value for a key, made elsewhere: at once, on the window's own threads, or by a lane.
//!
//! A key holds the versions of everything that the value is made of. Whoever needs the value says so in each frame by
//! [`Query::at_once`], [`Query::in_pool`] or [`Query::from_lane`]; where nobody does, [`Query::let_go`] makes sure that
//! nothing is waited for.

mod lane;
mod pool;

use std::sync::atomic::{AtomicU64, Ordering};

use crossbeam_channel::{Receiver, RecvTimeoutError};

pub use lane::Awaited;
pub use pool::Pool;
pub(in crate::gui) use pool::words_of;

/// How it stands with the value for the key that was wanted last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Nothing was wanted yet, or nobody needs it now.
    Idle,
    /// The value is the one for the key.
    Fresh,
    /// It is being made; until then [`Query::value`] is that of an earlier key, if there was one.
    Running,
    /// It could not be made or was stopped; it is not tried again for the same key before somebody says so.
    Failed,
}

/// Values of earlier keys that are remembered: who goes back and forth between two samples shall not wait.
const EARLIER_VALUES: usize = 3;

/// A remembered value, and the one that is on its way.
pub struct Query<K, V> {
    held: Option<Held<K, V>>,
    /// Whole values of earlier keys, the last one last.
    earlier: Vec<Held<K, V>>,
    /// Whether a lane gave a part of it only.
    is_part: bool,
    coming: Option<Coming<K, V>>,
    failed: Option<Failed<K>>,
    /// What was wanted of a lane last.
    wanted_key: Option<K>,
    wanted: State,
}

/// A number that no other value has, of whatever query: what is painted from values is kept by it, and the place of a map
/// may be taken by that of another session.
fn next_version() -> u64 {
    static LAST: AtomicU64 = AtomicU64::new(0);
    LAST.fetch_add(1, Ordering::Relaxed) + 1
}

struct Held<K, V> {
    key: K,
    value: V,
    version: u64,
}

struct Coming<K, V> {
    key: K,
    maker: Maker<V>,
}

enum Maker<V> {
    Pool {
        value: Receiver<V>,
        version: u64,
        /// While it lives, the pool counts the value as one that is waited for.
        _ticket: pool::Ticket,
    },
    /// Its answers come as events.
    Lane,
}

/// What could not be made, or was stopped before it was.
struct Failed<K> {
    key: K,
    /// None of what was stopped, and of what was told as it happened.
    reason: Option<String>,
}

impl<K, V> Default for Query<K, V> {
    fn default() -> Self {
        Self {
            held: None,
            earlier: Vec::new(),
            is_part: false,
            coming: None,
            failed: None,
            wanted_key: None,
            wanted: State::Idle,
        }
    }
}

impl<K: PartialEq, V> Query<K, V> {
    /// Makes the value in this frame unless it is the one for `key`; only for what takes less than two milliseconds.
    /// `make` is given the new version.
    pub fn at_once(&mut self, key: K, make: impl FnOnce(u64) -> V) {
        if !self.is_for(&key) {
            let version = next_version();
            let value = make(version);
            self.held = None;
            self.hold(key, value, version);
        }
        self.wanted = State::Fresh;
    }

    /// Nobody needs the value now: what is on its way is not waited for.
    pub fn let_go(&mut self) {
        self.coming = None;
        self.wanted = State::Idle;
    }

    /// The last value, and the key that it is for.
    #[must_use]
    pub fn held(&self) -> Option<(&K, &V)> {
        self.held.as_ref().map(|held| (&held.key, &held.value))
    }

    /// The last value, of whatever key.
    #[must_use]
    pub fn value(&self) -> Option<&V> {
        self.held.as_ref().map(|held| &held.value)
    }

    /// How it stands with what was wanted last.
    #[must_use]
    pub fn state(&self) -> State {
        self.wanted
    }

    /// Of the last value: no other one has it, of whatever query.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.held.as_ref().map_or(0, |held| held.version)
    }

    /// Takes a new value; a whole one of another key is remembered.
    fn hold(&mut self, key: K, value: V, version: u64) {
        self.put_by();
        self.earlier.retain(|earlier| earlier.key != key);
        self.held = Some(Held {
            key,
            value,
            version,
        });
    }

    /// Puts the value by, if it is whole.
    fn put_by(&mut self) {
        let whole = self.held.take().filter(|_| !self.is_part);
        self.is_part = false;
        self.earlier.extend(whole);
        let surplus = self.earlier.len().saturating_sub(EARLIER_VALUES);
        self.earlier.drain(..surplus);
    }

    /// Takes the value of an earlier key again, if it is remembered.
    fn recall(&mut self, key: &K) {
        if self.is_for(key) && !self.is_part {
            return;
        }
        let place = self.earlier.iter().position(|earlier| earlier.key == *key);
        if let Some(place) = place {
            let found = self.earlier.remove(place);
            self.put_by();
            self.held = Some(found);
        }
    }

    fn has_failed(&self, key: &K) -> bool {
        self.failed
            .as_ref()
            .is_some_and(|failed| failed.key == *key)
    }

    fn is_for(&self, key: &K) -> bool {
        self.held.as_ref().is_some_and(|held| held.key == *key)
    }
}

impl<K: PartialEq, V: Send + 'static> Query<K, V> {
    /// Makes the value in the pool unless it is the one for `key`, or on its way. Of several keys that are wanted while
    /// one is made, the last is taken next. What is quick is there in the same frame: see [`Pool::begin_frame`].
    pub fn in_pool(&mut self, pool: &Pool, key: K, make: impl FnOnce(u64) -> V + Send + 'static) {
        self.take_finished(pool);
        self.recall(&key);
        let is_settled = self.is_for(&key) || self.has_failed(&key);
        if !is_settled && self.coming.is_none() {
            let version = next_version();
            let (value, ticket) = pool.run(move || make(version));
            let maker = Maker::Pool {
                value,
                version,
                _ticket: ticket,
            };
            self.coming = Some(Coming { key, maker });
            self.take_finished(pool);
            self.wanted = match (&self.coming, &self.failed) {
                (Some(_), _) => State::Running,
                (None, None) => State::Fresh,
                (None, Some(_)) => State::Failed,
            };
        } else if self.is_for(&key) {
            self.wanted = State::Fresh;
        } else if is_settled {
            self.wanted = State::Failed;
        } else {
            self.wanted = State::Running;
        }
    }

    fn take_finished(&mut self, pool: &Pool) {
        let Some(coming) = self.coming.take() else {
            return;
        };
        let Maker::Pool { value, version, .. } = &coming.maker else {
            self.coming = Some(coming);
            return;
        };
        match value.recv_deadline(pool.deadline()) {
            Ok(value) => {
                let version = *version;
                self.hold(coming.key, value, version);
                self.failed = None;
            }
            Err(RecvTimeoutError::Timeout) => self.coming = Some(coming),
            Err(RecvTimeoutError::Disconnected) => {
                self.failed = Some(Failed {
                    key: coming.key,
                    reason: None,
                });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crossbeam_channel::bounded;

    use super::*;

    fn pool(patience: Duration) -> Pool {
        let mut pool = Pool::start(|| {}).unwrap();
        pool.set_patience(patience);
        pool.begin_frame();
        pool
    }

    /// Wants a value until it is there or failed.
    fn settled<V: Send + 'static>(query: &mut Query<i32, V>, pool: &Pool, key: i32) -> State {
        while query.state() == State::Running {
            query.in_pool(pool, key, |_| unreachable!("it was made once"));
        }
        query.state()
    }

    #[test]
    fn a_value_is_made_anew_only_for_another_key() {
        let mut query = Query::default();
        let mut versions = Vec::new();
        for key in [1, 1, 2, 1] {
            query.at_once(key, |version| version);
            assert_eq!(
                (query.value(), query.state()),
                (Some(&query.version()), State::Fresh)
            );
            versions.push(query.version());
        }
        assert_eq!(versions[0], versions[1]);
        versions.dedup();
        assert_eq!(versions.len(), 3, "{versions:?}");
    }

    /// Or a map of one session would be painted with the colours of another's.
    #[test]
    fn no_two_queries_give_the_same_version() {
        let pool = pool(Duration::from_secs(60));
        let [mut first, mut second] = [Query::default(), Query::default()];
        first.at_once(1, |version| version);
        second.in_pool(&pool, 1, |version| version);
        let mut third = Query::default();
        third.take(1, 0, true);
        let mut versions = vec![first.version(), second.version(), third.version()];
        versions.sort_unstable();
        versions.dedup();
        assert_eq!(versions.len(), 3, "{versions:?}");
    }

    #[test]
    fn what_is_quick_is_there_in_the_same_frame() {
        let pool = pool(Duration::from_secs(60));
        let mut query = Query::default();
        query.in_pool(&pool, 1, |_| "quick");
        assert_eq!(
            (query.value(), query.state()),
            (Some(&"quick"), State::Fresh)
        );
        assert!(!pool.is_busy());
    }

    #[test]
    fn the_values_of_the_last_keys_are_there_again_at_once_and_with_their_versions() {
        let pool = pool(Duration::from_secs(60));
        let mut query = Query::default();
        let mut versions = Vec::new();
        for key in 1..=5 {
            query.in_pool(&pool, key, move |version| (key, version));
            versions.push(query.version());
        }
        for key in [4, 5, 2, 4] {
            query.in_pool(&pool, key, |_| unreachable!("it is remembered"));
            let version = versions[key - 1];
            assert_eq!(query.value(), Some(&(key, version)));
            assert_eq!((query.version(), query.state()), (version, State::Fresh));
        }
        query.in_pool(&pool, 1, |version| (1, version));
        assert_ne!(query.version(), versions[0], "it was forgotten");
    }

    #[test]
    fn what_is_slow_leaves_the_old_value_until_it_is_there() {
        let pool = pool(Duration::ZERO);
        let mut query = Query::default();
        query.at_once(1, |_| "quick");
        let (go, wait) = bounded::<()>(1);
        query.in_pool(&pool, 2, move |_| {
            // ends with the sender, whatever the test does
            let _ = wait.recv();
            "slow"
        });
        assert_eq!(
            (query.value(), query.state()),
            (Some(&"quick"), State::Running)
        );
        assert!(pool.is_busy());
        drop(go);
        assert_eq!(settled(&mut query, &pool, 2), State::Fresh);
        assert_eq!(query.held(), Some((&2, &"slow")));
        assert!(!pool.is_busy());
    }

    #[test]
    fn what_nobody_needs_any_more_is_not_waited_for() {
        let pool = pool(Duration::ZERO);
        let mut query = Query::default();
        let (go, wait) = bounded::<()>(1);
        query.in_pool(&pool, 1, move |_| wait.recv().is_ok());
        query.let_go();
        assert_eq!((query.value(), query.state()), (None, State::Idle));
        assert!(!pool.is_busy());
        drop(go);
    }

    #[test]
    fn a_panic_is_told_once_and_not_tried_again_for_the_same_key() {
        let pool = pool(Duration::ZERO);
        let mut query: Query<i32, &str> = Query::default();
        query.in_pool(&pool, 1, |_| panic!("on purpose"));
        assert_eq!(settled(&mut query, &pool, 1), State::Failed);
        query.in_pool(&pool, 1, |_| unreachable!("it failed before"));
        assert_eq!(query.state(), State::Failed);
        assert_eq!(pool.take_faults(), ["on purpose"]);
        assert!(pool.take_faults().is_empty() && !pool.is_busy());
        query.at_once(2, |_| "another");
        assert_eq!(query.value(), Some(&"another"));
    }

    #[test]
    fn the_threads_are_the_pools_own() {
        let pool = pool(Duration::from_secs(60));
        let mut query = Query::default();
        query.in_pool(&pool, 1, |_| {
            std::thread::current().name().map(str::to_owned)
        });
        let name = query.value().cloned().flatten().unwrap_or_default();
        assert!(name.starts_with("kvlens-window"), "{name}");
    }
}
