//! What can be typed behind `kvlens measure`.

use std::path::PathBuf;

use clap::builder::PossibleValue;
use clap::{Args, ValueEnum};
use kvlens_analysis::decode_eviction::{DecodeRanking, Horizon};
use kvlens_analysis::{
    Budget, Compare, ForcedKeep, GroupOrder, GroupReduction, KeptRecent, KeySet, Metric, Pooling,
    RowReduction, ScoringOverrides, StepRange, ValueWeight, distinct,
};
use kvlens_sessions::OutputPlace;

use super::args::{DEFAULT_BUDGETS, at_least_one};
use crate::jobs::figure::metric_word;
use crate::jobs::measure::{DEFAULT_SWEEP, Question, Questions};
use crate::measurement::decode_eviction::{DecodeRankings, USUAL_EVERY};
use crate::measurement::places::Sweep;
use crate::measurement::{MeasureOptions, OracleDefinition};

/// `kvlens measure`
#[derive(Debug, Args)]
pub struct MeasureArguments {
    /// Session folders (NAME.kvlens), or folders of sessions
    #[arg(value_name = "SESSION", required = true)]
    pub sessions: Vec<PathBuf>,
    /// The folder for the tables; created if it is not there
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Budgets in tokens or as shares of the prompt, separated by commas
    #[arg(
        long,
        value_name = "BUDGETS",
        value_delimiter = ',',
        default_value = DEFAULT_BUDGETS
    )]
    pub budgets: Vec<Budget>,
    /// Also write importance.parquet, one row per window, head and prompt token
    #[arg(long)]
    pub importance: bool,
    /// Also write every table as CSV
    #[arg(long)]
    pub csv: bool,
    /// The window that the others are compared with, or `all` for every pair; without it, the first window of the first
    /// session
    #[arg(long, value_name = "WINDOW|all")]
    pub against: Option<String>,
    /// The metric of differences and winners
    #[arg(long, value_name = "METRIC", value_enum, default_value_t)]
    pub metric: MetricChoice,
    /// Also say in difference.parquet which windows are as good as each other: those whose difference lies within so
    /// much of the metric, such as 0.02, with its whole interval
    #[arg(long, value_name = "MARGIN", value_parser = above_zero)]
    pub equivalent: Option<f64>,
    /// Test differences of means alone, not of every head
    #[arg(long)]
    pub no_head_tests: bool,
    /// Further questions, each with a table of its own
    #[arg(long, value_name = "QUESTION", value_enum, num_args = 1..)]
    pub also: Vec<Question>,
    /// Queries of the window that `--also places` sweeps
    #[arg(long, value_name = "W", default_value_t = DEFAULT_SWEEP.width, value_parser = at_least_one)]
    pub place_width: usize,
    /// Positions from one place of that window to the next
    #[arg(long, value_name = "N", default_value_t = DEFAULT_SWEEP.stride, value_parser = at_least_one)]
    pub place_stride: usize,
    /// Decode steps from one ranking of the cache to the next, for `--also decode-eviction`
    #[arg(long, value_name = "N", default_value_t = USUAL_EVERY, value_parser = at_least_one)]
    pub rank_every: usize,
    /// What ranks the cache then, by the names of windows, separated by commas: last:ROWS (the last decode steps),
    /// accumulated (attention added up over the steps so far), h2o (with that of the prompt's rows; needs the window h2o
    /// in the session), knorm, streaming, random [default: last:1,last:8 and all others]
    #[arg(long, value_name = "RANKINGS", value_delimiter = ',')]
    pub rank_by: Vec<DecodeRanking>,
    /// Later decode steps that each ranking is held against, separated by commas: numbers of steps right behind it, or
    /// rest for all [default: 1, the steps to the next ranking, and rest]
    #[arg(long, value_name = "STEPS", value_delimiter = ',')]
    pub rank_horizons: Vec<Horizon>,
    /// What is compared and how it is scored
    // last, as its heading holds for whatever comes behind
    #[command(flatten)]
    pub comparing: ComparingArguments,
}

impl MeasureArguments {
    /// What is asked beyond recall.
    pub fn questions(&self) -> Questions {
        Questions {
            asked: self.also.clone(),
            sweep: Sweep {
                width: self.place_width,
                stride: self.place_stride,
            },
            while_decoding: self.while_decoding(),
        }
    }

    fn while_decoding(&self) -> DecodeRankings {
        let usual = DecodeRankings::usual(self.rank_every);
        DecodeRankings {
            rankings: match self.rank_by.is_empty() {
                true => usual.rankings,
                false => distinct(self.rank_by.iter().copied()),
            },
            horizons: match self.rank_horizons.is_empty() {
                true => usual.horizons,
                false => distinct(self.rank_horizons.iter().copied()),
            },
            every: usual.every,
        }
    }
}

/// What is compared, and how it is scored and ranked.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Scoring")]
pub struct ComparingArguments {
    /// What is compared. queries: which window's queries foresee the decode stage? Every window and the decode stage
    /// are scored alike (mean over rows, causal keys, max:7, each query head; other flags replace parts of it for
    /// all), so the decode stage itself has recall 1. methods: which method as published keeps what decoding really
    /// uses? Every window has its own scoring, the truth is the raw attention of the decode stage, and each window's
    /// ceiling is told: what the decode stage's own queries reach under its scoring
    #[arg(long, value_name = "queries|methods", default_value_t)]
    pub compare: Compare,
    #[command(flatten)]
    pub scoring: ScoringArguments,
}

impl ComparingArguments {
    /// How to score and rank.
    pub fn options(&self) -> MeasureOptions {
        self.scoring.options(self.compare)
    }
}

/// How windows and decode stage are scored and ranked.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Scoring")]
pub struct ScoringArguments {
    /// Leave the last R prompt tokens out of every ranking
    #[arg(long, value_name = "R", default_value_t = 0)]
    pub exempt_recent: usize,
    /// Leave the first S prompt tokens out of every ranking
    #[arg(long, value_name = "S", default_value_t = 0)]
    pub exempt_sinks: usize,
    /// Recent tokens that every window's eviction rule keeps, instead of the published ones: so many, or a share
    /// of each budget (H2O's split is 50%). Counts in kept recall, hit rate, evidence kept and in fidelity
    #[arg(long, value_name = "N|P%")]
    pub keep_recent: Option<KeptRecent>,
    /// Reduction over rows instead of the mean, or of each method's published one: mean, sum or max
    #[arg(long, value_name = "mean|sum|max")]
    pub reduce: Option<RowReduction>,
    /// Pooling along positions instead of max:7, or of each method's published one
    #[arg(long, value_name = "none|avg:K|max:K")]
    pub pool: Option<Pooling>,
    /// Reduction over the query heads of a key/value head (mean, max), or of a layer (layer: their mean), instead of
    /// none, or of each method's published one
    #[arg(long, value_name = "none|mean|max|layer")]
    pub group: Option<GroupReduction>,
    /// Which of pooling and the reduction over heads comes first: pool-first (kvpress) or group-first (AdaKV)
    #[arg(long, value_name = "pool-first|group-first")]
    pub order: Option<GroupOrder>,
    /// Keys that a row's softmax runs over: causal (all it saw, cut to the prompt) or prompt
    #[arg(long, value_name = "causal|prompt")]
    pub keys: Option<KeySet>,
    /// What attention scores are multiplied by instead of nothing, or of each method's published weight: the norm of
    /// the token's value, or of what the output projection makes of it. Needs values; scores that are no attention
    /// stay as they are
    #[arg(long, value_name = "none|value-norm|output-norm")]
    pub weight: Option<ValueWeight>,
    /// Decode steps that the oracle is made of: all, the first 8, or the 5th to the 8th as 5-8
    #[arg(long, value_name = "all|N|A-B", default_value_t)]
    pub oracle_steps: StepRange,
    /// Reduction over the oracle's steps where methods are compared, instead of the mean
    #[arg(long, value_name = "mean|sum|max")]
    pub oracle_reduce: Option<RowReduction>,
    /// Keys of the oracle's softmax where methods are compared, instead of causal
    #[arg(long, value_name = "causal|prompt")]
    pub oracle_keys: Option<KeySet>,
    /// What the oracle's scores are multiplied by where methods are compared, instead of nothing
    #[arg(long, value_name = "none|value-norm|output-norm")]
    pub oracle_weight: Option<ValueWeight>,
    /// Where the error of attention's output is told: at each head, or behind what the output projection makes of it.
    /// Needs values
    #[arg(long, value_name = "head|output-projection", value_parser = output_place, default_value = "head")]
    pub through: OutputPlace,
}

fn output_place(text: &str) -> Result<OutputPlace, String> {
    match text {
        "head" => Ok(OutputPlace::Head),
        "output-projection" => Ok(OutputPlace::Projected),
        _ => Err("it must be head or output-projection".to_owned()),
    }
}

impl ScoringArguments {
    /// How to score and rank.
    pub fn options(&self, compare: Compare) -> MeasureOptions {
        MeasureOptions {
            compare,
            overrides: ScoringOverrides {
                keys: self.keys,
                reduce: self.reduce,
                pool: self.pool,
                group: self.group,
                group_order: self.order,
                weight: self.weight,
            },
            exempt: ForcedKeep {
                sinks: self.exempt_sinks,
                recent: self.exempt_recent,
            },
            keep_recent: self.keep_recent,
            oracle: OracleDefinition {
                steps: self.oracle_steps,
                reduce: self.oracle_reduce,
                keys: self.oracle_keys,
                weight: self.oracle_weight,
            },
            through: self.through,
        }
    }
}

/// A number above zero.
pub(super) fn above_zero(text: &str) -> Result<f64, String> {
    let number = text
        .parse()
        .ok()
        .filter(|number: &f64| number.is_finite() && *number > 0.0);
    number.ok_or_else(|| "it must be a number above 0, such as 0.02".to_owned())
}

/// A metric as it is typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MetricChoice(pub Metric);

impl Default for MetricChoice {
    fn default() -> Self {
        Self(Metric::Recall)
    }
}

impl ValueEnum for MetricChoice {
    fn value_variants<'a>() -> &'a [Self] {
        const { &every_metric() }
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(PossibleValue::new(metric_word(self.0)).help(self.0.definition()))
    }
}

const fn every_metric() -> [MetricChoice; Metric::ALL.len()] {
    let mut all = [MetricChoice(Metric::Recall); Metric::ALL.len()];
    let mut place = 0;
    while place < all.len() {
        all[place] = MetricChoice(Metric::ALL[place]);
        place += 1;
    }
    all
}

impl ValueEnum for Question {
    fn value_variants<'a>() -> &'a [Self] {
        &Self::ALL
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(PossibleValue::new(self.name()).help(self.summary()))
    }
}
