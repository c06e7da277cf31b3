//! Samples that wait on disk for their turn, so that a data set of any size takes the memory of a few prompts.

use std::borrow::Cow;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use tempfile::{SpooledTempFile, spooled_tempfile_in};

use crate::error::DatasetError;
use crate::sample::Sample;

/// Bytes of text that are kept in memory before a file is made.
const IN_MEMORY_BYTES: usize = 4 << 20;

/// Samples in their order, read one at a time. What is small stays in memory; more goes into a file without a name,
/// which the system removes with the program.
#[derive(Debug)]
pub struct Spool {
    texts: Mutex<SpooledTempFile>,
    entries: Vec<Entry>,
    /// Where the next one begins.
    end: u64,
}

/// Where a sample lies.
#[derive(Clone, Copy, Debug)]
struct Entry {
    start: u64,
    bytes: usize,
    /// JSON numbers may be read back with another last bit.
    depth: Option<f64>,
}

impl Spool {
    /// An empty one, whose file is made in this folder when it needs one.
    pub fn in_folder(folder: &Path) -> Self {
        Self {
            texts: Mutex::new(spooled_tempfile_in(IN_MEMORY_BYTES, folder)),
            entries: Vec::new(),
            end: 0,
        }
    }

    /// Lays a sample behind the others.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub fn push(&mut self, sample: &Sample) -> Result<(), DatasetError> {
        let text = serde_json::to_vec(sample).map_err(|error| DatasetError::LaidAside {
            source: error.into(),
        })?;
        let texts = self.texts.get_mut().unwrap_or_else(PoisonError::into_inner);
        texts
            .seek(SeekFrom::Start(self.end))
            .and_then(|_| texts.write_all(&text))
            .map_err(|source| DatasetError::LaidAside { source })?;
        self.entries.push(Entry {
            start: self.end,
            bytes: text.len(),
            depth: sample.depth,
        });
        self.end += text.len() as u64;
        Ok(())
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    fn read(&self, entry: Entry) -> io::Result<Sample> {
        let mut text = vec![0; entry.bytes];
        let mut texts = self.texts.lock().unwrap_or_else(PoisonError::into_inner);
        texts.seek(SeekFrom::Start(entry.start))?;
        texts.read_exact(&mut text)?;
        drop(texts);
        let sample: Sample = serde_json::from_slice(&text)?;
        Ok(Sample {
            depth: entry.depth,
            ..sample
        })
    }
}

/// Samples, wherever they are kept.
#[derive(Clone, Copy, Debug)]
pub enum Samples<'a> {
    /// In memory.
    Held(&'a [Sample]),
    /// On disk.
    Spooled(&'a Spool),
}

impl<'a> Samples<'a> {
    /// How many there are.
    pub fn len(self) -> usize {
        match self {
            Self::Held(samples) => samples.len(),
            Self::Spooled(spool) => spool.len(),
        }
    }

    /// Whether there is none.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// The one of this number, from 0; none where there are fewer.
    ///
    /// # Errors
    /// One that cannot be read back.
    pub fn get(self, index: usize) -> Option<Result<Cow<'a, Sample>, DatasetError>> {
        match self {
            Self::Held(samples) => Some(Ok(Cow::Borrowed(samples.get(index)?))),
            Self::Spooled(spool) => {
                let sample = spool.read(*spool.entries.get(index)?);
                let failed = |source| DatasetError::LaidAside { source };
                Some(sample.map(Cow::Owned).map_err(failed))
            }
        }
    }

    /// One after the other; one that cannot be read back is an error in its place.
    pub fn iter(self) -> impl Iterator<Item = Result<Cow<'a, Sample>, DatasetError>> {
        (0..self.len()).filter_map(move |index| self.get(index))
    }
}

impl<'a> From<&'a [Sample]> for Samples<'a> {
    fn from(samples: &'a [Sample]) -> Self {
        Self::Held(samples)
    }
}

impl<'a> From<&'a Vec<Sample>> for Samples<'a> {
    fn from(samples: &'a Vec<Sample>) -> Self {
        Self::Held(samples)
    }
}

impl<'a, const N: usize> From<&'a [Sample; N]> for Samples<'a> {
    fn from(samples: &'a [Sample; N]) -> Self {
        Self::Held(samples)
    }
}

impl<'a> From<&'a Spool> for Samples<'a> {
    fn from(spool: &'a Spool) -> Self {
        Self::Spooled(spool)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_come_back_as_they_were_from_memory_and_from_disk() {
        let folder = tempfile::tempdir().unwrap();
        let mut spool = Spool::in_folder(folder.path());
        assert!(Samples::from(&spool).is_empty());
        // more than what stays in memory together
        let samples: Vec<Sample> = (0..5_u32)
            .map(|index| Sample {
                id: format!("s-{index}"),
                prompt: format!("{index} a\u{2028}b \u{0} é").repeat(400_000),
                depth: Some(f64::from(index) / 3.0 + 0.1),
                ..Sample::default()
            })
            .collect();
        for sample in &samples {
            spool.push(sample).unwrap();
        }
        assert!(spool.end > IN_MEMORY_BYTES as u64);
        for _ in 0..2 {
            let back: Vec<Sample> = Samples::from(&spool)
                .iter()
                .map(|sample| sample.unwrap().into_owned())
                .collect();
            assert!(back == samples);
        }
        let third = Samples::from(&spool).get(2).unwrap().unwrap();
        assert!(third.into_owned() == samples[2]);
        assert!(Samples::from(&spool).get(5).is_none());
        // the file has no name that could be left behind
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_folder_that_takes_no_file_is_told() {
        let mut spool = Spool::in_folder(Path::new("/nowhere/at/all"));
        let long = Sample {
            prompt: "a".repeat(IN_MEMORY_BYTES),
            ..Sample::default()
        };
        let error = spool.push(&long).unwrap_err().to_string();
        assert!(error.contains("laid aside"), "{error}");
    }
}
