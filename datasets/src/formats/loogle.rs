//! LooGLE: a document with a list of questions, answers and quoted evidence, printed as Python or JSON; or one question
//! a row. Templates and answer lengths lie in `config`.

use serde_json::Value;

use super::draft::{Draft, Evidence};
use super::row::{Problem, Row, scalar, texts_of};
use super::template::Template;
use super::{Source, has};
use crate::records::Fields;
use crate::scores::Metric;

const OWN: &str = "{input}\n\nAnswer from the text above.\n\nQuestion: {Q}\n\nAnswer:";
const OWN_SUMMARY: &str = "{input}\n\nSum up the text above.\n\nSummary:";
const OWN_CLOZE: &str =
    "{input}\n\nName what each mask in the following stands for.\n\n{Q}\n\nAnswer:";

pub(super) fn fits(fields: &Fields) -> bool {
    has(fields, &["input", "qa_pairs"]) || has(fields, &["context", "question", "answer", "doc_id"])
}

pub(super) fn read(
    row: &Row<'_>,
    source: &Source<'_>,
    number: usize,
) -> Result<Vec<Draft>, Problem> {
    let task = row.text("task", "task")?.unwrap_or(source.stem).to_owned();
    let document = row
        .first_text(&["input", "context"], "document")?
        .ok_or("has no field input")?;
    let id = source.row_id(&task, number);
    let draft = |id: String, own: &str| Draft {
        document: Some("input"),
        questions: &["Q"],
        answer_tokens: source.config.answer_tokens(&task),
        ..Draft::new(
            id,
            "loogle",
            task.clone(),
            source
                .config
                .template(&task)
                .unwrap_or_else(|| Template::own(own)),
        )
    };
    let Some(pairs) = pairs(row)? else {
        let answers = row.texts("output", "answers")?;
        let draft = draft(id, OWN_SUMMARY).with_slots([("input", document), ("Q", "")]);
        return Ok(vec![draft.with_alternatives(Metric::RougeLsum, answers)]);
    };
    let several = pairs.len() > 1;
    pairs
        .into_iter()
        .enumerate()
        .map(|(index, pair)| {
            let id = if several {
                format!("{id}-{index}")
            } else {
                id.clone()
            };
            let draft = draft(id, if pair.is_cloze { OWN_CLOZE } else { OWN });
            let mut draft = draft.with_slots([("input", document), ("Q", &pair.question)]);
            draft.evidence = pair.evidence.into_iter().map(Evidence::Quote).collect();
            Ok(if pair.is_cloze {
                draft.with_all(pair.answers)
            } else {
                draft.with_alternatives(Metric::RougeLsum, pair.answers)
            })
        })
        .collect()
}

struct Pair {
    question: String,
    answers: Vec<String>,
    evidence: Vec<String>,
    /// The answers are the words behind several masks.
    is_cloze: bool,
}

/// The questions of a row; `None` for a document that is to be summed up.
fn pairs(row: &Row<'_>) -> Result<Option<Vec<Pair>>, Problem> {
    if let Some(question) = row.text("question", "question")? {
        let answer = row.get("answer", "answers").unwrap_or(&Value::Null);
        let evidence = row.structure("evidence", "quoted evidence");
        return Ok(Some(vec![pair(question, answer, evidence.as_ref())?]));
    }
    match row.get("qa_pairs", "questions and answers") {
        None => return Ok(None),
        Some(Value::String(text)) if matches!(text.trim(), "none" | "None" | "") => {
            return Ok(None);
        }
        Some(_) => {}
    }
    let wrong = || "has qa_pairs that are no list of questions (Q) with answers (A)".to_owned();
    let list = row.structure("qa_pairs", "questions and answers");
    let list = list.as_ref().and_then(Value::as_array).ok_or_else(wrong)?;
    if list.is_empty() {
        return Err("has qa_pairs without any question".to_owned());
    }
    let pairs = list.iter().map(|item| {
        let question = item.get("Q").and_then(scalar).ok_or_else(wrong)?;
        let answer = item.get("A").ok_or_else(wrong)?;
        pair(&question, answer, item.get("S"))
    });
    pairs.collect::<Result<Vec<Pair>, Problem>>().map(Some)
}

fn pair(question: &str, answer: &Value, evidence: Option<&Value>) -> Result<Pair, Problem> {
    let (answers, is_cloze) = match answer {
        Value::Object(masks) => (masks.values().filter_map(scalar).collect(), true),
        Value::Null => (Vec::new(), false),
        answer => (texts_of("A", answer)?, false),
    };
    let evidence = match evidence {
        None | Some(Value::Null) => Vec::new(),
        Some(evidence) => texts_of("S", evidence)?,
    };
    Ok(Pair {
        question: question.to_owned(),
        answers,
        evidence,
        is_cloze,
    })
}
