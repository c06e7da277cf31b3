//! The families of checkpoints and what a family's name alone says about the decoder.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::config::{NormPlacement, QkNorm};
use super::config_json::Fields;
use crate::SessionError;

/// The families whose configurations are understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Family {
    /// Llama 2, 3, 3.1, 3.2 and everything that says `LlamaForCausalLM`.
    Llama,
    /// Mistral: Llama with a sliding window on every layer, or none.
    Mistral,
    /// Qwen2 and 2.5: biases on q, k and v; sliding windows from a layer on, if switched on.
    Qwen2,
    /// Qwen3: RMS norm on q and k per head, no biases.
    Qwen3,
    /// Qwen3-MoE (30B-A3B and the like): Qwen3 with experts in the feed-forward.
    Qwen3Moe,
    /// SmolLM3: Llama whose every fourth layer does not rotate.
    SmolLm3,
    /// OLMo 2: norms behind attention and feed-forward, and on q and k over all heads.
    Olmo2,
    /// Phi-3 and Phi-4, mini or not: q, k and v in one tensor, gate and up in another; longrope, and heads of which
    /// a part is not rotated.
    Phi3,
    /// Gemma 3, its language part: sliding layers with a rotation of their own, norms before and behind each block.
    Gemma3,
}

impl Family {
    const ALL: [(Self, &'static str, &'static str); 9] = [
        (Self::Llama, "llama", "LlamaForCausalLM"),
        (Self::Mistral, "mistral", "MistralForCausalLM"),
        (Self::Qwen2, "qwen2", "Qwen2ForCausalLM"),
        (Self::Qwen3, "qwen3", "Qwen3ForCausalLM"),
        (Self::Qwen3Moe, "qwen3_moe", "Qwen3MoeForCausalLM"),
        (Self::SmolLm3, "smollm3", "SmolLM3ForCausalLM"),
        (Self::Olmo2, "olmo2", "Olmo2ForCausalLM"),
        (Self::Phi3, "phi3", "Phi3ForCausalLM"),
        (Self::Gemma3, "gemma3_text", "Gemma3ForCausalLM"),
    ];

    /// By `architectures[0]` or, where that is absent, by `model_type`.
    pub(super) fn from_fields(fields: &Fields<'_>) -> Result<Self, SessionError> {
        let architecture = fields
            .get("architectures")
            .and_then(Value::as_array)
            .and_then(|names| names.first())
            .and_then(Value::as_str);
        let (field, name) = match (architecture, fields.text("model_type")?) {
            (Some(architecture), _) => ("architecture", architecture),
            (None, Some(model_type)) => ("model_type", model_type),
            (None, None) => {
                return Err(SessionError::Config {
                    reason: "neither 'architectures' nor 'model_type' is there, so the family is unknown".to_owned(),
                });
            }
        };
        let known = |name: &str| {
            let mut all = Self::ALL.iter();
            all.find(|(_, model_type, architecture)| name == *model_type || name == *architecture)
        };
        // `LlamaModel` is what was saved without its output layer; transformers goes by the type
        let by_type = || {
            let model_type = fields.text("model_type").ok().flatten();
            model_type
                .filter(|_| name.ends_with("Model"))
                .and_then(known)
        };
        known(name)
            .or_else(by_type)
            .map(|(family, _, _)| *family)
            .ok_or_else(|| SessionError::Config {
                reason: format!(
                    "the {field} '{name}' is not supported{} (supported: {})",
                    advice(name),
                    Self::ALL
                        .map(|(_, _, architecture)| architecture)
                        .join(", ")
                ),
            })
    }

    /// The architecture name that Hugging Face uses for the family.
    pub fn architecture(self) -> &'static str {
        Self::ALL
            .iter()
            .find(|(family, _, _)| *family == self)
            .map_or("", |(_, _, architecture)| architecture)
    }

    /// transformers' base of the wavelengths for a configuration without the field.
    pub(super) fn default_theta(self) -> f64 {
        match self {
            Self::SmolLm3 => 2_000_000.0,
            Self::Gemma3 => 1_000_000.0,
            _ => 10_000.0,
        }
    }

    /// transformers' positions for a configuration without the field.
    pub(super) fn default_positions(self) -> usize {
        match self {
            Self::Llama | Self::Olmo2 => 2_048,
            Self::Phi3 => 4_096,
            Self::Qwen2 | Self::Qwen3 | Self::Qwen3Moe | Self::SmolLm3 => 32_768,
            Self::Mistral | Self::Gemma3 => 131_072,
        }
    }

    /// transformers' addend of the norms for a configuration without the field.
    pub(super) fn default_rms_norm_eps(self) -> f64 {
        match self {
            Self::Olmo2 | Self::Phi3 => 1e-5,
            _ => 1e-6,
        }
    }

    /// transformers' head size for a configuration without the field, where it is not what the hidden size gives.
    pub(super) fn default_head_dim(self) -> Option<usize> {
        match self {
            Self::Qwen3 => Some(128),
            Self::Gemma3 => Some(256),
            _ => None,
        }
    }

    /// transformers' sliding window, in keys, for a configuration that does not even say null.
    pub(super) fn default_sliding_window(self) -> Option<usize> {
        matches!(self, Self::Mistral | Self::Gemma3 | Self::Qwen3Moe).then_some(4_096)
    }

    /// transformers' choice for a configuration without the field.
    pub(super) fn ties_embeddings_by_default(self) -> bool {
        matches!(self, Self::SmolLm3 | Self::Gemma3)
    }

    /// transformers' sizes for a configuration without the fields: those of Gemma 3 are published with what differs
    /// alone.
    pub(super) fn default_sizes(self) -> &'static [(&'static str, u32)] {
        match self {
            Self::Gemma3 => &[
                ("vocab_size", 262_208),
                ("hidden_size", 2_304),
                ("intermediate_size", 9_216),
                ("num_hidden_layers", 26),
                ("num_attention_heads", 8),
                ("num_key_value_heads", 4),
            ],
            _ => &[],
        }
    }

    /// Whether `mlp_bias` means something.
    pub(super) fn may_have_feed_forward_bias(self) -> bool {
        matches!(self, Self::Llama | Self::SmolLm3)
    }

    pub(super) fn qk_norm(self) -> Option<QkNorm> {
        match self {
            Self::Qwen3 | Self::Qwen3Moe | Self::Gemma3 => Some(QkNorm::PerHead),
            Self::Olmo2 => Some(QkNorm::AllHeads),
            _ => None,
        }
    }

    pub(super) fn norm_placement(self) -> NormPlacement {
        match self {
            Self::Olmo2 => NormPlacement::Output,
            Self::Gemma3 => NormPlacement::Both,
            _ => NormPlacement::Input,
        }
    }
}

/// What a family that is often asked for would take, and what to take instead.
fn advice(name: &str) -> &'static str {
    let name = name.to_lowercase();
    if name.starts_with("gptoss") || name == "gpt_oss" {
        ": GPT-OSS has sinks in its attention's softmax, experts, and weights in MXFP4, none of which are here; take a dense \
         model"
    } else if name.starts_with("gemma2") {
        ": Gemma 2 caps its attention's logits, so that weights cannot be formed again from queries and keys; take Gemma 3, \
         which does not"
    } else if name.contains("moe") || name.starts_with("mixtral") {
        ": of mixtures of experts only Qwen3-MoE is here; take that, or a dense model of the same family"
    } else {
        ""
    }
}
