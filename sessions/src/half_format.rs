//! Numbers of 16 bits in place of those that a model computes in.

use std::fmt;
use std::str::FromStr;

use candle_core::{DType, Tensor};
use serde::{Deserialize, Serialize};

use crate::SessionError;

/// A format of 16 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HalfFormat {
    /// 11 bits of precision, up to 65,504.
    F16,
    /// 8 bits of precision, as far as single precision reaches.
    Bf16,
}

impl HalfFormat {
    /// Bytes of a number.
    pub(crate) fn bytes(self) -> usize {
        self.dtype().size_in_bytes()
    }

    /// A tensor in this format.
    ///
    /// # Errors
    /// [`SessionError::Plan`] for a number that the format has no room for.
    pub(crate) fn round(self, tensor: &Tensor) -> Result<Tensor, SessionError> {
        let rounded = tensor.to_dtype(self.dtype())?;
        if rounded.elem_count() > 0 {
            let largest = rounded.abs()?.flatten_all()?.max(0)?;
            let largest: f32 = largest.to_dtype(DType::F32)?.to_scalar()?;
            if !largest.is_finite() {
                return Err(SessionError::Plan {
                    reason: format!(
                        "a key, value or query is too large for {self}; keep bf16, or leave out --numbers"
                    ),
                });
            }
        }
        Ok(rounded)
    }

    /// Some tensors in this format.
    ///
    /// # Errors
    /// As [`round`](Self::round).
    pub(crate) fn round_all(self, tensors: &[Tensor]) -> Result<Vec<Tensor>, SessionError> {
        tensors.iter().map(|tensor| self.round(tensor)).collect()
    }

    fn dtype(self) -> DType {
        match self {
            Self::F16 => DType::F16,
            Self::Bf16 => DType::BF16,
        }
    }
}

impl fmt::Display for HalfFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.dtype().as_str())
    }
}

impl FromStr for HalfFormat {
    type Err = SessionError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "f16" => Ok(Self::F16),
            "bf16" => Ok(Self::Bf16),
            _ => Err(SessionError::Plan {
                reason: format!("numbers are kept as f16 or bf16, not '{text}'"),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;

    #[test]
    fn what_has_no_room_in_a_format_is_refused() {
        let tensor = |numbers: &[f32]| Tensor::new(numbers, &Device::Cpu).unwrap();
        let large = tensor(&[1.0, -70_000.0]);
        let refused = HalfFormat::F16.round(&large).unwrap_err().to_string();
        assert!(refused.contains("too large for f16"), "{refused}");
        assert!(HalfFormat::Bf16.round(&large).is_ok());
        assert!(HalfFormat::F16.round(&tensor(&[65_504.0])).is_ok());
        assert!(HalfFormat::F16.round(&tensor(&[])).is_ok());
        for format in [HalfFormat::F16, HalfFormat::Bf16] {
            assert_eq!(format.to_string().parse::<HalfFormat>().unwrap(), format);
        }
        assert!("f32".parse::<HalfFormat>().is_err());
    }
}
