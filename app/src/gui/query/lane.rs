//! Values that a lane makes: its job is asked for once, its answers come as events, perhaps part by part.

use super::{Coming, Failed, Maker, Query, State, next_version};

/// What is known of a query without its value: the job that answers it ends, fails, or is asked for again.
pub trait Awaited {
    /// The job is over, or was stopped.
    fn end(&mut self);

    /// The job could not be done.
    fn fail(&mut self, reason: String);

    /// Forgets what was asked for, stopped or refused, so that the next frame asks again for what it lacks.
    fn retry(&mut self);

    /// Why there is no value, if a lane said so.
    fn failure(&self) -> Option<&str>;
}

impl<K: Clone + PartialEq, V> Query<K, V> {
    /// Wants the value of a lane. Says whether it has to be asked for now: it is neither here nor on its way, and was
    /// neither stopped nor refused before.
    pub fn from_lane(&mut self, key: &K) -> bool {
        self.wanted_key = Some(key.clone());
        self.recall(key);
        let is_coming = self.coming.as_ref().is_some_and(|it| it.key == *key);
        self.wanted = if is_coming {
            State::Running
        } else if self.has_failed(key) {
            State::Failed
        } else if self.is_for(key) && !self.is_part {
            State::Fresh
        } else {
            self.ask(key.clone());
            return true;
        };
        false
    }

    /// A job was asked for that answers by [`Self::take`] or [`Self::grow`].
    pub fn ask(&mut self, key: K) {
        self.failed = None;
        self.coming = Some(Coming {
            key,
            maker: Maker::Lane,
        });
        self.wanted = State::Running;
    }

    /// Takes an answer in, the whole or what is known so far. One for another key than is wanted is dropped where the
    /// wanted one is here: it was asked for before somebody went back.
    pub fn take(&mut self, key: K, value: V, is_whole: bool) {
        let is_here = self
            .wanted_key
            .as_ref()
            .is_some_and(|wanted| *wanted != key && self.is_for(wanted) && !self.is_part);
        if is_here {
            self.settle(&key, true);
            return;
        }
        self.settle(&key, is_whole);
        if self.is_for(&key) {
            self.held = None;
        }
        self.hold(key, value, next_version());
        self.is_part = !is_whole;
    }

    /// The keys of what is here and of what is on its way or failed, in this order.
    pub fn known_keys(&self) -> impl Iterator<Item = &K> {
        let held = self.held.as_ref().map(|held| &held.key);
        let coming = self.coming.as_ref().map(|coming| &coming.key);
        let failed = self.failed.as_ref().map(|failed| &failed.key);
        held.into_iter().chain(coming).chain(failed)
    }

    /// The key of what is on its way.
    #[must_use]
    pub fn coming_key(&self) -> Option<&K> {
        self.coming.as_ref().map(|coming| &coming.key)
    }

    /// An answer for a key came: nothing of it is awaited any more once it is whole. A part that nothing is awaited
    /// behind is what was there when its job was stopped.
    fn settle(&mut self, key: &K, is_whole: bool) {
        let is_coming = self.coming.as_ref().is_some_and(|it| it.key == *key);
        if is_whole {
            self.coming.take_if(|_| is_coming);
            self.failed.take_if(|failed| failed.key == *key);
        } else if !is_coming {
            self.failed = Some(Failed {
                key: key.clone(),
                reason: None,
            });
        }
    }
}

impl<K: Clone + PartialEq, V: Default> Query<K, V> {
    /// Adds a part to the value; that of another key makes room.
    pub fn grow(&mut self, key: K, is_whole: bool, add: impl FnOnce(&mut V)) {
        if !self.is_for(&key) {
            self.put_by();
        }
        let held = self.held.take().map(|held| held.value);
        let mut value = held.unwrap_or_default();
        add(&mut value);
        self.settle(&key, is_whole);
        self.hold(key, value, next_version());
        self.is_part = !is_whole;
    }
}

impl<K, V> Awaited for Query<K, V> {
    fn end(&mut self) {
        let coming = self.coming.take_if(|it| matches!(it.maker, Maker::Lane));
        if let Some(Coming { key, .. }) = coming {
            self.failed = Some(Failed { key, reason: None });
            self.wanted = State::Failed;
        }
    }

    fn fail(&mut self, reason: String) {
        self.end();
        if let Some(failed) = &mut self.failed {
            failed.reason = Some(reason);
        }
    }

    fn retry(&mut self) {
        self.failed = None;
        self.coming.take_if(|it| matches!(it.maker, Maker::Lane));
    }

    fn failure(&self) -> Option<&str> {
        self.failed.as_ref()?.reason.as_deref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lane_is_asked_once_and_its_answer_is_fresh() {
        let mut query = Query::default();
        assert!(query.from_lane(&1));
        assert!(!query.from_lane(&1), "it is on its way");
        assert_eq!(query.state(), State::Running);
        query.take(1, "part", false);
        assert!(!query.from_lane(&1));
        assert_eq!(
            (query.state(), query.value()),
            (State::Running, Some(&"part"))
        );
        let of_part = query.version();
        query.take(1, "whole", true);
        query.end();
        assert!(!query.from_lane(&1));
        assert_eq!(
            (query.state(), query.value()),
            (State::Fresh, Some(&"whole"))
        );
        assert!(query.version() > of_part);
    }

    #[test]
    fn what_was_stopped_or_refused_is_asked_again_only_when_somebody_says_so() {
        let mut query = Query::default();
        query.from_lane(&1);
        query.take(1, "part", false);
        query.end();
        assert!(!query.from_lane(&1));
        assert_eq!((query.state(), query.failure()), (State::Failed, None));
        query.retry();
        assert!(query.from_lane(&1));
        query.fail("no such file".to_owned());
        assert!(!query.from_lane(&1));
        assert_eq!(query.failure(), Some("no such file"));
        assert!(query.from_lane(&2), "another key is another question");
        assert_eq!(query.failure(), None);
    }

    #[test]
    fn an_answer_that_was_asked_for_before_somebody_went_back_is_dropped() {
        let mut query = Query::default();
        query.from_lane(&1);
        query.take(1, "first", true);
        assert!(query.from_lane(&2));
        assert!(!query.from_lane(&1));
        query.take(2, "second", true);
        assert!(!query.from_lane(&1));
        assert_eq!(query.held(), Some((&1, &"first")));
    }

    #[test]
    fn an_older_answer_stays_on_show_but_is_not_the_one_that_is_awaited() {
        let mut query = Query::default();
        query.from_lane(&1);
        query.from_lane(&2);
        query.take(1, "old", true);
        assert!(!query.from_lane(&2));
        assert_eq!(
            (query.state(), query.held()),
            (State::Running, Some((&1, &"old")))
        );
    }

    #[test]
    fn parts_of_one_key_add_up_and_another_key_begins_anew() {
        let mut query: Query<&str, Vec<i32>> = Query::default();
        query.ask("a");
        query.grow("a", false, |all| all.push(1));
        query.grow("a", true, |all| all.push(2));
        query.end();
        assert_eq!((query.value(), query.failure()), (Some(&vec![1, 2]), None));
        query.grow("b", true, |all| all.push(3));
        assert_eq!(query.held(), Some((&"b", &vec![3])));
    }
}
