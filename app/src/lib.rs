//! KVLens.
