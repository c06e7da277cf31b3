//! Fields of `config.json`, with what transformers takes where they are missing.

use serde_json::{Map, Value};

use super::refused::{refuse_quantised, refuse_unknown_attention};
use super::rotations::rotations;
use super::{Activation, Experts, ModelConfig};
use crate::SessionError;
use crate::model::config_json::Fields;
use crate::model::family::Family;
use crate::model::layer_kinds::{rotated_layers, sliding_windows};

/// Far above any model; bounds what is allocated from a configuration before the weights are looked at.
const MOST_LAYERS: usize = 4096;

impl ModelConfig {
    /// Of the fields of the language model.
    pub(super) fn from_object(object: &Map<String, Value>) -> Result<Self, SessionError> {
        let family = Family::from_fields(&Fields::new(object, ""))?;
        let object = &with_default_sizes(object, family);
        let fields = Fields::new(object, "");
        let hidden_size = fields.size("hidden_size")?;
        let query_heads = fields.size("num_attention_heads")?;
        let layers = fields.size("num_hidden_layers")?;
        if layers > MOST_LAYERS {
            return Err(SessionError::Config {
                reason: format!("'num_hidden_layers' is {layers}; at most {MOST_LAYERS} are read"),
            });
        }
        refuse_quantised(&fields)?;
        let attention_bias = family != Family::Phi3 && fields.flag("attention_bias", false)?;
        let max_positions = fields
            .optional_size("max_position_embeddings")?
            .unwrap_or_else(|| family.default_positions());
        let (rope, sliding_rope) = rotations(family, object, max_positions)?;
        let head_dim = fields
            .optional_size("head_dim")?
            .or_else(|| family.default_head_dim())
            .unwrap_or(hidden_size / query_heads);
        refuse_unknown_attention(&fields)?;
        Ok(Self {
            family,
            vocabulary: fields.size("vocab_size")?,
            hidden_size,
            intermediate_size: fields.size("intermediate_size")?,
            experts: Experts::read(family, layers, &fields)?,
            layers,
            query_heads,
            kv_heads: fields
                .optional_size("num_key_value_heads")?
                .unwrap_or(query_heads),
            head_dim,
            // Gemma 3 counts the stretched positions
            max_positions: match family {
                Family::Gemma3 => max_positions,
                _ => rope.scaling.reach(max_positions),
            },
            rms_norm_eps: fields
                .optional_number("rms_norm_eps")?
                .unwrap_or_else(|| family.default_rms_norm_eps()),
            rope,
            sliding_rope,
            query_scale: query_scale(family, head_dim, &fields)?,
            embedding_scale: (family == Family::Gemma3).then(|| (hidden_size as f64).sqrt()),
            logit_cap: fields.optional_number("final_logit_softcapping")?,
            norms_add_one: family == Family::Gemma3,
            activation: activation(family, &fields)?,
            tied_embeddings: fields
                .flag("tie_word_embeddings", family.ties_embeddings_by_default())?,
            qkv_bias: family == Family::Qwen2 || attention_bias,
            output_bias: family != Family::Qwen2 && attention_bias,
            feed_forward_bias: family.may_have_feed_forward_bias()
                && fields.flag("mlp_bias", false)?,
            qk_norm: family.qk_norm(),
            norm_placement: family.norm_placement(),
            fused_projections: family == Family::Phi3,
            rotated_layers: rotated_layers(family, layers, &fields)?,
            sliding_windows: sliding_windows(family, layers, &fields)?,
            eos_token_ids: token_ids(fields.get("eos_token_id")),
            stored_dtype: match fields.text("dtype")? {
                Some(dtype) => Some(dtype.to_owned()),
                None => fields.text("torch_dtype")?.map(str::to_owned),
            },
        })
    }
}

/// The language model's fields: all of them, or, of a model that also takes pictures, those of `text_config`, with what
/// stands only beside it.
pub(super) fn language_part(object: &Map<String, Value>) -> Map<String, Value> {
    const BESIDE: [&str; 5] = [
        "eos_token_id",
        "dtype",
        "torch_dtype",
        "tie_word_embeddings",
        "quantization_config",
    ];
    let Some(Value::Object(text)) = object.get("text_config") else {
        return object.clone();
    };
    let mut text = text.clone();
    for name in BESIDE {
        if let Some(value) = object.get(name)
            && !text.contains_key(name)
        {
            text.insert(name.to_owned(), value.clone());
        }
    }
    text
}

fn with_default_sizes(object: &Map<String, Value>, family: Family) -> Map<String, Value> {
    let mut object = object.clone();
    for (name, size) in family.default_sizes() {
        object.entry(*name).or_insert_with(|| Value::from(*size));
    }
    object
}

/// sqrt(D / s) for logits that a model divides by sqrt(s).
fn query_scale(family: Family, head_dim: usize, fields: &Fields<'_>) -> Result<f64, SessionError> {
    /// transformers' s for a configuration without the field.
    const DEFAULT: f64 = 256.0;
    if family != Family::Gemma3 {
        return Ok(1.0);
    }
    let divisor = fields.optional_number("query_pre_attn_scalar")?;
    Ok((head_dim as f64 / divisor.unwrap_or(DEFAULT)).sqrt())
}

fn activation(family: Family, fields: &Fields<'_>) -> Result<Activation, SessionError> {
    let (field, default) = match family {
        Family::Gemma3 => ("hidden_activation", "gelu_pytorch_tanh"),
        _ => ("hidden_act", "silu"),
    };
    match fields.text(field)?.unwrap_or(default) {
        "silu" | "swish" => Ok(Activation::Silu),
        "gelu_pytorch_tanh" => Ok(Activation::GeluTanh),
        other => Err(SessionError::Config {
            reason: format!(
                "the activation '{other}' is not supported (supported: silu, gelu_pytorch_tanh)"
            ),
        }),
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
