//! How positions become angles, in layers that see everything and in sliding ones.

use serde_json::{Map, Value};

use crate::SessionError;
use crate::model::config_json::Fields;
use crate::model::family::Family;
use crate::model::rope::RopeConfig;

/// The rotation, and that of sliding layers where it is another one: `rope_local_base_freq` of published Gemma 3, or
/// `rope_parameters` with an entry for each kind of layer.
pub(super) fn rotations(
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
