//! What a checkpoint's `config.json` says about the decoder.
//!
//! One decoder serves every family: a family is only how its configuration is read (see [`Family`]).

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::config_json::Fields;
use super::family::Family;
use super::layer_kinds::{rotated_layers, sliding_windows};
use super::rope::RopeConfig;
use super::rope_scaling::RopeScaling;
use crate::SessionError;

/// Far above any model; bounds what is allocated from a configuration before the weights are looked at.
const MOST_LAYERS: usize = 4096;

/// Over what the RMS norms of queries and keys run, before rotation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum QkNorm {
    /// Each head on its own, with one weight `[D]` for all.
    PerHead,
    /// All heads together, with a weight `[H * D]` for queries and one `[G * D]` for keys.
    AllHeads,
}

/// Where the RMS norms of attention and feed-forward stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum NormPlacement {
    /// On what goes in.
    Input,
    /// On what comes out, before it joins the residual stream.
    Output,
    /// On both.
    Both,
}

/// What the feed-forward's gate goes through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Activation {
    /// x times its logistic function.
    Silu,
    /// x times the normal distribution function, approximated by tanh (Hendrycks and Gimpel 2016).
    GeluTanh,
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
    /// The same for layers with a sliding window, where they have a rotation of their own.
    pub sliding_rope: Option<RopeConfig>,
    /// By what queries are multiplied so that their logits are q . k / sqrt(D), as everywhere here: sqrt(D / s)
    /// where a model divides by sqrt(s) instead.
    pub query_scale: f64,
    /// By what rows of the embedding are multiplied on their way in.
    pub embedding_scale: Option<f64>,
    /// c of the final logits c tanh(x / c).
    pub logit_cap: Option<f64>,
    /// Whether norms multiply by 1 + w rather than by w.
    pub norms_add_one: bool,
    /// What the feed-forward's gate goes through.
    pub activation: Activation,
    /// Whether the output layer is the embedding.
    pub tied_embeddings: bool,
    /// Whether q, k and v projections have biases.
    pub qkv_bias: bool,
    /// Whether the attention's output projection has a bias.
    pub output_bias: bool,
    /// Whether the feed-forward projections have biases.
    pub feed_forward_bias: bool,
    /// How q and k are RMS-normalised before rotation, if they are.
    pub qk_norm: Option<QkNorm>,
    /// Which side of attention and feed-forward is normalised.
    pub norm_placement: NormPlacement,
    /// Whether q, k and v, and gate and up, are stored as one tensor each.
    pub fused_projections: bool,
    /// L entries: whether queries and keys of the layer are rotated.
    pub rotated_layers: Vec<bool>,
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
        let config = Self::from_object(&language_part(object))?;
        config.check()?;
        Ok(config)
    }

    fn from_object(object: &Map<String, Value>) -> Result<Self, SessionError> {
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
        if let Some(quantised) = fields.object("quantization_config")? {
            let method = quantised.get("quant_method").and_then(Value::as_str);
            return Err(SessionError::Config {
                reason: format!(
                    "the weights are quantised ({}), which is not supported; take {}",
                    method.unwrap_or("by an unnamed method"),
                    instead_of_quantised(method)
                ),
            });
        }
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
        self.check_rope().or_else(wrong)
    }

    fn check_rope(&self) -> Result<(), String> {
        let width = self.rope.rotated_width(self.head_dim);
        let share = self.rope.rotated_share;
        if width == 0 || !width.is_multiple_of(2) || share > 1.0 {
            return Err(format!(
                "'partial_rotary_factor' {share} is no even part of the {} numbers of a head",
                self.head_dim
            ));
        }
        if width != self.head_dim && self.family != Family::Phi3 {
            return Err(format!(
                "'partial_rotary_factor' other than 1 is not supported for {}",
                self.family.architecture()
            ));
        }
        for factors in self.rope.scaling.factors() {
            if factors.len() != width / 2 {
                return Err(format!(
                    "rope scaling has {} factors for heads of {} rotated pairs",
                    factors.len(),
                    width / 2
                ));
            }
        }
        match self.rope.scaling {
            RopeScaling::None | RopeScaling::LongRope(_) => Ok(()),
            _ if self.family != Family::Phi3 => Ok(()),
            _ => Err("Phi-3 with a rope scaling other than longrope is not supported".to_owned()),
        }
    }

    /// Inverse frequencies of a layer for a prompt of T tokens and what comes behind it, in radians per position:
    /// `[D / 2]`, all 0 where the layer does not rotate.
    pub fn inverse_frequencies(&self, layer: usize, prompt_tokens: usize) -> Vec<f32> {
        if self.rotated_layers.get(layer).copied().unwrap_or(true) {
            let rope = self.sliding_rope.as_ref().filter(|_| self.slides(layer));
            let rope = rope.unwrap_or(&self.rope);
            rope.inverse_frequencies(self.head_dim, prompt_tokens)
        } else {
            vec![0.0; self.head_dim / 2]
        }
    }

    /// Whether the layer sees only the last keys.
    fn slides(&self, layer: usize) -> bool {
        self.sliding_windows.get(layer).copied().flatten().is_some()
    }

    /// How positions become angles, if it is the same in all layers.
    pub fn one_rope(&self) -> Option<&RopeConfig> {
        let all_rotate = self.rotated_layers.iter().all(|rotates| *rotates);
        (all_rotate && self.sliding_rope.is_none()).then_some(&self.rope)
    }

    /// H / G: query heads that share one key/value head.
    pub fn group_size(&self) -> usize {
        self.query_heads / self.kv_heads
    }
}

/// The language model's fields: all of them, or, of a model that also takes pictures, those of `text_config`, with what
/// stands only beside it.
fn language_part(object: &Map<String, Value>) -> Map<String, Value> {
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

/// The rotation, and that of sliding layers where it is another one: `rope_local_base_freq` of published Gemma 3, or
/// `rope_parameters` with an entry for each kind of layer.
fn rotations(
    family: Family,
    object: &Map<String, Value>,
    max_positions: usize,
) -> Result<(RopeConfig, Option<RopeConfig>), SessionError> {
    /// transformers' base of the wavelengths of sliding layers.
    const SLIDING_THETA: f64 = 10_000.0;
    let theta = family.default_theta();
    if family != Family::Gemma3 {
        return Ok((RopeConfig::from_json(object, theta, max_positions)?, None));
    }
    let of_kind = |kind: &str| {
        let parameters = object.get("rope_parameters")?.as_object()?;
        parameters.get(kind)?.as_object().cloned()
    };
    let mut full = object.clone();
    full.remove("rope_parameters");
    full.extend(
        of_kind("full_attention").map(|of| ("rope_parameters".to_owned(), Value::Object(of))),
    );
    let mut sliding = Map::new();
    sliding.extend(
        of_kind("sliding_attention").map(|of| ("rope_parameters".to_owned(), Value::Object(of))),
    );
    let fields = Fields::new(object, "");
    let sliding_theta = fields.optional_number("rope_local_base_freq")?;
    Ok((
        RopeConfig::from_json(&full, theta, max_positions)?,
        Some(RopeConfig::from_json(
            &sliding,
            sliding_theta.unwrap_or(SLIDING_THETA),
            max_positions,
        )?),
    ))
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

/// What can be run in the place of weights that were quantised by a method.
fn instead_of_quantised(method: Option<&str>) -> &'static str {
    match method {
        Some("fp8") => {
            "the checkpoint in bfloat16, or undo it in transformers, which loses nothing: \
             AutoModelForCausalLM.from_pretrained(folder, quantization_config=FineGrainedFP8Config(dequantize=True)), then \
             save_pretrained"
        }
        Some("gptq" | "awq" | "bitsandbytes" | "compressed-tensors") => {
            "the checkpoint that it was made from, or a GGUF file of it (Q4_K_M, Q8_0), which is read as it is"
        }
        _ => "the checkpoint that was not",
    }
}

/// What would change attention itself.
fn refuse_unknown_attention(fields: &Fields<'_>) -> Result<(), SessionError> {
    let reason = if fields.get("attn_logit_softcapping").is_some() {
        "'attn_logit_softcapping' is not supported: attention weights are formed again from queries and keys, which \
         knows no cap (take Gemma 3, which has none)"
    } else if fields.flag("use_bidirectional_attention", false)? {
        "'use_bidirectional_attention' is not supported: there is no decode stage without causal attention"
    } else {
        return Ok(());
    };
    Err(SessionError::Config {
        reason: reason.to_owned(),
    })
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
        assert!(!config.tied_embeddings && !config.qkv_bias && config.qk_norm.is_none());
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

    /// The micro configuration as another family's.
    fn of_family(architecture: &str, more: Value) -> Result<ModelConfig, SessionError> {
        edited(|fields| {
            fields.insert("architectures".into(), serde_json::json!([architecture]));
            let more = more.as_object().unwrap().clone();
            fields.extend(more);
        })
    }

    #[test]
    fn smollm3_rotates_all_but_every_fourth_layer_or_those_that_are_listed() {
        let rotated = |more| {
            of_family("SmolLM3ForCausalLM", more)
                .unwrap()
                .rotated_layers
        };
        assert_eq!(rotated(serde_json::json!({})), [true, true, true, false]);
        assert_eq!(
            rotated(serde_json::json!({"no_rope_layer_interval": 2})),
            [true, false, true, false]
        );
        assert_eq!(
            rotated(serde_json::json!({"no_rope_layers": [0, 1, 1, 0, 1]})),
            [false, true, true, false]
        );
        let error = of_family(
            "SmolLM3ForCausalLM",
            serde_json::json!({"no_rope_layers": [0, 2, 1, 1]}),
        )
        .unwrap_err();
        assert!(error.to_string().contains("no_rope_layers"), "{error}");
    }

    #[test]
    fn smollm3_slides_where_it_does_not_rotate() {
        let config = of_family(
            "SmolLM3ForCausalLM",
            serde_json::json!({"sliding_window": 8, "use_sliding_window": true}),
        )
        .unwrap();
        assert_eq!(config.sliding_windows, [None, None, None, Some(8)]);
        assert_eq!(config.rope.theta, 2_000_000.0);
        assert!(config.tied_embeddings);
        assert_eq!(config.inverse_frequencies(3, 1), vec![0.0; 8]);
    }

    /// Read off transformers 5.2's configurations without fields.
    #[test]
    fn what_a_configuration_does_not_say_is_what_transformers_takes() {
        let minimal = |architecture: &str| {
            let json = serde_json::json!({"architectures": [architecture], "vocab_size": 100, "hidden_size": 64,
                "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 4});
            ModelConfig::from_json(json.to_string().as_bytes()).unwrap()
        };
        for (architecture, positions, eps, head_dim, window) in [
            ("LlamaForCausalLM", 2_048, 1e-6, 16, None),
            ("MistralForCausalLM", 131_072, 1e-6, 16, Some(4_096)),
            ("Qwen2ForCausalLM", 32_768, 1e-6, 16, None),
            ("Qwen3ForCausalLM", 32_768, 1e-6, 128, None),
            ("SmolLM3ForCausalLM", 32_768, 1e-6, 16, None),
            ("Olmo2ForCausalLM", 2_048, 1e-5, 16, None),
            ("Phi3ForCausalLM", 4_096, 1e-5, 16, None),
        ] {
            let config = minimal(architecture);
            assert_eq!(config.max_positions, positions, "{architecture}");
            assert_eq!(config.rms_norm_eps, eps, "{architecture}");
            assert_eq!(config.head_dim, head_dim, "{architecture}");
            assert_eq!(config.sliding_windows, [window; 2], "{architecture}");
        }
    }

    #[test]
    fn phi3_scales_by_longrope_alone() {
        let scaling =
            |kind: &str| serde_json::json!({"rope_scaling": {"type": kind, "factor": 4.0}});
        for kind in ["yarn", "linear"] {
            let error = of_family("Phi3ForCausalLM", scaling(kind)).unwrap_err();
            assert!(error.to_string().contains("not supported"), "{error}");
        }
    }

    fn long_rope(factors: usize, more: Value) -> Result<ModelConfig, SessionError> {
        let mut fields = serde_json::json!({"original_max_position_embeddings": 64,
            "rope_scaling": {"type": "su", "short_factor": vec![1.0; factors], "long_factor": vec![4.0; factors]}});
        let more = more.as_object().unwrap().clone();
        fields.as_object_mut().unwrap().extend(more);
        of_family("Phi3ForCausalLM", fields)
    }

    #[test]
    fn longrope_takes_the_set_of_the_prompts_length() {
        let config = long_rope(8, serde_json::json!({})).unwrap();
        let frequencies = |prompt_tokens| config.inverse_frequencies(0, prompt_tokens);
        assert_eq!(frequencies(64)[0], 1.0);
        assert_eq!(frequencies(65)[0], 0.25);
        // sqrt(1 + ln(256 / 64) / ln 64), as 64 is 4 to the third
        let factor = config.rope.scaling.attention_factor();
        assert!((factor - (4.0_f64 / 3.0).sqrt()).abs() < 1e-12);
    }

    #[test]
    fn a_part_of_a_head_is_rotated_for_phi3_alone() {
        let part = serde_json::json!({"partial_rotary_factor": 0.75});
        let config = long_rope(6, part.clone()).unwrap();
        let frequencies = config.inverse_frequencies(0, 1);
        assert_eq!(frequencies[6..], [0.0, 0.0]);
        assert!((f64::from(frequencies[1]) - 1e4_f64.powf(-2.0 / 12.0)).abs() < 1e-7);
        for (refused, word) in [
            (long_rope(8, part.clone()), "factors for heads"),
            (of_family("LlamaForCausalLM", part), "LlamaForCausalLM"),
            (
                long_rope(8, serde_json::json!({"partial_rotary_factor": 1.5})),
                "no even part",
            ),
            (
                long_rope(8, serde_json::json!({"partial_rotary_factor": 0.1})),
                "no even part",
            ),
        ] {
            let error = refused.unwrap_err().to_string();
            assert!(error.contains(word), "{error}");
        }
    }

    #[test]
    fn yarn_reaches_as_far_as_it_stretches() {
        let scaling = serde_json::json!({"rope_scaling":
            {"type": "yarn", "factor": 4.0, "original_max_position_embeddings": 256}});
        let config = of_family("Qwen2ForCausalLM", scaling).unwrap();
        assert_eq!(config.max_positions, 1024);
    }

    #[test]
    fn linear_scaling_reaches_as_far_as_it_stretches() {
        for (factor, reach) in [(4.0, 4096), (1.5, 1536), (0.5, 1024)] {
            let scaling = serde_json::json!({"max_position_embeddings": 1024,
                "rope_scaling": {"type": "linear", "factor": factor}});
            let config = of_family("LlamaForCausalLM", scaling).unwrap();
            assert_eq!(config.max_positions, reach);
        }
    }

    #[test]
    fn other_spellings_of_the_same_are_read() {
        let more = serde_json::json!({"max_position_embeddings": 8192.0, "hidden_act": "swish"});
        let config = of_family("LlamaForCausalLM", more).unwrap();
        assert_eq!(config.max_positions, 8192);
    }

    #[test]
    fn what_is_often_asked_for_and_not_here_is_refused_with_advice() {
        for (architecture, word) in [
            ("GptOssForCausalLM", "sinks"),
            ("Qwen3MoeForCausalLM", "experts"),
            ("MixtralForCausalLM", "experts"),
            ("Gemma2ForCausalLM", "take Gemma 3"),
        ] {
            let refused = of_family(architecture, serde_json::json!({})).unwrap_err();
            assert!(refused.to_string().contains(word), "{refused}");
        }
        for (method, word) in [
            ("fp8", "dequantize=True"),
            ("gptq", "GGUF"),
            ("awq", "GGUF"),
        ] {
            let quantised = serde_json::json!({"quantization_config": {"quant_method": method}});
            let refused = of_family("LlamaForCausalLM", quantised).unwrap_err();
            assert!(refused.to_string().contains(word), "{refused}");
        }
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
