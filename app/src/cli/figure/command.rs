//! A figure as the command that makes it: the workbench runs the very words that it shows.

use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::{Parser, ValueEnum};
use kvlens_analysis::{Budget, Metric};
use kvlens_sessions::CancelFlag;

use super::super::args::{Arguments, Command};
use super::super::measure_arguments::{MetricChoice, scoring_words};
use super::super::progress::Watch;
use super::{KindChoice, WidthChoice, make};
use crate::measurement::MeasureOptions;

/// What a figure shall be, as choices instead of words.
#[derive(Clone, Debug, PartialEq)]
pub struct FigureRequest {
    /// The session's folder.
    pub session: PathBuf,
    /// What it shows.
    pub kind: KindChoice,
    /// The file to write.
    pub out: PathBuf,
    /// Windows in order; all if empty.
    pub windows: Vec<String>,
    /// The window that a difference takes off the others.
    pub against: Option<String>,
    /// Layers and heads that means are over; all if empty.
    pub layers: Vec<usize>,
    /// Heads of each layer.
    pub heads: Vec<usize>,
    /// The budget of figures that are about one.
    pub budget: Budget,
    /// The metric of figures that show one.
    pub metric: Metric,
    /// Width of the page.
    pub width: WidthChoice,
    /// Size of the text in points.
    pub font_size: f64,
    /// How windows and oracle are scored.
    pub options: MeasureOptions,
}

impl FigureRequest {
    /// The words behind `kvlens`.
    #[must_use]
    pub fn words(&self) -> Vec<String> {
        let mut words = vec!["figure".to_owned(), self.session.display().to_string()];
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
        flag("--kind", vec![self.kind.name()]);
        flag("--out", vec![self.out.display().to_string()]);
        flag("--window", self.windows.clone());
        flag("--against", self.against.clone().into_iter().collect());
        flag("--layer", numbers(&self.layers).into_iter().collect());
        flag("--head", numbers(&self.heads).into_iter().collect());
        flag("--budget", vec![self.budget.to_string()]);
        flag("--metric", vec![name(&metric_choice(self.metric))]);
        flag("--width", vec![name(&self.width)]);
        flag("--font-size", vec![self.font_size.to_string()]);
        words.extend(scoring_words(&self.options));
        words
    }
}

fn name(choice: &impl ValueEnum) -> String {
    let value = choice.to_possible_value();
    value.map_or_else(String::new, |value| value.get_name().to_owned())
}

fn metric_choice(metric: Metric) -> MetricChoice {
    let mut choices = MetricChoice::value_variants().iter().copied();
    let found = choices.find(|choice| Metric::from(*choice) == metric);
    found.unwrap_or_default()
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

/// Makes the figure that the words ask for; gives the names of its files.
///
/// # Errors
/// Words that are no figure command, and whatever the command itself refuses.
pub fn run_words(
    words: &[String],
    cancel: &CancelFlag,
    watch: &mut dyn Watch,
) -> Result<Vec<String>> {
    let typed = std::iter::once("kvlens").chain(words.iter().map(String::as_str));
    match Arguments::try_parse_from(typed)?.command {
        Some(Command::Figure(arguments)) => make(&arguments, words, cancel, watch),
        _ => bail!("this command makes no figure: {}", command_line(words)),
    }
}

fn quoted(argument: &str) -> String {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "-_=:,./+%@".contains(letter);
    match !argument.is_empty() && argument.chars().all(plain) {
        true => argument.to_owned(),
        false => format!("'{}'", argument.replace('\'', "'\\''")),
    }
}

#[cfg(test)]
mod tests {
    use kvlens_analysis::{ForcedKeep, Pooling};

    use super::*;

    #[test]
    fn arguments_are_quoted_for_a_shell() {
        assert_eq!(quoted("laq++:n=8"), "laq++:n=8");
        assert_eq!(quoted("my run.kvlens"), "'my run.kvlens'");
        assert_eq!(quoted("it's"), "'it'\\''s'");
        assert_eq!(quoted(""), "''");
    }

    #[test]
    fn the_words_of_a_request_are_understood_as_it_was_meant() {
        let mut options = MeasureOptions::default();
        options.overrides.pool = Some(Pooling::None);
        options.exempt = ForcedKeep {
            sinks: 4,
            recent: 32,
        };
        options.oracle.steps = "5-8".parse().unwrap();
        let request = FigureRequest {
            session: PathBuf::from("my run.kvlens"),
            kind: KindChoice::HeadDifference,
            out: PathBuf::from("a.pdf"),
            windows: vec!["last:32".to_owned(), "laq:n=8".to_owned()],
            against: Some("last:32".to_owned()),
            layers: vec![1, 2],
            heads: vec![3],
            budget: "5%".parse().unwrap(),
            metric: Metric::MassOfOracle,
            width: WidthChoice::Double,
            font_size: 8.0,
            options,
        };
        let words = request.words();
        let typed = std::iter::once("kvlens".to_owned()).chain(words);
        let parsed = Arguments::try_parse_from(typed).unwrap();
        let Some(Command::Figure(arguments)) = parsed.command else {
            panic!("no figure");
        };
        assert_eq!(arguments.sessions, [request.session]);
        assert_eq!(arguments.kind, request.kind);
        assert_eq!(arguments.out, request.out);
        assert_eq!(arguments.window, request.windows);
        assert_eq!(arguments.against, request.against);
        assert_eq!((arguments.layer, arguments.head), (vec![1, 2], vec![3]));
        assert_eq!(arguments.budget, request.budget);
        assert_eq!(Metric::from(arguments.metric), request.metric);
        assert_eq!(arguments.width, request.width);
        assert_eq!(arguments.font_size, request.font_size);
        assert_eq!(arguments.scoring.options(), options);
    }
}
