//! What sessions hold of what a figure asks for.

use std::collections::BTreeSet;

use anyhow::Result;
use kvlens_analysis::{Budget, distinct};
use kvlens_datasets::nearest_name;
use kvlens_sessions::windows::final_part;
use kvlens_sessions::{ModelShape, SampleState, Session};

use crate::jobs::failure::Failure;
use crate::measurement::MeasureOptions;

/// T of the longest finished prompt.
pub(super) fn longest_prompt(sessions: &[Session]) -> usize {
    let entries = sessions
        .iter()
        .flat_map(|session| session.manifest().finished());
    let tokens = entries.filter_map(|entry| match entry.state {
        SampleState::Finished { prompt_tokens, .. } => Some(prompt_tokens),
        SampleState::Pending | SampleState::Failed { .. } => None,
    });
    tokens.max().unwrap_or(0)
}

/// Windows that were captured for several budgets count as one.
pub(super) fn joined_labels(stored: &[String]) -> Vec<String> {
    let joined = stored
        .iter()
        .map(|label| final_part(label).map_or_else(|| label.clone(), |part| part.window));
    distinct(joined)
}

/// The budgets that any of them was captured for.
pub(super) fn final_budgets(stored: &[String]) -> Vec<Budget> {
    let parts = stored.iter().filter_map(|label| final_part(label));
    distinct(parts.map(|part| part.budget))
}

/// Every sample that was asked for must be there: a figure of fewer would look like one of all of them.
pub(super) fn check_samples(ids: &[String], sessions: &[Session]) -> Result<()> {
    let finished = sessions.iter().flat_map(|one| one.manifest().finished());
    let known: BTreeSet<&str> = finished.map(|entry| entry.id.as_str()).collect();
    match ids.iter().find(|id| !known.contains(id.as_str())) {
        None => Ok(()),
        Some(id) => {
            let all: Vec<&str> = known.into_iter().collect();
            Err(Failure::BadInput(format!(
                "no session has a finished sample '{id}'; of {} that there are '{}' is named most alike",
                all.len(),
                nearest_name(id, &all)
            ))
            .into())
        }
    }
}

/// Refuses a layer or a head that no session has: left out without a word, the figure would be of others than asked.
pub(super) fn refuse_unknown(
    what: &str,
    asked: &[usize],
    sessions: &[Session],
    count: impl Fn(&ModelShape) -> usize,
) -> Result<()> {
    let counts = sessions
        .iter()
        .map(|session| count(&session.manifest().shape));
    let most = counts.max().unwrap_or(0);
    match asked.iter().find(|asked| **asked >= most) {
        None => Ok(()),
        Some(unknown) => Err(Failure::BadInput(format!(
            "no session has a {what} {unknown}: they are numbered 0 to {}",
            most.saturating_sub(1)
        ))
        .into()),
    }
}

/// How many decode steps count of each of some finished samples, or of all, ascending, each number once.
pub(super) fn decode_lengths(
    ids: &[String],
    options: &MeasureOptions,
    sessions: &[Session],
) -> Vec<usize> {
    let finished = sessions.iter().flat_map(|one| one.manifest().finished());
    let shown = finished.filter(|entry| ids.is_empty() || ids.contains(&entry.id));
    let lengths = shown.filter_map(|entry| match entry.state {
        SampleState::Finished { decode_tokens, .. } => Some(decode_tokens),
        SampleState::Pending | SampleState::Failed { .. } => None,
    });
    // a sample without any of the steps is refused when its turn comes
    let counted = lengths.filter_map(|steps| options.oracle_steps(steps).ok());
    let distinct: BTreeSet<usize> = counted.map(|steps| steps.len()).collect();
    distinct.into_iter().collect()
}
