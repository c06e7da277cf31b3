//! What is met in configurations and not here, with advice.

use serde_json::Value;

use crate::SessionError;
use crate::model::config_json::Fields;

/// Weights that mean something only with what a method stores beside them.
pub(super) fn refuse_quantised(fields: &Fields<'_>) -> Result<(), SessionError> {
    let Some(quantised) = fields.object("quantization_config")? else {
        return Ok(());
    };
    let method = quantised.get("quant_method").and_then(Value::as_str);
    Err(SessionError::Config {
        reason: format!(
            "the weights are quantised ({}), which is not supported; take {}",
            method.unwrap_or("by an unnamed method"),
            instead_of_quantised(method)
        ),
    })
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
pub(super) fn refuse_unknown_attention(fields: &Fields<'_>) -> Result<(), SessionError> {
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
