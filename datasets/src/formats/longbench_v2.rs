//! LongBench v2: a context, a question and four choices, of which a letter is right.

use super::draft::Draft;
use super::row::{Problem, Row};
use super::template::Template;
use super::{Source, has};
use crate::records::Fields;
use crate::scores::{Metric, Scoring};

/// The marks of the benchmark's `prompts/0shot.txt`.
const MARKS: [(&str, &str); 6] = [
    ("$DOC$", "context"),
    ("$Q$", "question"),
    ("$C_A$", "choice_A"),
    ("$C_B$", "choice_B"),
    ("$C_C$", "choice_C"),
    ("$C_D$", "choice_D"),
];

const OWN: &str = "{context}\n\nQuestion: {question}\n(A) {choice_A}\n(B) {choice_B}\n(C) {choice_C}\n(D) {choice_D}\n\nEnd with the words: The correct answer is (the letter).";

/// How many tokens the benchmark generates without a chain of thought.
const ANSWER_TOKENS: usize = 128;

pub(super) fn fits(fields: &Fields) -> bool {
    has(
        fields,
        &[
            "context", "question", "choice_A", "choice_B", "choice_C", "choice_D",
        ],
    )
}

pub(super) fn read(
    row: &Row<'_>,
    source: &Source<'_>,
    number: usize,
) -> Result<Vec<Draft>, Problem> {
    let task = row.text("domain", "task")?.unwrap_or("longbench-v2");
    let id = row.text("_id", "id")?.map(str::to_owned);
    let letter = row.text("answer", "right letter")?;
    let template = source
        .config
        .whole_template(&MARKS)
        .unwrap_or_else(|| Template::own(OWN));
    let draft = Draft {
        document: Some("context"),
        questions: &["question", "choice_A", "choice_B", "choice_C", "choice_D"],
        answer: letter.map(|letter| format!("The correct answer is ({letter})")),
        scoring: letter.map(|letter| Scoring::new(Metric::StatedChoice, vec![letter.to_owned()])),
        answer_tokens: Some(ANSWER_TOKENS),
        ..Draft::new(
            id.unwrap_or_else(|| source.row_id(source.stem, number)),
            "longbench-v2",
            task.to_owned(),
            template,
        )
    };
    Ok(vec![draft.with_slots([
        ("context", row.needed("context", "document")?),
        ("question", row.needed("question", "question")?),
        ("choice_A", row.needed("choice_A", "choice")?),
        ("choice_B", row.needed("choice_B", "choice")?),
        ("choice_C", row.needed("choice_C", "choice")?),
        ("choice_D", row.needed("choice_D", "choice")?),
    ])])
}
