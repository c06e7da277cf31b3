//! What a demo shows.

/// The windows of the demo and of the lessons: the last prompt window in two widths, and every proxy that looks
/// ahead, the trained ones with the files that the built-in model brings along.
pub const DEMO_WINDOWS: [&str; 6] = [
    "last:32",
    "last:8",
    "laq:n=8",
    "dapq:n=32",
    "judge-q",
    "lookahead-kv",
];

/// The windows of a demo with a model of the user's own: those that need no training.
pub const UNTRAINED_WINDOWS: [&str; 5] = ["last:32", "last:8", "laq:n=8", "laq++", "dapq:n=32"];
