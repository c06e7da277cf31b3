//! Flash attention where a device has it, against attention in blocks on the processor, in single precision.

use candle_core::{DType, Device};
use serde_json::json;

use super::DeviceCheckPlan;
use super::inputs::Inputs;
use super::stage::{Findings, bound_in_roundoffs, numbers};
use crate::SessionError;
use crate::model::{DtypeChoice, Kernels, Masks, RowsOnKeys, attend, flash_unavailable};

/// Numbers of a head: of the kernels that a build has by default, and one that such a kernel runs though it is smaller.
const HEADS: [usize; 5] = [64, 80, 96, 128, 256];
/// Rows of a prompt's later part and the keys before their end: no multiples of what a kernel takes at a time.
const ROWS: usize = 75;
const KEYS: usize = 203;
/// Query heads, and those of keys and values.
const GROUPED: [usize; 2] = [4, 2];
/// Roundoffs of what a kernel rounds to its format: weights before it adds values up, and the sum.
const ROUNDOFFS: f32 = 8.0;
/// Roundoffs of single precision, in which products of rows of up to 256 numbers are summed.
const ROUNDOFFS_OF_SUMS: f32 = 64.0;

/// The rows' contexts `[H, R, D]`, one number after the other.
fn contexts(
    inputs: &Inputs<'_>,
    head_dim: usize,
    kernels: Kernels,
) -> Result<Vec<f32>, SessionError> {
    let [heads, kv_heads] = GROUPED;
    let rows = RowsOnKeys {
        queries: &inputs.tensor(&[heads, ROWS, head_dim], 1)?,
        keys: &inputs.tensor(&[kv_heads, KEYS, head_dim], 2)?,
        first_index: KEYS - ROWS,
        sliding_window: None,
        hidden_keys: None,
        masks: &Masks::before(KEYS, kernels),
        kernels,
    };
    let values = inputs.tensor(&[kv_heads, KEYS, head_dim], 3)?;
    numbers(&attend(&rows, &values, 0, &mut [])?)
}

pub(super) fn check(
    plan: &DeviceCheckPlan,
    findings: &mut Findings<'_>,
) -> Result<(), SessionError> {
    let device = plan.device.open()?.device;
    let flash = Kernels {
        flash: true,
        ..Kernels::of_gpu()
    };
    for &format in &plan.formats {
        let dtype = format.resolve(&device, None)?;
        for head_dim in HEADS {
            findings.cancel.check()?;
            let what = format!("heads of {head_dim} numbers in {format}");
            // the processor's kernel runs them all
            let unavailable =
                (!device.is_cpu()).then(|| flash_unavailable(&device, dtype, head_dim));
            if let Some(reason) = unavailable.flatten() {
                findings.measured(json!({"what": what, "left_out": reason}));
                continue;
            }
            let run = |device: &Device, dtype: DType, rounded_to: DType, kernels: Kernels| {
                let inputs = Inputs {
                    device,
                    dtype,
                    rounded_to,
                };
                contexts(&inputs, head_dim, kernels)
            };
            let blocks = Kernels::of(&Device::Cpu);
            let expected = run(&Device::Cpu, DType::F32, dtype, blocks)?;
            let found = run(&device, dtype, dtype, flash)?;
            let bound = bound_in_roundoffs(ROUNDOFFS, format)
                .max(bound_in_roundoffs(ROUNDOFFS_OF_SUMS, DtypeChoice::F32));
            findings.compare(&what, &found, &expected, bound);
        }
    }
    Ok(())
}
