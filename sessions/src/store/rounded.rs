//! A sample whose numbers have 16 bits.

use kvlens_analysis::{ForcedKeep, Scoring, SideScoring};

use super::sample_file::CapturedSample;
use crate::SessionError;
use crate::half_format::HalfFormat;

impl CapturedSample {
    /// The same with keys, values and queries in another format. What that changes is put down in the record
    /// ([`SampleRecord::largest_rounding`](super::SampleRecord::largest_rounding)), where there are keys to tell it by.
    ///
    /// # Errors
    /// [`SessionError::Plan`] for a number that the format has no room for.
    pub(crate) fn rounded(self, numbers: HalfFormat) -> Result<Self, SessionError> {
        let windows = self.windows().iter();
        let mut rounded = Self::new(
            self.record.clone(),
            self.oracle().converted(numbers)?,
            windows
                .map(|window| window.converted(numbers))
                .collect::<Result<_, _>>()?,
            self.keys().converted(numbers)?,
            match self.values() {
                Some(values) => Some(values.converted(numbers)?),
                None => None,
            },
        )
        .with_decode_keys(match self.decode_keys() {
            Ok(keys) => Some(keys.converted(numbers)?),
            Err(_) => None,
        });
        if rounded.keys().are_kept() {
            let change = largest_change(&self, &rounded)?;
            let before = rounded.record.largest_rounding.unwrap_or_default();
            rounded.record.largest_rounding = Some(before + change);
        }
        Ok(rounded)
    }
}

/// How far the decode stage's importance (mean over steps, not pooled) moved at most, over all heads and tokens.
fn largest_change(whole: &CapturedSample, rounded: &CapturedSample) -> Result<f32, SessionError> {
    let side = SideScoring::of(Scoring::default(), ForcedKeep::default());
    let before = whole.keys().importance(whole.oracle(), side)?;
    let after = rounded.keys().importance(rounded.oracle(), side)?;
    let heads = (0..before.layers()).flat_map(|layer| {
        let heads = 0..before.heads();
        heads.map(move |head| (layer, head))
    });
    let changes = heads.flat_map(|(layer, head)| {
        let pairs = before.head(layer, head).iter().zip(after.head(layer, head));
        pairs.map(|(before, after)| (before - after).abs())
    });
    Ok(changes.fold(0.0, f32::max))
}
