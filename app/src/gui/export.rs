//! What an exported figure shall be, and the job that makes it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use kvlens_analysis::Budget;
use kvlens_analysis::statistics::mean;
use kvlens_sessions::windows::DECODE_LABEL;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::data::{Preview, Progress};
use super::lanes::{Event, Reporter};
use super::questions::fidelity::FidelityPoint;
use super::state::{Choices, HeadAddress, MapKind};
use crate::jobs::Watch;
use crate::jobs::figure::{
    Eviction, FigureRequest, KindChoice, WidthChoice, figure_of_kind, run, run_of_evictions,
};
use crate::measurement::StageProgress;
use crate::measurement::fidelity::figures::Figure;
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
    /// Whether it is a mean over all samples of the session, and not of the sample on show as the views.
    pub all_samples: bool,
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
            all_samples: false,
            out: String::new(),
        }
    }
}

/// The figure of what a view shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShownFigure {
    /// What it shows.
    pub kind: KindChoice,
    /// Whether it is over all samples of the session, and not of the one on show.
    pub all_samples: bool,
}

impl ShownFigure {
    /// Of the sample on show.
    #[must_use]
    pub fn of_sample(kind: KindChoice) -> Self {
        Self {
            kind,
            all_samples: false,
        }
    }
}

/// What a figure can be of.
#[derive(Clone, Copy, Debug)]
pub struct FigureOf<'a> {
    /// The session's folder.
    pub session: &'a Path,
    /// Id of the sample on show; nothing where it is the session's only one, which needs no name.
    pub sample: Option<&'a str>,
    /// Labels of all windows of the sample, each with those of what was observed for it.
    pub windows: &'a [(&'a str, Vec<&'a str>)],
    /// The window that a map of one shows.
    pub window: Option<&'a str>,
    /// What was observed of that window for the budget that is nearest.
    pub observation: Option<&'a str>,
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

    /// The figure of a session under the choices that all views share.
    #[must_use]
    pub fn request(&self, of: &FigureOf<'_>, choices: &Choices) -> FigureRequest {
        let against = match self.kind {
            KindChoice::HeadDifference => choices.minus.clone(),
            _ => None,
        };
        let is_map = matches!(
            self.kind,
            KindChoice::HeadMap | KindChoice::HeadDifference | KindChoice::Winner | KindChoice::Kl
        );
        // a map shows every head, and a figure of one the head that its view shows
        let chosen = match self.kind.is_of_one_head() {
            true => choices
                .primary_head()
                .map(|head| (vec![head.layer], vec![head.head])),
            false => block_of(&choices.heads).filter(|_| !is_map),
        };
        let (layers, heads) = chosen.unwrap_or_default();
        FigureRequest {
            sessions: vec![match self.kind.is_of_sessions() {
                true => of.session.to_owned(),
                false => of.session.with_extension("fidelity"),
            }],
            kind: self.kind,
            out: self.path(of.session),
            samples: match (self.all_samples && !self.kind.is_of_one_head())
                || !self.kind.is_of_sessions()
            {
                true => Vec::new(),
                false => of.sample.map(str::to_owned).into_iter().collect(),
            },
            windows: self.windows(of, choices),
            against,
            layers,
            heads,
            budget: choices.budget,
            metric: choices.metric,
            profile: choices.profile,
            margin: choices.margin,
            width: self.width,
            font_size: self.font_size,
            range: None,
            // a figure of places sweeps the same window as the drift view
            sweep: Sweep::by_halves(choices.drift.sweep_width),
            rank_every: choices.decode_cache.every,
            options: choices.measure,
            typed: Vec::new(),
        }
    }

    /// Whether the figure is of the one window that its view shows, and not of all visible ones.
    #[must_use]
    pub fn is_of_one_window(&self, choices: &Choices) -> bool {
        match self.kind {
            KindChoice::HeadMap | KindChoice::HeadDifference => choices.map_kind == MapKind::Window,
            KindChoice::RankDensity
            | KindChoice::Profile
            | KindChoice::Attention
            | KindChoice::Tokens => true,
            _ => false,
        }
    }

    /// The windows to name: the visible ones, or the one of a view of one; none where they are all of them.
    fn windows<'a>(&self, of: &FigureOf<'a>, choices: &Choices) -> Vec<String> {
        let is_of_one = self.is_of_one_window(choices);
        let named =
            |(label, observations): &(&'a str, Vec<&'a str>)| match self.kind.is_about_budgets() {
                true => vec![*label],
                false => observations.clone(),
            };
        let is_shown = |(label, _): &&(&str, Vec<&str>)| match is_of_one {
            true => of.window == Some(label),
            false => !choices.hidden_windows.contains(*label),
        };
        let windows = of.windows.iter();
        let mut shown: Vec<&str> = windows.clone().filter(is_shown).flat_map(named).collect();
        if is_of_one && !self.kind.is_about_budgets() {
            shown.retain(|label| of.observation == Some(label));
        }
        let all: usize = windows.map(|window| named(window).len()).sum();
        match shown.len() == all {
            true => Vec::new(),
            false => {
                let oracle = (!self.kind.is_of_sessions()).then(|| DECODE_LABEL.to_owned());
                let shown = shown.into_iter().map(ToString::to_string);
                oracle.into_iter().chain(shown).collect()
            }
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

/// A figure of what was evicted in the window.
#[derive(Clone, Debug)]
pub struct FidelityExport {
    /// The figure.
    pub figure: FigureRequest,
    /// What it is of.
    pub evictions: Vec<Eviction>,
    /// The session's folder.
    pub session: PathBuf,
}

/// The evictions of a figure, of every sample or of only one. A share of prompts of several lengths is one budget.
#[must_use]
pub fn evictions(points: &[FidelityPoint], kind: KindChoice, only: Option<usize>) -> Vec<Eviction> {
    let shown: Vec<&FidelityPoint> = points
        .iter()
        .filter(|point| only.is_none_or(|only| point.index == only))
        .collect();
    let tokens_of = |budget: Budget| {
        let same = shown.iter().filter(|point| point.budget == budget);
        mean(same.map(|point| point.budget_tokens as f64))
    };
    let eviction = |point: &&FidelityPoint| {
        let sample = &point.sample;
        let value = figure_of_kind(kind)?.of(&point.figures);
        (!value.is_nan()).then_some(())?;
        Some(Eviction {
            sample: format!("{} {}", sample.group.model, sample.content),
            group: sample.group.clone(),
            prompt_tokens: sample.prompt_tokens,
            window: point.label.clone(),
            budget: point.budget.to_string(),
            budget_tokens: tokens_of(point.budget)?,
            recall: Some(Figure::Recall.of(&point.figures)).filter(|recall| !recall.is_nan()),
            value,
        })
    };
    shown.iter().filter_map(eviction).collect()
}

/// Makes a figure of what was evicted in the window.
pub(super) fn export_fidelity(
    export: FidelityExport,
    reporter: &Reporter<'_>,
) -> anyhow::Result<()> {
    let about = json!({
        "session": export.session.display().to_string(),
        "from": "evictions in the window; the command reads the tables that `kvlens fidelity` writes of the session",
    });
    let written = run_of_evictions(&export.figure, export.evictions, about, &Told(reporter))?;
    (reporter.event)(Event::Exported(written));
    Ok(())
}

/// Makes the figure, and tells how far it is.
pub(super) fn export(figure: &FigureRequest, reporter: &Reporter<'_>) -> anyhow::Result<()> {
    let written = run(figure, &mut Told(reporter), reporter.cancel)?;
    (reporter.event)(Event::Exported(written));
    Ok(())
}

/// Draws the figure as it would be written, and leaves no file.
pub(super) fn preview(figure: &FigureRequest, reporter: &Reporter<'_>) -> anyhow::Result<()> {
    let aside = Aside::new()?;
    let request = FigureRequest {
        out: aside.0.join("preview.png"),
        ..figure.clone()
    };
    run(&request, &mut Told(reporter), reporter.cancel)?;
    let picture = image::open(&request.out)
        .context("the preview cannot be read")?
        .into_rgba8();
    let size = [picture.width() as usize, picture.height() as usize];
    let picture = egui::ColorImage::from_rgba_unmultiplied(size, picture.as_raw());
    (reporter.event)(Event::Previewed(Preview {
        of: figure.clone(),
        picture: Arc::new(picture),
    }));
    Ok(())
}

/// A folder that goes with its owner.
struct Aside(PathBuf);

impl Aside {
    fn new() -> anyhow::Result<Self> {
        let name = format!("kvlens-preview-{}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&folder)
            .with_context(|| format!("the preview has no room in {}", folder.display()))?;
        Ok(Self(folder))
    }
}

impl Drop for Aside {
    fn drop(&mut self) {
        // what cannot be removed lies in the system's folder for such files
        let _ = std::fs::remove_dir_all(&self.0);
    }
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
        let of = FigureOf {
            session: Path::new("runs/demo.kvlens"),
            sample: Some("facts-3"),
            windows: &[
                ("last:32", vec!["last:32"]),
                ("last:8", vec!["last:8"]),
                (
                    "laq:budget=final",
                    vec!["laq:budget=final@9", "laq:budget=final@20"],
                ),
            ],
            window: Some("last:8"),
            observation: Some("last:8"),
        };
        let request = settings.request(&of, &choices);
        assert_eq!(request.samples, ["facts-3"]);
        assert_eq!(request.windows, ["last:32", "laq:budget=final"]);
        let cosines = ExportSettings {
            kind: KindChoice::Queries,
            ..ExportSettings::default()
        };
        let request_of_observations = cosines.request(&of, &choices);
        assert_eq!(
            request_of_observations.windows,
            ["last:32", "laq:budget=final@9", "laq:budget=final@20"],
            "what is about no budget shows what was observed"
        );
        assert_eq!((request.layers, request.heads), (vec![2], vec![1]));
        assert_eq!(request.out, Path::new("runs/demo.recall.pdf"));
        choices.hidden_windows.clear();
        let request = settings.request(&of, &choices);
        assert!(request.windows.is_empty(), "all windows need no flag");
        let map = ExportSettings {
            kind: KindChoice::HeadMap,
            all_samples: true,
            ..ExportSettings::default()
        };
        let request = map.request(&of, &choices);
        assert!(request.samples.is_empty(), "all samples need no flag");
        assert!(request.layers.is_empty(), "a map shows every head");
        assert_eq!(request.windows, ["last:8"], "the one that the map shows");
        let ranks = ExportSettings {
            kind: KindChoice::RankDensity,
            ..ExportSettings::default()
        };
        let of_final = FigureOf {
            window: Some("laq:budget=final"),
            observation: Some("laq:budget=final@20"),
            ..of
        };
        let request = ranks.request(&of_final, &choices);
        assert_eq!(request.windows, ["laq:budget=final@20"], "the nearest one");
        choices.heads.insert(head(0, 1));
        choices.primary = Some(head(0, 1));
        let tokens = ExportSettings {
            kind: KindChoice::Tokens,
            all_samples: true,
            ..ExportSettings::default()
        };
        let request = tokens.request(&of, &choices);
        assert_eq!((request.layers, request.heads), (vec![0], vec![1]));
        assert_eq!(request.samples, ["facts-3"], "of one sample, whatever else");
    }
}
