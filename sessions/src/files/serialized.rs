//! Tensors as bytes that are the same every time.

use std::collections::{BTreeMap, HashMap};

use candle_core::{Device, Tensor};
use safetensors::tensor::{Dtype, TensorView};

use crate::SessionError;

/// Tensors as the bytes of a safetensors file, f32, with one metadata entry; the same bytes every time.
pub(crate) fn serialized(
    tensors: &BTreeMap<String, Tensor>,
    key: &str,
    text: String,
) -> Result<Vec<u8>, SessionError> {
    let mut data = Vec::with_capacity(tensors.len());
    for (name, tensor) in tensors {
        let values = tensor
            .to_device(&Device::Cpu)?
            .flatten_all()?
            .to_vec1::<f32>()?;
        let bytes: Vec<u8> = values
            .iter()
            .flat_map(|value| value.to_le_bytes())
            .collect();
        data.push((name, tensor.dims().to_vec(), bytes));
    }
    let failed = |error: safetensors::SafeTensorError| SessionError::Internal {
        reason: format!("the tensors cannot be written ({error})"),
    };
    let views = data
        .iter()
        .map(|(name, shape, bytes)| {
            Ok((
                name,
                TensorView::new(Dtype::F32, shape.clone(), bytes).map_err(failed)?,
            ))
        })
        .collect::<Result<Vec<_>, SessionError>>()?;
    let metadata = HashMap::from([(key.to_owned(), text)]);
    safetensors::serialize(views, Some(metadata)).map_err(failed)
}
