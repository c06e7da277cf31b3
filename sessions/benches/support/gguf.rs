//! GGUF files of random weights of a wanted shape and format.

use std::fs::File;
use std::path::{Path, PathBuf};

use candle_core::quantized::gguf_file::{Value, write};
use candle_core::quantized::{GgmlDType, QTensor};
use candle_core::{Device, Result, Tensor};

use super::support::Shape;

impl Shape {
    /// Writes one file with matrices in this format, and its tokenizer beside it.
    pub fn write_gguf(&self, folder: &Path, format: GgmlDType) -> Result<PathBuf> {
        let mut tensors = Vec::new();
        for (name, shape) in self.tensors()? {
            let (numbers, format) = match shape.as_slice() {
                [_, columns] => {
                    let width = (3.0 / *columns as f32).sqrt();
                    (
                        Tensor::rand(-width, width, shape.clone(), &Device::Cpu)?,
                        format,
                    )
                }
                _ => (
                    Tensor::rand(0.9_f32, 1.1, shape, &Device::Cpu)?,
                    GgmlDType::F32,
                ),
            };
            tensors.push((gguf_name(&name), QTensor::quantize(&numbers, format)?));
        }
        let tensors: Vec<_> = tensors.iter().map(|(name, q)| (name.as_str(), q)).collect();
        let metadata = self.metadata();
        let metadata: Vec<_> = metadata.iter().map(|(key, v)| (key.as_str(), v)).collect();
        let path = folder.join("model.gguf");
        write(&mut File::create(&path)?, &metadata, &tensors)?;
        std::fs::write(
            folder.join("tokenizer.json"),
            super::support::tokenizer().to_string(),
        )?;
        Ok(path)
    }

    fn metadata(&self) -> Vec<(String, Value)> {
        let count = |count: usize| Value::U32(u32::try_from(count).unwrap_or(u32::MAX));
        let mut metadata = vec![(
            "general.architecture".to_owned(),
            Value::String("llama".to_owned()),
        )];
        for (key, value) in [
            ("block_count", count(self.layers)),
            ("context_length", count(131_072)),
            ("embedding_length", count(self.hidden)),
            ("feed_forward_length", count(self.intermediate)),
            ("attention.head_count", count(self.query_heads)),
            ("attention.head_count_kv", count(self.kv_heads)),
            ("attention.key_length", count(self.head_dim)),
            ("attention.value_length", count(self.head_dim)),
            ("attention.layer_norm_rms_epsilon", Value::F32(1e-5)),
            ("rope.freq_base", Value::F32(10_000.0)),
        ] {
            metadata.push((format!("llama.{key}"), value));
        }
        metadata
    }
}

/// `model.layers.3.mlp.up_proj.weight` is `blk.3.ffn_up.weight`.
fn gguf_name(name: &str) -> String {
    [
        ("model.layers.", "blk."),
        ("model.embed_tokens", "token_embd"),
        ("model.norm", "output_norm"),
        ("input_layernorm", "attn_norm"),
        ("post_attention_layernorm", "ffn_norm"),
        ("self_attn.o_proj", "attn_output"),
        ("self_attn.", "attn_"),
        ("mlp.", "ffn_"),
        ("_proj", ""),
    ]
    .iter()
    .fold(name.to_owned(), |name, (ours, theirs)| {
        name.replace(ours, theirs)
    })
}
