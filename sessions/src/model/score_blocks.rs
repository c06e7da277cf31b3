//! How many rows meet their keys at a time, and which of the keys they see.

use std::ops::Range;

use candle_core::{DType, Device, Tensor};

use crate::SessionError;

/// Bounds on a block of attention rows, whose scores are the only thing that would grow as T x T.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ScoreBlocks {
    /// Of the scores of a block, f32.
    bytes: usize,
    /// More rows would waste work on keys that the first of them cannot see.
    rows: usize,
}

impl ScoreBlocks {
    /// On a processor a block's scores are to stay in its cache. A GPU wants enough rows to be busy, and each
    /// operation on a block costs it a launch.
    pub(crate) fn on(is_gpu: bool) -> Self {
        let (bytes, rows) = if is_gpu {
            (256 << 20, 512)
        } else {
            (32 << 20, 128)
        };
        Self { bytes, rows }
    }

    pub(crate) fn of(device: &Device) -> Self {
        Self::on(!device.is_cpu())
    }

    /// Rows of a block over `keys` keys, at least one.
    pub(crate) fn rows(self, query_heads: usize, keys: usize) -> usize {
        let row = Self::row_bytes(query_heads, keys);
        (self.bytes / row.max(1)).clamp(1, self.rows)
    }

    /// Bytes of the scores of one row.
    pub(crate) fn row_bytes(query_heads: usize, keys: usize) -> usize {
        query_heads
            .saturating_mul(keys)
            .saturating_mul(DType::F32.size_in_bytes())
    }
}

/// What is added to the scores of rows that see themselves and what lies before them, at most `sliding_window` keys
/// in all: `[queries, keys]` f32 of 0 and minus infinity, for queries and keys by their indices in the cache.
///
/// # Errors
/// [`SessionError::Tensor`] if the device has not that much memory.
pub(crate) fn causal_mask(
    queries: Range<usize>,
    keys: Range<usize>,
    sliding_window: Option<usize>,
    device: &Device,
) -> Result<Tensor, SessionError> {
    if device.is_cpu() {
        written_out(queries, keys, sliding_window)
    } else {
        compared(queries, keys, sliding_window, device)
    }
}

/// Made by a loop, which a processor does faster than several passes.
fn written_out(
    queries: Range<usize>,
    keys: Range<usize>,
    sliding_window: Option<usize>,
) -> Result<Tensor, SessionError> {
    let shape = (queries.len(), keys.len());
    let mut values = Vec::with_capacity(queries.len() * keys.len());
    for query in queries {
        let first_seen = sliding_window.map_or(0, |window| (query + 1).saturating_sub(window));
        values.extend(keys.clone().map(|key| {
            if (first_seen..=query).contains(&key) {
                0.0_f32
            } else {
                f32::NEG_INFINITY
            }
        }));
    }
    Ok(Tensor::from_vec(values, shape, &Device::Cpu)?)
}

/// Made where the scores are: only the indices of one row and one column travel there.
fn compared(
    queries: Range<usize>,
    keys: Range<usize>,
    sliding_window: Option<usize>,
    device: &Device,
) -> Result<Tensor, SessionError> {
    let shape = (queries.len(), keys.len());
    let queries_end = queries.end;
    let indices =
        |range: Range<usize>| Tensor::arange(range.start as u32, range.end as u32, device);
    let own = indices(queries)?.reshape((shape.0, 1))?;
    let mut hidden = indices(keys.clone())?.broadcast_gt(&own)?;
    // a window that reaches back to the first key hides nothing; one of 2^32 keys would not fit the indices
    let narrow = sliding_window.filter(|&window| window < queries_end);
    if let Some(window) = narrow {
        // a query sees a key when it is less than a window behind
        let last_seen_by = indices(keys.start + window..keys.end + window)?;
        hidden = hidden.maximum(&last_seen_by.broadcast_le(&own)?)?;
    }
    let value = |value: f32| Tensor::new(value, device)?.broadcast_as(shape);
    Ok(hidden.where_cond(&value(f32::NEG_INFINITY)?, &value(0.0)?)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn same(queries: Range<usize>, keys: Range<usize>, window: Option<usize>) {
        let loops = written_out(queries.clone(), keys.clone(), window).unwrap();
        let passes = compared(queries, keys, window, &Device::Cpu).unwrap();
        assert_eq!(
            loops.to_vec2::<f32>().unwrap(),
            passes.to_vec2::<f32>().unwrap()
        );
    }

    #[test]
    fn both_ways_hide_the_same_keys() {
        for window in [None, Some(1), Some(3), Some(100), Some(u32::MAX as usize)] {
            same(0..5, 0..5, window);
            same(7..12, 0..12, window);
            same(7..12, 5..12, window);
            same(3..4, 0..9, window);
        }
    }

    #[test]
    fn a_query_sees_itself_and_a_window_back() {
        let mask = causal_mask(2..4, 0..5, Some(2), &Device::Cpu).unwrap();
        let hidden = f32::NEG_INFINITY;
        let expected = [
            [hidden, 0.0, 0.0, hidden, hidden],
            [hidden, hidden, 0.0, 0.0, hidden],
        ];
        assert_eq!(mask.to_vec2::<f32>().unwrap(), expected);
    }

    #[test]
    fn a_block_has_a_row_at_least_and_keeps_to_its_bytes() {
        assert_eq!(ScoreBlocks::on(false).rows(4, 100), 128);
        assert_eq!(ScoreBlocks::on(false).rows(32, 32_768), 8);
        assert_eq!(ScoreBlocks::on(true).rows(32, 32_768), 64);
        assert_eq!(ScoreBlocks::on(true).rows(usize::MAX, usize::MAX), 1);
    }
}
