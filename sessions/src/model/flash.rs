//! Attention by a kernel that writes no scores down (FlashAttention-2, Dao 2023, arXiv 2307.08691), for rows of which
//! nothing but the context is wanted: it gives no log-sum-exps.

use std::fmt;
use std::str::FromStr;

use candle_core::{DType, Tensor};
use candle_nn::attention::{AttnMask, cpu_flash};
use serde::{Deserialize, Serialize};

use super::attention::AttentionInput;
use super::decoder::ForwardMode;
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
pub(super) fn context(input: &AttentionInput<'_>) -> Result<Option<Tensor>, SessionError> {
    let of_context_alone = !input.wants_log_sum_exp && !input.wants_weights;
    let by_kernel = input.mode == ForwardMode::Flash && input.hidden_keys.is_none();
    // a single row has no scores worth saving
    if !of_context_alone || !by_kernel || input.queries.dim(1)? == 1 {
        return Ok(None);
    }
    match (input.queries.device().is_cpu(), input.sliding_window) {
        (true, None) => on_processor(input).map(Some),
        (true, Some(_)) => Ok(None),
        (false, _) => on_card(input),
    }
}

/// candle's kernels take `[1, rows, heads, D]`.
fn rows_first(heads_first: &Tensor) -> Result<Tensor, SessionError> {
    Ok(heads_first.transpose(0, 1)?.unsqueeze(0)?)
}

fn scale(input: &AttentionInput<'_>) -> Result<f32, SessionError> {
    Ok(1.0 / (input.queries.dim(2)? as f32).sqrt())
}

fn on_processor(input: &AttentionInput<'_>) -> Result<Tensor, SessionError> {
    let of = |tensor: &Tensor| {
        let contiguous = rows_first(tensor)?.contiguous()?;
        Ok::<_, SessionError>(contiguous.to_dtype(DType::F32)?)
    };
    let context = cpu_flash::flash_attn::<f32>(
        &of(input.queries)?,
        &of(input.keys)?,
        &of(input.values)?,
        scale(input)?,
        AttnMask::causal_with_offset(input.first_index),
        None,
        None,
    )?;
    Ok(context.squeeze(0)?.to_dtype(input.queries.dtype())?)
}

#[cfg(feature = "flash-attn")]
fn on_card(input: &AttentionInput<'_>) -> Result<Option<Tensor>, SessionError> {
    const LARGEST_HEAD: usize = 256;
    let head_dim = input.queries.dim(2)?;
    let is_half = matches!(input.queries.dtype(), DType::F16 | DType::BF16);
    let fits = head_dim <= LARGEST_HEAD && head_dim.is_multiple_of(8);
    if !(input.queries.device().is_cuda() && is_half && fits) {
        return Ok(None);
    }
    // the kernel counts back from the row itself, which it sees in any case
    let seen_behind = input.sliding_window.map(|window| window.saturating_sub(1));
    let context = candle_flash_attn::flash_attn_windowed(
        &rows_first(input.queries)?,
        &rows_first(input.keys)?,
        &rows_first(input.values)?,
        scale(input)?,
        seen_behind,
        Some(0),
    )?;
    Ok(Some(context.squeeze(0)?.transpose(0, 1)?.contiguous()?))
}

#[cfg(not(feature = "flash-attn"))]
fn on_card(_input: &AttentionInput<'_>) -> Result<Option<Tensor>, SessionError> {
    Ok(None)
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::super::attention::attend;
    use super::*;

    fn random(heads: usize, rows: usize) -> Tensor {
        Tensor::randn(0.0_f32, 1.0, (heads, rows, 16), &Device::Cpu).unwrap()
    }

    /// Both kernels on five rows behind seven others, four query heads on two of keys.
    fn attended(
        sliding_window: Option<usize>,
        wants_log_sum_exp: bool,
    ) -> (Tensor, Tensor, Option<Tensor>) {
        let (queries, keys, values) = (random(4, 5), random(2, 12), random(2, 12));
        let input = |mode: ForwardMode| AttentionInput {
            queries: &queries,
            keys: &keys,
            values: &values,
            first_index: 7,
            sliding_window,
            hidden_keys: None,
            mode,
            wants_log_sum_exp,
            wants_weights: false,
        };
        let blocks = attend(&input(ForwardMode::Fused)).unwrap();
        let flash = attend(&input(ForwardMode::Flash)).unwrap();
        (blocks.context, flash.context, flash.log_sum_exp)
    }

    #[test]
    fn the_kernel_gives_the_context_of_the_blocks_and_nothing_else() {
        let (blocks, flash, log_sum_exp) = attended(None, false);
        assert!(log_sum_exp.is_none(), "the kernel did not run");
        let off = (blocks - flash).unwrap().abs().unwrap().max_all().unwrap();
        assert!(off.to_scalar::<f32>().unwrap() < 1e-5);
    }

    #[test]
    fn blocks_do_what_the_kernel_cannot() {
        for (sliding_window, wants_log_sum_exp) in [(Some(3), false), (None, true)] {
            let (blocks, flash, log_sum_exp) = attended(sliding_window, wants_log_sum_exp);
            assert!(log_sum_exp.is_some());
            assert_eq!(
                blocks.flatten_all().unwrap().to_vec1::<f32>().unwrap(),
                flash.flatten_all().unwrap().to_vec1::<f32>().unwrap()
            );
        }
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
