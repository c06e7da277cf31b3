//! Samples as this program writes them, one JSON object a line.

use std::io::{self, Write};

use serde_json::Value;

use super::has;
use super::row::{Problem, Row};
use crate::records::Fields;
use crate::sample::Sample;

pub(super) fn fits(fields: &Fields) -> bool {
    has(
        fields,
        &["dataset", "task", "prompt", "values", "evidence", "parts"],
    )
}

pub(super) fn read(row: &Row<'_>) -> Result<Sample, Problem> {
    let mut fields = Fields::new();
    for name in row.names() {
        if let Some(value) = row.get(&name, "field of a sample") {
            fields.insert(name, value.clone());
        }
    }
    let sample: Sample = serde_json::from_value(Value::Object(fields))
        .map_err(|error| format!("is no sample that this program wrote ({error})"))?;
    if sample.prompt.trim().is_empty() {
        return Err("has an empty prompt".to_owned());
    }
    let is_inside = |span: &std::ops::Range<usize>| sample.prompt.get(span.clone()).is_some();
    if !sample.evidence.iter().all(is_inside) {
        return Err("has evidence that does not stand in the prompt".to_owned());
    }
    Ok(sample)
}

/// Writes samples as lines of JSON, which are read back as they are.
///
/// # Errors
/// When `to` cannot be written.
pub fn write_samples(to: &mut dyn Write, samples: &[Sample]) -> io::Result<()> {
    for sample in samples {
        serde_json::to_writer(&mut *to, sample)?;
        to.write_all(b"\n")?;
    }
    Ok(())
}
