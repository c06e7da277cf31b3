//! Which device runs the model, and in which number format.

use std::fmt;
use std::str::FromStr;

use candle_core::{DType, Device};
use serde::{Deserialize, Serialize};

use super::flash;
use super::opened_device::runs;
use crate::SessionError;

/// The device that was asked for. Written as `auto`, `cpu`, `cuda`, `cuda:N` or `metal`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum DeviceChoice {
    /// CUDA where it is built in and there is a card, then Metal, then the CPU.
    #[default]
    Auto,
    /// The processor.
    Cpu,
    /// An NVIDIA card by its number.
    Cuda(usize),
    /// Apple's GPU.
    Metal,
}

impl FromStr for DeviceChoice {
    type Err = SessionError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let ordinal = text
            .strip_prefix("cuda:")
            .and_then(|number| number.parse().ok());
        match (text, ordinal) {
            ("auto", _) => Ok(Self::Auto),
            ("cpu", _) => Ok(Self::Cpu),
            ("cuda", _) => Ok(Self::Cuda(0)),
            ("metal", _) => Ok(Self::Metal),
            (_, Some(ordinal)) => Ok(Self::Cuda(ordinal)),
            _ => Err(SessionError::Plan {
                reason: format!("'{text}' is no device; write auto, cpu, cuda, cuda:N or metal"),
            }),
        }
    }
}

impl fmt::Display for DeviceChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Cpu => f.write_str("cpu"),
            Self::Cuda(ordinal) => write!(f, "cuda:{ordinal}"),
            Self::Metal => f.write_str("metal"),
        }
    }
}

impl From<DeviceChoice> for String {
    fn from(choice: DeviceChoice) -> Self {
        choice.to_string()
    }
}

impl TryFrom<String> for DeviceChoice {
    type Error = SessionError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

/// The number format that was asked for. Written as `auto`, `f32`, `f16` or `bf16`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum DtypeChoice {
    /// f32 on the CPU; on a GPU as the checkpoint is stored, if the GPU computes in that (cards before compute capability
    /// 8.0 do not in bf16), else f32. Matrices of a quantised GGUF file stay quantised, which
    /// with the other formats they do not.
    #[default]
    Auto,
    /// 32-bit floating point.
    F32,
    /// 16-bit IEEE floating point.
    F16,
    /// 16-bit brain floating point.
    Bf16,
}

impl FromStr for DtypeChoice {
    type Err = SessionError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "auto" => Ok(Self::Auto),
            "f32" => Ok(Self::F32),
            "f16" => Ok(Self::F16),
            "bf16" => Ok(Self::Bf16),
            _ => Err(SessionError::Plan {
                reason: format!("'{text}' is no number format; write auto, f32, f16 or bf16"),
            }),
        }
    }
}

impl fmt::Display for DtypeChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Auto => "auto",
            Self::F32 => "f32",
            Self::F16 => "f16",
            Self::Bf16 => "bf16",
        })
    }
}

impl From<DtypeChoice> for String {
    fn from(choice: DtypeChoice) -> Self {
        choice.to_string()
    }
}

impl TryFrom<String> for DtypeChoice {
    type Error = SessionError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

/// The name of an open device, as [`DeviceChoice`] writes it.
pub(crate) fn device_name(device: &Device) -> String {
    match device.location() {
        candle_core::DeviceLocation::Cpu => "cpu".to_owned(),
        candle_core::DeviceLocation::Cuda { gpu_id } => format!("cuda:{gpu_id}"),
        candle_core::DeviceLocation::Metal { .. } => "metal".to_owned(),
    }
}

impl DtypeChoice {
    /// Whether matrices of a quantised file stay what they are: unless a format is asked for.
    pub(crate) fn keeps_quantised(self) -> bool {
        self == Self::Auto
    }

    /// The format that a model stored as `stored` runs in on `device`.
    ///
    /// # Errors
    /// [`SessionError::Device`] if a format was asked for that the device does not compute in.
    pub(crate) fn resolve(
        self,
        device: &Device,
        stored: Option<&str>,
    ) -> Result<DType, SessionError> {
        let dtype = self.resolve_on(device.is_cpu(), stored);
        match runs(device, dtype) {
            // single precision holds whatever the checkpoint does, which f16 does not of bf16
            Err(_) if self == Self::Auto => Ok(DType::F32),
            other => other.map(|()| dtype),
        }
    }

    /// As [`resolve`](Self::resolve), for a device that need not be open and computes in every format.
    pub(crate) fn resolve_on(self, cpu: bool, stored: Option<&str>) -> DType {
        match self {
            Self::F32 => DType::F32,
            Self::F16 => DType::F16,
            Self::Bf16 => DType::BF16,
            // candle's CPU kernels gain nothing from half precision
            Self::Auto if cpu => DType::F32,
            Self::Auto => match stored {
                Some("bfloat16") => DType::BF16,
                Some("float16") => DType::F16,
                _ => DType::F32,
            },
        }
    }
}

/// Bytes of a GPU's memory that can be had; none for the CPU, or where the driver cannot tell.
#[cfg(feature = "cuda")]
pub(crate) fn free_device_memory(device: &Device) -> Option<u64> {
    let device = device.as_cuda_device().ok()?;
    let (free, _) = device.cuda_stream().context().mem_get_info().ok()?;
    Some(free as u64)
}

/// Bytes of a GPU's memory that can be had: no device that is built in can tell.
#[cfg(not(feature = "cuda"))]
pub(crate) fn free_device_memory(_device: &Device) -> Option<u64> {
    None
}

/// What `kvlens doctor` says of one kind of device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceReport {
    /// As the `--device` flag takes it.
    pub name: &'static str,
    /// Whether a model could run on it now.
    pub usable: bool,
    /// A sentence: what it is, or what is missing.
    pub detail: String,
}

/// The formats that a device computes in.
pub(crate) fn formats_of(device: &Device) -> Vec<&'static str> {
    [DType::F32, DType::F16, DType::BF16]
        .into_iter()
        .filter(|&dtype| runs(device, dtype).is_ok())
        .map(|dtype| dtype.as_str())
        .collect()
}

/// Every kind of device, usable or not.
pub fn devices() -> Vec<DeviceReport> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let probe = |name, choice: DeviceChoice| match choice.open() {
        Ok(opened) => DeviceReport {
            name,
            usable: true,
            detail: format!(
                "computes in {}; {}",
                formats_of(&opened.device).join(", "),
                flash::report(&opened.device)
            ),
        },
        Err(error) => DeviceReport {
            name,
            usable: false,
            detail: error.to_string(),
        },
    };
    vec![
        DeviceReport {
            name: "cpu",
            usable: true,
            detail: format!("{threads} threads"),
        },
        probe("cuda", DeviceChoice::Cuda(0)),
        probe("metal", DeviceChoice::Metal),
    ]
}
