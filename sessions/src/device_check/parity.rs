//! Small checkpoints of every family: logits and the attention of the last rows, device against processor.

use std::path::Path;

use serde_json::json;

use super::stage::{Findings, TOLD, bound_of_layers, numbers};
use super::{DeviceCheckPlan, reference};
use crate::error::Context;
use crate::model::{DtypeChoice, Model, ModelSource};
use crate::prefill::{Needs, Prefilled};
use crate::{Evidence, Observation, PromptKeys, SessionError};

pub(super) const PROMPT: &str = "The harbor was quiet. The code of the northern gate is 4711. \
    Nobody had asked for it in years, and the keeper had gone home. What is the code of the northern gate?";

/// The checkpoints of a folder, by their names, and the built-in model.
pub(super) fn sources(fixtures: Option<&Path>) -> Result<Vec<ModelSource>, SessionError> {
    let mut sources = vec![ModelSource::Demo];
    let Some(folder) = fixtures else {
        return Ok(sources);
    };
    let mut found = Vec::new();
    for folder in [folder.to_owned(), folder.join("gguf")] {
        if !folder.is_dir() {
            continue;
        }
        for entry in std::fs::read_dir(&folder).io("look for checkpoints", &folder)? {
            let path = entry.io("look for checkpoints", &folder)?.path();
            let is_checkpoint =
                path.join("config.json").is_file() && path.join("tokenizer.json").is_file();
            let is_gguf = path
                .extension()
                .is_some_and(|extension| extension == "gguf");
            if is_checkpoint || is_gguf {
                found.push(path);
            }
        }
    }
    found.sort();
    sources.extend(found.into_iter().map(ModelSource::from));
    Ok(sources)
}

/// Attention of the rows of an observation on the prompt, head by head.
pub(super) fn attention(
    keys: &PromptKeys,
    observation: &Observation,
) -> Result<Vec<f32>, SessionError> {
    let Evidence::Queries(rows) = observation.evidence() else {
        return Ok(Vec::new());
    };
    let (layers, kv_heads, ..) = keys.shape();
    let mut all = Vec::new();
    for index in 0..layers * kv_heads {
        all.extend(
            keys.attention_rows(rows, index / kv_heads, index % kv_heads)?
                .concat(),
        );
    }
    Ok(all)
}

/// Logits behind the prompt and what its last rows see.
fn run(model: &Model, findings: &Findings<'_>) -> Result<[Vec<f32>; 2], SessionError> {
    let ids = model.encode_prompt(PROMPT, None)?.ids;
    let last = crate::windows::parse_window(&"last:8".parse()?)?.ready(model)?;
    let needs = Needs {
        last_rows: 8,
        ..Needs::default()
    };
    findings.with_control(|control| {
        let mut prefilled = Prefilled::run(model, &ids, &needs, control)?;
        let observation = last.observe(model, &mut prefilled, control)?;
        let keys = prefilled.keys_for_scoring(model)?;
        Ok([
            numbers(prefilled.last_logits())?,
            attention(&keys, &observation)?,
        ])
    })
}

pub(super) fn check(
    plan: &DeviceCheckPlan,
    findings: &mut Findings<'_>,
) -> Result<(), SessionError> {
    for source in sources(plan.fixtures.as_deref())? {
        let expected = match reference(&source, DtypeChoice::F32) {
            Ok(model) => run(&model, findings)?,
            // such as a file that only a tokenizer is tested with
            Err(error) => {
                let left_out = json!({"what": source.to_string(), "left_out": error.to_string()});
                findings.measured(left_out);
                continue;
            }
        };
        let [expected_logits, expected_attention] = expected;
        for &format in &plan.formats {
            findings.cancel.check()?;
            let found = run(&plan.model(&source, format)?, findings)?;
            let bound = bound_of_layers(format);
            let [logits, attention] = found;
            let what = |part: &str| format!("{source} in {format}: {part}");
            findings.compare(&what("logits"), &logits, &expected_logits, bound);
            // the bound in 16 bits is that of random weights; attention that was trained is sharper, and passes more on
            let is_random = source != ModelSource::Demo;
            let bound = match format {
                DtypeChoice::Bf16 | DtypeChoice::F16 if !is_random => TOLD,
                _ => bound,
            };
            let what = what("attention");
            findings.compare_by(1.0, &what, &attention, &expected_attention, bound);
        }
    }
    Ok(())
}
