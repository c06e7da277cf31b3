//! A stage while it runs: what it found, how that is held against the processor's numbers, and when it ends.

use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use candle_core::Tensor;
use serde_json::{Value, json};

use super::StageReport;
use crate::model::DtypeChoice;
use crate::prefill::RunControl;
use crate::{CancelFlag, SessionError};

/// Bounds of a run through some layers, in roundoffs of the format, as the half-precision tests of the suite have
/// them; of single precision what the suite promises.
pub(super) fn bound_of_layers(dtype: DtypeChoice) -> f32 {
    32.0 * roundoff(dtype).max(1e-4 / 32.0)
}

/// So many roundoffs of the format; of single precision eight times as many, which sum in another order.
pub(super) fn bound_in_roundoffs(roundoffs: f32, dtype: DtypeChoice) -> f32 {
    roundoffs * roundoff(dtype).max(8.0 * roundoff(DtypeChoice::F32))
}

/// Unit roundoff (Higham 2002, table 2.1).
pub(super) fn roundoff(dtype: DtypeChoice) -> f32 {
    match dtype {
        DtypeChoice::Bf16 => 2.0_f32.powi(-8),
        DtypeChoice::F16 => 2.0_f32.powi(-11),
        DtypeChoice::F32 | DtypeChoice::Auto => 2.0_f32.powi(-24),
    }
}

/// In place of a bound where none is known: the difference is told and not held, but for numbers that are none.
pub(super) const TOLD: f32 = f32::INFINITY;

/// What a stage found so far.
pub(super) struct Findings<'a> {
    pub(super) cancel: &'a CancelFlag,
    measured: Vec<Value>,
    failures: Vec<String>,
}

impl Findings<'_> {
    /// Keeps something for the report.
    pub(super) fn measured(&mut self, value: Value) {
        self.measured.push(value);
    }

    /// Keeps a sentence on something that is not as it should be.
    pub(super) fn failed(&mut self, sentence: String) {
        self.failures.push(sentence);
    }

    /// Holds numbers against the processor's: the largest difference as a share of the largest number.
    pub(super) fn compare(&mut self, what: &str, found: &[f32], expected: &[f32], bound: f32) {
        let finite = expected.iter().filter(|number| number.is_finite());
        let largest = finite.fold(0.0_f32, |most, number| most.max(number.abs()));
        self.compare_by(largest, what, found, expected, bound);
    }

    /// As [`compare`](Self::compare), as a share of `unit`: shares, such as attention weights, by 1.
    pub(super) fn compare_by(
        &mut self,
        unit: f32,
        what: &str,
        found: &[f32],
        expected: &[f32],
        bound: f32,
    ) {
        let differs = |(found, expected): (&f32, &f32)| match found == expected {
            // infinities are alike, too, and so are two that are no numbers
            true => 0.0,
            false if found.is_nan() && expected.is_nan() => 0.0,
            false => (found - expected).abs() / unit.max(f32::MIN_POSITIVE),
        };
        let differences = found.iter().zip(expected).map(differs);
        // one that is no number is more than any
        let share = differences.fold(0.0_f32, |most, difference| {
            if difference > most || difference.is_nan() {
                difference
            } else {
                most
            }
        });
        self.measured
            .push(json!({"what": what, "difference": share, "bound": bound}));
        if found.len() != expected.len() {
            self.failed(format!(
                "{what}: {} numbers instead of {}",
                found.len(),
                expected.len()
            ));
        } else if share.is_nan() || share > bound {
            self.failed(format!(
                "{what} differs by {share} of {unit}, more than {bound}"
            ));
        }
    }

    /// A control for runs of the stage.
    pub(super) fn with_control<T>(&self, use_it: impl FnOnce(&mut RunControl<'_>) -> T) -> T {
        use_it(&mut RunControl {
            cancel: self.cancel,
            on_tokens: &mut |_, _| {},
        })
    }
}

/// A tensor's numbers in single precision, on the processor.
pub(super) fn numbers(tensor: &Tensor) -> Result<Vec<f32>, SessionError> {
    let single = tensor.to_dtype(candle_core::DType::F32)?;
    Ok(single.flatten_all()?.to_vec1()?)
}

/// Runs a stage until it is done, its limit is reached or everything is cancelled.
pub(super) fn within(
    stage: &'static str,
    limit: Duration,
    cancel: &CancelFlag,
    work: impl FnOnce(&mut Findings<'_>) -> Result<(), SessionError>,
) -> StageReport {
    const BETWEEN_LOOKS: Duration = Duration::from_millis(20);
    let started = Instant::now();
    let ends = CancelFlag::default();
    let mut findings = Findings {
        cancel: &ends,
        measured: Vec::new(),
        failures: Vec::new(),
    };
    if limit.is_zero() {
        ends.cancel();
    }
    let (done, wait) = mpsc::channel::<()>();
    let outcome = thread::scope(|scope| {
        let ends = &ends;
        let watch = move || {
            while let Err(RecvTimeoutError::Timeout) = wait.recv_timeout(BETWEEN_LOOKS) {
                if started.elapsed() >= limit || cancel.is_cancelled() {
                    ends.cancel();
                }
            }
        };
        // without a thread to watch it, the stage runs to its end
        let _ = thread::Builder::new()
            .name("stage limit".to_owned())
            .spawn_scoped(scope, watch);
        let outcome = work(&mut findings);
        drop(done);
        outcome
    });
    let Findings {
        measured,
        mut failures,
        ..
    } = findings;
    let was_stopped = matches!(outcome, Err(SessionError::Cancelled));
    if let Err(error) = outcome
        && !was_stopped
    {
        failures.push(error.to_string());
    }
    StageReport {
        stage,
        outcome: match (failures.is_empty(), was_stopped) {
            (false, _) => "failed",
            (true, true) => "stopped",
            (true, false) => "passed",
        },
        seconds: started.elapsed().as_secs_f64(),
        failures,
        findings: measured,
    }
}
