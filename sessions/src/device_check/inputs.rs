//! Numbers that an operation is tried on, the same for both devices.

use candle_core::{DType, Device, Result, Tensor};

/// Where the inputs of an operation lie, and how they are rounded.
pub(super) struct Inputs<'a> {
    pub(super) device: &'a Device,
    pub(super) dtype: DType,
    /// The format of the run that is checked: the processor takes its inputs as exactly the same numbers.
    pub(super) rounded_to: DType,
}

impl Inputs<'_> {
    /// Numbers between -2 and 2 in no order.
    pub(super) fn tensor(&self, shape: &[usize], seed: u32) -> Result<Tensor> {
        let count: usize = shape.iter().product();
        let values: Vec<f32> = (0..count)
            .map(|index| {
                let mixed =
                    (index as u32 + 1).wrapping_mul(2_654_435_761) ^ seed.wrapping_mul(0x9e37_79b9);
                (mixed >> 8) as f32 / (1 << 22) as f32 - 2.0
            })
            .collect();
        Tensor::from_vec(values, shape, &Device::Cpu)?
            .to_dtype(self.rounded_to)?
            .to_dtype(self.dtype)?
            .to_device(self.device)
    }

    pub(super) fn indices(&self, indices: &[u32]) -> Result<Tensor> {
        Tensor::new(indices, self.device)
    }
}
