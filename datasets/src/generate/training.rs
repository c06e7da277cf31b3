//! Texts to train a small model on: generated documents with one or more questions and their answers.

use std::ops::Range;

use super::document::{Document, Material};
use super::filler::Filler;
use super::options::Settings;
use super::random::Random;
use super::task::{Draft, Task};
use super::tasks::facts;
use super::tokens;
use crate::builtin;
use crate::error::DatasetError;
use crate::generate::distractors::{Asked, other_people};
use crate::generate::person::People;

/// Texts may be shorter than prompts: a small model begins with short ones.
const LENGTHS: std::ops::RangeInclusive<usize> = 64..=16_384;

/// What the weights of a mixture may add up to: each task is held as often as its weight says.
const MIXTURE_TOTAL: std::ops::RangeInclusive<u64> = 1..=1000;

/// Estimated tokens of text for each question about people, and how many questions there are at most.
const TOKENS_PER_QUESTION: usize = 110;
const MOST_QUESTIONS: usize = 12;

/// From this length on, a question asks for as many facts as those of the task `facts` do; below for one or two.
const LONG: usize = 150;

/// Added to the task's number in the key of the random stream, so that no training text is a sample of the
/// task's own generator.
const STREAM: u64 = 1 << 32;

/// A text to learn from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrainingDocument {
    /// Document, questions and answers.
    pub text: String,
    /// The answers, in the order of the text.
    pub answers: Vec<TrainingAnswer>,
}

/// Where an answer lies in a training text, in bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrainingAnswer {
    /// The whole answer with the blank before it.
    pub span: Range<usize>,
    /// What a right answer contains, in order, each inside `span`.
    pub values: Vec<Range<usize>>,
}

/// Makes training texts without end, each by its number.
///
/// The words, sentences, questions and answers are those of [`Generator`](crate::Generator), from other random
/// streams. Half of the texts have the first question before the document, the others behind it; further
/// questions, with `facts`, follow the first answer.
///
/// ```
/// let corpus = kvlens_datasets::TrainingCorpus::new(256, 7, &[("facts", 3), ("niah", 1)])?;
/// let document = corpus.document(0);
/// let answer = &document.answers[0];
/// assert!(document.text[..answer.span.start].ends_with(" Answer:"));
/// # Ok::<(), kvlens_datasets::DatasetError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct TrainingCorpus {
    length: usize,
    seed: u64,
    /// Tasks that fit the length, each as often as its weight says.
    tasks: Vec<Task>,
    opening_percent: usize,
    most_questions: usize,
}

/// One question with its answer.
struct Pair {
    question: String,
    answer: Vec<String>,
    values: Vec<String>,
}

impl TrainingCorpus {
    /// Texts of at most `length` estimated tokens (words and punctuation marks), answers included; `mixture`
    /// names the tasks, each with its relative frequency. A task whose shortest question does not fit the
    /// length is left out as long as another fits.
    ///
    /// # Errors
    /// An unknown task, a length out of 64 to 16,384, and when no task of the mixture fits it.
    pub fn new(length: usize, seed: u64, mixture: &[(&str, u32)]) -> Result<Self, DatasetError> {
        let total: u64 = mixture.iter().map(|(_, weight)| u64::from(*weight)).sum();
        if !MIXTURE_TOTAL.contains(&total) {
            return Err(DatasetError::OptionValue {
                task: "training".to_owned(),
                option: "mixture".to_owned(),
                value: format!("weights of {total} in all"),
                expected: "weights of 1 to 1000 in all".to_owned(),
            });
        }
        let mut tasks = Vec::new();
        let mut shortest = usize::MAX;
        for (name, weight) in mixture {
            let task = Task::named(name).ok_or_else(|| builtin::unknown_task(name))?;
            let needed = shortest_length(task);
            shortest = shortest.min(needed);
            if needed <= length {
                tasks.extend(std::iter::repeat_n(task, *weight as usize));
            }
        }
        if tasks.is_empty() || !LENGTHS.contains(&length) {
            return Err(DatasetError::LengthTooShort {
                task: "training".to_owned(),
                length,
                needed: shortest.max(*LENGTHS.start()),
            });
        }
        Ok(Self {
            length,
            seed,
            tasks,
            opening_percent: 50,
            most_questions: MOST_QUESTIONS,
        })
    }

    /// The same with `percent` of the texts opening with the first question, instead of half of them, and with
    /// at most `most` questions in a text, instead of 12.
    #[must_use]
    pub fn with_questions(self, percent: usize, most: usize) -> Self {
        Self {
            opening_percent: percent,
            most_questions: most.max(1),
            ..self
        }
    }

    /// The text of this number, made without those before it.
    pub fn document(&self, index: u64) -> TrainingDocument {
        let mut random = Random::new(self.seed, index, STREAM, self.length as u64);
        let task = random.choose(&self.tasks, 1).first().copied();
        let (pairs, material) = match task {
            None | Some(Task::Facts) => self.facts(&mut random),
            Some(task) => self.one_pair(task, &mut random, index),
        };
        let opens = random.below(100) < self.opening_percent;
        self.assemble(&mut random, &pairs, material, opens)
    }

    /// Questions about several people of one document.
    fn facts(&self, random: &mut Random) -> (Vec<Pair>, Material) {
        let questions = (self.length / TOKENS_PER_QUESTION).clamp(1, self.most_questions);
        let mut people = People::default();
        let asked = people.draw_many(random, questions);
        let (mut needed, mut shared, mut pairs) = (Vec::new(), Vec::new(), Vec::new());
        for &person in &asked {
            let count = if self.length < LONG {
                1 + random.below(2)
            } else {
                2 + random.below(3)
            };
            let told = facts::tell(random, person, count);
            needed.extend(told.needed);
            shared.extend(told.facts);
            pairs.push(Pair {
                question: told.question,
                answer: told.answer,
                values: told.values,
            });
        }
        random.shuffle(&mut needed);
        let distract = other_people(
            people,
            Asked {
                people: asked,
                shared,
                exclusive: None,
            },
        );
        let material = Material {
            needed,
            depth: None,
            distract,
            filler: Filler::default(),
        };
        (pairs, material)
    }

    fn one_pair(&self, task: Task, random: &mut Random, index: u64) -> (Vec<Pair>, Material) {
        let settings = Settings {
            length: self.length,
            count: (self.length < 2 * shortest_length(task)).then(|| *task.counts().start()),
            depth: super::options::Depth::At(random.below(101) as f64 / 100.0),
            ..Settings::default()
        };
        let Draft {
            question,
            answer,
            values,
            material,
        } = task.draft(random, &settings, index);
        (
            vec![Pair {
                question,
                answer,
                values,
            }],
            material,
        )
    }

    fn assemble(
        &self,
        random: &mut Random,
        pairs: &[Pair],
        material: Material,
        opens: bool,
    ) -> TrainingDocument {
        let mut frame = 0;
        for pair in pairs {
            frame += tokens::estimate(&asked(pair))
                + tokens::estimate(ANSWER)
                + tokens::estimate(&pair.answer.join(" "));
        }
        let document = Document::build(random, self.length.saturating_sub(frame), material);
        let mut text = String::new();
        if let (true, Some(first)) = (opens, pairs.first()) {
            text.push_str(&asked(first));
        }
        text.push(' ');
        text.push_str(&document.text);
        let mut answers = Vec::with_capacity(pairs.len());
        for (index, pair) in pairs.iter().enumerate() {
            if index > 0 || !opens {
                text.push_str(&asked(pair));
            }
            text.push_str(ANSWER);
            let start = text.len();
            for sentence in &pair.answer {
                text.push(' ');
                text.push_str(sentence);
            }
            answers.push(TrainingAnswer {
                values: places(&text, start, &pair.values),
                span: start..text.len(),
            });
        }
        TrainingDocument { text, answers }
    }
}

const ANSWER: &str = " Answer:";

fn asked(pair: &Pair) -> String {
    format!(" Question: {}", pair.question)
}

/// Where the values stand behind `start`, one after the other.
fn places(text: &str, start: usize, values: &[String]) -> Vec<Range<usize>> {
    let mut from = start;
    values
        .iter()
        .filter_map(|value| {
            let found = from + text.get(from..)?.find(value.as_str())?;
            from = found + value.len();
            Some(found..from)
        })
        .collect()
}

/// The shortest text that surely holds the task's smallest question, what it needs and the answer.
fn shortest_length(task: Task) -> usize {
    match task {
        // one or two facts
        Task::Facts => *LENGTHS.start(),
        task => {
            let settings = Settings {
                count: Some(*task.counts().start()),
                ..Settings::default()
            };
            let per_answer = if task == Task::Passage { 18 } else { 12 };
            task.shortest_length(&settings) + per_answer * task.counts().start()
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;

    const ALL: [(&str, u32); 7] = [
        ("facts", 4),
        ("niah", 1),
        ("multi-niah", 1),
        ("variable-tracking", 1),
        ("key-value", 1),
        ("passage", 1),
        ("list", 1),
    ];

    fn documents(length: usize, mixture: &[(&str, u32)], count: u64) -> Vec<TrainingDocument> {
        let corpus = TrainingCorpus::new(length, 11, mixture).unwrap();
        (0..count).map(|index| corpus.document(index)).collect()
    }

    #[test]
    fn texts_keep_their_length_and_come_near_to_it() {
        for length in [64, 90, 128, 256, 512, 2048] {
            for document in documents(length, &ALL, 200) {
                let found = tokens::estimate(&document.text);
                assert!(
                    found <= length && found + 6 > length.min(found + 5),
                    "{length}: {found}"
                );
                assert!(found + 5 >= length, "{length}: {found} {}", document.text);
            }
        }
    }

    #[test]
    fn every_value_stands_in_its_answer_and_before_it() {
        for document in documents(256, &ALL, 500) {
            assert!(!document.answers.is_empty());
            for answer in &document.answers {
                assert!(document.text[..answer.span.start].ends_with(ANSWER));
                assert!(!answer.values.is_empty());
                for value in &answer.values {
                    assert!(answer.span.start < value.start && value.end < answer.span.end);
                    let text = &document.text[value.clone()];
                    assert!(
                        document.text[..answer.span.start].contains(text),
                        "{text}: {}",
                        document.text
                    );
                }
            }
        }
    }

    /// `By trade X works as ...` in either form tells person, verb and value.
    #[test]
    fn nobody_has_two_values_of_one_kind() {
        let verbs = [
            " lives in ",
            " works as ",
            " owns ",
            " keeps ",
            " likes ",
            " attends ",
        ];
        for document in documents(512, &[("facts", 1)], 300) {
            let mut told: BTreeMap<(String, &str), BTreeSet<String>> = BTreeMap::new();
            for sentence in document.text.split(['.', ':']) {
                for verb in verbs {
                    if let Some((who, what)) = sentence.split_once(verb) {
                        let words: Vec<&str> = who.split(' ').collect();
                        let name = words[words.len().saturating_sub(2)..].join(" ");
                        told.entry((name, verb))
                            .or_default()
                            .insert(what.to_owned());
                    }
                }
            }
            assert!(told.values().all(|values| values.len() == 1), "{told:?}");
        }
    }

    #[test]
    fn both_question_places_and_several_questions_occur() {
        let documents = documents(512, &[("facts", 1)], 100);
        let opening = documents
            .iter()
            .filter(|d| d.text.starts_with(" Question:"))
            .count();
        assert!((30..70).contains(&opening), "{opening}");
        assert!(documents.iter().all(|d| d.answers.len() == 4));
    }

    #[test]
    fn the_share_of_opening_questions_and_their_number_can_be_chosen() {
        let corpus = TrainingCorpus::new(512, 11, &[("facts", 1)]).unwrap();
        let documents: Vec<_> = (0..100)
            .map(|index| corpus.clone().with_questions(90, 2).document(index))
            .collect();
        let opening = documents
            .iter()
            .filter(|d| d.text.starts_with(" Question:"))
            .count();
        assert!((80..100).contains(&opening), "{opening}");
        assert!(documents.iter().all(|document| document.answers.len() == 2));
        assert_eq!(
            corpus.clone().with_questions(50, 12).document(3),
            corpus.document(3)
        );
    }

    #[test]
    fn texts_are_the_same_again_and_differ_from_each_other() {
        let texts = documents(128, &ALL, 300);
        assert_eq!(texts, documents(128, &ALL, 300));
        let distinct: BTreeSet<&str> = texts
            .iter()
            .map(|document| document.text.as_str())
            .collect();
        assert_eq!(distinct.len(), 300);
    }

    #[test]
    fn an_unknown_task_and_a_length_without_room_are_refused() {
        assert!(TrainingCorpus::new(256, 0, &[("riddle", 1)]).is_err());
        for weight in [0, 1001, u32::MAX] {
            let error = TrainingCorpus::new(256, 0, &[("facts", weight)]).unwrap_err();
            assert!(error.to_string().contains("mixture"), "{error}");
        }
        assert!(TrainingCorpus::new(20, 0, &[("facts", 1)]).is_err());
        assert!(TrainingCorpus::new(64, 0, &[("passage", 1)]).is_err());
    }
}
