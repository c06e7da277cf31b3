//! `kvlens recipe`: a paper's table from one command.

use anyhow::Result;

use super::args::RecipeArguments;
use super::fetch::fetch_model;
use super::interrupt::cancel_on_interrupt;
use super::output;
use super::progress::Progress;
use crate::jobs::models::Models;
use crate::jobs::recipe::{RecipeRequest, recipes, run as cook};

/// Runs the command.
///
/// # Errors
/// Bad input, an interrupt, samples that could not be captured, files that could not be written.
pub fn run(arguments: &RecipeArguments) -> Result<()> {
    if arguments.name == "list" {
        let lines = recipes().map(|(name, summary)| Ok(format!("{name}: {}\n", summary?)));
        return output::print(&lines.collect::<Result<String>>()?);
    }
    let request = RecipeRequest {
        name: arguments.name.clone(),
        model: arguments.model.clone(),
        data: arguments.data.clone(),
        chat: arguments.chat,
        device: arguments.device,
        dtype: arguments.dtype,
        format: arguments.format.clone(),
        out: arguments.out.clone(),
        resume: arguments.resume,
    };
    request.check()?;
    let cancel = cancel_on_interrupt()?;
    fetch_model(&request.model, &cancel)?;
    let mut progress = Progress::begin("recipe")?;
    let written = cook(&request, &mut Models::default(), &mut progress, &cancel);
    progress.end();
    output::print(&format!("Page written: {}\n", written?.display()))
}
