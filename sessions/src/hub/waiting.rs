//! Waiting for the network without waiting for a cancel.

use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::time::Duration;

use crate::{CancelFlag, SessionError};

/// How often Cancel is looked at while nothing comes.
pub(super) const LOOK_EVERY: Duration = Duration::from_millis(100);

/// What a blocking call gives, made on a thread of its own: after a cancel nobody waits for it.
pub(super) fn answer_of<T: Send + 'static>(
    call: impl FnOnce() -> T + Send + 'static,
    cancel: &CancelFlag,
) -> Result<T, SessionError> {
    let (sender, receiver) = sync_channel(1);
    std::thread::spawn(move || {
        // nobody is left to be told after a cancel
        let _ = sender.send(call());
    });
    loop {
        cancel.check()?;
        match receiver.recv_timeout(LOOK_EVERY) {
            Ok(answer) => return Ok(answer),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => {
                return Err(SessionError::Internal {
                    reason: "the thread that asked the hub ended without an answer".to_owned(),
                });
            }
        }
    }
}
