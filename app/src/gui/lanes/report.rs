//! How a job of a lane speaks to the screen.

use std::time::{Duration, Instant};

use kvlens_sessions::hub::DownloadProgress;
use kvlens_sessions::model::ModelSource;
use kvlens_sessions::{Session, Stage};

use super::event::Event;
use super::samples::Samples;
use crate::gui::data::{Progress, Severity};
use crate::gui::questions::Answer;
use crate::jobs::estimate::Estimate;
use crate::jobs::failure::{is_cancelled, is_unreadable};
use crate::jobs::left_out::LeftOut;
use crate::jobs::{Cancel, Watch};
use crate::measurement::StageProgress;

/// The ways to say something, and what jobs share.
pub(in crate::gui) struct Reporter<'a> {
    pub event: &'a dyn Fn(Event),
    pub progress: &'a dyn Fn(Progress),
    pub cancel: &'a Cancel,
    /// What the lanes loaded.
    pub samples: &'a Samples,
}

impl Reporter<'_> {
    pub fn answer(&self, answer: Answer) {
        (self.event)(Event::Answered(answer));
    }

    pub fn stage(&self, stage: &str) {
        (self.progress)(Progress {
            stage: stage.to_owned(),
            ..Progress::default()
        });
    }

    /// Goes on without a finished sample of a session that could not be read or measured.
    ///
    /// # Errors
    /// The error itself where the job was stopped, or where no sample of the session is left.
    pub fn leave_out(
        &self,
        left_out: &mut LeftOut,
        (session, index): (&Session, usize),
        error: anyhow::Error,
    ) -> anyhow::Result<()> {
        if is_cancelled(&error) || left_out.count() + 1 == session.sample_count() {
            return Err(error);
        }
        if is_unreadable(&error) {
            self.tell_unreadable((session, index), &error, None);
        }
        // the views say it, too, each time that they are made anew
        if let Some(said) = left_out.add(session, index, &format!("{error:#}")) {
            (self.event)(Event::Note(said));
        }
        Ok(())
    }

    /// Lets the list of samples mark one whose file is missing or damaged.
    pub fn tell_unreadable(
        &self,
        (session, index): (&Session, usize),
        error: &anyhow::Error,
        severity: Option<Severity>,
    ) {
        (self.event)(Event::SampleUnreadable {
            path: session.path().to_owned(),
            index,
            reason: format!("{error:#}"),
            severity,
        });
    }

    /// For work that goes head by head: tells how far it is, and stops it when that was asked for.
    pub fn on_head(&self, stage: &str, done: usize, total: usize) -> anyhow::Result<()> {
        self.cancel.check()?;
        (self.progress)(Progress {
            stage: stage.to_owned(),
            tokens: Some((done, total)),
            ..Progress::default()
        });
        Ok(())
    }
}

/// Turns a job's news into progress with speed and time left.
pub(in crate::gui) struct Meter<'a> {
    reporter: &'a Reporter<'a>,
    sample: Option<(usize, usize)>,
    stage: String,
    began: Instant,
    /// Tokens or bytes that were there when the stage began; they are no speed.
    done_at_start: u64,
    /// How long the samples of this run took so far.
    pace: Pace,
    /// Told after each sample of a capture.
    on_sample: &'a dyn Fn(),
}

/// How long samples take.
#[derive(Default)]
struct Pace {
    began: Option<Instant>,
    finished: u32,
    took: Duration,
}

impl Pace {
    fn begin(&mut self) {
        self.began = Some(Instant::now());
    }

    fn end(&mut self) {
        if let Some(began) = self.began.take() {
            self.took += began.elapsed();
            self.finished += 1;
        }
    }

    /// What the sample of a number and those behind it still need; nothing before a first one is finished.
    fn seconds_left(&self, (number, count): (usize, usize)) -> Option<f64> {
        let inside = self.began.map_or(Duration::ZERO, |began| began.elapsed());
        let mean = self.took.checked_div(self.finished)?;
        let left = mean * u32::try_from((count + 1).saturating_sub(number)).ok()?;
        Some(left.saturating_sub(inside).as_secs_f64())
    }
}

impl<'a> Meter<'a> {
    pub fn new(reporter: &'a Reporter<'a>) -> Self {
        Self::of_capture(reporter, &|| {})
    }

    /// Calls `on_sample` after each sample that is on disk.
    pub fn of_capture(reporter: &'a Reporter<'a>, on_sample: &'a dyn Fn()) -> Self {
        Self {
            reporter,
            sample: None,
            stage: String::new(),
            began: Instant::now(),
            done_at_start: 0,
            pace: Pace::default(),
            on_sample,
        }
    }

    /// Units a second in this stage, and seconds that it still needs.
    fn speed(&mut self, stage: &str, done: u64, total: u64) -> (Option<f64>, Option<f64>) {
        if stage != self.stage {
            stage.clone_into(&mut self.stage);
            self.began = Instant::now();
            self.done_at_start = done;
        }
        let seconds = self.began.elapsed().as_secs_f64();
        let moved = done.saturating_sub(self.done_at_start);
        let speed = (moved > 0 && seconds > 0.0).then(|| moved as f64 / seconds);
        let left = speed.map(|speed| total.saturating_sub(done) as f64 / speed);
        (speed, left)
    }
}

impl StageProgress for Meter<'_> {
    fn stage(&mut self, name: &str, done: usize, total: usize) {
        let (speed, left) = self.speed(name, done as u64, total as u64);
        (self.reporter.progress)(Progress {
            stage: name.to_owned(),
            sample: self.sample,
            tokens: Some((done, total)),
            tokens_per_second: speed,
            seconds_left: left,
            seconds_left_for_all: self.sample.and_then(|place| self.pace.seconds_left(place)),
            ..Progress::default()
        });
    }

    fn note(&self, line: &str) {
        (self.reporter.event)(Event::Warning(line.to_owned()));
    }
}

impl Watch for Meter<'_> {
    fn sample(&mut self, index: usize, count: usize, _id: &str) {
        self.sample = Some((index + 1, count));
        self.pace.begin();
        self.stage.clear();
    }

    fn sample_finished(&mut self, id: &str) {
        self.pace.end();
        (self.reporter.event)(Event::Note(format!("Captured {id}")));
        (self.on_sample)();
    }

    fn sample_failed(&mut self, id: &str, reason: &str) {
        (self.reporter.event)(Event::Warning(format!("{id}: {reason}")));
    }

    fn capture_stage(&mut self, stage: &Stage, done: usize, total: usize) {
        let name = match stage {
            Stage::Prefill => "Prefill".to_owned(),
            Stage::Window(label) => format!("Window {label}"),
            Stage::Decode => "Decode".to_owned(),
        };
        StageProgress::stage(self, &name, done, total);
    }

    fn fetching(&mut self, progress: DownloadProgress<'_>) {
        let (done, total) = (progress.done_bytes, progress.total_bytes);
        // one speed for all files
        let (speed, left) = self.speed("Fetch", done, total);
        (self.reporter.progress)(Progress {
            stage: format!("Fetch {}", progress.file),
            bytes: Some((done, total)),
            bytes_per_second: speed,
            seconds_left: left,
            ..Progress::default()
        });
    }

    fn loading(&mut self) {
        self.reporter.stage("Load the model");
    }

    fn loaded(&mut self, model: &ModelSource) {
        (self.reporter.event)(Event::ModelLoaded(model.to_string()));
    }

    fn accepted(&mut self, estimate: &Estimate) {
        (self.reporter.event)(Event::Note(estimate.needs_line()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_follows_from_the_samples_so_far() {
        let mut pace = Pace::default();
        assert_eq!(pace.seconds_left((1, 6)), None, "nothing is known yet");
        pace.finished = 2;
        pace.took = Duration::from_secs(20);
        // the third of six has not begun: four are left, at ten seconds each
        assert_eq!(pace.seconds_left((3, 6)), Some(40.0));
        assert_eq!(pace.seconds_left((6, 6)), Some(10.0));
    }
}
