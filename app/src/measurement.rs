//! From a captured sample to what the tables and the views show: importance, rankings and the
//! comparison of every window with the decode stage. Orchestration only; the numbers are made by
//! `kvlens-analysis`.

use std::ops::Range;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use kvlens_analysis::output_error::{Eviction, Judged, judge_outputs};
use kvlens_analysis::{
    Compare, Comparison, ComparisonInput, ForcedKeep, Importance, KeepRule, KeptRecent, KeySet,
    Rankings, RowReduction, ScoringOverrides, SideScoring, StepRange, ValueWeight, compare,
};
use kvlens_sessions::{
    CapturedSample, Cost, LayerRange, Observation, OutputPlace, SampleRecord, ScoreKind,
};
use serde::{Deserialize, Serialize};

pub mod allocations;
pub mod decode_eviction;
pub mod drift;
pub mod fidelity;
mod final_budget;
pub mod head_rows;
pub mod head_values;
pub mod interventions;
pub mod needle;
pub mod places;
pub mod profiles;
pub mod queries;
pub mod session_model;
pub mod words;

/// Told how far work on a sample is.
pub trait StageProgress {
    /// A stage of the work is at `done` of `total` tokens.
    fn stage(&mut self, name: &str, done: usize, total: usize);

    /// A line that is worth keeping, such as a warning.
    fn note(&self, line: &str);
}

/// How to measure.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default)]
pub struct MeasureOptions {
    /// What is compared: queries under one scoring, or methods as published.
    pub compare: Compare,
    /// Where queries are compared, replaces parts of the one scoring of all windows and of the decode stage; where
    /// methods are compared, parts of every window's published scoring.
    pub overrides: ScoringOverrides,
    /// Tokens that no ranking contains, on either side.
    pub exempt: ForcedKeep,
    /// Replaces the most recent tokens that each window's eviction rule keeps whatever their score.
    pub keep_recent: Option<KeptRecent>,
    /// What the windows are held against.
    pub oracle: OracleDefinition,
    /// Where the error of attention's output is told.
    #[serde(skip_serializing_if = "OutputPlace::is_head")]
    pub through: OutputPlace,
}

/// Which attention of the decode stage counts as the truth; sinks and recent tokens are left out by
/// [`MeasureOptions::exempt`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default)]
pub struct OracleDefinition {
    /// The decode steps that it is made of.
    pub steps: StepRange,
    /// Reduction over them where methods are compared; without it the mean. Where queries are compared the decode stage
    /// is scored as the windows are.
    pub reduce: Option<RowReduction>,
    /// Keys of their softmax where methods are compared; without it causal.
    pub keys: Option<KeySet>,
    /// What its scores are multiplied by where methods are compared; without it nothing.
    pub weight: Option<ValueWeight>,
}

impl MeasureOptions {
    /// How the decode stage is scored to be the truth of every window.
    pub fn truth_scoring(&self) -> SideScoring {
        let mut truth = self.compare.truth(self.overrides);
        if self.compare == Compare::Methods {
            let OracleDefinition {
                reduce,
                keys,
                weight,
                ..
            } = self.oracle;
            truth.scoring.weight = weight.unwrap_or(truth.scoring.weight);
            truth.scoring.reduce = reduce.unwrap_or(truth.scoring.reduce);
            truth.scoring.keys = keys.unwrap_or(truth.scoring.keys);
        }
        truth
    }

    /// How a window is scored that was published like this.
    pub fn window_scoring(&self, published: SideScoring) -> SideScoring {
        let SideScoring {
            scoring, boundary, ..
        } = published;
        self.compare.window(self.overrides, scoring, boundary)
    }

    /// How the decode stage's own rows are scored for the ceiling of such a window; none where queries are compared,
    /// where it is 1.
    pub fn ceiling_scoring(&self, published: SideScoring) -> Option<SideScoring> {
        let SideScoring {
            scoring, boundary, ..
        } = published;
        self.compare.ceiling(self.overrides, scoring, boundary)
    }

    /// What contradicts itself, as a sentence.
    pub fn contradiction(&self) -> Option<&'static str> {
        let OracleDefinition {
            reduce,
            keys,
            weight,
            ..
        } = self.oracle;
        let apart = reduce.is_some() || keys.is_some() || weight.is_some();
        (apart && self.compare == Compare::Queries).then_some(
            "where queries are compared the decode stage is scored as every window is: choose rows, keys and weight for \
             both (--reduce, --keys, --weight), or compare methods (--compare methods)",
        )
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

    /// What a window's eviction rule keeps whatever the score.
    pub fn keep_rule(&self, published: KeepRule) -> KeepRule {
        match self.keep_recent {
            Some(recent) => published.with_recent(recent),
            None => published,
        }
    }
}

/// Scores of one side and the ranking that they make.
#[derive(Clone, Debug)]
pub struct Ranked {
    /// The scores.
    pub importance: Arc<Importance>,
    /// The rankings of the tokens that a layer sees and that are not exempt.
    pub rankings: Arc<Rankings>,
}

/// One window of one sample against the decode stage.
#[derive(Clone, Debug)]
pub struct MeasuredWindow {
    /// The window as it was typed.
    pub label: String,
    /// The scoring in use.
    pub scoring: SideScoring,
    /// Tokens that the window's eviction rule keeps whatever their score: the published rule with the options.
    pub keep_rule: KeepRule,
    /// The window's scores under `scoring` and their ranking.
    pub ranked: Ranked,
    /// Every metric at the asked budgets, against [`MeasuredSample::truth`].
    pub comparison: Comparison,
    /// The same of the decode stage's own rows under `scoring`: what the window could reach at best. None where queries
    /// are compared, where that is the truth itself.
    pub ceiling: Option<Arc<Comparison>>,
    /// The decode stage's own rows under `scoring`, which the ceiling is made of.
    pub ceiling_ranked: Option<Ranked>,
    /// What the window's scores are.
    pub score_kind: ScoreKind,
    /// What the window cost.
    pub cost: Cost,
    /// Of a window that observed anew for each budget ([`MeasuredSample::joined`]): each observation, by its budget in
    /// tokens. None of any other.
    pub at_budgets: Vec<(usize, MeasuredWindow)>,
}

/// One sample with all its windows, which have the same heads and are held against the same truth.
#[derive(Clone, Debug)]
pub struct MeasuredSample {
    /// Texts, ids and what is known of the sample.
    pub record: SampleRecord,
    /// What was compared.
    pub compare: Compare,
    /// The layers that it has of its model's: all of them, unless it was loaded in parts.
    pub layers: LayerRange,
    /// The decode stage as every window is held against it.
    pub truth: Ranked,
    /// What retained mass is summed from: mean decode attention, causal keys, unpooled, mean over the group where heads
    /// are grouped. Of the options, the choice of steps alone changes it.
    pub decode_mass: Arc<Importance>,
    /// The decode stage as if it were a window: the truth against itself at the asked budgets, with nothing forced.
    pub decode: Comparison,
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
    let mut decode = DecodeSides {
        captured,
        observation: oracle_observation(captured, options)?,
        exempt: options.exempt,
        ranked: Vec::new(),
    };
    let truth = decode.ranked(options.truth_scoring())?;
    let decode_mass = decode.scored(options.compare.decode_mass(options.overrides))?;
    let budgets = budgets(truth.importance.prompt_tokens());
    let mut measuring = Measuring {
        captured,
        options,
        truth: truth.clone(),
        decode_mass: Arc::new(decode_mass),
        decode,
        budgets,
        ceilings: Vec::new(),
    };
    let windows = captured
        .windows()
        .iter()
        .map(|window| {
            measuring
                .window(window)
                .with_context(|| format!("window '{}' cannot be measured", window.label()))
        })
        .collect::<Result<_>>()?;
    let mut sample = MeasuredSample {
        record: captured.record.clone(),
        compare: options.compare,
        layers: captured.layers(),
        truth,
        decode: measuring.compare(&measuring.truth.rankings, KeepRule::default())?,
        decode_mass: measuring.decode_mass,
        windows,
    };
    let steps = measuring.decode.observation;
    sample
        .judge_outputs(captured, &steps, options.through)
        .context("the output of attention cannot be told")?;
    Ok(sample)
}

/// One side alone, scored and ranked as [`measure_sample`] does it: the decode stage, or the window of a label.
///
/// # Errors
/// As there; a label that the sample does not have.
pub fn rank_side(
    captured: &CapturedSample,
    options: &MeasureOptions,
    label: Option<&str>,
) -> Result<Ranked> {
    let importance = match label {
        None => {
            let decode = oracle_observation(captured, options)?;
            captured.importance(&decode, options.truth_scoring())?
        }
        Some(label) => {
            let mut windows = captured.windows().iter();
            let window = windows
                .find(|window| window.label() == label)
                .with_context(|| format!("the sample has no window '{label}'"))?;
            captured.importance(window, options.window_scoring(window.published_side()))?
        }
    };
    Ranked::of(importance, options.exempt)
}

impl MeasuredSample {
    /// Finds what the evictions do to the output of attention at these decode steps, where values were kept.
    fn judge_outputs(
        &mut self,
        captured: &CapturedSample,
        steps: &Observation,
        at: OutputPlace,
    ) -> Result<()> {
        let (Some(values), Some(rows)) = (captured.values(), steps.query_rows()) else {
            ensure!(
                at.is_head(),
                "the session keeps no values, which the output projection could be applied to; capture it with --keep \
                 keys,values, or leave out --through"
            );
            return Ok(());
        };
        if self.decode.budgets.is_empty() {
            return Ok(());
        }
        let mut judged = vec![Judged {
            comparison: &mut self.decode,
            eviction: Eviction {
                rankings: &self.truth.rankings,
                keep_rule: KeepRule::default(),
            },
        }];
        for window in &mut self.windows {
            judged.push(Judged {
                comparison: &mut window.comparison,
                eviction: Eviction {
                    rankings: &window.ranked.rankings,
                    keep_rule: window.keep_rule,
                },
            });
            if let (Some(ceiling), Some(ranked)) = (&mut window.ceiling, &window.ceiling_ranked) {
                judged.push(Judged {
                    comparison: Arc::make_mut(ceiling),
                    eviction: Eviction {
                        rankings: &ranked.rankings,
                        keep_rule: window.keep_rule,
                    },
                });
            }
        }
        let keys = captured.keys();
        let (_, kv_heads, ..) = keys.shape();
        let query_heads = keys.group_size()? * kv_heads;
        judge_outputs(&mut judged, query_heads, kv_heads, |layer, kv_head| {
            values.reads(keys, rows, layer, kv_head, at)
        })?;
        Ok(())
    }
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

/// A sample whose windows are measured one after the other.
struct Measuring<'a> {
    captured: &'a CapturedSample,
    options: &'a MeasureOptions,
    truth: Ranked,
    decode_mass: Arc<Importance>,
    decode: DecodeSides<'a>,
    budgets: Vec<usize>,
    /// By what makes a ceiling: windows of one method share it.
    ceilings: Vec<((SideScoring, KeepRule), Arc<Comparison>)>,
}

impl Measuring<'_> {
    fn window(&mut self, window: &Observation) -> Result<MeasuredWindow> {
        let published = window.published_side();
        let scoring = self.options.window_scoring(published);
        let keep_rule = self.options.keep_rule(window.keep_rule());
        let importance = self.captured.importance(window, scoring)?;
        let ranked = Ranked::of(importance, self.options.exempt)?;
        let comparison = self.compare(&ranked.rankings, keep_rule)?;
        let ceiling = self.options.ceiling_scoring(published);
        let ceiling_ranked = ceiling.map(|side| self.decode.ranked(side)).transpose()?;
        let ceiling = ceiling
            .map(|side| self.ceiling(side, keep_rule))
            .transpose()?;
        Ok(MeasuredWindow {
            label: window.label().to_owned(),
            scoring,
            keep_rule,
            ranked,
            comparison,
            ceiling,
            ceiling_ranked,
            score_kind: window.score_kind(),
            cost: *window.cost(),
            at_budgets: Vec::new(),
        })
    }

    fn ceiling(&mut self, side: SideScoring, keep_rule: KeepRule) -> Result<Arc<Comparison>> {
        let key = (side, keep_rule);
        if let Some((_, known)) = self.ceilings.iter().find(|(known, _)| *known == key) {
            return Ok(Arc::clone(known));
        }
        let own = self.decode.ranked(side)?;
        let ceiling = Arc::new(self.compare(&own.rankings, keep_rule)?);
        self.ceilings.push((key, Arc::clone(&ceiling)));
        Ok(ceiling)
    }

    fn compare(&self, rankings: &Rankings, keep_rule: KeepRule) -> Result<Comparison> {
        Ok(compare(ComparisonInput {
            truth: &self.truth.rankings,
            window: rankings,
            decode_mass: &self.decode_mass,
            keep_rule,
            evidence: &self.captured.record.evidence_tokens,
            budgets: &self.budgets,
        })?)
    }
}

impl MeasuredWindow {
    /// What stands in the window's place for its ceiling: the decode stage's own rows under its scoring. None where
    /// queries are compared.
    pub fn as_its_ceiling(&self) -> Option<Self> {
        Some(Self {
            ranked: self.ceiling_ranked.clone()?,
            ..self.clone()
        })
    }
}

impl Ranked {
    fn of(importance: Importance, exempt: ForcedKeep) -> Result<Self> {
        Ok(Self {
            rankings: Arc::new(Rankings::of(&importance, exempt)?),
            importance: Arc::new(importance),
        })
    }
}

/// The decode stage under each scoring that is asked for, scored and ranked once.
struct DecodeSides<'a> {
    captured: &'a CapturedSample,
    observation: Observation,
    exempt: ForcedKeep,
    ranked: Vec<(SideScoring, Ranked)>,
}

impl DecodeSides<'_> {
    fn scored(&self, side: SideScoring) -> Result<Importance> {
        let importance = self.captured.importance(&self.observation, side);
        importance.context("the decode stage cannot be scored")
    }

    fn ranked(&mut self, side: SideScoring) -> Result<Ranked> {
        if let Some((_, ranked)) = self.ranked.iter().find(|(known, _)| *known == side) {
            return Ok(ranked.clone());
        }
        let ranked = Ranked::of(self.scored(side)?, self.exempt)?;
        self.ranked.push((side, ranked.clone()));
        Ok(ranked)
    }
}
