//! The prompts of a run, which may lie on disk: only a few of them are in memory at a time.

use std::borrow::Cow;

use kvlens_datasets::{Sample, Samples};
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::SessionError;
use crate::hash::hex;

/// The prompts of a run.
#[derive(Debug, Clone)]
pub struct WindowTrainingData<'a> {
    /// To train on.
    pub training: Samples<'a>,
    /// To look at, by what they were named.
    pub held_out: Vec<(String, Samples<'a>)>,
}

impl WindowTrainingData<'_> {
    /// SHA-256 of the JSON `[training, [[name, held out], ...]]`.
    ///
    /// # Errors
    /// A prompt that cannot be read back.
    pub(super) fn sha256(&self) -> Result<String, SessionError> {
        let mut hash = Sha256::new();
        hash.update("[");
        hash_list(&mut hash, self.training)?;
        hash.update(",[");
        for (index, (name, samples)) in self.held_out.iter().enumerate() {
            hash.update(if index == 0 { "[" } else { ",[" });
            hash.update(json(name));
            hash.update(",");
            hash_list(&mut hash, *samples)?;
            hash.update("]");
        }
        hash.update("]]");
        Ok(hex(&hash.finalize()))
    }
}

fn hash_list(hash: &mut Sha256, samples: Samples<'_>) -> Result<(), SessionError> {
    hash.update("[");
    for (index, sample) in samples.iter().enumerate() {
        hash.update(if index == 0 { "" } else { "," });
        hash.update(json(&*sample?));
    }
    hash.update("]");
    Ok(())
}

/// Of plain text and numbers, which always have a JSON form.
fn json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).unwrap_or_default()
}

/// The samples of several groups, one group after the other.
#[derive(Debug, Clone)]
pub(super) struct Joined<'a>(pub(super) Vec<Samples<'a>>);

impl<'a> Joined<'a> {
    pub(super) fn len(&self) -> usize {
        self.0.iter().map(|group| group.len()).sum()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = Result<Cow<'a, Sample>, SessionError>> {
        let samples = self.0.iter().flat_map(|group| group.iter());
        samples.map(|sample| Ok(sample?))
    }

    /// The one of this number.
    ///
    /// # Errors
    /// One that cannot be read back, or that there is not.
    pub(super) fn get(&self, index: usize) -> Result<Cow<'a, Sample>, SessionError> {
        let mut place = index;
        for group in &self.0 {
            if let Some(sample) = group.get(place) {
                return Ok(sample?);
            }
            place -= group.len();
        }
        Err(SessionError::Internal {
            reason: format!("prompt {index} of {} was asked for", self.len()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hash::sha256_hex;

    fn named(id: &str) -> Sample {
        Sample {
            id: id.to_owned(),
            prompt: format!("{id} \"x\" \u{2028}"),
            ..Sample::default()
        }
    }

    /// A state or a file that says how its prompts hashed can be gone on with by every later program.
    #[test]
    fn the_hash_is_that_of_the_whole_as_json() {
        let training = vec![named("a"), named("b")];
        let held_out = vec![
            ("one \"more\"".to_owned(), vec![named("c")]),
            ("none".to_owned(), Vec::new()),
        ];
        let data = WindowTrainingData {
            training: Samples::from(&training),
            held_out: held_out
                .iter()
                .map(|(name, samples)| (name.clone(), Samples::from(samples)))
                .collect(),
        };
        let whole = serde_json::to_vec(&(&training, &held_out)).unwrap();
        assert_eq!(data.sha256().unwrap(), sha256_hex(&whole));
    }

    #[test]
    fn groups_are_counted_on() {
        let groups = [vec![named("a")], vec![], vec![named("b"), named("c")]];
        let joined = Joined(groups.iter().map(Samples::from).collect());
        let ids = joined.iter().map(|sample| sample.unwrap().id.clone());
        assert_eq!(ids.collect::<Vec<_>>(), ["a", "b", "c"]);
        assert_eq!(joined.get(2).unwrap().id, "c");
        assert_eq!(joined.len(), 3);
        assert!(joined.get(3).is_err());
    }
}
