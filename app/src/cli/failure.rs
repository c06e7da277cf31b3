//! Which exit code and which sentence an error ends with.

use std::io::ErrorKind;

use clap::error::ErrorKind as UsageKind;
use kvlens_analysis::AnalysisError;
use kvlens_datasets::DatasetError;
use kvlens_sessions::SessionError;

use crate::jobs::failure::Failure;

const FAILED: u8 = 1;
const BAD_INPUT: u8 = 2;
const INTERRUPTED: u8 = 130;

/// The code for what clap reports: help and version are no failure.
pub fn usage_code(error: &clap::Error) -> u8 {
    match error.kind() {
        UsageKind::DisplayHelp | UsageKind::DisplayVersion => 0,
        _ => BAD_INPUT,
    }
}

/// The code for an error, by the first link of its chain that has one.
pub fn exit_code(error: &anyhow::Error) -> u8 {
    error.chain().find_map(code_of_link).unwrap_or(FAILED)
}

fn code_of_link(link: &(dyn std::error::Error + 'static)) -> Option<u8> {
    if let Some(failure) = link.downcast_ref::<Failure>() {
        return Some(match failure {
            Failure::BadInput(_) => BAD_INPUT,
            Failure::Interrupted(_) => INTERRUPTED,
        });
    }
    if link.is::<DatasetError>() || link.is::<AnalysisError>() {
        return Some(BAD_INPUT);
    }
    if let Some(error) = link.downcast_ref::<SessionError>() {
        return Some(match error {
            SessionError::Cancelled => INTERRUPTED,
            SessionError::Tensor { .. }
            | SessionError::Diverged { .. }
            | SessionError::Threads { .. }
            | SessionError::Internal { .. } => FAILED,
            SessionError::Io { source, .. } => code_of_io(source.kind()),
            _ => BAD_INPUT,
        });
    }
    link.downcast_ref::<std::io::Error>()
        .map(|error| code_of_io(error.kind()))
}

/// A path that is wrong is bad input; a disk that is full or broken is not.
fn code_of_io(kind: ErrorKind) -> u8 {
    match kind {
        ErrorKind::NotFound
        | ErrorKind::PermissionDenied
        | ErrorKind::AlreadyExists
        | ErrorKind::NotADirectory
        | ErrorKind::IsADirectory
        | ErrorKind::ReadOnlyFilesystem
        | ErrorKind::InvalidInput
        | ErrorKind::InvalidData
        | ErrorKind::FileTooLarge
        | ErrorKind::InvalidFilename => BAD_INPUT,
        _ => FAILED,
    }
}

/// The whole chain on one line; a link that only repeats the one before it is left out.
pub fn sentence(error: &anyhow::Error) -> String {
    let mut line = String::from("kvlens:");
    let mut previous = String::new();
    for link in error.chain() {
        let text = link.to_string().replace(['\n', '\r'], " ");
        if previous.contains(&text) {
            continue;
        }
        line.push_str(if previous.is_empty() { " " } else { ": " });
        line.push_str(&text);
        previous = text;
    }
    line
}

#[cfg(test)]
mod tests {
    use anyhow::Context;

    use super::*;

    #[test]
    fn the_library_error_inside_a_chain_decides_the_code() {
        let refused: Result<(), _> = Err(SessionError::Plan {
            reason: "no such window".to_owned(),
        });
        let error = refused.context("the capture cannot start").unwrap_err();
        assert_eq!(exit_code(&error), 2);
        assert_eq!(
            sentence(&error),
            "kvlens: the capture cannot start: no such window"
        );
    }

    #[test]
    fn cancelling_is_130_and_a_full_disk_is_1() {
        assert_eq!(exit_code(&SessionError::Cancelled.into()), 130);
        let full = SessionError::Io {
            action: "write",
            path: "x".into(),
            source: ErrorKind::StorageFull.into(),
        };
        assert_eq!(exit_code(&full.into()), 1);
        assert_eq!(exit_code(&anyhow::anyhow!("anything")), 1);
    }

    #[test]
    fn a_link_that_the_one_above_quotes_is_said_once() {
        let denied = SessionError::Io {
            action: "create the session folder",
            path: "/x".into(),
            source: std::io::Error::new(ErrorKind::PermissionDenied, "permission denied"),
        };
        let error = anyhow::Error::from(denied);
        assert_eq!(
            sentence(&error),
            "kvlens: cannot create the session folder: permission denied: /x"
        );
        assert_eq!(exit_code(&error), 2);
    }
}
