//! The tasks: their names, options, and what each hides.

use super::haystack::Kind;
use super::needles::{self, Needles, Value};
use super::options::Settings;
use super::{Plan, hard, questions, variables, words};
use crate::builtin::BuiltInTask;
use crate::error::DatasetError;
use crate::generate::random::Random;

/// One task. The numbers are part of what a seed means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RulerTask {
    Single1 = 1,
    Single2 = 2,
    Single3 = 3,
    Multikey1 = 4,
    Multikey2 = 5,
    Multikey3 = 6,
    Multivalue = 7,
    Multiquery = 8,
    VariableTracking = 9,
    CommonWords = 10,
    FrequentWords = 11,
    Qa1 = 12,
    Qa2 = 13,
    Hard = 14,
}

/// A task's own numbers: name, what it is when not given, least and most.
type Counts = &'static [(&'static str, usize, (usize, usize))];

macro_rules! options {
    ($($own:literal),*) => {
        &[
            "length=128..1048576", "question=start|end|both|absent", $($own,)* "samples=1..10000", "seed=N",
            "count=model|words",
        ]
    };
}

/// The tasks as help texts show them, in the order of their numbers.
pub(crate) const TASKS: [BuiltInTask; 14] = [
    BuiltInTask {
        name: "niah_single_1",
        summary: "RULER's; a number told once among noise",
        options: options!("depth=0..1|sweep", "haystack=noise|generated|FILE"),
    },
    BuiltInTask {
        name: "niah_single_2",
        summary: "RULER's; a number told once in prose",
        options: options!("depth=0..1|sweep", "haystack=noise|generated|FILE"),
    },
    BuiltInTask {
        name: "niah_single_3",
        summary: "RULER's; a long identifier told once in prose",
        options: options!("depth=0..1|sweep", "haystack=noise|generated|FILE"),
    },
    BuiltInTask {
        name: "niah_multikey_1",
        summary: "RULER's; the numbers of several keys in prose, one is asked for",
        options: options!("keys=2..16", "haystack=noise|generated|FILE"),
    },
    BuiltInTask {
        name: "niah_multikey_2",
        summary: "RULER's; the number of one key among those of many others",
        options: options!(),
    },
    BuiltInTask {
        name: "niah_multikey_3",
        summary: "RULER's; the identifier of one identifier among those of many others",
        options: options!(),
    },
    BuiltInTask {
        name: "niah_multivalue",
        summary: "RULER's; several numbers of one key in prose, all are asked for",
        options: options!("values=2..16", "haystack=noise|generated|FILE"),
    },
    BuiltInTask {
        name: "niah_multiquery",
        summary: "RULER's; the numbers of several keys in prose, all are asked for",
        options: options!("queries=2..16", "haystack=noise|generated|FILE"),
    },
    BuiltInTask {
        name: "vt",
        summary: "RULER's; variables set to each other among noise, all of one value are asked for",
        options: options!("hops=1..16", "chains=1..8", "haystack=noise|generated|FILE"),
    },
    BuiltInTask {
        name: "cwe",
        summary: "RULER's; a list of words, the ten most common are asked for",
        options: options!("common=1..20"),
    },
    BuiltInTask {
        name: "fwe",
        summary: "RULER's; made-up words by Zipf's law, the three most frequent are asked for",
        options: options!(),
    },
    BuiltInTask {
        name: "qa_1",
        summary: "RULER's; generated documents on people, a question about one",
        options: options!(),
    },
    BuiltInTask {
        name: "qa_2",
        summary: "RULER's; generated documents on people, a question across two",
        options: options!(),
    },
    BuiltInTask {
        name: "niah_hard",
        summary: "a needle that shares no word with its question but a name, with decoys",
        options: options!(
            "depth=0..1|sweep",
            "decoys=0..32",
            "haystack=noise|generated|FILE"
        ),
    },
];

impl RulerTask {
    pub(super) const ALL: [Self; 14] = [
        Self::Single1,
        Self::Single2,
        Self::Single3,
        Self::Multikey1,
        Self::Multikey2,
        Self::Multikey3,
        Self::Multivalue,
        Self::Multiquery,
        Self::VariableTracking,
        Self::CommonWords,
        Self::FrequentWords,
        Self::Qa1,
        Self::Qa2,
        Self::Hard,
    ];

    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|task| task.name() == name)
    }

    pub(super) fn name(self) -> &'static str {
        self.built_in().name
    }

    pub(super) fn built_in(self) -> &'static BuiltInTask {
        &TASKS[self as usize - 1]
    }

    /// Whether the option `depth` says where the needle lies.
    pub(super) fn has_depth(self) -> bool {
        matches!(
            self,
            Self::Single1 | Self::Single2 | Self::Single3 | Self::Hard
        )
    }

    pub(super) fn counts(self) -> Counts {
        match self {
            Self::Multikey1 => &[("keys", 4, (2, 16))],
            Self::Multivalue => &[("values", 4, (2, 16))],
            Self::Multiquery => &[("queries", 4, (2, 16))],
            Self::VariableTracking => &[("hops", 4, (1, 16)), ("chains", 1, (1, 8))],
            Self::CommonWords => &[("common", 10, (1, 20))],
            Self::Hard => &[("decoys", 4, (0, 32))],
            _ => &[],
        }
    }

    /// How many tokens RULER generates for such a task.
    pub(super) fn answer_tokens(self) -> usize {
        match self {
            Self::VariableTracking => 30,
            Self::CommonWords => 120,
            Self::FrequentWords => 50,
            Self::Qa1 | Self::Qa2 => 32,
            _ => 128,
        }
    }

    /// What is hidden and asked in one sample.
    ///
    /// # Errors
    /// A length too short for what the task holds at least.
    pub(super) fn plan(
        self,
        random: &mut Random,
        settings: &Settings,
        depth: Option<f64>,
    ) -> Result<Plan, DatasetError> {
        let hay = |usual: Kind| settings.haystack.clone().unwrap_or(usual);
        let numbers = Needles {
            depth,
            ..Needles::default()
        };
        Ok(match self {
            Self::Single1 => needles::plan(random, &hay(Kind::Noise), &numbers),
            Self::Single2 => needles::plan(random, &hay(Kind::Prose), &numbers),
            Self::Single3 => {
                let needles = Needles {
                    value: Value::Identifier,
                    ..numbers
                };
                needles::plan(random, &hay(Kind::Prose), &needles)
            }
            Self::Multikey1 => {
                let needles = Needles {
                    keys: settings.count("keys"),
                    ..numbers
                };
                needles::plan(random, &hay(Kind::Prose), &needles)
            }
            Self::Multikey2 => needles::among_needles(random, Value::Number),
            Self::Multikey3 => needles::among_needles(random, Value::Identifier),
            Self::Multivalue => {
                let needles = Needles {
                    values: settings.count("values"),
                    ..numbers
                };
                needles::plan(random, &hay(Kind::Prose), &needles)
            }
            Self::Multiquery => {
                let queries = settings.count("queries");
                let needles = Needles {
                    keys: queries,
                    asked: queries,
                    ..numbers
                };
                needles::plan(random, &hay(Kind::Prose), &needles)
            }
            Self::VariableTracking => {
                let (hops, chains) = (settings.count("hops"), settings.count("chains"));
                variables::plan(random, &hay(Kind::Noise), hops, chains)
            }
            Self::CommonWords => words::common(random, settings.count("common"), settings.length),
            Self::FrequentWords => words::frequent(random),
            Self::Qa1 => questions::one(random),
            Self::Qa2 => questions::two(random),
            Self::Hard => {
                let decoys = settings.count("decoys");
                hard::plan(random, &hay(Kind::Prose), depth.unwrap_or(0.5), decoys)
            }
        })
    }
}
