//! The model that stays loaded between jobs.

use std::fmt;

use anyhow::Result;
use kvlens_sessions::Session;
use kvlens_sessions::model::{AttentionKernel, DeviceChoice, DtypeChoice, Model, ModelSource};

use super::Cancel;
use crate::measurement::session_model::difference;

/// A model, and how it runs.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelChoice {
    /// Where it is.
    pub source: ModelSource,
    /// Where it runs.
    pub device: DeviceChoice,
    /// Its number format.
    pub dtype: DtypeChoice,
    /// How the attention is computed of rows of which nothing is kept.
    pub attention: AttentionKernel,
}

/// Holds one model: the next job that needs the same one takes it over.
#[derive(Default)]
pub struct Models {
    loaded: Option<(ModelChoice, Model)>,
}

/// Why a session's model could not be had.
#[derive(Debug)]
pub struct NoSessionModel {
    /// Where it was looked for first.
    pub source: ModelSource,
    /// What was wrong there.
    pub why: WhyNoModel,
}

/// What was wrong with a model.
#[derive(Debug)]
pub enum WhyNoModel {
    /// It could not be loaded.
    NotLoaded(anyhow::Error),
    /// It has another part, such as weights, than the session's.
    Differs(&'static str),
}

impl fmt::Display for NoSessionModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.why {
            WhyNoModel::NotLoaded(error) => write!(f, "{error:#}"),
            WhyNoModel::Differs(part) => {
                write!(f, "the one at {} has other {part}", self.source)
            }
        }
    }
}

impl Models {
    /// Lets another model give its memory back before this one asks for its own. Says whether this one is loaded.
    pub fn make_room_for(&mut self, choice: &ModelChoice) -> bool {
        let loaded = self.loaded.take();
        self.loaded = loaded.filter(|(before, _)| before == choice);
        self.loaded.is_some()
    }

    /// The model, loaded unless it is the one of the job before.
    ///
    /// # Errors
    /// What loading refuses, and a cancel.
    pub fn load(&mut self, choice: &ModelChoice, cancel: &Cancel) -> Result<&Model> {
        self.make_room_for(choice);
        let loaded = match self.loaded.take() {
            Some(loaded) => loaded,
            None => {
                let ModelChoice {
                    source,
                    device,
                    dtype,
                    ..
                } = choice;
                let model = Model::load_unless_cancelled(source, *device, *dtype, cancel)?;
                (choice.clone(), model.with_attention(choice.attention))
            }
        };
        Ok(&self.loaded.insert(loaded).1)
    }

    /// The model that a session was captured with, from the first of `sources` that has it.
    ///
    /// # Errors
    /// What was wrong with the first of them.
    pub fn of_session(
        &mut self,
        session: &Session,
        sources: &[ModelSource],
        device: DeviceChoice,
        dtype: DtypeChoice,
        cancel: &Cancel,
    ) -> Result<&Model, NoSessionModel> {
        let expected = &session.manifest().model;
        let mut refused = None;
        for source in sources {
            let choice = ModelChoice {
                source: source.clone(),
                device,
                dtype,
                attention: AttentionKernel::default(),
            };
            let why = match self.load(&choice, cancel) {
                Ok(model) => match difference(model.identity(), expected) {
                    None => break,
                    Some(part) => WhyNoModel::Differs(part),
                },
                Err(error) => WhyNoModel::NotLoaded(error),
            };
            let source = source.clone();
            self.loaded = None;
            refused.get_or_insert(NoSessionModel { source, why });
        }
        match (&self.loaded, refused) {
            (Some((_, model)), _) => Ok(model),
            (None, Some(refused)) => Err(refused),
            (None, None) => Err(NoSessionModel {
                source: session.manifest().plan.model.clone(),
                why: WhyNoModel::NotLoaded(anyhow::anyhow!("nobody said where the model is")),
            }),
        }
    }
}
