//! What the heads of a sample are like, by themselves and beside their neighbours.

use anyhow::Result;
use kvlens_analysis::HeadKind;
use kvlens_analysis::drift::{StepOverlaps, overlap_of_steps};
use kvlens_analysis::profile::{HeadProfile, Neighbours, ProfileNumber, head_profiles};
use kvlens_sessions::CapturedSample;

use super::head_rows::{OnHead, by_head};
use super::{MeasureOptions, MeasuredSample};

/// Every head of a sample, or of some of its layers.
#[derive(Debug, Clone)]
pub struct SampleHeads {
    /// `[L, heads]`.
    pub heads: Vec<HeadProfile>,
    /// At the budgets that were asked for.
    pub neighbours: Neighbours,
}

impl SampleHeads {
    /// Adds the layers behind.
    pub fn append(&mut self, behind: Self) {
        self.heads.extend(behind.heads);
        self.neighbours.append(behind.neighbours);
    }
}

/// Profiles of the heads of a measured sample, with overlaps at budgets in tokens. Sessions that keep no rows of single
/// steps have no overlaps of these.
///
/// # Errors
/// What the sample's tensors or the numerics refuse, and what `on_head` does.
pub fn sample_heads(
    captured: &CapturedSample,
    measured: &MeasuredSample,
    options: &MeasureOptions,
    budgets: &[usize],
    on_head: OnHead<'_>,
) -> Result<SampleHeads> {
    let mass = &measured.decode_mass;
    let steps = match captured.oracle().query_rows() {
        Some(_) => step_overlaps(captured, measured, options, budgets, on_head)?,
        None => Vec::new(),
    };
    let (_, kv_heads, ..) = captured.keys().shape();
    let group_size = match mass.head_kind() {
        HeadKind::Query => mass.heads() / kv_heads.max(1),
        HeadKind::Kv | HeadKind::Layer => 1,
    };
    let evidence = &measured.record.evidence_tokens;
    Ok(SampleHeads {
        heads: head_profiles(mass, evidence),
        neighbours: Neighbours::of(mass, options.exempt, group_size, budgets, &steps)?,
    })
}

/// One number of every head, `[L, heads]`, of overlaps that at a budget in tokens.
///
/// # Errors
/// As [`sample_heads`].
pub fn profile_number(
    captured: &CapturedSample,
    measured: &MeasuredSample,
    options: &MeasureOptions,
    number: ProfileNumber,
    budget_tokens: usize,
) -> Result<Vec<f64>> {
    if !number.is_overlap() {
        let evidence = &measured.record.evidence_tokens;
        let heads = head_profiles(&measured.decode_mass, evidence);
        return Ok(heads.iter().map(|head| number.of(head, None)).collect());
    }
    let budgets = [budget_tokens];
    let found = sample_heads(captured, measured, options, &budgets, &mut |_, _| Ok(()))?;
    let heads = found.heads.iter().zip(found.neighbours.by_head());
    Ok(heads
        .map(|(head, overlaps)| number.of(head, overlaps.first()))
        .collect())
}

/// `[L, heads]`.
fn step_overlaps(
    captured: &CapturedSample,
    measured: &MeasuredSample,
    options: &MeasureOptions,
    budgets: &[usize],
    on_head: OnHead<'_>,
) -> Result<Vec<StepOverlaps>> {
    let decode = captured.decode_rows()?;
    let rows = &decode.range(options.oracle_steps(decode.count())?)?;
    let side = options.compare.decode_mass(options.overrides);
    by_head(captured, rows, side, on_head, |layer, head, rows| {
        let scores = measured
            .decode_mass
            .head_scores(layer, head, options.exempt);
        Ok(overlap_of_steps(rows, scores.rankable(), budgets)?)
    })
}
