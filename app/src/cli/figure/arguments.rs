//! What can be typed behind `kvlens figure`.

use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args, ValueEnum};
use kvlens_analysis::Budget;
use kvlens_analysis::figure::{ColumnWidth, FigureKind};
use serde::{Deserialize, Serialize};

use super::super::args::at_least_one;
use super::super::measure_arguments::{DEFAULT_SWEEP, MetricChoice, ScoringArguments};

/// `kvlens figure`
#[derive(Debug, Args)]
pub struct FigureArguments {
    /// Session folders (NAME.kvlens), or folders of sessions
    #[arg(value_name = "SESSION", required = true)]
    pub sessions: Vec<PathBuf>,
    /// What the figure shows
    #[arg(long, value_enum)]
    pub kind: KindChoice,
    /// The file to write; its numbers (.parquet) and how to make it again (.json) are put beside it
    #[arg(long, value_name = "FILE.svg|.pdf|.png")]
    pub out: PathBuf,
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
    /// The metric of recall, recall-by-layer, head-map, head-difference, winner and cost
    #[arg(long, value_name = "METRIC", value_enum, default_value_t)]
    pub metric: MetricChoice,
    /// One column (84 mm) or two (174 mm)
    #[arg(long, value_enum, default_value_t)]
    pub width: WidthChoice,
    /// Size of the text in points
    #[arg(long, value_name = "POINTS", default_value_t = 7.0)]
    pub font_size: f64,
    /// The ends of the value axis or the colour bar, such as 0:1, instead of the kind's own
    #[arg(long, value_name = "LOW:HIGH", allow_hyphen_values = true)]
    pub range: Option<Range>,
    /// Queries of the window that `place` sweeps
    #[arg(long, value_name = "W", default_value_t = DEFAULT_SWEEP.width, value_parser = at_least_one)]
    pub place_width: usize,
    /// Positions from one place of that window to the next
    #[arg(long, value_name = "N", default_value_t = DEFAULT_SWEEP.stride, value_parser = at_least_one)]
    pub place_stride: usize,
    /// How windows and oracle are scored
    #[command(flatten)]
    pub scoring: ScoringArguments,
}

/// A kind as it is typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KindChoice {
    /// The metric against the budget, a curve per window with its 95 % interval over samples
    Recall,
    /// The same, a panel per layer
    RecallByLayer,
    /// The metric at the budget for every layer and head, a panel per window
    HeadMap,
    /// Windows less --against for every layer and head; what is not resolved is struck through
    HeadDifference,
    /// The best window of every layer and head; faint where it is not resolved
    Winner,
    /// Recall of single decode steps
    DecodeStep,
    /// Recall of the decode stage up to a horizon
    Horizon,
    /// Recall against where a window of --place-width queries sits, from the prompt into the generation
    Place,
    /// Hit rate at 128, 256 and 512 tokens
    HitRate,
    /// KL divergence of the decode stage from a window for every layer and head
    Kl,
    /// Cosine of pseudo and decode queries, before and after the rotary embedding
    Queries,
    /// Decode attention kept by uniform, pyramid and head-adaptive budgets
    Allocation,
    /// The metric against the time that a window takes
    Cost,
}

impl KindChoice {
    /// The word of the command line.
    #[must_use]
    pub fn name(self) -> String {
        let value = self.to_possible_value();
        value.map_or_else(String::new, |value| value.get_name().to_owned())
    }
}

impl From<KindChoice> for FigureKind {
    fn from(choice: KindChoice) -> Self {
        match choice {
            KindChoice::Recall => Self::Recall,
            KindChoice::RecallByLayer => Self::RecallByLayer,
            KindChoice::HeadMap => Self::HeadMap,
            KindChoice::HeadDifference => Self::HeadDifference,
            KindChoice::Winner => Self::Winner,
            KindChoice::DecodeStep => Self::DecodeStep,
            KindChoice::Horizon => Self::Horizon,
            KindChoice::Place => Self::Place,
            KindChoice::HitRate => Self::HitRate,
            KindChoice::Kl => Self::Kl,
            KindChoice::Queries => Self::Queries,
            KindChoice::Allocation => Self::Allocation,
            KindChoice::Cost => Self::Cost,
        }
    }
}

/// A width as it is typed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WidthChoice {
    /// 84 mm
    #[default]
    Single,
    /// 174 mm
    Double,
}

impl From<WidthChoice> for ColumnWidth {
    fn from(choice: WidthChoice) -> Self {
        match choice {
            WidthChoice::Single => Self::Single,
            WidthChoice::Double => Self::Double,
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
    use super::*;

    #[test]
    fn ranges_run_from_low_to_high() {
        assert_eq!("-0.2:0.2".parse(), Ok(Range(-0.2, 0.2)));
        for wrong in ["", "1", "1:0", "0:0", "a:b", "0:inf", "NaN:1"] {
            assert!(wrong.parse::<Range>().is_err(), "{wrong}");
        }
    }
}
