//! The prompts of a job, and what was read of the files that they came from.

use std::ops::ControlFlow;
use std::path::Path;

use anyhow::Result;
use kvlens_analysis::tables::{JsonRows, TableError};
use kvlens_datasets::{
    DataSpec, DatasetError, Fit, LoadOptions, LoadReport, Loaded, PromptChoices, Sample, Spooled,
    TokenCounter, TooLong, read_each, spool_with,
};
use kvlens_sessions::CapturePlan;
use kvlens_sessions::estimate::CaptureEstimator;
use serde_json::Value;

use super::Cancel;
use super::fetch::missing;

/// The prompts of a plan, as its model runs them: lengths are counted by its tokenizer, and prompts that are too long
/// for it are cut or left out where that was asked. Without the model, which is not fetched here, as they are. Many of
/// them lie on disk, in a file that is made in `folder`.
///
/// # Errors
/// What the data set refuses; a checkpoint or a window that cannot be used; a file that cannot be written.
pub fn load(plan: &CapturePlan, folder: &Path) -> Result<Spooled> {
    let spool = |specs: &[DataSpec], options: &LoadOptions<'_>| spool_with(specs, options, folder);
    of_plan(plan, spool)
}

/// Reads with the tokenizer of the plan's model, if that is here.
fn of_plan<T>(
    plan: &CapturePlan,
    read: impl FnOnce(&[DataSpec], &LoadOptions<'_>) -> Result<T, DatasetError>,
) -> Result<T> {
    let specs = parsed(&plan.data)?;
    if missing(&plan.model).is_some() {
        return Ok(read(&specs, &without_model(&plan.prompts)?)?);
    }
    let tokens = CaptureEstimator::open(plan)?;
    Ok(read(&specs, &with_model(plan, &tokens)?)?)
}

/// How many prompts a plan has.
///
/// # Errors
/// What the data set refuses; a checkpoint or a window that cannot be used.
pub fn count(plan: &CapturePlan) -> Result<usize> {
    let mut count = 0;
    of_plan(plan, |specs, options| {
        read_each(specs, options, &mut |_| {
            count += 1;
            ControlFlow::Continue(())
        })
    })?;
    Ok(count)
}

/// The first prompts of a plan.
pub struct Beginning {
    /// They, and what was read so far.
    pub loaded: Loaded,
    /// Whether there are no others.
    pub is_whole: bool,
}

/// The first prompts of a plan: at least one, and no more behind so many bytes of text.
///
/// # Errors
/// As [`load`]; an interrupt.
pub fn beginning(plan: &CapturePlan, bytes: usize, cancel: &Cancel) -> Result<Beginning> {
    let (mut samples, mut left) = (Vec::new(), bytes);
    let mut is_whole = true;
    let report = of_plan(plan, |specs, options| {
        read_each(specs, options, &mut |sample| {
            if left == 0 || cancel.is_cancelled() {
                is_whole = false;
                return ControlFlow::Break(());
            }
            left = left.saturating_sub(sample.prompt.len());
            samples.push(sample);
            ControlFlow::Continue(())
        })
    })?;
    cancel.check()?;
    Ok(Beginning {
        loaded: Loaded { samples, report },
        is_whole,
    })
}

/// Hands over one prompt after the other, as the plan's model runs them, in the memory of one; an error of `on_sample`
/// ends the reading.
///
/// # Errors
/// As [`load`], and that error.
pub fn each(
    plan: &CapturePlan,
    tokens: &CaptureEstimator,
    on_sample: &mut dyn FnMut(&Sample) -> Result<()>,
) -> Result<LoadReport> {
    let mut outcome = Ok(());
    let options = with_model(plan, tokens)?;
    let report = read_each(&parsed(&plan.data)?, &options, &mut |sample| {
        outcome = on_sample(&sample);
        match outcome {
            Ok(()) => ControlFlow::Continue(()),
            Err(_) => ControlFlow::Break(()),
        }
    })?;
    outcome.map(|()| report)
}

/// Reads all prompts and keeps none, which finds what is wrong with them.
///
/// # Errors
/// What the data set refuses.
pub fn check(specs: &[String], choices: &PromptChoices) -> Result<LoadReport> {
    let options = without_model(choices)?;
    Ok(read_each(&parsed(specs)?, &options, &mut |_| {
        ControlFlow::Continue(())
    })?)
}

fn parsed(specs: &[String]) -> Result<Vec<DataSpec>, DatasetError> {
    specs.iter().map(|spec| spec.parse()).collect()
}

fn without_model(choices: &PromptChoices) -> Result<LoadOptions<'static>, DatasetError> {
    Ok(LoadOptions {
        open_table: Some(&open_table),
        ..choices.options()?
    })
}

fn with_model<'a>(
    plan: &CapturePlan,
    tokens: &'a CaptureEstimator,
) -> Result<LoadOptions<'a>, DatasetError> {
    Ok(LoadOptions {
        tokens: Some(tokens),
        // what is refused is refused by the capture, which says what stands behind the prompt
        fit: (plan.prompts.too_long != TooLong::Refuse).then_some(Fit {
            limit_tokens: tokens.positions(),
            too_long: plan.prompts.too_long,
        }),
        ..without_model(&plan.prompts)?
    })
}

type TableRows = Box<dyn Iterator<Item = Result<Value, String>>>;

/// Parquet, which only `analysis` reads.
fn open_table(path: &Path) -> Result<TableRows, String> {
    let rows = JsonRows::open(path).map_err(|error| cause(&error))?;
    Ok(Box::new(rows.map(|row| row.map_err(|error| cause(&error)))))
}

/// The innermost reason: the data set's error names the file itself.
fn cause(error: &TableError) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}
