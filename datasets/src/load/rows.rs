//! From the rows of a file to samples.

use std::path::{Path, PathBuf};

use crate::error::DatasetError;
use crate::folder;
use crate::formats::{Config, Entry, Format, Row, Source};
use crate::options::LoadOptions;
use crate::records::Record;
use crate::report::SourceReport;
use crate::sample::Sample;

/// Reads the rows of one file, whose layout its first row shows.
pub(super) struct RowReader<'a> {
    format: Option<Format>,
    path: PathBuf,
    stem: String,
    file: String,
    config: Option<Config>,
    options: &'a LoadOptions<'a>,
}

impl<'a> RowReader<'a> {
    pub(super) fn new(format: Option<Format>, path: &Path, options: &'a LoadOptions<'a>) -> Self {
        let is_mapped = !options.fields.is_empty() || options.template.is_some();
        Self {
            format: if is_mapped {
                Some(Format::Plain)
            } else {
                format
            },
            path: path.to_owned(),
            stem: folder::lossy(path.file_stem()),
            file: folder::lossy(path.file_name()),
            config: None,
            options,
        }
    }

    /// The layout, for the report.
    pub(super) fn format_name(&self) -> String {
        self.format.unwrap_or(Format::Plain).name().to_owned()
    }

    /// The samples of a row, or what is wrong with it.
    pub(super) fn read(
        &mut self,
        record: &Record,
        report: &mut SourceReport,
    ) -> Result<Result<Vec<Sample>, String>, DatasetError> {
        let fields = match &record.fields {
            Ok(fields) => fields,
            Err(problem) => return Ok(Err(problem.clone())),
        };
        let format = *self.format.get_or_insert_with(|| Format::of(fields));
        let config = match self.config.take() {
            Some(config) => config,
            None => format.config(&self.path)?,
        };
        let source = Source {
            path: &self.path,
            stem: &self.stem,
            file: &self.file,
            config: &config,
            options: self.options,
        };
        let row = Row::new(fields);
        let entries = format.read(&row, &source, record.number);
        let samples = entries.and_then(|entries| samples(entries, report));
        report.count_fields(row.uses());
        self.config = Some(config);
        Ok(samples)
    }
}

fn samples(entries: Vec<Entry>, report: &mut SourceReport) -> Result<Vec<Sample>, String> {
    let samples = entries.into_iter().map(|entry| match entry {
        Entry::Ready(sample) => Ok(*sample),
        Entry::Draft(draft) => {
            let (sample, origin, lost) = draft.sample()?;
            report.templates.insert(origin);
            report.lost_evidence += lost;
            Ok(sample)
        }
    });
    samples.collect()
}
