//! The options of RULER's tasks.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use super::haystack::Kind;
use super::task::RulerTask;
use crate::error::DatasetError;
use crate::generate::size::LengthUnit;
use crate::sample::QuestionPlace;

/// Shortest and longest prompt, in tokens.
const LENGTHS: RangeInclusive<usize> = 128..=1_048_576;

/// How many samples are made at most.
const SAMPLES: RangeInclusive<u64> = 1..=10_000;

/// What was asked of a task.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::generate) struct Settings {
    /// Target of the prompt, in `unit`.
    pub length: usize,
    /// What `length` counts.
    pub unit: LengthUnit,
    pub place: QuestionPlace,
    pub samples: u64,
    pub seed: u64,
    /// Where the needle lies; spread evenly over the samples when `None`.
    pub depth: Option<f64>,
    /// The haystack, where it is not the task's own.
    pub(super) haystack: Option<Kind>,
    /// The task's own numbers by name (keys, values, hops and so on).
    pub counts: BTreeMap<&'static str, usize>,
}

impl Settings {
    /// # Errors
    /// An option that the task does not have, a value out of range.
    pub(super) fn read(
        task: RulerTask,
        options: &BTreeMap<String, String>,
        haystack: Option<&Kind>,
    ) -> Result<Self, DatasetError> {
        let known = task.built_in();
        let mut settings = Self {
            length: 4_096,
            unit: LengthUnit::default(),
            place: QuestionPlace::End,
            samples: 16,
            seed: 0,
            depth: None,
            haystack: haystack.cloned(),
            counts: task
                .counts()
                .iter()
                .map(|(name, usual, _)| (*name, *usual))
                .collect(),
        };
        for (key, value) in options {
            let expected = known.known_option(key)?;
            if key == "haystack" {
                continue;
            }
            settings
                .set(task, key, value)
                .ok_or_else(|| DatasetError::OptionValue {
                    task: task.name().to_owned(),
                    option: key.clone(),
                    value: value.clone(),
                    expected: expected.to_owned(),
                })?;
        }
        Ok(settings)
    }

    /// `None` when the value is not one of those accepted.
    fn set(&mut self, task: RulerTask, key: &str, value: &str) -> Option<()> {
        match key {
            "length" => self.length = number(value, &LENGTHS)?,
            "question" => self.place = QuestionPlace::from_label(value)?,
            "samples" => self.samples = number(value, &SAMPLES)?,
            "seed" => self.seed = value.parse().ok()?,
            "count" => self.unit = LengthUnit::from_label(value)?,
            "depth" if value == "sweep" => self.depth = None,
            "depth" => self.depth = Some(number(value, &(0.0..=1.0))?),
            _ => {
                let counts = task.counts().iter();
                let (name, _, range) = counts.copied().find(|(name, _, _)| *name == key)?;
                let (least, most) = range;
                self.counts.insert(name, number(value, &(least..=most))?);
            }
        }
        Some(())
    }

    /// The task's own number of this name.
    pub(super) fn count(&self, name: &str) -> usize {
        self.counts.get(name).copied().unwrap_or(1)
    }

    /// How many words the user's text has, where things are hidden in one.
    pub(in crate::generate) fn haystack_words(&self) -> Option<usize> {
        self.haystack.as_ref().and_then(Kind::words)
    }

    /// Where the needle of sample `index` lies, from 0 to 1.
    pub(super) fn depth_of(&self, index: u64) -> f64 {
        match self.depth {
            Some(depth) => depth,
            None => (index % self.samples) as f64 / (self.samples - 1).max(1) as f64,
        }
    }
}

fn number<N: std::str::FromStr + PartialOrd>(text: &str, range: &RangeInclusive<N>) -> Option<N> {
    text.parse().ok().filter(|number| range.contains(number))
}
