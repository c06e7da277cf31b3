//! The folder of a training run: a checkpoint in the Hugging Face layout, and the run's state beside it.

use std::collections::BTreeMap;
use std::path::Path;

use candle_core::Tensor;
use serde_json::json;
use tokenizers::Tokenizer;

use super::curve::DemoState;
use super::plan::TrainingPlan;
use super::tokenizer::{BEGIN, BEGIN_ID, END, END_ID};
use crate::SessionError;
use crate::error::Context;
use crate::files::{serialized, write_file};
use crate::model::ModelConfig;

/// Everything that the next step needs.
pub(crate) const STATE_FILE: &str = "training-state.safetensors";

/// Plan and loss curve, for reading and plotting.
const LOG_FILE: &str = "training-log.json";

/// The text of `config.json`.
fn config_text(plan: &TrainingPlan, tokenizer: &Tokenizer) -> String {
    let shape = &plan.shape;
    let config = json!({
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "vocab_size": tokenizer.get_vocab_size(true),
        "hidden_size": shape.hidden_size,
        "intermediate_size": shape.intermediate_size,
        "num_hidden_layers": shape.layers,
        "num_attention_heads": shape.query_heads,
        "num_key_value_heads": shape.kv_heads,
        "head_dim": shape.head_dim,
        "max_position_embeddings": shape.max_positions,
        "rope_theta": shape.rope_theta,
        "rms_norm_eps": 1e-5,
        "hidden_act": "silu",
        "attention_bias": false,
        "mlp_bias": false,
        "tie_word_embeddings": true,
        "bos_token_id": BEGIN_ID,
        "eos_token_id": END_ID,
        "torch_dtype": "float32",
    });
    format!("{config:#}\n")
}

/// The decoder's configuration, read as any checkpoint's is.
pub(crate) fn config(
    plan: &TrainingPlan,
    tokenizer: &Tokenizer,
) -> Result<ModelConfig, SessionError> {
    ModelConfig::from_json(config_text(plan, tokenizer).as_bytes())
}

/// Writes everything of a run that has done no step. An earlier run's state goes first: killed in between,
/// the folder must not be resumed with parts of two runs.
pub(crate) fn begin(
    folder: &Path,
    tokenizer: &Tokenizer,
    state: &DemoState,
) -> Result<(), SessionError> {
    let plan = &state.plan;
    let earlier = folder.join(STATE_FILE);
    if earlier.exists() {
        std::fs::remove_file(&earlier).io("remove the state of an earlier training", &earlier)?;
    }
    let tokenizer_text = tokenizer
        .to_string(true)
        .map_err(|error| SessionError::Tokenizer {
            reason: format!("it cannot be written ({error})"),
        })?;
    let tokenizer_config = json!({
        "bos_token": BEGIN,
        "eos_token": END,
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": plan.shape.max_positions,
    });
    let generation_config = json!({"bos_token_id": BEGIN_ID, "eos_token_id": END_ID});
    write_file(
        &folder.join("config.json"),
        config_text(plan, tokenizer).as_bytes(),
    )?;
    write_file(&folder.join("tokenizer.json"), tokenizer_text.as_bytes())?;
    write_file(
        &folder.join("tokenizer_config.json"),
        format!("{tokenizer_config:#}\n").as_bytes(),
    )?;
    write_file(
        &folder.join("generation_config.json"),
        format!("{generation_config:#}\n").as_bytes(),
    )?;
    save(folder, state)
}

/// Reads the tokenizer that [`begin`] wrote.
pub(crate) fn read_tokenizer(folder: &Path) -> Result<Tokenizer, SessionError> {
    let path = folder.join("tokenizer.json");
    Tokenizer::from_file(&path).map_err(|error| SessionError::Tokenizer {
        reason: format!("{} cannot be read ({error})", path.display()),
    })
}

/// Writes the model, the log and, last, the state.
pub(crate) fn save(folder: &Path, state: &DemoState) -> Result<(), SessionError> {
    let tensors: BTreeMap<String, Tensor> = state
        .parameters
        .iter()
        .map(|(name, parameter)| (name.clone(), parameter.as_tensor().clone()))
        .collect();
    // the key and value that transformers writes and looks for
    let bytes = serialized(&tensors, "format", "pt".to_owned())?;
    write_file(&folder.join("model.safetensors"), &bytes)?;
    let log = json!({"plan": state.plan, "curve": state.curve});
    write_file(&folder.join(LOG_FILE), format!("{log}\n").as_bytes())?;
    state.save(&folder.join(STATE_FILE))
}
