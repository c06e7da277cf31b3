//! Getting a model from the hub before it is loaded.

use kvlens_sessions::SessionError;
use kvlens_sessions::hub::{HubId, HubSettings};
use kvlens_sessions::model::ModelSource;

use super::{Cancel, Watch};

/// The hub id of a model that is not complete in the local hub cache; none for a model that needs no fetching.
#[must_use]
pub fn missing(source: &ModelSource) -> Option<HubId> {
    let id = source.hub_id()?;
    let is_here = HubSettings::from_environment().complete(&id).is_some();
    (!is_here).then_some(id)
}

/// Sees that a model is here: one that is [`missing`] is downloaded.
///
/// # Errors
/// What the hub says; [`SessionError::Cancelled`] after a cancel, which keeps what was fetched.
pub fn run(
    source: &ModelSource,
    watch: &mut dyn Watch,
    cancel: &Cancel,
) -> Result<(), SessionError> {
    let Some(id) = missing(source) else {
        return Ok(());
    };
    let settings = HubSettings::from_environment();
    let mut tell = |progress: kvlens_sessions::hub::DownloadProgress<'_>| watch.fetching(progress);
    settings.download(&id, cancel, &mut tell)?;
    Ok(())
}
