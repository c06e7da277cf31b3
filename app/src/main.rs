//! KVLens.
fn main() {}
