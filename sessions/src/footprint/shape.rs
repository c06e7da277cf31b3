//! How much one run holds, from the shapes. Every figure is in bytes.

use std::collections::BTreeSet;

use super::memory::{Memory, WindowMemory};
use crate::model::{Experts, ModelConfig, ModelSource, ScoreBlocks, dequantised_bytes};

/// Numbers of log-sum-exps, scores and attention weights are single precision whatever the model's are.
const F32_BYTES: f64 = 4.0;

/// One sample of a capture: a model, and a prompt of T tokens.
#[derive(Debug, Clone, Copy)]
pub struct RunShape<'a> {
    /// The model's shape.
    pub config: &'a ModelConfig,
    /// Where the model comes from, for what lies beside it.
    pub source: &'a ModelSource,
    /// T.
    pub prompt_tokens: usize,
    /// Bytes of one number of weights, cache and activations.
    pub element_bytes: usize,
    /// Whether the model lies on a device with memory of its own.
    pub on_gpu: bool,
    /// Whether both sides of a product are made single precision first, as candle does with bf16 on the CPU.
    pub widens_products: bool,
    /// Whether products of many rows make quantised matrices floating point, block by block.
    pub dequantises: bool,
    /// Threads that score heads at the same time.
    pub threads: usize,
}

fn product(factors: &[usize]) -> f64 {
    factors.iter().map(|&factor| factor as f64).product()
}

impl RunShape<'_> {
    /// Bytes that lie where the model lies.
    pub fn beside_the_model(&self, bytes: f64) -> Memory {
        if self.on_gpu {
            Memory {
                device: bytes,
                host: 0.0,
            }
        } else {
            Memory::on_host(bytes)
        }
    }

    /// Queries `[L, H, rows, D]` in the model's format and log-sum-exps `[L, H, rows]`.
    pub fn rows(&self, rows: usize) -> f64 {
        let row = (self.config.head_dim * self.element_bytes) as f64 + F32_BYTES;
        product(&[self.config.layers, self.config.query_heads, rows]) * row
    }

    /// Scores `[L, heads, T]`.
    pub fn scores(&self, heads: usize) -> f64 {
        product(&[self.config.layers, heads, self.prompt_tokens]) * F32_BYTES
    }

    /// The prompt's keys `[L, G, T, D]`.
    pub fn keys(&self) -> f64 {
        self.cache(self.config.kv_heads, self.prompt_tokens) / 2.0
    }

    /// Keys and values `[L, heads, tokens, D]`.
    pub fn cache(&self, heads: usize, tokens: usize) -> f64 {
        let token = product(&[2, self.config.head_dim, self.element_bytes]);
        product(&[self.config.layers, heads, tokens]) * token
    }

    /// Running `rows` rows behind others so that they see `keys` keys: the widest layer's activations, without
    /// the queries that are kept of them.
    pub fn forward(&self, rows: usize, keys: usize) -> Memory {
        let config = self.config;
        let element = self.element_bytes;
        // embeddings, the residual stream, that of the chunk before, and the normed stream
        let streams = product(&[4, rows, config.hidden_size, element]);
        let (queries, keys_and_values) = (config.query_heads, 4 * config.kv_heads);
        // heads before rotation, the contexts of the blocks, keys and values before and after rotation
        let heads = product(&[
            rows,
            2 * queries + keys_and_values,
            config.head_dim,
            element,
        ]);
        // gate, its activation, up, and the product
        let feed_forward =
            product(&[4, rows, config.widest_feed_forward(), element]) + self.mixed(rows);
        let block = self.attention_block(rows, keys) + self.widened_cache(keys);
        let attention = heads + block.max(self.dequantised(rows, self.widest_of_attention()));
        let feed_forward = feed_forward
            + self.widened_feed_forward(rows)
            + self.dequantised(rows, self.widest_of_feed_forward());
        let widest = attention.max(feed_forward).max(self.widened_output());
        self.beside_the_model(streams + widest)
    }

    /// Outputs of all experts that rows go through, as they are made and in the rows' order, with every expert's shares.
    fn mixed(&self, rows: usize) -> f64 {
        let bytes = |experts: &Experts| {
            let outputs = product(&[2, rows, experts.active, self.config.hidden_size]);
            (outputs + product(&[2, rows, experts.count])) * F32_BYTES
        };
        self.config.experts.as_ref().map_or(0.0, bytes)
    }

    /// Sides of the matrices of attention and of the feed-forward, `[width out, width in]`.
    fn widest_of_attention(&self) -> [[usize; 2]; 2] {
        let (hidden, heads) = (self.config.hidden_size, self.config.query_heads);
        let heads = heads * self.config.head_dim;
        [[heads, hidden], [hidden, heads]]
    }

    fn widest_of_feed_forward(&self) -> [[usize; 2]; 2] {
        let (hidden, wide) = (self.config.hidden_size, self.config.widest_feed_forward());
        [[wide, hidden], [hidden, wide]]
    }

    /// What the product of `rows` rows with one of these takes where they are quantised.
    fn dequantised(&self, rows: usize, matrices: [[usize; 2]; 2]) -> f64 {
        let bytes =
            |[width_out, width_in]: [usize; 2]| dequantised_bytes(rows, width_out, width_in);
        match self.dequantises {
            true => matrices.into_iter().map(bytes).fold(0.0, f64::max),
            false => 0.0,
        }
    }

    /// A layer's keys or values, as a product takes them.
    fn widened_cache(&self, keys: usize) -> f64 {
        self.widened(&[self.config.kv_heads, keys, self.config.head_dim])
    }

    /// One of the feed-forward's matrices, all of a tensor that holds two, with what goes in and comes out.
    fn widened_feed_forward(&self, rows: usize) -> f64 {
        let (hidden, wide) = (self.config.hidden_size, self.config.widest_feed_forward());
        let stored = if self.config.fused_projections { 2 } else { 1 };
        self.widened(&[stored, hidden, wide]) + self.widened(&[rows, hidden + wide])
    }

    /// The output layer, which sees the last row alone.
    fn widened_output(&self) -> f64 {
        self.widened(&[self.config.vocabulary, self.config.hidden_size])
    }

    fn widened(&self, sides: &[usize]) -> f64 {
        match self.widens_products {
            true => product(sides) * F32_BYTES,
            false => 0.0,
        }
    }

    /// What one block of rows takes: on the CPU its products and their weights, of which those of 16 bits are made
    /// from those of 32 and widened again for a product.
    pub fn attention_block(&self, rows: usize, keys: usize) -> f64 {
        let scores = self.block_scores(rows, keys);
        match (self.on_gpu, self.widens_products) {
            (true, _) => self.block_in_steps(rows, keys),
            (false, true) => 2.5 * scores,
            (false, false) => 2.0 * scores,
        }
    }

    /// One block of rows whose scores are scaled, masked, as weights and normalised, one after the other, with the masks
    /// of all rows, which layers of the same sliding window share.
    pub fn block_in_steps(&self, rows: usize, keys: usize) -> f64 {
        let windows: BTreeSet<_> = self.config.sliding_windows.iter().collect();
        let masks = product(&[windows.len().max(1), rows, keys]) * F32_BYTES;
        4.0 * self.block_scores(rows, keys) + masks
    }

    fn block_scores(&self, rows: usize, keys: usize) -> f64 {
        let rows = self.block_rows(rows, keys);
        product(&[rows, self.config.query_heads, keys]) * F32_BYTES
    }

    fn block_rows(&self, rows: usize, keys: usize) -> usize {
        let fitting = ScoreBlocks::on(self.on_gpu).rows(self.config.query_heads, keys);
        fitting.min(rows.max(1))
    }

    /// Turning `rows` rows into a ranking of every head: a group's weights on every thread, and reduced, pooled and joined
    /// scores (later scores, order and places).
    pub fn ranked(&self, rows: usize) -> Memory {
        let scores = self.scores(self.config.query_heads);
        let made_there = if self.on_gpu { 2.0 * scores } else { 0.0 };
        self.weighed(rows) + self.beside_the_model(made_there) + Memory::on_host(3.0 * scores)
    }

    /// The weights of `rows` rows on the prompt's keys, which stay where they are: on the CPU for as many key/value heads
    /// as there are threads, on a GPU for a layer.
    pub fn weighed(&self, rows: usize) -> Memory {
        let (kv_heads, head_dim) = (self.config.kv_heads, self.config.head_dim);
        let widened = match self.element_bytes {
            4 => 0.0,
            _ => product(&[self.prompt_tokens, head_dim]) * F32_BYTES,
        };
        if self.on_gpu {
            // logits, weights, and these without what a row does not see
            let block = 3.0 * self.block_scores(rows, self.prompt_tokens);
            return self.beside_the_model(block + kv_heads as f64 * widened);
        }
        let group = product(&[self.config.group_size(), rows, self.prompt_tokens]) * F32_BYTES;
        Memory::on_host(self.threads as f64 * (2.0 * group + widened))
    }

    /// A window that keeps `rows` rows, `appended` of which it runs behind the prompt.
    pub fn observed_by_rows(&self, rows: usize, appended: usize) -> WindowMemory {
        let kept = self.rows(rows);
        let working = match appended {
            0 => Memory::on_host(kept),
            // rows of each layer, and joined over the layers
            _ => {
                let keys = self.prompt_tokens.saturating_add(appended);
                self.forward(appended, keys) + Memory::on_host(2.0 * kept)
            }
        };
        WindowMemory {
            working,
            observation_bytes: kept,
            ..WindowMemory::default()
        }
    }

    /// A window that keeps scores of so many heads a layer, and takes `working` to make them.
    pub fn observed_by_scores(&self, heads: usize, working: Memory) -> WindowMemory {
        WindowMemory {
            working,
            observation_bytes: self.scores(heads),
            ..WindowMemory::default()
        }
    }
}
