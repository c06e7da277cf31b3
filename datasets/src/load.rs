//! From a specification to samples.

mod rows;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use crate::builtin;
use crate::error::DatasetError;
use crate::fit::{Fitted, TooLong, fit};
use crate::folder::{self, Files};
use crate::formats::Format;
use crate::options::{BadRows, LoadOptions};
use crate::records::{self, FileKind};
use crate::report::{BUILT_IN, Cut, LeftOut, LoadReport, SourceReport, TooLongSample};
use crate::sample::{Sample, short_hash};
use crate::spec::DataSpec;
use crate::spool::Spool;
use rows::RowReader;

/// Samples and what became of the files that they were read from.
#[derive(Clone, Debug, PartialEq)]
pub struct Loaded {
    /// With unique ids; none only when every prompt was too long and left out, which the report counts.
    pub samples: Vec<Sample>,
    /// What was read as what, and what was not.
    pub report: LoadReport,
}

/// Samples on disk, and what became of the files that they were read from.
#[derive(Debug)]
pub struct Spooled {
    /// With unique ids; none only when every prompt was too long and left out, which the report counts.
    pub samples: Spool,
    /// What was read as what, and what was not.
    pub report: LoadReport,
}

/// Loads several sources one after the other, and says what was read of each.
///
/// * A built-in task gives its samples.
/// * A `.txt` file is one sample: its text exactly as it is, the id is the file's stem, the task is `text`.
/// * A `.jsonl` file holds one JSON object a line, a `.json` file an array of objects; blank lines are skipped. Tables
///   (`.parquet`) come from [`LoadOptions::open_table`]. Rows that look like a benchmark's are read as such
///   ([`Format`]); all others by the names of their fields:
///
/// | part of the sample | names, the first present one counts |
/// |---|---|
/// | `prompt` | `prompt`, `text`, or an `input` that stands alone |
/// | document | `context`, `document` (where there is no `prompt`), or an `input` beside a `question` |
/// | question | `question`, `input` |
/// | instruction | `instruction`, or a `prompt` beside a `context` |
/// | `id` | `id`, `_id`, `index` (text or a whole number); else stem and row index from 0 |
/// | `task` | `task`, `dataset`; else the file's stem |
/// | `answer` | `answer`, `outputs`, `target`, `output`, `answers`; text, number, or a list: of `answers` any one is right, another list is wanted whole |
/// | `values` | `values`; else a list under `answer` or the like; else the first of `answers` |
/// | `evidence` | `evidence`: a list of `[start, end]` offsets in the prompt (bytes, or characters by [`LoadOptions::evidence_unit`]), or of passages whose first occurrence counts; `evidence_characters`: offsets in characters |
/// | `question_place` | `question_place`: where the question stands. Where document and question are joined it also decides which comes first, and it is `end` when absent |
/// | `answer_prefix`, `answer_tokens` | `answer_prefix`, `max_new_tokens` |
///
/// Instruction, document and question are joined by blank lines. An id that occurs again gets `-2`, `-3` and so on
/// appended; the report counts them.
///
/// # Errors
/// An unknown task or option, an unreadable file or one that holds no prompt, an unknown extension; a row that is no
/// sample or a prompt that is too long, unless they are to be left out; a question that cannot be moved; an id asked
/// for that no sample has.
pub fn load_with(specs: &[DataSpec], options: &LoadOptions<'_>) -> Result<Loaded, DatasetError> {
    let mut samples = Vec::new();
    let report = read_each(specs, options, &mut |sample| {
        samples.push(sample);
        ControlFlow::Continue(())
    })?;
    Ok(Loaded { samples, report })
}

/// As [`load_with`], but with the samples on disk as soon as they are many, in a file that is made in this folder.
///
/// # Errors
/// As [`load_with`]; a file that cannot be written.
pub fn spool_with(
    specs: &[DataSpec],
    options: &LoadOptions<'_>,
    folder: &Path,
) -> Result<Spooled, DatasetError> {
    let mut samples = Spool::in_folder(folder);
    let mut outcome = Ok(());
    let report = read_each(specs, options, &mut |sample| {
        outcome = samples.push(&sample);
        match outcome {
            Ok(()) => ControlFlow::Continue(()),
            Err(_) => ControlFlow::Break(()),
        }
    })?;
    outcome.map(|()| Spooled { samples, report })
}

/// Hands over sample after sample, so that files of any size are read in the memory of one row; `on_sample` may stop.
///
/// # Errors
/// As [`load_with`].
pub fn read_each(
    specs: &[DataSpec],
    options: &LoadOptions<'_>,
    on_sample: &mut dyn FnMut(Sample) -> ControlFlow<()>,
) -> Result<LoadReport, DatasetError> {
    let mut place = 0;
    let mut on_chosen = |sample| {
        place += 1;
        match options.part {
            Some(part) if place <= part.first => ControlFlow::Continue(()),
            // behind the last of all samples there may be rows to report
            Some(part) if place == part.end() && place < part.of => {
                let _ = on_sample(sample);
                ControlFlow::Break(())
            }
            Some(part) if place > part.end() => ControlFlow::Break(()),
            _ => on_sample(sample),
        }
    };
    let mut loader = Loader {
        options,
        on_sample: &mut on_chosen,
        ids: HashMap::new(),
        missing: options.only.clone(),
        report: LoadReport::default(),
        given: 0,
        is_stopped: false,
    };
    for spec in specs {
        loader.given = 0;
        loader.source(spec)?;
    }
    if let Some(id) = loader.missing.first().filter(|_| !loader.is_stopped) {
        return Err(DatasetError::UnknownSample { id: id.clone() });
    }
    Ok(loader.report)
}

struct Loader<'a, 'o> {
    options: &'a LoadOptions<'o>,
    on_sample: &'a mut dyn FnMut(Sample) -> ControlFlow<()>,
    /// How often an id was given, by what is short of it: of a million samples the ids themselves would take 100 MB.
    ids: HashMap<[u8; 8], usize>,
    /// Ids that were asked for and not met yet.
    missing: BTreeSet<String>,
    report: LoadReport,
    /// How many samples the present specification gave.
    given: usize,
    is_stopped: bool,
}

impl Loader<'_, '_> {
    fn source(&mut self, spec: &DataSpec) -> Result<(), DatasetError> {
        match spec {
            DataSpec::BuiltIn { task, options } => self.built_in(spec, task, options),
            DataSpec::File(path) if path.is_dir() => self.folder(None, path),
            DataSpec::File(path) => self.file(None, path, Vec::new()),
            DataSpec::Benchmark { format, path } => self.folder(Some(*format), path),
        }
    }

    fn built_in(
        &mut self,
        spec: &DataSpec,
        task: &str,
        options: &BTreeMap<String, String>,
    ) -> Result<(), DatasetError> {
        let mut report = SourceReport {
            name: spec.to_string(),
            format: BUILT_IN.to_owned(),
            unit: "sample".to_owned(),
            ..SourceReport::default()
        };
        // what is too long is left out or cut where that is asked
        let positions = match (self.options.tokens, self.options.fit) {
            (Some(tokens), None) => tokens.positions(),
            _ => usize::MAX,
        };
        let made = builtin::samples(task, options, self.options.tokens, positions)?;
        report.has_estimated_lengths = made.has_estimated_lengths;
        report.short_haystack_words = made.short_haystack_words;
        for sample in made.samples {
            let wrong = |problem: String| DatasetError::Sample { problem };
            if self.give(sample?, &mut report, wrong)?.is_break() {
                break;
            }
        }
        self.report.sources.push(report);
        Ok(())
    }

    fn folder(&mut self, format: Option<Format>, path: &Path) -> Result<(), DatasetError> {
        let Files { read, mut skipped } = folder::files(path)?;
        // a benchmark's rows are in no plain text
        let is_row_file =
            |file: &PathBuf| format.is_none() || FileKind::of(file) != Some(FileKind::Text);
        let (read, texts): (Vec<PathBuf>, Vec<PathBuf>) = read.into_iter().partition(is_row_file);
        skipped.extend(texts.iter().map(|file| file.display().to_string()));
        let before = self.given;
        for file in &read {
            if self.is_full() {
                break;
            }
            self.file(format, file, std::mem::take(&mut skipped))?;
        }
        if self.given == before && self.options.only.is_empty() && !self.is_stopped {
            return Err(DatasetError::Empty {
                path: path.to_owned(),
            });
        }
        Ok(())
    }

    fn is_full(&self) -> bool {
        self.is_stopped || self.options.limit.is_some_and(|limit| self.given >= limit)
    }

    fn file(
        &mut self,
        format: Option<Format>,
        path: &Path,
        skipped_files: Vec<String>,
    ) -> Result<(), DatasetError> {
        let kind = FileKind::of(path).ok_or_else(|| DatasetError::UnknownExtension {
            path: path.to_owned(),
        })?;
        let mut report = SourceReport {
            name: path.display().to_string(),
            unit: kind.unit().to_owned(),
            skipped_files,
            ..SourceReport::default()
        };
        if kind == FileKind::Text {
            self.text(path, &mut report)?;
        } else {
            self.rows(format, path, &mut report)?;
        }
        self.report.sources.push(report);
        Ok(())
    }

    fn text(&mut self, path: &Path, report: &mut SourceReport) -> Result<(), DatasetError> {
        let sample = folder::text_sample(path)?;
        report.format = "text".to_owned();
        report.rows = 1;
        let wrong = |problem: String| DatasetError::Sample { problem };
        self.give(sample, report, wrong).map(|_| ())
    }

    fn rows(
        &mut self,
        format: Option<Format>,
        path: &Path,
        report: &mut SourceReport,
    ) -> Result<(), DatasetError> {
        let mut reader = RowReader::new(format, path, self.options);
        let unit = unit_of(path);
        for record in records::open(path, self.options.open_table)? {
            let record = record?;
            report.rows += 1;
            let number = record.number;
            let wrong = |problem: String| DatasetError::Row {
                path: path.to_owned(),
                unit,
                number,
                problem,
            };
            let entries = match reader.read(&record, report)? {
                Ok(entries) => entries,
                Err(problem) if self.options.bad_rows == BadRows::Refuse => {
                    return Err(wrong(problem));
                }
                Err(problem) => {
                    report.left_out.add(LeftOut { number, problem });
                    continue;
                }
            };
            for sample in entries {
                if self.give(sample, report, wrong)?.is_break() {
                    report.format = reader.format_name();
                    return Ok(());
                }
            }
        }
        report.format = reader.format_name();
        if report.rows == 0 || report.samples == 0 && self.options.only.is_empty() {
            return self.nothing(path, report);
        }
        Ok(())
    }

    /// A file without samples is an error, unless every row of it is accounted for in the report.
    fn nothing(&self, path: &Path, report: &SourceReport) -> Result<(), DatasetError> {
        if report.too_long.count > 0 {
            return Ok(());
        }
        Err(match report.left_out.first.first() {
            Some(LeftOut { number, problem }) => DatasetError::NoSample {
                path: path.to_owned(),
                unit: unit_of(path),
                number: *number,
                problem: problem.clone(),
            },
            None => DatasetError::Empty {
                path: path.to_owned(),
            },
        })
    }

    /// Moves the question, cuts the prompt, numbers the id, and hands the sample over.
    fn give(
        &mut self,
        sample: Sample,
        report: &mut SourceReport,
        wrong: impl Fn(String) -> DatasetError,
    ) -> Result<ControlFlow<()>, DatasetError> {
        if self.is_full() {
            report.stopped_at_limit = !self.is_stopped;
            return Ok(ControlFlow::Break(()));
        }
        if !self.options.only.is_empty() && !self.options.only.contains(&sample.id) {
            return Ok(ControlFlow::Continue(()));
        }
        self.missing.remove(&sample.id);
        let limits = self.options.fit.zip(self.options.tokens);
        let mut sample = match fit(sample, self.options.question, limits).map_err(&wrong)? {
            Fitted::Whole(sample) => sample,
            Fitted::Cut {
                sample,
                from_tokens,
                to_tokens,
                lost_evidence,
            } => {
                report.lost_evidence += lost_evidence;
                report.cut.add(Cut {
                    id: sample.id.clone(),
                    from_tokens,
                    to_tokens,
                });
                sample
            }
            Fitted::TooLong {
                id,
                tokens,
                limit,
                reason,
            } => {
                if limits.is_some_and(|(fit, _)| fit.too_long == TooLong::Refuse) {
                    return Err(DatasetError::TooLong { id, tokens, limit });
                }
                report.too_long.add(TooLongSample { id, tokens, reason });
                return Ok(ControlFlow::Continue(()));
            }
        };
        self.number(&mut sample, report);
        report.samples += 1;
        self.given += 1;
        let flow = (self.on_sample)(sample);
        self.is_stopped |= flow.is_break();
        Ok(flow)
    }

    fn number(&mut self, sample: &mut Sample, report: &mut SourceReport) {
        let name = short_hash(&sample.id);
        let Some(&given) = self.ids.get(&name) else {
            self.ids.insert(name, 1);
            return;
        };
        let copies = (given + 1..).map(|copy| (copy, format!("{}-{copy}", sample.id)));
        let mut unused = copies.filter(|(_, id)| !self.ids.contains_key(&short_hash(id)));
        if let Some((copy, id)) = unused.next() {
            self.ids.insert(name, copy);
            self.ids.insert(short_hash(&id), 1);
            sample.id = id;
        }
        report.renamed += 1;
    }
}

/// What a row of the file is called.
fn unit_of(path: &Path) -> &'static str {
    FileKind::of(path).map_or("row", FileKind::unit)
}
