//! How large a checkpoint's weights are, from the headers of its files.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use safetensors::SafeTensors;
use safetensors::tensor::Metadata;

use crate::SessionError;
use crate::error::Context;
use crate::model::gguf::Header;
use crate::model::{ModelConfig, WeightFiles};

/// As the safetensors crate has it: a longer header is a damaged file.
const MOST_HEADER_BYTES: u64 = 100_000_000;

/// The token embedding, whose shape is the configuration's.
const EMBEDDING: &str = "model.embed_tokens.weight";

/// Bytes before the header, which say how long it is.
const LENGTH_BYTES: usize = 8;

/// The tensors that a decoder loads.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct WeightSize {
    /// Numbers in all of them that are loaded as numbers.
    pub(crate) numbers: f64,
    /// Bytes of matrices that stay quantised, as stored.
    pub(crate) quantised_bytes: f64,
    /// Bytes that lie in memory-mapped files.
    pub(crate) mapped_bytes: f64,
    /// Bytes of the largest one, as stored.
    pub(crate) largest_bytes: f64,
    /// Bytes of one number as most of them are stored.
    pub(crate) stored_element_bytes: f64,
}

impl WeightSize {
    /// Reads no tensor.
    ///
    /// # Errors
    /// [`SessionError::Checkpoint`] for a header that is damaged.
    pub(crate) fn of(files: &WeightFiles, config: &ModelConfig) -> Result<Self, SessionError> {
        let mut size = Self::default();
        match files {
            WeightFiles::Embedded(bytes) => {
                let (_, header) = SafeTensors::read_metadata(bytes)
                    .map_err(|error| damaged(Path::new("built-in"), &error))?;
                size.add(&header, config, None)?;
            }
            WeightFiles::Files(paths) => {
                for path in paths {
                    size.add(&read_header(path)?, config, Some(path))?;
                }
            }
            WeightFiles::Gguf(header) => size.add_quantised(header, config),
        }
        Ok(size)
    }

    /// Matrices stay as they are stored; the embedding is looked up row by row and therefore turned into numbers.
    fn add_quantised(&mut self, header: &Header, config: &ModelConfig) {
        for tensor in header.tensors() {
            let is_embedding = tensor.name == "token_embd.weight";
            let stays = tensor.is_quantised && (!is_embedding || config.tied_embeddings);
            if stays {
                self.quantised_bytes += tensor.bytes as f64;
            }
            if is_embedding || !tensor.is_quantised {
                self.numbers += tensor.numbers as f64;
            }
            self.largest_bytes = self.largest_bytes.max(tensor.bytes as f64);
        }
    }

    /// `file` is where they are mapped from.
    fn add(
        &mut self,
        header: &Metadata,
        config: &ModelConfig,
        file: Option<&Path>,
    ) -> Result<(), SessionError> {
        for name in header.offset_keys() {
            // an output layer that is the embedding is not loaded a second time
            if config.tied_embeddings && name == "lm_head.weight" {
                continue;
            }
            let Some(tensor) = header.info(&name) else {
                continue;
            };
            if name == EMBEDDING {
                check_embedding(&tensor.shape, config, file)?;
            }
            let (start, end) = tensor.data_offsets;
            let bytes = end.saturating_sub(start) as f64;
            let element_bytes = tensor.dtype.bitsize() as f64 / 8.0;
            self.numbers += bytes / element_bytes;
            if file.is_some() {
                self.mapped_bytes += bytes;
            }
            if bytes > self.largest_bytes {
                self.largest_bytes = bytes;
                self.stored_element_bytes = element_bytes;
            }
        }
        Ok(())
    }
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
    let mut file = File::open(path).io(action, path)?;
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
