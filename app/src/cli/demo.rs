//! `kvlens demo`: from nothing to the first plot.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use kvlens_sessions::model::ModelSource;
use kvlens_sessions::{CapturePlan, DecodePlan, StartMode};

use super::args::{DemoArguments, OpenArguments};
use super::capture::{readable_time, run_one};
use super::failure;
use super::fetch::fetch_model;
use super::interrupt::cancel_on_interrupt;
use super::measure::measured_text;
use super::open;
use super::output;
use crate::demo::{DEMO_WINDOWS, UNTRAINED_WINDOWS};
use crate::jobs::Cancel;
use crate::jobs::capture::CaptureRequest;
use crate::jobs::failure::Failure;
use crate::jobs::folders::UNFINISHED_PREFIX;
use crate::jobs::measure::{MeasureRequest, is_written_by_measure};
use crate::jobs::models::Models;
use crate::jobs::pace::foretell;
use crate::jobs::window::OpenWindow;

const SESSION: &str = "demo.kvlens";
const TABLES: &str = "tables";
/// From the size of one of the facts that the answer needs, so that missing one shows.
const BUDGETS: &str = "16,32,64,128,10%,20%";

/// Runs the command.
///
/// # Errors
/// A folder that holds something else, an interrupt, a failed capture or measurement. Not a missing
/// display.
pub fn run(arguments: &DemoArguments, window: OpenWindow) -> Result<()> {
    refuse_foreign_files(&arguments.out)?;
    let session = arguments.out.join(SESSION);
    let tables = arguments.out.join(TABLES);
    let cancel = cancel_on_interrupt()?;
    let capture = CaptureRequest {
        plan: plan(arguments),
        prompts: None,
        out: session.clone(),
        start: StartMode::Replace,
    };
    capture.check()?;
    let mut models = Models::default();
    if arguments.model.is_some() {
        tell_time(&capture, &mut models, &cancel)?;
    }
    run_one(&capture, &mut models, &cancel)?;
    let (recall, left_out) = measured_text(&measurement(&session, &tables)?, &cancel)?;
    output::print(&format!(
        "{recall}Session: {}\nTables:  {}\n",
        session.display(),
        tables.display()
    ))?;
    if !arguments.no_window {
        open_window(session, window);
    }
    left_out.refuse("the tables are of the others")
}

/// Says how long the capture will take, before its first prompt.
fn tell_time(capture: &CaptureRequest, models: &mut Models, cancel: &Cancel) -> Result<()> {
    fetch_model(&capture.plan.model, cancel)?;
    output::note("timing two short prompts");
    let time = foretell(capture, models, cancel)?;
    output::note(&format!(
        "the {} prompts will take about {} here; Ctrl-C keeps those that are finished",
        capture.prompts()?.samples.len(),
        readable_time(time)
    ));
    Ok(())
}

fn plan(arguments: &DemoArguments) -> CapturePlan {
    let (model, data, windows) = match &arguments.model {
        None => (ModelSource::Demo, "demo", DEMO_WINDOWS.as_slice()),
        Some(model) => (model.clone(), "pieces", UNTRAINED_WINDOWS.as_slice()),
    };
    CapturePlan {
        windows: windows.iter().map(|&label| label.to_owned()).collect(),
        decode: DecodePlan::default(),
        chat: arguments.chat,
        ..CapturePlan::plain(model, vec![data.to_owned()])
    }
}

fn measurement(session: &Path, tables: &Path) -> Result<MeasureRequest> {
    let budgets = BUDGETS.split(',').map(str::parse);
    Ok(MeasureRequest::new(
        vec![session.to_owned()],
        tables.to_owned(),
        budgets.collect::<Result<_, _>>()?,
    ))
}

/// The demo has done its work by now, so a missing display is news and no failure.
fn open_window(session: PathBuf, window: OpenWindow) {
    let opened = open::run(&OpenArguments::window(vec![session]), window);
    if let Err(error) = opened {
        output::note(&failure::sentence(&error));
    }
}

/// Only what an earlier demo wrote may be replaced; the session's own files are looked at when it
/// is replaced.
fn refuse_foreign_files(out: &Path) -> Result<()> {
    if !out.exists() {
        return Ok(());
    }
    refuse_other_names(out, |name| name == SESSION || name == TABLES)?;
    let tables = out.join(TABLES);
    if tables.exists() {
        refuse_other_names(&tables, |name| {
            is_written_by_measure(name) || name.starts_with(UNFINISHED_PREFIX)
        })?;
    }
    Ok(())
}

fn refuse_other_names(folder: &Path, is_ours: impl Fn(&str) -> bool) -> Result<()> {
    let entries = fs::read_dir(folder).with_context(|| {
        format!(
            "the demo's folder cannot be looked into: {}",
            folder.display()
        )
    })?;
    for entry in entries {
        let name = entry?.file_name();
        if !is_ours(&name.to_string_lossy()) {
            return Err(Failure::BadInput(format!(
                "the demo's folder holds something that the demo did not write; give another --out: {}",
                folder.join(name).display()
            ))
            .into());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_with_something_else_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        refuse_foreign_files(&folder.path().join("missing")).unwrap();
        fs::create_dir_all(folder.path().join("tables")).unwrap();
        fs::write(folder.path().join("tables/overlap.parquet"), "x").unwrap();
        refuse_foreign_files(folder.path()).unwrap();
        fs::write(folder.path().join("tables/notes.txt"), "x").unwrap();
        let error = refuse_foreign_files(folder.path()).unwrap_err();
        assert_eq!(failure::exit_code(&error), 2);
        assert!(error.to_string().ends_with("notes.txt"), "{error}");
    }
}
