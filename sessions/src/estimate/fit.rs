//! Whether a run fits the memory that there is, and what would.

use super::estimator::{CaptureEstimator, MemoryEstimate, Variation};
use crate::SessionError;
use crate::footprint::Memory;
use crate::model::DtypeChoice;

/// Memory that can be had now.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct AvailableMemory {
    /// The computer's own, in bytes; none where it cannot be told.
    pub host_bytes: Option<u64>,
    /// All of the computer's own, in bytes.
    pub host_total_bytes: Option<u64>,
}

/// A number of bytes for people, in units of 1,024.
pub fn readable_bytes(bytes: f64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    let mut amount = bytes / 1024.0;
    let mut unit = 0;
    while amount >= 1000.0 && unit + 1 < UNITS.len() {
        amount /= 1024.0;
        unit += 1;
    }
    let name = UNITS.get(unit).copied().unwrap_or_default();
    if amount < 10.0 {
        format!("{amount:.1} {name}")
    } else {
        format!("{amount:.0} {name}")
    }
}

/// What a run may take.
struct Limits {
    host: Option<f64>,
    device: Option<f64>,
}

impl Limits {
    fn hold(&self, needed: Memory) -> bool {
        let below = |needed: f64, limit: Option<f64>| limit.is_none_or(|limit| needed <= limit);
        below(needed.host, self.host) && below(needed.device, self.device)
    }
}

impl CaptureEstimator {
    /// Refuses a run that cannot fit, with the numbers and what would make it fit.
    ///
    /// # Errors
    /// [`SessionError::Memory`].
    pub fn check(
        &self,
        estimate: &MemoryEstimate,
        available: AvailableMemory,
    ) -> Result<(), SessionError> {
        let limits = Limits {
            host: available.host_bytes.map(|bytes| bytes as f64),
            device: estimate.device_free_bytes.map(|bytes| bytes as f64),
        };
        let needed = estimate.peak();
        if limits.hold(needed) {
            return Ok(());
        }
        let lack = |needed: f64, limit: Option<f64>, place: &str| {
            limit.filter(|&limit| needed > limit).map(|limit| {
                format!(
                    "{} of {place}, of which {} can be had",
                    readable_bytes(needed),
                    readable_bytes(limit)
                )
            })
        };
        let lacks = [
            lack(needed.device, limits.device, "the device's memory"),
            lack(needed.host, limits.host, "memory"),
        ];
        let lacks: Vec<String> = lacks.into_iter().flatten().collect();
        Err(SessionError::Memory {
            reason: format!(
                "the capture would take {}, at '{}' of a prompt of {} tokens; {} (`--estimate` shows the parts)",
                lacks.join(" and "),
                estimate.peak_stage(),
                estimate.prompt_tokens,
                self.advice(estimate, &limits)?
            ),
        })
    }

    /// What would fit, each thing on its own.
    fn advice(&self, estimate: &MemoryEstimate, limits: &Limits) -> Result<String, SessionError> {
        let asked = Variation {
            prompt_tokens: estimate.prompt_tokens,
            question_tokens: estimate.question_tokens,
            decode_tokens: estimate.decode_tokens,
            dtype: self.dtype(),
            windows: self.window_labels(),
            samples: estimate.samples,
        };
        let fits =
            |variation: &Variation| Ok::<_, SessionError>(limits.hold(self.peak(variation)?));
        let mut ways = Vec::new();
        let prompt_tokens = largest(asked.prompt_tokens, |prompt_tokens| {
            fits(&Variation {
                prompt_tokens,
                ..asked.clone()
            })
        })?;
        ways.extend(prompt_tokens.map(|tokens| format!("prompts of at most {tokens} tokens")));
        let decode_tokens = largest(asked.decode_tokens, |decode_tokens| {
            fits(&Variation {
                decode_tokens,
                ..asked.clone()
            })
        })?;
        ways.extend(decode_tokens.map(|tokens| format!("--decode {tokens}")));
        ways.extend(self.fewer_windows(&asked, &fits)?);
        // a smaller format than that of a quantised file there is not
        if asked.dtype == candle_core::DType::F32 && !self.is_quantised() {
            let halved = Variation {
                dtype: candle_core::DType::BF16,
                ..asked.clone()
            };
            if fits(&halved)? {
                ways.push(format!("--dtype {}", DtypeChoice::Bf16));
            }
        }
        Ok(match ways.len() {
            0 => "neither shorter prompts, nor fewer windows, nor a smaller number format would make it fit: take a smaller model or more memory".to_owned(),
            _ => format!("it would fit with {}", ways.join(", or ")),
        })
    }

    /// Leaves out windows, the most costly first, until the run fits.
    fn fewer_windows(
        &self,
        asked: &Variation,
        fits: &dyn Fn(&Variation) -> Result<bool, SessionError>,
    ) -> Result<Option<String>, SessionError> {
        let mut fewer = asked.clone();
        let mut left_out = Vec::new();
        while fewer.windows.len() > 1 {
            let Some(heaviest) = self.heaviest_window(&fewer)? else {
                break;
            };
            fewer.windows.retain(|label| *label != heaviest);
            left_out.push(heaviest);
            if fits(&fewer)? {
                return Ok(Some(format!("without the windows {}", left_out.join(" "))));
            }
        }
        Ok(None)
    }
}

/// The largest count below `asked` that fits, if any does; more never fits better.
fn largest(
    asked: usize,
    fits: impl Fn(usize) -> Result<bool, SessionError>,
) -> Result<Option<usize>, SessionError> {
    let (mut fitting, mut too_many) = (0, asked);
    while too_many - fitting > 1 {
        let middle = fitting + (too_many - fitting) / 2;
        if fits(middle)? {
            fitting = middle;
        } else {
            too_many = middle;
        }
    }
    Ok(Some(fitting).filter(|&count| count > 0))
}
