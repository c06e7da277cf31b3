//! InfiniteBench: an instruction in `prompt` for some tasks, `context`, `input`, `answer` and `options`.

use serde_json::Value;

use super::draft::Draft;
use super::row::{Problem, Row, scalar};
use super::template::Template;
use super::{Source, has};
use crate::records::Fields;
use crate::scores::{Metric, Scoring};

pub(super) fn fits(fields: &Fields) -> bool {
    has(fields, &["context", "input", "answer"])
        && (has(fields, &["options"]) || has(fields, &["prompt"]))
}

pub(super) fn read(
    row: &Row<'_>,
    source: &Source<'_>,
    number: usize,
) -> Result<Vec<Draft>, Problem> {
    let task = source.stem.to_owned();
    let id = match row.get("id", "id").and_then(scalar) {
        Some(id) => format!("{task}-{id}"),
        None => source.row_id(&task, number),
    };
    let instruction = row.text("prompt", "instruction")?.unwrap_or_default();
    let options = row.texts("options", "options")?;
    let answers = row.texts("answer", "answers")?;
    let input = row.text("input", "question")?.unwrap_or_default();
    let draft = Draft {
        document: Some("context"),
        questions: &["input", "options"],
        answer_tokens: answer_tokens(&task),
        ..Draft::new(
            id,
            "infinitebench",
            task.clone(),
            own_template(&task, instruction, input, &options),
        )
    }
    .with_slots([
        ("prompt", instruction),
        ("context", row.needed("context", "document")?),
        ("input", input),
        ("options", &lettered(&options)),
    ]);
    Ok(vec![scored(draft, &task, answers, &options, row)])
}

fn scored(
    draft: Draft,
    task: &str,
    answers: Vec<String>,
    options: &[String],
    row: &Row<'_>,
) -> Draft {
    let metric = metric_of(task, row.get("answer", "answers"));
    match metric {
        Metric::Choice => {
            let right = answers.first().cloned();
            let letter = right.as_ref().and_then(|text| letter_of(options, text));
            let answers: Vec<String> = letter.into_iter().chain(answers).collect();
            Draft {
                answer: right,
                scoring: Some(Scoring::new(metric, answers)),
                ..draft
            }
        }
        Metric::NumberPrefix => Draft {
            answer: Some(answers.join(", ")),
            values: answers.clone(),
            scoring: Some(Scoring::new(metric, answers)),
            ..draft
        },
        metric => draft.with_alternatives(metric, answers),
    }
}

/// The benchmark's metric of each task; a task that it does not have is scored by the kind of its answer.
fn metric_of(task: &str, answer: Option<&Value>) -> Metric {
    match task {
        "passkey" | "number_string" => Metric::FirstInteger,
        "kv_retrieval" => Metric::Word,
        "longdialogue_qa_eng" => Metric::CapitalWord,
        "longbook_choice_eng" | "code_debug" => Metric::Choice,
        "longbook_sum_eng" => Metric::RougeLsum,
        "longbook_qa_chn" => Metric::CharacterF1,
        "math_find" => Metric::FirstNumber,
        "math_calc" => Metric::NumberPrefix,
        "code_run" => Metric::LastInteger,
        _ if answer.is_some_and(Value::is_number) => Metric::FirstNumber,
        _ => Metric::TokenF1,
    }
}

fn answer_tokens(task: &str) -> Option<usize> {
    Some(match task {
        "passkey" => 6,
        "number_string" => 12,
        "kv_retrieval" => 50,
        "longbook_sum_eng" => 1_200,
        "longbook_choice_eng" | "longbook_qa_eng" | "longbook_qa_chn" | "longdialogue_qa_eng" => 40,
        "math_find" => 3,
        "math_calc" => 30_000,
        "code_run" | "code_debug" => 5,
        _ => return None,
    })
}

/// The options with letters, one a line.
fn lettered(options: &[String]) -> String {
    let lines = options
        .iter()
        .zip('A'..)
        .map(|(option, letter)| format!("{letter}. {option}"));
    lines.collect::<Vec<String>>().join("\n")
}

fn letter_of(options: &[String], answer: &str) -> Option<String> {
    let at = options.iter().position(|option| option == answer)?;
    Some(('A'..).nth(at)?.to_string())
}

/// The benchmark's templates are Python code, so this program's own are used.
fn own_template(task: &str, instruction: &str, input: &str, options: &[String]) -> Template {
    let mut text = String::new();
    if !instruction.trim().is_empty() {
        text.push_str("{prompt}\n\n");
    }
    text.push_str("{context}\n\n");
    if !input.trim().is_empty() {
        text.push_str("{input}");
    } else if task.contains("sum") {
        text.push_str("Sum up the text above.");
    } else if task == "longdialogue_qa_eng" {
        text.push_str("Which name is hidden in the text above?");
    } else {
        text.push_str("Which of these is right?");
    }
    if !options.is_empty() {
        text.push_str("\n\n{options}\n\nAnswer with the letter of the right option.");
    }
    text.push_str("\n\nAnswer:");
    Template::own(&text)
}
