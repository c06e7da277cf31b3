//! What a sample says, in numbers: all that tables take but the scores themselves. Of some of its layers, to which those
//! behind are added, so that a sample of any length is measured with the scores of a few layers in memory.

use anyhow::{Result, ensure};
use kvlens_analysis::agreement::Agreement;
use kvlens_analysis::allocation::AllocatedHead;
use kvlens_analysis::complementarity::{Complementarity, complementarity};
use kvlens_analysis::evidence::EvidenceTally;
use kvlens_analysis::{Budget, Compare, Comparison, KeepRule, agreement_by_head};
use kvlens_sessions::model::RopeConfig;
use kvlens_sessions::{CapturedSample, Cost, SampleRecord, ScoreKind};

use super::pairs::Pairs;
use super::question_tables::{Question, Questions};
use crate::measurement::allocations::{AllocationKind, allocate};
use crate::measurement::drift::{DriftAsked, WindowDrift, window_drift};
use crate::measurement::{MeasureOptions, MeasuredSample, MeasuredWindow};

mod answers;
#[cfg(test)]
mod tests;

pub use answers::{Answers, QueryNumbers};

/// What is asked of a sample.
#[derive(Clone, Copy)]
pub struct Asking<'a> {
    /// How it is measured.
    pub options: &'a MeasureOptions,
    /// Budgets that apply to its prompt, as they were typed.
    pub budgets: &'a [Budget],
    /// The windows that are held against each other.
    pub pairs: &'a Pairs,
    /// What is asked beyond recall.
    pub questions: &'a Questions,
    /// The model's rotary embedding, if the session says it.
    pub rope: Option<&'a RopeConfig>,
}

impl Asking<'_> {
    fn tokens(&self, prompt_tokens: usize) -> Vec<usize> {
        let budgets = self.budgets.iter();
        budgets.map(|budget| budget.tokens(prompt_tokens)).collect()
    }

    fn is_asked(&self, question: Question) -> bool {
        self.questions.asked.contains(&question)
    }
}

/// The numbers of a sample.
#[derive(Debug, Clone)]
pub struct SampleNumbers {
    /// Texts, ids and what is known of it.
    pub record: SampleRecord,
    /// What was compared.
    pub compare: Compare,
    /// What the decode stage cost.
    pub oracle_cost: Cost,
    /// The decode stage as if it were a window.
    pub decode: Comparison,
    /// In the order of the plan.
    pub windows: Vec<WindowNumbers>,
    /// Of every observation by its label: query rows that stand in the prompt.
    pub rows_in_prompt: Vec<(String, usize)>,
    /// What becomes of the needed tokens: by the decode stage, then by each window.
    pub evidence: Vec<EvidenceTally>,
    /// What windows keep together.
    pub pairs: Vec<PairNumbers>,
    /// What was asked beyond recall of the sample as a whole.
    pub answers: Answers,
}

/// The numbers of a window.
#[derive(Debug, Clone)]
pub struct WindowNumbers {
    /// The window as it was typed.
    pub label: String,
    /// What its scores are.
    pub score_kind: ScoreKind,
    /// What it cost.
    pub cost: Cost,
    /// Every metric at the compared budgets.
    pub comparison: Comparison,
    /// The same of what it could reach at best, where methods are compared.
    pub ceiling: Option<Comparison>,
    /// Of a window that observed anew for each budget, these budgets in tokens; none of any other.
    pub own_budgets: Vec<usize>,
    /// What it observed: once, or once for each budget.
    pub observed: Vec<ObservedNumbers>,
    /// What other allocations of the budgets keep, if that was asked.
    pub allocations: Vec<AllocationNumbers>,
}

/// The numbers of one observation, which are about no budget or about all of them.
#[derive(Debug, Clone)]
pub struct ObservedNumbers {
    /// The observation's label.
    pub label: String,
    /// Every metric at the compared budgets.
    pub comparison: Comparison,
    /// With the decode stage's scores, `[L, heads]`.
    pub agreement: Vec<Agreement>,
    /// Attention of its rows that falls on the prompt, `[L, heads]`.
    pub prompt_shares: Vec<f32>,
    /// When it foresees, if that was asked.
    pub drift: Option<WindowDrift>,
}

/// What a window keeps when a budget is shared out in some way.
#[derive(Debug, Clone)]
pub struct AllocationNumbers {
    /// The way.
    pub kind: AllocationKind,
    /// The budget as it was typed.
    pub budget: Budget,
    /// `[L, heads]`.
    pub by_head: Vec<AllocatedHead>,
}

/// What two windows keep together of the truth's top tokens.
#[derive(Debug, Clone)]
pub struct PairNumbers {
    /// Label of the first window.
    pub first: String,
    /// Label of the second.
    pub second: String,
    /// Budgets as they were typed.
    pub budgets: Vec<Budget>,
    /// `[L, heads][budgets]`.
    pub by_head: Vec<Vec<Complementarity>>,
}

impl SampleNumbers {
    /// Of the layers that were loaded and measured.
    ///
    /// # Errors
    /// What the numerics refuse.
    pub fn of(
        captured: &CapturedSample,
        measured: &MeasuredSample,
        asking: Asking<'_>,
    ) -> Result<Self> {
        let windows = measured.windows.iter();
        let prompt_tokens = captured.record.prompt_ids.len();
        let observations = captured.windows().iter();
        let rows = observations.map(|window| {
            let rows = window.rows_in_prompt(prompt_tokens);
            (window.label().to_owned(), rows)
        });
        Ok(Self {
            record: captured.record.clone(),
            rows_in_prompt: rows.collect(),
            compare: measured.compare,
            oracle_cost: *captured.oracle().cost(),
            decode: measured.decode.clone(),
            windows: windows
                .map(|window| WindowNumbers::of(captured, measured, window, asking))
                .collect::<Result<_>>()?,
            evidence: evidence(measured, asking),
            pairs: pairs(measured, asking)?,
            answers: Answers::of(captured, measured, asking)?,
        })
    }

    /// Adds the numbers of the layers behind.
    ///
    /// # Errors
    /// When they are not of the same sample, measured alike.
    pub fn append(&mut self, behind: Self) -> Result<()> {
        ensure!(
            self.windows.len() == behind.windows.len() && self.pairs.len() == behind.pairs.len(),
            "the layers of a sample have other windows"
        );
        self.decode.append(behind.decode)?;
        for (own, behind) in self.windows.iter_mut().zip(behind.windows) {
            own.append(behind)?;
        }
        for (own, behind) in self.evidence.iter_mut().zip(behind.evidence) {
            own.append(behind);
        }
        for (own, behind) in self.pairs.iter_mut().zip(behind.pairs) {
            own.by_head.extend(behind.by_head);
        }
        self.answers.append(behind.answers);
        Ok(())
    }
}

impl WindowNumbers {
    fn of(
        captured: &CapturedSample,
        measured: &MeasuredSample,
        window: &MeasuredWindow,
        asking: Asking<'_>,
    ) -> Result<Self> {
        let observed = window.observations();
        Ok(Self {
            label: window.label.clone(),
            score_kind: window.score_kind,
            cost: window.cost,
            comparison: window.comparison.clone(),
            ceiling: window.ceiling.as_deref().cloned(),
            own_budgets: window.own_budgets(),
            observed: observed
                .map(|window| ObservedNumbers::of(captured, measured, window, asking))
                .collect::<Result<_>>()?,
            allocations: allocations(measured, window, asking)?,
        })
    }

    fn append(&mut self, behind: Self) -> Result<()> {
        self.comparison.append(behind.comparison)?;
        if let (Some(own), Some(behind)) = (&mut self.ceiling, behind.ceiling) {
            own.append(behind)?;
        }
        for (own, behind) in self.observed.iter_mut().zip(behind.observed) {
            own.append(behind)?;
        }
        for (own, behind) in self.allocations.iter_mut().zip(behind.allocations) {
            own.by_head.extend(behind.by_head);
        }
        Ok(())
    }
}

impl ObservedNumbers {
    fn of(
        captured: &CapturedSample,
        measured: &MeasuredSample,
        window: &MeasuredWindow,
        asking: Asking<'_>,
    ) -> Result<Self> {
        let (truth, importance) = (&measured.truth.importance, &window.ranked.importance);
        let tokens = asking.tokens(importance.prompt_tokens());
        let drift = || {
            window_drift(
                captured,
                asking.options,
                window,
                DriftAsked::at(&tokens),
                &mut |_, _| Ok(()),
            )
        };
        Ok(Self {
            label: window.label.clone(),
            comparison: window.comparison.clone(),
            agreement: agreement_by_head(truth, importance, asking.options.exempt)?,
            prompt_shares: importance.prompt_shares(),
            drift: asking.is_asked(Question::Drift).then(drift).transpose()?,
        })
    }

    fn append(&mut self, behind: Self) -> Result<()> {
        self.comparison.append(behind.comparison)?;
        self.agreement.extend(behind.agreement);
        self.prompt_shares.extend(behind.prompt_shares);
        if let (Some(own), Some(behind)) = (&mut self.drift, behind.drift) {
            own.by_head.extend(behind.by_head);
        }
        Ok(())
    }
}

/// The decode stage first, then the windows.
fn evidence(measured: &MeasuredSample, asking: Asking<'_>) -> Vec<EvidenceTally> {
    let truth = &measured.truth.rankings;
    let tokens = asking.tokens(truth.prompt_tokens());
    let windows = measured.windows.iter();
    let windows = windows.map(|window| (&window.ranked.rankings, window.keep_rule));
    let sides = std::iter::once((truth, KeepRule::default())).chain(windows);
    let evidence = &measured.record.evidence_tokens;
    sides
        .map(|(rankings, keep_rule)| EvidenceTally::of(rankings, keep_rule, evidence, &tokens))
        .collect()
}

fn allocations(
    measured: &MeasuredSample,
    window: &MeasuredWindow,
    asking: Asking<'_>,
) -> Result<Vec<AllocationNumbers>> {
    let mut all = Vec::new();
    if !asking.is_asked(Question::Allocation) {
        return Ok(all);
    }
    for kind in AllocationKind::ALL {
        for &budget in asking.budgets {
            let tokens = budget.tokens(window.comparison.prompt_tokens);
            if let Some(window) = window.at(tokens) {
                all.push(AllocationNumbers {
                    kind,
                    budget,
                    by_head: allocate(measured, window, kind, tokens)?,
                });
            }
        }
    }
    Ok(all)
}

fn pairs(measured: &MeasuredSample, asking: Asking<'_>) -> Result<Vec<PairNumbers>> {
    let truth = &measured.truth.rankings;
    let windows = &measured.windows;
    let labels: Vec<&str> = windows.iter().map(|window| window.label.as_str()).collect();
    let mut all = Vec::new();
    for (first, second) in asking.pairs.of(&labels) {
        let (Some(first), Some(second)) = (windows.get(first), windows.get(second)) else {
            continue;
        };
        let alike = alike_at(first, second, asking.budgets, truth.prompt_tokens());
        for (one, other, budgets) in alike {
            let tokens = budgets
                .iter()
                .map(|budget| budget.tokens(truth.prompt_tokens()));
            let tokens: Vec<usize> = tokens.collect();
            let [one, other] = [one, other].map(|window| &window.ranked.rankings);
            all.push(PairNumbers {
                first: first.label.clone(),
                second: second.label.clone(),
                budgets: budgets.to_vec(),
                by_head: complementarity(truth, one, other, &tokens)?,
            });
        }
    }
    Ok(all)
}

/// What stands for two windows, with the budgets that it stands for: all of them at once, but each on its own where a
/// window has observed anew for each.
fn alike_at<'a>(
    first: &'a MeasuredWindow,
    second: &'a MeasuredWindow,
    budgets: &'a [Budget],
    prompt_tokens: usize,
) -> Vec<(&'a MeasuredWindow, &'a MeasuredWindow, &'a [Budget])> {
    if first.at_budgets.is_empty() && second.at_budgets.is_empty() {
        return vec![(first, second, budgets)];
    }
    let single = budgets.chunks(1);
    let both = single.filter_map(|budget| {
        let tokens = budget.first()?.tokens(prompt_tokens);
        Some((first.at(tokens)?, second.at(tokens)?, budget))
    });
    both.collect()
}
