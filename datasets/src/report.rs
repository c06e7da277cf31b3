//! What became of the files that prompts were read from.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::formats::{TemplateOrigin, Uses};

/// How many rows and samples are named one by one; the others are counted.
const NAMED: usize = 20;

/// The layout of a task that the program carries itself.
pub(crate) const BUILT_IN: &str = "built-in";

/// What was read of every source, for people and for a manifest. `Display` prints it for people, a few lines for each source that is not built in.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoadReport {
    /// In the order of reading; every file of a folder is one.
    pub sources: Vec<SourceReport>,
}

/// What was read of one file, or of a built-in task.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceReport {
    /// The file's path, or the task as it was typed.
    pub name: String,
    /// The layout: a benchmark's name, `plain`, `text` or `built-in`.
    pub format: String,
    /// What a row is called: `line` or `row`.
    pub unit: String,
    /// How many rows were read.
    pub rows: usize,
    /// How many samples came of them.
    pub samples: usize,
    /// What fields were read as, and in how many rows.
    pub read: BTreeMap<String, FieldUse>,
    /// Fields that were not read, and in how many rows they stood.
    pub unread: BTreeMap<String, usize>,
    /// Fields that were read and hold nothing, and in how many rows.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub empty: BTreeMap<String, usize>,
    /// Where the words around the fields come from, each once.
    pub templates: BTreeSet<TemplateOrigin>,
    /// Rows that are no samples.
    pub left_out: Named<LeftOut>,
    /// Samples that were cut to fit the model.
    pub cut: Named<Cut>,
    /// Samples that were left out because they do not fit the model.
    pub too_long: Named<TooLongSample>,
    /// Ids that had occurred before and got a number.
    pub renamed: usize,
    /// Evidence that a benchmark quotes but that does not stand in its prompt word by word, or that was cut away.
    pub lost_evidence: usize,
    /// Whether the lengths of a generated task are estimated, as words and punctuation marks, where a model's tokenizer
    /// should have counted them and none was at hand.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub has_estimated_lengths: bool,
    /// The words of a haystack that is shorter than the longest prompt, and therefore said over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub short_haystack_words: Option<usize>,
    /// Whether reading stopped at the limit.
    pub stopped_at_limit: bool,
    /// Files of the folder that were not read, with the reason.
    pub skipped_files: Vec<String>,
}

/// What a field was read as.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldUse {
    /// Such as `document`, `question` or `answers`.
    pub role: String,
    /// In how many rows.
    pub rows: usize,
}

/// A row that is no sample.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftOut {
    /// Which row, from 1.
    pub number: usize,
    /// Why, as the end of a sentence that begins with the row.
    pub problem: String,
}

/// A prompt that was cut.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cut {
    /// The sample's id.
    pub id: String,
    /// Tokens before.
    pub from_tokens: usize,
    /// Tokens now.
    pub to_tokens: usize,
}

/// A prompt that is too long.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TooLongSample {
    /// The sample's id.
    pub id: String,
    /// Its length.
    pub tokens: usize,
    /// Why it was not cut, where that was asked; empty otherwise.
    pub reason: String,
}

/// The first few of many, and how many there are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Named<T> {
    /// The first of them.
    pub first: Vec<T>,
    /// How many there are in all.
    pub count: usize,
}

impl<T> Default for Named<T> {
    fn default() -> Self {
        Self {
            first: Vec::new(),
            count: 0,
        }
    }
}

impl<T> Named<T> {
    /// Counts one more, and keeps it if few were kept.
    pub(crate) fn add(&mut self, item: T) {
        self.count += 1;
        if self.first.len() < NAMED {
            self.first.push(item);
        }
    }
}

impl SourceReport {
    /// Counts what was read of a row.
    pub(crate) fn count_fields(&mut self, uses: Uses) {
        for (name, role) in uses.read {
            let entry = self.read.entry(name).or_default();
            entry.role = role.to_owned();
            entry.rows += 1;
        }
        for name in uses.unread {
            *self.unread.entry(name).or_default() += 1;
        }
        for name in uses.empty {
            *self.empty.entry(name).or_default() += 1;
        }
    }

    /// Whether there is anything to say beyond the number of samples.
    pub fn is_plain(&self) -> bool {
        (self.rows == 0 || self.format == "text")
            && self.skipped_files.is_empty()
            && self.cut.count == 0
            && self.too_long.count == 0
            && self.renamed == 0
            && !self.has_estimated_lengths
            && self.short_haystack_words.is_none()
    }

    fn write_fields(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.read.is_empty() {
            let read = self.read.iter().map(|(name, used)| {
                let rows = self.some_rows(used.rows);
                format!("{name} as {}{rows}", used.role)
            });
            writeln!(f, "  read: {}", listed(read))?;
        }
        for (what, fields) in [("not read", &self.unread), ("empty", &self.empty)] {
            let fields = fields.iter();
            let mut fields = fields
                .map(|(name, rows)| format!("{name}{}", self.some_rows(*rows)))
                .peekable();
            if fields.peek().is_some() {
                writeln!(f, "  {what}: {}", listed(fields))?;
            }
        }
        if !self.templates.is_empty() {
            let origins = self.templates.iter().map(ToString::to_string);
            writeln!(f, "  prompts: {}", listed(origins))?;
        }
        Ok(())
    }

    /// How many of the rows, when it is not all.
    fn some_rows(&self, rows: usize) -> String {
        if rows == self.rows {
            String::new()
        } else {
            format!(" (in {rows} of {})", self.rows)
        }
    }

    fn write_losses(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for row in &self.left_out.first {
            writeln!(
                f,
                "  left out: {} {} {}",
                self.unit, row.number, row.problem
            )?;
        }
        more(
            f,
            self.left_out.count,
            self.left_out.first.len(),
            "left out",
        )?;
        for cut in &self.cut.first {
            let Cut {
                id,
                from_tokens,
                to_tokens,
            } = cut;
            writeln!(f, "  cut: {id} from {from_tokens} to {to_tokens} tokens")?;
        }
        more(f, self.cut.count, self.cut.first.len(), "cut")?;
        for long in &self.too_long.first {
            let TooLongSample { id, tokens, reason } = long;
            let reason = if reason.is_empty() {
                String::new()
            } else {
                format!(" ({reason})")
            };
            writeln!(f, "  too long, left out: {id} of {tokens} tokens{reason}")?;
        }
        more(
            f,
            self.too_long.count,
            self.too_long.first.len(),
            "too long, left out",
        )?;
        if self.renamed > 0 {
            writeln!(
                f,
                "  ids that occurred before and were numbered: {}",
                self.renamed
            )?;
        }
        if self.lost_evidence > 0 {
            writeln!(
                f,
                "  evidence that does not stand in its prompt: {}",
                self.lost_evidence
            )?;
        }
        if self.has_estimated_lengths {
            writeln!(
                f,
                "  lengths count words and punctuation marks: no model's tokenizer is at hand"
            )?;
        }
        if let Some(words) = self.short_haystack_words {
            let plural = if words == 1 { "" } else { "s" };
            writeln!(
                f,
                "  the haystack has {words} word{plural}, which are said over where a prompt needs more"
            )?;
        }
        if self.stopped_at_limit {
            writeln!(f, "  stopped at the limit")?;
        }
        for file in self.skipped_files.iter().take(NAMED) {
            writeln!(f, "  not read: {file}")?;
        }
        let shown = self.skipped_files.len().min(NAMED);
        more(f, self.skipped_files.len(), shown, "not read")
    }
}

fn more(f: &mut fmt::Formatter<'_>, count: usize, shown: usize, what: &str) -> fmt::Result {
    if count > shown {
        writeln!(f, "  {what}: {} more", count - shown)?;
    }
    Ok(())
}

fn listed(parts: impl Iterator<Item = String>) -> String {
    parts.collect::<Vec<String>>().join(", ")
}

impl fmt::Display for LoadReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for source in self.sources.iter().filter(|source| !source.is_plain()) {
            let SourceReport {
                name,
                format,
                unit,
                rows,
                samples,
                ..
            } = source;
            let plural = |count: usize| if count == 1 { "" } else { "s" };
            write!(f, "{name}: {samples} sample{}", plural(*samples))?;
            match format == BUILT_IN {
                true => writeln!(f)?,
                false => writeln!(f, " of {rows} {unit}{}, read as {format}", plural(*rows))?,
            }
            source.write_fields(f)?;
            source.write_losses(f)?;
        }
        Ok(())
    }
}
