//! The samples that were loaded, held while there is room, so that another look at one reads no file.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::bail;
use kvlens_sessions::estimate::{AvailableMemory, readable_bytes};
use kvlens_sessions::{
    CapturedSample, ModelShape, SampleEntry, SampleHeader, SampleState, Session,
};

use crate::system_memory::available_memory;

/// Bytes that a measured sample holds for each token, head and window: the score, and its places in two rankings.
const MEASURED_BYTES: usize = 12;
/// Part of the free memory that the held samples may take.
const SHARE_OF_FREE: u64 = 4;
/// Room for samples where the free memory cannot be told.
const ROOM_IF_UNKNOWN: u64 = 1 << 30;
/// Sessions that stay open: both on show, and those before them.
const MOST_SESSIONS: usize = 4;

/// Loaded samples, the least recently used of which go first. Both lanes share it; its clones are one.
#[derive(Clone, Default)]
pub(in crate::gui) struct Samples {
    held: Arc<Mutex<Held>>,
}

/// A sample by its content: what the manifest says that its file holds. A file that is replaced has another.
#[derive(Clone, Debug, PartialEq, Eq)]
struct SampleKey {
    folder: PathBuf,
    sha256: String,
}

/// What is held; the most recently used last.
#[derive(Default)]
struct Held {
    /// Only while they are as on disk; they know which files were found whole.
    sessions: Vec<Session>,
    samples: ByteBounded<SampleKey, CapturedSample>,
}

impl Samples {
    /// Opens a session, or gives the open one if its manifest is still the same.
    pub fn session(&self, folder: &Path) -> anyhow::Result<Session> {
        let found = Session::open(folder)?;
        let mut held = self.lock();
        let known = held
            .sessions
            .iter()
            .position(|known| known.path() == folder);
        let known = known.map(|place| held.sessions.remove(place));
        let session = known
            .filter(|known| known.manifest() == found.manifest())
            .unwrap_or(found);
        held.sessions.push(session.clone());
        if held.sessions.len() > MOST_SESSIONS {
            held.sessions.remove(0);
        }
        Ok(session)
    }

    /// A sample, loaded if it is not held. Loading goes on without the lock: the other lane shall not wait for it.
    pub fn load(&self, session: &Session, index: usize) -> anyhow::Result<Arc<CapturedSample>> {
        if let Some(sample) = self.held(session, index) {
            return Ok(sample);
        }
        let tensor_bytes = session.load_record(index)?.tensor_bytes;
        self.lock().make_room(tensor_bytes, 0);
        let sample = Arc::new(session.load_sample(index)?);
        if let Some(key) = key_of(session, index) {
            let mut held = self.lock();
            held.make_room(sample.bytes(), sample.bytes());
            held.samples.put(key, Arc::clone(&sample), sample.bytes());
        }
        Ok(sample)
    }

    /// A sample that is to be measured. Refused by its header alone if that cannot be done in the memory that there is.
    pub fn load_to_measure(
        &self,
        session: &Session,
        index: usize,
    ) -> anyhow::Result<Arc<CapturedSample>> {
        let shape = &session.manifest().shape;
        let memory = match self.held(session, index) {
            Some(sample) => SampleMemory::of_sample(&sample, shape),
            None => SampleMemory::of_header(&session.load_record(index)?, shape),
        };
        let mut available = available_memory();
        // what is held gives way, or is the sample itself
        let held_bytes = self.lock().samples.bytes() as u64;
        available.host_bytes = available.host_bytes.map(|free| free + held_bytes);
        memory.check(available)?;
        self.load(session, index)
    }

    /// A sample if it is held.
    pub fn held(&self, session: &Session, index: usize) -> Option<Arc<CapturedSample>> {
        let key = key_of(session, index)?;
        self.lock().samples.get(&key)
    }

    /// A value is put in whole, so what is held is sound whatever panicked.
    fn lock(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    /// Lets samples go until another one fits their part of the memory, of which so many bytes are taken by it already.
    fn make_room(&mut self, coming_bytes: usize, taken_bytes: usize) {
        // what is held took its part already
        let held_bytes = (self.samples.bytes() + taken_bytes) as u64;
        let room = available_memory()
            .host_bytes
            .map_or(ROOM_IF_UNKNOWN, |free| (free + held_bytes) / SHARE_OF_FREE);
        let room = usize::try_from(room).unwrap_or(usize::MAX);
        self.samples.make_room(coming_bytes, room);
    }
}

fn key_of(session: &Session, index: usize) -> Option<SampleKey> {
    let entry: &SampleEntry = session.manifest().finished().nth(index)?;
    match &entry.state {
        SampleState::Finished { sha256, .. } => Some(SampleKey {
            folder: session.path().to_owned(),
            sha256: sha256.clone(),
        }),
        SampleState::Pending | SampleState::Failed { .. } => None,
    }
}

/// Values and their bytes, the least recently used first.
struct ByteBounded<K, V> {
    entries: Vec<(K, Arc<V>, usize)>,
}

impl<K, V> Default for ByteBounded<K, V> {
    fn default() -> Self {
        Self {
            entries: Vec::new(),
        }
    }
}

impl<K: PartialEq, V> ByteBounded<K, V> {
    fn get(&mut self, key: &K) -> Option<Arc<V>> {
        let place = self.entries.iter().position(|(known, ..)| known == key)?;
        let entry = self.entries.remove(place);
        let value = Arc::clone(&entry.1);
        self.entries.push(entry);
        Some(value)
    }

    /// Lets the least recently used go until so many bytes more are within the bound, or nothing is left.
    fn make_room(&mut self, coming_bytes: usize, room: usize) {
        while !self.entries.is_empty() && self.bytes() + coming_bytes > room {
            self.entries.remove(0);
        }
    }

    fn put(&mut self, key: K, value: Arc<V>, bytes: usize) {
        self.entries.retain(|(known, ..)| *known != key);
        self.entries.push((key, value, bytes));
    }

    fn bytes(&self) -> usize {
        self.entries.iter().map(|(.., bytes)| bytes).sum()
    }
}

/// What a sample takes in memory once it is measured.
#[derive(Debug, Clone, Copy, PartialEq)]
struct SampleMemory {
    /// T.
    tokens: usize,
    /// L * H.
    heads: usize,
    windows: usize,
    tensor_bytes: usize,
}

impl SampleMemory {
    fn of_sample(sample: &CapturedSample, shape: &ModelShape) -> Self {
        Self {
            tokens: sample.record.prompt_ids.len(),
            heads: shape.layers * shape.query_heads,
            windows: sample.windows().len(),
            tensor_bytes: sample.bytes(),
        }
    }

    fn of_header(header: &SampleHeader, shape: &ModelShape) -> Self {
        Self {
            tokens: header.record.prompt_ids.len(),
            heads: shape.layers * shape.query_heads,
            windows: header.observations.len().saturating_sub(1),
            tensor_bytes: header.tensor_bytes,
        }
    }

    /// Scores and rankings of one window, or of the decode stage.
    fn ranked_bytes(&self) -> f64 {
        MEASURED_BYTES as f64 * self.tokens as f64 * self.heads as f64
    }

    /// With so many windows; the decode stage is ranked as well. Their queries stay part of the tensors, which are
    /// loaded as a whole.
    fn bytes(&self, windows: usize) -> f64 {
        self.tensor_bytes as f64 + self.ranked_bytes() * (windows + 1) as f64
    }

    fn check(&self, available: AvailableMemory) -> anyhow::Result<()> {
        let Some(free) = available.host_bytes.map(|bytes| bytes as f64) else {
            return Ok(());
        };
        let needed = self.bytes(self.windows);
        if needed <= free {
            return Ok(());
        }
        let fitting = (1..self.windows)
            .rev()
            .find(|&windows| self.bytes(windows) <= free);
        let advice = match fitting {
            Some(windows) => format!(
                "leave {} of its {} windows out when you capture it (each takes {}), or capture a shorter prompt",
                self.windows - windows,
                self.windows,
                readable_bytes(self.ranked_bytes())
            ),
            None => "capture a shorter prompt, or close other programs".to_owned(),
        };
        bail!(
            "the sample takes {} of memory, of which {} can be had: {} of tensors, and {} of scores and rankings \
             for {} tokens, {} heads, {} windows and the decode stage; {advice}",
            readable_bytes(needed),
            readable_bytes(free),
            readable_bytes(self.tensor_bytes as f64),
            readable_bytes(needed - self.tensor_bytes as f64),
            self.tokens,
            self.heads,
            self.windows,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kvlens_datasets::{DataSpec, LoadOptions, load_with};
    use kvlens_sessions::model::{DeviceChoice, DtypeChoice, Model, ModelSource};
    use kvlens_sessions::{
        CancelFlag, CapturePlan, DecodePlan, FORMAT_VERSION, StartMode, capture,
    };

    fn keys(cache: &ByteBounded<&'static str, ()>) -> Vec<&'static str> {
        cache.entries.iter().map(|(key, ..)| *key).collect()
    }

    fn put(cache: &mut ByteBounded<&'static str, ()>, key: &'static str, bytes: usize) {
        cache.make_room(bytes, 120);
        cache.put(key, Arc::new(()), bytes);
    }

    #[test]
    fn the_least_recently_used_goes_when_the_bytes_are_too_many() {
        let mut cache = ByteBounded::default();
        for key in ["a", "b", "c"] {
            put(&mut cache, key, 40);
        }
        assert_eq!(keys(&cache), ["a", "b", "c"]);
        assert!(cache.get(&"a").is_some());
        put(&mut cache, "d", 70);
        assert_eq!(keys(&cache), ["a", "d"], "110 bytes of 120");
        assert!(cache.get(&"b").is_none());
        put(&mut cache, "large", 500);
        assert_eq!(keys(&cache), ["large"], "one stays whatever it takes");
        cache.put("large", Arc::new(()), 10);
        assert_eq!(cache.bytes(), 10, "one of a key");
    }

    /// A session of two samples.
    fn captured(out: &Path) {
        let plan = CapturePlan {
            windows: vec!["last:8".to_owned()],
            decode: DecodePlan {
                max_tokens: 4,
                ..DecodePlan::default()
            },
            device: DeviceChoice::Cpu,
            dtype: DtypeChoice::F32,
            ..CapturePlan::plain(ModelSource::Demo, vec!["demo".to_owned()])
        };
        let model = Model::load(&plan.model, plan.device, plan.dtype).unwrap();
        let data = "demo:length=512,samples=2".parse::<DataSpec>().unwrap();
        let samples = load_with(&[data], &LoadOptions::default()).unwrap().samples;
        let never = CancelFlag::default();
        let (new, quiet) = (StartMode::New, &mut |_| {});
        capture(&plan, &model, &samples, out, new, quiet, &never).unwrap();
    }

    #[test]
    fn samples_that_were_seen_before_need_no_file() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("a.kvlens");
        captured(&out);
        let samples = Samples::default();
        let look = |index| samples.load_to_measure(&samples.session(&out).unwrap(), index);
        let seen = [look(0).unwrap(), look(1).unwrap()];
        for index in [0, 1] {
            std::fs::remove_file(out.join(format!("sample-0000{index}.safetensors"))).unwrap();
        }
        for index in [0, 1, 0] {
            assert!(Arc::ptr_eq(&look(index).unwrap(), &seen[index]));
        }
        // the same place of another capture is another sample
        let manifest = out.join("manifest.json");
        let session = samples.session(&out).unwrap();
        let SampleState::Finished { sha256, .. } = &session.manifest().samples[0].state else {
            panic!("not finished");
        };
        let text = std::fs::read_to_string(&manifest).unwrap();
        let other = text
            .replace(sha256, &"0".repeat(64))
            .replace("manifest_sha256", "nobody_looks")
            .replace(
                &format!("\"format_version\": {FORMAT_VERSION}"),
                "\"format_version\": 2",
            );
        std::fs::write(&manifest, other).unwrap();
        assert!(look(0).is_err(), "its file is gone");
        assert!(Arc::ptr_eq(&look(1).unwrap(), &seen[1]));
    }

    /// 32 x 32 heads, 131,072 tokens, 6 windows: 12 * 131,072 * 1,024 = 1.5 GiB for each of seven.
    #[test]
    fn what_cannot_fit_is_refused_with_numbers_and_advice() {
        let memory = SampleMemory {
            tokens: 131_072,
            heads: 1024,
            windows: 6,
            tensor_bytes: 4 << 30,
        };
        let free = |gib: u64| AvailableMemory {
            host_bytes: Some(gib << 30),
            host_total_bytes: None,
        };
        assert!(memory.check(free(15)).is_ok());
        assert!(memory.check(AvailableMemory::default()).is_ok());
        let said = memory.check(free(10)).unwrap_err().to_string();
        for words in [
            "takes 14 GiB of memory, of which 10 GiB can be had",
            "4.0 GiB of tensors",
            "131072 tokens, 1024 heads, 6 windows",
            // 4 + 4 * 1.5 = 10
            "leave 3 of its 6 windows out",
            "each takes 1.5 GiB",
        ] {
            assert!(said.contains(words), "'{words}' is not in: {said}");
        }
        let said = memory.check(free(5)).unwrap_err().to_string();
        assert!(said.contains("shorter prompt"), "{said}");
        assert!(!said.contains("leave"), "{said}");
    }
}
