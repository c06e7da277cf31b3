//! What one head of one sample gives to a figure: its attention rows, and the tokens that a window finds or misses.

use anyhow::Result;
use kvlens_analysis::figure::{FigureRow, TokenFate};
use kvlens_analysis::{UNRANKED, selection};
use kvlens_sessions::{CapturedSample, Observation};

use super::data::FigureJob;
use crate::jobs::failure::Failure;
use crate::measurement::{MeasuredSample, MeasuredWindow};

/// Columns of an attention map at most; more tokens share a column, which shows the largest weight of them.
const MOST_COLUMNS: usize = 64;
/// Tokens on a line of a map of tokens.
pub const LINE: usize = 64;

/// A map of one head, with what its columns and lines are called.
pub struct HeadFigure {
    /// Id of the sample.
    pub sample: String,
    /// The cells.
    pub rows: Vec<FigureRow>,
    /// The first token of each column, or the place of each column on its line.
    pub columns: Vec<String>,
}

/// The only head that a figure of one is about.
///
/// # Errors
/// [`Failure::BadInput`] where other than one layer and one head were chosen.
pub fn the_head(job: &FigureJob<'_>) -> Result<(usize, usize)> {
    match (job.heads.layers.as_slice(), job.heads.heads.as_slice()) {
        (&[layer], &[head]) => Ok((layer, head)),
        _ => Err(Failure::BadInput(format!(
            "a figure of {} shows one head of one sample: give one --layer and one --head (and --sample, without \
             which it is the first)",
            job.kind.name()
        ))
        .into()),
    }
}

/// Attention of the decode stage's rows and of each window's on the prompt, as a power of ten; a window without rows has
/// no panel.
///
/// # Errors
/// A head that the model lacks; what the tensors refuse.
pub fn attention(job: &FigureJob<'_>, captured: &CapturedSample) -> Result<HeadFigure> {
    let head = the_head(job)?;
    let tokens = captured.record.prompt_ids.len();
    let columns = tokens.clamp(1, MOST_COLUMNS);
    let windows = job.in_order(captured.windows(), |window| window.label());
    let mut rows = Vec::new();
    for observation in std::iter::once(captured.oracle()).chain(windows) {
        rows.extend(attention_of(captured, observation, head, columns)?);
    }
    let first = (0..columns).map(|column| (column * tokens / columns).to_string());
    Ok(HeadFigure {
        sample: captured.record.id.clone(),
        rows,
        columns: first.collect(),
    })
}

fn attention_of(
    captured: &CapturedSample,
    observation: &Observation,
    (layer, head): (usize, usize),
    columns: usize,
) -> Result<Vec<FigureRow>> {
    let Some(rows) = observation.query_rows() else {
        return Ok(Vec::new());
    };
    let group = captured.keys().group_size()?.max(1);
    refuse_head(captured, (layer, head))?;
    let heads = captured.keys().attention_rows(rows, layer, head / group)?;
    let weights = heads.into_iter().nth(head % group).unwrap_or_default();
    let tokens = captured.record.prompt_ids.len().max(1);
    let lines = weights.chunks_exact(tokens).zip(0_u32..);
    let cells = lines.flat_map(|(line, row)| {
        (0..columns).map(move |column| {
            let shared = line.get(column * tokens / columns..(column + 1) * tokens / columns);
            let largest = shared
                .unwrap_or_default()
                .iter()
                .copied()
                .fold(0.0, f32::max);
            let value = f64::from(largest.max(f32::MIN_POSITIVE)).log10();
            cell(
                observation.label(),
                observation.label(),
                (column, f64::from(row)),
                value,
            )
        })
    });
    Ok(cells.collect())
}

fn refuse_head(captured: &CapturedSample, (layer, head): (usize, usize)) -> Result<()> {
    let (layers, kv_heads, ..) = captured.keys().shape();
    let heads = kv_heads * captured.keys().group_size()?;
    if layer < layers && head < heads {
        return Ok(());
    }
    Err(Failure::BadInput(format!(
        "there is no layer {layer} with a head {head}: the model has {layers} layers of {heads} heads, counted from 0"
    ))
    .into())
}

/// What each window keeps of one head's tokens at the budget, and what the decode stage uses most: a panel for each, in
/// lines that run downwards.
///
/// # Errors
/// A head that the sample lacks.
pub fn tokens(
    job: &FigureJob<'_>,
    captured: &CapturedSample,
    measured: &MeasuredSample,
) -> Result<HeadFigure> {
    let head = the_head(job)?;
    refuse_head(captured, head)?;
    let (_, kv_heads, ..) = captured.keys().shape();
    let query_heads = kv_heads * captured.keys().group_size()?;
    let tokens = captured.record.prompt_ids.len();
    let shown = job.shown(&measured.windows, tokens);
    let rows = shown
        .into_iter()
        .flat_map(|window| tokens_of(job, measured, window, head, query_heads));
    Ok(HeadFigure {
        sample: captured.record.id.clone(),
        rows: rows.collect(),
        columns: (0..LINE).map(|place| place.to_string()).collect(),
    })
}

fn tokens_of(
    job: &FigureJob<'_>,
    measured: &MeasuredSample,
    window: &MeasuredWindow,
    (layer, head): (usize, usize),
    query_heads: usize,
) -> Vec<FigureRow> {
    let tokens = measured.record.prompt_ids.len();
    let budget = job.budget.tokens(tokens);
    let label = &window.label;
    let Some(window) = window.at(budget) else {
        return Vec::new();
    };
    let (truth, rankings) = (&measured.truth.rankings, &window.ranked.rankings);
    // scores that heads share stand for each of them
    let own = |heads: usize| head * heads / query_heads.max(1);
    let kept = selection(
        rankings,
        layer,
        own(rankings.heads()),
        window.keep_rule.at(budget),
        budget,
    );
    let ranks = truth.rank(layer, own(truth.heads()));
    let lines = tokens.div_ceil(LINE);
    let cells = kept.into_iter().zip(ranks).enumerate();
    let cells = cells.map(|(token, (kept, &rank))| {
        let used = (rank as usize) < budget;
        let fate = TokenFate::of(kept, used);
        let y = (lines - 1 - token / LINE) as f64;
        let value = match rank {
            UNRANKED => f64::NAN,
            rank => f64::from(rank),
        };
        cell(label, fate.name(), (token % LINE, y), value)
    });
    cells.collect()
}

fn cell(panel: &str, series: &str, (x, y): (usize, f64), value: f64) -> FigureRow {
    FigureRow::at((panel, series), (x as f64, Some(y)), value, 1)
}
