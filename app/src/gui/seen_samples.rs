//! Samples that were on show: another look at one takes a frame, and not another measurement.

use super::data::Shown;
use crate::measurement::{MeasureOptions, MeasuredSample};

/// Bytes that all of them may hold. The one on show is not kept for its own sake, so one more fits.
const ROOM_BYTES: usize = 512 << 20;

/// Bytes that a measured sample holds for each token, head and window: the score, and its places in two rankings.
const BYTES_PER_SCORE: usize = 12;

/// The samples, the least recently shown first.
#[derive(Default)]
pub struct SeenSamples {
    held: Vec<Seen>,
}

/// A sample as it was shown of a session that was opened so and so often.
struct Seen {
    opened: u64,
    shown: Shown,
    bytes: usize,
}

impl SeenSamples {
    /// Keeps a sample of an open session; those of sessions that are closed go, and then the least recently shown ones
    /// until all have room.
    pub fn keep(&mut self, opened: u64, shown: &Shown, is_open: impl Fn(u64) -> bool) {
        self.held.retain(|seen| {
            is_open(seen.opened) && (seen.opened, seen.shown.version) != (opened, shown.version)
        });
        self.held.push(Seen {
            opened,
            shown: shown.clone(),
            bytes: bytes_of(&shown.sample),
        });
        while self.held.len() > 1
            && self.held.iter().map(|seen| seen.bytes).sum::<usize>() > ROOM_BYTES
        {
            self.held.remove(0);
        }
    }

    /// The sample of this number and name, if it was measured by these options before.
    pub fn find(
        &self,
        opened: u64,
        (index, id): (usize, &str),
        options: &MeasureOptions,
    ) -> Option<Shown> {
        let found = self.held.iter().find(|seen| {
            let shown = &seen.shown;
            let is_same = (seen.opened, shown.index, &shown.options) == (opened, index, options);
            is_same && shown.sample.record.id == id
        });
        found.map(|seen| seen.shown.clone())
    }
}

fn bytes_of(sample: &MeasuredSample) -> usize {
    let windows = sample.windows.iter();
    let scores: usize = windows
        .map(|window| window.comparison.layers * window.comparison.heads)
        .sum();
    BYTES_PER_SCORE * scores * sample.record.prompt_ids.len()
}
