//! Whether the parts of a sample file belong together, by its header. The numerics rely on it, so a file that was
//! made or changed by hand is refused here and not found out by a panic later.

use safetensors::tensor::Metadata;

use super::manifest::ModelShape;
use super::sample_file::{DECODE_KEYS, KEYS, OUTPUT_GRAMS, OUTPUT_NORMS, SampleHeader, VALUES};
use crate::observation::ObservationInfo;

/// What to say of a file without an oracle.
pub(super) const NO_DECODE_STAGE: &str = "it has no observation of the decode stage";

/// Says what does not fit, as a part of a sentence.
pub(super) fn check(
    header: &SampleHeader,
    table: &Metadata,
    shape: &ModelShape,
) -> Result<(), String> {
    let tokens = header.record.prompt_ids.len();
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
    match table.info(KEYS) {
        Some(keys) => same(KEYS, &keys.shape, &expected)?,
        // what is left without them says so itself
        None if has_no_rows(header) => {}
        None => return Err(missing(KEYS)),
    }
    let oracle = header.observations.first().ok_or(NO_DECODE_STAGE)?;
    if oracle.ready_made.is_some() {
        return Err("its decode stage has no queries".to_owned());
    }
    check_values(oracle, table, shape, tokens)?;
    for (index, info) in header.observations.iter().enumerate() {
        check_observation(index, info, table, shape, tokens)?;
    }
    check_record(header, oracle, tokens)
}

/// Whether every observation is of scores, ready-made or in place of rows.
fn has_no_rows(header: &SampleHeader) -> bool {
    let mut observations = header.observations.iter();
    observations.all(|info| info.reduced.is_some() || info.ready_made.is_some())
}

/// All of them, keys of the decode stage alone, or none.
fn check_values(
    oracle: &ObservationInfo,
    table: &Metadata,
    shape: &ModelShape,
    tokens: usize,
) -> Result<(), String> {
    let behind = match table.info(DECODE_KEYS) {
        Some(found) => check_decode_keys(&found.shape, oracle, shape)?,
        None => 0,
    };
    let [prompt, _, decode_values] = VALUES;
    let names = [prompt, decode_values, OUTPUT_NORMS];
    if names.iter().all(|name| table.info(name).is_none()) {
        return Ok(());
    }
    let norms = [shape.layers, shape.query_heads, tokens];
    same(OUTPUT_NORMS, dims(table, OUTPUT_NORMS)?, &norms)?;
    if let Some(found) = table.info(OUTPUT_GRAMS) {
        let expected = [
            shape.layers,
            shape.query_heads,
            shape.head_dim,
            shape.head_dim,
        ];
        same(OUTPUT_GRAMS, &found.shape, &expected)?;
    }
    for (name, tokens) in VALUES.into_iter().zip([tokens, behind, behind]) {
        let expected = [shape.layers, shape.kv_heads, tokens, shape.head_dim];
        same(name, dims(table, name)?, &expected)?;
    }
    Ok(())
}

/// R: at least the tokens of the decode stage, and a question's before them.
fn check_decode_keys(
    found: &[usize],
    oracle: &ObservationInfo,
    shape: &ModelShape,
) -> Result<usize, String> {
    let behind = found.get(2).copied().unwrap_or_default();
    let behind = behind.max(oracle.token_ids.len());
    let expected = [shape.layers, shape.kv_heads, behind, shape.head_dim];
    same(DECODE_KEYS, found, &expected)?;
    Ok(behind)
}

fn check_observation(
    index: usize,
    info: &ObservationInfo,
    table: &Metadata,
    shape: &ModelShape,
    tokens: usize,
) -> Result<(), String> {
    let label = &info.label;
    let dims = |part: &str| dims(table, &format!("observation.{index}.{part}"));
    if let Some(reductions) = &info.reduced {
        for place in 0..reductions.len() {
            let scores = [shape.layers, shape.query_heads, tokens];
            let found = dims(&format!("reduced.{place}"))?;
            same(&format!("scores of '{label}'"), found, &scores)?;
            let found = dims(&format!("prompt_shares.{place}"))?;
            same(&format!("prompt shares of '{label}'"), found, &scores[..2])?;
        }
        let rows: usize = dims("positions")?.iter().product();
        same(
            &format!("rows of '{label}'"),
            dims("visible_keys")?,
            &[rows],
        )?;
        if dims("queries").is_err() {
            return Ok(());
        }
    }
    if info.ready_made.is_none() {
        let rows: usize = dims("positions")?.iter().product();
        let expected = [shape.layers, shape.query_heads, rows];
        let queries = [&expected[..], &[shape.head_dim]].concat();
        same(&format!("queries of '{label}'"), dims("queries")?, &queries)?;
        let what = format!("log_sum_exp of '{label}'");
        return same(&what, dims("log_sum_exp")?, &expected);
    }
    let found = dims("scores")?;
    let heads = [1, shape.kv_heads, shape.query_heads];
    let expected = heads.map(|heads| [shape.layers, heads, tokens]);
    if expected.iter().any(|expected| found == expected) {
        return Ok(());
    }
    same(&format!("scores of '{label}'"), found, &expected[2])
}

fn check_record(
    header: &SampleHeader,
    oracle: &ObservationInfo,
    tokens: usize,
) -> Result<(), String> {
    let record = &header.record;
    if record.token_texts.len() != tokens {
        return Err(format!(
            "{} texts for {tokens} tokens",
            record.token_texts.len()
        ));
    }
    if record.generated_ids != oracle.token_ids {
        return Err("its decode stage has other tokens than its record".to_owned());
    }
    let texts = record.generated_texts.len();
    if texts != 0 && texts != record.generated_ids.len() {
        return Err(format!(
            "{texts} texts for {} generated tokens",
            record.generated_ids.len()
        ));
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

/// What to say of a file without a tensor.
pub(super) fn missing(tensor: &str) -> String {
    format!("it has no tensor '{tensor}'")
}

fn dims<'a>(table: &'a Metadata, tensor: &str) -> Result<&'a [usize], String> {
    let info = table.info(tensor).ok_or_else(|| missing(tensor))?;
    Ok(&info.shape)
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
