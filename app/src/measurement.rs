//! From a captured sample to what the tables and the views show: importance, rankings and the
//! comparison of every window with the decode stage. Orchestration only; the numbers are made by
//! `kvlens-analysis`.

use std::ops::Range;
use std::sync::Arc;

use anyhow::{Context, Result};
use kvlens_analysis::{
    Comparison, ComparisonInput, ForcedKeep, GroupReduction, Importance, KeepRule, KeptRecent,
    KeySet, Rankings, RowReduction, Scoring, ScoringOverrides, StepRange, compare,
};
use kvlens_sessions::{CapturedSample, Cost, Observation, SampleRecord, ScoreKind};
use serde::{Deserialize, Serialize};

pub mod allocations;
pub mod drift;
pub mod fidelity;
mod head_rows;
pub mod head_values;
pub mod interventions;
pub mod places;
pub mod queries;
pub mod session_model;

/// Told how far work on a sample is.
pub trait StageProgress {
    /// A stage of the work is at `done` of `total` tokens.
    fn stage(&mut self, name: &str, done: usize, total: usize);

    /// A line that is worth keeping, such as a warning.
    fn note(&self, line: &str);
}

/// How to measure, beyond what each window was published with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default)]
pub struct MeasureOptions {
    /// Replaces parts of every window's published scoring, and of the oracle's.
    pub overrides: ScoringOverrides,
    /// Tokens that no ranking contains, on either side.
    pub exempt: ForcedKeep,
    /// Replaces the most recent tokens that each window's eviction rule keeps whatever their score.
    pub keep_recent: Option<KeptRecent>,
    /// What the windows are held against.
    pub oracle: OracleDefinition,
}

/// Which attention of the decode stage counts as the truth. Heads are grouped as the window's are, because
/// they must match to be compared; sinks and recent tokens are left out by [`MeasureOptions::exempt`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default)]
pub struct OracleDefinition {
    /// The decode steps that it is made of.
    pub steps: StepRange,
    /// Reduction over them; without it that of the overrides, or the mean.
    pub reduce: Option<RowReduction>,
    /// Keys of their softmax; without it those of the overrides, or causal.
    pub keys: Option<KeySet>,
}

impl MeasureOptions {
    /// How the decode stage is scored to be compared with a window: mean over the steps, causal
    /// keys, no pooling, the group of the window; with the same overrides as every window, and the oracle's
    /// own definition above them.
    pub fn oracle_scoring(&self, window: Scoring) -> Scoring {
        let scoring = self.overrides.apply(Scoring {
            group: window.group,
            group_order: window.group_order,
            ..Scoring::default()
        });
        Scoring {
            reduce: self.oracle.reduce.unwrap_or(scoring.reduce),
            keys: self.oracle.keys.unwrap_or(scoring.keys),
            ..scoring
        }
    }

    /// The steps of a decode stage that the oracle is made of, from 0.
    ///
    /// # Errors
    /// When the stage is too short to have one of them.
    pub fn oracle_steps(&self, decode_steps: usize) -> Result<Range<usize>> {
        self.oracle.steps.of(decode_steps).with_context(|| {
            format!(
                "the oracle's steps {} lie behind the end of a decode stage of {decode_steps} tokens",
                self.oracle.steps
            )
        })
    }

    /// How a window is scored.
    pub fn window_scoring(&self, published: Scoring) -> Scoring {
        self.overrides.apply(published)
    }

    /// What a window's eviction rule keeps whatever the score.
    pub fn keep_rule(&self, published: KeepRule) -> KeepRule {
        match self.keep_recent {
            Some(recent) => published.with_recent(recent),
            None => published,
        }
    }
}

/// One window of one sample against the decode stage.
#[derive(Clone, Debug)]
pub struct MeasuredWindow {
    /// The window as it was typed.
    pub label: String,
    /// The scoring in use: the published one with the overrides.
    pub scoring: Scoring,
    /// Tokens that the window's eviction rule keeps whatever their score: the published rule with the options.
    pub keep_rule: KeepRule,
    /// The window's importance under `scoring`.
    pub importance: Arc<Importance>,
    /// The window's rankings of the tokens that are not exempt.
    pub rankings: Arc<Rankings>,
    /// The decode stage's importance for the same heads, see [`MeasureOptions::oracle_scoring`].
    pub oracle_importance: Arc<Importance>,
    /// Its rankings.
    pub oracle_rankings: Arc<Rankings>,
    /// What retained mass is summed from: mean decode attention, causal keys, unpooled, mean over
    /// the group where heads are grouped. Of the options, the choice of steps alone changes it.
    pub oracle_mass: Arc<Importance>,
    /// Every metric at the asked budgets.
    pub comparison: Comparison,
    /// What the window's scores are.
    pub score_kind: ScoreKind,
    /// What the window cost.
    pub cost: Cost,
}

/// One sample with all its windows.
#[derive(Clone, Debug)]
pub struct MeasuredSample {
    /// Texts, ids and what is known of the sample.
    pub record: SampleRecord,
    /// The decode stage under the options, its heads ungrouped unless the options group them.
    pub oracle: Arc<Importance>,
    /// Its rankings.
    pub oracle_rankings: Arc<Rankings>,
    /// What the mass that it retains is summed from, as for a window.
    pub oracle_mass: Arc<Importance>,
    /// The proxy windows in the order of the plan.
    pub windows: Vec<MeasuredWindow>,
}

/// Scores, ranks and compares every window of a captured sample.
///
/// `budgets` gives the budgets in tokens for a prompt of T tokens, each in 1..=T.
///
/// # Errors
/// What the sample's tensors or the numerics refuse, with the window named; a decode stage without any of
/// the oracle's steps.
pub fn measure_sample(
    captured: &CapturedSample,
    options: &MeasureOptions,
    budgets: impl Fn(usize) -> Vec<usize>,
) -> Result<MeasuredSample> {
    let mut oracles = Oracles {
        captured,
        observation: oracle_observation(captured, options)?,
        exempt: options.exempt,
        ranked: Vec::new(),
    };
    let scoring = options.oracle_scoring(Scoring::default());
    let alone = oracles.get(scoring)?;
    let oracle_mass = oracles.get(mass_scoring(scoring))?.importance;
    let budgets = budgets(alone.importance.prompt_tokens());
    let windows = captured
        .windows()
        .iter()
        .map(|window| {
            measure_window(captured, window, options, &mut oracles, &budgets)
                .with_context(|| format!("window '{}' cannot be measured", window.label()))
        })
        .collect::<Result<_>>()?;
    Ok(MeasuredSample {
        record: captured.record.clone(),
        oracle: alone.importance,
        oracle_rankings: alone.rankings,
        oracle_mass,
        windows,
    })
}

/// The decode stage by the steps that count.
///
/// # Errors
/// As [`MeasureOptions::oracle_steps`].
pub fn oracle_observation(
    captured: &CapturedSample,
    options: &MeasureOptions,
) -> Result<Observation> {
    let oracle = captured.oracle();
    let steps = options.oracle_steps(oracle.rows())?;
    Ok(oracle.by_rows(steps)?)
}

fn measure_window(
    captured: &CapturedSample,
    window: &Observation,
    options: &MeasureOptions,
    oracles: &mut Oracles<'_>,
    budgets: &[usize],
) -> Result<MeasuredWindow> {
    let scoring = options.window_scoring(window.scoring());
    let oracle = oracles.get(options.oracle_scoring(window.scoring()))?;
    let oracle_mass = oracles.get(mass_scoring(scoring))?.importance;
    let importance = captured.importance(window, scoring, window.forced_keep())?;
    let rankings = Rankings::of(&importance, options.exempt)?;
    let keep_rule = options.keep_rule(window.keep_rule());
    let comparison = compare(ComparisonInput {
        oracle: &oracle.rankings,
        window: &rankings,
        oracle_mass: &oracle_mass,
        keep_rule,
        budgets,
    })?;
    Ok(MeasuredWindow {
        label: window.label().to_owned(),
        scoring,
        keep_rule,
        importance: Arc::new(importance),
        rankings: Arc::new(rankings),
        oracle_importance: oracle.importance,
        oracle_rankings: oracle.rankings,
        oracle_mass,
        comparison,
        score_kind: window.score_kind(),
        cost: *window.cost(),
    })
}

fn mass_scoring(scoring: Scoring) -> Scoring {
    Scoring {
        group: match scoring.group {
            GroupReduction::Max => GroupReduction::Mean,
            group => group,
        },
        ..Scoring::default()
    }
}

#[derive(Clone)]
struct RankedOracle {
    importance: Arc<Importance>,
    rankings: Arc<Rankings>,
}

/// The decode stage under each scoring that some window asks for, scored and ranked once.
struct Oracles<'a> {
    captured: &'a CapturedSample,
    observation: Observation,
    exempt: ForcedKeep,
    ranked: Vec<(Scoring, RankedOracle)>,
}

impl Oracles<'_> {
    fn get(&mut self, scoring: Scoring) -> Result<RankedOracle> {
        if let Some((_, ranked)) = self.ranked.iter().find(|(known, _)| *known == scoring) {
            return Ok(ranked.clone());
        }
        let oracle = &self.observation;
        let importance = self
            .captured
            .importance(oracle, scoring, oracle.forced_keep())
            .context("the decode stage cannot be scored")?;
        let ranked = RankedOracle {
            rankings: Arc::new(Rankings::of(&importance, self.exempt)?),
            importance: Arc::new(importance),
        };
        self.ranked.push((scoring, ranked.clone()));
        Ok(ranked)
    }
}
