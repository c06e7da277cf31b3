//! Files that are there whole or not at all, and tensors as bytes that are the same every time.

mod atomic;
mod serialized;

pub(crate) use atomic::write_file;
pub(crate) use serialized::serialized;
