//! What an exported figure shall be, and the job that makes it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::data::Progress;
use super::lanes::{Event, Reporter};
use super::state::{Choices, HeadAddress};
use crate::jobs::Watch;
use crate::jobs::figure::{FigureRequest, KindChoice, WidthChoice, run};
use crate::measurement::StageProgress;
use crate::measurement::places::Sweep;

/// The file format of an exported figure.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum ExportFormat {
    /// For papers.
    #[default]
    Pdf,
    /// For the web and for drawing programs.
    Svg,
    /// For slides.
    Png,
}

impl ExportFormat {
    /// Every format in the order of the chooser.
    pub const ALL: [Self; 3] = [Self::Pdf, Self::Svg, Self::Png];

    /// The ending of its files.
    #[must_use]
    pub fn ending(self) -> &'static str {
        match self {
            Self::Pdf => "pdf",
            Self::Svg => "svg",
            Self::Png => "png",
        }
    }
}

/// The fields of the export dialog.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ExportSettings {
    /// What the figure shows.
    pub kind: KindChoice,
    /// Its file format.
    pub format: ExportFormat,
    /// Its width.
    pub width: WidthChoice,
    /// Size of its text in points.
    pub font_size: f64,
    /// Where to write it, as typed; beside the session if empty.
    pub out: String,
}

impl Default for ExportSettings {
    fn default() -> Self {
        Self {
            kind: KindChoice::Recall,
            format: ExportFormat::default(),
            width: WidthChoice::default(),
            font_size: 7.0,
            out: String::new(),
        }
    }
}

impl ExportSettings {
    /// The file to write.
    #[must_use]
    pub fn path(&self, session: &Path) -> PathBuf {
        if self.out.trim().is_empty() {
            return session.with_extension(format!(
                "{}.{}",
                self.kind.name(),
                self.format.ending()
            ));
        }
        PathBuf::from(self.out.trim())
    }

    /// The figure of a session under the choices that all views share; `windows` are all of its windows.
    #[must_use]
    pub fn request(&self, session: &Path, windows: &[&str], choices: &Choices) -> FigureRequest {
        let is_shown = |label: &&&str| !choices.hidden_windows.contains(**label);
        let shown: Vec<String> = windows
            .iter()
            .filter(is_shown)
            .map(ToString::to_string)
            .collect();
        let against = match self.kind {
            KindChoice::HeadDifference => choices.minus.clone(),
            _ => None,
        };
        let is_map = matches!(
            self.kind,
            KindChoice::HeadMap | KindChoice::HeadDifference | KindChoice::Winner | KindChoice::Kl
        );
        // a map shows every head
        let chosen = block_of(&choices.heads).filter(|_| !is_map);
        let (layers, heads) = chosen.unwrap_or_default();
        FigureRequest {
            sessions: vec![session.to_owned()],
            kind: self.kind,
            out: self.path(session),
            sample: None,
            windows: match shown.len() == windows.len() {
                true => Vec::new(),
                false => shown,
            },
            against,
            layers,
            heads,
            budget: choices.budget,
            metric: choices.metric,
            width: self.width,
            font_size: self.font_size,
            range: None,
            // a figure of places sweeps the same window as the drift view
            sweep: Sweep::by_halves(choices.drift.sweep_width),
            options: choices.measure,
            typed: Vec::new(),
        }
    }
}

/// The layers and heads of a selection, if it has all of these heads in all of these layers.
#[must_use]
pub fn block_of(selection: &BTreeSet<HeadAddress>) -> Option<(Vec<usize>, Vec<usize>)> {
    let layers: BTreeSet<usize> = selection.iter().map(|head| head.layer).collect();
    let heads: BTreeSet<usize> = selection.iter().map(|head| head.head).collect();
    let is_block = layers.len() * heads.len() == selection.len();
    is_block.then(|| (layers.into_iter().collect(), heads.into_iter().collect()))
}

/// Makes the figure, and tells how far it is.
pub(super) fn export(figure: &FigureRequest, reporter: &Reporter<'_>) -> anyhow::Result<()> {
    let written = run(figure, &mut Told(reporter), reporter.cancel)?;
    (reporter.event)(Event::Exported(written));
    Ok(())
}

struct Told<'a>(&'a Reporter<'a>);

impl StageProgress for Told<'_> {
    fn stage(&mut self, _name: &str, _done: usize, _total: usize) {}

    fn note(&self, line: &str) {
        (self.0.event)(Event::Warning(line.to_owned()));
    }
}

impl Watch for Told<'_> {
    fn sample(&mut self, index: usize, count: usize, id: &str) {
        (self.0.progress)(Progress {
            stage: format!("Draw {id}"),
            sample: Some((index + 1, count)),
            ..Progress::default()
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(layer: usize, head: usize) -> HeadAddress {
        HeadAddress { layer, head }
    }

    #[test]
    fn a_block_of_heads_is_told_from_scattered_ones() {
        let block = [head(0, 1), head(0, 2), head(3, 1), head(3, 2)].into();
        assert_eq!(block_of(&block), Some((vec![0, 3], vec![1, 2])));
        assert_eq!(block_of(&[head(0, 1), head(3, 2)].into()), None);
        assert_eq!(block_of(&BTreeSet::new()), Some((vec![], vec![])));
    }

    #[test]
    fn a_figure_shows_what_the_views_show() {
        let mut choices = Choices::default();
        choices.hidden_windows.insert("last:8".to_owned());
        choices.heads.insert(head(2, 1));
        let settings = ExportSettings::default();
        let session = Path::new("runs/demo.kvlens");
        let request = settings.request(session, &["last:32", "last:8"], &choices);
        assert_eq!(request.windows, ["last:32"]);
        assert_eq!((request.layers, request.heads), (vec![2], vec![1]));
        assert_eq!(request.out, Path::new("runs/demo.recall.pdf"));
        choices.hidden_windows.clear();
        let request = settings.request(session, &["last:32", "last:8"], &choices);
        assert!(request.windows.is_empty(), "all windows need no flag");
        let map = ExportSettings {
            kind: KindChoice::HeadMap,
            ..ExportSettings::default()
        };
        let request = map.request(session, &["last:32"], &choices);
        assert!(request.layers.is_empty(), "a map shows every head");
    }
}
