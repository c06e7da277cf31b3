//! The values of a prompt's cache and what the decode stage put behind them: what attention makes its output of.

use std::fmt;

use candle_core::{D, DType, Tensor};
use kvlens_analysis::{HeadReads, ValueWeight};
use serde::{Deserialize, Serialize};

use crate::SessionError;
use crate::attention_rows::PromptKeys;
use crate::decode_keys::DecodeKeys;
use crate::half_format::HalfFormat;
use crate::model::{Decoder, KvCache, view_on_cpu};
use crate::observation::QueryRows;

/// Values of the prompt, and keys and values of the S tokens that the decode stage fed behind it, on the CPU in the
/// model's format.
#[derive(Debug, Clone)]
pub struct CachedValues {
    /// L entries `[G, T, D]`.
    prompt: Vec<Tensor>,
    decode_keys: DecodeKeys,
    /// L entries `[G, S, D]`.
    decode_values: Vec<Tensor>,
    /// L entries `[H, T]`, f32.
    output_norms: Vec<Tensor>,
    /// L entries `[H, D, D]`, f32; none in sessions of earlier programs.
    output_grams: Option<Vec<Tensor>>,
}

/// Where the output of attention is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OutputPlace {
    /// Each head's own sum of values.
    #[default]
    Head,
    /// What the head's slice of the output projection makes of it.
    #[serde(rename = "output-projection")]
    Projected,
}

impl fmt::Display for OutputPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Head => "head",
            Self::Projected => "output-projection",
        })
    }
}

impl OutputPlace {
    /// Whether it is the head's own output.
    pub fn is_head(&self) -> bool {
        *self == Self::Head
    }
}

/// What one head reads behind the prompt: weight `[W]` and sum of values `[W, D]`.
type Behind = (Vec<f64>, Vec<f64>);

impl CachedValues {
    /// The prompt's part as views of the cache where that lies on the CPU.
    pub(crate) fn of(
        decoder: &Decoder,
        cache: &KvCache,
        prompt_tokens: usize,
        decode_keys: DecodeKeys,
        decode_values: Vec<Tensor>,
    ) -> Result<Self, SessionError> {
        let prompt = (0..cache.layers())
            .map(|layer| view_on_cpu(&cache.values(layer, prompt_tokens)?))
            .collect::<Result<Vec<_>, SessionError>>()?;
        let norms = prompt.iter().enumerate();
        let norms = norms
            .map(|(layer, values)| decoder.output_norms(layer, values))
            .collect::<Result<_, _>>()?;
        let grams = (0..prompt.len()).map(|layer| decoder.output_grams(layer));
        let grams = grams.collect::<Result<_, _>>()?;
        Self::new(prompt, decode_keys, decode_values, norms, Some(grams))
    }

    /// Each with one tensor a layer, all of the same heads and head size.
    pub(crate) fn new(
        prompt: Vec<Tensor>,
        decode_keys: DecodeKeys,
        decode_values: Vec<Tensor>,
        output_norms: Vec<Tensor>,
        output_grams: Option<Vec<Tensor>>,
    ) -> Result<Self, SessionError> {
        let alike = prompt.len() == decode_keys.layers().len()
            && prompt.len() == output_norms.len()
            && prompt.len() == decode_values.len()
            && decode_keys
                .layers()
                .iter()
                .zip(&decode_values)
                .all(|(keys, values)| keys.dims() == values.dims());
        if !alike {
            return Err(SessionError::Internal {
                reason: "keys and values of the decode stage differ in shape".to_owned(),
            });
        }
        Ok(Self {
            prompt,
            decode_keys,
            decode_values,
            output_norms,
            output_grams,
        })
    }

    /// Values of the prompt, L entries `[G, T, D]`.
    pub fn prompt(&self) -> &[Tensor] {
        &self.prompt
    }

    /// Keys of the decode stage's tokens.
    pub fn decode_keys(&self) -> &DecodeKeys {
        &self.decode_keys
    }

    /// Their values, L entries `[G, S, D]`.
    pub fn decode_values(&self) -> &[Tensor] {
        &self.decode_values
    }

    /// Norms of what each query head's output projection makes of the prompt's values, L entries `[H, T]`, f32: of
    /// the head's slice of the projection alone, without bias or norms behind it.
    pub fn output_norms(&self) -> &[Tensor] {
        &self.output_norms
    }

    /// W^T W of each query head's slice W of the output projection, L entries `[H, D, D]`, f32: what an error is behind
    /// it. None in sessions of earlier programs.
    pub(crate) fn output_grams(&self) -> Option<&[Tensor]> {
        self.output_grams.as_deref()
    }

    /// What each of the L * H query heads' tokens weigh, `[T]` each.
    ///
    /// # Errors
    /// [`SessionError::Tensor`] if a tensor cannot be read.
    pub fn weights(
        &self,
        weight: ValueWeight,
        query_heads: usize,
    ) -> Result<Vec<Vec<f32>>, SessionError> {
        let mut weights = Vec::new();
        for layer in 0..self.prompt.len() {
            let of_layer: Vec<Vec<f32>> = match weight {
                ValueWeight::None => Vec::new(),
                ValueWeight::ValueNorm => self.norms(layer)?,
                ValueWeight::OutputNorm => of_layer(&self.output_norms, layer)?.to_vec2()?,
            };
            let sharing = query_heads / of_layer.len().max(1);
            let heads = of_layer.into_iter();
            weights.extend(heads.flat_map(|norms| std::iter::repeat_n(norms, sharing)));
        }
        Ok(weights)
    }

    /// The same in another format; the norms stay in single precision.
    pub(crate) fn converted(&self, numbers: HalfFormat) -> Result<Self, SessionError> {
        Ok(Self {
            prompt: numbers.round_all(&self.prompt)?,
            decode_keys: self.decode_keys.converted(numbers)?,
            decode_values: numbers.round_all(&self.decode_values)?,
            output_norms: self.output_norms.clone(),
            output_grams: self.output_grams.clone(),
        })
    }

    /// Bytes of all of them.
    pub fn bytes(&self) -> usize {
        let all = [&self.prompt, &self.decode_values, &self.output_norms];
        let grams = self.output_grams.iter();
        let tensors = all.into_iter().chain(grams).flatten();
        let tensors = tensors.map(|tensor| tensor.elem_count() * tensor.dtype().size_in_bytes());
        self.decode_keys.bytes() + tensors.sum::<usize>()
    }

    /// What each of the H / G query heads of a layer's key/value head reads at the decode stage's `rows`: its attention
    /// on the prompt with the prompt's values, and what it reads of the tokens behind. Errors are told `at` the head or
    /// behind the output projection.
    ///
    /// # Errors
    /// [`SessionError::Tensor`] if the rows are not of the same sample; [`SessionError::Plan`] where the session does not
    /// know the output projection.
    pub fn reads(
        &self,
        keys: &PromptKeys,
        rows: &QueryRows,
        layer: usize,
        kv_head: usize,
        at: OutputPlace,
    ) -> Result<Vec<HeadReads>, SessionError> {
        let values = numbers(&of_layer(&self.prompt, layer)?.get(kv_head)?)?;
        let weights = keys.attention_rows(rows, layer, kv_head)?;
        let behind = self.behind(keys, rows, layer, kv_head)?;
        let head_dim = keys.shape().3;
        let values = std::sync::Arc::<[f32]>::from(values);
        let first = kv_head * keys.group_size()?;
        let heads = weights.into_iter().zip(behind).enumerate();
        heads
            .map(|(head, (weights, (mass, sum)))| {
                let reads = HeadReads::new(&weights, values.clone(), head_dim, mass, sum)?;
                Ok(match at {
                    OutputPlace::Head => reads,
                    OutputPlace::Projected => {
                        reads.through(self.gram(layer, first + head)?.into())?
                    }
                })
            })
            .collect()
    }

    fn gram(&self, layer: usize, head: usize) -> Result<Vec<f32>, SessionError> {
        let grams = self.output_grams.as_ref();
        let grams = grams.ok_or_else(|| SessionError::Plan {
            reason: "the session was captured by a program that kept nothing of the output projection; capture it again \
                     with --keep keys,values, or leave out --through"
                .to_owned(),
        })?;
        numbers(&of_layer(grams, layer)?.get(head)?)
    }

    /// Attention that each query head's rows pay to the decode stage's tokens, `[W]`, and the sum of these tokens'
    /// values by it, `[W, D]`.
    fn behind(
        &self,
        keys: &PromptKeys,
        rows: &QueryRows,
        layer: usize,
        kv_head: usize,
    ) -> Result<Vec<Behind>, SessionError> {
        let head_dim = keys.shape().3;
        let values = of_layer(&self.decode_values, layer)?.get(kv_head)?;
        let (tokens, values) = (values.dim(0)?, numbers(&values)?);
        let heads = self
            .decode_keys
            .attention_rows(keys, rows, layer, kv_head)?;
        let of_head = |weights: Vec<f32>| -> Behind {
            let mut sums = vec![0.0; rows.count() * head_dim];
            let by_row = weights.chunks_exact(tokens.max(1));
            let masses = by_row
                .zip(sums.chunks_exact_mut(head_dim))
                .map(|(row, sums)| {
                    let mut mass = 0.0;
                    for (&weight, value) in row.iter().zip(values.chunks_exact(head_dim)) {
                        let weight = f64::from(weight);
                        mass += weight;
                        for (sum, &value) in sums.iter_mut().zip(value) {
                            *sum += weight * f64::from(value);
                        }
                    }
                    mass
                });
            (masses.collect(), sums)
        };
        Ok(heads.into_iter().map(of_head).collect())
    }

    /// The Euclidean norm of every value of a layer, `[G, T]`.
    ///
    /// # Errors
    /// [`SessionError::Internal`] for a layer that is not there.
    fn norms(&self, layer: usize) -> Result<Vec<Vec<f32>>, SessionError> {
        let values = of_layer(&self.prompt, layer)?;
        let squares = values.to_dtype(DType::F32)?.sqr()?.sum(D::Minus1)?;
        Ok(squares.sqrt()?.to_vec2()?)
    }
}

fn of_layer(layers: &[Tensor], layer: usize) -> Result<&Tensor, SessionError> {
    layers.get(layer).ok_or_else(|| SessionError::Internal {
        reason: format!("values of layer {layer} of {} were asked for", layers.len()),
    })
}

fn numbers(tensor: &Tensor) -> Result<Vec<f32>, SessionError> {
    Ok(tensor.to_dtype(DType::F32)?.flatten_all()?.to_vec1()?)
}
