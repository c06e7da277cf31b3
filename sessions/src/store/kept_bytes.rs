//! How much of a sample's file is what.

use std::iter::Sum;
use std::ops::Add;

use safetensors::tensor::Metadata;
use serde::Serialize;

use super::sample_file::{DECODE_KEYS, KEYS, OUTPUT_GRAMS, OUTPUT_NORMS, VALUES};

/// Bytes of what is kept of samples, by what it is; 0 of what is not kept.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct KeptBytes {
    /// Keys of the prompts.
    pub prompt_keys: u64,
    /// Values of the prompts.
    pub prompt_values: u64,
    /// Keys of the tokens behind the prompts: questions that come later, and the decode stages.
    pub decode_keys: u64,
    /// Values of these tokens.
    pub decode_values: u64,
    /// Norms of values behind the output projection, and what is known of it.
    pub output_projection: u64,
    /// Queries of decode stages and windows, with their log-sum-exps.
    pub queries: u64,
    /// Ready-made scores, and those in place of keys.
    pub scores: u64,
    /// Texts, token ids and positions.
    pub texts: u64,
}

impl KeptBytes {
    /// Of a file whose tensors begin at a byte.
    pub(super) fn of(table: &Metadata, data_start: u64) -> Self {
        let mut kept = Self {
            texts: data_start,
            ..Self::default()
        };
        for (name, info) in table.tensors() {
            let (start, end) = info.data_offsets;
            let part = kept.part_of(&name);
            *part = part.saturating_add(end.saturating_sub(start) as u64);
        }
        kept
    }

    fn part_of(&mut self, tensor: &str) -> &mut u64 {
        let [values, _, decode_values] = VALUES;
        // `observation.I.PART`, or `observation.I.PART.J`
        let part = tensor.split('.').nth(2).unwrap_or_default();
        match (tensor, part) {
            (KEYS, _) => &mut self.prompt_keys,
            (DECODE_KEYS, _) => &mut self.decode_keys,
            (OUTPUT_NORMS | OUTPUT_GRAMS, _) => &mut self.output_projection,
            (name, _) if name == values => &mut self.prompt_values,
            (name, _) if name == decode_values => &mut self.decode_values,
            (_, "queries" | "log_sum_exp") => &mut self.queries,
            (_, "scores" | "reduced" | "prompt_shares") => &mut self.scores,
            _ => &mut self.texts,
        }
    }

    /// Each part with its name, as it is told to people.
    pub fn parts(&self) -> [(&'static str, u64); 8] {
        [
            ("prompt keys", self.prompt_keys),
            ("prompt values", self.prompt_values),
            ("decode keys", self.decode_keys),
            ("decode values", self.decode_values),
            ("output projection", self.output_projection),
            ("queries", self.queries),
            ("scores", self.scores),
            ("texts", self.texts),
        ]
    }
}

impl Add for KeptBytes {
    type Output = Self;

    /// Files say themselves how large they are, so a sum that no disk holds stays at the largest number.
    fn add(self, other: Self) -> Self {
        let sum = u64::saturating_add;
        Self {
            prompt_keys: sum(self.prompt_keys, other.prompt_keys),
            prompt_values: sum(self.prompt_values, other.prompt_values),
            decode_keys: sum(self.decode_keys, other.decode_keys),
            decode_values: sum(self.decode_values, other.decode_values),
            output_projection: sum(self.output_projection, other.output_projection),
            queries: sum(self.queries, other.queries),
            scores: sum(self.scores, other.scores),
            texts: sum(self.texts, other.texts),
        }
    }
}

impl Sum for KeptBytes {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::default(), Add::add)
    }
}
