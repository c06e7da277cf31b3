//! A stable radix sort of scores by two digits, least digit first, with whatever the digits leave open put
//! right afterwards.
//!
//! The digits are the highest bits of what the scores differ in, so that two passes tell nearly all of
//! thousands of scores apart. Scores that agree in both digits form a cell. The second pass notices where
//! one comes behind a smaller one, and only such cells are sorted again.

use std::mem::replace;

use super::SortKeys;

/// Scores below which sorting by comparison is faster than counting digits.
const FEWEST_TO_COUNT: usize = 1024;

/// Bits of the two digits. More of them leave fewer cells to sort again, but the places that the passes
/// write to then no longer fit in the nearest cache.
const LOW_BITS: u32 = 9;
const HIGH_BITS: u32 = 12;
const LOW_VALUES: usize = 1 << LOW_BITS;
const HIGH_VALUES: usize = 1 << HIGH_BITS;

/// The buffers of a sort, to be used again.
///
/// An entry is a key and a label: the upper half orders as the scores do, largest first, the lower half
/// says whose score it is.
#[derive(Default)]
pub(super) struct DigitSort {
    keys: Vec<u32>,
    by_low_digit: Vec<u64>,
    sorted: Vec<u64>,
    misplaced: Vec<u32>,
}

pub(super) fn label_of(entry: u64) -> u32 {
    entry as u32
}

pub(super) fn key_of(entry: u64) -> u32 {
    (entry >> 32) as u32
}

pub(super) fn entry(key: u32, label: u32) -> u64 {
    (u64::from(key) << 32) | u64::from(label)
}

impl DigitSort {
    /// Sorts from the largest key to the smallest, equal keys in the order given.
    pub(super) fn sort(&mut self, keys: SortKeys<'_>, label: impl Fn(usize) -> u32) {
        let Some(tie_break) = keys.tie_break else {
            return self.sort_scores(keys.scores, label);
        };
        self.sort_scores(keys.scores, |index| index as u32);
        order_ties(&mut self.sorted, tie_break);
        for slot in &mut self.sorted {
            *slot = entry(key_of(*slot), label(label_of(*slot) as usize));
        }
    }

    /// Sorts from the largest score to the smallest, equal scores in the order given.
    fn sort_scores(&mut self, scores: &[f32], label: impl Fn(usize) -> u32) {
        self.sorted.resize(scores.len(), 0);
        if scores.len() < FEWEST_TO_COUNT {
            self.sort_by_comparison(scores, label);
        } else {
            let width = self.take_keys(scores);
            self.sort_by_digits(width.saturating_sub(LOW_BITS + HIGH_BITS), label);
        }
    }

    /// The labels of the last sort, best first.
    pub(super) fn labels(&self) -> impl ExactSizeIterator<Item = u32> {
        self.sorted.iter().map(|&entry| label_of(entry))
    }

    fn sort_by_comparison(&mut self, scores: &[f32], label: impl Fn(usize) -> u32) {
        for (index, (slot, &score)) in self.sorted.iter_mut().zip(scores).enumerate() {
            *slot = entry(descending_key(score), index as u32);
        }
        // The index below the key makes all entries different, and ties go by it.
        self.sorted.sort_unstable();
        for slot in &mut self.sorted {
            *slot = entry(key_of(*slot), label(label_of(*slot) as usize));
        }
    }

    /// Sets the keys, 0 for the largest score, and gives the number of bits that they have.
    fn take_keys(&mut self, scores: &[f32]) -> u32 {
        let ends = (i32::MAX, i32::MIN);
        let (lowest, highest) = scores.iter().fold(ends, |(low, high), &score| {
            let key = ascending(score);
            (low.min(key), high.max(key))
        });
        self.keys.clear();
        let below_highest = |score: &f32| highest.wrapping_sub(ascending(*score)) as u32;
        self.keys.extend(scores.iter().map(below_highest));
        u32::BITS - highest.abs_diff(lowest).leading_zeros()
    }

    /// Sorts by the bits from `shift` on, then within the cells by all bits.
    fn sort_by_digits(&mut self, shift: u32, label: impl Fn(usize) -> u32) {
        let digits = Digits { shift };
        let (mut low, mut high) = ([0; LOW_VALUES], [0; HIGH_VALUES]);
        for &key in &self.keys {
            low[digits.low(key)] += 1;
            high[digits.high(key)] += 1;
        }
        starts_from_counts(&mut low);
        starts_from_counts(&mut high);
        self.by_low_digit.resize(self.keys.len(), 0);
        sort_by_low_digit(&self.keys, digits, low, label, &mut self.by_low_digit);
        self.misplaced.clear();
        let (sorted, misplaced) = (&mut self.sorted, &mut self.misplaced);
        sort_by_high_digit(&self.by_low_digit, digits, &high, sorted, misplaced);
        for &place in misplaced.iter() {
            sort_cell_at(sorted, place as usize, digits);
        }
    }
}

/// How a key is cut into digits.
#[derive(Clone, Copy)]
struct Digits {
    shift: u32,
}

impl Digits {
    fn low(self, key: u32) -> usize {
        (key >> self.shift) as usize % LOW_VALUES
    }

    fn high(self, key: u32) -> usize {
        (key >> self.shift >> LOW_BITS) as usize % HIGH_VALUES
    }

    /// Both digits, equal for the entries of a cell.
    fn cell(self, entry: u64) -> u32 {
        key_of(entry) >> self.shift
    }
}

/// The first pass: keys become entries, by the low digit. `next` has the place of each digit's next entry.
///
/// Two keys are placed at a time, and the places of both are read before either is written. One by one,
/// each read would have to wait until it is known where the write before it goes.
fn sort_by_low_digit(
    keys: &[u32],
    digits: Digits,
    mut next: [u32; LOW_VALUES],
    label: impl Fn(usize) -> u32,
    by_low_digit: &mut [u64],
) {
    let (pairs, last) = keys.as_chunks::<2>();
    for (&[first, second], index) in pairs.iter().zip((0..).step_by(2)) {
        let (of_first, of_second) = (digits.low(first), digits.low(second));
        let place = next[of_first];
        let place_of_second = next[of_second] + u32::from(of_first == of_second);
        next[of_first] = place + 1;
        next[of_second] = place_of_second + 1;
        by_low_digit[place as usize] = entry(first, label(index));
        by_low_digit[place_of_second as usize] = entry(second, label(index + 1));
    }
    for &key in last {
        by_low_digit[next[digits.low(key)] as usize] = entry(key, label(keys.len() - 1));
    }
}

/// The second pass, by the high digit, two entries at a time as in the first. `starts` has the place of
/// each digit's first entry. Places of entries behind a larger one of their cell are added to `misplaced`.
fn sort_by_high_digit(
    by_low_digit: &[u64],
    digits: Digits,
    starts: &[u32; HIGH_VALUES],
    sorted: &mut [u64],
    misplaced: &mut Vec<u32>,
) {
    // Of each digit, the key of its last entry and the place of its next one, packed as entries are.
    let mut streams = [0; HIGH_VALUES];
    for (stream, &start) in streams.iter_mut().zip(starts) {
        *stream = entry(0, start);
    }
    let (pairs, last) = by_low_digit.as_chunks::<2>();
    for &[first, second] in pairs {
        let of_first = digits.high(key_of(first));
        let of_second = digits.high(key_of(second));
        let (before_first, before_second) = (streams[of_first], streams[of_second]);
        let same = of_first == of_second;
        let place = label_of(before_first);
        let place_of_second = label_of(before_second) + u32::from(same);
        let key_before_second = if same {
            key_of(first)
        } else {
            key_of(before_second)
        };
        streams[of_first] = entry(key_of(first), place + 1);
        streams[of_second] = entry(key_of(second), place_of_second + 1);
        sorted[place as usize] = first;
        sorted[place_of_second as usize] = second;
        if key_of(first) < key_of(before_first) {
            misplaced.push(place);
        }
        if key_of(second) < key_before_second {
            misplaced.push(place_of_second);
        }
    }
    for &entry in last {
        let before = streams[digits.high(key_of(entry))];
        sorted[label_of(before) as usize] = entry;
        if key_of(entry) < key_of(before) {
            misplaced.push(label_of(before));
        }
    }
}

/// Turns the number of entries of each digit into the place of the first of them.
fn starts_from_counts(counts: &mut [u32]) {
    let mut start = 0;
    for count in counts {
        start += replace(count, start);
    }
}

/// Sorts the cell that a place belongs to, if that was not done yet.
fn sort_cell_at(sorted: &mut [u64], place: usize, digits: Digits) {
    if key_of(sorted[place - 1]) <= key_of(sorted[place]) {
        return;
    }
    let cell = digits.cell(sorted[place]);
    let outside = |entry: &u64| digits.cell(*entry) != cell;
    let start = sorted[..place]
        .iter()
        .rposition(outside)
        .map_or(0, |last| last + 1);
    let length = sorted[place..].iter().position(outside);
    let end = length.map_or(sorted.len(), |length| place + length);
    sorted[start..end].sort_by_key(|&entry| key_of(entry));
}

/// Puts every run of entries of equal keys into the order of another score, the largest first; entries that are
/// equal in that as well by their labels, which are the indices of their scores.
pub(super) fn order_ties(sorted: &mut [u64], tie_break: &[f32]) {
    for run in sorted.chunk_by_mut(|&a, &b| key_of(a) == key_of(b)) {
        if run.len() > 1 {
            let key = |label: u32| descending_key(tie_break[label as usize]);
            run.sort_unstable_by_key(|&tied| entry(key(label_of(tied)), label_of(tied)));
        }
    }
}

const SIGN: u32 = 1 << 31;

/// A number that is the smaller the larger the score is, with both zeros equal.
fn descending_key(score: f32) -> u32 {
    u32::MAX - (ascending(score) as u32 ^ SIGN)
}

/// A number that orders as the score does, with both zeros equal.
pub(super) fn ascending(score: f32) -> i32 {
    // Adding zero turns -0.0 into 0.0, which must tie with it.
    let bits = (score + 0.0).to_bits() as i32;
    // Of negative numbers, all bits but the sign are turned round.
    bits ^ ((bits >> 31) as u32 >> 1) as i32
}
