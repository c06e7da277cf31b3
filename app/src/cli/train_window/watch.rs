//! How far a training of a window is.

use std::io::{self, IsTerminal};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use indicatif::{ProgressBar, ProgressStyle};
use kvlens_sessions::training::{HeldOutFigures, WindowTrainingEvent};

use crate::cli::output;
use crate::jobs::Watch;
use crate::jobs::train::{WatchTraining, lines, numbers};
use crate::measurement::StageProgress;

/// Time between two lines where stderr is no terminal.
const LINE_INTERVAL: Duration = Duration::from_secs(15);

/// Shows responses and steps: a bar on a terminal, a line every few seconds elsewhere.
pub struct Told {
    bar: Option<ProgressBar>,
    steps: usize,
    last_line: Option<Instant>,
}

impl Told {
    /// # Errors
    /// When the bar cannot be laid out.
    pub fn new() -> Result<Self> {
        let bar = io::stderr().is_terminal().then(|| {
            let style = ProgressStyle::with_template("{pos}/{len} {bar:24} {msg}, {eta} left")?;
            Ok::<_, indicatif::style::TemplateError>(ProgressBar::new(0).with_style(style))
        });
        Ok(Self {
            bar: bar
                .transpose()
                .context("a progress bar cannot be laid out")?,
            steps: 0,
            last_line: None,
        })
    }

    /// Shows what happened.
    fn take(&mut self, event: WindowTrainingEvent) {
        match event {
            WindowTrainingEvent::Responding { done, prompts } => {
                self.show(
                    done,
                    prompts,
                    "prompts, to which the model responds".to_owned(),
                );
            }
            WindowTrainingEvent::Ready {
                steps_done,
                steps,
                parameters,
                groups,
                baselines,
            } => {
                self.steps = steps;
                self.last_line = None;
                if let Some(bar) = &self.bar {
                    bar.reset();
                }
                self.note(&format!(
                    "{parameters} numbers are trained; {steps_done} of {steps} steps are done"
                ));
                for line in lines(&groups, &baselines) {
                    self.note(&line);
                }
            }
            WindowTrainingEvent::Step { point, .. } => {
                if let Some(figures) = &point.held_out {
                    self.note(&looked(point.step, figures));
                }
                let line = format!("steps, loss {:.4e}", point.loss);
                self.show(point.step + 1, self.steps, line);
            }
        }
    }

    fn show(&mut self, done: usize, all: usize, line: String) {
        match &self.bar {
            Some(bar) => {
                bar.set_length(all as u64);
                bar.set_position(done as u64);
                bar.set_message(line);
            }
            None if self
                .last_line
                .is_none_or(|shown| shown.elapsed() >= LINE_INTERVAL) =>
            {
                self.last_line = Some(Instant::now());
                output::note(&format!("{done}/{all} {line}"));
            }
            None => {}
        }
    }

    fn note(&self, line: &str) {
        match &self.bar {
            Some(bar) => bar.println(line),
            None => output::note(line),
        }
    }

    /// Leaves the terminal as it was.
    pub fn end(self) {
        if let Some(bar) = self.bar {
            bar.finish_and_clear();
        }
    }
}

impl StageProgress for Told {
    fn stage(&mut self, _name: &str, _done: usize, _total: usize) {}

    fn note(&self, line: &str) {
        Self::note(self, line);
    }
}

impl Watch for Told {
    fn sample(&mut self, _index: usize, _count: usize, _id: &str) {}
}

impl WatchTraining for Told {
    fn training(&mut self, event: WindowTrainingEvent) {
        self.take(event);
    }
}

/// The held-out prompts after so many steps, in one line.
fn looked(step: usize, figures: &HeldOutFigures) -> String {
    let groups: Vec<String> = figures
        .recall
        .iter()
        .map(|recall| numbers(recall))
        .collect();
    format!(
        "after {step} steps, held out: loss {:.4e}, recall {}",
        figures.loss,
        groups.join(" | ")
    )
}
