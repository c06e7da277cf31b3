//! Attention by a kernel that writes no scores down (FlashAttention-2, Dao 2023, arXiv 2307.08691), for rows of which
//! nothing but the context is wanted: it gives no log-sum-exps.

use std::fmt;
use std::str::FromStr;

use candle_core::{DType, Tensor};
use candle_nn::attention::{AttnMask, cpu_flash};
use serde::{Deserialize, Serialize};

use super::rows_on_keys::RowsOnKeys;
use crate::SessionError;

/// How rows of the prompt of which nothing is kept meet their keys. Written as `blocks` or `flash`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum AttentionKernel {
    /// In blocks of queries, as the rows of which something is kept.
    #[default]
    Blocks,
    /// By candle's flash attention where it can: on CUDA in f16 or bf16 with heads of up to 256 numbers, if the
    /// program was built with `flash-attn`; on the processor where there is no sliding window, which is slower than
    /// blocks and there to be checked against them. Elsewhere in blocks.
    Flash,
}

impl AttentionKernel {
    /// Whether it is the one that plans which do not say have.
    pub(crate) fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

impl fmt::Display for AttentionKernel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Blocks => "blocks",
            Self::Flash => "flash",
        })
    }
}

impl FromStr for AttentionKernel {
    type Err = SessionError;

    fn from_str(text: &str) -> Result<Self, SessionError> {
        match text {
            "blocks" => Ok(Self::Blocks),
            "flash" => Ok(Self::Flash),
            _ => Err(SessionError::Plan {
                reason: format!("unknown attention kernel '{text}'; use blocks or flash"),
            }),
        }
    }
}

impl TryFrom<String> for AttentionKernel {
    type Error = SessionError;

    fn try_from(text: String) -> Result<Self, SessionError> {
        text.parse()
    }
}

impl From<AttentionKernel> for String {
    fn from(kernel: AttentionKernel) -> Self {
        kernel.to_string()
    }
}

/// The context `[H, R, D]` of the rows, or none where no kernel does what is asked for.
pub(super) fn context(
    rows: &RowsOnKeys<'_>,
    values: &Tensor,
) -> Result<Option<Tensor>, SessionError> {
    let wanted = rows.kernels.flash && !rows.kernels.gradients && rows.hidden_keys.is_none();
    // a single row has no scores worth saving
    if !wanted || rows.queries.dim(1)? == 1 {
        return Ok(None);
    }
    match (rows.queries.device().is_cpu(), rows.sliding_window) {
        (true, None) => on_processor(rows, values).map(Some),
        (true, Some(_)) => Ok(None),
        (false, _) => on_card(rows, values),
    }
}

/// candle's kernels take `[1, rows, heads, D]`.
fn rows_first(heads_first: &Tensor) -> Result<Tensor, SessionError> {
    Ok(heads_first.transpose(0, 1)?.unsqueeze(0)?)
}

fn scale(rows: &RowsOnKeys<'_>) -> Result<f32, SessionError> {
    Ok(1.0 / (rows.queries.dim(2)? as f32).sqrt())
}

fn on_processor(rows: &RowsOnKeys<'_>, values: &Tensor) -> Result<Tensor, SessionError> {
    let of = |tensor: &Tensor| {
        let contiguous = rows_first(tensor)?.contiguous()?;
        Ok::<_, SessionError>(contiguous.to_dtype(DType::F32)?)
    };
    let context = cpu_flash::flash_attn::<f32>(
        &of(rows.queries)?,
        &of(rows.keys)?,
        &of(values)?,
        scale(rows)?,
        AttnMask::causal_with_offset(rows.first_index),
        None,
        None,
    )?;
    Ok(context.squeeze(0)?.to_dtype(rows.queries.dtype())?)
}

#[cfg(feature = "flash-attn")]
fn on_card(rows: &RowsOnKeys<'_>, values: &Tensor) -> Result<Option<Tensor>, SessionError> {
    const LARGEST_HEAD: usize = 256;
    let head_dim = rows.queries.dim(2)?;
    let is_half = matches!(rows.queries.dtype(), DType::F16 | DType::BF16);
    let fits = head_dim <= LARGEST_HEAD && head_dim.is_multiple_of(8);
    if !(rows.queries.device().is_cuda() && is_half && fits) {
        return Ok(None);
    }
    // the kernel counts back from the row itself, which it sees in any case
    let seen_behind = rows.sliding_window.map(|window| window.saturating_sub(1));
    let context = candle_flash_attn::flash_attn_windowed(
        &rows_first(rows.queries)?,
        &rows_first(rows.keys)?,
        &rows_first(values)?,
        scale(rows)?,
        seen_behind,
        Some(0),
    )?;
    Ok(Some(context.squeeze(0)?.transpose(0, 1)?.contiguous()?))
}

#[cfg(not(feature = "flash-attn"))]
fn on_card(_rows: &RowsOnKeys<'_>, _values: &Tensor) -> Result<Option<Tensor>, SessionError> {
    Ok(None)
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::super::attention::attend;
    use super::super::kernels::Kernels;
    use super::super::tap::{LayerTap, Taps};
    use super::*;

    fn random(heads: usize, rows: usize) -> Tensor {
        Tensor::randn(0.0_f32, 1.0, (heads, rows, 16), &Device::Cpu).unwrap()
    }

    /// Asks for the weights, which a flash kernel has not.
    struct WeightsWanted;

    impl LayerTap for WeightsWanted {
        fn wants_weights(&self) -> bool {
            true
        }
    }

    /// Blocks and the kernel on five rows behind seven others, four query heads on two of keys.
    fn attended(sliding_window: Option<usize>, taps: Taps<'_, '_>) -> [Vec<f32>; 2] {
        let (queries, keys, values) = (random(4, 5), random(2, 12), random(2, 12));
        [false, true].map(|flash| {
            let rows = RowsOnKeys {
                queries: &queries,
                keys: &keys,
                first_index: 7,
                sliding_window,
                hidden_keys: None,
                kernels: Kernels {
                    flash,
                    ..Kernels::of(&Device::Cpu)
                },
            };
            let context = attend(&rows, &values, 0, taps).unwrap();
            context.flatten_all().unwrap().to_vec1().unwrap()
        })
    }

    #[test]
    fn the_kernel_gives_the_context_of_the_blocks() {
        let [blocks, flash] = attended(None, &mut []);
        assert_ne!(blocks, flash, "the kernel did not run");
        for (blocks, flash) in blocks.iter().zip(&flash) {
            assert!((blocks - flash).abs() < 1e-5);
        }
    }

    #[test]
    fn blocks_do_what_the_kernel_cannot() {
        let [blocks, flash] = attended(Some(3), &mut []);
        assert_eq!(blocks, flash);
        let [blocks, flash] = attended(None, &mut [&mut WeightsWanted]);
        assert_eq!(blocks, flash);
    }

    #[test]
    fn a_kernel_is_written_as_it_is_read() {
        for kernel in [AttentionKernel::Blocks, AttentionKernel::Flash] {
            assert_eq!(
                kernel.to_string().parse::<AttentionKernel>().unwrap(),
                kernel
            );
        }
        assert!("fast".parse::<AttentionKernel>().is_err());
    }
}
