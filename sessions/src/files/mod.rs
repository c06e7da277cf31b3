//! Files that are there whole or not at all, that tell when they were changed, that are locked and read within bounds,
//! and tensors as bytes that are the same every time.

mod atomic;
mod bounded;
mod lock;
mod seal;
mod serialized;

pub(crate) use atomic::copy_file;
pub use atomic::write_file;
pub(crate) use bounded::read_at_most;
pub use lock::OwnedLock;
pub(crate) use lock::{Tried, try_lock};
pub(crate) use seal::{UNSEALED, is_sealed, seal};
pub(crate) use serialized::serialized;
