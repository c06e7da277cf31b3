//! RULER: whole prompts in `input` with all `outputs`, in folders named after task and length; or context, question
//! and answer prefix apart, as data sets on the Hugging Face Hub have it.

use super::draft::Draft;
use super::row::{Problem, Row};
use super::template::{Template, TemplateOrigin};
use super::{Source, has, length_of};
use crate::records::Fields;
use crate::scores::Metric;

/// How the names of its tasks begin.
const TASKS: [&str; 5] = ["niah", "vt", "cwe", "fwe", "qa"];

pub(super) fn fits(fields: &Fields) -> bool {
    let is_task = fields
        .get("task")
        .and_then(|task| task.as_str())
        .is_some_and(is_task);
    has(fields, &["input", "outputs", "index"])
        || (is_task && has(fields, &["context", "question", "answer_prefix"]))
}

fn is_task(name: &str) -> bool {
    TASKS.iter().any(|task| {
        let rest = name.strip_prefix(task);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('_'))
    })
}

pub(super) fn read(
    row: &Row<'_>,
    source: &Source<'_>,
    number: usize,
) -> Result<Vec<Draft>, Problem> {
    let told = row.text("task", "task")?;
    let named = source.names().find(|name| is_task(name));
    let task = told.or(named).unwrap_or(source.stem).to_owned();
    let asked_length = source.names().find_map(length_of);
    let id = match asked_length {
        Some(length) => source.row_id(&format!("{task}-{length}"), number),
        None => source.row_id(&task, number),
    };
    let mut draft = match row.text("input", "prompt")? {
        Some(input) => Draft::new(
            id,
            "ruler",
            task.clone(),
            Template::braces("{input}", TemplateOrigin::Whole),
        )
        .with_slots([("input", input)]),
        None => Draft {
            document: Some("context"),
            questions: &["question"],
            ..Draft::new(
                id,
                "ruler",
                task.clone(),
                Template::own("{context}\n{question}"),
            )
        }
        .with_slots([
            ("context", row.needed("context", "document")?),
            ("question", row.needed("question", "question")?),
        ]),
    };
    draft.answer_prefix = row
        .text("answer_prefix", "answer prefix")?
        .map(str::to_owned);
    draft.asked_length = asked_length;
    draft.depth = depth(row)?;
    draft.answer_tokens = row
        .count("max_new_tokens", "answer length")?
        .or_else(|| answer_tokens(&task));
    let mut answers = row.texts("outputs", "answers")?;
    if answers.is_empty() {
        answers = row.texts("answer", "answers")?;
    }
    Ok(vec![if task.starts_with("qa") {
        draft.with_alternatives(Metric::MatchPart, answers)
    } else {
        draft.with_all(answers)
    }])
}

/// Where the first answer stands, as a share of the prompt's tokens; both counted by the benchmark's own tokenizer.
fn depth(row: &Row<'_>) -> Result<Option<f64>, Problem> {
    let at = row.count("token_position_answer", "depth")?;
    let length = match at {
        Some(_) => row.count("length", "depth")?,
        None => None,
    };
    let depth = at.zip(length).filter(|(_, length)| *length > 0);
    Ok(depth.map(|(at, length)| (at as f64 / length as f64).min(1.0)))
}

/// How many tokens the benchmark generates for each kind of task.
fn answer_tokens(task: &str) -> Option<usize> {
    let kind = task.split('_').next()?;
    Some(match kind {
        "niah" => 128,
        "vt" => 30,
        "cwe" => 120,
        "fwe" => 50,
        "qa" => 32,
        _ => return None,
    })
}
