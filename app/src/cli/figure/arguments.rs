//! What can be typed behind `kvlens figure`.

use std::path::PathBuf;
use std::str::FromStr;

use clap::builder::PossibleValue;
use clap::{Args, ValueEnum};
use kvlens_analysis::Budget;
use kvlens_analysis::profile::ProfileNumber;

use super::super::args::at_least_one;
use super::super::measure_arguments::{ComparingArguments, MetricChoice, above_zero};
use crate::jobs::figure::{FigureRequest, KindChoice, WidthChoice};
use crate::jobs::measure::DEFAULT_SWEEP;
use crate::measurement::decode_eviction::USUAL_EVERY;
use crate::measurement::places::Sweep;

/// `kvlens figure`
#[derive(Debug, Args)]
pub struct FigureArguments {
    /// Session folders (NAME.kvlens), or folders of sessions
    #[arg(value_name = "SESSION", required = true)]
    pub sessions: Vec<PathBuf>,
    /// What the figure shows
    #[arg(long, value_enum)]
    pub kind: KindChoice,
    /// The file to write; its numbers (.parquet), its caption (.txt) and how to make it again (.json) are put beside it
    #[arg(long, value_name = "FILE.svg|.pdf|.png")]
    pub out: PathBuf,
    /// The samples that it is of, by their ids; all without it
    #[arg(long, value_name = "ID", num_args = 1..)]
    pub sample: Vec<String>,
    /// The windows to show, in this order; all without it
    #[arg(long, value_name = "WINDOW", num_args = 1..)]
    pub window: Vec<String>,
    /// The window that head-difference takes off the others; the first without it
    #[arg(long, value_name = "WINDOW")]
    pub against: Option<String>,
    /// Layers to take means over, such as 0,3; all without it
    #[arg(long, value_name = "LAYERS", value_delimiter = ',')]
    pub layer: Vec<usize>,
    /// Heads to take means over, such as 1,2; all without it
    #[arg(long, value_name = "HEADS", value_delimiter = ',')]
    pub head: Vec<usize>,
    /// The budget of figures that are about one
    #[arg(long, value_name = "BUDGET", default_value = "64")]
    pub budget: Budget,
    /// The metric of recall, recall-by-layer, layer, head-map, head-difference, winner, cost and profile; of decode-step
    /// and horizon recall or output-error
    #[arg(long, value_name = "METRIC", value_enum, default_value_t)]
    pub metric: MetricChoice,
    /// What `profile` draws the metric against: a column of profile.parquet or neighbour.parquet
    #[arg(long, value_name = "NUMBER", default_value_t)]
    pub profile: ProfileNumber,
    /// Also mark in head-difference and winner which windows are as good as each other: those whose difference lies
    /// within so much of the metric, such as 0.02, with its whole interval
    #[arg(long, value_name = "MARGIN", value_parser = above_zero)]
    pub equivalent: Option<f64>,
    /// What the figure stands in, which fixes its width
    #[arg(long, visible_alias = "style", value_enum, default_value_t)]
    pub width: WidthChoice,
    /// Size of the text in points; 7 without it, and 14 on slides
    #[arg(long, value_name = "POINTS")]
    pub font_size: Option<f64>,
    /// The ends of the value axis or the colour bar, such as 0:1, instead of the kind's own
    #[arg(long, value_name = "LOW:HIGH", allow_hyphen_values = true)]
    pub range: Option<Range>,
    /// Queries of the window that `place` sweeps
    #[arg(long, value_name = "W", default_value_t = DEFAULT_SWEEP.width, value_parser = at_least_one)]
    pub place_width: usize,
    /// Positions from one place of that window to the next
    #[arg(long, value_name = "N", default_value_t = DEFAULT_SWEEP.stride, value_parser = at_least_one)]
    pub place_stride: usize,
    /// Decode steps from one ranking of the cache to the next, for `decode-eviction`
    #[arg(long, value_name = "N", default_value_t = USUAL_EVERY, value_parser = at_least_one)]
    pub rank_every: usize,
    /// What is compared and how it is scored
    #[command(flatten)]
    pub comparing: ComparingArguments,
}

impl ValueEnum for KindChoice {
    fn value_variants<'a>() -> &'a [Self] {
        Self::ALL
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(PossibleValue::new(self.name()).help(self.summary()))
    }
}

impl ValueEnum for WidthChoice {
    fn value_variants<'a>() -> &'a [Self] {
        &Self::ALL
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(PossibleValue::new(self.name()).help(self.summary()))
    }
}

impl FigureArguments {
    /// The figure that is asked for; `typed` are the words of the command behind `kvlens`.
    pub fn request(&self, typed: Vec<String>) -> FigureRequest {
        FigureRequest {
            sessions: self.sessions.clone(),
            kind: self.kind,
            out: self.out.clone(),
            samples: self.sample.clone(),
            windows: self.window.clone(),
            against: self.against.clone(),
            layers: self.layer.clone(),
            heads: self.head.clone(),
            budget: self.budget,
            metric: self.metric.0,
            profile: self.profile,
            margin: self.equivalent,
            width: self.width,
            font_size: self.font_size.unwrap_or(self.width.font_size()),
            range: self.range.map(|Range(low, high)| (low, high)),
            sweep: Sweep {
                width: self.place_width,
                stride: self.place_stride,
            },
            rank_every: self.rank_every,
            options: self.comparing.options(),
            typed,
        }
    }
}

/// Two ends of an axis.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Range(pub f64, pub f64);

impl FromStr for Range {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let number = |text: &str| text.trim().parse::<f64>().ok();
        match text
            .split_once(':')
            .map(|(low, high)| (number(low), number(high)))
        {
            Some((Some(low), Some(high))) if low < high && (high - low).is_finite() => {
                Ok(Self(low, high))
            }
            _ => Err("write two numbers from low to high, such as 0:1 or -0.2:0.2".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use kvlens_analysis::{Compare, ForcedKeep, GroupOrder, KeySet, Metric, Pooling};

    use super::super::super::args::{Arguments, Command};
    use super::*;
    use crate::measurement::MeasureOptions;

    #[test]
    fn the_words_of_a_request_are_understood_as_it_was_meant() {
        let mut options = MeasureOptions {
            compare: Compare::Methods,
            ..MeasureOptions::default()
        };
        options.overrides.pool = Some(Pooling::None);
        options.overrides.group_order = Some(GroupOrder::GroupFirst);
        options.oracle.keys = Some(KeySet::Prompt);
        options.exempt = ForcedKeep {
            sinks: 4,
            recent: 32,
        };
        options.oracle.steps = "5-8".parse().unwrap();
        let request = FigureRequest {
            sessions: vec![PathBuf::from("my run.kvlens")],
            kind: KindChoice::HeadDifference,
            out: PathBuf::from("a.pdf"),
            samples: vec!["facts-1".to_owned()],
            windows: vec!["last:32".to_owned(), "laq:n=8".to_owned()],
            against: Some("last:32".to_owned()),
            layers: vec![1, 2],
            heads: vec![3],
            budget: "5%".parse().unwrap(),
            metric: Metric::MassOfOracle,
            profile: ProfileNumber::default(),
            margin: Some(0.02),
            width: WidthChoice::Double,
            font_size: 8.0,
            range: Some((-0.5, 0.5)),
            sweep: DEFAULT_SWEEP,
            rank_every: USUAL_EVERY,
            options,
            typed: Vec::new(),
        };
        let words = request.words();
        let typed = std::iter::once("kvlens".to_owned()).chain(words);
        let parsed = Arguments::try_parse_from(typed).unwrap();
        let Some(Command::Figure(arguments)) = parsed.command else {
            panic!("no figure");
        };
        assert_eq!(arguments.request(Vec::new()), request);
    }

    #[test]
    fn ranges_run_from_low_to_high() {
        assert_eq!("-0.2:0.2".parse(), Ok(Range(-0.2, 0.2)));
        for wrong in ["", "1", "1:0", "0:0", "a:b", "0:inf", "NaN:1"] {
            assert!(wrong.parse::<Range>().is_err(), "{wrong}");
        }
    }
}
