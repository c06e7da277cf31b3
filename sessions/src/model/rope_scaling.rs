//! The frequency scalings of Hugging Face configurations, as `modeling_rope_utils.py` of transformers 5.2 computes them.

use serde::{Deserialize, Serialize};

use super::config_json::Fields;
use crate::SessionError;

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
    /// NTK-aware scaling that sets in behind `max_position_embeddings` (`_compute_dynamic_ntk_parameters`).
    ///
    /// Up to there transformers computes the wavelengths as trained, and so does this. Behind it transformers
    /// makes a new base from the length of every forward pass, so that cached keys keep the rotation of the
    /// pass that they came in with: what a run gives then depends on how it was cut into passes. Such a
    /// run is refused, as every run behind the last position is, and nothing here depends on chunks.
    Dynamic {
        /// How much longer at twice the positions.
        factor: f64,
    },
    /// Each pair's wavelength times a factor of its own: what Llama 3.1's rule comes down to in a GGUF file
    /// (`rope_freqs.weight`).
    Factors {
        /// One for each pair, `[D / 2]`.
        factors: Vec<f64>,
    },
    /// YaRN (Peng et al. 2023, arXiv 2309.00071): long wavelengths times `factor`, short ones kept, a ramp over
    /// the pairs between, and rotated vectors times an attention factor (`_compute_yarn_parameters`).
    Yarn(Yarn),
    /// LongRoPE (Ding et al. 2024, arXiv 2402.13753): a factor for each pair's wavelength, of two sets
    /// (`_compute_longrope_parameters`).
    LongRope(LongRope),
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

/// The numbers of LongRoPE.
///
/// Which set of factors rotates is decided once, by the prompt: its own length, T, against the original positions.
/// Whatever comes behind the prompt is rotated as the prompt was. In transformers each forward pass decides by the
/// last position that it has seen, and where a generation passes the original positions, Phi-3 throws its cache
/// away and runs the prompt again with the other set. Both are the same wherever T and T + S lie on one side.
/// Where they do not, the keys that a window ranked would be others in the middle of the decode stage; and had the
/// decode stage or a window a say in the choice, observing would change what is observed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LongRope {
    /// One for each rotated pair, for prompts of at most `original_positions` tokens.
    pub short_factors: Vec<f64>,
    /// The same for longer prompts.
    pub long_factors: Vec<f64>,
    /// By what rotated queries and keys are multiplied, whatever the prompt.
    pub attention_factor: f64,
    /// Positions of the original training, in tokens.
    pub original_positions: usize,
}

/// The numbers of YaRN.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Yarn {
    /// How much longer the long wavelengths become.
    pub factor: f64,
    /// By what rotated queries and keys are multiplied; logits grow by its square.
    pub attention_factor: f64,
    /// Pairs that turn more often than this over `original_positions` are kept.
    pub fast_turns: f64,
    /// Pairs that turn less often than this over `original_positions` are stretched in full.
    pub slow_turns: f64,
    /// Positions of the original training, in tokens.
    pub original_positions: usize,
    /// Whether the ends of the ramp are rounded outwards to whole pairs.
    pub truncate: bool,
}

impl RopeScaling {
    /// Reads `rope_scaling` or `rope_parameters`. `theta` is the base, `original_positions` what a field beside
    /// that object says, and `max_positions` what is taken where neither says it.
    pub(super) fn from_fields(
        fields: &Fields<'_>,
        theta: f64,
        original_positions: Option<usize>,
        max_positions: usize,
    ) -> Result<Self, SessionError> {
        let kind = match fields.text("rope_type")? {
            Some(kind) => kind,
            None => fields.text("type")?.unwrap_or("default"),
        };
        let original = || {
            let nested = fields.optional_size("original_max_position_embeddings")?;
            Ok::<_, SessionError>(original_positions.or(nested).unwrap_or(max_positions))
        };
        match kind {
            "default" => Ok(Self::None),
            "linear" => Ok(Self::Linear {
                factor: fields.number("factor")?,
            }),
            "dynamic" => Ok(Self::Dynamic {
                factor: fields.number("factor")?,
            }),
            "factors" => Ok(Self::Factors {
                factors: fields.numbers("factors")?,
            }),
            "longrope" | "su" => Ok(Self::LongRope(LongRope::from_fields(
                fields,
                original()?,
                max_positions,
            )?)),
            "yarn" if theta <= 1.0 => Err(SessionError::Config {
                reason: format!("yarn needs a 'rope_theta' above 1, not {theta}"),
            }),
            "yarn" => Ok(Self::Yarn(Yarn::from_fields(
                fields,
                original()?,
                max_positions,
            )?)),
            "llama3" => Ok(Self::Llama3 {
                factor: fields.number("factor")?,
                low_frequency_factor: fields.number("low_freq_factor")?,
                high_frequency_factor: fields.number("high_freq_factor")?,
                original_positions: original()?,
            }),
            other => Err(SessionError::Config {
                reason: format!(
                    "rope scaling '{other}' is not supported (supported: default, linear, dynamic, yarn, longrope, llama3)"
                ),
            }),
        }
    }

    /// The inverse frequency of a pair after scaling, from the plain one. `width` is that of the rotated part of a
    /// head.
    pub(super) fn stretch(
        &self,
        plain: f64,
        pair: usize,
        width: usize,
        theta: f64,
        prompt_tokens: usize,
    ) -> f64 {
        let by_factor = |factors: &[f64]| plain / factors.get(pair).copied().unwrap_or(1.0);
        match self {
            Self::None | Self::Dynamic { .. } => plain,
            Self::Linear { factor } => plain / factor,
            Self::Factors { factors } => by_factor(factors),
            Self::LongRope(long_rope) => by_factor(long_rope.factors(prompt_tokens)),
            Self::Yarn(yarn) => {
                let kept = yarn.kept_share(pair, width, theta);
                plain / yarn.factor * (1.0 - kept) + plain * kept
            }
            Self::Llama3 {
                factor,
                low_frequency_factor,
                high_frequency_factor,
                original_positions,
            } => {
                let wavelength = std::f64::consts::TAU / plain;
                let turns = *original_positions as f64 / wavelength;
                if turns > *high_frequency_factor {
                    plain
                } else if turns < *low_frequency_factor {
                    plain / factor
                } else {
                    let smooth = (turns - low_frequency_factor)
                        / (high_frequency_factor - low_frequency_factor);
                    (1.0 - smooth) * plain / factor + smooth * plain
                }
            }
        }
    }

    /// By what rotated queries and keys are multiplied.
    pub fn attention_factor(&self) -> f64 {
        match self {
            Self::Yarn(yarn) => yarn.attention_factor,
            Self::LongRope(long_rope) => long_rope.attention_factor,
            _ => 1.0,
        }
    }

    /// The lists of factors, each of which must have one for every rotated pair.
    pub(super) fn factors(&self) -> Vec<&[f64]> {
        match self {
            Self::Factors { factors } => vec![factors],
            Self::LongRope(long_rope) => vec![&long_rope.short_factors, &long_rope.long_factors],
            _ => Vec::new(),
        }
    }

    /// Positions that a model can take. Configurations with YaRN often leave `max_position_embeddings` as it
    /// was before (as the Qwen2.5 model cards advise), and those with linear scaling always, though the stretched
    /// positions are what they are for.
    pub(super) fn reach(&self, max_positions: usize) -> usize {
        let stretched = match self {
            Self::Yarn(yarn) => yarn.factor * yarn.original_positions as f64,
            Self::Linear { factor } => factor * max_positions as f64,
            _ => return max_positions,
        };
        max_positions.max(stretched.min(f64::from(u32::MAX)) as usize)
    }
}

impl LongRope {
    fn from_fields(
        fields: &Fields<'_>,
        original_positions: usize,
        max_positions: usize,
    ) -> Result<Self, SessionError> {
        let stretch = match fields.optional_number("factor")? {
            Some(factor) => factor,
            None => max_positions as f64 / original_positions as f64,
        };
        let attention_factor = match fields.optional_number("attention_factor")? {
            Some(attention_factor) => attention_factor,
            None if stretch <= 1.0 || original_positions <= 1 => 1.0,
            None => (1.0 + stretch.ln() / (original_positions as f64).ln()).sqrt(),
        };
        Ok(Self {
            short_factors: fields.numbers("short_factor")?,
            long_factors: fields.numbers("long_factor")?,
            attention_factor,
            original_positions,
        })
    }

    fn factors(&self, prompt_tokens: usize) -> &[f64] {
        if prompt_tokens > self.original_positions {
            &self.long_factors
        } else {
            &self.short_factors
        }
    }
}

impl Yarn {
    fn from_fields(
        fields: &Fields<'_>,
        original_positions: usize,
        max_positions: usize,
    ) -> Result<Self, SessionError> {
        let factor = match fields.optional_number("factor")? {
            Some(factor) => factor,
            None if max_positions > original_positions => {
                max_positions as f64 / original_positions as f64
            }
            // says what is missing
            None => fields.number("factor")?,
        };
        // a zero counts as absent in all of these, as it does in Python
        let given = |name: &str| Ok::<_, SessionError>(fields.amount(name)?.filter(|n| *n > 0.0));
        let magnitude = |scale: f64| {
            if factor <= 1.0 {
                1.0
            } else {
                0.1 * scale * factor.ln() + 1.0
            }
        };
        let attention_factor = match (
            fields.optional_number("attention_factor")?,
            given("mscale")?,
            given("mscale_all_dim")?,
        ) {
            (Some(attention_factor), _, _) => attention_factor,
            (None, Some(scale), Some(scale_all)) => magnitude(scale) / magnitude(scale_all),
            (None, _, _) => magnitude(1.0),
        };
        Ok(Self {
            factor,
            attention_factor,
            fast_turns: given("beta_fast")?.unwrap_or(32.0),
            slow_turns: given("beta_slow")?.unwrap_or(1.0),
            original_positions,
            truncate: fields.flag("truncate", true)?,
        })
    }

    /// How much of a pair's plain frequency is kept, 0 to 1: 1 up to the pair that makes `fast_turns` turns over
    /// the original positions, 0 from the one that makes `slow_turns`, linear between.
    fn kept_share(&self, pair: usize, head_dim: usize, theta: f64) -> f64 {
        let pair_with_turns = |turns: f64| {
            let positions_a_radian =
                self.original_positions as f64 / (turns * std::f64::consts::TAU);
            head_dim as f64 * positions_a_radian.ln() / (2.0 * theta.ln())
        };
        let (first, last) = (
            pair_with_turns(self.fast_turns),
            pair_with_turns(self.slow_turns),
        );
        let (first, last) = if self.truncate {
            (first.floor(), last.ceil())
        } else {
            (first, last)
        };
        let (first, last) = (first.max(0.0), last.min(head_dim as f64 - 1.0));
        // transformers' guard against a ramp without length
        let length = if first == last { 0.001 } else { last - first };
        1.0 - ((pair as f64 - first) / length).clamp(0.0, 1.0)
    }
}
