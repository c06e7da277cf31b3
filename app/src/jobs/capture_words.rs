//! A capture as a command line.

use std::path::Path;

use kvlens_datasets::{BadRows, EvidenceUnit, PromptChoices, QuestionPlace, TooLong};
use kvlens_sessions::model::{AttentionKernel, DeviceChoice, DtypeChoice};
use kvlens_sessions::{CapturePlan, DecodePlan};
use serde_json::Value;
use std::collections::BTreeMap;

/// The words behind `kvlens` that ask for this capture.
///
/// # Errors
/// A sentence where no words say it: prompts that stand in no file, or a template whose text is not in a file.
pub fn capture_words(plan: &CapturePlan, out: &Path) -> Result<Vec<String>, String> {
    // every field by its name, so that none is forgotten in the words
    let CapturePlan {
        model,
        data,
        prompts,
        read: _,
        windows,
        decode,
        chat,
        chat_variables,
        device,
        dtype,
        attention,
        keep,
        numbers,
        repeat_cost,
    } = plan;
    let mut words = vec!["capture".to_owned()];
    let mut flag = |name: &str, values: Vec<String>| {
        if !values.is_empty() {
            words.push(format!("--{name}"));
            words.extend(values);
        }
    };
    flag("model", vec![model.to_string()]);
    flag("data", data.clone());
    flag("windows", windows.clone());
    decode_words(decode, &mut flag);
    for (name, value) in BTreeMap::from(chat_variables.clone()) {
        let value = match value {
            // a text that would be read as something else keeps its quotes
            Value::String(text) if serde_json::from_str::<Value>(&text).is_err() => text,
            value => value.to_string(),
        };
        flag("chat-variable", vec![format!("{name}={value}")]);
    }
    let unless_usual = |text: String, is_usual: bool| match is_usual {
        true => Vec::new(),
        false => vec![text],
    };
    flag("keep", keep.iter().map(ToString::to_string).collect());
    flag("numbers", numbers.iter().map(ToString::to_string).collect());
    let is_usual = *device == DeviceChoice::default();
    flag("device", unless_usual(device.to_string(), is_usual));
    let is_usual = *dtype == DtypeChoice::default();
    flag("dtype", unless_usual(dtype.to_string(), is_usual));
    let is_usual = *attention == AttentionKernel::default();
    flag("attention", unless_usual(attention.to_string(), is_usual));
    flag(
        "repeat-cost",
        unless_usual(repeat_cost.to_string(), *repeat_cost == 1),
    );
    flag("out", vec![out.display().to_string()]);
    let switches = [
        (decode.ignore_eos, "--ignore-eos"),
        (decode.teacher_forced, "--teacher-forced"),
        (*chat, "--chat"),
    ];
    let switches = switches.into_iter().filter(|(is_on, _)| *is_on);
    words.extend(switches.map(|(_, name)| name.to_owned()));
    words.extend(prompt_words(prompts)?);
    Ok(words)
}

/// The flags of the decode stage that take a value.
fn decode_words(decode: &DecodePlan, flag: &mut dyn FnMut(&str, Vec<String>)) {
    let DecodePlan {
        max_tokens,
        sample_lengths,
        ignore_eos: _,
        teacher_forced: _,
        temperature,
        seed,
    } = decode;
    // without it, a benchmark's own lengths hold
    if !sample_lengths {
        flag("decode", vec![max_tokens.to_string()]);
    }
    flag(
        "temperature",
        temperature.iter().map(ToString::to_string).collect(),
    );
    if *seed != DecodePlan::default().seed {
        flag("seed", vec![seed.to_string()]);
    }
}

/// Which prompts are taken, and how they are read.
fn prompt_words(choices: &PromptChoices) -> Result<Vec<String>, String> {
    let PromptChoices {
        limit,
        sample,
        // which part of them a process takes is a sweep's
        part: _,
        bad_rows,
        too_long,
        field,
        template,
        question,
        evidence_unit,
    } = choices;
    if template.is_some() {
        return Err("the words around the fields stand in no file; put them into one and name it with --template".to_owned());
    }
    let mut words = Vec::new();
    let mut flag = |name: &str, value: &str| {
        words.push(format!("--{name}"));
        words.extend((!value.is_empty()).then(|| value.to_owned()));
    };
    if let Some(limit) = limit {
        flag("limit", &limit.to_string());
    }
    for id in sample {
        flag("sample", id);
    }
    if *bad_rows == BadRows::LeaveOut {
        flag("skip-bad-rows", "");
    }
    match too_long {
        TooLong::Refuse => {}
        TooLong::LeaveOut => flag("skip-too-long", ""),
        TooLong::CutMiddle => flag("truncate", "middle"),
        TooLong::CutLeft => flag("truncate", "left"),
    }
    for field in field {
        flag("field", field);
    }
    match question {
        None => {}
        Some(QuestionPlace::End) => flag("question", "end"),
        Some(QuestionPlace::Start) => flag("question", "start"),
        Some(QuestionPlace::Both) => flag("question", "both"),
        Some(QuestionPlace::Absent) => flag("question", "absent"),
    }
    if *evidence_unit == EvidenceUnit::Characters {
        flag("evidence-unit", "chars");
    }
    Ok(words)
}
