//! The tables of one measurement: written side by side, published together.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use kvlens_analysis::collection::{Collection, Contrast};
use kvlens_analysis::needle::NeedleGrids;
use kvlens_analysis::tables::{
    AgreementTable, AllocationTable, ComplementarityTable, CostRow, CostTable, DecodeEvictionTable,
    DifferenceTable, DriftTable, EvidenceTable, ImportanceInput, ImportanceTable, NeedleTable,
    NeighbourTable, OverlapTable, PlaceTable, ProfileStabilityTable, ProfileTable, QueryTable,
    SampleContext, SampleRow, SamplesTable, SummaryRow, SummaryTable, Table, TableOutput,
    WindowContext, WinnerTable, agreement_rows, complementarity_rows, difference_rows,
    evidence_rows, needle_rows, overlap_rows, winner_rows,
};
use kvlens_analysis::{Budget, Compare, Metric, SampleKey};
use kvlens_sessions::windows::DECODE_LABEL;
use kvlens_sessions::{Cost, SampleRecord, ScoreKind, Session};

use super::numbers::{SampleNumbers, WindowNumbers};
use super::pairs::Pairs;
use super::question_tables::{QuestionTables, Questions};
use crate::jobs::folders::Staging;
use crate::measurement::decode_eviction::RankedSample;

#[cfg(test)]
mod tests;

/// What the tables were made of, as JSON beside them.
pub const ABOUT_FILE: &str = "tables.json";

/// Whether a measurement writes a file of this name.
pub fn is_written_by_measure(name: &str) -> bool {
    fn names<T: Table>() -> Vec<PathBuf> {
        TableOutput::<T>::file_names(true)
    }
    let tables = [
        names::<OverlapTable>(),
        names::<AgreementTable>(),
        names::<CostTable>(),
        names::<SamplesTable>(),
        names::<SummaryTable>(),
        names::<DifferenceTable>(),
        names::<WinnerTable>(),
        names::<ComplementarityTable>(),
        names::<NeedleTable>(),
        names::<EvidenceTable>(),
        names::<ImportanceTable>(),
        names::<DriftTable>(),
        names::<PlaceTable>(),
        names::<QueryTable>(),
        names::<AllocationTable>(),
        names::<ProfileTable>(),
        names::<NeighbourTable>(),
        names::<ProfileStabilityTable>(),
        names::<DecodeEvictionTable>(),
    ];
    name == ABOUT_FILE
        || tables
            .iter()
            .flatten()
            .any(|known| known.as_os_str() == name)
}

/// Whether a file of a measurement tells of all of its samples together, and not of one after the other.
pub fn is_of_all_samples(name: &str) -> bool {
    let tables = [
        TableOutput::<SummaryTable>::file_names(true),
        TableOutput::<DifferenceTable>::file_names(true),
        TableOutput::<WinnerTable>::file_names(true),
        TableOutput::<ProfileStabilityTable>::file_names(true),
    ];
    name == ABOUT_FILE
        || tables
            .iter()
            .flatten()
            .any(|table| table.as_os_str() == name)
}

/// Which forms and which optional tables are written.
#[derive(Clone, Copy, Debug)]
pub struct TableChoice {
    /// CSV beside Parquet.
    pub csv: bool,
    /// The table of every score.
    pub importance: bool,
}

/// What the samples say together.
#[derive(Clone, Copy)]
pub struct CollectedSamples<'a> {
    /// What was compared.
    pub compare: Compare,
    /// The decode stage against itself.
    pub decode: &'a Collection,
    /// The windows against the decode stage.
    pub windows: &'a Collection,
    /// Samples that have a length and a depth.
    pub needles: &'a NeedleGrids,
    /// The windows that are compared with each other.
    pub pairs: &'a Pairs,
    /// Whether every head is tested by itself.
    pub head_tests: bool,
    /// What counts as no difference, if anything does.
    pub margin: Option<f64>,
}

/// The open tables.
pub struct Tables {
    overlap: TableOutput<OverlapTable>,
    agreement: TableOutput<AgreementTable>,
    cost: TableOutput<CostTable>,
    samples: TableOutput<SamplesTable>,
    summary: TableOutput<SummaryTable>,
    difference: TableOutput<DifferenceTable>,
    winner: TableOutput<WinnerTable>,
    complementarity: TableOutput<ComplementarityTable>,
    /// Where there are samples for it.
    needle: Option<TableOutput<NeedleTable>>,
    evidence: TableOutput<EvidenceTable>,
    importance: Option<TableOutput<ImportanceTable>>,
    provenance: String,
    questions: QuestionTables,
    choice: TableChoice,
    // after the writers, whose files lie in it: fields are dropped in this order
    staging: Staging,
}

impl Tables {
    /// Opens every table aside in the output folder, which is created if needed. `provenance` is a JSON text.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub fn begin(
        out: &Path,
        provenance: &str,
        choice: TableChoice,
        questions: &Questions,
    ) -> Result<Self> {
        let staging = Staging::begin(out)?;
        let (folder, csv) = (staging.folder(), choice.csv);
        let about = folder.join(ABOUT_FILE);
        fs::write(&about, format!("{provenance}\n"))
            .with_context(|| format!("a file cannot be written: {}", about.display()))?;
        Ok(Self {
            overlap: TableOutput::create(folder, provenance, csv)?,
            agreement: TableOutput::create(folder, provenance, csv)?,
            cost: TableOutput::create(folder, provenance, csv)?,
            samples: TableOutput::create(folder, provenance, csv)?,
            summary: TableOutput::create(folder, provenance, csv)?,
            difference: TableOutput::create(folder, provenance, csv)?,
            winner: TableOutput::create(folder, provenance, csv)?,
            complementarity: TableOutput::create(folder, provenance, csv)?,
            needle: None,
            evidence: TableOutput::create(folder, provenance, csv)?,
            provenance: provenance.to_owned(),
            importance: choice
                .importance
                .then(|| TableOutput::create(folder, provenance, csv))
                .transpose()?,
            questions: QuestionTables::begin(folder, provenance, csv, questions)?,
            choice,
            staging,
        })
    }

    /// Adds all rows of a sample but its scores, the decode stage before its windows. `budgets` are those that apply to
    /// its prompt.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn add(
        &mut self,
        context: &SampleContext,
        sample: &SampleNumbers,
        budgets: &[Budget],
    ) -> Result<()> {
        let compare = sample.compare.to_string();
        let context_of = |window, score_kind: ScoreKind| WindowContext {
            sample: context,
            window,
            score_kind: score_kind.name(),
            compare: &compare,
        };
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
            &sample.oracle_cost,
            (ScoreKind::Attention, 1),
        )])?;
        let decode_context = context_of(DECODE_LABEL, ScoreKind::Attention);
        self.overlap.write(&overlap_rows(
            decode_context,
            &sample.decode,
            None,
            budgets,
        )?)?;
        for window in &sample.windows {
            self.add_window(
                context_of(&window.label, window.score_kind),
                window,
                budgets,
            )?;
        }
        self.add_evidence(context, sample, budgets)?;
        self.add_pairs(context, sample)?;
        self.questions.add(context, sample, budgets)
    }

    /// What becomes of the needed tokens, where the data name them: the decode stage first, then the windows.
    fn add_evidence(
        &mut self,
        context: &SampleContext,
        sample: &SampleNumbers,
        budgets: &[Budget],
    ) -> Result<()> {
        let compare = sample.compare.to_string();
        let windows = sample.windows.iter().map(|window| window.label.as_str());
        let labels = std::iter::once(DECODE_LABEL).chain(windows);
        for (label, tally) in labels.zip(&sample.evidence) {
            if tally.needed() == 0 {
                continue;
            }
            let (labels, survivals) = ((label, compare.as_str()), tally.survivals());
            let rows = evidence_rows(context, labels, tally.needed(), budgets, &survivals);
            self.evidence.write(&rows)?;
        }
        Ok(())
    }

    fn add_window(
        &mut self,
        context: WindowContext<'_>,
        window: &WindowNumbers,
        budgets: &[Budget],
    ) -> Result<()> {
        self.overlap.write(&overlap_rows(
            context,
            &window.comparison,
            window.ceiling.as_ref(),
            budgets,
        )?)?;
        for observed in &window.observed {
            let context = WindowContext {
                window: &observed.label,
                ..context
            };
            self.agreement.write(&agreement_rows(
                context,
                &observed.agreement,
                &observed.comparison,
                &observed.prompt_shares,
            )?)?;
        }
        self.cost.write(&[cost_row(
            context.sample,
            &window.label,
            &window.cost,
            (window.score_kind, window.observed.len()),
        )])?;
        Ok(())
    }

    /// What each pair of windows keeps together.
    fn add_pairs(&mut self, context: &SampleContext, sample: &SampleNumbers) -> Result<()> {
        for pair in &sample.pairs {
            self.complementarity.write(&complementarity_rows(
                context,
                (&pair.first, &pair.second),
                sample.decode.shape(),
                &pair.budgets,
                &pair.by_head,
            )?)?;
        }
        Ok(())
    }

    /// Adds some layers of a sample, from `first_layer` on, whose cache was ranked while it decoded.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn add_decode_eviction(
        &mut self,
        context: &SampleContext,
        first_layer: usize,
        ranked: (&RankedSample, &[Budget]),
    ) -> Result<()> {
        self.questions
            .add_decode_eviction(context, first_layer, ranked)
    }

    /// Whether every score is written, too.
    pub fn has_importance(&self) -> bool {
        self.importance.is_some()
    }

    /// Adds the scores of some layers of one side of a sample. The sides come one after the other, each with its layers
    /// in their order.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn add_importance(&mut self, scores: ImportanceInput<'_>) -> Result<()> {
        match &mut self.importance {
            Some(table) => Ok(table.write_importance(scores)?),
            None => Ok(()),
        }
    }

    /// Adds what the samples say together. `seed` fixes the draws of the bootstrap. `go_on` is asked before each map,
    /// which may take seconds, and ends the work by an error.
    ///
    /// # Errors
    /// That error; when a file cannot be written, or the statistics refuse a value.
    pub fn add_collection(
        &mut self,
        collected: &CollectedSamples<'_>,
        seed: u64,
        go_on: impl Fn() -> Result<()>,
    ) -> Result<()> {
        let CollectedSamples {
            compare,
            decode,
            windows,
            needles,
            pairs,
            head_tests,
            margin,
        } = *collected;
        let compare = compare.to_string();
        self.add_needles(needles, &compare, seed)?;
        for metric in Metric::ALL {
            go_on()?;
            let summaries = [decode, windows].map(|part| part.summaries(metric, seed));
            let rows = summaries.into_iter().flatten();
            let rows = rows.map(|summary| SummaryRow::new(summary, &compare));
            self.summary.write(&rows.collect::<Vec<_>>())?;
        }
        for contrast in Contrast::ALL {
            let against = pairs.against(windows);
            for pair in windows.differences(contrast, against, head_tests, seed) {
                let pair = pair?;
                go_on()?;
                self.difference.write(&difference_rows(&pair, margin))?;
            }
        }
        if head_tests {
            for map in windows.winners(seed) {
                let map = map?;
                go_on()?;
                self.winner.write(&winner_rows(&map)?)?;
            }
        }
        Ok(())
    }

    fn add_needles(&mut self, needles: &NeedleGrids, compare: &str, seed: u64) -> Result<()> {
        if needles.grids().is_empty() {
            return Ok(());
        }
        let (folder, csv) = (self.staging.folder(), self.choice.csv);
        let mut table = TableOutput::create(folder, &self.provenance, csv)?;
        for grid in needles.grids() {
            table.write(&needle_rows(grid, compare, seed))?;
        }
        self.needle = Some(table);
        Ok(())
    }

    /// Completes every file, then gives all of them their names in the output folder. Tells the files that an
    /// earlier measurement left there and this one does not write, in the order of their names.
    ///
    /// # Errors
    /// When a file cannot be completed or moved.
    pub fn publish(self) -> Result<Vec<String>> {
        let csv = self.choice.csv;
        let mut names = Vec::new();
        finish(self.overlap, csv, &mut names)?;
        finish(self.agreement, csv, &mut names)?;
        finish(self.cost, csv, &mut names)?;
        finish(self.samples, csv, &mut names)?;
        finish(self.summary, csv, &mut names)?;
        finish(self.difference, csv, &mut names)?;
        finish(self.winner, csv, &mut names)?;
        finish(self.complementarity, csv, &mut names)?;
        if let Some(needle) = self.needle {
            finish(needle, csv, &mut names)?;
        }
        finish(self.evidence, csv, &mut names)?;
        if let Some(importance) = self.importance {
            finish(importance, csv, &mut names)?;
        }
        self.questions.finish(csv, &mut names)?;
        // last: who finds it finds the tables that it tells of
        names.push(PathBuf::from(ABOUT_FILE));
        let earlier = others(self.staging.target(), &names);
        self.staging.publish(&names)?;
        Ok(earlier)
    }
}

/// Files of a measurement in a folder, but for those of these names.
fn others(folder: &Path, names: &[PathBuf]) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut others: Vec<String> = entries
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| {
            is_written_by_measure(name) && !names.iter().any(|new| new.as_os_str() == name.as_str())
        })
        .collect();
    others.sort();
    others
}

/// Completes a table and adds the names of its files.
///
/// # Errors
/// When a file cannot be completed.
pub fn finish<T: Table>(table: TableOutput<T>, csv: bool, names: &mut Vec<PathBuf>) -> Result<()> {
    table.finish()?;
    names.extend(TableOutput::<T>::file_names(csv));
    Ok(())
}

fn cost_row<'a>(
    sample: &'a SampleContext,
    window: &'a str,
    cost: &Cost,
    (score_kind, observations): (ScoreKind, usize),
) -> CostRow<'a> {
    CostRow {
        sample,
        window,
        score_kind: score_kind.name(),
        observations: clamped(observations),
        rows: clamped(cost.rows),
        seconds: cost.seconds,
        flops: cost.flops,
        extra_tokens: clamped(cost.extra_tokens),
        peak_bytes: cost.peak_bytes as u64,
    }
}

/// What a sample's rows in every table begin with.
pub fn sample_context(
    session: &Session,
    model: String,
    record: &SampleRecord,
    key: &SampleKey,
) -> SampleContext {
    SampleContext {
        session: session.name().to_owned(),
        model,
        dataset: record.dataset.clone(),
        task: record.task.clone(),
        sample: record.id.clone(),
        content: key.content.clone(),
        question_place: record.question_place.map(|place| place.to_string()),
        prompt_tokens: clamped(record.prompt_ids.len()),
        decode_tokens: clamped(record.generated_ids.len()),
        asked_length: record.asked_length.map(clamped),
        depth: record.depth,
    }
}

/// Counts of tokens are 32 bits wide in the tables.
pub fn clamped(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}
