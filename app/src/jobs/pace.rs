//! What a capture will take, by two short prompts that are run before it.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::Result;
use kvlens_datasets::{Sample, Samples};
use kvlens_sessions::StartMode;

use super::capture::{CaptureRequest, run as capture};
use super::models::Models;
use super::{Cancel, Watch};
use crate::measurement::StageProgress;

/// Letters of the short prompts: from both the part that grows with a prompt and the part that does not can be told.
const SHORT_LETTERS: [usize; 2] = [400, 1600];

/// Runs two beginnings of the first prompt into a folder that is thrown away, and foretells from them how long the
/// capture takes: as if time grew evenly with a prompt's letters. The model stays loaded for the capture.
///
/// # Errors
/// As a capture.
pub fn foretell(
    request: &CaptureRequest,
    models: &mut Models,
    cancel: &Cancel,
) -> Result<Duration> {
    let prompts = request.prompts()?;
    let (mut beginnings, mut letters) = (Vec::new(), Vec::new());
    for sample in Samples::from(&prompts.samples).iter() {
        let sample = sample?;
        if letters.is_empty() {
            beginnings.extend(SHORT_LETTERS.map(|letters| beginning(&sample, letters)));
        }
        letters.push(sample.prompt.len());
    }
    let aside = Aside::new();
    let short = CaptureRequest {
        prompts: Some(beginnings),
        out: aside.0.clone(),
        start: StartMode::Replace,
        ..request.clone()
    };
    let mut clock = Clock::default();
    capture(&short, models, &mut clock, cancel)?;
    Ok(extrapolated(&clock.took, &letters))
}

/// The first letters of a prompt, asked for nothing.
fn beginning(sample: &Sample, letters: usize) -> Sample {
    let end = sample.prompt.floor_char_boundary(letters);
    Sample {
        id: format!("{letters} letters"),
        prompt: sample.prompt.get(..end).unwrap_or_default().to_owned(),
        ..Sample::default()
    }
}

/// What prompts of these lengths take together, on the line through the short ones.
fn extrapolated(short: &[Duration], letters: &[usize]) -> Duration {
    let [Some(low), Some(high)] =
        [short.first(), short.get(1)].map(|took| took.map(Duration::as_secs_f64))
    else {
        return Duration::ZERO;
    };
    let [few, many] = SHORT_LETTERS.map(|letters| letters as f64);
    // a machine that was busy for a moment must not make long prompts the quicker ones
    let each = ((high - low) / (many - few)).max(0.0);
    let seconds = letters
        .iter()
        .map(|&letters| low + each * (letters as f64 - few));
    Duration::from_secs_f64(seconds.sum::<f64>().max(0.0))
}

/// A session that goes with its owner.
struct Aside(PathBuf);

impl Aside {
    fn new() -> Self {
        let name = format!("kvlens-short-{}.kvlens", std::process::id());
        Self(std::env::temp_dir().join(name))
    }
}

impl Drop for Aside {
    fn drop(&mut self) {
        // what cannot be removed lies in the system's folder for such files
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Times samples and says nothing.
#[derive(Default)]
struct Clock {
    began: Option<Instant>,
    took: Vec<Duration>,
}

impl StageProgress for Clock {
    fn stage(&mut self, _name: &str, _done: usize, _total: usize) {}

    fn note(&self, _line: &str) {}
}

impl Watch for Clock {
    fn sample(&mut self, _index: usize, _count: usize, _id: &str) {
        self.began = Some(Instant::now());
    }

    fn sample_finished(&mut self, _id: &str) {
        self.took.extend(self.began.map(|began| began.elapsed()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One second whatever the length, and one for every 400 letters.
    #[test]
    fn time_grows_evenly_with_letters() {
        let short = [2, 5].map(Duration::from_secs);
        assert_eq!(extrapolated(&short, &[400]), Duration::from_secs(2));
        assert_eq!(
            extrapolated(&short, &[4000, 8000]),
            Duration::from_secs(11 + 21)
        );
        let odd = [5, 2].map(Duration::from_secs);
        assert_eq!(extrapolated(&odd, &[8000]), Duration::from_secs(5));
    }

    #[test]
    fn a_beginning_ends_with_a_whole_letter() {
        let sample = Sample {
            prompt: "aé".repeat(300),
            ..Sample::default()
        };
        let short = beginning(&sample, 400);
        assert!(sample.prompt.starts_with(&short.prompt));
        assert!((397..=400).contains(&short.prompt.len()));
    }
}
