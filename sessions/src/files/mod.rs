//! Files that are there whole or not at all, that tell when they were changed, that are locked and read within bounds,
//! and tensors as bytes that are the same every time.

mod atomic;
mod lines;
mod lock;
mod seal;
mod serialized;

pub use atomic::write_file;
pub(crate) use atomic::{copy_file, fill_file};
pub use lines::SealedLines;
pub(crate) use lines::{ReadLines, read_lines};
pub use lock::OwnedLock;
pub(crate) use lock::{Tried, try_lock};
pub(crate) use seal::{UNSEALED, is_sealed, seal};
pub(crate) use serialized::serialized;
