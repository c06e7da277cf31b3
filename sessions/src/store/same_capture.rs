//! Whether two manifests are of one capture.

use super::manifest::Manifest;

/// What of the plan, the model and the program differs, which part of the samples they hold apart; nothing of the
/// samples themselves and of the device.
pub(crate) fn difference(one: &Manifest, other: &Manifest) -> Option<String> {
    let text = |manifest: &Manifest| manifest.text_rules.clone();
    let template = |manifest: &Manifest| Some(text(manifest)?.chat_template);
    let part = if !one.plan.asks_for_the_same(&other.plan) {
        let names = one.plan.differences(&other.plan).join(", ");
        return Some(format!("plan ({names})"));
    } else if one.model != other.model {
        "model"
    } else if one.shape != other.shape {
        "shape of the model"
    } else if one.window_weights_sha256 != other.window_weights_sha256 {
        "set of weights for a window"
    } else if one.dtype != other.dtype {
        "device or number format"
    } else if one.text_rules.is_some() && template(one) != template(other) {
        "chat template (chat_template.jinja or tokenizer_config.json of the model)"
    } else if one.text_rules.is_some() && text(one) != text(other) {
        "set of ids that end a text (generation_config.json of the model)"
    } else if one.kvlens_version != other.kvlens_version {
        return Some(format!(
            "version of KVLens ({} and {})",
            one.kvlens_version, other.kvlens_version
        ));
    } else {
        return None;
    };
    Some(part.to_owned())
}
