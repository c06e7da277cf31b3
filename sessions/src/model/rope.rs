//! Rotary position embedding (Su et al. 2021, RoFormer), with the frequency scalings of Hugging Face configurations.
//!
//! Angles are computed in f32 from f32 inverse frequencies whatever the model's dtype is: bf16 cannot
//! tell neighbouring positions apart past 256.

use candle_core::{DType, Device, Tensor};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::config_json::Fields;
use super::kernels::Kernels;
use super::rope_scaling::RopeScaling;
use crate::SessionError;

/// How a checkpoint turns positions into angles.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RopeConfig {
    /// Base of the geometric series of wavelengths.
    pub theta: f64,
    /// Stretching of the wavelengths for longer contexts.
    pub scaling: RopeScaling,
    /// Share of a head that is rotated (`partial_rotary_factor`); 1 but for Phi-4-mini.
    #[serde(default = "whole_heads")]
    pub rotated_share: f64,
}

/// What sessions of earlier programs say of it.
fn whole_heads() -> f64 {
    1.0
}

impl RopeConfig {
    /// Reads both spellings: `rope_theta` with `rope_scaling` (published checkpoints) and `rope_parameters`
    /// (transformers 5), of which `rope_scaling` goes first where it says something, as in transformers.
    ///
    /// # Errors
    /// [`SessionError::Config`] for a rule that is unknown or lacks a field.
    pub(crate) fn from_json(
        config: &Map<String, Value>,
        default_theta: f64,
        max_positions: usize,
    ) -> Result<Self, SessionError> {
        let fields = Fields::new(config, "");
        let parameters = fields.object("rope_parameters")?;
        let scaling = fields.object("rope_scaling")?;
        let (prefix, nested) = match scaling.filter(|scaling| !scaling.is_empty()) {
            Some(scaling) => ("rope_scaling.", Some(scaling)),
            None => ("rope_parameters.", parameters),
        };
        let empty = Map::new();
        let nested = Fields::new(nested.unwrap_or(&empty), prefix);
        if ["full_attention", "sliding_attention"]
            .iter()
            .any(|kind| nested.get(kind).is_some())
        {
            return Err(SessionError::Config {
                reason: format!(
                    "'{}' gives each kind of layer a rotation of its own, which is not supported",
                    prefix.trim_end_matches('.')
                ),
            });
        }
        let rotated_share = match nested.optional_number("partial_rotary_factor")? {
            Some(share) => share,
            None => fields
                .optional_number("partial_rotary_factor")?
                .unwrap_or_else(whole_heads),
        };
        let theta = match nested.optional_number("rope_theta")? {
            Some(theta) => theta,
            None => fields
                .optional_number("rope_theta")?
                .unwrap_or(default_theta),
        };
        let original_positions = fields.optional_size("original_max_position_embeddings")?;
        Ok(Self {
            theta,
            scaling: RopeScaling::from_fields(&nested, theta, original_positions, max_positions)?,
            rotated_share,
        })
    }

    /// How much of a head of `head_dim` numbers is rotated.
    pub(super) fn rotated_width(&self, head_dim: usize) -> usize {
        // a share of whole numbers, such as 80 / 96, must not lose one of them to rounding
        ((head_dim as f64 * self.rotated_share + 1e-6) as usize).min(head_dim)
    }

    /// Inverse frequencies of a prompt of T tokens and what comes behind it, in radians per position:
    /// `[head_dim / 2]`, 0 for the last pairs where not the whole head is rotated. Only with LongRoPE they depend
    /// on T ([`LongRope`](super::rope_scaling::LongRope)).
    pub fn inverse_frequencies(&self, head_dim: usize, prompt_tokens: usize) -> Vec<f32> {
        let width = self.rotated_width(head_dim);
        let mut frequencies: Vec<f32> = (0..width / 2)
            .map(|pair| {
                let exponent = (2 * pair) as f64 / width as f64;
                let plain = 1.0 / self.theta.powf(exponent);
                let scaling = &self.scaling;
                scaling.stretch(plain, pair, width, self.theta, prompt_tokens) as f32
            })
            .collect();
        frequencies.resize(head_dim / 2, 0.0);
        frequencies
    }

    /// By what each pair is multiplied, `[head_dim / 2]`: nothing happens to one that is not rotated.
    pub(crate) fn factors(&self, head_dim: usize) -> Vec<f32> {
        let rotated = self.rotated_width(head_dim) / 2;
        let mut factors = vec![self.scaling.attention_factor() as f32; rotated];
        factors.resize(head_dim / 2, 1.0);
        factors
    }
}

/// The cosines and sines of a few positions.
#[derive(Debug, Clone)]
pub(crate) struct Rotation {
    cos: Tensor,
    sin: Tensor,
    kernels: Kernels,
}

/// A model's rotation and the width of its heads.
#[derive(Debug, Clone)]
pub(crate) struct Rotary {
    config: RopeConfig,
    head_dim: usize,
}

impl Rotary {
    pub(crate) fn new(config: &RopeConfig, head_dim: usize) -> Self {
        Self {
            config: config.clone(),
            head_dim,
        }
    }

    /// For `positions.len()` rows of a prompt of so many tokens, or behind it: two tables `[rows, head_dim / 2]` in
    /// `dtype` on `device`.
    pub(crate) fn at(
        &self,
        positions: &[u32],
        prompt_tokens: usize,
        dtype: DType,
        device: &Device,
        kernels: Kernels,
    ) -> Result<Rotation, SessionError> {
        let frequencies = self
            .config
            .inverse_frequencies(self.head_dim, prompt_tokens);
        let angles: Vec<f32> = positions
            .iter()
            .flat_map(|&position| frequencies.iter().map(move |f| position as f32 * f))
            .collect();
        let angles = Tensor::from_vec(angles, (positions.len(), frequencies.len()), &Device::Cpu)?;
        let factors = Tensor::new(self.config.factors(self.head_dim), &Device::Cpu)?;
        let table = |of_angles: Tensor| {
            let scaled = of_angles.broadcast_mul(&factors)?;
            Ok::<_, SessionError>(scaled.to_dtype(dtype)?.to_device(device)?)
        };
        Ok(Rotation {
            cos: table(angles.cos()?)?,
            sin: table(angles.sin()?)?,
            kernels,
        })
    }
}

impl Rotation {
    /// Rotates `[heads, rows, head_dim]`; pairs are (i, i + head_dim / 2), as in Hugging Face weights.
    pub(crate) fn apply(&self, heads: &Tensor) -> Result<Tensor, SessionError> {
        let batched = heads.contiguous()?.unsqueeze(0)?;
        let rotate = match self.kernels.gradients {
            false => candle_nn::rotary_emb::rope,
            true => candle_nn::rotary_emb::rope_slow,
        };
        Ok(rotate(&batched, &self.cos, &self.sin)?.squeeze(0)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(json: &str) -> RopeConfig {
        let value: Value = serde_json::from_str(json).unwrap();
        RopeConfig::from_json(value.as_object().unwrap(), 10_000.0, 4096).unwrap()
    }

    #[test]
    fn both_spellings_say_the_same() {
        let old = config(
            r#"{"rope_theta": 5e5, "rope_scaling": {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0,
                "high_freq_factor": 4.0, "original_max_position_embeddings": 8192}}"#,
        );
        let new = config(
            r#"{"rope_parameters": {"rope_theta": 5e5, "rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0,
                "high_freq_factor": 4.0, "original_max_position_embeddings": 8192}}"#,
        );
        assert_eq!(old, new);
    }

    #[test]
    fn llama3_keeps_short_and_stretches_long_wavelengths() {
        let scaled = config(
            r#"{"rope_theta": 5e5, "rope_scaling": {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0,
                "high_freq_factor": 4.0, "original_max_position_embeddings": 8192}}"#,
        );
        let plain = config(r#"{"rope_theta": 5e5}"#);
        let (scaled, plain) = (
            scaled.inverse_frequencies(128, 1),
            plain.inverse_frequencies(128, 1),
        );
        assert_eq!(scaled[0], plain[0]);
        assert!((scaled[63] * 8.0 - plain[63]).abs() < 1e-12);
    }

    /// Numbers of `_compute_yarn_parameters` for Qwen2.5's advice on long texts (1 + 0.1 ln 4).
    #[test]
    fn yarn_keeps_short_wavelengths_and_multiplies_by_its_attention_factor() {
        let rope = |more: &str| {
            config(&format!(
                r#"{{"rope_theta": 1e6, "rope_scaling": {{"type": "yarn", "factor": 4.0,
                    "original_max_position_embeddings": 32768{more}}}}}"#
            ))
        };
        let plain = config(r#"{"rope_theta": 1e6}"#).inverse_frequencies(128, 1);
        let scaled = rope("").inverse_frequencies(128, 1);
        assert_eq!(scaled[0], plain[0]);
        assert!((scaled[63] * 4.0 - plain[63]).abs() < 1e-12);
        assert!(scaled[30] < plain[30] && scaled[30] > plain[30] / 4.0);
        let factor = |more| rope(more).scaling.attention_factor();
        assert!((factor("") - 1.138_629_436).abs() < 1e-9);
        assert_eq!(factor(r#", "attention_factor": 1.5"#), 1.5);
        assert_eq!(factor(r#", "mscale": 0.7, "mscale_all_dim": 0.7"#), 1.0);
        assert_eq!(
            factor(r#", "mscale": 0.7, "mscale_all_dim": 0"#),
            factor("")
        );
    }

    #[test]
    fn a_field_beside_the_scaling_goes_before_the_one_inside() {
        let rope = config(
            r#"{"original_max_position_embeddings": 512, "rope_parameters": {"rope_type": "yarn", "factor": 4.0,
                "original_max_position_embeddings": 1024}}"#,
        );
        assert!(matches!(rope.scaling, RopeScaling::Yarn(yarn) if yarn.original_positions == 512));
    }

    #[test]
    fn the_older_spelling_goes_before_the_newer() {
        let rope = config(
            r#"{"rope_theta": 7.0, "rope_scaling": {"type": "linear", "factor": 2.0},
                "rope_parameters": {"rope_type": "default", "rope_theta": 9.0}}"#,
        );
        assert_eq!(
            (rope.theta, rope.scaling),
            (7.0, RopeScaling::Linear { factor: 2.0 })
        );
        let rope = config(
            r#"{"rope_theta": 7.0, "rope_scaling": null, "rope_parameters": {"rope_theta": 9.0}}"#,
        );
        assert_eq!((rope.theta, rope.scaling), (9.0, RopeScaling::None));
    }

    #[test]
    fn what_cannot_be_computed_is_named() {
        for (json, word) in [
            (r#"{"rope_scaling": {"rope_type": "spiral"}}"#, "'spiral'"),
            (
                r#"{"rope_scaling": {"type": "longrope", "long_factor": [1.0]}}"#,
                "'rope_scaling.short_factor'",
            ),
            (
                r#"{"rope_parameters": {"full_attention": {}}}"#,
                "each kind of layer",
            ),
            (
                r#"{"rope_theta": 1.0, "rope_scaling": {"type": "yarn", "factor": 2.0}}"#,
                "above 1",
            ),
            (
                r#"{"rope_scaling": {"type": "dynamic"}}"#,
                "'rope_scaling.factor'",
            ),
        ] {
            let value: Value = serde_json::from_str(json).unwrap();
            let error = RopeConfig::from_json(value.as_object().unwrap(), 1e4, 4096).unwrap_err();
            assert!(error.to_string().contains(word), "{error}");
        }
    }
}
