//! `profile.parquet`, `neighbour.parquet`, `profile_stability.parquet`: what every head is like, by itself, beside its
//! neighbours, and over samples.

use super::declare::table;
use super::sample::SampleContext;
use super::window_head::count;
use crate::budget::Budget;
use crate::collection::HeadShape;
use crate::importance::HeadKind;
use crate::profile::{HeadOverlaps, HeadProfile, NumberStability};

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

table! {
    NeighbourTable in "neighbour.parquet", one row per "head and budget";
    /// One head of one sample at one budget: how much of its top B its neighbours have as well. Every overlap is the share
    /// of one top B that the other has, too.
    #[derive(Copy)]
    NeighbourRow<'a> {
        /// The sample.
        sample: &'a SampleContext,
        /// Layer, from 0.
        layer: u32,
        /// Head within the layer, from 0.
        head: u32,
        /// What a head stands for: `query`, `kv` or `layer`.
        head_kind: HeadKind,
        /// The budget as it was typed.
        budget: Budget,
        /// The budget in tokens of this prompt.
        budget_tokens: u32,
        /// Tokens that the layer can rank: by chance an overlap is the budget as a share of them.
        visible_tokens: u32,
        /// Of each decode step with the step before, in the mean over steps; missing, as all overlaps, where B is not
        /// below visible_tokens, and in sessions without single steps.
        next_step: Option<f64>,
        /// Of each decode step with the mean over all steps before it, in the mean over steps.
        steps_before: Option<f64>,
        /// Of the head with the mean over the heads of the layer below; missing on the lowest layer.
        layer_below: Option<f64>,
        /// Of the head with each other query head of its key/value head, in the mean over them; missing where there is
        /// none.
        group: Option<f64>,
    }
}

table! {
    ProfileStabilityTable in "profile_stability.parquet", one row per "group, number of profile or neighbour, budget and head";
    /// One number of one head over the samples of a group of at least two.
    #[derive(Copy)]
    ProfileStabilityRow<'a> {
        /// Name of the model.
        model: &'a str,
        /// Name of the task.
        task: &'a str,
        /// Where the question stands; missing where the data do not say.
        question_place: Option<&'a str>,
        /// The number, by its column of profile.parquet or neighbour.parquet.
        number: &'a str,
        /// The budget of a number of neighbour.parquet as it was typed.
        budget: Option<Budget>,
        /// Layer, from 0.
        layer: u32,
        /// Head within the layer, from 0.
        head: u32,
        /// What a head stands for: `query`, `kv` or `layer`.
        head_kind: HeadKind,
        /// Samples in which it is defined; copies count once.
        samples: u32,
        /// Mean over them.
        mean: Option<f64>,
        /// Standard deviation over them, by one less than their number.
        deviation: Option<f64>,
        /// Share of a sample's heads that are lower, in the mean over samples: the head's place in the order of heads.
        place: Option<f64>,
        /// Its standard deviation over samples; 0.29 where the place is drawn anew in each.
        place_deviation: Option<f64>,
        /// Kendall's W of the order of all heads over samples, the same for every head: 1 where all samples order them
        /// alike.
        concordance: Option<f64>,
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

/// The rows of one sample at some budgets, each with its tokens of this prompt, by layer, head, then budget. `rankable` is
/// the number of tokens that each layer ranks, `overlaps` are `[L, heads][budgets]`.
pub fn neighbour_rows<'a>(
    sample: &'a SampleContext,
    (shape, rankable): (HeadShape, &[usize]),
    budgets: &[(Budget, usize)],
    overlaps: &[Vec<HeadOverlaps>],
) -> Vec<NeighbourRow<'a>> {
    let heads = shape.heads.max(1);
    let mut rows = Vec::with_capacity(overlaps.len() * budgets.len());
    for (index, of_head) in overlaps.iter().enumerate() {
        let layer = index / heads;
        let points = budgets.iter().zip(of_head);
        rows.extend(points.map(|(&(budget, tokens), overlaps)| NeighbourRow {
            sample,
            layer: count(layer),
            head: count(index % heads),
            head_kind: shape.head_kind,
            budget,
            budget_tokens: count(tokens),
            visible_tokens: count(rankable.get(layer).copied().unwrap_or(0)),
            next_step: Some(overlaps.next_step),
            steps_before: Some(overlaps.steps_before),
            layer_below: Some(overlaps.layer_below),
            group: Some(overlaps.group),
        }));
    }
    rows
}

/// The rows of one number of a group, by layer, then head.
pub fn profile_stability_rows<'a>(found: &NumberStability<'a>) -> Vec<ProfileStabilityRow<'a>> {
    let heads = found.shape.heads.max(1);
    let rows = found.by_head.iter().enumerate();
    rows.map(|(index, head)| ProfileStabilityRow {
        model: &found.group.model,
        task: &found.group.task,
        question_place: found.group.question_place.as_deref(),
        number: found.number.column(),
        budget: found.budget,
        layer: count(index / heads),
        head: count(index % heads),
        head_kind: found.shape.head_kind,
        samples: count(head.samples),
        mean: Some(head.mean),
        deviation: Some(head.deviation),
        place: Some(head.place),
        place_deviation: Some(head.place_deviation),
        concordance: Some(found.concordance),
    })
    .collect()
}
