//! The tables on stdout, by model, task and place of the question: mean recall, paired differences, hit
//! rate at the budgets of Judge Q's table.

use std::fmt::Write;

use anyhow::Result;
use kvlens_analysis::collection::{GroupSamples, GroupSummary, PairedMap};
use kvlens_analysis::statistics::Verdict;
use kvlens_analysis::{Budget, Collection, Metric, SampleGroup};

use super::grid::grid;
use crate::jobs::measure::Pairs;
use crate::jobs::{HIT_RATE_BUDGETS, SEED};

/// Columns that still leave room for a window's label at [`WIDTH`](super::grid::WIDTH).
const BUDGETS_ACROSS: usize = 6;
/// Behind a difference whose interval spans zero.
const NOT_RESOLVED: char = '≈';

/// What is printed of the collected samples. `asked` are the budgets that were typed.
///
/// # Errors
/// Refusals of the statistics.
pub fn text(collection: &Collection, asked: &[Budget], pairs: &Pairs) -> Result<String> {
    let report = Report {
        asked,
        metric: collection.metric(),
        several_models: several_models(collection),
        recall: collection.summaries(Metric::Recall, SEED),
        hit_rate: collection.summaries(Metric::HitRate, SEED),
        differences: collection
            .differences(pairs.against(collection), false, SEED)
            .collect::<Result<_, _>>()?,
    };
    let mut text = String::from("Mean recall of the decode stage's top tokens, by budget\n");
    for entry in collection.groups() {
        text.push_str(&report.group(entry));
    }
    text.push_str(
        "\nMeans over layers, heads and samples; below each its 95 % interval over samples.\n",
    );
    if !report.differences.is_empty() {
        let _ = writeln!(
            text,
            "Differences are paired by sample; {NOT_RESOLVED} not resolved: the interval spans zero."
        );
    }
    text.push_str(&not_attention(collection));
    Ok(text)
}

struct Report<'a> {
    asked: &'a [Budget],
    metric: Metric,
    several_models: bool,
    recall: Vec<GroupSummary<'a>>,
    hit_rate: Vec<GroupSummary<'a>>,
    differences: Vec<PairedMap<'a>>,
}

impl Report<'_> {
    fn group(&self, entry: &GroupSamples) -> String {
        let mut text = format!("\n{}\n", heading(entry, self.several_models));
        let windows: Vec<&str> = entry
            .windows()
            .into_iter()
            .map(|(label, _)| label)
            .collect();
        let recall = |window: &str, budget| {
            cell(find(&self.recall, &entry.group, window, budget)).unwrap_or_else(dash)
        };
        for budgets in self.asked.chunks(BUDGETS_ACROSS) {
            text.push_str(&table("window", budgets, &windows, recall));
        }
        text.push_str(&self.differences(&entry.group));
        let hit_rates: Vec<Budget> = HIT_RATE_BUDGETS
            .map(Budget::Tokens)
            .into_iter()
            .filter(|budget| {
                let mut known = self.hit_rate.iter();
                known.any(|found| found.group == &entry.group && found.budget == *budget)
            })
            .collect();
        if !hit_rates.is_empty() {
            let hit_rate = |window: &str, budget| {
                find(&self.hit_rate, &entry.group, window, budget)
                    .map_or_else(dash, |found| format!("{:.2}", found.mean))
            };
            text.push_str(&table("hit rate", &hit_rates, &windows, hit_rate));
        }
        text
    }

    /// One line for each pair, under a heading that says what is taken off.
    fn differences(&self, group: &SampleGroup) -> String {
        let of_group = || self.differences.iter().filter(|pair| pair.group == group);
        let mut seconds: Vec<&str> = Vec::new();
        for pair in of_group() {
            if !seconds.contains(&pair.second) {
                seconds.push(pair.second);
            }
        }
        let mut text = String::new();
        for second in seconds {
            let mut firsts: Vec<&str> = Vec::new();
            for pair in of_group().filter(|pair| pair.second == second) {
                if !firsts.contains(&pair.first) {
                    firsts.push(pair.first);
                }
            }
            let difference = |first: &str, budget| {
                of_group()
                    .find(|pair| (pair.first, pair.second, pair.budget) == (first, second, budget))
                    .map_or_else(dash, difference_cell)
            };
            let corner = format!("{} less {second}", self.metric.label());
            for budgets in self.asked.chunks(BUDGETS_ACROSS) {
                text.push_str(&table(&corner, budgets, &firsts, difference));
            }
        }
        text
    }
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

/// The mean over samples and, with two samples or more, its interval on a second line.
fn cell(summary: Option<&GroupSummary<'_>>) -> Option<String> {
    let summary = summary?;
    Some(match summary.interval {
        None => format!("{:.2}", summary.mean),
        Some(interval) => format!(
            "{:.2}\n{:.2}-{:.2}",
            summary.mean, interval.low, interval.high
        ),
    })
}

fn difference_cell(pair: &PairedMap<'_>) -> String {
    let mark = match pair.overall.verdict {
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
        false => format!("Not scored by attention:\n{lines}"),
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
    let count = match entry.prompt_tokens.len() {
        1 => "1 sample".to_owned(),
        count => format!("{count} samples"),
    };
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
    let header = budgets.iter().map(Budget::to_string);
    let header = std::iter::once(corner.to_owned()).chain(header).collect();
    let rows = windows.iter().map(|&window| {
        let cells = budgets.iter().map(|&budget| cell(window, budget));
        std::iter::once(window.to_owned()).chain(cells).collect()
    });
    let table = grid(header, rows);
    format!("{table}\n")
}

#[cfg(test)]
mod tests {
    use kvlens_analysis::HeadKind;
    use kvlens_analysis::collection::CollectedWindow;
    use kvlens_analysis::comparison::{BudgetCurves, Comparison, HeadComparison};

    use super::*;

    const BUDGETS: [Budget; 2] = [Budget::Tokens(64), Budget::Tokens(4096)];

    /// One head of 470 prompt tokens, compared at 64 and 128.
    fn comparison(recall: f32) -> Comparison {
        let both = vec![recall; 2];
        Comparison {
            layers: 1,
            heads: 1,
            head_kind: HeadKind::Query,
            prompt_tokens: 470,
            budgets: vec![64, 128],
            by_head: vec![HeadComparison {
                curves: BudgetCurves {
                    recall: both.clone(),
                    hit_rate: both.clone(),
                    jaccard: both.clone(),
                    mass: both.clone(),
                    mass_of_oracle: both,
                },
                recall_auc: 0.0,
            }],
        }
    }

    /// Samples of recalls of two windows, the second of which is no attention.
    fn collected(samples: &[(f32, f32)], label: &str) -> Collection {
        let more = [Budget::Tokens(128)];
        let mut collection = Collection::new(&BUDGETS, &more, Metric::Recall);
        let group = SampleGroup {
            model: "demo".to_owned(),
            task: "facts".to_owned(),
            question_place: Some("end".to_owned()),
        };
        for (index, &(first, second)) in samples.iter().enumerate() {
            let (first, second) = (comparison(first), comparison(second));
            let window = |label, score_kind, comparison| CollectedWindow {
                label,
                score_kind,
                comparison,
            };
            let windows = [
                window(label, "attention", &first),
                window("knorm", "key-norm", &second),
            ];
            collection.add(&group, &index.to_string(), 470, &windows);
        }
        collection
    }

    #[test]
    fn recall_differences_and_hit_rate_stand_under_their_group() {
        let samples = [(0.7, 0.1), (0.72, 0.14), (0.69, 0.1), (0.71, 0.13)];
        let collection = collected(&samples, "last:32");
        let text = text(&collection, &BUDGETS, &Pairs::First).unwrap();
        let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
        assert_eq!(
            lines[2],
            "facts, question at the end, 4 samples of 470 tokens"
        );
        assert!(
            lines[5].starts_with(" last:32") && lines[5].ends_with("0.70    -"),
            "{text}"
        );
        assert!(lines[6].contains("0.68-0.73"), "{text}");
        assert!(text.contains(" recall less last:32"), "{text}");
        assert!(text.contains("-0.59"), "{text}");
        assert!(text.contains("\n hit rate  128\n"), "{text}");
        assert!(
            text.ends_with("Not scored by attention:\n knorm: key-norm\n"),
            "{text}"
        );
    }

    #[test]
    fn what_is_not_resolved_is_marked() {
        let collection = collected(&[(0.7, 0.6), (0.5, 0.7)], "last:32");
        let text = text(&collection, &BUDGETS, &Pairs::First).unwrap();
        assert!(text.contains("+0.05≈"), "{text}");
        let one = collected(&[(0.7, 0.6)], "last:32");
        let alone = super::text(&one, &BUDGETS, &Pairs::First).unwrap();
        assert!(alone.contains("-0.10≈"), "{alone}");
        assert!(alone.contains("1 sample of 470 tokens"), "{alone}");
    }

    #[test]
    fn six_budgets_and_a_long_label_stay_within_eighty_columns() {
        let collection = collected(&[(0.1, 0.9), (0.2, 1.0)], "dapq:n=32,content=prefix-suffix");
        let budgets = [Budget::Tokens(64); BUDGETS_ACROSS];
        let text = text(&collection, &budgets, &Pairs::First).unwrap();
        for line in text.lines() {
            assert!(
                line.chars().count() <= 80,
                "{}: {line}",
                line.chars().count()
            );
        }
    }
}
