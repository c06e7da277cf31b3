//! One captured sample: prefilled again, evicted by every window at every budget, compared with itself.

use anyhow::{Context, Result};
use kvlens_analysis::allocation::{
    AllocatedMeans, AllocationInput, BudgetAllocation, compare_allocation,
};
use kvlens_analysis::fidelity::{MeanFidelity, StepFidelity};
use kvlens_analysis::{Budget, ForcedKeep, HeadKind, Importance, KeepRule, Rankings};
use kvlens_datasets::score_values;
use kvlens_sessions::fidelity::{Continuation, ContinuationPlan, FidelityTest};
use kvlens_sessions::model::Model;
use kvlens_sessions::windows::DECODE_LABEL;
use kvlens_sessions::{CancelFlag, CapturedSample, DecodePlan, RunControl, SampleRecord, evict};

use super::allocations::AllocationKind;
use super::{MeasureOptions, MeasuredSample, MeasuredWindow, StageProgress, measure_sample};

pub mod collected;

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
}

/// One window, the oracle or the full cache.
pub struct WindowOutcome {
    /// Its label.
    pub label: String,
    /// What the heads are that each kept tokens of their own.
    pub head_kind: HeadKind,
    /// In the order of the budgets; a single one for the full cache.
    pub by_budget: Vec<Outcome>,
}

/// What one eviction did.
#[derive(Clone)]
pub struct Outcome {
    /// The budget as it was typed.
    pub budget: Budget,
    /// The budget on this prompt.
    pub budget_tokens: usize,
    /// What was foreseen of the decode stage.
    pub foreseen: AllocatedMeans,
    /// Every step against the full cache.
    pub steps: Vec<StepFidelity>,
    /// Their means.
    pub fidelity: MeanFidelity,
    /// Of the reference answer, in nats per token.
    pub answer_nll: Option<f64>,
    /// Of the greedy generation.
    pub score: Option<f64>,
    /// Its text.
    pub generated: String,
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

/// What an eviction goes by.
struct Ranked<'a> {
    label: &'a str,
    importance: &'a Importance,
    rankings: &'a Rankings,
    keep_rule: KeepRule,
    oracle: &'a Rankings,
    oracle_mass: &'a Importance,
}

impl<'a> Ranked<'a> {
    fn of_window(window: &'a MeasuredWindow) -> Self {
        Self {
            label: &window.label,
            importance: &window.importance,
            rankings: &window.rankings,
            keep_rule: window.keep_rule,
            oracle: &window.oracle_rankings,
            oracle_mass: &window.oracle_mass,
        }
    }

    fn of_oracle(sample: &'a MeasuredSample) -> Self {
        Self {
            label: DECODE_LABEL,
            importance: &sample.oracle,
            rankings: &sample.oracle_rankings,
            keep_rule: KeepRule::default(),
            oracle: &sample.oracle_rankings,
            oracle_mass: &sample.oracle_mass,
        }
    }

    /// Tokens that every head keeps, by the budget that was asked for.
    fn forced_keep(&self, allocation: &BudgetAllocation) -> ForcedKeep {
        self.keep_rule.at(allocation.budget())
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
        self.run_some(captured, budgets, |_| true, &mut |outcome| {
            outcomes.push(outcome);
        })?;
        Ok(outcomes)
    }

    /// The full cache, the oracle, and the windows of the labels that are `wanted`; each is handed on as soon
    /// as it is done.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub fn run_some(
        mut self,
        captured: &CapturedSample,
        budgets: &[Budget],
        wanted: impl Fn(&str) -> bool,
        on_outcome: &mut dyn FnMut(WindowOutcome),
    ) -> Result<()> {
        let options = &self.plan.options;
        // the curves at budgets are not looked at here, only what they are made from
        let sample = measure_sample(captured, options, |_| Vec::new())?;
        let oracle = Ranked::of_oracle(&sample);
        on_outcome(self.full(&oracle)?);
        let windows = sample.windows.iter().map(Ranked::of_window);
        let windows = windows.filter(|window| wanted(window.label));
        for ranked in std::iter::once(oracle).chain(windows) {
            let label = ranked.label;
            let outcome = self
                .window(&ranked, budgets)
                .with_context(|| format!("window '{label}'"))?;
            on_outcome(outcome);
        }
        Ok(())
    }

    fn full(&self, oracle: &Ranked<'_>) -> Result<WindowOutcome> {
        let all = Budget::Fraction(1.0);
        let allocation = BudgetAllocation::uniform(oracle.importance, self.prompt_tokens())?;
        let full = self.outcome(oracle, all, &allocation, self.test.full())?;
        Ok(WindowOutcome {
            label: FULL_LABEL.to_owned(),
            head_kind: oracle.rankings.head_kind(),
            by_budget: vec![full],
        })
    }

    fn window(&mut self, ranked: &Ranked<'_>, budgets: &[Budget]) -> Result<WindowOutcome> {
        let steps = self.test.full().steps().len();
        let mut by_budget: Vec<Outcome> = Vec::with_capacity(budgets.len());
        for (index, &budget) in budgets.iter().enumerate() {
            self.progress
                .stage(ranked.label, index * steps, budgets.len() * steps);
            let tokens = budget.tokens(self.prompt_tokens());
            let known = by_budget.iter().find(|known| known.budget_tokens == tokens);
            let outcome = match known {
                Some(known) => Outcome {
                    budget,
                    ..known.clone()
                },
                None => self.evict(ranked, budget)?,
            };
            by_budget.push(outcome);
        }
        Ok(WindowOutcome {
            label: ranked.label.to_owned(),
            head_kind: ranked.rankings.head_kind(),
            by_budget,
        })
    }

    fn evict(&mut self, ranked: &Ranked<'_>, budget: Budget) -> Result<Outcome> {
        let allocation = self.allocate(ranked, budget.tokens(self.prompt_tokens()))?;
        let kept = evict(
            ranked.rankings,
            ranked.forced_keep(&allocation),
            &allocation,
        )?;
        let mut control = RunControl {
            cancel: self.cancel,
            on_tokens: &mut |_, _| {},
        };
        let continuation = self.test.evicted(kept, &mut control)?;
        self.outcome(ranked, budget, &allocation, &continuation)
    }

    fn allocate(&self, ranked: &Ranked<'_>, tokens: usize) -> Result<BudgetAllocation> {
        // what is exempt from the ranking is kept as what is forced
        let forced = ranked.keep_rule.at(tokens).union(self.plan.options.exempt);
        let allocation = self.plan.allocation;
        Ok(allocation.share_out(ranked.importance, forced, tokens)?)
    }

    fn outcome(
        &self,
        ranked: &Ranked<'_>,
        budget: Budget,
        allocation: &BudgetAllocation,
        continuation: &Continuation,
    ) -> Result<Outcome> {
        let heads = compare_allocation(AllocationInput {
            oracle: ranked.oracle,
            window: ranked.rankings,
            oracle_mass: ranked.oracle_mass,
            forced_keep: ranked.forced_keep(allocation),
            allocation,
        })?;
        let steps = self.test.compare(continuation)?;
        let generated = self.model.decode_text(&continuation.generated_ids)?;
        let (values, answer) = (&self.record.values, self.record.answer.as_deref());
        Ok(Outcome {
            budget,
            budget_tokens: budget.tokens(self.prompt_tokens()),
            foreseen: AllocatedMeans::of(&heads),
            fidelity: MeanFidelity::of(&steps),
            steps,
            answer_nll: continuation.answer_nll,
            score: score_values(values, answer, &generated),
            generated,
        })
    }

    fn prompt_tokens(&self) -> usize {
        self.record.prompt_ids.len()
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
    let most_tokens = plan.decode.unwrap_or(decode.max_tokens);
    let generated = record.generated_ids.iter().copied();
    let mut answer_ids = match &record.answer {
        Some(answer) => model.encode_continuation(answer)?,
        None => Vec::new(),
    };
    let positions = model.config().max_positions;
    if record.prompt_ids.len() + answer_ids.len() > positions {
        progress.note(&format!(
            "warning: the answer of sample '{}' does not fit behind its prompt in the model's {positions} \
             positions; its likelihood is left out",
            record.id
        ));
        answer_ids.clear();
    }
    Ok(ContinuationPlan {
        step_ids: generated.take(most_tokens).collect(),
        answer_ids,
        most_tokens,
        ignore_eos: decode.ignore_eos,
    })
}
