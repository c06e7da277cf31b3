//! `kvlens train card`: what a trained model was made of and what it can do, as README.md beside it.
//!
//! Nothing is measured here: the answers come from sessions that `kvlens capture` made with the model.

mod accuracy;
mod head_map;
mod recipe;

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use kvlens_sessions::Session;

use super::args::TrainCardArguments;
use super::failure::Failure;
use super::output;
use accuracy::Answers;
use head_map::HeadMaps;

/// Runs the command.
///
/// # Errors
/// A folder without a training log, a session of another model, a file that cannot be written.
pub fn run(arguments: &TrainCardArguments) -> Result<()> {
    let mut answers = Answers::default();
    let mut maps = HeadMaps::default();
    let mut weights: Option<String> = None;
    for path in &arguments.sessions {
        let session = Session::open(path)?;
        let found = &session.manifest().model.weights_sha256;
        if weights.as_ref().is_some_and(|known| known != found) {
            return Err(Failure::BadInput(format!(
                "the sessions were captured with different weights; a card is of one model: {}",
                path.display()
            ))
            .into());
        }
        weights = Some(found.clone());
        for index in 0..session.sample_count() {
            let captured = session.load_sample(index)?;
            answers.add(&captured.record);
            maps.add(&captured)?;
        }
    }
    let card = format!(
        "{}{}{}",
        recipe::text(&arguments.model, weights.as_deref().unwrap_or_default())?,
        answers.text(),
        maps.text()
    );
    let path = arguments.model.join("README.md");
    write(&path, &card)?;
    output::print(&format!("model card: {}\n", path.display()))
}

fn write(path: &Path, card: &str) -> Result<()> {
    fs::write(path, card).with_context(|| format!("the card cannot be written: {}", path.display()))
}
