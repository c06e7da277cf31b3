//! How far a job is: bars on a terminal, one plain line per stage where stderr is piped.

use std::fmt::Write;
use std::io::{self, IsTerminal};

use anyhow::{Context, Result};
use indicatif::{MultiProgress, ProgressBar, ProgressState, ProgressStyle};

use super::output;
use crate::jobs::Watch;
use crate::measurement::StageProgress;

impl Watch for Progress {
    fn sample(&mut self, index: usize, count: usize, id: &str) {
        Self::sample(self, index, count, id);
    }
}

/// Tells on stderr how far a job over samples is.
pub struct Progress {
    bars: Option<Bars>,
    sample: String,
    stage: String,
}

struct Bars {
    all: MultiProgress,
    samples: ProgressBar,
    tokens: ProgressBar,
}

impl Progress {
    /// Begins; `verb` says what is done to the samples.
    ///
    /// # Errors
    /// Never on a stderr that is not a terminal; otherwise when a bar's layout is refused.
    pub fn begin(verb: &'static str) -> Result<Self> {
        let bars = io::stderr()
            .is_terminal()
            .then(|| Bars::new(verb))
            .transpose()?;
        Ok(Self {
            bars,
            sample: String::new(),
            stage: String::new(),
        })
    }

    /// Work on a sample begins; `index` counts from 0.
    pub fn sample(&mut self, index: usize, count: usize, id: &str) {
        self.sample = format!("[{}/{count}] {id}", index + 1);
        self.stage.clear();
        if let Some(bars) = &self.bars {
            bars.samples.set_length(count as u64);
            bars.samples.set_position(index as u64);
            bars.samples.set_message(output::harmless(id).into_owned());
        }
    }

    /// A stage of the sample is at `done` of `total` tokens.
    pub fn stage(&mut self, name: &str, done: usize, total: usize) {
        let is_new = self.stage != name;
        if is_new {
            name.clone_into(&mut self.stage);
        }
        match &self.bars {
            Some(bars) => {
                if is_new {
                    bars.tokens.reset();
                    bars.tokens.set_length(total as u64);
                    bars.tokens.set_message(name.to_owned());
                }
                bars.tokens.set_position(done as u64);
            }
            None if is_new => output::note(&format!("{}: {name}, {total} tokens", self.sample)),
            None => {}
        }
    }

    /// A line that stays, such as a warning.
    pub fn note(&self, line: &str) {
        match &self.bars {
            // a terminal that went away is told nothing
            Some(bars) => drop(bars.all.println(output::harmless(line))),
            None => output::note(line),
        }
    }

    /// Takes the bars away.
    pub fn end(self) {
        if let Some(bars) = self.bars {
            bars.tokens.finish_and_clear();
            bars.samples.finish_and_clear();
        }
    }
}

impl StageProgress for Progress {
    fn stage(&mut self, name: &str, done: usize, total: usize) {
        Self::stage(self, name, done, total);
    }

    fn note(&self, line: &str) {
        Self::note(self, line);
    }
}

impl Bars {
    fn new(verb: &'static str) -> Result<Self> {
        let style = |template: &str| {
            ProgressStyle::with_template(template).context("a progress bar cannot be laid out")
        };
        let all = MultiProgress::new();
        let samples = all.add(ProgressBar::new(0));
        samples.set_style(style("{prefix} {pos}/{len} {bar:24} {msg}")?);
        samples.set_prefix(verb);
        let tokens = all.add(ProgressBar::new(0));
        let layout = style("{msg:>12} {bar:24} {pos}/{len} tokens, {rate}, {eta} left")?;
        tokens.set_style(
            layout.with_key("rate", |state: &ProgressState, text: &mut dyn Write| {
                // a rate that cannot be written is left out
                let _ = write!(text, "{:.0}/s", state.per_sec());
            }),
        );
        Ok(Self {
            all,
            samples,
            tokens,
        })
    }
}
