//! What is asked of the hub: which files a revision has, and their bytes.

use std::io::Read;
use std::time::Duration;

use serde::Deserialize;
use ureq::http::StatusCode;
use ureq::http::header::{AUTHORIZATION, RANGE};
use ureq::{Agent, Body};

use super::contents::ContentHash;
use super::id::HubId;
use super::settings::HubSettings;
use super::waiting::answer_of;
use crate::{CancelFlag, SessionError};

/// Far above what the hub says of any model.
pub(super) const MOST_LISTING_BYTES: u64 = 64 << 20;

/// A hub that does not answer in this time is not there.
const PATIENCE: Duration = Duration::from_secs(30);

/// The files of a revision.
#[derive(Debug, Deserialize)]
pub(super) struct Listing {
    /// The commit.
    pub(super) sha: String,
    pub(super) siblings: Vec<HubFile>,
}

/// A file of a revision.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct HubFile {
    #[serde(rename = "rfilename")]
    pub(super) name: String,
    size: Option<u64>,
    #[serde(rename = "blobId")]
    blob_id: Option<String>,
    lfs: Option<LargeFile>,
}

/// What git-lfs knows of a large file.
#[derive(Debug, Clone, Deserialize)]
struct LargeFile {
    sha256: String,
    size: u64,
}

impl HubFile {
    pub(super) fn bytes(&self) -> u64 {
        let large = self.lfs.as_ref().map(|lfs| lfs.size);
        large.or(self.size).unwrap_or(0)
    }

    /// What its contents hash to, and their name in the cache.
    pub(super) fn hash(&self) -> Option<ContentHash<'_>> {
        let large = self.lfs.as_ref().map(|lfs| lfs.sha256.as_str());
        ContentHash::of_name(large.or(self.blob_id.as_deref())?)
    }
}

/// A part of a file on its way.
pub(super) struct Stream {
    /// Bytes of the file that stand before what `body` gives.
    pub(super) skipped: u64,
    pub(super) body: Box<dyn Read + Send>,
}

/// The hub with an id that is asked for.
pub(super) struct Client<'a> {
    settings: &'a HubSettings,
    id: &'a HubId,
    agent: Agent,
    cancel: &'a CancelFlag,
}

impl<'a> Client<'a> {
    pub(super) fn new(settings: &'a HubSettings, id: &'a HubId, cancel: &'a CancelFlag) -> Self {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_connect(Some(PATIENCE))
            .timeout_recv_response(Some(PATIENCE))
            .user_agent(concat!("kvlens/", env!("CARGO_PKG_VERSION")))
            .build();
        Self {
            settings,
            id,
            agent: config.into(),
            cancel,
        }
    }

    pub(super) fn listing(&self) -> Result<Listing, SessionError> {
        let (repository, revision) = (self.id.repository(), escaped(self.id.revision()));
        let address = format!(
            "{}/api/models/{repository}/revision/{revision}?blobs=true",
            self.settings.endpoint
        );
        let (_, mut body) = self.get(&address, 0)?;
        let read = move || body.with_config().limit(MOST_LISTING_BYTES).read_to_vec();
        let text = answer_of(read, self.cancel)?;
        let text = text.map_err(|error| self.unreachable(&error))?;
        let listing: Listing = serde_json::from_slice(&text).map_err(|error| self.wrong(&format!(
            "what answers at {} does not speak as the hub does ({error}); see that HF_ENDPOINT is right",
            self.settings.endpoint
        )))?;
        let is_commit = listing.sha.chars().all(|c| c.is_ascii_hexdigit());
        if listing.sha.is_empty() || !is_commit {
            return Err(self.wrong("the hub names no commit"));
        }
        Ok(listing)
    }

    /// The bytes of a file from `offset` on, or from its beginning where the hub gives no parts.
    pub(super) fn file(
        &self,
        commit: &str,
        file: &str,
        offset: u64,
    ) -> Result<Stream, SessionError> {
        let address = format!(
            "{}/{}/resolve/{commit}/{}",
            self.settings.endpoint,
            self.id.repository(),
            escaped(file)
        );
        let (status, body) = self.get(&address, offset)?;
        Ok(Stream {
            skipped: if status == StatusCode::PARTIAL_CONTENT {
                offset
            } else {
                0
            },
            body: Box::new(body.into_reader()),
        })
    }

    fn get(&self, address: &str, offset: u64) -> Result<(StatusCode, Body), SessionError> {
        let mut request = self.agent.get(address);
        if let Some(token) = &self.settings.token {
            request = request.header(AUTHORIZATION, format!("Bearer {token}"));
        }
        if offset > 0 {
            request = request.header(RANGE, format!("bytes={offset}-"));
        }
        let response = answer_of(move || request.call(), self.cancel)?;
        let response = response.map_err(|error| self.unreachable(&error))?;
        let status = response.status();
        if !status.is_success() {
            return Err(self.refused(status));
        }
        Ok((status, response.into_body()))
    }

    pub(super) fn unreachable(&self, error: &dyn std::fmt::Display) -> SessionError {
        SessionError::HubConnection {
            id: self.id.to_string(),
            reason: format!(
                "{} cannot be reached or broke off ({error}); what was fetched is kept, so try again, or fetch the model elsewhere and give its folder",
                self.settings.endpoint
            ),
        }
    }

    fn refused(&self, status: StatusCode) -> SessionError {
        let page = format!("{}/{}", self.settings.endpoint, self.id.repository());
        let reason = match (status, &self.settings.token) {
            (StatusCode::UNAUTHORIZED, None) => format!(
                "the hub shows it to nobody without a token: either there is no such model, or it is private or gated; see {page}, and set HF_TOKEN"
            ),
            (StatusCode::UNAUTHORIZED, Some(_)) => format!(
                "the hub does not take the token (HF_TOKEN or the token file) for it; make a new one in the hub's settings, and see {page}"
            ),
            (StatusCode::FORBIDDEN, _) => format!(
                "it is gated, and access was not granted to {}; ask for it on {page}",
                match self.settings.token {
                    Some(_) => "the owner of this token",
                    None => "anybody without a token (HF_TOKEN)",
                }
            ),
            (StatusCode::NOT_FOUND, _) => format!(
                "the hub has no such model or no such revision '{}'; see {page}",
                self.id.revision()
            ),
            (StatusCode::TOO_MANY_REQUESTS, _) => {
                "the hub asks to wait; try again in some minutes".to_owned()
            }
            _ => format!("the hub answers {status}; try again later, or see {page}"),
        };
        self.wrong(&reason)
    }

    pub(super) fn wrong(&self, reason: &str) -> SessionError {
        SessionError::Hub {
            id: self.id.to_string(),
            reason: reason.to_owned(),
        }
    }
}

/// A path in an address: of what ids and file names can hold, only these mean something else there.
fn escaped(path: &str) -> String {
    path.replace(' ', "%20").replace('+', "%2B")
}
