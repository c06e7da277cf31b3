//! The model of the open session, for questions that a session alone cannot answer.

use kvlens_sessions::Session;
use kvlens_sessions::model::{DeviceChoice, Model, ModelSource};

use crate::gui::data::Progress;
use crate::gui::jobs::{Jobs, Reporter};
use crate::measurement::session_model::difference;

impl Jobs {
    /// The model that a session was captured with, from where its manifest says, or else from `elsewhere`.
    pub(super) fn session_model(
        &mut self,
        session: &Session,
        elsewhere: Option<&ModelSource>,
        reporter: &Reporter<'_>,
    ) -> anyhow::Result<&Model> {
        (reporter.progress)(Progress {
            stage: "Load the model".to_owned(),
            ..Progress::default()
        });
        let (plan, expected) = (&session.manifest().plan, &session.manifest().model);
        let mut refused = String::new();
        let mut found = None;
        for source in std::iter::once(&plan.model).chain(elsewhere) {
            let why = match self.model(source, DeviceChoice::Auto, plan.dtype) {
                Ok(model) => difference(model.identity(), expected)
                    .map(|part| format!("the one at {source} has other {part}")),
                Err(error) => Some(format!("{error:#}")),
            };
            match why {
                None => {
                    found = Some(source);
                    break;
                }
                Some(why) if refused.is_empty() => refused = why,
                Some(_) => {}
            }
        }
        match found {
            Some(source) => self.model(source, DeviceChoice::Auto, plan.dtype),
            None => Err(anyhow::anyhow!(
                "this needs the model '{}' that the session was captured with ({refused}); put the folder where \
                 it is now into Model of the capture panel, and try again",
                expected.name
            )),
        }
    }
}
