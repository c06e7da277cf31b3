//! Panics of libraries that take their input for granted, caught without a word on stderr.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::sync::Once;

thread_local! {
    /// Whether a panic of this thread is about to be caught.
    static IS_CAUGHT: Cell<bool> = const { Cell::new(false) };
}

/// What `call` gives, or `None` where it panics. Nothing that it was changing may be used after that.
pub(crate) fn unless_it_panics<T>(call: impl FnOnce() -> T) -> Option<T> {
    hush_caught_panics();
    let before = IS_CAUGHT.replace(true);
    let outcome = catch_unwind(AssertUnwindSafe(call));
    IS_CAUGHT.set(before);
    outcome.ok()
}

/// The report that a panic writes is for those that nobody catches.
fn hush_caught_panics() {
    static HUSHED: Once = Once::new();
    HUSHED.call_once(|| {
        let report = take_hook();
        set_hook(Box::new(move |panic| {
            if !IS_CAUGHT.get() {
                report(panic);
            }
        }));
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_nothing_and_later_ones_are_reported_again() {
        assert_eq!(unless_it_panics(|| 3), Some(3));
        let empty: Vec<u8> = Vec::new();
        assert_eq!(unless_it_panics(|| empty[0]), None);
        assert!(!IS_CAUGHT.get());
    }
}
