//! What a run has made so far, in a file beside its output, for a run that goes on with it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use kvlens_analysis::tables::{FidelityTable, Table as _, TableFile};
use kvlens_analysis::{Budget, HeadKind};
use kvlens_sessions::{OwnedLock, SealedLines, StartMode};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::jobs::failure::Failure;
use crate::measurement::fidelity::{FULL_LABEL, Outcome, Outcomes, WindowOutcome};

/// Number of a session among those of the run, and of a sample among its finished ones.
pub type SamplePlace = (usize, usize);

/// By which a run is known again.
#[derive(Clone, Serialize, Deserialize)]
pub struct Begun {
    /// Of the tables.
    pub provenance: String,
    /// Of each session. The tables do not say it: another capture of the same prompts gives the same ones.
    pub session_sha256: Vec<String>,
    /// Samples of each session at most.
    pub limit: usize,
}

impl Begun {
    fn is_same(&self, other: &Self) -> bool {
        identity(&self.provenance) == identity(&other.provenance)
            && (&self.session_sha256, self.limit) == (&other.session_sha256, other.limit)
    }
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Line {
    /// The first one.
    Begun(Begun),
    /// A window of a sample at a budget.
    Made {
        place: SamplePlace,
        window: String,
        head_kind: HeadKind,
        outcome: Outcome,
    },
    /// All windows of a sample are made, in so many lines.
    Done { place: SamplePlace, lines: usize },
}

struct Made {
    window: String,
    head_kind: HeadKind,
    outcome: Outcome,
}

#[derive(Default)]
struct SampleLines {
    made: Vec<Made>,
    is_done: bool,
}

/// The file, which is there from the first outcome until the tables are written.
pub struct FidelityState {
    path: PathBuf,
    begun: Begun,
    lines: Option<SealedLines>,
    /// Of earlier runs, until it is asked for.
    known: BTreeMap<SamplePlace, SampleLines>,
    _lock: OwnedLock,
}

impl FidelityState {
    /// Takes up what lies beside the output folder, which must be there, or begins anew.
    ///
    /// # Errors
    /// [`Failure::BadInput`] where a stopped run is there that was not asked for, or another one than was asked for;
    /// an output that another run is writing.
    pub fn begin(out: &Path, start: StartMode, begun: Begun) -> Result<Self> {
        let out = out
            .canonicalize()
            .with_context(|| format!("the output folder cannot be found: {}", out.display()))?;
        let path = out.with_added_extension("fidelity-state");
        let lock = OwnedLock::take(
            &out.with_added_extension("lock"),
            "another fidelity run is writing this output",
        )?;
        let mut state = Self {
            path,
            begun,
            lines: None,
            known: BTreeMap::new(),
            _lock: lock,
        };
        if state.path.exists() {
            match start {
                StartMode::New => {
                    return Err(state.refused(
                        "a run that was stopped left what it had made; add --resume to go on with it, or --replace to \
                         begin anew",
                    ));
                }
                StartMode::Resume => state.take_up()?,
                StartMode::Replace => {}
            }
        }
        Ok(state)
    }

    /// The provenance of the tables: that of the run that was begun.
    pub fn provenance(&self) -> &str {
        &self.begun.provenance
    }

    /// Whether a sample was finished by an earlier run.
    pub fn is_done(&self, place: SamplePlace) -> bool {
        self.known.get(&place).is_some_and(|sample| sample.is_done)
    }

    /// All windows of a sample that was finished by an earlier run.
    pub fn done(&mut self, place: SamplePlace) -> Option<Vec<WindowOutcome>> {
        if !self.is_done(place) {
            return None;
        }
        let mut windows: Vec<WindowOutcome> = Vec::new();
        for made in self.known.remove(&place)?.made {
            match windows.iter_mut().find(|known| known.label == made.window) {
                Some(window) => window.by_budget.push(made.outcome),
                None => windows.push(WindowOutcome {
                    label: made.window,
                    head_kind: made.head_kind,
                    by_budget: vec![made.outcome],
                }),
            }
        }
        Some(windows)
    }

    /// Whether there is something to go on with.
    pub fn holds_something(&self) -> bool {
        self.lines.is_some()
    }

    /// Takes what is made of a sample from here on.
    pub fn of_sample(&mut self, place: SamplePlace) -> MadeOfSample<'_> {
        let known = self.known.remove(&place).unwrap_or_default().made;
        MadeOfSample {
            lines: known.len(),
            known,
            state: self,
            place,
            windows: Vec::new(),
        }
    }

    /// The tables are written, and nothing is left to go on with.
    ///
    /// # Errors
    /// When the file cannot be removed.
    pub fn end(self) -> Result<()> {
        if self.lines.is_some() {
            fs::remove_file(&self.path).with_context(|| {
                format!(
                    "the tables are written, but this file cannot be removed: {}",
                    self.path.display()
                )
            })?;
        }
        Ok(())
    }

    fn take_up(&mut self) -> Result<()> {
        let (lines, entries) = SealedLines::go_on::<Line>(&self.path)?;
        let mut entries = entries.into_iter();
        let Some(Line::Begun(begun)) = entries.next() else {
            // killed before its first line was whole
            return Ok(());
        };
        if !begun.is_same(&self.begun) {
            return Err(self.refused(
                "this run was begun with other sessions, budgets, settings or another version of the program; go on \
                 with the same ones, or begin anew with --replace",
            ));
        }
        self.begun = begun;
        self.lines = Some(lines);
        for entry in entries {
            match entry {
                Line::Begun(_) => {}
                Line::Made {
                    place,
                    window,
                    head_kind,
                    outcome,
                } => self.known.entry(place).or_default().made.push(Made {
                    window,
                    head_kind,
                    outcome,
                }),
                Line::Done { place, lines } => {
                    let sample = self.known.entry(place).or_default();
                    sample.is_done = sample.made.len() == lines;
                }
            }
        }
        Ok(())
    }

    fn add(&mut self, line: &Line) -> Result<()> {
        let lines = match &mut self.lines {
            Some(lines) => lines,
            none => {
                if self.path.exists() {
                    fs::remove_file(&self.path).with_context(|| {
                        format!("an earlier file cannot be removed: {}", self.path.display())
                    })?;
                }
                let lines = none.insert(SealedLines::begin(&self.path)?);
                lines.add(&Line::Begun(self.begun.clone()))?;
                lines
            }
        };
        lines.add(line)?;
        if matches!(line, Line::Done { .. }) {
            lines.sync()?;
        }
        Ok(())
    }

    fn refused(&self, reason: &str) -> anyhow::Error {
        Failure::BadInput(format!("{reason}: {}", self.path.display())).into()
    }
}

/// What a provenance says but for the words that were typed, which may say the same in another way.
fn identity(provenance: &str) -> Option<Value> {
    let mut value: Value = serde_json::from_str(provenance).ok()?;
    value.as_object_mut()?.remove("command_line");
    Some(value)
}

/// Whether the tables of the run with this provenance are there, of samples with these contents.
///
/// # Errors
/// What `contents` says; nothing is wrong with tables that cannot be read.
pub fn is_written(
    out: &Path,
    provenance: &str,
    contents: impl FnOnce() -> Result<Vec<String>>,
) -> Result<bool> {
    let Ok(table) = TableFile::read(&out.join(FidelityTable::FILE_NAME)) else {
        return Ok(false);
    };
    if table.metadata("provenance").and_then(identity) != identity(provenance) {
        return Ok(false);
    }
    let (Ok(windows), Ok(samples)) = (table.text("window"), table.text("content")) else {
        return Ok(false);
    };
    // the full cache stands there once for each sample
    let rows = windows.iter().zip(samples);
    let full = rows.filter(|(window, _)| window.as_deref() == Some(FULL_LABEL));
    let written: Option<Vec<String>> = full.map(|(_, content)| content).collect();
    Ok(written == Some(contents()?))
}

/// What is made of one sample: kept as it is made, and not made again where it is known.
pub struct MadeOfSample<'a> {
    state: &'a mut FidelityState,
    place: SamplePlace,
    known: Vec<Made>,
    /// Lines that are of the sample.
    lines: usize,
    windows: Vec<WindowOutcome>,
}

impl MadeOfSample<'_> {
    /// All windows of the sample are made.
    ///
    /// # Errors
    /// When that cannot be written.
    pub fn end(self) -> Result<Vec<WindowOutcome>> {
        let (place, lines) = (self.place, self.lines);
        self.state.add(&Line::Done { place, lines })?;
        Ok(self.windows)
    }
}

impl Outcomes for MadeOfSample<'_> {
    fn known(&mut self, window: &str, budget: Budget) -> Option<Outcome> {
        let is_it = |made: &Made| made.window == window && made.outcome.budget == budget;
        let place = self.known.iter().position(is_it)?;
        Some(self.known.swap_remove(place).outcome)
    }

    fn keep(&mut self, window: &str, head_kind: HeadKind, outcome: &Outcome) -> Result<()> {
        self.lines += 1;
        self.state.add(&Line::Made {
            place: self.place,
            window: window.to_owned(),
            head_kind,
            outcome: outcome.clone(),
        })
    }

    fn take(&mut self, window: WindowOutcome) {
        self.windows.push(window);
    }
}
