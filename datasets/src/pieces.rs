//! Prompts of real prose: four pieces that were written for this program, some thousand tokens each.

use crate::parts::PromptParts;
use crate::sample::{QuestionPlace, Sample};

/// What is typed for them, and what their results are grouped by.
pub(crate) const NAME: &str = "pieces";

/// Each piece: a line `question: ...`, a line `values: ...; ...`, then the text, with `[[` and `]]` around what the
/// answer needs.
const PIECES: [(&str, &str); 4] = [
    ("manual", include_str!("../pieces/manual.txt")),
    ("travel", include_str!("../pieces/travel.txt")),
    ("minutes", include_str!("../pieces/minutes.txt")),
    ("story", include_str!("../pieces/story.txt")),
];

/// Every piece with its question at each of these places.
pub(crate) fn samples(places: &[QuestionPlace]) -> Vec<Sample> {
    let of_piece = |(name, text)| places.iter().map(move |&place| sample(name, text, place));
    PIECES.into_iter().flat_map(of_piece).collect()
}

fn sample(name: &str, text: &str, place: QuestionPlace) -> Sample {
    let (question, rest) = headed(text, "question: ");
    let (values, body) = headed(rest, "values: ");
    let (before, marked) = body.split_once("[[").unwrap_or((body, ""));
    let (fact, after) = marked.split_once("]]").unwrap_or((marked, ""));
    let parts = PromptParts {
        document: format!("{before}{fact}{after}").trim_end().to_owned(),
        joiner: "\n\n".to_owned(),
        question: format!("Question: {question} Answer in one sentence."),
        ..PromptParts::default()
    };
    let start = parts.document_span(place).start + before.len();
    let fact_span = start..start + fact.len();
    Sample {
        id: format!("{name}-{place}"),
        dataset: NAME.to_owned(),
        task: NAME.to_owned(),
        prompt: parts.compose(place),
        values: values.split("; ").map(str::to_owned).collect(),
        evidence: vec![fact_span],
        question_place: Some(place),
        document: Some(name.to_owned()),
        question: Some(name.to_owned()),
        parts: Some(parts),
        ..Sample::default()
    }
}

/// What stands behind `head` on the first line, and the text below that line.
fn headed<'a>(text: &'a str, head: &str) -> (&'a str, &'a str) {
    let (line, rest) = text.split_once('\n').unwrap_or((text, ""));
    (line.strip_prefix(head).unwrap_or(line), rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_marked_sentence_is_the_evidence_and_holds_what_is_asked_for() {
        let samples = samples(&[QuestionPlace::End, QuestionPlace::Start]);
        assert_eq!(samples.len(), 8);
        for sample in samples {
            let [evidence] = sample.evidence.as_slice() else {
                panic!("{} has other evidence", sample.id)
            };
            let fact = &sample.prompt[evidence.clone()];
            for value in &sample.values {
                assert!(fact.contains(value.as_str()), "{}: {fact}", sample.id);
                assert_eq!(
                    sample.prompt.matches(value.as_str()).count(),
                    fact.matches(value.as_str()).count(),
                    "{}: {value}",
                    sample.id
                );
            }
            assert!(fact.ends_with('.'), "{fact}");
            assert!(!sample.prompt.contains("[[") && !sample.prompt.contains("values:"));
            let is_at_start = sample.prompt.starts_with("Question: ");
            assert_eq!(
                is_at_start,
                sample.question_place == Some(QuestionPlace::Start)
            );
        }
    }
}
