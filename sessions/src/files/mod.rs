//! Files that are there whole or not at all, that tell when they were changed, that are locked and read within bounds,
//! and tensors as bytes that are the same every time.

mod atomic;
mod bounded;
mod lock;
mod seal;
mod serialized;

pub(crate) use atomic::write_file;
pub(crate) use bounded::read_at_most;
pub(crate) use lock::{OwnedLock, Tried, try_lock};
pub(crate) use seal::{UNSEALED, is_sealed, seal};
pub(crate) use serialized::serialized;
