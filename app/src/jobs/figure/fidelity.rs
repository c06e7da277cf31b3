//! Figures of what evictions do, from the table that `kvlens fidelity` wrote or from evictions that are at hand.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use anyhow::Result;
use kvlens_analysis::figure::{FigureRow, FigureText, SeriesPlace, SeriesSamples};
use kvlens_analysis::statistics::mean;
use kvlens_analysis::tables::{FidelityTable, Table, TableFile};
use kvlens_analysis::{Budget, SampleGroup, distinct};
use serde_json::{Value, json};

use super::groups::panel_names;
use super::{FigureRequest, KindChoice};
use crate::jobs::SEED;
use crate::jobs::failure::Failure;
use crate::measurement::fidelity::figures::Figure;

/// The cache that is not evicted.
const FULL: &str = "full";

/// The rows and words of a figure, and what is said of where they come from.
pub struct FidelityFigure {
    /// What is drawn.
    pub rows: Vec<FigureRow>,
    /// The words around it.
    pub text: FigureText,
    /// For the figure's JSON.
    pub about: Value,
}

/// One eviction of one prompt.
#[derive(Clone, Debug, PartialEq)]
pub struct Eviction {
    /// Names the prompt: its model and its content.
    pub sample: String,
    /// What it is averaged within.
    pub group: SampleGroup,
    /// T of the prompt.
    pub prompt_tokens: usize,
    /// Label of the window.
    pub window: String,
    /// The budget as it was typed.
    pub budget: String,
    /// The budget; of a share the mean over prompts, so that it is one point of a curve.
    pub budget_tokens: f64,
    /// Recall of the window's queries.
    pub recall: Option<f64>,
    /// What the figure shows.
    pub value: f64,
}

/// What of an eviction a kind shows; none of a kind that is not drawn from evictions.
#[must_use]
pub fn figure_of_kind(kind: KindChoice) -> Option<Figure> {
    shown(kind).map(|(figure, _)| figure)
}

/// Whether a kind is drawn from tables.
pub fn is_of_tables(kind: KindChoice) -> bool {
    shown(kind).is_some()
}

/// What of an eviction a kind shows, and what the axis says.
fn shown(kind: KindChoice) -> Option<(Figure, &'static str)> {
    match kind {
        KindChoice::FidelityKl => Some((Figure::Kl, "KL from the full cache (nats)")),
        KindChoice::FidelityAgreement | KindChoice::FidelityRecall => {
            Some((Figure::Agreement, "steps with the full cache's token"))
        }
        KindChoice::FidelityAnswer => Some((Figure::AnswerNll, "answer NLL (nats per token)")),
        KindChoice::FidelityScore => Some((Figure::Score, "task score")),
        _ => None,
    }
}

/// The same of a request that is known to be of tables.
fn shown_of(request: &FigureRequest) -> Result<(Figure, &'static str)> {
    shown(request.kind).ok_or_else(|| bad("the figure is not drawn from evictions"))
}

/// Reads the folder that a request names.
///
/// # Errors
/// [`Failure::BadInput`] for another number of folders, and where nothing in the table can be drawn; a table that
/// cannot be read.
pub fn collect(request: &FigureRequest) -> Result<FidelityFigure> {
    if !request.samples.is_empty() {
        return Err(bad(
            "a figure of fidelity is of every sample of its table; leave --sample out",
        ));
    }
    let [folder] = request.sessions.as_slice() else {
        return Err(bad(
            "a figure of fidelity is drawn from one folder that `kvlens fidelity --out` wrote",
        ));
    };
    let path = folder.join(FidelityTable::FILE_NAME);
    if !path.exists() {
        return Err(bad(&format!(
            "a figure of fidelity is drawn from the folder that `kvlens fidelity --out` wrote; this has no {}: {}",
            FidelityTable::FILE_NAME,
            folder.display()
        )));
    }
    let (figure, _) = shown_of(request)?;
    let all = read(&path, figure.column())?;
    let table = TableFile::read(&path)?;
    let provenance = table.metadata("provenance").unwrap_or("null");
    let about = json!({
        "table": path.display().to_string(),
        "provenance": serde_json::from_str::<Value>(provenance).unwrap_or(Value::Null),
    });
    figure_of(request, all, about)
}

/// The figure of evictions.
///
/// # Errors
/// [`Failure::BadInput`] where nothing can be drawn.
pub fn figure_of(
    request: &FigureRequest,
    all: Vec<Eviction>,
    about: Value,
) -> Result<FidelityFigure> {
    let (figure, value) = shown_of(request)?;
    let is_shown = |label: &String| match request.windows.is_empty() {
        true => label != FULL,
        false => request.windows.contains(label),
    };
    let windows = distinct(all.iter().map(|one| one.window.clone()));
    let windows = windows.into_iter().filter(|label| label != FULL).collect();
    let all: Vec<Eviction> = all
        .into_iter()
        .filter(|one| is_shown(&one.window))
        .collect();
    let against_recall = request.kind == KindChoice::FidelityRecall;
    let rows = match against_recall {
        true => recall_rows(&all),
        false => budget_rows(&all, figure.bounds()),
    };
    if rows.is_empty() {
        return Err(bad(&format!(
            "there is nothing to draw: there is no {} of these windows",
            figure.column()
        )));
    }
    let highest = rows.iter().map(|row| row.high.unwrap_or(row.value));
    let highest = highest.fold(0.0, f64::max);
    let is_open = figure.bounds().1.is_infinite();
    let own_range = is_open.then_some((0.0, highest));
    let text = FigureText {
        x: match against_recall {
            true => "recall of the window's queries".to_owned(),
            false => "budget (tokens)".to_owned(),
        },
        value: value.to_owned(),
        range: request.range.or(own_range),
        note: Some(note(&rows, &all, against_recall)),
        windows,
        ..FigureText::default()
    };
    Ok(FidelityFigure { rows, text, about })
}

/// Task scores of answers after eviction, from a folder that `kvlens fidelity` wrote.
#[derive(Debug, Default)]
pub struct EvictedScores {
    /// By content of the sample, window and budget as it was typed.
    scores: HashMap<(String, String, String), f64>,
}

impl EvictedScores {
    /// Takes the folders of evictions out of those that were named, and reads them.
    ///
    /// # Errors
    /// A table that cannot be read.
    pub fn take(paths: &[PathBuf]) -> Result<(Self, Vec<PathBuf>)> {
        let (tables, sessions): (Vec<PathBuf>, Vec<PathBuf>) = paths
            .iter()
            .cloned()
            .partition(|path| path.join(FidelityTable::FILE_NAME).is_file());
        let mut all = Self::default();
        for folder in tables {
            all.read(&folder.join(FidelityTable::FILE_NAME))?;
        }
        Ok((all, sessions))
    }

    fn read(&mut self, path: &Path) -> Result<()> {
        let table = TableFile::read(path)?;
        let (samples, windows) = (table.text("content")?, table.text("window")?);
        let (budgets, scores) = (table.text("budget")?, table.numbers("score")?);
        let rows = samples.into_iter().zip(windows).zip(budgets).zip(scores);
        for (((sample, window), budget), score) in rows {
            if let (Some(sample), Some(window), Some(budget), Some(score)) =
                (sample, window, budget, score)
            {
                self.scores.insert((sample, window, budget), score);
            }
        }
        Ok(())
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.scores.is_empty()
    }

    /// Of a sample by its content.
    pub fn of(&self, content: &str, window: &str, budget: Budget) -> Option<f64> {
        let key = (content.to_owned(), window.to_owned(), budget.to_string());
        self.scores.get(&key).copied()
    }
}

fn bad(sentence: &str) -> anyhow::Error {
    Failure::BadInput(sentence.to_owned()).into()
}

fn read(path: &Path, column: &str) -> Result<Vec<Eviction>> {
    let table = TableFile::read(path)?;
    let text = |name: &str| table.text(name);
    let (models, tasks, places) = (text("model")?, text("task")?, text("question_place")?);
    let (samples, windows) = (text("content")?, text("window")?);
    let (typed, tokens) = (text("budget")?, table.counts("budget_tokens")?);
    let prompt_tokens = table.counts("prompt_tokens")?;
    let (recalls, values) = (table.numbers("recall")?, table.numbers(column)?);
    let means = mean_tokens(&typed, &tokens);
    let eviction = |row: usize| {
        let word = |column: &[Option<String>]| column.get(row).cloned().flatten();
        let model = word(&models)?;
        Some(Eviction {
            sample: format!("{model} {}", word(&samples)?),
            prompt_tokens: usize::try_from((*prompt_tokens.get(row)?)?).ok()?,
            window: word(&windows)?,
            budget: word(&typed)?,
            budget_tokens: *means.get(typed.get(row)?.as_deref()?)?,
            recall: recalls.get(row).copied().flatten(),
            value: values.get(row).copied().flatten()?,
            group: SampleGroup {
                model,
                task: word(&tasks)?,
                question_place: word(&places),
            },
        })
    };
    Ok((0..table.rows()).filter_map(eviction).collect())
}

/// What each budget is in tokens, as a mean over prompts: a share of prompts of several lengths is one point of a curve.
fn mean_tokens<'a>(typed: &'a [Option<String>], tokens: &[Option<u64>]) -> BTreeMap<&'a str, f64> {
    let mut of_budget: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    for (typed, tokens) in typed.iter().zip(tokens) {
        if let (Some(typed), Some(tokens)) = (typed, tokens) {
            of_budget.entry(typed).or_default().push(*tokens as f64);
        }
    }
    let means = of_budget.into_iter();
    means
        .filter_map(|(typed, tokens)| Some((typed, mean(tokens)?)))
        .collect()
}

/// The panel of each group.
fn panels(all: &[Eviction]) -> Vec<(&SampleGroup, String)> {
    let groups = distinct(all.iter().map(|one| &one.group));
    let names = panel_names(&groups);
    groups.into_iter().zip(names).collect()
}

fn panel<'a>(panels: &'a [(&SampleGroup, String)], group: &SampleGroup) -> &'a str {
    let found = panels.iter().find(|(known, _)| *known == group);
    found.map_or("", |(_, name)| name)
}

/// Means over samples at each budget in tokens, of what cannot leave some bounds.
fn budget_rows(all: &[Eviction], bounds: (f64, f64)) -> Vec<FigureRow> {
    let panels = panels(all);
    let mut series = SeriesSamples::default();
    for one in all {
        let place = SeriesPlace {
            panel: panel(&panels, &one.group),
            series: &one.window,
            x: one.budget_tokens,
        };
        series.push(&one.sample, place, one.value, None);
    }
    series.rows(Some(bounds), SEED)
}

/// Means over samples of both numbers at each budget.
fn recall_rows(all: &[Eviction]) -> Vec<FigureRow> {
    let panels = panels(all);
    let (mut values, mut recalls) = (SeriesSamples::default(), SeriesSamples::default());
    for one in all {
        let Some(recall) = one.recall else { continue };
        let place = SeriesPlace {
            panel: panel(&panels, &one.group),
            series: &one.window,
            x: one.budget_tokens,
        };
        values.push(&one.sample, place, one.value, None);
        recalls.push(&one.sample, place, recall, None);
    }
    let recalls = recalls.rows(Some(Figure::Recall.bounds()), SEED);
    let mut rows = values.rows(Some(Figure::Agreement.bounds()), SEED);
    for row in &mut rows {
        let same = |other: &&FigureRow| {
            (&other.panel, &other.series, other.x) == (&row.panel, &row.series, row.x)
        };
        row.x = recalls
            .iter()
            .find(same)
            .map_or(f64::NAN, |recall| recall.value);
    }
    rows
}

fn note(rows: &[FigureRow], all: &[Eviction], against_recall: bool) -> String {
    let counts = || rows.iter().map(|row| row.samples);
    let (fewest, most) = (counts().min().unwrap_or(0), counts().max().unwrap_or(0));
    let count = match fewest == most {
        true => format!("n={most}"),
        false => format!("n={fewest} to {most}"),
    };
    let joined = match against_recall {
        true => " Lines join the budgets of a window; strokes: 95 % intervals over samples.",
        false => " Bands: 95 % intervals over samples.",
    };
    let tokens = all.iter().map(|one| one.prompt_tokens);
    let tokens = match (tokens.clone().min(), tokens.max()) {
        (Some(least), Some(most)) if least == most => format!(", T={most} tokens"),
        (Some(least), Some(most)) => format!(", T={least} to {most} tokens"),
        _ => String::new(),
    };
    format!(
        "Caches are evicted by the methods as published; both are fed the same tokens. {count} samples{tokens}.{}{joined}",
        shares(all)
    )
}

/// Where budgets stand that are shares of prompts; nothing where none are.
fn shares(all: &[Eviction]) -> String {
    let shares = all.iter().filter(|one| one.budget.ends_with('%'));
    let places = shares.map(|one| format!("{} at {}", one.budget, one.budget_tokens.round()));
    let places = distinct(places);
    match places.is_empty() {
        true => String::new(),
        false => format!(
            " Shares of the prompt stand at their means in tokens: {}.",
            places.join(", ")
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Four divergences of which one is far off have an interval of Student's that begins below zero.
    #[test]
    fn no_band_of_a_divergence_reaches_below_zero() {
        let values = [0.1, 0.2, 0.1, 3.0];
        let evictions = values.iter().enumerate().map(|(sample, &value)| Eviction {
            sample: sample.to_string(),
            group: SampleGroup {
                model: "demo".to_owned(),
                task: "facts".to_owned(),
                question_place: None,
            },
            prompt_tokens: 512,
            window: "last:8".to_owned(),
            budget: "5%".to_owned(),
            budget_tokens: 25.6,
            recall: None,
            value,
        });
        let all: Vec<Eviction> = evictions.collect();
        let low_of = |figure: Figure| budget_rows(&all, figure.bounds())[0].low;
        assert_eq!(low_of(Figure::Kl), Some(0.0));
        let told = note(&budget_rows(&all, Figure::Kl.bounds()), &all, false);
        assert!(told.contains("n=4 samples, T=512 tokens."), "{told}");
        assert!(told.contains("means in tokens: 5% at 26."), "{told}");
        let unbounded = (f64::NEG_INFINITY, f64::INFINITY);
        assert!(budget_rows(&all, unbounded)[0].low.unwrap() < 0.0);
    }
}
