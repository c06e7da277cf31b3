//! Whether the parts of a sample file belong together. The numerics rely on it, so a file that was made or
//! changed by hand is refused here and not found out by a panic later.

use super::manifest::ModelShape;
use super::sample_file::CapturedSample;
use crate::observation::{Evidence, Observation};

/// Says what does not fit, as a part of a sentence.
pub(super) fn check(sample: &CapturedSample, shape: &ModelShape) -> Result<(), String> {
    let tokens = sample.record.prompt_ids.len();
    if tokens == 0 || shape.kv_heads == 0 || shape.head_dim == 0 {
        return Err("it has no tokens, or its manifest no heads".to_owned());
    }
    if !shape.query_heads.is_multiple_of(shape.kv_heads) {
        return Err(format!(
            "its manifest shares {} query heads among {} key/value heads",
            shape.query_heads, shape.kv_heads
        ));
    }
    let expected = [shape.layers, shape.kv_heads, tokens, shape.head_dim];
    let (layers, kv_heads, found_tokens, head_dim) = sample.keys().shape();
    same(
        "keys",
        &[layers, kv_heads, found_tokens, head_dim],
        &expected,
    )?;
    if sample.oracle().query_rows().is_none() {
        return Err("its decode stage has no queries".to_owned());
    }
    for observation in std::iter::once(sample.oracle()).chain(sample.windows()) {
        check_observation(observation, shape, tokens)?;
    }
    check_record(sample, tokens)
}

fn check_observation(
    observation: &Observation,
    shape: &ModelShape,
    tokens: usize,
) -> Result<(), String> {
    let label = observation.label();
    match observation.evidence() {
        Evidence::Queries(rows) => {
            let expected = [shape.layers, shape.query_heads, rows.count()];
            let queries = [&expected[..], &[shape.head_dim]].concat();
            let what = format!("queries of '{label}'");
            same(&what, rows.queries().dims(), &queries)?;
            let what = format!("log_sum_exp of '{label}'");
            same(&what, rows.log_sum_exp().dims(), &expected)
        }
        Evidence::Scores(scores) => {
            let found = scores.tensor().dims();
            let heads = [1, shape.kv_heads, shape.query_heads];
            let expected = heads.map(|heads| [shape.layers, heads, tokens]);
            if expected.iter().any(|expected| found == expected) {
                return Ok(());
            }
            same(&format!("scores of '{label}'"), found, &expected[2])
        }
    }
}

fn check_record(sample: &CapturedSample, tokens: usize) -> Result<(), String> {
    let record = &sample.record;
    if record.token_texts.len() != tokens {
        return Err(format!(
            "{} texts for {tokens} tokens",
            record.token_texts.len()
        ));
    }
    if record.generated_ids != sample.oracle().token_ids() {
        return Err("its decode stage has other tokens than its record".to_owned());
    }
    match record
        .evidence_tokens
        .iter()
        .find(|range| range.end > tokens)
    {
        Some(range) => Err(format!("evidence up to token {} of {tokens}", range.end)),
        None => Ok(()),
    }
}

fn same(what: &str, found: &[usize], expected: &[usize]) -> Result<(), String> {
    if found == expected {
        Ok(())
    } else {
        Err(format!(
            "{what} has shape {found:?} where {expected:?} was expected"
        ))
    }
}
