//! How often generated answers hold the right values, by task, length, question place and depth.

use std::collections::BTreeMap;
use std::fmt::Write;

use kvlens_datasets::holds_value;
use kvlens_sessions::SampleRecord;

use super::card::Values;

/// Parts that a prompt is divided into to see whether the depth of a fact matters: the columns of the card.
const DEPTHS: usize = 10;

/// Task, prompt tokens to the nearest power of two, question place.
type Cell = (String, usize, &'static str);

#[derive(Default)]
struct Counts {
    samples: usize,
    exact: usize,
    values: usize,
    right: usize,
    by_depth: [(usize, usize); DEPTHS],
}

/// Answers of one model.
#[derive(Default)]
pub struct Answers(BTreeMap<Cell, Counts>);

impl Answers {
    /// Counts one sample that has values.
    pub fn add(&mut self, record: &SampleRecord) {
        if record.values.is_empty() {
            return;
        }
        let place = record.question_place.map_or("none", |place| place.label());
        let tokens = record.prompt_ids.len();
        let cell = (record.task.clone(), nearest_power_of_two(tokens), place);
        let counts = self.0.entry(cell).or_default();
        counts.samples += 1;
        counts.exact +=
            usize::from(record.answer.as_deref().map(str::trim) == Some(record.generated.trim()));
        for value in &record.values {
            let is_right = holds_value(&record.generated, value);
            counts.values += 1;
            counts.right += usize::from(is_right);
            if let Some((right, values)) =
                depth_of(record, value).and_then(|depth| counts.by_depth.get_mut(depth))
            {
                *values += 1;
                *right += usize::from(is_right);
            }
        }
    }

    /// The rows of the card's two tables of answers.
    pub fn values(&self) -> Values {
        vec![("answers", self.rows()), ("depths", self.rows_by_depth())]
    }

    fn rows(&self) -> String {
        let mut rows = String::new();
        for ((task, tokens, place), counts) in &self.0 {
            // writing to a String cannot fail
            let _ = writeln!(
                rows,
                "| {task} | {tokens} | {place} | {} | {} | {} |",
                counts.samples,
                percent(counts.right, counts.values),
                percent(counts.exact, counts.samples)
            );
        }
        rows
    }

    fn rows_by_depth(&self) -> String {
        let mut rows = String::new();
        for ((task, tokens, place), counts) in &self.0 {
            let cells = counts.by_depth.iter().map(|&(right, values)| match values {
                0 => String::new(),
                _ => format!("{} ({values})", percent(right, values)),
            });
            let _ = writeln!(
                rows,
                "| {task} | {tokens} | {place} | {} |",
                cells.collect::<Vec<_>>().join(" | ")
            );
        }
        rows
    }
}

/// By ratio: 700 is nearer to 512, 750 to 1,024.
fn nearest_power_of_two(tokens: usize) -> usize {
    (tokens as f64).max(1.0).log2().round().exp2() as usize
}

fn percent(part: usize, whole: usize) -> String {
    format!("{:.1} %", 100.0 * part as f64 / whole.max(1) as f64)
}

/// The tenth of the prompt in which the fact begins that holds the value.
fn depth_of(record: &SampleRecord, value: &str) -> Option<usize> {
    let tokens = record.prompt_ids.len();
    let place = record.evidence_tokens.iter().find(|place| {
        let pieces = record.token_texts.get((*place).clone());
        pieces.is_some_and(|pieces| pieces.concat().contains(value))
    })?;
    Some(place.start * DEPTHS / tokens.max(1))
}

#[cfg(test)]
mod tests {
    use kvlens_datasets::QuestionPlace;

    use super::*;

    fn record(generated: &str) -> SampleRecord {
        let token_texts: Vec<String> = [
            "The", " code", " is", " red", " moon", ".", " Ada", " likes", " figs", ".",
        ]
        .map(str::to_owned)
        .to_vec();
        SampleRecord {
            id: "a".to_owned(),
            dataset: "generated".to_owned(),
            task: "facts".to_owned(),
            prompt: String::new(),
            answer: Some(" The code is red moon. Ada likes figs.".to_owned()),
            values: vec!["figs".to_owned(), "red moon".to_owned()],
            scoring: None,
            generated: generated.to_owned(),
            score: None,
            question_place: Some(QuestionPlace::End),
            document: None,
            question: None,
            asked_later: None,
            answer_tokens: None,
            asked_length: None,
            depth: None,
            prompt_ids: (0..10).collect(),
            token_texts,
            generated_ids: Vec::new(),
            generated_texts: Vec::new(),
            evidence_tokens: vec![0..6, 6..10],
            largest_rounding: None,
            seconds: 0.0,
        }
    }

    #[test]
    fn values_are_counted_where_their_facts_stand() {
        let mut answers = Answers::default();
        answers.add(&record("The code is red moon. Ada likes figs."));
        answers.add(&record("The code is blue moon. Ada likes figs."));
        let counts = &answers.0[&("facts".to_owned(), 8, "end")];
        assert_eq!((counts.samples, counts.exact), (2, 1));
        assert_eq!((counts.right, counts.values), (3, 4));
        assert_eq!((counts.by_depth[0], counts.by_depth[6]), ((1, 2), (2, 2)));
        assert_eq!(
            answers.rows(),
            "| facts | 8 | end | 2 | 75.0 % | 50.0 % |\n"
        );
    }

    #[test]
    fn lengths_fall_to_the_nearest_power() {
        for (tokens, power) in [
            (510, 512),
            (515, 512),
            (1030, 1024),
            (2053, 2048),
            (750, 1024),
            (700, 512),
        ] {
            assert_eq!(nearest_power_of_two(tokens), power);
        }
    }
}
