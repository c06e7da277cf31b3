//! `kvlens train card`: what a trained model was made of and what it can do, as README.md beside it.
//!
//! Nothing is measured here: the answers come from sessions that `kvlens capture` made with the model.

mod accuracy;
mod card;
mod head_map;
mod recipe;

use anyhow::Result;
use kvlens_sessions::model::{DeviceChoice, DtypeChoice, Model, ModelSource};
use kvlens_sessions::{Session, write_file};

use super::args::TrainCardArguments;
use super::output;
use super::progress::Progress;
use crate::jobs::failure::Failure;
use crate::jobs::left_out::LeftOut;
use accuracy::Answers;
use head_map::HeadMaps;

/// Runs the command.
///
/// # Errors
/// A folder without a training log, a session of another model, a file that cannot be written; behind the card, samples
/// that could not be read.
pub fn run(arguments: &TrainCardArguments) -> Result<()> {
    let mut answers = Answers::default();
    let mut maps = HeadMaps::default();
    let source = ModelSource::Folder(arguments.model.clone());
    let model = Model::load(&source, DeviceChoice::Cpu, DtypeChoice::F32)?;
    let weights = &model.identity().weights_sha256;
    let mut sessions = Vec::new();
    for path in &arguments.sessions {
        let session = Session::open(path)?;
        if session.manifest().model.weights_sha256 != *weights {
            return Err(Failure::BadInput(format!(
                "the session was captured with other weights than those of {}: {}",
                arguments.model.display(),
                path.display()
            ))
            .into());
        }
        sessions.push(session);
    }
    let progress = Progress::begin("read")?;
    let count = sessions.iter().map(Session::sample_count).sum();
    let mut left_out = LeftOut::default();
    for session in &sessions {
        for index in 0..session.sample_count() {
            let (found, place) = (session.load_sample(index), (session, index));
            if let Some(captured) = left_out.or_leave_out(found, place, count, &progress)? {
                answers.add(&captured.record);
                maps.add(&captured)?;
            }
        }
    }
    progress.end();
    let mut values = recipe::values(&arguments.model, weights)?;
    values.extend(answers.values());
    values.extend(maps.values());
    let card = card::filled(&values)?;
    let path = arguments.model.join("README.md");
    write_file(&path, card.as_bytes())?;
    output::print(&format!("model card: {}\n", path.display()))?;
    left_out.refuse("the card is of the others")
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    /// What stands before the measured answers is made from the training log alone.
    #[test]
    fn the_built_in_models_card_begins_as_its_log_says() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../sessions/builtin/demo");
        let model = Model::load(&ModelSource::Demo, DeviceChoice::Cpu, DtypeChoice::F32).unwrap();
        let mut values = recipe::values(&folder, &model.identity().weights_sha256).unwrap();
        values.extend(Answers::default().values());
        values.extend(HeadMaps::default().values());
        let card = card::filled(&values).unwrap();
        let written = fs::read_to_string(folder.join("README.md")).unwrap();
        let before_answers = |text: &str| text.split("\n## Answers").next().map(str::to_owned);
        assert_eq!(before_answers(&card), before_answers(&written));
    }
}
