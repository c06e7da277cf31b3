//! What a checkpoint's `config.json` says about the decoder.
//!
//! One decoder serves every family: a family is only how its configuration is read (see [`Family`]).

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::config_json::Fields;
use super::rope::RopeConfig;
use crate::SessionError;

/// Far above any model; bounds what is allocated from a configuration before the weights are looked at.
const MOST_LAYERS: usize = 4096;

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
}

impl Family {
    const ALL: [(Self, &'static str, &'static str); 4] = [
        (Self::Llama, "llama", "LlamaForCausalLM"),
        (Self::Mistral, "mistral", "MistralForCausalLM"),
        (Self::Qwen2, "qwen2", "Qwen2ForCausalLM"),
        (Self::Qwen3, "qwen3", "Qwen3ForCausalLM"),
    ];

    /// By `architectures[0]` or, where that is absent, by `model_type`.
    fn from_fields(fields: &Fields<'_>) -> Result<Self, SessionError> {
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
        let known = Self::ALL
            .iter()
            .find(|(_, model_type, architecture)| name == *model_type || name == *architecture);
        known
            .map(|(family, _, _)| *family)
            .ok_or_else(|| SessionError::Config {
                reason: format!(
                    "the {field} '{name}' is not supported (supported: {})",
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
}

/// The shape and the switches of the decoder.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelConfig {
    /// Which family's configuration this was.
    pub family: Family,
    /// Rows of the token embedding.
    pub vocabulary: usize,
    /// Width of the residual stream.
    pub hidden_size: usize,
    /// Width of the feed-forward layer.
    pub intermediate_size: usize,
    /// L: decoder layers.
    pub layers: usize,
    /// H: query heads.
    pub query_heads: usize,
    /// G: key/value heads.
    pub kv_heads: usize,
    /// D: width of one head.
    pub head_dim: usize,
    /// Positions that the model was made for, in tokens.
    pub max_positions: usize,
    /// Epsilon of the RMS norms.
    pub rms_norm_eps: f64,
    /// Positions to angles.
    pub rope: RopeConfig,
    /// Whether the output layer is the embedding.
    pub tied_embeddings: bool,
    /// Whether q, k and v projections have biases.
    pub qkv_bias: bool,
    /// Whether the attention's output projection has a bias.
    pub output_bias: bool,
    /// Whether the feed-forward projections have biases.
    pub feed_forward_bias: bool,
    /// Whether q and k are RMS-normalised per head before rotation.
    pub qk_norm: bool,
    /// L entries: how many keys a query of the layer sees, itself included; `None` for all.
    pub sliding_windows: Vec<Option<usize>>,
    /// Ids after which generation stops, from config.json (generation_config.json goes first).
    pub eos_token_ids: Vec<u32>,
    /// How the checkpoint says its weights are stored, such as `bfloat16`.
    pub stored_dtype: Option<String>,
}

impl ModelConfig {
    /// Reads the text of a `config.json`.
    ///
    /// # Errors
    /// [`SessionError::Config`] naming the field that is missing, wrong or unsupported.
    pub fn from_json(text: &[u8]) -> Result<Self, SessionError> {
        let value: Value = serde_json::from_slice(text).map_err(|error| SessionError::Config {
            reason: format!("not a JSON file: {error}"),
        })?;
        let object = value.as_object().ok_or_else(|| SessionError::Config {
            reason: "not a JSON object".to_owned(),
        })?;
        let config = Self::from_object(object)?;
        config.check()?;
        Ok(config)
    }

    fn from_object(object: &Map<String, Value>) -> Result<Self, SessionError> {
        let fields = Fields::new(object, "");
        let family = Family::from_fields(&fields)?;
        let hidden_size = fields.size("hidden_size")?;
        let query_heads = fields.size("num_attention_heads")?;
        let layers = fields.size("num_hidden_layers")?;
        if layers > MOST_LAYERS {
            return Err(SessionError::Config {
                reason: format!("'num_hidden_layers' is {layers}; at most {MOST_LAYERS} are read"),
            });
        }
        let attention_bias = fields.flag("attention_bias", false)?;
        if let Some(activation) = fields.text("hidden_act")?
            && activation != "silu"
        {
            return Err(SessionError::Config {
                reason: format!("the activation '{activation}' is not supported (supported: silu)"),
            });
        }
        Ok(Self {
            family,
            vocabulary: fields.size("vocab_size")?,
            hidden_size,
            intermediate_size: fields.size("intermediate_size")?,
            layers,
            query_heads,
            kv_heads: fields
                .optional_size("num_key_value_heads")?
                .unwrap_or(query_heads),
            head_dim: fields
                .optional_size("head_dim")?
                .unwrap_or(hidden_size / query_heads),
            max_positions: fields.size("max_position_embeddings")?,
            rms_norm_eps: fields.number("rms_norm_eps")?,
            rope: RopeConfig::from_json(object)?,
            tied_embeddings: fields.flag("tie_word_embeddings", false)?,
            qkv_bias: family == Family::Qwen2 || attention_bias,
            output_bias: family != Family::Qwen2 && attention_bias,
            feed_forward_bias: fields.flag("mlp_bias", false)?,
            qk_norm: family == Family::Qwen3,
            sliding_windows: sliding_windows(family, layers, &fields)?,
            eos_token_ids: token_ids(fields.get("eos_token_id")),
            stored_dtype: match fields.text("dtype")? {
                Some(dtype) => Some(dtype.to_owned()),
                None => fields.text("torch_dtype")?.map(str::to_owned),
            },
        })
    }

    fn check(&self) -> Result<(), SessionError> {
        let wrong = |reason: String| Err(SessionError::Config { reason });
        if !self.query_heads.is_multiple_of(self.kv_heads) {
            return wrong(format!(
                "'num_attention_heads' {} is no multiple of 'num_key_value_heads' {}",
                self.query_heads, self.kv_heads
            ));
        }
        if self.head_dim == 0 || !self.head_dim.is_multiple_of(2) {
            return wrong(format!(
                "the head size must be even and above 0 for rotary embedding, not {}",
                self.head_dim
            ));
        }
        Ok(())
    }

    /// H / G: query heads that share one key/value head.
    pub fn group_size(&self) -> usize {
        self.query_heads / self.kv_heads
    }
}

/// `eos_token_id` may be one id or a list.
pub(crate) fn token_ids(value: Option<&Value>) -> Vec<u32> {
    let as_id = |value: &Value| value.as_u64().and_then(|id| u32::try_from(id).ok());
    match value {
        Some(Value::Array(ids)) => ids.iter().filter_map(as_id).collect(),
        Some(value) => as_id(value).into_iter().collect(),
        None => Vec::new(),
    }
}

/// Which layers see only the last keys. `layer_types` (transformers 5) goes before the older switches.
fn sliding_windows(
    family: Family,
    layers: usize,
    fields: &Fields<'_>,
) -> Result<Vec<Option<usize>>, SessionError> {
    let window = fields.optional_size("sliding_window")?;
    if let Some(Value::Array(types)) = fields.get("layer_types") {
        if types.len() != layers {
            return Err(SessionError::Config {
                reason: format!(
                    "'layer_types' has {} entries for {layers} layers",
                    types.len()
                ),
            });
        }
        return types
            .iter()
            .map(|kind| match kind.as_str() {
                Some("full_attention") => Ok(None),
                Some("sliding_attention") if window.is_some() => Ok(window),
                _ => Err(SessionError::Config {
                    reason: format!("'layer_types' holds {kind}, which is not supported"),
                }),
            })
            .collect();
    }
    let first_sliding_layer = match family {
        Family::Llama => layers,
        Family::Mistral => 0,
        Family::Qwen2 | Family::Qwen3 if fields.flag("use_sliding_window", false)? => {
            // transformers' default for a configuration that switches windows on without the field
            fields.optional_count("max_window_layers")?.unwrap_or(28)
        }
        Family::Qwen2 | Family::Qwen3 => layers,
    };
    Ok((0..layers)
        .map(|layer| window.filter(|_| layer >= first_sliding_layer))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const LLAMA: &str = r#"{"architectures": ["LlamaForCausalLM"], "hidden_size": 64, "intermediate_size": 128,
        "num_hidden_layers": 4, "num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 100,
        "max_position_embeddings": 256, "rms_norm_eps": 1e-5}"#;

    fn edited(edit: impl Fn(&mut Map<String, Value>)) -> Result<ModelConfig, SessionError> {
        let mut value: Value = serde_json::from_str(LLAMA).unwrap();
        edit(value.as_object_mut().unwrap());
        ModelConfig::from_json(value.to_string().as_bytes())
    }

    #[test]
    fn defaults_are_those_of_hugging_face() {
        let config = edited(|_| {}).unwrap();
        assert_eq!(config.head_dim, 16);
        assert_eq!(config.rope.theta, 10_000.0);
        assert!(!config.tied_embeddings && !config.qkv_bias && !config.qk_norm);
        assert_eq!(config.sliding_windows, vec![None; 4]);
    }

    #[test]
    fn a_missing_field_is_named() {
        let error = edited(|fields| drop(fields.remove("hidden_size"))).unwrap_err();
        assert!(
            error.to_string().contains("'hidden_size' is missing"),
            "{error}"
        );
    }

    #[test]
    fn an_unknown_architecture_is_named_with_what_is_known() {
        let error = edited(|fields| {
            drop(fields.insert(
                "architectures".into(),
                serde_json::json!(["MambaForCausalLM"]),
            ))
        })
        .unwrap_err();
        assert!(
            error.to_string().contains("MambaForCausalLM")
                && error.to_string().contains("Qwen2ForCausalLM")
        );
    }

    #[test]
    fn heads_that_do_not_divide_are_refused() {
        let error = edited(|fields| drop(fields.insert("num_key_value_heads".into(), 3.into())))
            .unwrap_err();
        assert!(error.to_string().contains("no multiple"), "{error}");
    }

    #[test]
    fn qwen2_ignores_its_window_unless_it_is_switched_on() {
        let qwen2 = |switch: bool| {
            edited(|fields| {
                fields.insert(
                    "architectures".into(),
                    serde_json::json!(["Qwen2ForCausalLM"]),
                );
                fields.insert("sliding_window".into(), 32.into());
                fields.insert("use_sliding_window".into(), switch.into());
                fields.insert("max_window_layers".into(), 2.into());
            })
            .unwrap()
            .sliding_windows
        };
        assert_eq!(qwen2(false), vec![None; 4]);
        assert_eq!(qwen2(true), vec![None, None, Some(32), Some(32)]);
    }

    #[test]
    fn more_layers_than_any_model_has_are_refused() {
        let error =
            edited(|fields| drop(fields.insert("num_hidden_layers".into(), u32::MAX.into())))
                .unwrap_err();
        assert!(error.to_string().contains("at most 4096"), "{error}");
    }

    #[test]
    fn a_zero_or_absurd_size_is_refused_before_anything_is_allocated() {
        assert!(
            edited(|fields| drop(fields.insert("num_hidden_layers".into(), 0.into()))).is_err()
        );
        assert!(
            edited(|fields| drop(
                fields.insert("num_hidden_layers".into(), serde_json::json!(1e30))
            ))
            .is_err()
        );
    }
}
