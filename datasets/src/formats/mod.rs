//! Layouts of files of prompts: this program's own, those of the benchmarks, and any other.

mod babilong;
mod config;
mod draft;
mod infinitebench;
mod kvlens;
mod l_eval;
mod longbench;
mod longbench_v2;
mod loogle;
mod plain;
mod row;
mod ruler;
mod template;
#[cfg(test)]
mod tests;

use std::fmt;
use std::path::Path;

pub use kvlens::write_samples;
pub use plain::FieldMap;
pub use template::TemplateOrigin;

pub(crate) use config::Config;
pub(crate) use draft::Draft;
pub(crate) use row::{Problem, Row, Uses};

use crate::error::DatasetError;
use crate::options::LoadOptions;
use crate::records::Fields;
use crate::sample::Sample;

/// How the rows of a file are laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Format {
    /// LongBench (Bai et al. 2023) and LongBench-E.
    LongBench,
    /// LongBench v2 (Bai et al. 2024): questions with four choices.
    LongBenchV2,
    /// RULER (Hsieh et al. 2024), as its scripts prepare it or with context and question apart.
    Ruler,
    /// InfiniteBench (Zhang et al. 2024).
    InfiniteBench,
    /// BABILong (Kuratov et al. 2024).
    BabiLong,
    /// LooGLE (Li et al. 2023).
    LooGle,
    /// L-Eval (An et al. 2023).
    LEval,
    /// Samples that this program wrote ([`write_samples`]).
    KvLens,
    /// Any other rows, by the names of their fields.
    Plain,
}

impl Format {
    /// All layouts, in the order in which a row is tried.
    pub const ALL: [Self; 9] = [
        Self::KvLens,
        Self::LongBenchV2,
        Self::LongBench,
        Self::InfiniteBench,
        Self::BabiLong,
        Self::LooGle,
        Self::LEval,
        Self::Ruler,
        Self::Plain,
    ];

    /// What is typed before the colon: `longbench`, `longbench-v2`, `ruler`, `infinitebench`, `babilong`, `loogle`,
    /// `l-eval`, `kvlens` or `plain`.
    pub fn name(self) -> &'static str {
        match self {
            Self::LongBench => "longbench",
            Self::LongBenchV2 => "longbench-v2",
            Self::Ruler => "ruler",
            Self::InfiniteBench => "infinitebench",
            Self::BabiLong => "babilong",
            Self::LooGle => "loogle",
            Self::LEval => "l-eval",
            Self::KvLens => "kvlens",
            Self::Plain => "plain",
        }
    }

    /// The layout of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.name() == name)
    }

    /// The layout that a row looks like.
    pub(crate) fn of(fields: &Fields) -> Self {
        let fits = |format: &Self| match format {
            Self::KvLens => kvlens::fits(fields),
            Self::LongBenchV2 => longbench_v2::fits(fields),
            Self::LongBench => longbench::fits(fields),
            Self::InfiniteBench => infinitebench::fits(fields),
            Self::BabiLong => babilong::fits(fields),
            Self::LooGle => loogle::fits(fields),
            Self::LEval => l_eval::fits(fields),
            Self::Ruler => ruler::fits(fields),
            Self::Plain => true,
        };
        let found = Self::ALL.into_iter().find(fits);
        found.unwrap_or(Self::Plain)
    }

    /// What lies beside the data of such a file.
    ///
    /// # Errors
    /// A file of templates that cannot be read.
    pub(crate) fn config(self, path: &Path) -> Result<Config, DatasetError> {
        match self {
            Self::LongBench => Config::by_task(path, "dataset2prompt.json", "dataset2maxlen.json"),
            Self::LooGle => Config::by_task(path, "task2prompt.json", "task2maxlen.json"),
            Self::LongBenchV2 => Config::whole(path, "0shot.txt"),
            _ => Ok(Config::default()),
        }
    }

    /// The samples of a row.
    ///
    /// # Errors
    /// What is wrong with the row, as the end of a sentence that begins with it.
    pub(crate) fn read(
        self,
        row: &Row<'_>,
        source: &Source<'_>,
        number: usize,
    ) -> Result<Vec<Entry>, Problem> {
        let drafts = match self {
            Self::KvLens => return Ok(vec![Entry::Ready(Box::new(kvlens::read(row)?))]),
            Self::LongBench => longbench::read(row, source, number),
            Self::LongBenchV2 => longbench_v2::read(row, source, number),
            Self::Ruler => ruler::read(row, source, number),
            Self::InfiniteBench => infinitebench::read(row, source, number),
            Self::BabiLong => babilong::read(row, source, number),
            Self::LooGle => loogle::read(row, source, number),
            Self::LEval => l_eval::read(row, source, number),
            Self::Plain => plain::read(row, source, number),
        };
        Ok(drafts?
            .into_iter()
            .map(Box::new)
            .map(Entry::Draft)
            .collect())
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A sample, or what one is composed of.
pub(crate) enum Entry {
    Ready(Box<Sample>),
    Draft(Box<Draft>),
}

/// The file that rows come from.
pub(crate) struct Source<'a> {
    pub path: &'a Path,
    /// The file's name without its extension.
    pub stem: &'a str,
    /// The file's name.
    pub file: &'a str,
    pub config: &'a Config,
    pub options: &'a LoadOptions<'a>,
}

impl Source<'_> {
    /// An id for a row without one: the file's stem and the row, from 0.
    fn row_id(&self, task: &str, number: usize) -> String {
        format!("{task}-{}", number.saturating_sub(1))
    }

    /// The names of the folders that the file lies in, from the nearest, and the file's stem before them.
    fn names(&self) -> impl Iterator<Item = &str> {
        let folders = self.path.ancestors().skip(1);
        let folders = folders.filter_map(|folder| folder.file_name()?.to_str());
        std::iter::once(self.stem).chain(folders)
    }
}

/// Whether a row has all of these fields.
fn has(fields: &Fields, names: &[&str]) -> bool {
    names.iter().all(|name| fields.contains_key(*name))
}

/// A length such as `4096`, `4k` or `1M` in a folder's or file's name (`4k-00000-of-00001`), in tokens.
fn length_of(name: &str) -> Option<usize> {
    let name = name.split('-').next().unwrap_or_default();
    let (digits, factor) = match name.strip_suffix(['k', 'K']) {
        Some(digits) => (digits, 1_000),
        None => match name.strip_suffix('M') {
            Some(digits) => (digits, 1_000_000),
            None => (name, 1),
        },
    };
    let number: usize = digits.parse().ok()?;
    Some(number.saturating_mul(factor)).filter(|length| *length >= 256)
}
