//! BABILong: facts among the pages of books in `input`, with `question` and `target`; folders name task and length.

use super::draft::Draft;
use super::row::{Problem, Row};
use super::template::Template;
use super::{Source, has, length_of};
use crate::records::Fields;
use crate::scores::{Metric, Scoring};

/// The places of qa1 to qa4.
const PLACES: [&str; 6] = [
    "bathroom", "bedroom", "garden", "hallway", "kitchen", "office",
];

/// The people and things of qa5.
const GIVEN: [&str; 7] = ["Bill", "Fred", "Jeff", "Mary", "apple", "football", "milk"];

pub(super) fn fits(fields: &Fields) -> bool {
    has(fields, &["input", "question", "target"])
}

pub(super) fn read(
    row: &Row<'_>,
    source: &Source<'_>,
    number: usize,
) -> Result<Vec<Draft>, Problem> {
    let named = source.names().find_map(task_of);
    let task = named.unwrap_or(source.stem).to_owned();
    let asked_length = source.names().find_map(length_of);
    let id = match asked_length {
        Some(length) => source.row_id(&format!("{task}-{length}"), number),
        None => source.row_id(&task, number),
    };
    let question = row.needed("question", "question")?;
    let answers = row.texts("target", "answer")?;
    let draft = Draft {
        document: Some("input"),
        questions: &["question"],
        asked_length,
        ..Draft::new(
            id,
            "babilong",
            task.clone(),
            Template::own("{input}\n\nQuestion: {question}\nAnswer:"),
        )
    }
    .with_slots([
        ("input", row.needed("input", "document")?),
        ("question", question),
    ]);
    let labels = labels(&task, question);
    Ok(vec![if labels.is_empty() {
        draft.with_alternatives(Metric::MatchPart, answers)
    } else {
        let mut draft = draft.with_alternatives(Metric::OnlyLabel, answers);
        draft.scoring = draft.scoring.map(|scoring| Scoring {
            classes: labels,
            ..scoring
        });
        draft
    }])
}

/// `qa7` of `qa7` or `qa7-00000-of-00001`.
fn task_of(name: &str) -> Option<&str> {
    let digits = name.strip_prefix("qa")?;
    let end = digits
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(digits.len());
    let is_over = matches!(digits[end..].chars().next(), None | Some('-' | '_' | '.'));
    (end > 0 && is_over).then(|| &name[..2 + end])
}

/// The labels that an answer is chosen from, without those that the question names; none for tasks beyond qa5, for
/// which the benchmark gives none.
fn labels(task: &str, question: &str) -> Vec<String> {
    let all: &[&str] = match task {
        "qa1" | "qa2" | "qa3" | "qa4" => &PLACES,
        "qa5" => &GIVEN,
        _ => &[],
    };
    let question = question.to_lowercase();
    let free = all
        .iter()
        .filter(|label| !question.contains(&label.to_lowercase()));
    free.map(|label| (*label).to_owned()).collect()
}
