//! One captured sample: prefilled again, evicted by every window at every budget, compared with itself.

use anyhow::{Context, Result};
use kvlens_analysis::allocation::{
    AllocatedMeans, AllocationInput, BudgetAllocation, compare_allocation,
};
use kvlens_analysis::fidelity::{MeanFidelity, StepFidelity};
use kvlens_analysis::{
    Budget, Compare, Comparison, ForcedKeep, GroupReduction, HeadKind, KeepRule, Metric,
};
use kvlens_sessions::fidelity::{Continuation, ContinuationPlan, FidelityTest};
use kvlens_sessions::model::Model;
use kvlens_sessions::windows::DECODE_LABEL;
use kvlens_sessions::{
    CancelFlag, CapturedSample, DecodePlan, LayerRange, RunControl, SampleRecord, evict,
};
use serde::{Deserialize, Serialize};

use super::allocations::AllocationKind;
use super::{
    MeasureOptions, MeasuredSample, MeasuredWindow, OracleDefinition, Ranked, StageProgress,
    measure_sample,
};

pub mod answers;
mod exact;
pub mod figures;
pub mod summary;

/// What the cache that is not evicted is called.
pub const FULL_LABEL: &str = "full";

/// How samples are evicted.
pub struct EvictionPlan {
    /// How to score and rank.
    pub options: MeasureOptions,
    /// How a budget is shared out.
    pub allocation: AllocationKind,
    /// Tokens to generate, and steps to compare, at most, instead of the session's.
    pub decode: Option<usize>,
    /// Whether the observations of a window with `budget=final` are that window, or each one of its own.
    pub join_final_budgets: bool,
}

/// One window, the oracle or the full cache.
pub struct WindowOutcome {
    /// Its label.
    pub label: String,
    /// What the heads are that each kept tokens of their own.
    pub head_kind: HeadKind,
    /// In the order of the budgets, but for those that a window with `budget=final` was not captured for; a single one
    /// for the full cache.
    pub by_budget: Vec<Outcome>,
}

/// What one eviction did. As JSON and back it is the same to the last bit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// The budget as it was typed.
    pub budget: Budget,
    /// The budget on this prompt.
    pub budget_tokens: usize,
    /// What was foreseen of the decode stage.
    pub foreseen: Foreseen,
    /// Every step against the full cache.
    #[serde(with = "exact::steps")]
    pub steps: Vec<StepFidelity>,
    /// Their means.
    #[serde(with = "exact::means")]
    pub fidelity: MeanFidelity,
    /// Of the reference answer, in nats per token.
    #[serde(with = "exact::option")]
    pub answer_nll: Option<f64>,
    /// Of the greedy generation.
    #[serde(with = "exact::option")]
    pub score: Option<f64>,
    /// Its text.
    pub generated: String,
}

/// Who takes what is made of a sample: a closure, or whoever also goes on with what an earlier run made.
pub trait Outcomes {
    /// What an earlier run made of a window at a budget.
    fn known(&mut self, _window: &str, _budget: Budget) -> Option<Outcome> {
        None
    }

    /// Hears of a budget of a window as soon as it is made.
    ///
    /// # Errors
    /// When it cannot be kept.
    fn keep(&mut self, _window: &str, _head_kind: HeadKind, _outcome: &Outcome) -> Result<()> {
        Ok(())
    }

    /// Takes all budgets of a window.
    fn take(&mut self, window: WindowOutcome);
}

impl<F: FnMut(WindowOutcome)> Outcomes for F {
    fn take(&mut self, window: WindowOutcome) {
        self(window);
    }
}

/// A sample's full cache and what it is measured with.
pub struct SampleRun<'a> {
    plan: &'a EvictionPlan,
    model: &'a Model,
    record: &'a SampleRecord,
    test: FidelityTest<'a>,
    cancel: &'a CancelFlag,
    progress: &'a mut dyn StageProgress,
}

/// What an eviction foresaw of the decode stage, as means over heads.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Foreseen {
    /// Recall of the window's queries: scored as every window and the decode stage.
    #[serde(with = "exact")]
    pub recall: f64,
    /// Recall of the method as published, against the raw attention of the decode stage.
    #[serde(with = "exact")]
    pub method_recall: f64,
    /// Share of the decode stage's top B by raw attention that is really kept.
    #[serde(with = "exact")]
    pub kept_recall: f64,
    /// The same with the rule's forced tokens on both sides.
    #[serde(with = "exact")]
    pub hit_rate: f64,
    /// Raw decode attention that the kept tokens hold.
    #[serde(with = "exact")]
    pub kept_mass: f64,
    /// Relative error of attention's output on what is kept; NaN without values, for the full cache, and where heads
    /// have budgets of their own.
    #[serde(with = "exact")]
    pub output_error: f64,
}

/// A sample measured both ways: evictions go by the methods as published, and what their queries foresee is recall
/// under one scoring.
struct BothWays {
    methods: MeasuredSample,
    queries: MeasuredSample,
}

impl BothWays {
    fn of(captured: &CapturedSample, plan: &EvictionPlan, budgets: &[usize]) -> Result<Self> {
        let options = &plan.options;
        // of the curves at budgets only the methods' output errors are looked at
        let measured = |options: MeasureOptions, budgets: &[usize]| {
            let sample = measure_sample(captured, &options, |_| budgets.to_vec())?;
            Ok::<_, anyhow::Error>(match plan.join_final_budgets {
                true => sample.joined(),
                false => sample,
            })
        };
        let methods = MeasureOptions {
            compare: Compare::Methods,
            ..*options
        };
        let queries = MeasureOptions {
            compare: Compare::Queries,
            oracle: OracleDefinition {
                steps: options.oracle.steps,
                ..OracleDefinition::default()
            },
            ..*options
        };
        Ok(Self {
            methods: measured(methods, budgets)?,
            queries: measured(queries, &[])?,
        })
    }

    /// The decode stage, then the windows.
    fn evicted(&self) -> impl Iterator<Item = Evicting<'_>> {
        let windows = self.methods.windows.iter().zip(&self.queries.windows);
        let windows = windows.map(|(method, queries)| Evicting {
            label: &method.label,
            head_kind: keeping_heads(method.scoring.scoring.group),
            method: &method.ranked,
            queries: &queries.ranked,
            windows: Some((method, queries)),
            keep_rule: method.keep_rule,
            errors: &method.comparison,
            sample: self,
        });
        std::iter::once(self.decode_stage()).chain(windows)
    }

    fn decode_stage(&self) -> Evicting<'_> {
        Evicting {
            label: DECODE_LABEL,
            head_kind: HeadKind::Query,
            method: &self.methods.truth,
            queries: &self.queries.truth,
            windows: None,
            keep_rule: KeepRule::default(),
            errors: &self.methods.decode,
            sample: self,
        }
    }
}

/// What an eviction goes by, and what it is held against.
#[derive(Clone, Copy)]
struct Evicting<'a> {
    label: &'a str,
    /// What the heads are that each keep tokens of their own.
    head_kind: HeadKind,
    method: &'a Ranked,
    queries: &'a Ranked,
    /// The window by its method and by its queries; none of the decode stage.
    windows: Option<(&'a MeasuredWindow, &'a MeasuredWindow)>,
    keep_rule: KeepRule,
    /// The method's output errors at the budgets of the run.
    errors: &'a Comparison,
    sample: &'a BothWays,
}

impl Evicting<'_> {
    /// What evicts at a budget in tokens; none where the window observes anew for each budget and has not for this one.
    fn at(self, budget_tokens: usize) -> Option<Self> {
        let Some((method, queries)) = self.windows else {
            return Some(self);
        };
        Some(Self {
            method: &method.at(budget_tokens)?.ranked,
            queries: &queries.at(budget_tokens)?.ranked,
            ..self
        })
    }

    /// Tokens that every head keeps, by the budget that was asked for.
    fn forced_keep(&self, allocation: &BudgetAllocation) -> ForcedKeep {
        self.keep_rule.at(allocation.budget())
    }

    /// The mean over heads at the budget of all of them.
    fn output_error(&self, allocation: &BudgetAllocation) -> f64 {
        let tokens = allocation.budget();
        let uniform = allocation.tokens().iter().all(|&own| own == tokens);
        let index = self.errors.budget_index(tokens).ok().filter(|_| uniform);
        index.map_or(f64::NAN, |index| {
            self.errors.mean(Metric::OutputError, index)
        })
    }

    fn foreseen(&self, allocation: &BudgetAllocation) -> Result<Foreseen> {
        let means = |sample: &MeasuredSample, ranked: &Ranked, allocation| {
            let heads = compare_allocation(AllocationInput {
                truth: &sample.truth.rankings,
                window: &ranked.rankings,
                decode_mass: &sample.decode_mass,
                forced_keep: self.keep_rule.at(BudgetAllocation::budget(allocation)),
                allocation,
            })?;
            Ok::<_, anyhow::Error>(AllocatedMeans::of(&heads))
        };
        let as_published = means(&self.sample.methods, self.method, allocation)?;
        // where queries are grouped there are other heads, which share the budget alike
        let queries = &self.queries.importance;
        let alike = match queries.heads() == self.method.importance.heads() {
            true => means(&self.sample.queries, self.queries, allocation)?,
            false => {
                let uniform = BudgetAllocation::uniform(queries, allocation.budget())?;
                means(&self.sample.queries, self.queries, &uniform)?
            }
        };
        Ok(Foreseen {
            recall: alike.recall,
            method_recall: as_published.recall,
            kept_recall: as_published.kept_recall,
            hit_rate: as_published.hit_rate,
            kept_mass: as_published.selected_mass,
            output_error: self.output_error(allocation),
        })
    }
}

impl<'a> SampleRun<'a> {
    /// Prefills the sample and runs what follows on its full cache.
    ///
    /// # Errors
    /// [`SessionError::Cancelled`](kvlens_sessions::SessionError::Cancelled), or what the model refuses.
    pub fn begin(
        plan: &'a EvictionPlan,
        decode: &DecodePlan,
        model: &'a Model,
        record: &'a SampleRecord,
        cancel: &'a CancelFlag,
        progress: &'a mut dyn StageProgress,
    ) -> Result<Self> {
        let continuation = continuation_plan(plan, decode, model, record, progress)?;
        let mut control = RunControl {
            cancel,
            on_tokens: &mut |done, total| progress.stage("prefill", done, total),
        };
        let test = FidelityTest::begin(model, &record.prompt_ids, continuation, &mut control)?;
        Ok(Self {
            plan,
            model,
            record,
            test,
            cancel,
            progress,
        })
    }

    /// The full cache, the oracle, and every window at the budgets that apply to the prompt.
    ///
    /// # Errors
    /// As [`begin`](Self::begin), and what the numerics refuse.
    pub fn run(self, captured: &CapturedSample, budgets: &[Budget]) -> Result<Vec<WindowOutcome>> {
        let mut outcomes = Vec::new();
        let mut take = |outcome: WindowOutcome| outcomes.push(outcome);
        self.run_some(captured, budgets, |_| true, &mut take)?;
        Ok(outcomes)
    }

    /// The full cache, the oracle, and the windows of the labels that are `wanted`; each is handed on as soon
    /// as it is done. What is known of an earlier run is not made again.
    ///
    /// # Errors
    /// As [`run`](Self::run), and what cannot be kept.
    pub fn run_some(
        mut self,
        captured: &CapturedSample,
        budgets: &[Budget],
        wanted: impl Fn(&str) -> bool,
        outcomes: &mut dyn Outcomes,
    ) -> Result<()> {
        let tokens = budgets
            .iter()
            .map(|budget| budget.tokens(self.prompt_tokens()));
        let mut tokens: Vec<usize> = tokens.collect();
        tokens.sort_unstable();
        tokens.dedup();
        let sample = BothWays::of(captured, self.plan, &tokens)?;
        let full = self.full(&sample.decode_stage(), outcomes)?;
        outcomes.take(full);
        for evicting in sample.evicted() {
            let label = evicting.label;
            if label != DECODE_LABEL && !wanted(label) {
                continue;
            }
            let outcome = self
                .window(&evicting, budgets, outcomes)
                .with_context(|| format!("window '{label}'"))?;
            outcomes.take(outcome);
        }
        Ok(())
    }

    fn full(&self, oracle: &Evicting<'_>, outcomes: &mut dyn Outcomes) -> Result<WindowOutcome> {
        let all = Budget::Fraction(1.0);
        let full = match outcomes.known(FULL_LABEL, all) {
            Some(known) => known,
            None => {
                let allocation =
                    BudgetAllocation::uniform(&oracle.method.importance, self.prompt_tokens())?;
                let full = self.outcome(oracle, all, &allocation, self.test.full())?;
                outcomes.keep(FULL_LABEL, oracle.head_kind, &full)?;
                full
            }
        };
        Ok(WindowOutcome {
            label: FULL_LABEL.to_owned(),
            head_kind: oracle.head_kind,
            by_budget: vec![full],
        })
    }

    fn window(
        &mut self,
        evicting: &Evicting<'_>,
        budgets: &[Budget],
        outcomes: &mut dyn Outcomes,
    ) -> Result<WindowOutcome> {
        let steps = self.test.full().steps().len();
        let (label, head_kind) = (evicting.label, evicting.head_kind);
        let mut by_budget: Vec<Outcome> = Vec::with_capacity(budgets.len());
        for (index, &budget) in budgets.iter().enumerate() {
            self.progress
                .stage(label, index * steps, budgets.len() * steps);
            if let Some(known) = outcomes.known(label, budget) {
                by_budget.push(known);
                continue;
            }
            let tokens = budget.tokens(self.prompt_tokens());
            let alike = by_budget.iter().find(|known| known.budget_tokens == tokens);
            let outcome = match alike {
                Some(alike) => Outcome {
                    budget,
                    ..alike.clone()
                },
                None => match evicting.at(tokens) {
                    Some(evicting) => self.evict(&evicting, budget)?,
                    None => continue,
                },
            };
            outcomes.keep(label, head_kind, &outcome)?;
            by_budget.push(outcome);
        }
        Ok(WindowOutcome {
            label: label.to_owned(),
            head_kind,
            by_budget,
        })
    }

    fn evict(&mut self, evicting: &Evicting<'_>, budget: Budget) -> Result<Outcome> {
        let allocation = self.allocate(evicting, budget.tokens(self.prompt_tokens()))?;
        let kept = evict(
            &evicting.method.rankings,
            evicting.forced_keep(&allocation),
            &allocation,
        )?;
        let mut control = RunControl {
            cancel: self.cancel,
            on_tokens: &mut |_, _| {},
        };
        let continuation = self.test.evicted(kept, &mut control)?;
        self.outcome(evicting, budget, &allocation, &continuation)
    }

    fn allocate(&self, evicting: &Evicting<'_>, tokens: usize) -> Result<BudgetAllocation> {
        // what is exempt from the ranking is kept as what is forced
        let forced = evicting
            .keep_rule
            .at(tokens)
            .union(self.plan.options.exempt);
        let (allocation, importance) = (self.plan.allocation, &evicting.method.importance);
        Ok(allocation.share_out(
            importance,
            LayerRange::all(importance.layers()),
            forced,
            tokens,
        )?)
    }

    fn outcome(
        &self,
        evicting: &Evicting<'_>,
        budget: Budget,
        allocation: &BudgetAllocation,
        continuation: &Continuation,
    ) -> Result<Outcome> {
        let steps = self.test.compare(continuation)?;
        let generated = self.model.decode_text(&continuation.generated_ids)?;
        Ok(Outcome {
            budget,
            budget_tokens: budget.tokens(self.prompt_tokens()),
            foreseen: evicting.foreseen(allocation)?,
            fidelity: MeanFidelity::of(&steps),
            steps,
            answer_nll: continuation.answer_nll,
            score: self.record.score_of(&generated),
            generated,
        })
    }

    fn prompt_tokens(&self) -> usize {
        self.record.prompt_ids.len()
    }
}

/// Query heads that share their scores keep the same tokens.
fn keeping_heads(group: GroupReduction) -> HeadKind {
    match group {
        GroupReduction::None => HeadKind::Query,
        GroupReduction::Mean | GroupReduction::Max => HeadKind::Kv,
        GroupReduction::Layer => HeadKind::Layer,
    }
}

/// The session's own generation, its reference answer where that fits behind the prompt, and how far to
/// generate.
fn continuation_plan(
    plan: &EvictionPlan,
    decode: &DecodePlan,
    model: &Model,
    record: &SampleRecord,
    progress: &dyn StageProgress,
) -> Result<ContinuationPlan> {
    let of_sample = decode.of(record.answer_tokens).max_tokens;
    let most_tokens = plan.decode.unwrap_or(of_sample);
    let asked = record.prompt_ids.len() + record.question_ids().len();
    let generated = record.generated_ids.iter().copied();
    let mut answer_ids = match &record.answer {
        Some(answer) => model.encode_continuation(answer)?,
        None => Vec::new(),
    };
    let positions = model.config().max_positions;
    if asked + answer_ids.len() > positions {
        progress.note(&format!(
            "warning: the answer of sample '{}' does not fit behind its prompt in the model's {positions} \
             positions; its likelihood is left out",
            record.id
        ));
        answer_ids.clear();
    }
    Ok(ContinuationPlan {
        question_ids: record.question_ids().to_vec(),
        step_ids: generated.take(most_tokens).collect(),
        answer_ids,
        most_tokens,
        ignore_eos: decode.ignore_eos,
    })
}
