//! Whether sizes and rotation of a configuration make a decoder.

use super::ModelConfig;
use crate::SessionError;
use crate::model::family::Family;
use crate::model::rope_scaling::RopeScaling;

impl ModelConfig {
    /// # Errors
    /// [`SessionError::Config`] naming the fields that do not fit together.
    pub(super) fn check(&self) -> Result<(), SessionError> {
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
}
