//! One file per question: what is asked, what the document must hold, and what resembles it.

pub(super) mod facts;
pub(super) mod key_value;
pub(super) mod list;
pub(super) mod needles;
pub(super) mod passage;
pub(super) mod variables;
