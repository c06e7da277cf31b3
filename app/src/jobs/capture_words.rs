//! A capture as a command line.

use std::path::Path;

use kvlens_datasets::{BadRows, EvidenceUnit, PromptChoices, QuestionPlace, TooLong};
use kvlens_sessions::model::AttentionKernel;
use kvlens_sessions::{CapturePlan, DecodePlan};
use serde_json::Value;
use std::collections::BTreeMap;

/// The words behind `kvlens` that ask for this capture.
///
/// # Errors
/// A sentence where no words say it: prompts that stand in no file, or a template whose text is not in a file.
pub fn capture_words(plan: &CapturePlan, out: &Path) -> Result<Vec<String>, String> {
    if plan.prompts.template.is_some() {
        return Err("the words around the fields stand in no file; put them into one and name it with --template".into());
    }
    let mut words = vec!["capture".to_owned()];
    let mut flag = |name: &str, values: Vec<String>| {
        if !values.is_empty() {
            words.push(format!("--{name}"));
            words.extend(values);
        }
    };
    flag("model", vec![plan.model.to_string()]);
    flag("data", plan.data.clone());
    flag("windows", plan.windows.clone());
    let usual = DecodePlan::default();
    // without it, a benchmark's own lengths hold
    if !plan.decode.sample_lengths {
        flag("decode", vec![plan.decode.max_tokens.to_string()]);
    }
    let temperature = plan.decode.temperature.map(|it| it.to_string());
    flag("temperature", temperature.into_iter().collect());
    if plan.decode.seed != usual.seed {
        flag("seed", vec![plan.decode.seed.to_string()]);
    }
    for (name, value) in BTreeMap::from(plan.chat_variables.clone()) {
        let value = match value {
            // a text that would be read as something else keeps its quotes
            Value::String(text) if serde_json::from_str::<Value>(&text).is_err() => text,
            value => value.to_string(),
        };
        flag("chat-variable", vec![format!("{name}={value}")]);
    }
    flag(
        "keep",
        plan.keep.map(|it| it.to_string()).into_iter().collect(),
    );
    let (device, dtype) = (plan.device.to_string(), plan.dtype.to_string());
    flag(
        "device",
        vec![device].into_iter().filter(|it| it != "auto").collect(),
    );
    flag(
        "dtype",
        vec![dtype].into_iter().filter(|it| it != "auto").collect(),
    );
    if plan.attention != AttentionKernel::default() {
        flag("attention", vec![plan.attention.to_string()]);
    }
    if plan.repeat_cost != 1 {
        flag("repeat-cost", vec![plan.repeat_cost.to_string()]);
    }
    flag("out", vec![out.display().to_string()]);
    let switches = [
        (plan.decode.ignore_eos, "--ignore-eos"),
        (plan.decode.teacher_forced, "--teacher-forced"),
        (plan.chat, "--chat"),
    ];
    let switches = switches.into_iter().filter(|(is_on, _)| *is_on);
    words.extend(switches.map(|(_, name)| name.to_owned()));
    words.extend(prompt_words(&plan.prompts));
    Ok(words)
}

/// Which prompts are taken, and how they are read.
fn prompt_words(choices: &PromptChoices) -> Vec<String> {
    let mut words = Vec::new();
    let mut flag = |name: &str, value: &str| {
        words.push(format!("--{name}"));
        words.extend((!value.is_empty()).then(|| value.to_owned()));
    };
    if let Some(limit) = choices.limit {
        flag("limit", &limit.to_string());
    }
    for id in &choices.sample {
        flag("sample", id);
    }
    if choices.bad_rows == BadRows::LeaveOut {
        flag("skip-bad-rows", "");
    }
    match choices.too_long {
        TooLong::Refuse => {}
        TooLong::LeaveOut => flag("skip-too-long", ""),
        TooLong::CutMiddle => flag("truncate", "middle"),
        TooLong::CutLeft => flag("truncate", "left"),
    }
    for field in &choices.field {
        flag("field", field);
    }
    match choices.question {
        None => {}
        Some(QuestionPlace::End) => flag("question", "end"),
        Some(QuestionPlace::Start) => flag("question", "start"),
        Some(QuestionPlace::Both) => flag("question", "both"),
        Some(QuestionPlace::Absent) => flag("question", "absent"),
    }
    if choices.evidence_unit == EvidenceUnit::Characters {
        flag("evidence-unit", "chars");
    }
    words
}
