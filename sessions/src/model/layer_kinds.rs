//! What tells the layers of one model apart: sliding windows and rotation.

use serde_json::Value;

use super::config_json::Fields;
use super::family::Family;
use crate::SessionError;

/// Which layers see only the last keys. `layer_types` (transformers 5) goes before the older switches.
pub(super) fn sliding_windows(
    family: Family,
    layers: usize,
    fields: &Fields<'_>,
) -> Result<Vec<Option<usize>>, SessionError> {
    let window = match fields.says("sliding_window") {
        true => fields.optional_size("sliding_window")?,
        false => family.default_sliding_window(),
    };
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
    let switched_on = fields.flag("use_sliding_window", false)?;
    let slides: Box<dyn Fn(usize) -> bool> = match family {
        Family::Mistral | Family::Phi3 => Box::new(|_| true),
        Family::Qwen2 | Family::Qwen3 if switched_on => {
            // transformers' default for a configuration that switches windows on without the field
            let first = fields.optional_count("max_window_layers")?.unwrap_or(28);
            Box::new(move |layer| layer >= first)
        }
        // on every layer, as transformers has it
        Family::Qwen3Moe if switched_on => Box::new(|_| true),
        Family::Gemma3 => {
            // transformers' default; every so-many-th layer sees everything
            let pattern = match fields.optional_size("sliding_window_pattern")? {
                Some(pattern) => pattern,
                None => fields
                    .optional_size("_sliding_window_pattern")?
                    .unwrap_or(6),
            };
            Box::new(move |layer| !(layer + 1).is_multiple_of(pattern))
        }
        Family::SmolLm3 if switched_on => {
            let rotated = rotated_layers(family, layers, fields)?;
            Box::new(move |layer| rotated.get(layer) == Some(&false))
        }
        _ => Box::new(|_| false),
    };
    Ok((0..layers)
        .map(|layer| window.filter(|_| slides(layer)))
        .collect())
}

/// Which layers rotate queries and keys: all of them, but for SmolLM3, whose configuration has a 1 for each that
/// does (`no_rope_layers`, in spite of its name) or says that every so-many-th does not.
pub(super) fn rotated_layers(
    family: Family,
    layers: usize,
    fields: &Fields<'_>,
) -> Result<Vec<bool>, SessionError> {
    if family != Family::SmolLm3 {
        return Ok(vec![true; layers]);
    }
    match fields.get("no_rope_layers") {
        None => {
            // transformers' default
            let interval = fields.optional_size("no_rope_layer_interval")?.unwrap_or(4);
            Ok((1..=layers)
                .map(|nth| !nth.is_multiple_of(interval))
                .collect())
        }
        Some(value) => value
            .as_array()
            .filter(|flags| flags.len() >= layers)
            .and_then(|flags| flags.iter().take(layers).map(rotates).collect())
            .ok_or_else(|| SessionError::Config {
                reason: format!(
                    "'no_rope_layers' must have a 0 or 1 for each of the {layers} layers"
                ),
            }),
    }
}

/// A flag that is written as 0 and 1 or as false and true.
fn rotates(flag: &Value) -> Option<bool> {
    flag.as_bool().or_else(|| match flag.as_u64() {
        Some(0) => Some(false),
        Some(1) => Some(true),
        _ => None,
    })
}
