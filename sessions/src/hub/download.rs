//! Fetching what is missing of a checkpoint into the local hub cache.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::{Duration, Instant};

use kvlens_datasets::read_at_most;

use super::client::{Client, HubFile, Listing, MOST_LISTING_BYTES};
use super::contents::ContentHash;
use super::files::Weights;
use super::id::HubId;
use super::settings::HubSettings;
use super::waiting::LOOK_EVERY;
use super::{DownloadProgress, cache, lock};
use crate::error::Context;
use crate::{CancelFlag, SessionError};

/// Bytes that are taken from the network at once.
const PIECE_BYTES: usize = 256 << 10;

/// Pieces that may wait to be written.
const WAITING_PIECES: usize = 16;

/// A connection over which nothing came for so long is dead.
const PATIENCE: Duration = Duration::from_secs(60);

/// How often a file is asked for again without a byte of progress.
const FRUITLESS_TRIES: usize = 3;

/// A download with everything that it looks at.
pub(super) struct Download<'a> {
    settings: &'a HubSettings,
    id: &'a HubId,
    client: Client<'a>,
    cancel: &'a CancelFlag,
    on_progress: &'a mut dyn FnMut(DownloadProgress<'_>),
    done_bytes: u64,
    total_bytes: u64,
}

impl<'a> Download<'a> {
    pub(super) fn new(
        settings: &'a HubSettings,
        id: &'a HubId,
        cancel: &'a CancelFlag,
        on_progress: &'a mut dyn FnMut(DownloadProgress<'_>),
    ) -> Self {
        Self {
            settings,
            id,
            client: Client::new(settings, id, cancel),
            cancel,
            on_progress,
            done_bytes: 0,
            total_bytes: 0,
        }
    }

    /// Fetches what is missing; gives the snapshot's folder.
    pub(super) fn run(mut self) -> Result<PathBuf, SessionError> {
        self.cancel.check()?;
        let listing = self.client.listing()?;
        let commit = listing.sha.as_str();
        let needed = listing.needed(self.id);
        let needed = needed.map_err(|reason| self.client.wrong(&reason))?;
        let mut small = needed.small.clone();
        let weights = match needed.weights {
            Weights::One(file) => vec![file],
            Weights::Index(index) => {
                self.total_bytes = index.bytes();
                self.fetch(commit, index)?;
                small.push(index);
                self.shards(&listing, index)?
            }
        };
        let all: Vec<&HubFile> = small.into_iter().chain(weights).collect();
        self.done_bytes = 0;
        self.total_bytes = all.iter().map(|file| file.bytes()).sum();
        for file in all {
            self.fetch(commit, file)?;
        }
        // last, so that a revision never points to half a checkpoint
        let _held = self.lock("refs")?;
        self.settings.cache.set_revision(self.id, commit)?;
        Ok(self.settings.cache.snapshot_of(self.id, commit))
    }

    fn shards<'l>(
        &self,
        listing: &'l Listing,
        index: &HubFile,
    ) -> Result<Vec<&'l HubFile>, SessionError> {
        let path = self.blob(index)?;
        let text = read_at_most(&path, MOST_LISTING_BYTES).io("read a downloaded file", &path)?;
        let shards = listing.shards(&text);
        shards.map_err(|reason| self.client.wrong(&reason))
    }

    fn hash<'f>(&self, file: &'f HubFile) -> Result<ContentHash<'f>, SessionError> {
        file.hash().ok_or_else(|| {
            let reason = format!("the hub gives no hash of '{}'", file.name);
            self.client.wrong(&reason)
        })
    }

    fn blob(&self, file: &HubFile) -> Result<PathBuf, SessionError> {
        let name = self.hash(file)?.name();
        Ok(self.settings.cache.blob(self.id, name))
    }

    /// Keeps other downloads away until it is dropped.
    fn lock(&self, what: &str) -> Result<File, SessionError> {
        lock::wait_for(&self.settings.cache.lock(self.id, what), self.cancel)
    }

    /// Sees that a file lies complete in the cache.
    fn fetch(&mut self, commit: &str, file: &HubFile) -> Result<(), SessionError> {
        let (blob, name) = (self.blob(file)?, self.hash(file)?.name());
        let _held = self.lock(name)?;
        if !self.is_whole(file, &blob)? {
            cache::make_parent(&blob)?;
            self.fetch_blob(commit, file, &blob)?;
        }
        self.done_bytes += file.bytes();
        self.report(file, 0);
        self.settings.cache.link(self.id, commit, &file.name, name)
    }

    /// Whether what lies in the cache is the file: by its hash if it is small, by its length if it is large.
    fn is_whole(&self, file: &HubFile, blob: &Path) -> Result<bool, SessionError> {
        if !blob.is_file() || length(blob) != file.bytes() {
            return Ok(false);
        }
        match self.hash(file)? {
            ContentHash::Sha256(_) => Ok(true),
            small @ ContentHash::Git(_) => small.is_of(blob, self.cancel),
        }
    }

    /// Fetches into a file aside, going on where an earlier try stopped, and checks what came.
    fn fetch_blob(
        &mut self,
        commit: &str,
        file: &HubFile,
        blob: &Path,
    ) -> Result<(), SessionError> {
        let aside = blob.with_added_extension("incomplete");
        // an empty file has nothing to fetch, and is there all the same
        OpenOptions::new()
            .create(true)
            .append(true)
            .open(&aside)
            .io("write a downloaded file", &aside)?;
        let mut fruitless = 0;
        loop {
            let before = length(&aside);
            let outcome = match before < file.bytes() {
                true => self.go_on(commit, file, &aside),
                false => Ok(()),
            };
            let after = length(&aside);
            match outcome {
                Ok(()) if after >= file.bytes() => break,
                Err(error) if !matches!(error, SessionError::HubConnection { .. }) => {
                    return Err(error);
                }
                outcome => {
                    fruitless = if after > before { 0 } else { fruitless + 1 };
                    if fruitless >= FRUITLESS_TRIES {
                        let short = format!("{after} of {} bytes came", file.bytes());
                        return outcome.and(Err(self.client.unreachable(&short)));
                    }
                }
            }
        }
        self.check(file, &aside)?;
        std::fs::rename(&aside, blob).io("put a downloaded file into the hub cache", blob)
    }

    /// Appends what is missing of a file.
    fn go_on(&mut self, commit: &str, file: &HubFile, aside: &Path) -> Result<(), SessionError> {
        let action = "write a downloaded file";
        let there = length(aside);
        let stream = self.client.file(commit, &file.name, there)?;
        let mut out = OpenOptions::new()
            .create(true)
            .append(true)
            .open(aside)
            .io(action, aside)?;
        out.set_len(stream.skipped).io(action, aside)?;
        let mut written = stream.skipped;
        let pieces = pieces_of(stream.body);
        let mut heard = Instant::now();
        loop {
            self.cancel.check()?;
            match pieces.recv_timeout(LOOK_EVERY) {
                Ok(Ok(piece)) => {
                    heard = Instant::now();
                    out.write_all(&piece).io(action, aside)?;
                    written += piece.len() as u64;
                    if written > file.bytes() {
                        return Err(self.damaged(file, aside, "longer than the hub says"));
                    }
                    self.report(file, written);
                }
                Ok(Err(error)) => return Err(self.client.unreachable(&error)),
                Err(RecvTimeoutError::Timeout) if heard.elapsed() < PATIENCE => {}
                Err(RecvTimeoutError::Timeout) => {
                    return Err(self.client.unreachable(&"nothing came for a minute"));
                }
                Err(RecvTimeoutError::Disconnected) => return out.sync_all().io(action, aside),
            }
        }
    }

    fn report(&mut self, file: &HubFile, of_file: u64) {
        (self.on_progress)(DownloadProgress {
            file: &file.name,
            done_bytes: self.done_bytes + of_file,
            total_bytes: self.total_bytes,
        });
    }

    fn check(&self, file: &HubFile, aside: &Path) -> Result<(), SessionError> {
        let hash = self.hash(file)?;
        if hash.is_of(aside, self.cancel)? {
            return Ok(());
        }
        let how = format!("not what the hub has (its {} differs)", hash.kind());
        Err(self.damaged(file, aside, &how))
    }

    /// Removes what came, so that the next try begins anew.
    fn damaged(&self, file: &HubFile, aside: &Path, how: &str) -> SessionError {
        // that it cannot be removed changes nothing: the hash is checked again
        let _ = std::fs::remove_file(aside);
        let reason = format!("'{}' came {how}; it was removed, try again", file.name);
        self.client.wrong(&reason)
    }
}

fn length(path: &Path) -> u64 {
    std::fs::metadata(path).map_or(0, |metadata| metadata.len())
}

/// Reads on a thread of its own, so that a connection that says nothing cannot hold up a cancel.
fn pieces_of(mut body: Box<dyn Read + Send>) -> Receiver<std::io::Result<Vec<u8>>> {
    let (sender, receiver) = sync_channel(WAITING_PIECES);
    std::thread::spawn(move || {
        loop {
            let mut piece = vec![0; PIECE_BYTES];
            let read = match body.read(&mut piece) {
                Ok(0) => return,
                Ok(count) => {
                    piece.truncate(count);
                    Ok(piece)
                }
                Err(error) => Err(error),
            };
            let is_over = read.is_err();
            if sender.send(read).is_err() || is_over {
                return;
            }
        }
    });
    receiver
}
