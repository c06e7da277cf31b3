//! The file of a trained window: soft tokens, low-rank adapters if it has any, and for which model they are.
//!
//! One safetensors file, f32: `soft_tokens` [n, hidden] and, for layer i and linear layer NAME as Hugging Face
//! spells it, `layers.I.NAME.lora_a` [r, width in] and `layers.I.NAME.lora_b` [width out, r]. Its metadata has
//! one key, `kvlens`: JSON with the method, the model's identity, alpha, and the settings and curves of the
//! training.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use candle_core::{DType, Device, Tensor};
use safetensors::SafeTensors;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::trained::TrainedMethod;
use crate::SessionError;
use crate::files::{serialized, write_file};
use crate::hash::sha256_hex;
use crate::model::{Adapters, LowRank, Model, ModelConfig, ModelIdentity, Projection};

/// The one metadata key of the file.
const METADATA: &str = "kvlens";

/// The newest form of the file that this program knows.
const FORMAT_VERSION: u32 = 1;

/// Name of the tensor of embeddings.
pub(crate) const SOFT_TOKENS: &str = "soft_tokens";

/// Weights for which a file is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TakenWeights {
    /// Those that it was trained on, to the bit.
    Same,
    /// Any of fitting shapes.
    Any,
}

/// What the file says of itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct TrainedHeader {
    format_version: u32,
    pub(crate) method: TrainedMethod,
    pub(crate) model: ModelIdentity,
    /// alpha of the adapters: they are scaled by alpha / r.
    pub(crate) adapter_alpha: f64,
    /// Settings and curves, for people and for cards.
    pub(crate) training: Value,
}

/// A trained window as it lies on disk.
#[derive(Debug)]
pub(crate) struct TrainedFile {
    pub(crate) header: TrainedHeader,
    tensors: BTreeMap<String, Tensor>,
    path: PathBuf,
    /// Of the file's bytes.
    pub(crate) sha256: String,
}

/// Name of one half of an adapter: `lora_a` or `lora_b`.
pub(crate) fn adapter_name(layer: usize, projection: Projection, half: &str) -> String {
    format!("layers.{layer}.{}.{half}", projection.name())
}

/// The adapters among named tensors.
///
/// # Errors
/// [`SessionError::TensorShape`] for one that does not fit the model, [`SessionError::MissingTensor`] for half
/// of one.
pub(crate) fn adapters_of(
    tensors: &BTreeMap<String, Tensor>,
    config: &ModelConfig,
    alpha: f64,
    files: &str,
) -> Result<Option<Adapters>, SessionError> {
    let mut adapters = Adapters::default();
    let mut found = 0;
    for layer in 0..config.layers {
        for projection in Projection::ALL {
            let [down, up] = ["lora_a", "lora_b"].map(|half| adapter_name(layer, projection, half));
            let (Some(a), Some(b)) = (tensors.get(&down), tensors.get(&up)) else {
                let missing = match (tensors.contains_key(&down), tensors.contains_key(&up)) {
                    (false, false) => continue,
                    (true, _) => up,
                    (_, true) => down,
                };
                return Err(SessionError::MissingTensor {
                    tensor: missing,
                    files: files.to_owned(),
                });
            };
            let (wide_in, wide_out) = projection.widths(config);
            let rank = a.dims().first().copied().unwrap_or(0);
            has_shape(a, &down, &[rank, wide_in], files)?;
            has_shape(b, &up, &[wide_out, rank], files)?;
            let low_rank = LowRank {
                down: a.clone(),
                up: b.clone(),
                scale: alpha / rank.max(1) as f64,
            };
            adapters.insert(layer, projection, low_rank);
            found += 1;
        }
    }
    Ok((found > 0).then_some(adapters))
}

fn has_shape(
    tensor: &Tensor,
    name: &str,
    expected: &[usize],
    files: &str,
) -> Result<(), SessionError> {
    if tensor.dims() == expected {
        return Ok(());
    }
    Err(SessionError::TensorShape {
        tensor: name.to_owned(),
        expected: expected.to_vec(),
        found: tensor.dims().to_vec(),
        files: files.to_owned(),
    })
}

impl TrainedFile {
    /// Writes a file whole or not at all.
    ///
    /// # Errors
    /// [`SessionError::Io`] if it cannot be written.
    pub(crate) fn write(
        path: &Path,
        method: TrainedMethod,
        model: &ModelIdentity,
        adapter_alpha: f64,
        training: Value,
        tensors: &BTreeMap<String, Tensor>,
    ) -> Result<(), SessionError> {
        let header = TrainedHeader {
            format_version: FORMAT_VERSION,
            method,
            model: model.clone(),
            adapter_alpha,
            training,
        };
        let text = serde_json::to_string(&header).map_err(|error| SessionError::Internal {
            reason: format!("the settings of the training cannot be written ({error})"),
        })?;
        write_file(path, &serialized(tensors, METADATA, text)?)
    }

    /// Takes the bytes of a file of this method that was made for this model; `path` names it in messages.
    ///
    /// # Errors
    /// [`SessionError::Checkpoint`] for a file that is damaged, of another method, or for other weights than are taken.
    pub(crate) fn from_bytes(
        bytes: &[u8],
        path: &Path,
        method: TrainedMethod,
        takes: TakenWeights,
        model: &Model,
    ) -> Result<Self, SessionError> {
        let header = header(bytes, path)?;
        let wrong = |reason: String| SessionError::Checkpoint {
            reason,
            path: path.to_owned(),
        };
        if header.format_version > FORMAT_VERSION {
            return Err(wrong(format!(
                "this trained window has format {}, and this program knows up to {FORMAT_VERSION}; use a newer kvlens",
                header.format_version
            )));
        }
        if header.method != method {
            return Err(wrong(format!(
                "this file holds a trained window '{}', not '{}'",
                header.method.name(),
                method.name()
            )));
        }
        let (own, other) = (model.identity(), &header.model);
        if takes == TakenWeights::Same && own.weights_sha256 != other.weights_sha256 {
            return Err(wrong(format!(
                "this window was trained for another model: '{}' (weights {}), not '{}' (weights {}); train one with `kvlens train {}`, or say weights=any if it is the same model in another format",
                other.name,
                short(&other.weights_sha256),
                own.name,
                short(&own.weights_sha256),
                method.name()
            )));
        }
        let tensors = candle_core::safetensors::load_buffer(bytes, &Device::Cpu)
            .map_err(|error| damaged(path, &error))?;
        let tensors: BTreeMap<String, Tensor> = tensors.into_iter().collect();
        if tensors.values().any(|tensor| tensor.dtype() != DType::F32) {
            return Err(damaged(path, &"its numbers are not f32"));
        }
        Ok(Self {
            header,
            tensors,
            path: path.to_owned(),
            sha256: sha256_hex(bytes),
        })
    }

    /// Embeddings `[n, hidden]` and adapters, on the model's device and in its dtype.
    ///
    /// # Errors
    /// [`SessionError::TensorShape`] or [`SessionError::MissingTensor`].
    pub(crate) fn for_model(
        &self,
        model: &Model,
    ) -> Result<(Tensor, Option<Adapters>), SessionError> {
        let files = self.path.display().to_string();
        let missing = || SessionError::MissingTensor {
            tensor: SOFT_TOKENS.to_owned(),
            files: files.clone(),
        };
        let soft_tokens = self.tensors.get(SOFT_TOKENS).ok_or_else(missing)?;
        let rows = soft_tokens.dims().first().copied().unwrap_or(0);
        let hidden = model.config().hidden_size;
        has_shape(soft_tokens, SOFT_TOKENS, &[rows.max(1), hidden], &files)?;
        let tensors = self
            .tensors
            .iter()
            .map(|(name, tensor)| Ok((name.clone(), model.like_embeddings(tensor)?)))
            .collect::<Result<BTreeMap<_, _>, SessionError>>()?;
        let adapters = adapters_of(&tensors, model.config(), self.header.adapter_alpha, &files)?;
        Ok((model.like_embeddings(soft_tokens)?, adapters))
    }
}

/// How large a trained window is, without its tensors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TrainedSize {
    /// n: rows that it runs behind the prompt.
    pub(crate) rows: usize,
    /// Numbers of soft tokens and adapters.
    pub(crate) numbers: usize,
}

impl TrainedSize {
    /// # Errors
    /// [`SessionError::Checkpoint`] for a file that is damaged.
    pub(crate) fn of(bytes: &[u8], path: &Path) -> Result<Self, SessionError> {
        let (_, metadata) =
            SafeTensors::read_metadata(bytes).map_err(|error| damaged(path, &error))?;
        let soft_tokens = metadata.info(SOFT_TOKENS);
        let rows = soft_tokens.and_then(|tensor| tensor.shape.first().copied());
        let tensors = metadata.tensors();
        Ok(Self {
            rows: rows.unwrap_or(0),
            numbers: tensors
                .values()
                .map(|tensor| tensor.shape.iter().product::<usize>())
                .sum(),
        })
    }
}

pub(crate) fn header(bytes: &[u8], path: &Path) -> Result<TrainedHeader, SessionError> {
    let (_, metadata) = SafeTensors::read_metadata(bytes).map_err(|error| damaged(path, &error))?;
    let text = metadata
        .metadata()
        .as_ref()
        .and_then(|metadata| metadata.get(METADATA))
        .ok_or_else(|| damaged(path, &"it does not say which model it is for"))?;
    serde_json::from_str(text).map_err(|error| damaged(path, &error))
}

fn damaged(path: &Path, error: &dyn std::fmt::Display) -> SessionError {
    SessionError::Checkpoint {
        reason: format!(
            "this is no trained window, or it is damaged; make one with `kvlens train` ({error})"
        ),
        path: path.to_owned(),
    }
}

/// The beginning of a hash, enough to tell two apart.
fn short(sha256: &str) -> &str {
    sha256.get(..12).unwrap_or(sha256)
}
