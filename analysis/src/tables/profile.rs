//! `profile.parquet`: what every head is like.

use super::declare::table;
use super::sample::SampleContext;
use super::window_head::count;
use crate::collection::HeadShape;
use crate::importance::HeadKind;
use crate::profile::HeadProfile;

table! {
    ProfileTable in "profile.parquet", one row per "head";
    /// One head of one sample, by its attention at the decode stage.
    #[derive(Copy)]
    ProfileRow<'a> {
        /// The sample.
        sample: &'a SampleContext,
        /// Layer, from 0.
        layer: u32,
        /// Head within the layer, from 0.
        head: u32,
        /// What a head stands for: `query`, `kv` or `layer`.
        head_kind: HeadKind,
        /// Attention that falls on the prompt; the rest is on generated tokens.
        prompt_share: f64,
        /// Entropy of what falls on the prompt, in nats.
        entropy: Option<f64>,
        /// Equal tokens that have this entropy.
        effective_tokens: Option<f64>,
        /// The fewest tokens that hold half of it.
        tokens_for_50: u32,
        /// The fewest tokens that hold 90 % of it.
        tokens_for_90: u32,
        /// The fewest tokens that hold 99 % of it.
        tokens_for_99: u32,
        /// Share of the first 4 tokens.
        sink_share: Option<f64>,
        /// Share of the last 32 tokens.
        recent_share: Option<f64>,
        /// Share of the tokens that the answer needs, where the data name them: the retrieval score.
        evidence_share: Option<f64>,
    }
}

/// The rows of one sample, by layer, then head; `shape` is that of the importance that they were made of.
pub fn profile_rows<'a>(
    sample: &'a SampleContext,
    shape: HeadShape,
    profiles: &[HeadProfile],
) -> Vec<ProfileRow<'a>> {
    let heads = shape.heads.max(1);
    let rows = profiles.iter().enumerate();
    rows.map(|(index, profile)| {
        let [half, most, nearly_all] = profile.tokens_for.map(count);
        ProfileRow {
            sample,
            layer: count(index / heads),
            head: count(index % heads),
            head_kind: shape.head_kind,
            prompt_share: profile.prompt_share,
            entropy: Some(profile.entropy),
            effective_tokens: Some(profile.effective_tokens),
            tokens_for_50: half,
            tokens_for_90: most,
            tokens_for_99: nearly_all,
            sink_share: Some(profile.sink_share),
            recent_share: Some(profile.recent_share),
            evidence_share: Some(profile.evidence_share),
        }
    })
    .collect()
}
