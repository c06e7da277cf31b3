//! Checkpoints of random weights of a wanted shape, and prompts of a wanted length, for benchmarks and tests.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{BufWriter, Error, Result, Write};
use std::path::Path;

use kvlens_datasets::Sample;
use kvlens_sessions::model::{DtypeChoice, ModelConfig};
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

/// Words that the tokenizer knows, and so the smallest vocabulary.
const WORDS: usize = 512;

/// A Llama's sizes.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    /// L.
    pub layers: usize,
    /// Width of the residual stream.
    pub hidden: usize,
    /// H.
    pub query_heads: usize,
    /// G.
    pub kv_heads: usize,
    /// D.
    pub head_dim: usize,
    /// Width of the feed-forward layer.
    pub intermediate: usize,
    /// Rows of the embedding, which is the output layer too.
    pub vocabulary: usize,
}

impl Shape {
    /// Names and shapes of all tensors.
    pub fn tensors(&self) -> Result<Vec<(String, Vec<usize>)>> {
        let config = self.config(DtypeChoice::F32).to_string();
        let config = ModelConfig::from_json(config.as_bytes());
        Ok(config.map_err(Error::other)?.llama_weights())
    }

    fn config(&self, stored: DtypeChoice) -> serde_json::Value {
        serde_json::json!({
            "architectures": ["LlamaForCausalLM"],
            "hidden_size": self.hidden,
            "intermediate_size": self.intermediate,
            "num_hidden_layers": self.layers,
            "num_attention_heads": self.query_heads,
            "num_key_value_heads": self.kv_heads,
            "head_dim": self.head_dim,
            "vocab_size": self.vocabulary.max(WORDS),
            "max_position_embeddings": 131_072,
            "rms_norm_eps": 1e-5,
            "tie_word_embeddings": true,
            "torch_dtype": if stored == DtypeChoice::Bf16 { "bfloat16" } else { "float32" },
        })
    }

    /// Writes a folder in the Hugging Face layout, weights drawn with a fixed seed and stored as bf16 or else f32.
    pub fn write(&self, folder: &Path, stored: DtypeChoice) -> Result<()> {
        std::fs::write(folder.join("config.json"), self.config(stored).to_string())?;
        std::fs::write(folder.join("tokenizer.json"), tokenizer().to_string())?;
        self.write_weights(&folder.join("model.safetensors"), stored)
    }

    fn write_weights(&self, path: &Path, stored: DtypeChoice) -> Result<()> {
        let (format, bytes) = match stored {
            DtypeChoice::Bf16 => ("BF16", 2),
            _ => ("F32", 4),
        };
        let tensors = self.tensors()?;
        let mut header = serde_json::Map::new();
        let mut start = 0;
        for (name, shape) in &tensors {
            let end = start + bytes * shape.iter().product::<usize>();
            let entry =
                serde_json::json!({"dtype": format, "shape": shape, "data_offsets": [start, end]});
            header.insert(name.clone(), entry);
            start = end;
        }
        let mut header = serde_json::Value::from(header).to_string();
        // tensors begin at a multiple of eight bytes, as everybody writes them
        while !header.len().is_multiple_of(8) {
            header.push(' ');
        }
        let mut file = BufWriter::with_capacity(1 << 20, File::create(path)?);
        file.write_all(&(header.len() as u64).to_le_bytes())?;
        file.write_all(header.as_bytes())?;
        let mut random = ChaCha8Rng::seed_from_u64(1);
        for (_, shape) in &tensors {
            // norms are near 1, and matrices keep the size of what they are given
            let (centre, width) = match shape.as_slice() {
                [_, columns] => (0.0, (3.0 / *columns as f32).sqrt()),
                _ => (1.0, 0.1),
            };
            for _ in 0..shape.iter().product::<usize>() {
                let number: f32 = centre + width * (2.0 * random.random::<f32>() - 1.0);
                // bf16 is the upper half of f32
                file.write_all(&number.to_le_bytes()[4 - bytes..])?;
            }
        }
        file.flush()
    }
}

/// One token for each word, parted by spaces.
pub fn tokenizer() -> serde_json::Value {
    let vocabulary: serde_json::Map<String, serde_json::Value> = (0..WORDS)
        .map(|word| (format!("w{word}"), word.into()))
        .collect();
    serde_json::json!({
        "version": "1.0",
        "added_tokens": [],
        "pre_tokenizer": {"type": "WhitespaceSplit"},
        "model": {"type": "WordLevel", "vocab": vocabulary, "unk_token": "w0"},
    })
}

/// A prompt of so many tokens.
pub fn sample(prompt_tokens: usize) -> Sample {
    let mut prompt = String::new();
    for token in 0..prompt_tokens {
        // writing to a string cannot fail
        let _ = write!(prompt, "w{} ", (token * 7 + token / 11) % WORDS);
    }
    Sample {
        id: "random".to_owned(),
        dataset: "random".to_owned(),
        task: "text".to_owned(),
        prompt,
        ..Sample::default()
    }
}
