//! Every operation that the program asks a device for, on small tensors, against the processor in single precision.

use candle_core::{D, DType, Device, Result, Tensor, Var};
use candle_nn::ops;

use super::DeviceCheckPlan;
use super::inputs::Inputs;
use super::stage::{Findings, bound_in_roundoffs, numbers, roundoff};
use crate::SessionError;
use crate::model::DtypeChoice;

type Operation = fn(&Inputs<'_>) -> Result<Tensor>;

/// Roundoffs that a sum of some dozens of terms may be off by, in its own format.
const OF_A_SUM: f32 = 64.0;
/// Roundoffs of an operation on each number for itself.
const OF_EACH: f32 = 8.0;
/// None: numbers are only moved or compared.
const MOVED: f32 = 0.0;

const OPERATIONS: &[(&str, f32, Operation)] = &[
    ("affine", OF_EACH, |i| {
        i.tensor(&[5, 33], 1)?.affine(1.5, -0.25)
    }),
    ("affine of a view", OF_EACH, |i| {
        i.tensor(&[5, 33], 1)?.t()?.affine(1.5, -0.25)
    }),
    ("exp", OF_EACH, |i| i.tensor(&[7, 65], 2)?.exp()),
    ("log", OF_EACH, |i| {
        (i.tensor(&[7, 65], 2)?.sqr()? + 1.0)?.log()
    }),
    ("sqrt", OF_EACH, |i| i.tensor(&[7, 65], 2)?.sqr()?.sqrt()),
    ("tanh", OF_EACH, |i| i.tensor(&[7, 65], 2)?.tanh()),
    ("abs", MOVED, |i| i.tensor(&[7, 65], 2)?.abs()),
    ("silu", OF_EACH, |i| ops::silu(&i.tensor(&[7, 65], 3)?)),
    ("gelu by tanh", OF_EACH, |i| i.tensor(&[7, 65], 3)?.gelu()),
    ("gelu by erf", OF_EACH, |i| {
        i.tensor(&[7, 65], 3)?.gelu_erf()
    }),
    ("add", OF_EACH, |i| {
        i.tensor(&[7, 65], 4)? + i.tensor(&[7, 65], 5)?
    }),
    ("multiply", OF_EACH, |i| {
        i.tensor(&[7, 65], 4)? * i.tensor(&[7, 65], 5)?
    }),
    ("broadcast_sub", OF_EACH, |i| {
        i.tensor(&[7, 65], 4)?.broadcast_sub(&i.tensor(&[7, 1], 5)?)
    }),
    ("broadcast_mul", OF_EACH, |i| {
        i.tensor(&[7, 65], 4)?.broadcast_mul(&i.tensor(&[65], 5)?)
    }),
    ("broadcast_div", OF_EACH, |i| {
        i.tensor(&[7, 65], 4)?
            .broadcast_div(&(i.tensor(&[7, 1], 5)?.sqr()? + 1.0)?)
    }),
    ("maximum", MOVED, |i| {
        i.tensor(&[7, 65], 4)?.maximum(&i.tensor(&[7, 65], 5)?)
    }),
    ("product", OF_A_SUM, |i| {
        i.tensor(&[9, 64], 6)?.matmul(&i.tensor(&[64, 17], 7)?)
    }),
    ("product with a transposed matrix", OF_A_SUM, |i| {
        i.tensor(&[9, 64], 6)?.matmul(&i.tensor(&[17, 64], 7)?.t()?)
    }),
    ("products of one row", OF_A_SUM, |i| {
        i.tensor(&[3, 1, 64], 6)?
            .matmul(&i.tensor(&[3, 17, 64], 7)?.transpose(1, 2)?)
    }),
    ("products with the filled part of a cache", OF_A_SUM, |i| {
        let keys = i.tensor(&[3, 40, 64], 7)?.narrow(1, 0, 29)?;
        i.tensor(&[3, 8, 64], 6)?.matmul(&keys.transpose(1, 2)?)
    }),
    (
        "products of weights with the filled part of a cache",
        OF_A_SUM,
        |i| {
            let values = i.tensor(&[3, 40, 64], 7)?.narrow(1, 3, 29)?;
            i.tensor(&[3, 8, 29], 6)?.matmul(&values)
        },
    ),
    ("products of stacked heads", OF_A_SUM, |i| {
        let queries = i.tensor(&[6, 12, 16], 8)?.narrow(1, 2, 5)?.contiguous()?;
        queries
            .reshape((3, 10, 16))?
            .matmul(&i.tensor(&[3, 16, 9], 9)?)
    }),
    ("sum over rows", OF_A_SUM, |i| {
        i.tensor(&[7, 65], 10)?.sum_keepdim(D::Minus1)
    }),
    ("sum over columns", OF_A_SUM, |i| {
        i.tensor(&[7, 65], 10)?.sum(0)
    }),
    ("mean of all", OF_A_SUM, |i| {
        (i.tensor(&[7, 65], 10)? + 1.0)?.mean_all()
    }),
    ("maximum over rows", MOVED, |i| {
        i.tensor(&[7, 65], 11)?.max_keepdim(D::Minus1)
    }),
    ("place of the maximum", MOVED, |i| {
        i.tensor(&[7, 65], 11)?
            .argmax(D::Minus1)?
            .to_dtype(DType::F32)
    }),
    ("softmax", OF_EACH, |i| {
        ops::softmax(&i.tensor(&[7, 65], 12)?, D::Minus1)
    }),
    ("fused norm", OF_A_SUM, |i| {
        ops::rms_norm(&i.tensor(&[7, 64], 13)?, &i.tensor(&[64], 14)?, 1e-5)
    }),
    ("norm in steps", OF_A_SUM, |i| {
        ops::rms_norm_slow(&i.tensor(&[7, 64], 13)?, &i.tensor(&[64], 14)?, 1e-5)
    }),
    ("fused rotation", OF_EACH, |i| {
        let (cos, sin) = (i.tensor(&[5, 8], 15)?, i.tensor(&[5, 8], 16)?);
        candle_nn::rotary_emb::rope(&i.tensor(&[1, 3, 5, 16], 17)?, &cos, &sin)
    }),
    ("rotation in steps", OF_EACH, |i| {
        let (cos, sin) = (i.tensor(&[5, 8], 15)?, i.tensor(&[5, 8], 16)?);
        candle_nn::rotary_emb::rope_slow(&i.tensor(&[1, 3, 5, 16], 17)?, &cos, &sin)
    }),
    ("index_select", MOVED, |i| {
        i.tensor(&[3, 9, 4], 18)?
            .index_select(&i.indices(&[8, 0, 0, 5])?, 1)
    }),
    ("gather", MOVED, |i| {
        let places = i.indices(&[2, 0, 1, 1, 0, 2])?.reshape((2, 3))?;
        i.tensor(&[2, 3], 18)?.gather(&places, 1)
    }),
    ("embedding", MOVED, |i| {
        i.tensor(&[9, 4], 18)?.embedding(&i.indices(&[8, 0, 5])?)
    }),
    ("index_add", OF_A_SUM, |i| {
        i.tensor(&[4, 5], 18)?
            .index_add(&i.indices(&[0, 3, 0])?, &i.tensor(&[3, 5], 19)?, 0)
    }),
    ("where_cond of a comparison", MOVED, |i| {
        let (a, b) = (i.tensor(&[7, 65], 20)?, i.tensor(&[7, 65], 21)?);
        a.gt(&b)?.where_cond(&a, &b)
    }),
    ("comparison of broadcast indices", MOVED, |i| {
        let rows = Tensor::arange(0_u32, 5, i.device)?.reshape((5, 1))?;
        let keys = Tensor::arange(0_u32, 9, i.device)?;
        keys.broadcast_gt(&rows)?.to_dtype(DType::F32)
    }),
    ("cat", MOVED, |i| {
        Tensor::cat(&[i.tensor(&[2, 3, 4], 22)?, i.tensor(&[2, 5, 4], 23)?], 1)
    }),
    ("stack", MOVED, |i| {
        Tensor::stack(&[i.tensor(&[2, 4], 22)?, i.tensor(&[2, 4], 23)?], 0)
    }),
    ("pad_with_zeros", MOVED, |i| {
        i.tensor(&[2, 3, 4], 22)?.pad_with_zeros(1, 2, 1)
    }),
    ("a view made contiguous", MOVED, |i| {
        i.tensor(&[2, 9, 4], 24)?.narrow(1, 3, 2)?.contiguous()
    }),
    ("a transposed view made contiguous", MOVED, |i| {
        i.tensor(&[2, 9, 4], 24)?.transpose(1, 2)?.contiguous()
    }),
    ("a broadcast view made contiguous", MOVED, |i| {
        i.tensor(&[2, 1, 4], 24)?
            .broadcast_as((2, 3, 4))?
            .contiguous()
    }),
    ("slice_set", MOVED, |i| {
        let whole = i.tensor(&[2, 9, 4], 25)?.copy()?;
        whole.slice_set(&i.tensor(&[2, 3, 4], 26)?, 1, 5)?;
        Ok(whole)
    }),
    ("zeros and ones", MOVED, |i| {
        let shape = (3, 5);
        Tensor::zeros(shape, i.dtype, i.device)? + Tensor::ones(shape, i.dtype, i.device)?
    }),
    ("to single precision", MOVED, |i| {
        i.tensor(&[7, 65], 27)?.to_dtype(DType::F32)
    }),
    ("to bf16 and back", 0.0, |i| {
        i.tensor(&[7, 65], 27)?
            .to_dtype(DType::BF16)?
            .to_dtype(i.dtype)
    }),
    ("to f16 and back", 0.0, |i| {
        i.tensor(&[7, 65], 27)?
            .to_dtype(DType::F16)?
            .to_dtype(i.dtype)
    }),
    ("gradient of a small network", OF_A_SUM, |i| {
        let weights = Var::from_tensor(&i.tensor(&[16, 8], 28)?)?;
        let logits = i.tensor(&[5, 16], 29)?.matmul(weights.as_tensor())?;
        let loss = ops::softmax(&logits, D::Minus1)?.sqr()?.mean_all()?;
        let gradients = loss.backward()?;
        let gradient = gradients.get(weights.as_tensor()).cloned();
        gradient.ok_or_else(|| candle_core::Error::Msg("no gradient came back".to_owned()))
    }),
];

pub(super) fn check(
    plan: &DeviceCheckPlan,
    findings: &mut Findings<'_>,
) -> std::result::Result<(), SessionError> {
    let device = plan.device.open()?.device;
    for &format in &plan.formats {
        let dtype = format.resolve(&device, None)?;
        for &(name, roundoffs, operation) in OPERATIONS {
            findings.cancel.check()?;
            let run = |device: &Device, dtype: DType, rounded_to: DType| {
                let inputs = Inputs {
                    device,
                    dtype,
                    rounded_to,
                };
                numbers(&operation(&inputs)?)
            };
            let expected = run(&Device::Cpu, DType::F32, dtype)?;
            let what = format!("{name} in {format}");
            let bound = bound_in_roundoffs(roundoffs, format);
            match run(&device, dtype, dtype) {
                Ok(found) => {
                    findings.compare(&what, &found, &expected, bound.max(rounded(name, format)))
                }
                Err(error) => findings.failed(format!("{what}: {error}")),
            }
        }
    }
    Ok(())
}

/// What a format that numbers pass through rounds away, where the run's own is another.
fn rounded(name: &str, format: DtypeChoice) -> f32 {
    match (name, format) {
        ("to bf16 and back", DtypeChoice::F16) => roundoff(DtypeChoice::Bf16),
        _ => 0.0,
    }
}
