//! Opening a device: it is one only when it computes.

use candle_core::{DType, Device, Tensor};

use super::device::{DeviceChoice, device_name};
use crate::SessionError;
use crate::error::without_backtrace;

/// An open device.
pub(crate) struct Opened {
    pub(crate) device: Device,
    /// Why it is the processor although it was left open which, where a GPU could have been it.
    pub(crate) passed_over: Vec<String>,
}

impl DeviceChoice {
    /// Opens the device and has it compute something: a card for which the program was not built opens all the same, and
    /// fails with the first thing that it is to do.
    ///
    /// # Errors
    /// [`SessionError::Device`] for one that is not there, not built in, or computes nothing or something wrong.
    pub(crate) fn open(self) -> Result<Opened, SessionError> {
        if self == Self::Auto {
            return Ok(best_of([Self::Cuda(0), Self::Metal], Self::open_itself));
        }
        Ok(Opened {
            device: self.open_itself()?,
            passed_over: Vec::new(),
        })
    }

    fn is_built_in(self) -> bool {
        match self {
            Self::Cuda(_) => cfg!(feature = "cuda"),
            Self::Metal => cfg!(feature = "metal"),
            Self::Auto | Self::Cpu => true,
        }
    }

    fn open_itself(self) -> Result<Device, SessionError> {
        let failed = |reason: String| SessionError::Device {
            device: self.to_string(),
            reason,
        };
        let not_built_in = |name: &str, feature: &str| {
            failed(format!(
                "this program was built without {name}; build it with `cargo build --release --features {feature}`, or use cpu"
            ))
        };
        let not_open = |what: &str, error| {
            failed(format!(
                "{what} does not open ({})",
                without_backtrace(error)
            ))
        };
        let device = match self {
            Self::Cpu | Self::Auto => return Ok(Device::Cpu),
            Self::Cuda(_) if !self.is_built_in() => return Err(not_built_in("CUDA", "cuda")),
            Self::Metal if !self.is_built_in() => return Err(not_built_in("Metal", "metal")),
            Self::Cuda(ordinal) => {
                open_card(ordinal).map_err(|error| not_open("the card", error))?
            }
            Self::Metal => Device::new_metal(0).map_err(|error| not_open("the GPU", error))?,
        };
        runs(&device, DType::F32)?;
        Ok(device)
    }
}

/// A card with one stream for whatever thread asks for work, in the order of asking: candle's usual one is another stream
/// for each thread, between which nothing is in order.
#[cfg(feature = "cuda")]
#[expect(
    unsafe_code,
    reason = "events at each use of each tensor order streams, and there is only one"
)]
fn open_card(ordinal: usize) -> candle_core::Result<Device> {
    let device = candle_core::CudaDevice::new_with_stream(ordinal)?;
    // SAFETY: no stream meets what another one wrote: a device has one, and candle refuses tensors of two devices
    unsafe { device.disable_event_tracking() };
    Ok(Device::Cuda(device))
}

/// None is built in.
#[cfg(not(feature = "cuda"))]
fn open_card(ordinal: usize) -> candle_core::Result<Device> {
    Device::new_cuda(ordinal)
}

/// The first of some devices that is built in and opens, else the processor.
fn best_of(
    gpus: impl IntoIterator<Item = DeviceChoice>,
    open: impl Fn(DeviceChoice) -> Result<Device, SessionError>,
) -> Opened {
    let mut passed_over = Vec::new();
    for gpu in gpus.into_iter().filter(|gpu| gpu.is_built_in()) {
        match open(gpu) {
            Ok(device) => {
                return Opened {
                    device,
                    passed_over,
                };
            }
            Err(error) => {
                passed_over.push(format!("the processor runs the model, because of {error}"))
            }
        }
    }
    Opened {
        device: Device::Cpu,
        passed_over,
    }
}

/// Whether the device computes in this format: by an operation of the program's own kernels and a matrix product.
///
/// # Errors
/// [`SessionError::Device`] if it does not, with what to do.
pub(crate) fn runs(device: &Device, dtype: DType) -> Result<(), SessionError> {
    let reason = match computed(device, dtype) {
        // 1 + 2 + 3 + 4 and one for each
        Ok(14.0) => return Ok(()),
        Ok(sum) => format!("1 + 2 + 3 + 4 + 4 is {sum} there"),
        Err(error) => without_backtrace(error).to_string(),
    };
    let built_for = option_env!("CUDA_COMPUTE_CAP").map_or(String::new(), |capability| {
        format!(
            "; this program was built for cards of compute capability {capability} (tenths), build it with CUDA_COMPUTE_CAP for this one"
        )
    });
    Err(SessionError::Device {
        device: device_name(device),
        reason: format!(
            "it does not compute in {} ({reason}){}; use another --dtype, or --device cpu",
            dtype.as_str(),
            if device.is_cuda() { &built_for } else { "" }
        ),
    })
}

fn computed(device: &Device, dtype: DType) -> candle_core::Result<f32> {
    let numbers = Tensor::new(&[[1.0_f32, 2.0, 3.0, 4.0]], device)?.to_dtype(dtype)?;
    let ones = Tensor::ones((4, 1), dtype, device)?;
    let sum = numbers.affine(1.0, 1.0)?.matmul(&ones)?;
    sum.to_dtype(DType::F32)?.flatten_all()?.get(0)?.to_scalar()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_processor_computes_in_every_format() {
        for dtype in [DType::F32, DType::F16, DType::BF16] {
            runs(&Device::Cpu, dtype).unwrap();
        }
    }

    /// Integers are no format of a model, and candle multiplies no matrices of them.
    #[test]
    fn a_format_that_a_device_does_not_compute_in_is_named() {
        let error = runs(&Device::Cpu, DType::U32).unwrap_err().to_string();
        assert!(error.contains("does not compute in u32"), "{error}");
        assert!(error.contains("--dtype"), "{error}");
    }

    /// `cpu` and `auto` stand for GPUs that are built in: others are not tried.
    #[test]
    fn a_device_that_is_passed_over_is_told() {
        let broken = |_| {
            Err(SessionError::Device {
                device: "cuda:0".to_owned(),
                reason: "the card does not open".to_owned(),
            })
        };
        let opened = best_of([DeviceChoice::Cpu], broken);
        assert!(opened.device.is_cpu());
        assert_eq!(
            opened.passed_over,
            ["the processor runs the model, because of device 'cuda:0': the card does not open"]
        );
        let not_built_in = [DeviceChoice::Cuda(0), DeviceChoice::Metal];
        let tried = not_built_in.iter().filter(|gpu| gpu.is_built_in()).count();
        assert_eq!(best_of(not_built_in, broken).passed_over.len(), tried);
    }
}
