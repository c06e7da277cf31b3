//! How large a checkpoint's weights are, from the headers of its files.

use std::io::Read;
use std::path::Path;

use kvlens_datasets::open_regular;
use safetensors::SafeTensors;
use safetensors::tensor::Metadata;

use super::repacked::repacked_bytes;
use crate::SessionError;
use crate::error::Context;
use crate::model::gguf::{Header, TensorSize};
use crate::model::{EMBEDDING, ModelConfig, OUTPUT, TensorNames, WeightFiles};

/// As the safetensors crate has it: a longer header is a damaged file.
const MOST_HEADER_BYTES: u64 = 100_000_000;

/// Bytes of a number in single precision.
const F32_BYTES: f64 = 4.0;

/// Bytes before the header, which say how long it is.
const LENGTH_BYTES: usize = 8;

/// One tensor as it lies on disk.
#[derive(Debug, Clone, Copy, PartialEq)]
struct StoredTensor {
    /// Numbers that it is loaded as; none of a matrix that stays quantised.
    numbers: f64,
    /// Bytes that stay as they are stored.
    kept_bytes: f64,
    bytes: f64,
    /// Bytes of it that are memory-mapped.
    mapped_bytes: f64,
    /// Bytes that it takes besides from its first product on, on the CPU.
    repacked_bytes: f64,
    /// Whether numbers are made single precision before they become what they are loaded as.
    comes_as_f32: bool,
}

/// The tensors that a decoder loads, in the order in which it does.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct WeightSize {
    tensors: Vec<StoredTensor>,
}

/// The worst moments of loading, in bytes, with what of the weights is loaded by then.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Loading {
    /// Of what is needed.
    pub(crate) needed: f64,
    /// With the pages of mapped files that were read.
    pub(crate) resident: f64,
}

impl WeightSize {
    /// Reads no tensor. `keeps_quantised` says whether quantised matrices stay what they are.
    ///
    /// # Errors
    /// [`SessionError::Checkpoint`] for a header that is damaged, [`SessionError::TensorShape`] for an embedding
    /// that is not the configuration's.
    pub(crate) fn of(
        files: &WeightFiles,
        config: &ModelConfig,
        keeps_quantised: bool,
    ) -> Result<Self, SessionError> {
        let mut named = Vec::new();
        match files {
            WeightFiles::Embedded(bytes) => {
                let (_, header) = SafeTensors::read_metadata(bytes)
                    .map_err(|error| damaged(Path::new("built-in"), &error))?;
                add_tensors(&mut named, &[(header, None)], config)?;
            }
            WeightFiles::Files(paths) => {
                let headers = paths
                    .iter()
                    .map(|path| Ok((read_header(path)?, Some(path.as_path()))))
                    .collect::<Result<Vec<_>, SessionError>>()?;
                add_tensors(&mut named, &headers, config)?;
            }
            WeightFiles::Gguf(header) => add_gguf(&mut named, header, keeps_quantised),
        }
        // embedding and output layer come first; a stable sort leaves the others as they are
        named.sort_by_key(|(name, _)| match name.as_str() {
            EMBEDDING => 0,
            OUTPUT => 1,
            _ => 2,
        });
        Ok(Self {
            tensors: named.into_iter().map(|(_, tensor)| tensor).collect(),
        })
    }

    /// Bytes of all of them, loaded into numbers of so many bytes where they do not stay quantised.
    pub(crate) fn bytes(&self, element_bytes: f64) -> f64 {
        let tensors = self.tensors.iter();
        tensors.map(|tensor| tensor.loaded(element_bytes)).sum()
    }

    /// Whether some of them stay quantised.
    pub(crate) fn are_quantised(&self) -> bool {
        self.tensors.iter().any(|tensor| tensor.kept_bytes > 0.0)
    }

    /// Bytes that they take besides from their first products on, on the CPU.
    pub(crate) fn repacked_bytes(&self) -> f64 {
        let tensors = self.tensors.iter();
        tensors.map(|tensor| tensor.repacked_bytes).sum()
    }

    /// Loads one tensor after the other into numbers of so many bytes; one that is stored otherwise lies in
    /// memory both ways for a moment.
    pub(crate) fn loading(&self, element_bytes: f64) -> Loading {
        let (mut loaded, mut mapped) = (0.0, 0.0);
        let mut worst = Loading::default();
        for tensor in &self.tensors {
            let bytes = tensor.loaded(element_bytes);
            // a quantised matrix is read first, and then copied into its blocks
            let read = if bytes == tensor.bytes && tensor.kept_bytes == 0.0 {
                0.0
            } else {
                tensor.bytes
            };
            let between = match tensor.comes_as_f32 && element_bytes < F32_BYTES {
                true => tensor.numbers * F32_BYTES,
                false => 0.0,
            };
            let converted = read + between;
            loaded += bytes;
            mapped += tensor.mapped_bytes;
            worst.needed = worst.needed.max(loaded + converted);
            worst.resident = worst.resident.max(loaded + converted + mapped);
        }
        worst
    }
}

impl StoredTensor {
    fn loaded(&self, element_bytes: f64) -> f64 {
        self.numbers * element_bytes + self.kept_bytes
    }
}

/// In the order of their names; none is mapped.
fn add_gguf(named: &mut Vec<(String, StoredTensor)>, header: &Header, keeps_quantised: bool) {
    let mut tensors: Vec<_> = header.tensors().collect();
    tensors.sort_by_key(|tensor| tensor.name);
    for tensor in tensors {
        let bytes = tensor.bytes as f64;
        let stays = tensor.is_quantised && keeps_quantised;
        let (numbers, kept_bytes) = match stays {
            true => (0.0, bytes),
            false => (tensor.numbers as f64, 0.0),
        };
        let stored = StoredTensor {
            numbers,
            kept_bytes,
            bytes,
            mapped_bytes: 0.0,
            repacked_bytes: if stays {
                repacked(&tensor, header)
            } else {
                0.0
            },
            comes_as_f32: true,
        };
        named.push((tensor.name.to_owned(), stored));
    }
}

/// An embedding is multiplied only where it is the output layer too.
fn repacked(tensor: &TensorSize<'_>, header: &Header) -> f64 {
    const EMBEDDING: &str = "token_embd.weight";
    const OUTPUT: &str = "output.weight";
    let is_tied = || header.tensors().all(|tensor| tensor.name != OUTPUT);
    let [rows, columns] = match tensor.matrix {
        Some(_) if tensor.name == EMBEDDING && !is_tied() => return 0.0,
        Some(matrix) => matrix,
        None => return 0.0,
    };
    repacked_bytes(tensor.format, rows, columns)
}

/// Of headers with the files that their tensors are mapped from.
fn add_tensors(
    named: &mut Vec<(String, StoredTensor)>,
    headers: &[(Metadata, Option<&Path>)],
    config: &ModelConfig,
) -> Result<(), SessionError> {
    let names = TensorNames::find(|name| {
        headers
            .iter()
            .any(|(header, _)| header.info(name).is_some())
    });
    for (header, file) in headers {
        for stored_name in header.offset_keys() {
            let loaded = names.of_stored(&stored_name).zip(header.info(&stored_name));
            let Some((name, tensor)) = loaded else {
                continue;
            };
            // an output layer that is the embedding is not loaded a second time
            if config.tied_embeddings && name == OUTPUT {
                continue;
            }
            if name == EMBEDDING {
                check_embedding(&tensor.shape, config, *file)?;
            }
            let (start, end) = tensor.data_offsets;
            let bytes = end.saturating_sub(start) as f64;
            let stored = StoredTensor {
                numbers: bytes * 8.0 / tensor.dtype.bitsize() as f64,
                kept_bytes: 0.0,
                bytes,
                mapped_bytes: if file.is_some() { bytes } else { 0.0 },
                repacked_bytes: 0.0,
                comes_as_f32: false,
            };
            named.push((name, stored));
        }
    }
    Ok(())
}

/// A configuration that is not of these weights would give figures that mean nothing.
fn check_embedding(
    found: &[usize],
    config: &ModelConfig,
    file: Option<&Path>,
) -> Result<(), SessionError> {
    let expected = [config.vocabulary, config.hidden_size];
    if found == expected {
        return Ok(());
    }
    Err(SessionError::TensorShape {
        tensor: EMBEDDING.to_owned(),
        expected: expected.to_vec(),
        found: found.to_vec(),
        files: file.map_or("the built-in model".to_owned(), |file| {
            file.display().to_string()
        }),
    })
}

/// The header of a safetensors file, whose tensors must all be there.
fn read_header(path: &Path) -> Result<Metadata, SessionError> {
    let action = "read the header of the weights";
    let mut file = open_regular(path).io(action, path)?;
    let file_bytes = file.metadata().io(action, path)?.len();
    let mut length = [0; LENGTH_BYTES];
    file.read_exact(&mut length)
        .map_err(|error| damaged(path, &error))?;
    let header_bytes = u64::from_le_bytes(length).min(MOST_HEADER_BYTES);
    let mut text = Vec::new();
    file.take(header_bytes)
        .read_to_end(&mut text)
        .io(action, path)?;
    let header: Metadata = serde_json::from_slice(&text).map_err(|error| damaged(path, &error))?;
    let keys = header.offset_keys();
    let ends = keys.iter().filter_map(|name| header.info(name));
    let tensor_bytes = ends.map(|tensor| tensor.data_offsets.1).max().unwrap_or(0) as u64;
    let expected = tensor_bytes.saturating_add(header_bytes + LENGTH_BYTES as u64);
    if expected > file_bytes {
        let reason = format!("{file_bytes} bytes, of which there should be {expected}");
        return Err(damaged(path, &reason));
    }
    Ok(header)
}

fn damaged(path: &Path, error: &dyn std::fmt::Display) -> SessionError {
    SessionError::Checkpoint {
        reason: format!(
            "the weights cannot be read; the file is truncated or damaged, fetch it again ({error})"
        ),
        path: path.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Checkpoint, ModelSource};

    /// Width 64, vocabulary 320, tied; three layers with four query heads and two key/value heads of 16, and six experts of
    /// width 32.
    #[test]
    fn all_experts_count_whether_a_token_goes_through_them_or_not() {
        let attention = 64 * 64 + 2 * 32 * 64 + 64 * 64 + 2 * 16;
        let mixture = 6 * 64 + 6 * 3 * 32 * 64;
        let numbers = 320 * 64 + 64 + 3 * (attention + mixture + 2 * 64);
        let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
        for path in ["qwen3-moe-sparse", "gguf/qwen3-moe-sparse.gguf"] {
            let checkpoint = Checkpoint::find(&ModelSource::from(fixtures.join(path))).unwrap();
            let config = ModelConfig::from_json(&checkpoint.config).unwrap();
            let size = WeightSize::of(&checkpoint.weights, &config, true).unwrap();
            assert_eq!(size.bytes(4.0), f64::from(4 * numbers), "{path}");
        }
    }
}
