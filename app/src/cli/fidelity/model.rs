//! The model that a session was captured with, loaded again.

use anyhow::{Context, Result};
use kvlens_sessions::Session;
use kvlens_sessions::model::{DeviceChoice, DtypeChoice, Model, ModelSource};

use crate::cli::failure::Failure;
use crate::measurement::session_model::difference;

/// Loads the models of sessions, one at a time.
pub struct ModelLoader {
    /// Instead of where a session found its model.
    source: Option<ModelSource>,
    device: DeviceChoice,
    /// Instead of the number format of a session's plan.
    dtype: Option<DtypeChoice>,
    loaded: Option<Loaded>,
}

struct Loaded {
    source: ModelSource,
    dtype: DtypeChoice,
    model: Model,
}

impl ModelLoader {
    /// Nothing is loaded yet.
    pub fn new(
        source: Option<ModelSource>,
        device: DeviceChoice,
        dtype: Option<DtypeChoice>,
    ) -> Self {
        Self {
            source,
            device,
            dtype,
            loaded: None,
        }
    }

    /// The model of a session; the one before is used again where it is the same.
    ///
    /// # Errors
    /// [`Failure::BadInput`] when what is found is another model than the session's; what loading refuses.
    pub fn model(&mut self, session: &Session) -> Result<&Model> {
        let plan = &session.manifest().plan;
        let source = self.source.as_ref().unwrap_or(&plan.model).clone();
        let dtype = self.dtype.unwrap_or(plan.dtype);
        let kept = self.loaded.take();
        let loaded = match kept.filter(|kept| (&kept.source, kept.dtype) == (&source, dtype)) {
            Some(loaded) => loaded,
            None => Loaded {
                model: self.load(session, &source, dtype)?,
                source,
                dtype,
            },
        };
        check(&loaded, session)?;
        Ok(&self.loaded.insert(loaded).model)
    }

    fn load(&self, session: &Session, source: &ModelSource, dtype: DtypeChoice) -> Result<Model> {
        Model::load(source, self.device, dtype).with_context(|| match self.source {
            Some(_) => "the model cannot be used".to_owned(),
            None => format!(
                "the model that session '{}' was captured with cannot be loaded again; say where it is by --model",
                session.name()
            ),
        })
    }
}

fn check(loaded: &Loaded, session: &Session) -> Result<()> {
    let expected = &session.manifest().model;
    match difference(loaded.model.identity(), expected) {
        None => Ok(()),
        Some(part) => Err(Failure::BadInput(format!(
            "the model has other {part} than '{}', which session '{}' was captured with; give that one by \
             --model: {}",
            expected.name,
            session.name(),
            loaded.source
        ))
        .into()),
    }
}
