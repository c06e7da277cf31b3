//! Rotary position embedding (Su et al. 2021, RoFormer), with the frequency scalings of Hugging Face configurations.
//!
//! Angles are computed in f32 from f32 inverse frequencies whatever the model's dtype is: bf16 cannot
//! tell neighbouring positions apart past 256.

use candle_core::{DType, Device, Tensor};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::config_json::Fields;
use super::decoder::ForwardMode;
use crate::SessionError;

/// How a checkpoint turns positions into angles.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RopeConfig {
    /// Base of the geometric series of wavelengths.
    pub theta: f64,
    /// Stretching of the wavelengths for longer contexts.
    pub scaling: RopeScaling,
}

/// A rule that stretches wavelengths.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum RopeScaling {
    /// Wavelengths as trained.
    None,
    /// Every wavelength times `factor` (position interpolation, Chen et al. 2023).
    Linear {
        /// How much longer.
        factor: f64,
    },
    /// Llama 3.1's rule: long wavelengths times `factor`, short ones kept, a smooth band between
    /// (`_compute_llama3_parameters` of transformers).
    Llama3 {
        /// How much longer the long wavelengths become.
        factor: f64,
        /// Wavelengths above `original_positions / low_frequency_factor` are stretched in full.
        low_frequency_factor: f64,
        /// Wavelengths below `original_positions / high_frequency_factor` are kept.
        high_frequency_factor: f64,
        /// Positions of the original training, in tokens.
        original_positions: usize,
    },
}

impl RopeConfig {
    /// Reads both spellings: `rope_theta` with `rope_scaling` (published checkpoints) and
    /// `rope_parameters` (transformers 5).
    ///
    /// # Errors
    /// [`SessionError::Config`] for a rule that is unknown or lacks a field.
    pub(crate) fn from_json(config: &Map<String, Value>) -> Result<Self, SessionError> {
        let fields = Fields::new(config, "");
        let (name, parameters) = match fields.object("rope_parameters")? {
            Some(parameters) => ("rope_parameters.", Some(parameters)),
            None => ("rope_scaling.", fields.object("rope_scaling")?),
        };
        let nested = parameters.map(|object| Fields::new(object, name));
        let theta = match nested.as_ref().map(|n| n.optional_number("rope_theta")) {
            Some(Ok(Some(theta))) => theta,
            Some(Err(error)) => return Err(error),
            // transformers' own default for a configuration without the field
            _ => fields.optional_number("rope_theta")?.unwrap_or(10_000.0),
        };
        let scaling = match nested {
            None => RopeScaling::None,
            Some(nested) => RopeScaling::from_fields(&nested)?,
        };
        Ok(Self { theta, scaling })
    }

    /// Inverse frequencies, in radians per position: `[head_dim / 2]`.
    pub fn inverse_frequencies(&self, head_dim: usize) -> Vec<f32> {
        (0..head_dim / 2)
            .map(|pair| {
                let exponent = (2 * pair) as f64 / head_dim as f64;
                let plain = 1.0 / self.theta.powf(exponent);
                self.scaling.stretch(plain) as f32
            })
            .collect()
    }
}

impl RopeScaling {
    fn from_fields(fields: &Fields<'_>) -> Result<Self, SessionError> {
        let kind = match fields.text("rope_type")? {
            Some(kind) => kind,
            None => fields.text("type")?.unwrap_or("default"),
        };
        match kind {
            "default" => Ok(Self::None),
            "linear" => Ok(Self::Linear {
                factor: fields.number("factor")?,
            }),
            "llama3" => Ok(Self::Llama3 {
                factor: fields.number("factor")?,
                low_frequency_factor: fields.number("low_freq_factor")?,
                high_frequency_factor: fields.number("high_freq_factor")?,
                original_positions: fields.size("original_max_position_embeddings")?,
            }),
            other => Err(SessionError::Config {
                reason: format!(
                    "rope scaling '{other}' is not supported yet (supported: default, linear, llama3)"
                ),
            }),
        }
    }

    /// The inverse frequency after scaling, from the plain one.
    fn stretch(&self, plain: f64) -> f64 {
        match *self {
            Self::None => plain,
            Self::Linear { factor } => plain / factor,
            Self::Llama3 {
                factor,
                low_frequency_factor,
                high_frequency_factor,
                original_positions,
            } => {
                let wavelength = std::f64::consts::TAU / plain;
                let turns = original_positions as f64 / wavelength;
                if turns > high_frequency_factor {
                    plain
                } else if turns < low_frequency_factor {
                    plain / factor
                } else {
                    let smooth = (turns - low_frequency_factor)
                        / (high_frequency_factor - low_frequency_factor);
                    (1.0 - smooth) * plain / factor + smooth * plain
                }
            }
        }
    }
}

/// The cosines and sines of a few positions.
#[derive(Debug, Clone)]
pub(crate) struct Rotation {
    cos: Tensor,
    sin: Tensor,
    mode: ForwardMode,
}

impl Rotation {
    /// For `positions.len()` rows: two tables `[rows, head_dim / 2]` in `dtype` on `device`.
    pub(crate) fn new(
        inverse_frequencies: &[f32],
        positions: &[u32],
        dtype: DType,
        device: &Device,
        mode: ForwardMode,
    ) -> Result<Self, SessionError> {
        let angles: Vec<f32> = positions
            .iter()
            .flat_map(|&position| inverse_frequencies.iter().map(move |f| position as f32 * f))
            .collect();
        let angles = Tensor::from_vec(
            angles,
            (positions.len(), inverse_frequencies.len()),
            &Device::Cpu,
        )?;
        Ok(Self {
            cos: angles.cos()?.to_dtype(dtype)?.to_device(device)?,
            sin: angles.sin()?.to_dtype(dtype)?.to_device(device)?,
            mode,
        })
    }

    /// Rotates `[heads, rows, head_dim]`; pairs are (i, i + head_dim / 2), as in Hugging Face weights.
    pub(crate) fn apply(&self, heads: &Tensor) -> Result<Tensor, SessionError> {
        let batched = heads.contiguous()?.unsqueeze(0)?;
        let rotate = match self.mode {
            ForwardMode::Fused => candle_nn::rotary_emb::rope,
            ForwardMode::Differentiable => candle_nn::rotary_emb::rope_slow,
        };
        Ok(rotate(&batched, &self.cos, &self.sin)?.squeeze(0)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(json: &str) -> RopeConfig {
        let value: Value = serde_json::from_str(json).unwrap();
        RopeConfig::from_json(value.as_object().unwrap()).unwrap()
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
            scaled.inverse_frequencies(128),
            plain.inverse_frequencies(128),
        );
        assert_eq!(scaled[0], plain[0]);
        assert!((scaled[63] * 8.0 - plain[63]).abs() < 1e-12);
    }

    #[test]
    fn an_unknown_rule_is_named() {
        let value: Value =
            serde_json::from_str(r#"{"rope_scaling": {"rope_type": "spiral"}}"#).unwrap();
        let error = RopeConfig::from_json(value.as_object().unwrap()).unwrap_err();
        assert!(error.to_string().contains("'spiral'"), "{error}");
    }
}
