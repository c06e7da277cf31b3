//! The tables on stdout: fidelity by window and budget, and whether recall foretells it.

use anyhow::Result;
use kvlens_analysis::Budget;
use kvlens_analysis::fidelity::{BudgetCorrelations, EvictionMean};
use kvlens_analysis::statistics::Interval;

use crate::cli::grid::{grid, wrapped};
use crate::jobs::SEED;
use crate::jobs::fidelity::Evicted;
use crate::measurement::fidelity::answers::{EvictedAnswer, SampleAnswers, parted};
use crate::measurement::fidelity::figures::Figure;
use crate::measurement::fidelity::summary::{EvictedGroup, Evictions};

/// Columns that still leave room for a window's label.
const BUDGETS_ACROSS: usize = 5;

/// A figure that is printed, with its decimals.
struct Printed {
    heading: &'static str,
    figure: Figure,
    decimals: usize,
}

const PRINTED: [Printed; 3] = [
    Printed {
        heading: "KL divergence of the full cache's next token from the evicted cache's, nats",
        figure: Figure::Kl,
        decimals: 3,
    },
    Printed {
        heading: "Share of the steps at which both find the same token most likely",
        figure: Figure::Agreement,
        decimals: 2,
    },
    Printed {
        heading: "Task score of the greedy generation",
        figure: Figure::Score,
        decimals: 2,
    },
];

/// The whole text, groups in the order in which they came. `asked` are the budgets that were typed.
///
/// # Errors
/// When a figure is infinite.
pub fn text(evicted: &Evicted, asked: &[Budget]) -> Result<String> {
    let evictions = &evicted.evictions;
    let report = Report {
        evictions,
        asked,
        means: PRINTED.map(|printed| evictions.means(printed.figure, SEED)),
        relations: Figure::FORESEEN
            .into_iter()
            .map(|foreseen| evictions.correlations(foreseen, Figure::Kl, SEED))
            .collect::<Result<_>>()?,
    };
    let mut text = String::from("What evicting the prompt's cache does to the output, by budget\n");
    let several_models = evictions
        .groups()
        .windows(2)
        .any(|pair| matches!(pair, [a, b] if a.group.model != b.group.model));
    for (index, entry) in evictions.groups().iter().enumerate() {
        text.push_str(&format!("\n{}\n", heading(entry, several_models)));
        text.push_str(&report.figures(index));
        text.push_str(&report.relations(index));
        let mut answers = evicted.answers.iter();
        if let Some(answers) = answers.find(|answers| answers.group == entry.group) {
            text.push_str(&answers_text(answers, asked));
        }
    }
    text.push('\n');
    text.push_str(&wrapped(
        "Means over samples, of each its mean over steps; below each the 95 % interval over samples. Caches are evicted \
         by the methods as published; `full` is the cache that is not evicted, `decode` the decode stage itself. Queries \
         are scored as the decode stage is, methods as published and held against the decode stage's raw attention; kept \
         recall is the share of its top tokens that is really kept. Correlations \
         run over the windows of each sample, without `full` and `decode`, and are means over samples; that of means \
         runs once over the windows' means.",
    ));
    Ok(text)
}

/// One cell of the table of correlations.
#[derive(Clone, Copy)]
struct Correlation {
    spearman: f64,
    interval: Option<Interval>,
}

struct Report<'a> {
    evictions: &'a Evictions,
    asked: &'a [Budget],
    /// Of each printed figure.
    means: [Vec<EvictionMean<'a, usize>>; PRINTED.len()],
    /// Of each foreseen figure with KL.
    relations: Vec<Vec<BudgetCorrelations<'a, usize>>>,
}

impl Report<'_> {
    fn figures(&self, group: usize) -> String {
        let windows = self.evictions.windows(group);
        let mut text = String::new();
        for (printed, means) in PRINTED.iter().zip(&self.means) {
            if means.iter().all(|mean| mean.group != group) {
                continue;
            }
            text.push_str(&format!("\n{}\n", printed.heading));
            for budgets in self.asked.chunks(BUDGETS_ACROSS) {
                let rows = windows.iter().map(|&window| {
                    let cells = budgets.iter().map(|&budget| {
                        let mean = means.iter().find(|mean| {
                            (mean.group, mean.window, mean.budget) == (group, window, budget)
                        });
                        let interval = mean.and_then(|mean| mean.interval);
                        let value = mean.map(|mean| mean.changed);
                        cell(value, interval, printed.decimals, "-")
                    });
                    std::iter::once(window.to_owned()).chain(cells).collect()
                });
                text.push_str(&format!("{}\n", grid(header("window", budgets), rows)));
            }
        }
        text
    }

    /// How what was foreseen goes with KL over the windows of each sample, and how the means do.
    fn relations(&self, group: usize) -> String {
        let mut lines: Vec<(String, Vec<Option<Correlation>>)> = Vec::new();
        let of_budgets = |parts: &[BudgetCorrelations<'_, usize>], of_means: bool| {
            let at = |&budget: &Budget| {
                let mut parts = parts.iter();
                let part = parts.find(|part| (part.group, part.budget) == (group, budget))?;
                let found = match of_means {
                    true => Correlation {
                        spearman: part.of_means?,
                        interval: None,
                    },
                    false => Correlation {
                        spearman: part.over_windows?.spearman,
                        interval: part.over_windows?.interval,
                    },
                };
                (!found.spearman.is_nan()).then_some(found)
            };
            self.asked.iter().map(at).collect()
        };
        for (foreseen, parts) in Figure::FORESEEN.iter().zip(&self.relations) {
            let name = foreseen.label();
            lines.push((name.to_owned(), of_budgets(parts, false)));
            if *foreseen == Figure::Recall {
                lines.push((format!("{name}, of means"), of_budgets(parts, true)));
            }
        }
        if lines
            .iter()
            .flat_map(|(_, cells)| cells)
            .all(Option::is_none)
        {
            return String::new();
        }
        let mut text = wrapped(
            "Does a window that foresees more change the output less? Spearman's correlation with KL",
        );
        text.insert(0, '\n');
        for (part, budgets) in self.asked.chunks(BUDGETS_ACROSS).enumerate() {
            let rows = lines.iter().map(|(name, cells)| {
                let cells = cells.iter().skip(part * BUDGETS_ACROSS).take(budgets.len());
                let cells = cells.map(|found| {
                    let interval = found.and_then(|found| found.interval);
                    cell(found.map(|found| found.spearman), interval, 2, "..")
                });
                std::iter::once(name.clone()).chain(cells).collect()
            });
            text.push_str(&format!("{}\n", grid(header("foreseen", budgets), rows)));
        }
        text
    }
}

/// What the model says on each cache; in brackets what leaves the answer on the full one.
fn answers_text(answers: &SampleAnswers, asked: &[Budget]) -> String {
    let mut text = wrapped(&format!(
        "What the model then says, for the first sample, {}; in brackets from where the answer leaves that of the full \
         cache. All answers: column `generated` of fidelity.parquet",
        answers.id
    ));
    text.insert(0, '\n');
    text.push_str(&wrapped(&format!("  full: {}", quoted(&answers.full))));
    for budget in asked {
        let at_budget = |answer: &&EvictedAnswer| answer.budget == *budget;
        let mut at = answers.evicted.iter().filter(at_budget).peekable();
        if at.peek().is_some() {
            text.push_str(&format!("  at {budget}\n"));
        }
        for answer in at {
            let (common, own) = parted(&answer.text, &answers.full);
            let said = match (own.is_empty(), answer.text == answers.full) {
                (_, true) => "the same".to_owned(),
                (true, false) => format!("{} and ends there", quoted(common)),
                (false, false) => quoted(&format!("{common}[{own}]")),
            };
            text.push_str(&wrapped(&format!("    {}: {said}", answer.window)));
        }
    }
    text
}

/// A generated text in quotation marks.
fn quoted(text: &str) -> String {
    format!("'{}'", text.trim())
}

/// What the samples are, how many, and how long.
fn heading(entry: &EvictedGroup, with_model: bool) -> String {
    let group = &entry.group;
    let model = with_model.then(|| group.model.clone());
    let place = group
        .question_place
        .as_ref()
        .map(|place| format!("question at the {place}"));
    let tokens = &entry.prompt_tokens;
    let shortest = tokens.iter().min().copied().unwrap_or_default();
    let longest = tokens.iter().max().copied().unwrap_or_default();
    let lengths = match shortest == longest {
        true => format!("{longest} tokens"),
        false => format!("{shortest} to {longest} tokens"),
    };
    let samples = match tokens.len() {
        1 => format!("1 sample of {lengths}"),
        count => format!("{count} samples of {lengths}"),
    };
    let parts = [model, Some(group.task.clone()), place, Some(samples)];
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

fn header(first: &str, budgets: &[Budget]) -> Vec<String> {
    let budgets = budgets.iter().map(ToString::to_string);
    std::iter::once(first.to_owned()).chain(budgets).collect()
}

/// The figure and, where there is one, its interval on a second line.
fn cell(value: Option<f64>, interval: Option<Interval>, decimals: usize, between: &str) -> String {
    match (value, interval) {
        (None, _) => "-".to_owned(),
        (Some(value), None) => format!("{value:.decimals$}"),
        (Some(value), Some(Interval { low, high })) => {
            format!("{value:.decimals$}\n{low:.decimals$}{between}{high:.decimals$}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_has_the_mean_and_below_it_the_interval() {
        let interval = Some(Interval {
            low: -0.5,
            high: 0.25,
        });
        assert_eq!(cell(Some(-0.125), interval, 2, ".."), "-0.12\n-0.50..0.25");
        assert_eq!(cell(Some(0.5), None, 3, "-"), "0.500");
        assert_eq!(cell(None, None, 3, "-"), "-");
    }
}
