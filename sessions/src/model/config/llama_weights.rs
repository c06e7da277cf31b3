//! The weights of a Llama.

use super::ModelConfig;

impl ModelConfig {
    /// Names of a Llama's weights of these sizes as Hugging Face stores them, each with its shape `[outputs, inputs]` or,
    /// of a norm, `[hidden]`: for whoever makes a model of numbers of their own. Biases and what else other families
    /// have are not among them.
    pub fn llama_weights(&self) -> Vec<(String, Vec<usize>)> {
        let (hidden, wide) = (self.hidden_size, self.intermediate_size);
        let [queries, keys] = [self.query_heads, self.kv_heads].map(|heads| heads * self.head_dim);
        let embedding = vec![self.vocabulary, hidden];
        let mut weights = vec![("model.embed_tokens.weight".to_owned(), embedding.clone())];
        for layer in 0..self.layers {
            let parts = [
                ("input_layernorm", vec![hidden]),
                ("self_attn.q_proj", vec![queries, hidden]),
                ("self_attn.k_proj", vec![keys, hidden]),
                ("self_attn.v_proj", vec![keys, hidden]),
                ("self_attn.o_proj", vec![hidden, queries]),
                ("post_attention_layernorm", vec![hidden]),
                ("mlp.gate_proj", vec![wide, hidden]),
                ("mlp.up_proj", vec![wide, hidden]),
                ("mlp.down_proj", vec![hidden, wide]),
            ];
            let named = |(part, shape)| (format!("model.layers.{layer}.{part}.weight"), shape);
            weights.extend(parts.map(named));
        }
        weights.push(("model.norm.weight".to_owned(), vec![hidden]));
        if !self.tied_embeddings {
            weights.push(("lm_head.weight".to_owned(), embedding));
        }
        weights
    }
}
