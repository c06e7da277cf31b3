//! Attention by a kernel that writes no scores down (FlashAttention-2, Dao 2023, arXiv 2307.08691), for rows of which
//! nothing but the context is wanted: it gives no log-sum-exps.

use std::fmt;
use std::str::FromStr;

use candle_core::{DType, Device, Tensor};
use candle_nn::attention::{AttnMask, cpu_flash};
use serde::{Deserialize, Serialize};

use super::kernels::Kernels;
use super::masks::Masks;
use super::rows_on_keys::RowsOnKeys;
use crate::SessionError;

/// How rows of the prompt of which nothing is kept meet their keys. Written as `auto`, `blocks` or `flash`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum AttentionKernel {
    /// `flash` on a card where it computes, else `blocks`.
    #[default]
    Auto,
    /// In blocks of queries, as the rows of which something is kept.
    Blocks,
    /// By candle's flash attention where it can: on CUDA in f16 or bf16 with heads of up to 256 numbers, if the
    /// program was built with `flash-attn` and kernels for such heads; on the processor where there is no sliding window,
    /// which is slower than blocks and there to be checked against them. Elsewhere in blocks.
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
            Self::Auto => "auto",
            Self::Blocks => "blocks",
            Self::Flash => "flash",
        })
    }
}

impl FromStr for AttentionKernel {
    type Err = SessionError;

    fn from_str(text: &str) -> Result<Self, SessionError> {
        match text {
            "auto" => Ok(Self::Auto),
            "blocks" => Ok(Self::Blocks),
            "flash" => Ok(Self::Flash),
            _ => Err(SessionError::Plan {
                reason: format!("unknown attention kernel '{text}'; use auto, blocks or flash"),
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

fn on_card(rows: &RowsOnKeys<'_>, values: &Tensor) -> Result<Option<Tensor>, SessionError> {
    let (dtype, head_dim) = (rows.queries.dtype(), rows.queries.dim(2)?);
    let device = rows.queries.device();
    match not_built_for(device, dtype, head_dim, rows.sliding_window.is_some()) {
        None => by_kernel(rows, values).map(Some),
        Some(_) => Ok(None),
    }
}

#[cfg(feature = "flash-attn")]
fn by_kernel(rows: &RowsOnKeys<'_>, values: &Tensor) -> Result<Tensor, SessionError> {
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
    Ok(context.squeeze(0)?.transpose(0, 1)?.contiguous()?)
}

/// Nobody asks where no kernel is built in.
#[cfg(not(feature = "flash-attn"))]
fn by_kernel(_rows: &RowsOnKeys<'_>, _values: &Tensor) -> Result<Tensor, SessionError> {
    Err(SessionError::Internal {
        reason: "a kernel of flash attention was asked for that is not built in".to_owned(),
    })
}

/// Head sizes of the kernels that were built, causal ones alone, as `scripts/build-cuda.sh` lists them; a plain build with
/// the feature builds them all.
const BUILT_HEADS: Option<&str> = option_env!("KVLENS_FLASH_HEADS");

/// Heads that candle has kernels for, each of which runs those that the one before does not hold; larger ones run only on
/// cards with the shared memory for them.
const HEADS_OF_KERNELS: [usize; 8] = [32, 64, 96, 128, 160, 192, 224, 256];

/// The same for whoever reads it.
fn built_heads() -> String {
    BUILT_HEADS.unwrap_or("32 to 256").replace(',', ", ")
}

/// Numbers of the heads that flash attention on CUDA was built for, such as `64, 128`; none in a program without it.
pub fn flash_heads() -> Option<String> {
    cfg!(feature = "flash-attn").then(built_heads)
}

/// Whether a kernel for such heads is among those that were built.
fn has_kernel(built_heads: Option<&str>, head_dim: usize, is_sliding: bool) -> bool {
    let mut kernels = HEADS_OF_KERNELS.into_iter();
    let kernel = kernels.find(|&heads| head_dim <= heads && head_dim.is_multiple_of(8));
    match (kernel, built_heads) {
        (None, _) => false,
        (Some(_), None) => true,
        // windows are looked at by the kernels that are not causal
        (Some(kernel), Some(built)) => {
            let mut built = built.split(',').map(str::parse::<usize>);
            !is_sliding && built.any(|heads| heads == Ok(kernel))
        }
    }
}

/// Why no kernel runs such heads on a device, or none if one was built for them.
fn not_built_for(
    device: &Device,
    dtype: DType,
    head_dim: usize,
    is_sliding: bool,
) -> Option<String> {
    if !cfg!(feature = "flash-attn") {
        Some("this program was built without it".to_owned())
    } else if !device.is_cuda() {
        Some("its kernels are for CUDA".to_owned())
    } else if !matches!(dtype, DType::F16 | DType::BF16) {
        Some(format!(
            "it computes in f16 and bf16, and not in {}",
            dtype.as_str()
        ))
    } else if !has_kernel(BUILT_HEADS, head_dim, is_sliding) {
        Some(format!("it was not built for heads of {head_dim} numbers"))
    } else {
        None
    }
}

/// Why flash attention does not run heads of this size on a card, or none if it does: it is tried, because a kernel that
/// was built for other cards tells nobody that it did not run.
pub(crate) fn unavailable(device: &Device, dtype: DType, head_dim: usize) -> Option<String> {
    not_built_for(device, dtype, head_dim, false).or_else(|| {
        let capability = "its kernels do not run on this card, which must have compute capability 8.0 at least and be one \
                          that the program was built for";
        match tried(device, dtype, head_dim) {
            Ok(true) => None,
            Ok(false) => Some(capability.to_owned()),
            Err(error) => Some(format!("{capability} ({error})")),
        }
    })
}

/// Whether two rows get what they must: the first sees one value, the second the mean of two.
fn tried(device: &Device, dtype: DType, head_dim: usize) -> Result<bool, SessionError> {
    let same = Tensor::zeros((1, 2, head_dim), dtype, device)?;
    let values = Tensor::new(&[[1.0_f32], [3.0]], device)?.to_dtype(dtype)?;
    let values = values.broadcast_as((1, 2, head_dim))?.contiguous()?;
    let kernels = Kernels {
        flash: true,
        ..Kernels::of(device)
    };
    let rows = RowsOnKeys {
        queries: &same,
        keys: &same,
        first_index: 0,
        sliding_window: None,
        hidden_keys: None,
        masks: &Masks::before(2, kernels),
        kernels,
    };
    let Some(context) = context(&rows, &values)? else {
        return Ok(false);
    };
    let found: Vec<f32> = context.to_dtype(DType::F32)?.flatten_all()?.to_vec1()?;
    let (first, second) = found.split_at(head_dim);
    Ok(first.iter().all(|&number| number == 1.0) && second.iter().all(|&number| number == 2.0))
}

/// What `kvlens doctor` says of a card.
pub(crate) fn report(device: &Device) -> String {
    let heads = built_heads();
    let smallest = BUILT_HEADS.and_then(|built| built.split(',').next()?.parse().ok());
    match unavailable(device, DType::F16, smallest.unwrap_or(64)) {
        None => format!("flash attention for heads of {heads} numbers in f16 and bf16"),
        Some(reason) => format!("no flash attention ({reason})"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::attention::attend;
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
                masks: &Masks::before(12, Kernels::of(&Device::Cpu)),
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

    /// 80 numbers are run by the kernel of 96, 257 and 60 by none; sliding windows only where all kernels are there.
    #[test]
    fn a_head_is_run_by_the_kernel_that_holds_it() {
        let some = Some("64,96,128,256");
        for (head_dim, of_some, of_all) in [
            (32, false, true),
            (40, true, true),
            (60, false, false),
            (64, true, true),
            (80, true, true),
            (128, true, true),
            (160, false, true),
            (256, true, true),
            (264, false, false),
        ] {
            assert_eq!(has_kernel(some, head_dim, false), of_some, "{head_dim}");
            assert_eq!(has_kernel(None, head_dim, true), of_all, "{head_dim}");
            assert!(!has_kernel(some, head_dim, true));
        }
    }

    #[test]
    fn the_trial_of_a_kernel_is_of_its_numbers() {
        for dtype in [DType::F32, DType::F16, DType::BF16] {
            assert!(tried(&Device::Cpu, dtype, 64).unwrap());
        }
        // a card's kernels are none of a processor's
        assert!(unavailable(&Device::Cpu, DType::F16, 64).is_some());
        assert!(report(&Device::Cpu).starts_with("no flash attention ("));
    }

    #[test]
    fn a_kernel_is_written_as_it_is_read() {
        for kernel in [
            AttentionKernel::Auto,
            AttentionKernel::Blocks,
            AttentionKernel::Flash,
        ] {
            assert_eq!(
                kernel.to_string().parse::<AttentionKernel>().unwrap(),
                kernel
            );
        }
        assert!("fast".parse::<AttentionKernel>().is_err());
    }
}
