//! Mixtures of experts in the feed-forward.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::SessionError;
use crate::model::config_json::Fields;
use crate::model::family::Family;

/// Feed-forwards of a layer of which every token goes through a few.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Experts {
    /// E: how many a layer has.
    pub count: usize,
    /// K: how many of them a token goes through.
    pub active: usize,
    /// Width of one.
    pub width: usize,
    /// Whether the shares of the K are brought to sum 1.
    pub normalised: bool,
    /// L entries: whether the layer has experts; the others have one feed-forward for all tokens.
    pub layers: Vec<bool>,
}

impl Experts {
    /// None for a family or a configuration without; where a field is missing, what transformers takes.
    pub(super) fn read(
        family: Family,
        layers: usize,
        fields: &Fields<'_>,
    ) -> Result<Option<Self>, SessionError> {
        if family != Family::Qwen3Moe {
            return Ok(None);
        }
        // transformers 5 writes the second name
        let count = match fields.optional_count("num_experts")? {
            Some(count) => count,
            None => fields.optional_count("num_local_experts")?.unwrap_or(128),
        };
        let active = fields.optional_size("num_experts_per_tok")?.unwrap_or(8);
        if count == 0 {
            return Ok(None);
        }
        if active > count {
            return Err(SessionError::Config {
                reason: format!("'num_experts_per_tok' is {active}, but there are {count} experts"),
            });
        }
        let step = fields.optional_size("decoder_sparse_step")?.unwrap_or(1);
        let excepted = excepted_layers(fields)?;
        let has_experts =
            |layer: usize| (layer + 1).is_multiple_of(step) && !excepted.contains(&layer);
        Ok(Some(Self {
            count,
            active,
            width: fields
                .optional_size("moe_intermediate_size")?
                .unwrap_or(768),
            normalised: fields.flag("norm_topk_prob", false)?,
            layers: (0..layers).map(has_experts).collect(),
        }))
    }

    /// Whether a layer has them.
    pub(crate) fn are_in(&self, layer: usize) -> bool {
        self.layers.get(layer).copied().unwrap_or(false)
    }
}

/// Layers whose feed-forward is one for all tokens whatever their number.
fn excepted_layers(fields: &Fields<'_>) -> Result<Vec<usize>, SessionError> {
    let Some(value) = fields.get("mlp_only_layers") else {
        return Ok(Vec::new());
    };
    let layer = |value: &Value| value.as_u64().and_then(|layer| usize::try_from(layer).ok());
    let layers = value
        .as_array()
        .and_then(|layers| layers.iter().map(layer).collect());
    layers.ok_or_else(|| SessionError::Config {
        reason: "'mlp_only_layers' must be a list of layers".to_owned(),
    })
}
