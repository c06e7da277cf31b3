//! What the built-in model is shown with.

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
