//! How many rows meet their keys at a time.

use candle_core::DType;

/// Bounds on a block of attention rows, whose scores are the only thing that would grow as T x T.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_has_a_row_at_least_and_keeps_to_its_bytes() {
        assert_eq!(ScoreBlocks::on(false).rows(4, 100), 128);
        assert_eq!(ScoreBlocks::on(false).rows(32, 32_768), 8);
        assert_eq!(ScoreBlocks::on(true).rows(32, 32_768), 64);
        assert_eq!(ScoreBlocks::on(true).rows(usize::MAX, usize::MAX), 1);
    }
}
