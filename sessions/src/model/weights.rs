//! Reading tensors from safetensors files, memory-mapped, or from a GGUF file, with errors that name tensor, shapes
//! and file.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use candle_core::safetensors::{MmapedSafetensors, SliceSafetensors};
use candle_core::{DType, Device, Tensor, Var};
use kvlens_datasets::open_regular;
use safetensors::Dtype;
use safetensors::tensor::TensorView;
use sha2::{Digest, Sha256};

use super::checkpoint::WeightFiles;
use super::gguf::{GgufTensors, Header};
use super::linear::Matrix;
use super::tensor_names::TensorNames;
use crate::error::Context;
use crate::error::without_backtrace;
use crate::hash::hex;
use crate::{CancelFlag, SessionError};

/// Parameters that are being trained, by their names in a checkpoint.
pub(crate) type Parameters = BTreeMap<String, Var>;

enum Storage {
    Trained(Parameters),
    Embedded(SliceSafetensors<'static>),
    Mapped(MmapedSafetensors),
    Gguf {
        tensors: GgufTensors<Arc<Header>>,
        /// Width of a head, by which rows are ordered.
        head_dim: usize,
        /// Whether quantised matrices stay what they are.
        keeps_quantised: bool,
    },
}

impl Storage {
    fn holds(&self, name: &str) -> bool {
        match self {
            Self::Trained(parameters) => parameters.contains_key(name),
            Self::Embedded(tensors) => tensors.get(name).is_ok(),
            Self::Mapped(tensors) => tensors.get(name).is_ok(),
            Self::Gguf { tensors, .. } => tensors.layout(name).is_some(),
        }
    }
}

/// The tensors of a checkpoint, loaded one by one into the model's dtype on its device.
pub(crate) struct Weights {
    storage: Storage,
    names: TensorNames,
    /// File names for messages.
    files: String,
    device: Device,
    dtype: DType,
}

impl Weights {
    /// `head_dim` is the width of a head; `keeps_quantised` says whether quantised matrices stay what they are.
    pub(crate) fn open(
        files: &WeightFiles,
        head_dim: usize,
        device: &Device,
        dtype: DType,
        keeps_quantised: bool,
    ) -> Result<Self, SessionError> {
        let (storage, file_names) = match files {
            WeightFiles::Embedded(bytes) => {
                let tensors =
                    SliceSafetensors::new(bytes).map_err(|error| unreadable(&error, &[]))?;
                (Storage::Embedded(tensors), "the built-in model".to_owned())
            }
            WeightFiles::Files(paths) => (Storage::Mapped(map(paths)?), names_of(paths)),
            WeightFiles::Gguf(header) => {
                let tensors = GgufTensors::of_checkpoint(header)?;
                let name = header.path().display().to_string();
                let storage = Storage::Gguf {
                    tensors,
                    head_dim,
                    keeps_quantised,
                };
                (storage, name)
            }
        };
        Ok(Self {
            names: TensorNames::find(|name| storage.holds(name)),
            storage,
            files: file_names,
            device: device.clone(),
            dtype,
        })
    }

    /// Parameters in memory. What is taken from here shares their storage, so a later
    /// [`Var::set`] is seen by every decoder that was loaded from them.
    pub(crate) fn trained(parameters: &Parameters, device: &Device, dtype: DType) -> Self {
        Self {
            storage: Storage::Trained(parameters.clone()),
            names: TensorNames::find(|name| parameters.contains_key(name)),
            files: "the parameters in training".to_owned(),
            device: device.clone(),
            dtype,
        }
    }

    pub(crate) fn device(&self) -> &Device {
        &self.device
    }

    pub(crate) fn dtype(&self) -> DType {
        self.dtype
    }

    /// Whether they are those of a GGUF file.
    pub(crate) fn are_of_gguf(&self) -> bool {
        matches!(self.storage, Storage::Gguf { .. })
    }

    /// Whether some matrices stay quantised.
    pub(crate) fn is_quantised(&self) -> bool {
        matches!(&self.storage, Storage::Gguf { tensors, keeps_quantised: true, .. }
            if tensors.header().is_quantised())
    }

    /// The matrix `name` of shape `expected`, as floating point unless it is stored quantised and stays so.
    pub(crate) fn matrix(&self, name: &str, expected: [usize; 2]) -> Result<Matrix, SessionError> {
        if let Storage::Gguf {
            tensors,
            head_dim,
            keeps_quantised: true,
        } = &self.storage
            && let Some((found, format)) = tensors.layout(name)
            && format.block_size() > 1
        {
            self.check_shape(name, found, &expected)?;
            let quantised = tensors.load(name, *head_dim, &self.device)?;
            return Ok(Matrix::Quantised(Arc::new(quantised)));
        }
        self.get(name, &expected).map(Matrix::Dense)
    }

    /// The tensor `name`, which must have the shape `expected`, as floating point.
    pub(crate) fn get(&self, name: &str, expected: &[usize]) -> Result<Tensor, SessionError> {
        if let Storage::Gguf {
            tensors, head_dim, ..
        } = &self.storage
        {
            let (found, _) = tensors.layout(name).ok_or_else(|| self.missing(name))?;
            self.check_shape(name, found, expected)?;
            let stored = tensors.load(name, *head_dim, &self.device)?;
            return Ok(stored.dequantize(&self.device)?.to_dtype(self.dtype)?);
        }
        let stored = self.names.stored(name);
        let name = stored.as_str();
        let (found, format) = self.layout(name).ok_or_else(|| self.missing(name))?;
        self.check_shape(name, found, expected)?;
        // other formats are numbers that mean something only with scales stored beside them
        if !matches!(format, Dtype::F64 | Dtype::F32 | Dtype::F16 | Dtype::BF16) {
            return Err(SessionError::TensorFormat {
                tensor: name.to_owned(),
                found: format.to_string(),
                files: self.files.clone(),
            });
        }
        let loaded = match &self.storage {
            Storage::Trained(parameters) => parameters
                .get(name)
                .map(|parameter| parameter.as_tensor().clone())
                .ok_or_else(|| candle_core::Error::Msg(format!("no parameter '{name}'"))),
            Storage::Embedded(tensors) => tensors.load(name, &self.device),
            Storage::Mapped(tensors) => tensors.load(name, &self.device),
            Storage::Gguf { .. } => Err(candle_core::Error::Msg("a GGUF file".to_owned())),
        };
        loaded
            .and_then(|tensor| tensor.to_dtype(self.dtype))
            .map_err(|source| SessionError::Tensor {
                context: format!("cannot load tensor '{name}' from {}", self.files),
                source: without_backtrace(source),
            })
    }

    /// Whether both tensors are there and are not the same.
    pub(crate) fn differ(&self, first: &str, second: &str) -> bool {
        let same = |views: (TensorView<'_>, TensorView<'_>)| {
            let (first, second) = views;
            (first.shape(), first.dtype(), first.data())
                == (second.shape(), second.dtype(), second.data())
        };
        let views = |name| match &self.storage {
            Storage::Embedded(tensors) => tensors.get(&self.names.stored(name)).ok(),
            Storage::Mapped(tensors) => tensors.get(&self.names.stored(name)).ok(),
            Storage::Gguf { .. } | Storage::Trained(_) => None,
        };
        views(first)
            .zip(views(second))
            .is_some_and(|views| !same(views))
    }

    fn missing(&self, name: &str) -> SessionError {
        SessionError::MissingTensor {
            tensor: name.to_owned(),
            files: self.files.clone(),
        }
    }

    fn check_shape(
        &self,
        name: &str,
        found: Vec<usize>,
        expected: &[usize],
    ) -> Result<(), SessionError> {
        if found == expected {
            return Ok(());
        }
        Err(SessionError::TensorShape {
            tensor: name.to_owned(),
            expected: expected.to_vec(),
            found,
            files: self.files.clone(),
        })
    }

    /// Whether a tensor of this name is there.
    pub(crate) fn holds(&self, name: &str) -> bool {
        self.storage.holds(&self.names.stored(name))
    }

    /// Shape and number format of a tensor by its name in the files.
    fn layout(&self, name: &str) -> Option<(Vec<usize>, Dtype)> {
        let view = match &self.storage {
            // parameters are made here, in a format of this program's choice
            Storage::Trained(parameters) => {
                return parameters
                    .get(name)
                    .map(|found| (found.dims().to_vec(), Dtype::F32));
            }
            Storage::Embedded(tensors) => tensors.get(name),
            Storage::Mapped(tensors) => tensors.get(name),
            Storage::Gguf { .. } => return None,
        };
        view.ok().map(|view| (view.shape().to_vec(), view.dtype()))
    }
}

#[expect(
    unsafe_code,
    reason = "weights larger than memory must be mapped; the files are only read, and their headers are checked on opening"
)]
fn map(paths: &[PathBuf]) -> Result<MmapedSafetensors, SessionError> {
    // SAFETY: sound as long as nobody shortens the file while it is mapped, which no program can rule
    // out for another; every loader of safetensors takes the same risk.
    unsafe { MmapedSafetensors::multi(paths) }.map_err(|error| unreadable(&error, paths))
}

fn unreadable(error: &candle_core::Error, paths: &[PathBuf]) -> SessionError {
    SessionError::Checkpoint {
        reason: format!(
            "the weights cannot be read; the file is truncated or damaged, fetch it again ({error})"
        ),
        path: paths
            .first()
            .cloned()
            .unwrap_or_else(|| PathBuf::from("built-in")),
    }
}

fn names_of(paths: &[PathBuf]) -> String {
    match paths {
        [one] => one.display().to_string(),
        [first, .., last] => format!(
            "{} to {} ({} files)",
            first.display(),
            last.display(),
            paths.len()
        ),
        [] => "no file".to_owned(),
    }
}

/// SHA-256 over the bytes of all weight files in the order of their names, as lower-case hex.
pub(crate) fn weights_sha256(
    files: &WeightFiles,
    cancel: &CancelFlag,
) -> Result<String, SessionError> {
    match files {
        WeightFiles::Embedded(bytes) => Ok(hex(&Sha256::digest(bytes))),
        WeightFiles::Files(paths) => {
            let mut hasher = Sha256::new();
            for path in paths {
                hash_file(path, &mut hasher, cancel)?;
            }
            Ok(hex(&hasher.finalize()))
        }
        WeightFiles::Gguf(header) => {
            let mut hasher = Sha256::new();
            hash_file(header.path(), &mut hasher, cancel)?;
            Ok(hex(&hasher.finalize()))
        }
    }
}

/// Bytes that are hashed between two looks at a cancel.
const HASHED_AT_ONCE: usize = 1 << 20;

fn hash_file(path: &Path, hasher: &mut Sha256, cancel: &CancelFlag) -> Result<(), SessionError> {
    let mut file = open_regular(path).io("open the weights", path)?;
    let mut buffer = vec![0; HASHED_AT_ONCE];
    loop {
        cancel.check()?;
        let count = file.read(&mut buffer).io("read the weights", path)?;
        match buffer.get(..count) {
            Some(read) if count > 0 => hasher.update(read),
            _ => return Ok(()),
        }
    }
}
