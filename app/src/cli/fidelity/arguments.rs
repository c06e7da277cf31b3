//! What can be typed after `kvlens fidelity`.

use std::path::PathBuf;

use anyhow::Result;
use clap::builder::PossibleValue;
use clap::{Args, ValueEnum};
use kvlens_analysis::{Budget, Compare, GroupReduction};
use kvlens_sessions::model::{DeviceChoice, DtypeChoice, ModelSource};

use crate::cli::args::at_least_one;
use crate::cli::measure_arguments::ScoringArguments;
use crate::jobs::failure::Failure;
use crate::jobs::fidelity::Allocation;
use crate::measurement::MeasureOptions;

/// `kvlens fidelity`
#[derive(Debug, Args)]
pub struct FidelityArguments {
    /// Session folders (NAME.kvlens)
    #[arg(value_name = "SESSION", required = true)]
    pub sessions: Vec<PathBuf>,
    /// The folder for the Parquet files; created if it is not there
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
    /// The model, if it is no longer where the session found it
    #[arg(long, value_name = "demo|DIR|FILE.gguf|ORG/NAME")]
    pub model: Option<ModelSource>,
    /// Which heads keep tokens of their own, instead of what each window was published with: every query
    /// head (`--group none`), or every key/value head by the mean over its query heads (`--group mean`,
    /// unless `--group max` is given)
    #[arg(long, value_name = "query-head|kv-head")]
    pub per: Option<PerHead>,
    /// How a budget is shared out over layers and heads
    #[arg(long, value_name = "uniform|pyramid|adaptive", default_value_t)]
    pub allocation: Allocation,
    /// Tokens of the greedy generation, and steps to compare, at most; as many as the session if not given
    #[arg(long, value_name = "N", value_parser = at_least_one)]
    pub decode: Option<usize>,
    /// Take only the first N samples of each session
    #[arg(long, value_name = "N", value_parser = at_least_one)]
    pub limit: Option<usize>,
    /// Go on with a run that was stopped or killed: what it made is not made again. The other arguments must be the
    /// same
    #[arg(long, conflicts_with = "replace")]
    pub resume: bool,
    /// Begin anew, and leave what a stopped run had made
    #[arg(long)]
    pub replace: bool,
    /// auto, cpu, cuda, cuda:N or metal
    #[arg(long, value_name = "D", default_value_t)]
    pub device: DeviceChoice,
    /// auto, f32, f16 or bf16; as the session was captured if not given
    #[arg(long, value_name = "T")]
    pub dtype: Option<DtypeChoice>,
    /// How to score and rank
    #[command(flatten)]
    pub scoring: ScoringArguments,
}

/// Budgets that leave little, and those that papers report.
const DEFAULT_BUDGETS: &str = "5%,10%,20%";

/// Heads that keep tokens of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum PerHead {
    /// Every query head.
    QueryHead,
    /// The query heads of a key/value head keep the same.
    KvHead,
}

impl ValueEnum for Allocation {
    fn value_variants<'a>() -> &'a [Self] {
        &Self::ALL
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(PossibleValue::new(self.name()).help(self.summary()))
    }
}

impl FidelityArguments {
    /// How to score and rank, with what `--per` says of groups.
    ///
    /// # Errors
    /// [`Failure::BadInput`] where `--per` and `--group` contradict each other.
    pub fn options(&self) -> Result<MeasureOptions> {
        let mut options = self.scoring.options(Compare::Methods);
        let group = &mut options.overrides.group;
        *group = match (self.per, *group) {
            (None, group) => group,
            (Some(PerHead::QueryHead), None | Some(GroupReduction::None)) => {
                Some(GroupReduction::None)
            }
            (Some(PerHead::KvHead), None) => Some(GroupReduction::Mean),
            (Some(PerHead::KvHead), Some(group @ (GroupReduction::Mean | GroupReduction::Max))) => {
                Some(group)
            }
            (Some(PerHead::QueryHead), Some(group)) => {
                return Err(Failure::BadInput(format!(
                    "--per query-head lets every query head keep its own tokens, but --group {group} ranks \
                     them together; leave one of them out"
                ))
                .into());
            }
            (Some(PerHead::KvHead), Some(group)) => {
                return Err(Failure::BadInput(format!(
                    "--per kv-head needs the query heads of a key/value head ranked together, but --group \
                     {group} does not; leave one of them out"
                ))
                .into());
            }
        };
        Ok(options)
    }
}
