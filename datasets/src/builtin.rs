//! The tasks that the program carries itself.
//!
//! All of them but `pieces` are generated. `demo` is a small fixed choice of `facts` that the built-in model answers:
//! statements about people, and a question for three facts of one of them. Every document comes twice, with
//! the question at its end and at its start, because a window at the end of the prompt sees the
//! question only in the first case.

use std::collections::BTreeMap;

use crate::error::DatasetError;
use crate::fit::TokenCounter;
use crate::generate::{self, Cells, Generator};
use crate::nearest::nearest_name;
use crate::pieces;
use crate::sample::{QuestionPlace, Sample};

/// What the demo's prompts are: their lengths in estimated tokens, documents of each, seed, and facts asked for.
const DEMO_PLACES: [QuestionPlace; 2] = [QuestionPlace::End, QuestionPlace::Start];
const DEMO_LENGTHS: [usize; 2] = [512, 1024];
const DEMO_DOCUMENTS: u64 = 2;
const DEMO_SEED: u64 = 20;
const DEMO_FACTS: usize = 3;

/// A built-in task as help texts show it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BuiltInTask {
    /// What is typed before the colon.
    pub name: &'static str,
    /// One line on what its prompts are.
    pub summary: &'static str,
    /// Every option as `key=value|value`.
    pub options: &'static [&'static str],
}

impl BuiltInTask {
    /// What may be typed for an option, as the list of options says it.
    ///
    /// # Errors
    /// [`DatasetError::UnknownOption`] for one that the task does not have.
    pub(crate) fn known_option(&self, key: &str) -> Result<&'static str, DatasetError> {
        let mut options = self.options.iter();
        let found = options.find(|option| option.split('=').next() == Some(key));
        found.copied().ok_or_else(|| DatasetError::UnknownOption {
            task: self.name.to_owned(),
            option: key.to_owned(),
            known: self.options.join(", "),
        })
    }
}

const DEMO_TASK: BuiltInTask = BuiltInTask {
    name: "demo",
    summary: "three facts about one person among many statements, for the built-in model",
    options: &["question=start|end", "length=512|1024", "samples=N"],
};

const PIECES_TASK: BuiltInTask = BuiltInTask {
    name: pieces::NAME,
    summary: "a fact to find in four pieces of prose, some thousand tokens each, for models of one's own",
    options: &["question=start|end", "samples=N"],
};

static TASKS: [BuiltInTask; 23] = {
    let [facts, niah, multi_niah, variables, key_value, passage, list] = generate::TASKS;
    let [a, b, c, d, e, f, g, h, i, j, k, l, m, n] = generate::RULER_TASKS;
    [
        DEMO_TASK,
        PIECES_TASK,
        facts,
        niah,
        multi_niah,
        variables,
        key_value,
        passage,
        list,
        a,
        b,
        c,
        d,
        e,
        f,
        g,
        h,
        i,
        j,
        k,
        l,
        m,
        n,
    ]
};

/// All built-in tasks: `demo`, eight chosen prompts; `pieces`, four texts that are each asked about twice; and the
/// generated ones.
///
/// The tasks `facts` to `list` are about people. They have these options in common:
///
/// * `length` (128 to 131072, default 1024): the prompt's length in tokens of the model as the prompt
///   will run, where the caller has a tokenizer ([`LoadOptions::tokens`](crate::LoadOptions::tokens)): never
///   longer, shorter by less than 1 % from 512 tokens on, and refused beyond the model's positions.
///   With `count=words`, or without a tokenizer (which the report says), it is the length in *estimated*
///   tokens, words plus punctuation marks: never longer and less than a sentence shorter. A real
///   tokenizer cuts rare words and names, so it counts more; how many more depends on its vocabulary.
/// * `question` (`end`, `start`, `both` or `absent`, default `end`): where the question stands. With the
///   same seed, `end` and `start` put it after and before the very same document; `both` asks twice,
///   in a document that is shorter by one question; `absent` leaves the document alone, and the
///   question comes after the prompt was ranked.
/// * `samples` (1 to 10000, default 16) and `seed` (default 0): how many prompts and which. The
///   same options give the same text on every machine.
///
/// | task | its own option | the answer |
/// |---|---|---|
/// | `facts` | `facts` (2 to 4; drawn for each sample when absent) | that many facts about one person |
/// | `niah` | `depth` (0 to 1, default 0.5, or `sweep`: spread evenly over the samples) | the unusual code of one person, told at this depth |
/// | `multi-niah` | `needles` (2 to 7, default 4) | the unusual codes of that many people |
/// | `variable-tracking` | `hops` (2 to 6, default 4) | everybody to whom one parcel came; the hops stand in their order |
/// | `key-value` | `keys` (1 to 7, default 4) | the values of that many keys of a ledger |
/// | `passage` | `sentences` (2 to 4, default 3) | the sentences of the passage about an event, word by word |
/// | `list` | `matches` (2 to 6, default 4) | everybody with the asked city, job or food, in the order of the document |
///
/// Others in the document share a part of a name or a value with what is asked, but never the full
/// name, key or title, so each question has one answer. The answer restates facts as sentences.
///
/// The tasks `niah_single_1` to `qa_2` are RULER's in this program's own words, `niah_hard` is a needle
/// that shares nothing but a name with its question. They take `length` (128 to 1048576, default 4096;
/// counted as above, never longer, and shorter by less than a word or list entry, which from 1024 tokens on is less
/// than 1 %), `question`, `samples`, `seed` and `count` as above, `depth` (`sweep` by
/// default), and `haystack` (`noise`, `generated` prose, or a file of the user's). `answer_prefix` opens
/// their answers.
///
/// `length` and `depth` may be several, for a grid: `length=1k|8k`, `length=1k..8k/4` (four lengths, each
/// as many times the one before; `k` is 1,024), `depth=0..1/5` (five, evenly). `samples` are then made for each.
pub fn builtin_tasks() -> &'static [BuiltInTask] {
    &TASKS
}

pub(crate) fn find(name: &str) -> Option<&'static BuiltInTask> {
    TASKS.iter().find(|task| task.name == name)
}

pub(crate) fn unknown_task(name: &str) -> DatasetError {
    let names: Vec<&str> = TASKS.iter().map(|task| task.name).collect();
    DatasetError::UnknownTask {
        name: name.to_owned(),
        nearest: nearest_name(name, &names).to_owned(),
        known: names.join(", "),
    }
}

/// A task whose prompts are chosen and not generated.
fn chosen_task(task: &str) -> Option<&'static BuiltInTask> {
    [&DEMO_TASK, &PIECES_TASK]
        .into_iter()
        .find(|chosen| chosen.name == task)
}

/// Checks the options without loading anything.
pub(crate) fn check(task: &str, options: &BTreeMap<String, String>) -> Result<(), DatasetError> {
    if let Some(chosen) = chosen_task(task) {
        return Filter::read(chosen, options).map(|_| ());
    }
    Cells::read(task, options).map(|_| ())
}

/// Samples as they are made, and what there is to say of their lengths.
pub(crate) struct Made<'a> {
    pub samples: Box<dyn Iterator<Item = Result<Sample, DatasetError>> + 'a>,
    /// Whether lengths are estimated that a tokenizer should have counted.
    pub has_estimated_lengths: bool,
    /// Words of a haystack that is shorter than the longest prompt.
    pub short_haystack_words: Option<usize>,
}

impl Made<'_> {
    fn chosen(samples: Vec<Sample>) -> Self {
        Self {
            samples: Box::new(samples.into_iter().map(Ok)),
            has_estimated_lengths: false,
            short_haystack_words: None,
        }
    }
}

/// The task's samples: those of the demo or the pieces that the options leave, or as many as the options ask a
/// generated task for. `tokens` measures lengths, which a generated task refuses beyond `positions`.
pub(crate) fn samples<'a>(
    task: &str,
    options: &BTreeMap<String, String>,
    tokens: Option<&'a dyn TokenCounter>,
    positions: usize,
) -> Result<Made<'a>, DatasetError> {
    if task == DEMO_TASK.name {
        return load_demo(options).map(Made::chosen);
    }
    if task == PIECES_TASK.name {
        return load_pieces(options).map(Made::chosen);
    }
    let cells = Cells::read(task, options)?;
    cells.check_positions(positions)?;
    Ok(Made {
        has_estimated_lengths: tokens.is_none() && cells.counts_model_tokens(),
        short_haystack_words: cells.short_haystack_words(),
        samples: Box::new(cells.samples(tokens)),
    })
}

/// By length, each document with the question at its end before the same one with the question at its start.
fn load_demo(options: &BTreeMap<String, String>) -> Result<Vec<Sample>, DatasetError> {
    let filter = Filter::read(&DEMO_TASK, options)?;
    let mut samples = Vec::new();
    for length in DEMO_LENGTHS
        .into_iter()
        .filter(|length| filter.length.is_none_or(|asked| asked == *length))
    {
        for index in 0..DEMO_DOCUMENTS {
            for place in DEMO_PLACES {
                if filter.place.is_none_or(|asked| asked == place) {
                    samples.push(demo_sample(length, place, index)?);
                }
            }
        }
    }
    samples.truncate(filter.samples.unwrap_or(usize::MAX));
    Ok(samples)
}

/// Each piece with its question at its end before the same one with the question at its start.
fn load_pieces(options: &BTreeMap<String, String>) -> Result<Vec<Sample>, DatasetError> {
    let filter = Filter::read(&PIECES_TASK, options)?;
    let places = DEMO_PLACES.into_iter();
    let places: Vec<QuestionPlace> = places
        .filter(|place| filter.place.is_none_or(|asked| asked == *place))
        .collect();
    let mut samples = pieces::samples(&places);
    samples.truncate(filter.samples.unwrap_or(usize::MAX));
    Ok(samples)
}

fn demo_sample(length: usize, place: QuestionPlace, index: u64) -> Result<Sample, DatasetError> {
    let options = [
        ("length", length.to_string()),
        ("question", place.label().to_owned()),
        ("seed", DEMO_SEED.to_string()),
        ("facts", DEMO_FACTS.to_string()),
    ];
    let options = options.map(|(key, value)| (key.to_owned(), value)).into();
    let sample = Generator::new("facts", &options)?.sample(index);
    Ok(Sample {
        id: format!("facts-{length}-{}-{index}", place.label()),
        dataset: DEMO_TASK.name.to_owned(),
        ..sample
    })
}

#[derive(Default)]
struct Filter {
    place: Option<QuestionPlace>,
    length: Option<usize>,
    samples: Option<usize>,
}

impl Filter {
    fn read(task: &BuiltInTask, options: &BTreeMap<String, String>) -> Result<Self, DatasetError> {
        let mut filter = Self::default();
        for (key, value) in options {
            let expected = task.known_option(key)?;
            filter
                .set(key, value)
                .ok_or_else(|| DatasetError::OptionValue {
                    task: task.name.to_owned(),
                    option: key.clone(),
                    value: value.clone(),
                    expected: expected.to_owned(),
                })?;
        }
        Ok(filter)
    }

    /// `None` when the value is not one of those accepted.
    fn set(&mut self, key: &str, value: &str) -> Option<()> {
        match key {
            "question" => {
                let place = QuestionPlace::from_label(value)?;
                self.place = Some(DEMO_PLACES.contains(&place).then_some(place)?);
            }
            "length" => {
                self.length = Some(
                    value
                        .parse()
                        .ok()
                        .filter(|length| DEMO_LENGTHS.contains(length))?,
                );
            }
            _ => self.samples = Some(value.parse().ok().filter(|samples| *samples > 0)?),
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn demo(options: &[(&str, &str)]) -> Vec<Sample> {
        let options = options
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect();
        load_demo(&options).unwrap()
    }

    #[test]
    fn there_are_eight_prompts_half_of_them_with_the_question_first() {
        let samples = demo(&[]);
        assert_eq!(samples.len(), 8);
        assert_eq!(demo(&[("question", "start")]).len(), 4);
        assert_eq!(demo(&[("question", "end")]).len(), 4);
        assert_eq!(demo(&[("length", "512")]).len(), 4);
        assert_eq!(demo(&[("length", "1024"), ("question", "end")]).len(), 2);
        let two = demo(&[("samples", "2")]);
        assert_eq!(two[0].question_place, Some(QuestionPlace::End));
        assert_eq!(two[1].question_place, Some(QuestionPlace::Start));
    }

    #[test]
    fn the_question_stands_where_the_sample_says() {
        for sample in demo(&[]) {
            let at = sample.prompt.find("Question:").unwrap();
            match sample.question_place.unwrap() {
                QuestionPlace::Start => assert_eq!(at, 1, "{}", sample.id),
                _ => assert!(at > sample.prompt.len() - 120, "{}", sample.id),
            }
        }
    }

    /// The asked person is named by the question: 'Report the … of NAME NAME.'
    fn asked_person(prompt: &str) -> &str {
        let question = &prompt[prompt.find("Question:").unwrap()..];
        let sentence = question.split('.').next().unwrap();
        &sentence[sentence.rfind(" of ").unwrap() + 4..]
    }

    #[test]
    fn every_value_has_one_evidence_sentence_that_names_the_person() {
        for sample in demo(&[]) {
            let person = asked_person(&sample.prompt);
            assert_eq!(sample.values.len(), 3, "{}", sample.id);
            assert_eq!(sample.evidence.len(), 3, "{}", sample.id);
            let mut held = Vec::new();
            for span in &sample.evidence {
                let sentence = &sample.prompt[span.clone()];
                assert!(sentence.contains(person), "{}: {sentence}", sample.id);
                assert!(sentence.ends_with('.'), "{}: {sentence}", sample.id);
                assert!(!sentence.contains("Question"), "{}: {sentence}", sample.id);
                assert_eq!(sentence.matches('.').count(), 1, "{sentence}");
                let value: Vec<&String> = sample
                    .values
                    .iter()
                    .filter(|value| sentence.ends_with(&format!(" {value}.")))
                    .collect();
                assert_eq!(value.len(), 1, "{}: {sentence}", sample.id);
                held.push(value[0]);
            }
            held.sort();
            held.dedup();
            assert_eq!(held.len(), 3, "{}: {held:?}", sample.id);
        }
    }

    #[test]
    fn the_reference_answer_scores_one() {
        for sample in demo(&[]) {
            let answer = sample.answer.clone().unwrap();
            assert_eq!(crate::score(&sample, &answer), Some(1.0));
            assert_eq!(crate::score(&sample, "I do not know."), Some(0.0));
        }
    }

    #[test]
    fn the_two_places_of_each_document_share_its_name_and_no_others_do() {
        let samples = demo(&[]);
        let names: Vec<&str> = samples
            .iter()
            .map(|sample| sample.document.as_deref().unwrap())
            .collect();
        for pair in names.chunks_exact(2) {
            assert_eq!(pair[0], pair[1]);
        }
        let distinct: std::collections::BTreeSet<&str> = names.iter().copied().collect();
        assert_eq!(distinct.len(), 4);
        let lengths: Vec<_> = samples.iter().map(|sample| sample.asked_length).collect();
        assert_eq!(lengths[0], Some(512));
        assert_eq!(lengths[7], Some(1024));
    }

    #[test]
    fn every_piece_comes_twice_and_the_options_choose() {
        let pieces = |key: &str, value: &str| {
            let options = BTreeMap::from([(key.to_owned(), value.to_owned())]);
            load_pieces(&options)
        };
        assert_eq!(load_pieces(&BTreeMap::new()).unwrap().len(), 8);
        let at_start = pieces("question", "start").unwrap();
        assert_eq!(at_start.len(), 4);
        assert!(
            at_start
                .iter()
                .all(|sample| sample.prompt.starts_with("Question: "))
        );
        let two = pieces("samples", "2").unwrap();
        assert_eq!(two[0].document, two[1].document);
        assert!(pieces("length", "512").is_err());
    }

    #[test]
    fn zero_samples_and_other_lengths_are_refused() {
        for (key, value) in [("samples", "0"), ("length", "2048"), ("samples", "-1")] {
            let options = BTreeMap::from([(key.to_owned(), value.to_owned())]);
            let error = check("demo", &options).unwrap_err().to_string();
            assert!(error.contains(key) && error.contains(value), "{error}");
        }
    }
}
