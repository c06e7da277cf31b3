//! Floating-point operations from the shapes. A product of [m, k] and [k, n] counts as 2 m k n; norms,
//! rotation and softmax are left out, as usual (Kaplan et al. 2020, section 2.1, counts likewise).

use super::config::ModelConfig;

impl ModelConfig {
    /// Weights that one token multiplies with in all layers, without embedding and output.
    fn multiplied_weights_per_token(&self) -> f64 {
        let queries = self.query_heads * self.head_dim;
        let keys_and_values = 2 * self.kv_heads * self.head_dim;
        let attention = self.hidden_size * (queries + keys_and_values) + queries * self.hidden_size;
        let feed_forward: usize = (0..self.layers)
            .map(|layer| self.multiplied_in_feed_forward(layer))
            .sum();
        (self.layers * attention + feed_forward) as f64
    }

    /// Of experts those that a token goes through, and the router.
    fn multiplied_in_feed_forward(&self, layer: usize) -> usize {
        let of_width = |width: usize| 3 * self.hidden_size * width;
        match self.experts_of(layer) {
            Some(experts) => {
                of_width(experts.active * experts.width) + self.hidden_size * experts.count
            }
            None => of_width(self.intermediate_size),
        }
    }

    /// FLOPs of running `rows` tokens behind `keys_before` cached ones, `logit_rows` of them to logits.
    pub fn forward_flops(&self, rows: usize, keys_before: usize, logit_rows: usize) -> f64 {
        let linear = 2.0 * rows as f64 * self.multiplied_weights_per_token();
        let logits = 2.0 * (logit_rows * self.hidden_size) as f64 * self.vocabulary as f64;
        // row r sees keys_before + r + 1 keys; once for the scores, once for the context
        let seen = rows as f64 * keys_before as f64 + rows as f64 * (rows as f64 + 1.0) / 2.0;
        let attention = 4.0 * seen * (self.layers * self.query_heads * self.head_dim) as f64;
        linear + logits + attention
    }

    /// FLOPs of scoring `rows` observed queries of every layer and head on `prompt_tokens` keys.
    pub fn scoring_flops(&self, rows: usize, prompt_tokens: usize) -> f64 {
        2.0 * (rows * self.layers * self.query_heads * self.head_dim) as f64 * prompt_tokens as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of four layers of width 64 the second has 6 experts of width 32, of which a token goes through 3; the others have
    /// a feed-forward of width 96. Four query heads and two key/value heads of 16.
    #[test]
    fn experts_count_as_far_as_a_token_goes_through_them() {
        let text = include_bytes!("../../tests/fixtures/qwen3-moe-mixed/config.json");
        let config = ModelConfig::from_json(text).unwrap();
        let attention = 64 * (64 + 2 * 32) + 64 * 64;
        let feed_forward = 3 * (3 * 64 * 96) + 3 * 64 * 3 * 32 + 64 * 6;
        // one key, for a score and for its value
        let on_keys = 4 * (4 * 4 * 16);
        let expected = 2 * (4 * attention + feed_forward) + on_keys;
        assert_eq!(config.forward_flops(1, 0, 0), f64::from(expected));
    }
}
