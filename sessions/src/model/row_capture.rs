//! Keeping the queries and log-sum-exps of chosen rows while the model runs.

use candle_core::{DType, Device, Tensor};

use crate::SessionError;

/// Keeps, in every layer, the rows at cache index `first_index` and after.
///
/// What is kept is a view of what the forward pass makes anyway, so capturing costs only memory.
#[derive(Debug)]
pub(crate) struct RowCapture {
    first_index: usize,
    layers: Vec<LayerRows>,
}

#[derive(Debug, Default)]
struct LayerRows {
    /// Pieces `[H, r, D]`, after rotation.
    queries: Vec<Tensor>,
    /// Pieces `[H, r]`.
    log_sum_exp: Vec<Tensor>,
}

/// Rows of every layer, on the CPU.
#[derive(Debug, Clone)]
pub(crate) struct CapturedRows {
    /// `[L, H, W, D]`, in the model's dtype.
    pub(crate) queries: Tensor,
    /// `[L, H, W]`, f32.
    pub(crate) log_sum_exp: Tensor,
}

impl RowCapture {
    pub(crate) fn new(layers: usize, first_index: usize) -> Self {
        Self {
            first_index,
            layers: std::iter::repeat_with(LayerRows::default)
                .take(layers)
                .collect(),
        }
    }

    /// Whether any row before a cache index is to be kept.
    pub(crate) fn wants_rows_before(&self, end: usize) -> bool {
        self.first_index < end
    }

    /// Offers the rows of one layer, `[H, R, D]` and `[H, R]`, that stand at `first_index..first_index + R`.
    pub(crate) fn offer(
        &mut self,
        layer: usize,
        first_index: usize,
        queries: &Tensor,
        log_sum_exp: &Tensor,
    ) -> Result<(), SessionError> {
        let rows = queries.dim(1)?;
        let skipped = self.first_index.saturating_sub(first_index);
        if skipped >= rows {
            return Ok(());
        }
        if let Some(kept) = self.layers.get_mut(layer) {
            kept.queries
                .push(queries.narrow(1, skipped, rows - skipped)?);
            kept.log_sum_exp
                .push(log_sum_exp.narrow(1, skipped, rows - skipped)?);
        }
        Ok(())
    }

    /// What was kept of each layer so far, on the device: `[H, r, D]` and `[H, r]`. Nothing stays.
    pub(crate) fn take(&mut self) -> Result<Vec<(Tensor, Tensor)>, SessionError> {
        let layers = self.layers.iter_mut().map(std::mem::take);
        layers
            .map(|layer| {
                Ok((
                    Tensor::cat(&layer.queries, 1)?,
                    Tensor::cat(&layer.log_sum_exp, 1)?,
                ))
            })
            .collect()
    }

    /// Brings everything to the CPU.
    pub(crate) fn finish(self) -> Result<CapturedRows, SessionError> {
        let mut queries = Vec::with_capacity(self.layers.len());
        let mut log_sums = Vec::with_capacity(self.layers.len());
        for layer in &self.layers {
            queries.push(Tensor::cat(&layer.queries, 1)?.to_device(&Device::Cpu)?);
            log_sums.push(
                Tensor::cat(&layer.log_sum_exp, 1)?
                    .to_dtype(DType::F32)?
                    .to_device(&Device::Cpu)?,
            );
        }
        Ok(CapturedRows {
            queries: Tensor::stack(&queries, 0)?,
            log_sum_exp: Tensor::stack(&log_sums, 0)?,
        })
    }
}

impl CapturedRows {
    /// The last `rows` of the captured rows.
    pub(crate) fn last(&self, rows: usize) -> Result<Self, SessionError> {
        let captured = self.queries.dim(2)?;
        let start = captured
            .checked_sub(rows)
            .ok_or_else(|| SessionError::Plan {
                reason: format!("{rows} rows were asked for, but prefill kept only {captured}"),
            })?;
        Ok(Self {
            queries: self.queries.narrow(2, start, rows)?.contiguous()?,
            log_sum_exp: self.log_sum_exp.narrow(2, start, rows)?.contiguous()?,
        })
    }
}
