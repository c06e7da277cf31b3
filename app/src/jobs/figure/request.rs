//! A figure as plain data, and as the command that makes it.

use std::path::PathBuf;

use kvlens_analysis::profile::ProfileNumber;
use kvlens_analysis::{Budget, Compare, Metric, StepRange};
use serde::{Deserialize, Serialize};

use super::{KindChoice, WidthChoice};
use crate::measurement::MeasureOptions;
use crate::measurement::places::Sweep;

/// What a figure shall be.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FigureRequest {
    /// Session folders, or folders of sessions.
    pub sessions: Vec<PathBuf>,
    /// What it shows.
    pub kind: KindChoice,
    /// The file to write; its ending names the format.
    pub out: PathBuf,
    /// Samples by their ids; all if empty.
    pub samples: Vec<String>,
    /// Windows in order; all if empty.
    pub windows: Vec<String>,
    /// The window that a difference takes off the others.
    pub against: Option<String>,
    /// Layers that means are over; all if empty.
    pub layers: Vec<usize>,
    /// Heads of each layer; all if empty.
    pub heads: Vec<usize>,
    /// The budget of figures that are about one.
    pub budget: Budget,
    /// The metric of figures that show one.
    pub metric: Metric,
    /// The number of the heads' profiles of the figure that shows one.
    pub profile: ProfileNumber,
    /// How far apart windows may be to count as equivalent, if they may at all.
    pub margin: Option<f64>,
    /// Width of the page.
    pub width: WidthChoice,
    /// Size of the text in points.
    pub font_size: f64,
    /// The ends of the value axis or the colour bar, instead of the kind's own.
    pub range: Option<(f64, f64)>,
    /// How a window is swept through places.
    pub sweep: Sweep,
    /// Decode steps from one ranking of the cache to the next.
    pub rank_every: usize,
    /// How windows and oracle are scored.
    pub options: MeasureOptions,
    /// The words behind `kvlens` that asked for it; empty where nobody typed any.
    pub typed: Vec<String>,
}

impl FigureRequest {
    /// The words behind `kvlens`: those that were typed, or else such as ask for the same.
    #[must_use]
    pub fn words(&self) -> Vec<String> {
        if !self.typed.is_empty() {
            return self.typed.clone();
        }
        let mut words = vec!["figure".to_owned()];
        words.extend(
            self.sessions
                .iter()
                .map(|session| session.display().to_string()),
        );
        let mut flag = |name: &str, values: Vec<String>| {
            if !values.is_empty() {
                words.push(name.to_owned());
                words.extend(values);
            }
        };
        let numbers = |numbers: &[usize]| {
            let joined: Vec<String> = numbers.iter().map(usize::to_string).collect();
            Some(joined.join(",")).filter(|text| !text.is_empty())
        };
        flag("--kind", vec![self.kind.name().to_owned()]);
        flag("--out", vec![self.out.display().to_string()]);
        flag("--sample", self.samples.clone());
        flag("--window", self.windows.clone());
        flag("--against", self.against.clone().into_iter().collect());
        flag("--layer", numbers(&self.layers).into_iter().collect());
        flag("--head", numbers(&self.heads).into_iter().collect());
        flag("--budget", vec![self.budget.to_string()]);
        flag("--metric", vec![metric_word(self.metric).to_owned()]);
        if self.kind == KindChoice::Profile {
            flag("--profile", vec![self.profile.to_string()]);
        }
        let margin = self.margin.filter(|_| self.kind.is_tested());
        flag("--equivalent", margin.iter().map(f64::to_string).collect());
        flag("--width", vec![self.width.name().to_owned()]);
        flag("--font-size", vec![self.font_size.to_string()]);
        if let Some((low, high)) = self.range {
            words.push(format!("--range={low}:{high}"));
        }
        words.extend(scoring_words(&self.options));
        if self.kind == KindChoice::Place {
            words.push(format!("--place-width={}", self.sweep.width));
            words.push(format!("--place-stride={}", self.sweep.stride));
        }
        if self.kind == KindChoice::DecodeEviction {
            words.push(format!("--rank-every={}", self.rank_every));
        }
        words
    }

    /// What was chosen and plays no part in a figure of this kind, as it is typed.
    #[must_use]
    pub fn without_part(&self) -> Vec<String> {
        let kind = self.kind;
        let is_shown = kind.metric(self.metric) == Some(self.metric);
        let metric = (self.metric != Metric::Recall && !is_shown)
            .then(|| format!("--metric {}", metric_word(self.metric)));
        let against = self.against.as_ref();
        let against = against.filter(|_| kind != KindChoice::HeadDifference);
        let margin = self.margin.filter(|_| !kind.is_tested());
        let unused = [
            metric,
            against.map(|window| format!("--against {window}")),
            margin.map(|margin| format!("--equivalent {margin}")),
        ];
        unused.into_iter().flatten().collect()
    }
}

/// How a metric is typed.
#[must_use]
pub fn metric_word(metric: Metric) -> &'static str {
    match metric {
        Metric::Recall => "recall",
        Metric::KeptRecall => "kept-recall",
        Metric::HitRate => "hit-rate",
        Metric::Jaccard => "jaccard",
        Metric::Mass => "mass",
        Metric::MassOfOracle => "mass-of-oracle",
        Metric::EvidenceKept => "evidence-kept",
        Metric::OutputError => "output-error",
    }
}

/// A command as a shell takes it.
#[must_use]
pub fn command_line(words: &[String]) -> String {
    let quoted = words.iter().map(|word| quoted(word));
    std::iter::once("kvlens".to_owned())
        .chain(quoted)
        .collect::<Vec<_>>()
        .join(" ")
}

/// The flags that ask for these options.
fn scoring_words(options: &MeasureOptions) -> Vec<String> {
    let mut words = Vec::new();
    let mut flag = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            words.extend([name.to_owned(), value]);
        }
    };
    let count = |count: usize| (count > 0).then(|| count.to_string());
    let text = |value: Option<&dyn std::fmt::Display>| value.map(|value| value.to_string());
    let MeasureOptions {
        compare,
        overrides,
        exempt,
        keep_recent,
        oracle,
        through,
    } = options;
    let compare = (*compare != Compare::default()).then(|| compare.to_string());
    flag("--compare", compare);
    flag("--exempt-recent", count(exempt.recent));
    flag("--exempt-sinks", count(exempt.sinks));
    flag(
        "--keep-recent",
        keep_recent.map(|recent| recent.to_string()),
    );
    flag(
        "--reduce",
        text(overrides.reduce.as_ref().map(|it| it as _)),
    );
    flag("--pool", text(overrides.pool.as_ref().map(|it| it as _)));
    flag("--group", text(overrides.group.as_ref().map(|it| it as _)));
    let order = overrides.group_order.as_ref().map(|it| it as _);
    flag("--order", text(order));
    flag("--keys", text(overrides.keys.as_ref().map(|it| it as _)));
    let steps = (oracle.steps != StepRange::default()).then(|| oracle.steps.to_string());
    flag("--oracle-steps", steps);
    flag(
        "--oracle-reduce",
        text(oracle.reduce.as_ref().map(|it| it as _)),
    );
    flag(
        "--oracle-keys",
        text(oracle.keys.as_ref().map(|it| it as _)),
    );
    let weight = overrides.weight.as_ref().map(|it| it as _);
    flag("--weight", text(weight));
    let weight = oracle.weight.as_ref().map(|it| it as _);
    flag("--oracle-weight", text(weight));
    flag(
        "--through",
        (!through.is_head()).then(|| through.to_string()),
    );
    words
}

fn quoted(argument: &str) -> String {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "-_=:,./+%@".contains(letter);
    match !argument.is_empty() && argument.chars().all(plain) {
        true => argument.to_owned(),
        false => format!("'{}'", argument.replace('\'', "'\\''")),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::jobs::measure::DEFAULT_SWEEP;

    /// A figure of one session with the defaults of the command line.
    pub fn request(kind: KindChoice) -> FigureRequest {
        FigureRequest {
            sessions: vec![PathBuf::from("s.kvlens")],
            kind,
            out: PathBuf::from("figure.svg"),
            samples: Vec::new(),
            windows: Vec::new(),
            against: None,
            layers: Vec::new(),
            heads: Vec::new(),
            budget: Budget::Tokens(64),
            metric: Metric::Recall,
            profile: ProfileNumber::default(),
            margin: None,
            width: WidthChoice::Single,
            font_size: 7.0,
            range: None,
            sweep: DEFAULT_SWEEP,
            rank_every: 16,
            options: MeasureOptions::default(),
            typed: Vec::new(),
        }
    }

    #[test]
    fn choices_that_a_kind_does_not_know_are_named() {
        let chosen = |kind| FigureRequest {
            metric: Metric::Mass,
            against: Some("last:8".to_owned()),
            margin: Some(0.02),
            ..request(kind)
        };
        let without = |kind| chosen(kind).without_part();
        assert!(without(KindChoice::HeadDifference).is_empty());
        assert_eq!(without(KindChoice::Winner), ["--against last:8"]);
        let all = ["--metric mass", "--against last:8", "--equivalent 0.02"];
        assert_eq!(without(KindChoice::DecodeStep), all);
        assert_eq!(without(KindChoice::Kl), all);
        assert_eq!(without(KindChoice::Profile), all[1..]);
        assert!(request(KindChoice::Kl).without_part().is_empty());
        let of_output = FigureRequest {
            metric: Metric::OutputError,
            ..request(KindChoice::DecodeStep)
        };
        assert!(of_output.without_part().is_empty());
    }

    #[test]
    fn arguments_are_quoted_for_a_shell() {
        assert_eq!(quoted("laq++:n=8"), "laq++:n=8");
        assert_eq!(quoted("my run.kvlens"), "'my run.kvlens'");
        assert_eq!(quoted("it's"), "'it'\\''s'");
        assert_eq!(quoted(""), "''");
    }
}
