//! The prompts of a job, and what was read of the files that they came from.

use anyhow::Result;
use kvlens_datasets::{DataSpec, LoadOptions, Loaded, load_with};

/// The prompts that these specifications name, with the report on what was read as what.
///
/// # Errors
/// What the data set refuses.
pub fn load(specs: &[String]) -> Result<Loaded> {
    let specs = specs.iter().map(|spec| spec.parse());
    let specs = specs.collect::<Result<Vec<DataSpec>, _>>()?;
    Ok(load_with(&specs, &LoadOptions::default())?)
}

/// Loads them, and tells line by line what of files was read as what and what was not read.
///
/// # Errors
/// As [`load`].
pub fn load_telling(specs: &[String], tell: impl Fn(&str)) -> Result<Loaded> {
    let loaded = load(specs)?;
    loaded.report.to_string().lines().for_each(tell);
    Ok(loaded)
}
