//! The files of a figure: the picture, its numbers, and how to make both again.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use kvlens_analysis::figure::{FigureFormat, FigureRow};
use kvlens_analysis::tables::{FigureTable, Table, TableWriter};
use serde_json::{Value, json};

use super::data::FigureJob;
use super::folder_of;
use crate::jobs::failure::Failure;
use crate::jobs::folders::Staging;
use crate::jobs::left_out::LeftOut;

/// The format that a file's ending names.
///
/// # Errors
/// [`Failure::BadInput`] for another ending.
pub fn format_of(out: &Path) -> Result<FigureFormat> {
    let ending = out
        .extension()
        .map(|ending| ending.to_string_lossy().to_lowercase());
    match ending.as_deref() {
        Some("svg") => Ok(FigureFormat::Svg),
        Some("pdf") => Ok(FigureFormat::Pdf),
        Some("png") => Ok(FigureFormat::Png),
        _ => Err(Failure::BadInput(format!(
            "a figure is written as .svg, .pdf or .png: {}",
            out.display()
        ))
        .into()),
    }
}

/// A figure that is ready to be written.
pub struct WrittenFigure<'a> {
    /// The picture's file.
    pub out: &'a Path,
    /// The command that makes it again.
    pub command: String,
    /// Its bytes.
    pub picture: &'a [u8],
    /// Its numbers.
    pub rows: &'a [FigureRow],
    /// What it was made of.
    pub about: Value,
    /// What it shows, with its definitions.
    pub caption: &'a str,
}

impl WrittenFigure<'_> {
    /// Writes all files aside, then gives them their names; gives these names.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn write(&self) -> Result<Vec<String>> {
        let name = self
            .out
            .file_name()
            .with_context(|| format!("this names no file: {}", self.out.display()))?;
        let staging = Staging::begin(folder_of(self.out))?;
        let aside = staging.folder();
        let beside = |ending: &str| PathBuf::from(name).with_extension(ending);
        let (data, caption, about) = (beside("parquet"), beside("txt"), beside("json"));
        let manifest = self.manifest(&name.to_string_lossy(), &data);
        let write = |name: &Path, bytes: &[u8]| {
            let path = aside.join(name);
            fs::write(&path, bytes)
                .with_context(|| format!("a file cannot be written: {}", path.display()))
        };
        write(Path::new(name), self.picture)?;
        write(&caption, format!("{}\n", self.caption).as_bytes())?;
        write(&about, format!("{manifest:#}\n").as_bytes())?;
        let mut table = TableWriter::<FigureTable>::create(aside, &manifest.to_string())?;
        table.write(self.rows)?;
        table.finish()?;
        fs::rename(aside.join(FigureTable::FILE_NAME), aside.join(&data))
            .with_context(|| format!("a file cannot be named: {}", data.display()))?;
        staging.publish(&[Path::new(name), &data, &caption, &about])?;
        Ok([
            self.out.to_owned(),
            self.out.with_extension("parquet"),
            self.out.with_extension("txt"),
            self.out.with_extension("json"),
        ]
        .map(|path| path.display().to_string())
        .to_vec())
    }

    fn manifest(&self, picture: &str, data: &Path) -> Value {
        let mut about = json!({
            "kvlens_version": env!("CARGO_PKG_VERSION"),
            "command": self.command,
            "picture": picture,
            "data": data.display().to_string(),
            "caption": self.caption,
        });
        if let (Value::Object(all), Value::Object(more)) = (&mut about, &self.about) {
            all.extend(more.clone());
        }
        about
    }
}

impl FigureJob<'_> {
    /// What a figure of sessions is made of, but for the samples that could not be read.
    ///
    /// # Errors
    /// A manifest that cannot be read.
    pub fn about(&self, left_out: &LeftOut) -> Result<Value> {
        let sessions = self.sessions.iter().map(|session| {
            let manifest = session.manifest();
            Ok(json!({
                "name": session.name(),
                "path": session.path().display().to_string(),
                "manifest_sha256": session.sha256()?,
                "model": manifest.model,
                "kvlens_version": manifest.kvlens_version,
                "samples": session.sample_count(),
            }))
        });
        Ok(json!({
            "shown_samples": self.samples,
            "left_out": left_out,
            "windows": self.windows,
            "budget": self.budget,
            "compare": self.options.compare,
            "options": self.options,
            "sessions": sessions.collect::<Result<Vec<_>>>()?,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ending_names_the_format() {
        assert_eq!(format_of(Path::new("a/B.PDF")).unwrap(), FigureFormat::Pdf);
        for wrong in ["a", "a.jpg", "svg"] {
            assert!(format_of(Path::new(wrong)).is_err(), "{wrong}");
        }
    }
}
