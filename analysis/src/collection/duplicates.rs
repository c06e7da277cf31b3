//! Samples that came more than once.

use std::fmt;

use super::SamplePoints;

/// A sample that came again: windows that the same content already had are not counted again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Duplicate {
    /// Name of the session that it came from this time.
    pub session: String,
    /// Its id there.
    pub sample: String,
    /// Name of the session that it first came from.
    pub first_session: String,
    /// Its id there.
    pub first_sample: String,
    /// Labels of the windows that were not counted again.
    pub windows: Vec<String>,
    /// Those of them whose values are not the first one's to the last bit.
    pub differing: Vec<String>,
}

impl Duplicate {
    /// Notes that a window of a sample came again.
    pub(super) fn add(
        duplicates: &mut Vec<Self>,
        window: &str,
        first: &SamplePoints,
        again: &SamplePoints,
    ) {
        let is_known = duplicates.last().is_some_and(|last| {
            last.session == again.session
                && last.sample == again.sample
                && last.first_session == first.session
                && last.first_sample == first.sample
        });
        if !is_known {
            duplicates.push(Self {
                session: again.session.clone(),
                sample: again.sample.clone(),
                first_session: first.session.clone(),
                first_sample: first.sample.clone(),
                windows: Vec::new(),
                differing: Vec::new(),
            });
        }
        if let Some(duplicate) = duplicates.last_mut() {
            duplicate.windows.push(window.to_owned());
            if !first.is_same(again) {
                duplicate.differing.push(window.to_owned());
            }
        }
    }
}

impl fmt::Display for Duplicate {
    /// A sentence for the user, without a full stop.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} of {} is {} of {} again and counts once for {}",
            self.sample,
            self.session,
            self.first_sample,
            self.first_session,
            self.windows.join(", ")
        )?;
        match self.differing.is_empty() {
            true => Ok(()),
            false => write!(
                f,
                "; its values for {} differ from the first one's, which stand",
                self.differing.join(", ")
            ),
        }
    }
}

impl SamplePoints {
    fn is_same(&self, other: &Self) -> bool {
        self.points.len() == other.points.len()
            && self
                .points
                .iter()
                .zip(&other.points)
                .all(|pair| match pair {
                    (Some(one), Some(other)) => one.is_same(other),
                    (None, None) => true,
                    _ => false,
                })
    }
}
