//! The tables on stdout, by model, task and place of the question: mean recall, paired differences, what the eviction
//! rules keep, and the differences between places of the question and between models.

use std::fmt::Write;

use anyhow::Result;
use kvlens_analysis::collection::{Contrast, GroupSamples, GroupSummary, PairedMap};
use kvlens_analysis::statistics::Verdict;
use kvlens_analysis::{Budget, Collection, Compare, Metric, SampleGroup, distinct};
use kvlens_sessions::windows::DECODE_LABEL;

use super::grid::{grid, wrapped};
use super::output::counted_samples;
use crate::jobs::measure::{LARGEST_SHARE, Measured, Pairs};
use crate::jobs::{HIT_RATE_BUDGETS, SEED};
use crate::measurement::words::CEILING;

/// Columns that still leave room for a window's label at [`WIDTH`](super::grid::WIDTH).
const BUDGETS_ACROSS: usize = 6;
/// Behind a difference that is shown to be within the margin.
const EQUIVALENT: char = '=';
/// Behind a difference that is not resolved.
const NOT_RESOLVED: char = '≈';
/// Copies of samples that are named before the rest is only counted.
const NAMED_DUPLICATES: usize = 6;

/// What is printed of a measurement. `asked` are the budgets that were typed, `margin` is what counts as no difference.
///
/// # Errors
/// Refusals of the statistics.
pub fn text(
    measured: &Measured,
    asked: &[Budget],
    pairs: &Pairs,
    margin: Option<f64>,
) -> Result<String> {
    let collection = &measured.collection;
    let report = Report::of(measured, asked, pairs, margin)?;
    let mut text = wrapped(&measured.options.compared());
    text.push_str("\nMean recall of the decode stage's top tokens, by budget\n");
    for entry in collection.groups() {
        text.push_str(&report.group(entry));
    }
    text.push_str(&report.contrasts());
    text.push_str(&report.notes(measured.options.compare));
    text.push_str(&not_attention(collection));
    text.push_str(&duplicates(collection));
    Ok(text)
}

struct Report<'a> {
    asked: &'a [Budget],
    margin: Option<f64>,
    metric: Metric,
    several_models: bool,
    /// Of recall; the decode stage first.
    recall: Vec<GroupSummary<'a>>,
    kept_recall: Vec<GroupSummary<'a>>,
    hit_rate: Vec<GroupSummary<'a>>,
    /// The decode stage first.
    evidence: Vec<GroupSummary<'a>>,
    differences: Vec<PairedMap<'a>>,
}

impl<'a> Report<'a> {
    fn of(
        measured: &'a Measured,
        asked: &'a [Budget],
        pairs: &Pairs,
        margin: Option<f64>,
    ) -> Result<Self> {
        let Measured {
            collection, decode, ..
        } = measured;
        let with_decode = |metric| {
            let mut summaries = decode.summaries(metric, SEED);
            summaries.extend(collection.summaries(metric, SEED));
            summaries
        };
        let mut differences = Vec::new();
        for contrast in Contrast::ALL {
            let against = pairs.against(collection);
            for pair in collection.differences(contrast, against, false, SEED) {
                differences.push(pair?);
            }
        }
        Ok(Self {
            asked,
            margin,
            metric: collection.metric(),
            several_models: several_models(collection),
            recall: with_decode(Metric::Recall),
            kept_recall: collection.summaries(Metric::KeptRecall, SEED),
            hit_rate: collection.summaries(Metric::HitRate, SEED),
            evidence: with_decode(Metric::EvidenceKept),
            differences,
        })
    }

    fn group(&self, entry: &GroupSamples) -> String {
        let mut text = format!("\n{}\n", heading(entry, self.several_models));
        let windows: Vec<&str> = entry
            .windows()
            .into_iter()
            .map(|(label, _)| label)
            .collect();
        let with_decode = [&[DECODE_LABEL], &windows[..]].concat();
        let recall = |window: &str, budget| {
            find(&self.recall, &entry.group, window, budget).map_or_else(dash, cell)
        };
        for budgets in self.asked.chunks(BUDGETS_ACROSS) {
            text.push_str(&table("window", budgets, &with_decode, recall));
        }
        text.push_str(&self.heads_left_out(entry));
        text.push_str(&self.samples_left_out(entry));
        text.push_str(&self.window_differences(&entry.group));
        text.push_str(&self.kept(entry, &windows));
        text.push_str(&self.evidence_kept(&entry.group, &with_decode));
        text
    }

    /// How many heads the means are over, where some layers see no more tokens than the budget.
    fn heads_left_out(&self, entry: &GroupSamples) -> String {
        let mut parts = Vec::new();
        let mut all = 0;
        for &budget in self.asked {
            let of_budget = self.recall.iter().filter(|found| {
                found.group == &entry.group
                    && found.budget == budget
                    && found.window != DECODE_LABEL
            });
            let fewest = of_budget.min_by_key(|found| found.heads);
            if let Some(found) = fewest.filter(|found| found.heads < found.all_heads) {
                all = found.all_heads;
                let heads = match found.heads == found.most_heads {
                    true => found.heads.to_string(),
                    false => format!("{} to {} by sample", found.heads, found.most_heads),
                };
                parts.push(format!("{heads} at {budget}"));
            }
        }
        match parts.is_empty() {
            true => String::new(),
            false => wrapped(&format!(
                " heads in the means, of {all}: {}; the other layers see no more tokens than that",
                parts.join(", ")
            )),
        }
    }

    /// How many samples the means are over, where some prompts have no more tokens than the budget.
    fn samples_left_out(&self, entry: &GroupSamples) -> String {
        let all = entry.prompt_tokens.len();
        let of_budget = |&budget: &Budget| {
            let found = find(&self.recall, &entry.group, DECODE_LABEL, budget)?;
            (found.samples < all).then(|| format!("{} at {budget}", found.samples))
        };
        let parts: Vec<String> = self.asked.iter().filter_map(of_budget).collect();
        match parts.is_empty() {
            true => String::new(),
            false => wrapped(&format!(
                " samples in the means, of {all}: {}; the other prompts have no more tokens than that",
                parts.join(", ")
            )),
        }
    }

    /// The share of the decode stage's top tokens that the rule keeps, with the hit rate behind it.
    fn kept(&self, entry: &GroupSamples, windows: &[&str]) -> String {
        let shortest = entry.prompt_tokens.iter().min().copied().unwrap_or(0);
        let is_known = |budget: &Budget| {
            let mut known = self.kept_recall.iter();
            known.any(|found| found.group == &entry.group && found.budget == *budget)
        };
        let most = LARGEST_SHARE * shortest as f64;
        let budgets = HIT_RATE_BUDGETS.into_iter();
        let budgets = budgets.filter(|&tokens| tokens as f64 <= most);
        let budgets: Vec<Budget> = budgets.map(Budget::Tokens).filter(is_known).collect();
        if budgets.is_empty() {
            return String::new();
        }
        let kept = |window: &str, budget| {
            let of = |summaries| find(summaries, &entry.group, window, budget);
            match (of(&self.kept_recall), of(&self.hit_rate)) {
                (Some(kept), Some(hits)) => format!("{:.2} ({:.2})", kept.mean, hits.mean),
                _ => dash(),
            }
        };
        let header = budgets.iter().map(Budget::to_string).collect();
        table_of("kept recall (hit rate)", header, windows, |window| {
            budgets.iter().map(|&budget| kept(window, budget)).collect()
        })
    }

    /// The share of the needed tokens that is kept, where the data know them.
    fn evidence_kept(&self, group: &SampleGroup, windows: &[&str]) -> String {
        let mut known = self.evidence.iter();
        if !known.any(|found| found.group == group && self.asked.contains(&found.budget)) {
            return String::new();
        }
        let share = |window: &str, budget| {
            let found = find(&self.evidence, group, window, budget);
            found.map_or_else(dash, |found| format!("{:.2}", found.mean))
        };
        let tables = self.asked.chunks(BUDGETS_ACROSS);
        tables
            .map(|budgets| table("needed tokens kept", budgets, windows, share))
            .collect()
    }

    /// One line for each pair, under a heading that says what is taken off.
    fn window_differences(&self, group: &SampleGroup) -> String {
        let of_group: Vec<&PairedMap<'_>> = self
            .differences
            .iter()
            .filter(|pair| pair.contrast == Contrast::Window && is_of(pair, group))
            .collect();
        let seconds = distinct(of_group.iter().map(|pair| pair.second));
        let of_second = |second: &str| {
            let pairs = of_group.iter().filter(|pair| pair.second == second);
            let pairs: Vec<&PairedMap<'_>> = pairs.copied().collect();
            let corner = format!("{} minus {second}", self.metric.label());
            self.difference_tables(&corner, &pairs, |pair| pair.first)
        };
        seconds.into_iter().map(of_second).collect()
    }

    /// Places of the question and models, held against each other window by window.
    fn contrasts(&self) -> String {
        let across: Vec<&PairedMap<'_>> = self
            .differences
            .iter()
            .filter(|pair| pair.contrast != Contrast::Window)
            .collect();
        let mut text = String::new();
        for title in distinct(across.iter().map(|pair| self.title(pair))) {
            let pairs = across.iter().filter(|pair| self.title(pair) == title);
            let pairs: Vec<&PairedMap<'_>> = pairs.copied().collect();
            let _ = writeln!(text, "\n{}", title.trim_end());
            text.push_str(
                &self.difference_tables("window", &pairs, |pair| pair.window.unwrap_or_default()),
            );
        }
        text
    }

    fn title(&self, pair: &PairedMap<'_>) -> String {
        let (first, second, metric) = (pair.first, pair.second, self.metric.label());
        let model = pair.model.filter(|_| self.several_models);
        let model = model.map_or_else(String::new, |model| format!("{model}, "));
        let task = pair.task;
        match pair.contrast {
            Contrast::Model => {
                let place = pair
                    .question_place
                    .map(|place| format!(", question at the {place}"));
                format!(
                    "{task}{}: {metric} of {first} minus {second}",
                    place.unwrap_or_default()
                )
            }
            Contrast::QuestionPlace | Contrast::Window => format!(
                "{model}{task}: {metric} with the question at the {first} minus at the {second}"
            ),
        }
    }

    /// A line for each of some pairs, named by `label`.
    fn difference_tables<'p>(
        &self,
        corner: &str,
        pairs: &[&'p PairedMap<'_>],
        label: impl Fn(&'p PairedMap<'_>) -> &'p str,
    ) -> String {
        let labels = distinct(pairs.iter().map(|pair| label(pair)));
        let difference = |wanted: &str, budget| {
            let mut pairs = pairs.iter();
            let found = pairs.find(|pair| label(pair) == wanted && pair.budget == budget);
            found.map_or_else(dash, |pair| difference_cell(pair, self.margin))
        };
        let tables = self.asked.chunks(BUDGETS_ACROSS);
        tables
            .map(|budgets| table(corner, budgets, &labels, difference))
            .collect()
    }

    fn notes(&self, compare: Compare) -> String {
        let mut notes =
            "Means over layers, heads and samples; below each its 95 % interval over samples."
                .to_owned();
        if compare == Compare::Methods {
            let _ = write!(notes, " `of`: the window's ceiling, {CEILING}.");
        }
        notes.push_str(" `decode` is the decode stage itself.");
        if !self.kept_recall.is_empty() {
            notes.push_str(
                " Kept recall: share of the decode stage's top tokens that the window's eviction rule keeps; the hit \
                 rate counts the tokens that the rule always keeps as hits on both sides. Its budgets are \
                 those of papers, up to 90 % of the shortest prompt.",
            );
        }
        if !self.differences.is_empty() {
            let _ = write!(
                notes,
                " Differences are paired by sample, those of places by document; {NOT_RESOLVED} not resolved: the \
                 interval spans zero, or p is above 0.05 (with fewer than six samples it cannot fall below)."
            );
            if let Some(margin) = self.margin {
                let _ = write!(
                    notes,
                    " {EQUIVALENT} as good as each other: the whole interval lies within ±{margin}."
                );
            }
        }
        format!("\n{}", wrapped(&notes))
    }
}

fn is_of(pair: &PairedMap<'_>, group: &SampleGroup) -> bool {
    pair.model == Some(group.model.as_str())
        && pair.task == group.task
        && pair.question_place == group.question_place.as_deref()
}

fn find<'a>(
    summaries: &'a [GroupSummary<'a>],
    group: &SampleGroup,
    window: &str,
    budget: Budget,
) -> Option<&'a GroupSummary<'a>> {
    summaries
        .iter()
        .find(|found| found.group == group && found.window == window && found.budget == budget)
}

fn dash() -> String {
    "-".to_owned()
}

/// The mean over samples and on further lines, with two samples or more, its interval and, where methods are compared,
/// its ceiling. The decode stage against itself has neither.
fn cell(summary: &GroupSummary<'_>) -> String {
    let mut cell = format!("{:.2}", summary.mean);
    if let Some(interval) = summary.interval.filter(|_| summary.window != DECODE_LABEL) {
        let _ = write!(cell, "\n{:.2}-{:.2}", interval.low, interval.high);
    }
    if let Some(ceiling) = summary.ceiling {
        let _ = write!(cell, "\nof {ceiling:.2}");
    }
    cell
}

fn difference_cell(pair: &PairedMap<'_>, margin: Option<f64>) -> String {
    let is_equivalent = margin.is_some_and(|margin| pair.overall.is_equivalent(margin));
    let mark = match pair.overall.verdict {
        _ if is_equivalent => EQUIVALENT,
        Verdict::NotResolved => NOT_RESOLVED,
        Verdict::FirstHigher | Verdict::SecondHigher => ' ',
    };
    // no minus before a zero
    let rounded = (pair.overall.mean * 100.0).round() / 100.0 + 0.0;
    format!("{rounded:+.2}{mark}")
}

fn several_models(collection: &Collection) -> bool {
    collection.groups().windows(2).any(|pair| match pair {
        [a, b] => a.group.model != b.group.model,
        _ => false,
    })
}

/// Samples that came again.
fn duplicates(collection: &Collection) -> String {
    let all = collection.duplicates();
    let mut text: String = all
        .iter()
        .take(NAMED_DUPLICATES)
        .map(|duplicate| wrapped(&format!("{duplicate}.")))
        .collect();
    if let Some(more) = all
        .len()
        .checked_sub(NAMED_DUPLICATES)
        .filter(|more| *more > 0)
    {
        let _ = writeln!(text, "{more} more samples came again and count once.");
    }
    text
}

/// Windows whose scores are no attention, and what they are.
fn not_attention(collection: &Collection) -> String {
    let mut kinds: Vec<(&str, &str)> = Vec::new();
    for window in collection.groups().iter().flat_map(GroupSamples::windows) {
        if window.1 != "attention" && !kinds.contains(&window) {
            kinds.push(window);
        }
    }
    let lines: String = kinds
        .iter()
        .map(|(label, kind)| format!(" {label}: {kind}\n"))
        .collect();
    match lines.is_empty() {
        true => lines,
        false => format!("Scored otherwise than by their queries' attention:\n{lines}"),
    }
}

fn heading(entry: &GroupSamples, with_model: bool) -> String {
    let group = &entry.group;
    let mut parts = Vec::new();
    if with_model {
        parts.push(group.model.clone());
    }
    parts.push(group.task.clone());
    if let Some(place) = &group.question_place {
        parts.push(format!("question at the {place}"));
    }
    let shortest = entry
        .prompt_tokens
        .iter()
        .min()
        .copied()
        .unwrap_or_default();
    let longest = entry
        .prompt_tokens
        .iter()
        .max()
        .copied()
        .unwrap_or_default();
    let count = counted_samples(entry.prompt_tokens.len());
    parts.push(if shortest == longest {
        format!("{count} of {longest} tokens")
    } else {
        format!("{count} of {shortest} to {longest} tokens")
    });
    parts.join(", ")
}

/// A table of a line for each window and a column for each budget, ended by a line break.
fn table(
    corner: &str,
    budgets: &[Budget],
    windows: &[&str],
    cell: impl Fn(&str, Budget) -> String,
) -> String {
    let header = budgets.iter().map(Budget::to_string).collect();
    table_of(corner, header, windows, |window| {
        budgets.iter().map(|&budget| cell(window, budget)).collect()
    })
}

fn table_of(
    corner: &str,
    header: Vec<String>,
    windows: &[&str],
    cells: impl Fn(&str) -> Vec<String>,
) -> String {
    let header = std::iter::once(corner.to_owned()).chain(header).collect();
    let rows = windows.iter().map(|&window| {
        let label = std::iter::once(window.to_owned());
        label.chain(cells(window)).collect()
    });
    format!("{}\n", grid(header, rows))
}

#[cfg(test)]
mod tests;
