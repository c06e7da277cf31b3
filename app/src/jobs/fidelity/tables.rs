//! The Parquet files of `kvlens fidelity`: written side by side, published together.

use anyhow::Result;
use kvlens_analysis::fidelity::EvictionMean;
use kvlens_analysis::tables::{
    FidelityNeedleTable, FidelityRow, FidelityStepRow, FidelityStepsTable, FidelitySummaryRow,
    FidelitySummaryTable, FidelityTable, RecallFidelityTable, SampleContext, Table, TableWriter,
    fidelity_needle_rows,
};
use kvlens_sessions::SampleRecord;

use super::relation::{Relation, relations};
use super::{Allocation, Evicted};
use crate::jobs::SEED;
use crate::jobs::folders::Staging;
use crate::jobs::measure::clamped;
use crate::measurement::fidelity::figures::Figure;
use crate::measurement::fidelity::summary::Evictions;
use crate::measurement::fidelity::{FULL_LABEL, Outcome, WindowOutcome};

/// Every table of one run.
pub struct FidelityTables {
    fidelity: TableWriter<FidelityTable>,
    steps: TableWriter<FidelityStepsTable>,
    summary: TableWriter<FidelitySummaryTable>,
    relations: TableWriter<RecallFidelityTable>,
    needles: TableWriter<FidelityNeedleTable>,
    // after the writers, whose files lie in it: fields are dropped in this order
    staging: Staging,
}

impl FidelityTables {
    /// Opens every table aside in the output folder.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub fn begin(staging: Staging, provenance: &str) -> Result<Self> {
        let folder = staging.folder();
        Ok(Self {
            fidelity: TableWriter::create(folder, provenance)?,
            steps: TableWriter::create(folder, provenance)?,
            summary: TableWriter::create(folder, provenance)?,
            relations: TableWriter::create(folder, provenance)?,
            needles: TableWriter::create(folder, provenance)?,
            staging,
        })
    }

    /// Adds all rows of a sample.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn add(
        &mut self,
        context: &SampleContext,
        record: &SampleRecord,
        allocation: Allocation,
        windows: &[WindowOutcome],
    ) -> Result<()> {
        let mut rows = Vec::new();
        let mut steps = Vec::new();
        for window in windows {
            for outcome in &window.by_budget {
                rows.push(row(context, allocation, window, outcome));
                if window.label != FULL_LABEL {
                    steps.extend(step_rows(context, record, window, outcome));
                }
            }
        }
        self.fidelity.write(&rows)?;
        self.steps.write(&steps)?;
        Ok(())
    }

    /// Adds what the samples say together, completes every file, then gives all of them their names.
    ///
    /// # Errors
    /// When a file cannot be completed or moved.
    pub fn publish(mut self, evicted: &Evicted) -> Result<()> {
        let evictions = &evicted.evictions;
        for figure in Figure::all() {
            self.summary.write(&summary_rows(evictions, figure))?;
        }
        let rows: Vec<_> = relations(evictions)?.iter().map(Relation::row).collect();
        self.relations.write(&rows)?;
        for grid in evicted.needles.grids() {
            self.needles.write(&fidelity_needle_rows(grid, SEED))?;
        }
        self.fidelity.finish()?;
        self.steps.finish()?;
        self.summary.finish()?;
        self.relations.finish()?;
        self.needles.finish()?;
        self.staging.publish(&[
            FidelityTable::FILE_NAME,
            FidelityStepsTable::FILE_NAME,
            FidelitySummaryTable::FILE_NAME,
            RecallFidelityTable::FILE_NAME,
            FidelityNeedleTable::FILE_NAME,
        ])
    }
}

fn summary_rows<'a>(evictions: &'a Evictions, figure: Figure) -> Vec<FidelitySummaryRow<'a>> {
    let means = evictions.means(figure, SEED).into_iter();
    let row = |mean: EvictionMean<'a, usize>| {
        let group = &evictions.groups().get(mean.group)?.group;
        Some(FidelitySummaryRow {
            model: &group.model,
            task: &group.task,
            question_place: group.question_place.as_deref(),
            window: mean.window,
            budget: mean.budget,
            metric: figure.column(),
            samples: clamped(mean.samples),
            mean: mean.changed,
            interval: mean.interval,
        })
    };
    means.filter_map(row).collect()
}

fn row<'a>(
    sample: &'a SampleContext,
    allocation: Allocation,
    window: &'a WindowOutcome,
    outcome: &'a Outcome,
) -> FidelityRow<'a> {
    FidelityRow {
        sample,
        window: &window.label,
        head_kind: window.head_kind,
        allocation: allocation.kind().name(),
        budget: outcome.budget,
        budget_tokens: clamped(outcome.budget_tokens),
        budget_fraction: budget_fraction(sample, outcome),
        recall: Some(outcome.foreseen.recall),
        method_recall: Some(outcome.foreseen.method_recall),
        kept_recall: Some(outcome.foreseen.kept_recall),
        hit_rate: Some(outcome.foreseen.hit_rate),
        kept_mass: Some(outcome.foreseen.kept_mass),
        output_error: Some(outcome.foreseen.output_error),
        steps: clamped(outcome.steps.len()),
        kl: Some(outcome.fidelity.kl),
        agreement: Some(outcome.fidelity.agreement),
        answer_nll: outcome.answer_nll,
        score: outcome.score,
        generated: &outcome.generated,
    }
}

fn step_rows<'a>(
    sample: &'a SampleContext,
    record: &SampleRecord,
    window: &'a WindowOutcome,
    outcome: &Outcome,
) -> impl Iterator<Item = FidelityStepRow<'a>> {
    let steps = record.generated_ids.iter().zip(&outcome.steps).enumerate();
    steps.map(move |(step, (&token_id, &fidelity))| FidelityStepRow {
        sample,
        window: &window.label,
        budget: outcome.budget,
        budget_tokens: clamped(outcome.budget_tokens),
        budget_fraction: budget_fraction(sample, outcome),
        step: clamped(step),
        token_id,
        kl: Some(fidelity.kl),
        agrees: fidelity.agrees,
    })
}

fn budget_fraction(sample: &SampleContext, outcome: &Outcome) -> f64 {
    outcome.budget.fraction(sample.prompt_tokens as usize)
}
