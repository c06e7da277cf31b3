//! The options of the generated tasks.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use super::size::LengthUnit;
use super::task::Task;
use crate::error::DatasetError;
use crate::sample::QuestionPlace;

/// Shortest and longest prompt, in estimated tokens.
const LENGTHS: RangeInclusive<usize> = 128..=131_072;

/// How many samples `load` makes at most; the generator itself has no end.
const SAMPLES: RangeInclusive<u64> = 1..=10_000;

/// Where the needle of `niah` lies.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Depth {
    /// At this share of the document.
    At(f64),
    /// Spread evenly from 0 to 1 over the samples.
    Sweep,
}

/// What was asked of a task.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Settings {
    /// Target of the prompt, in `unit`.
    pub length: usize,
    /// Where the question stands.
    pub place: QuestionPlace,
    /// How many samples `load` makes.
    pub samples: u64,
    /// Chooses among all texts of the task.
    pub seed: u64,
    /// Only `niah` looks at it.
    pub depth: Depth,
    /// What `length` counts.
    pub unit: LengthUnit,
    /// The task's own number (facts, needles, hops and so on), when it was given.
    pub count: Option<usize>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            length: 1024,
            place: QuestionPlace::End,
            samples: 16,
            seed: 0,
            depth: Depth::At(0.5),
            unit: LengthUnit::default(),
            count: None,
        }
    }
}

impl Settings {
    /// # Errors
    /// An option that the task does not have, a value out of range, a length too short.
    pub(super) fn read(
        task: Task,
        options: &BTreeMap<String, String>,
    ) -> Result<Self, DatasetError> {
        let known = task.built_in();
        let mut settings = Self::default();
        for (key, value) in options {
            let expected = known.known_option(key)?;
            settings
                .set(task, key, value)
                .ok_or_else(|| DatasetError::OptionValue {
                    task: task.name().to_owned(),
                    option: key.clone(),
                    value: value.clone(),
                    expected: expected.to_owned(),
                })?;
        }
        let needed = task.shortest_length(&settings);
        if settings.length < needed {
            return Err(DatasetError::LengthTooShort {
                task: task.name().to_owned(),
                length: settings.length,
                needed,
            });
        }
        Ok(settings)
    }

    /// `None` when the value is not one of those accepted.
    fn set(&mut self, task: Task, key: &str, value: &str) -> Option<()> {
        match key {
            "length" => self.length = number(value, &LENGTHS)?,
            "question" => self.place = QuestionPlace::from_label(value)?,
            "samples" => self.samples = number(value, &SAMPLES)?,
            "count" => self.unit = LengthUnit::from_label(value)?,
            "seed" => self.seed = value.parse().ok()?,
            "depth" if value == "sweep" => self.depth = Depth::Sweep,
            "depth" => self.depth = Depth::At(number(value, &(0.0..=1.0))?),
            _ => self.count = Some(number(value, &task.counts())?),
        }
        Some(())
    }

    /// Where the needle of sample `index` lies, from 0 to 1.
    pub(super) fn depth_of(&self, index: u64) -> f64 {
        match self.depth {
            Depth::At(depth) => depth,
            Depth::Sweep => (index % self.samples) as f64 / (self.samples - 1).max(1) as f64,
        }
    }
}

fn number<N: std::str::FromStr + PartialOrd>(text: &str, range: &RangeInclusive<N>) -> Option<N> {
    text.parse().ok().filter(|number| range.contains(number))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(task: Task, options: &[(&str, &str)]) -> Result<Settings, DatasetError> {
        let options = options
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect();
        Settings::read(task, &options)
    }

    #[test]
    fn every_option_is_read() {
        let options = [
            ("length", "512"),
            ("question", "both"),
            ("samples", "5"),
            ("seed", "7"),
            ("depth", "sweep"),
        ];
        let settings = read(Task::Niah, &options).unwrap();
        assert_eq!(
            (
                settings.length,
                settings.place,
                settings.samples,
                settings.seed
            ),
            (512, QuestionPlace::Both, 5, 7)
        );
        let depths: Vec<f64> = (0..6).map(|index| settings.depth_of(index)).collect();
        assert_eq!(depths, [0.0, 0.25, 0.5, 0.75, 1.0, 0.0]);
        assert_eq!(
            read(Task::MultiNiah, &[("needles", "3")]).unwrap().count,
            Some(3)
        );
        assert_eq!(
            read(Task::Niah, &[("samples", "1"), ("depth", "sweep")])
                .unwrap()
                .depth_of(0),
            0.0
        );
    }

    #[test]
    fn values_out_of_range_are_refused_with_what_is_accepted() {
        let wrong = [
            ("length", "127"),
            ("length", "131073"),
            ("question", "middle"),
            ("samples", "0"),
            ("seed", "-1"),
            ("depth", "1.1"),
            ("depth", "-0.1"),
            ("depth", "NaN"),
        ];
        for (key, value) in wrong {
            let error = read(Task::Niah, &[(key, value)]).unwrap_err();
            assert!(
                matches!(&error, DatasetError::OptionValue { option, .. } if option == key),
                "{error}"
            );
            assert!(
                error.to_string().contains(&format!("{key}={value}")),
                "{error}"
            );
        }
        for value in ["1", "99", "two"] {
            assert!(
                read(Task::MultiNiah, &[("needles", value)]).is_err(),
                "{value}"
            );
        }
    }

    #[test]
    fn an_option_of_another_task_is_unknown() {
        for (task, key) in [
            (Task::Facts, "depth"),
            (Task::Niah, "hops"),
            (Task::List, "needles"),
        ] {
            let error = read(task, &[(key, "2")]).unwrap_err();
            assert!(
                matches!(error, DatasetError::UnknownOption { .. }),
                "{error}"
            );
        }
    }

    #[test]
    fn a_length_too_short_for_the_facts_is_refused() {
        let options = [("length", "128"), ("needles", "7"), ("question", "both")];
        let error = read(Task::MultiNiah, &options).unwrap_err();
        assert!(
            matches!(error, DatasetError::LengthTooShort { length: 128, needed, .. } if needed > 128),
            "{error}"
        );
    }
}
