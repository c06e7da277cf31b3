//! A recipe of a paper as the window asks for it, and the job that cooks it.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

use super::capture_settings::CaptureSettings;
use super::lanes::{Event, Meter, Reporter};
use crate::jobs::failure::is_cancelled;
use crate::jobs::models::Models;
use crate::jobs::recipe::{DEFAULT_FORMAT, RecipeRequest, run};

/// The fields of the dialog of recipes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RecipeSettings {
    /// One of the program's, or the file of another.
    pub name: String,
    /// Whether the prompts are those of the capture panel, and not the recipe's own.
    pub own_prompts: bool,
    /// The folder, as typed; a new one beside the sessions if empty.
    pub out: String,
}

impl Default for RecipeSettings {
    fn default() -> Self {
        Self {
            name: "judge-q-hit-rate".to_owned(),
            own_prompts: false,
            out: String::new(),
        }
    }
}

impl RecipeSettings {
    /// The folder that is written where none was typed: one that is not there yet.
    #[must_use]
    pub fn suggested(&self, sessions_folder: &Path) -> PathBuf {
        let name = Path::new(&self.name);
        let stem = name
            .file_stem()
            .unwrap_or(name.as_os_str())
            .to_string_lossy();
        let numbered = |number: usize| match number {
            1 => sessions_folder.join(format!("recipe-{stem}")),
            number => sessions_folder.join(format!("recipe-{stem}-{number}")),
        };
        let mut number = 1;
        while numbered(number).exists() {
            number += 1;
        }
        numbered(number)
    }

    /// The recipe on the model of the capture panel.
    ///
    /// # Errors
    /// Fields of the panel that are not understood.
    pub fn request(
        &self,
        capture: &CaptureSettings,
        sessions_folder: &Path,
    ) -> anyhow::Result<RecipeRequest> {
        let plan = capture
            .plan()
            .context("the capture panel names the model, and has to be whole")?;
        let out = match self.out.trim() {
            "" => self.suggested(sessions_folder),
            typed => PathBuf::from(typed),
        };
        Ok(RecipeRequest {
            name: self.name.trim().to_owned(),
            model: plan.model,
            data: match self.own_prompts {
                true => plan.data,
                false => Vec::new(),
            },
            chat: plan.chat,
            device: plan.device,
            dtype: plan.dtype,
            format: DEFAULT_FORMAT.to_owned(),
            // a folder that was typed and is there is gone on with, as after a cancel
            resume: out.exists(),
            out,
        })
    }
}

/// Cooks a recipe, and tells how far it is.
pub(super) fn cook(
    request: &RecipeRequest,
    models: &mut Models,
    reporter: &Reporter<'_>,
) -> anyhow::Result<()> {
    let mut meter = Meter::new(reporter);
    match run(request, models, &mut meter, reporter.cancel) {
        Ok(page) => {
            (reporter.event)(Event::RecipeDone(page));
            Ok(())
        }
        Err(error) if is_cancelled(&error) => {
            let outcome = format!(
                "Cancelled; what was captured stays, and the recipe goes on where its folder is typed: {}",
                request.out.display()
            );
            (reporter.event)(Event::Cancelled { outcome });
            Ok(())
        }
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kvlens_sessions::model::ModelSource;

    #[test]
    fn a_recipe_takes_the_model_of_the_panel_and_its_own_prompts_unless_asked() {
        let folder = tempfile::tempdir().unwrap();
        let capture = CaptureSettings::default();
        let mut settings = RecipeSettings::default();
        let request = settings.request(&capture, folder.path()).unwrap();
        assert_eq!(request.model, ModelSource::Demo);
        assert!(request.data.is_empty() && !request.resume);
        assert_eq!(request.out, folder.path().join("recipe-judge-q-hit-rate"));
        std::fs::create_dir(&request.out).unwrap();
        settings.own_prompts = true;
        let second = settings.request(&capture, folder.path()).unwrap();
        assert_eq!(second.data, capture.plan().unwrap().data);
        assert_eq!(second.out, folder.path().join("recipe-judge-q-hit-rate-2"));
        settings.out = request.out.display().to_string();
        assert!(settings.request(&capture, folder.path()).unwrap().resume);
    }
}
