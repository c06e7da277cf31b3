//! A model of random weights, as large as one that people run.

use candle_core::{DType, Device, Tensor, Var};
use serde::Serialize;
use serde_json::json;

use crate::SessionError;
use crate::model::{
    Decoder, DeviceChoice, DtypeChoice, Model, ModelConfig, ModelSource, Parameters, Weights,
};

/// A model of random weights, and how long its prompts are.
#[derive(Debug, Clone, Serialize)]
pub struct SpeedShape {
    hidden: usize,
    layers: usize,
    query_heads: usize,
    kv_heads: usize,
    head_dim: usize,
    intermediate: usize,
    pub(super) vocabulary: usize,
    pub(super) prompts: Vec<usize>,
    pub(super) decoded: usize,
    /// Rows and columns of the products, numbers of the copies, that the device's own speed is taken from.
    pub(super) product: usize,
    pub(super) copied: usize,
}

impl SpeedShape {
    /// That of Llama 3.1 8B, with prompts of 4,096, 16,384 and 32,768 tokens.
    pub fn eight_billion() -> Self {
        Self {
            hidden: 4096,
            layers: 32,
            query_heads: 32,
            kv_heads: 8,
            head_dim: 128,
            intermediate: 14_336,
            vocabulary: 128_256,
            prompts: vec![4096, 16_384, 32_768],
            decoded: 16,
            product: 8192,
            copied: 1 << 29,
        }
    }

    /// One that a processor runs in a second.
    pub fn tiny() -> Self {
        Self {
            hidden: 32,
            layers: 2,
            query_heads: 4,
            kv_heads: 2,
            head_dim: 8,
            intermediate: 64,
            vocabulary: 640,
            prompts: vec![64, 600],
            decoded: 4,
            product: 64,
            copied: 1 << 12,
        }
    }

    pub(super) fn config(&self) -> Result<ModelConfig, SessionError> {
        let positions = self.prompts.iter().max().map_or(0, |tokens| tokens + 1024);
        let text = json!({
            "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_act": "silu",
            "hidden_size": self.hidden, "num_hidden_layers": self.layers, "vocab_size": self.vocabulary,
            "num_attention_heads": self.query_heads, "num_key_value_heads": self.kv_heads,
            "head_dim": self.head_dim, "intermediate_size": self.intermediate,
            "max_position_embeddings": positions, "rms_norm_eps": 1e-5, "rope_theta": 500_000.0,
            "tie_word_embeddings": false,
        });
        ModelConfig::from_json(text.to_string().as_bytes())
    }

    /// Numbers in all weights.
    pub(super) fn numbers(&self) -> Result<f64, SessionError> {
        let of = |shape: &Vec<usize>| shape.iter().product::<usize>() as f64;
        let weights = self.config()?.llama_weights();
        Ok(weights.iter().map(|(_, shape)| of(shape)).sum())
    }

    /// Operations of a prefill: two for each weight but the embedding's and each token, and of attention for each pair
    /// of a row and a key that it sees, once for the scores and once for the context.
    pub(super) fn prefill_flops(&self, tokens: f64) -> Result<f64, SessionError> {
        let weights = self.numbers()? - 2.0 * (self.vocabulary * self.hidden) as f64;
        let heads = (self.layers * self.query_heads * self.head_dim) as f64;
        Ok(2.0 * weights * tokens + 2.0 * heads * tokens * tokens)
    }

    /// Bytes that a decode step must read: the weights but the embedding, and the cache.
    pub(super) fn decode_bytes(&self, tokens: f64, element: f64) -> Result<f64, SessionError> {
        let weights = self.numbers()? - (self.vocabulary * self.hidden) as f64;
        let cached = 2.0 * (self.layers * self.kv_heads * self.head_dim) as f64 * tokens;
        Ok((weights + cached) * element)
    }
}

/// A model whose weights are noise, made where they are needed.
pub(super) fn random_model(
    shape: &SpeedShape,
    device: &Device,
    dtype: DType,
) -> Result<Model, SessionError> {
    // some numbers over and over: 8 billion would take minutes to draw
    const NOISE: usize = (1 << 20) + 7;
    let values: Vec<f32> = (0..NOISE as u32)
        .map(|index| {
            ((index.wrapping_mul(2_654_435_761) >> 8) as f32 / (1 << 24) as f32 - 0.5) * 0.1
        })
        .collect();
    let noise = Tensor::from_vec(values, NOISE, device)?.to_dtype(dtype)?;
    let mut parameters = Parameters::new();
    let config = shape.config()?;
    for (name, shape) in config.llama_weights() {
        let count: usize = shape.iter().product();
        let tensor = match shape.len() {
            1 => Tensor::ones(shape, dtype, device)?,
            _ => {
                let times = count.div_ceil(NOISE);
                let repeated = noise.unsqueeze(0)?.broadcast_as((times, NOISE))?;
                let repeated = repeated.contiguous()?.flatten_all()?;
                repeated.narrow(0, 0, count)?.reshape(shape)?
            }
        };
        parameters.insert(name, Var::from_tensor(&tensor)?);
    }
    let weights = Weights::trained(&parameters, device, dtype);
    let decoder = Decoder::load(&weights, config)?;
    // its tokenizer is not asked for anything
    let demo = Model::load(&ModelSource::Demo, DeviceChoice::Cpu, DtypeChoice::F32)?;
    Ok(demo.with_decoder(decoder))
}
