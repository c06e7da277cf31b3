//! Several questions about one document, none of which contradicts another.

use super::document::Document;
use super::random::Random;
use super::task::{Draft, Task};
use super::tokens::estimate;
use super::told::Told;

/// Questions with their answers, and what their document must hold.
#[derive(Default)]
pub(super) struct Interview {
    told: Told,
    drafts: Vec<Draft>,
    /// Estimated tokens of all questions and answers and of what they need.
    tokens: usize,
}

impl Interview {
    /// Asks the first question, with the task's own number drawn from all that it may be and made
    /// smaller, down to 1, until the question with all it brings takes no more than `room` tokens.
    pub(super) fn open(&mut self, random: &mut Random, task: Task, room: usize) {
        for count in (2..=draw_count(random, task)).rev() {
            if self.admit(random, task, count, room) {
                return;
            }
        }
        self.admit(random, task, 1, usize::MAX);
    }

    /// Asks one more question unless all together would take more than `room` tokens. The task's own
    /// number is made smaller as in `open`, but not below what its option accepts.
    pub(super) fn ask(&mut self, random: &mut Random, task: Task, room: usize) {
        let least = *task.counts().start();
        for count in (least..=draw_count(random, task)).rev() {
            if self.admit(random, task, count, room) {
                return;
            }
        }
    }

    fn admit(&mut self, random: &mut Random, task: Task, count: usize, room: usize) -> bool {
        let mut told = self.told.clone();
        let draft = task.draft(random, &mut told, count);
        let tokens = self.tokens + estimate_draft(&draft);
        // the words of unusual codes run out
        let is_whole = draft.values.len() == count;
        let fits = is_whole && tokens <= room;
        if fits {
            self.told = told;
            self.tokens = tokens;
            self.drafts.push(draft);
        }
        fits
    }

    /// The text of the document, so long that with all questions and answers it comes to `length`
    /// tokens, and the questions with their answers.
    pub(super) fn finish(self, random: &mut Random, length: usize) -> (String, Vec<Draft>) {
        let needed: Vec<Vec<String>> = self
            .drafts
            .iter()
            .map(|draft| draft.needed.clone())
            .collect();
        let needed = interleave(random, needed);
        let in_document: usize = needed.iter().map(|text| estimate(text)).sum();
        let target = length.saturating_sub(self.tokens - in_document);
        let material = self.told.into_material(needed, None);
        let document = Document::build(random, target, material);
        (document.text, self.drafts)
    }
}

fn draw_count(random: &mut Random, task: Task) -> usize {
    let counts = task.counts();
    counts.start() + random.below(counts.end() - counts.start() + 1)
}

fn estimate_draft(draft: &Draft) -> usize {
    let texts = draft.answer.iter().chain(&draft.needed);
    let texts: usize = texts.map(|text| estimate(text)).sum();
    estimate("Question: Answer:") + estimate(&draft.question) + texts
}

/// All texts in a random order that keeps the order within each list.
fn interleave(random: &mut Random, lists: Vec<Vec<String>>) -> Vec<String> {
    let mut turns = Vec::new();
    for (number, list) in lists.iter().enumerate() {
        turns.extend(list.iter().map(|_| number));
    }
    random.shuffle(&mut turns);
    let mut lists: Vec<_> = lists.into_iter().map(Vec::into_iter).collect();
    turns
        .into_iter()
        .filter_map(|number| lists.get_mut(number)?.next())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn interview(task: Task, room: usize, questions: usize) -> Interview {
        let mut random = Random::new(3, 0, 0, 0);
        let mut interview = Interview::default();
        interview.open(&mut random, task, room);
        for _ in 1..questions {
            interview.ask(&mut random, task, room);
        }
        interview
    }

    #[test]
    fn the_first_question_is_asked_even_where_only_its_least_form_fits() {
        for task in Task::ALL {
            let interview = interview(task, 0, 8);
            assert_eq!(interview.drafts.len(), 1, "{task:?}");
            assert_eq!(interview.drafts[0].values.len(), 1, "{task:?}");
            // what the shortest training text has
            assert!(interview.tokens <= 64, "{task:?}: {}", interview.tokens);
        }
    }

    #[test]
    fn questions_are_asked_while_there_is_room() {
        for task in Task::ALL {
            let short = interview(task, 300, 20);
            assert!((150..=300).contains(&short.tokens), "{}", short.tokens);
            let drafts = short.drafts.len();
            assert!((2..20).contains(&drafts), "{task:?}: {drafts}");
        }
    }

    #[test]
    fn no_word_of_an_unusual_code_is_used_twice_even_when_they_run_out() {
        let interview = interview(Task::MultiNiah, 100_000, 200);
        let values = interview.drafts.iter().flat_map(|draft| &draft.values);
        let words: Vec<&str> = values.flat_map(|value| value.split(' ')).collect();
        let distinct: std::collections::BTreeSet<&str> = words.iter().copied().collect();
        assert_eq!(distinct.len(), words.len());
        // 98 words make 49 codes; every question is for two or more, so one may be left
        assert!((96..=98).contains(&words.len()), "{}", words.len());
    }

    #[test]
    fn lists_are_interleaved_in_their_order() {
        let lists = vec![vec!["a1", "a2", "a3"], vec!["b1", "b2"], vec![]];
        let lists: Vec<Vec<String>> = lists
            .into_iter()
            .map(|list| list.into_iter().map(str::to_owned).collect())
            .collect();
        let mut seen = std::collections::BTreeSet::new();
        for index in 0..500 {
            let texts = interleave(&mut Random::new(1, index, 0, 0), lists.clone());
            let of = |letter: &str| {
                let texts = texts.iter().map(String::as_str);
                texts
                    .filter(|text| text.starts_with(letter))
                    .collect::<Vec<_>>()
            };
            assert_eq!(
                (of("a"), of("b")),
                (vec!["a1", "a2", "a3"], vec!["b1", "b2"])
            );
            seen.insert(texts.clone());
        }
        assert_eq!(seen.len(), 10);
    }
}
