//! The Parquet files of one measurement: written side by side, published together.

use std::path::Path;

use anyhow::Result;
use kvlens_analysis::tables::{
    AgreementTable, CostRow, CostTable, ImportanceInput, ImportanceTable, OverlapTable,
    SampleContext, SampleRow, SamplesTable, Table, TableWriter, agreement_rows, overlap_rows,
};
use kvlens_analysis::{Budget, ForcedKeep, agreement_by_head};
use kvlens_sessions::windows::DECODE_LABEL;
use kvlens_sessions::{Cost, ScoreKind};

use super::folders::Staging;
use crate::measurement::{MeasuredSample, MeasuredWindow};

/// Names of every file that a measurement can write.
pub const FILE_NAMES: [&str; 5] = [
    OverlapTable::FILE_NAME,
    AgreementTable::FILE_NAME,
    CostTable::FILE_NAME,
    SamplesTable::FILE_NAME,
    ImportanceTable::FILE_NAME,
];

/// The open tables.
pub struct Tables {
    overlap: TableWriter<OverlapTable>,
    agreement: TableWriter<AgreementTable>,
    cost: TableWriter<CostTable>,
    samples: TableWriter<SamplesTable>,
    importance: Option<TableWriter<ImportanceTable>>,
    // after the writers, whose files lie in it: fields are dropped in this order
    staging: Staging,
}

impl Tables {
    /// Opens every table aside in the output folder, which is created if needed.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub fn begin(out: &Path, provenance: &str, with_importance: bool) -> Result<Self> {
        let staging = Staging::begin(out)?;
        let folder = staging.folder();
        Ok(Self {
            overlap: TableWriter::create(folder, provenance)?,
            agreement: TableWriter::create(folder, provenance)?,
            cost: TableWriter::create(folder, provenance)?,
            samples: TableWriter::create(folder, provenance)?,
            importance: with_importance
                .then(|| TableWriter::create(folder, provenance))
                .transpose()?,
            staging,
        })
    }

    /// Adds all rows of a sample. `budgets` are those that apply to its prompt.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn add(
        &mut self,
        context: &SampleContext,
        sample: &MeasuredSample,
        oracle_cost: &Cost,
        budgets: &[Budget],
        exempt: ForcedKeep,
    ) -> Result<()> {
        let record = &sample.record;
        self.samples.write(&[SampleRow {
            sample: context,
            prompt: &record.prompt,
            generated: &record.generated,
            answer: record.answer.as_deref(),
            score: record.score,
            seconds: record.seconds,
        }])?;
        self.cost.write(&[cost_row(
            context,
            DECODE_LABEL,
            oracle_cost,
            ScoreKind::Attention,
        )])?;
        for window in &sample.windows {
            self.add_window(context, window, budgets, exempt)?;
        }
        self.add_importance(context, sample)
    }

    fn add_window(
        &mut self,
        context: &SampleContext,
        window: &MeasuredWindow,
        budgets: &[Budget],
        exempt: ForcedKeep,
    ) -> Result<()> {
        let (label, comparison) = (window.label.as_str(), &window.comparison);
        self.overlap
            .write(&overlap_rows(context, label, comparison, budgets)?)?;
        let agreement = agreement_by_head(&window.oracle_importance, &window.importance, exempt)?;
        self.agreement.write(&agreement_rows(
            context,
            label,
            &agreement,
            comparison,
            &window.importance,
        )?)?;
        self.cost
            .write(&[cost_row(context, label, &window.cost, window.score_kind)])?;
        Ok(())
    }

    /// The decode stage first, then the windows.
    fn add_importance(&mut self, context: &SampleContext, sample: &MeasuredSample) -> Result<()> {
        let Some(table) = &mut self.importance else {
            return Ok(());
        };
        let oracle = (DECODE_LABEL, &sample.oracle, &sample.oracle_rankings);
        let windows = sample
            .windows
            .iter()
            .map(|window| (window.label.as_str(), &window.importance, &window.rankings));
        for (window, importance, rankings) in std::iter::once(oracle).chain(windows) {
            table.write_importance(ImportanceInput {
                sample: context,
                window,
                token_ids: &sample.record.prompt_ids,
                token_texts: &sample.record.token_texts,
                importance,
                rankings,
            })?;
        }
        Ok(())
    }

    /// Completes every file, then gives all of them their names in the output folder.
    ///
    /// # Errors
    /// When a file cannot be completed or moved.
    pub fn publish(self) -> Result<()> {
        let mut names = vec![
            OverlapTable::FILE_NAME,
            AgreementTable::FILE_NAME,
            CostTable::FILE_NAME,
            SamplesTable::FILE_NAME,
        ];
        self.overlap.finish()?;
        self.agreement.finish()?;
        self.cost.finish()?;
        self.samples.finish()?;
        if let Some(importance) = self.importance {
            importance.finish()?;
            names.push(ImportanceTable::FILE_NAME);
        }
        self.staging.publish(&names)
    }
}

fn cost_row<'a>(
    sample: &'a SampleContext,
    window: &'a str,
    cost: &Cost,
    score_kind: ScoreKind,
) -> CostRow<'a> {
    CostRow {
        sample,
        window,
        rows: clamped(cost.rows),
        seconds: cost.seconds,
        flops: cost.flops,
        extra_tokens: clamped(cost.extra_tokens),
        peak_bytes: cost.peak_bytes as u64,
        score_kind: score_kind.name(),
    }
}

/// Counts of tokens are 32 bits wide in the tables.
pub fn clamped(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}
