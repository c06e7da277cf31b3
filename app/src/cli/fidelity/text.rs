//! The tables on stdout: fidelity by window and budget, and whether recall foretells it.

use anyhow::Result;
use kvlens_analysis::statistics::{Interval, bootstrap_interval, mean};

use crate::cli::grid::grid;
use crate::jobs::fidelity::{FORESEEN, Over, Relation, relations_of};
use crate::measurement::fidelity::collected::{Collected, Figures, GroupFigures, WindowFigures};

/// Columns that still leave room for a window's label.
const BUDGETS_ACROSS: usize = 5;
/// Fixes the draws of the bootstrap, so that the same figures give the same interval.
const SEED: u64 = 0;

/// A figure that is printed, with its decimals and the values that it cannot leave.
struct Printed {
    heading: &'static str,
    figure: fn(&Figures) -> Option<f64>,
    decimals: usize,
    largest: f64,
}

const PRINTED: [Printed; 3] = [
    Printed {
        heading: "KL divergence of the full cache's next token from the evicted cache's, nats",
        figure: |figures| Some(figures.fidelity.kl),
        decimals: 3,
        largest: f64::INFINITY,
    },
    Printed {
        heading: "Share of the steps at which both find the same token most likely",
        figure: |figures| Some(figures.fidelity.agreement),
        decimals: 2,
        largest: 1.0,
    },
    Printed {
        heading: "Task score of the greedy generation",
        figure: |figures| figures.score,
        decimals: 2,
        largest: 1.0,
    },
];

/// The whole text, groups in the order in which they came.
///
/// # Errors
/// When a figure is no number.
pub fn text(collected: &Collected) -> Result<String> {
    let mut text = String::from("What evicting the prompt's cache does to the output, by budget\n");
    let one_session = collected
        .groups
        .windows(2)
        .all(|pair| matches!(pair, [a, b] if a.group.session == b.group.session));
    for group in &collected.groups {
        text.push_str(&format!("\n{}\n", heading(group, !one_session)));
        for printed in &PRINTED {
            text.push_str(&figure_tables(collected, group, printed));
        }
        text.push_str(&relation_tables(
            collected,
            &relations_of(collected, group)?,
        ));
    }
    text.push_str(
        "\nMeans over samples, of each its mean over steps; below each the 95 % interval over\n\
         samples. `full` is the cache that is not evicted, `decode` the oracle.\n\
         Correlations run over the windows of each sample, without these two, and are means\n\
         over samples; that of means runs once over the windows' means.\n",
    );
    Ok(text)
}

/// What the samples are, how many, and how long.
fn heading(figures: &GroupFigures, with_session: bool) -> String {
    let group = &figures.group;
    let session = with_session.then(|| group.session.clone());
    let place = group
        .question_place
        .map(|place| format!("question at the {place}"));
    let tokens = &figures.prompt_tokens;
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
    let parts = [session, Some(group.task.clone()), place, Some(samples)];
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

fn figure_tables(collected: &Collected, group: &GroupFigures, printed: &Printed) -> String {
    let figures = |window: &WindowFigures, budget: usize| -> Vec<f64> {
        let samples = window.by_budget.get(budget).into_iter().flatten();
        samples.filter_map(printed.figure).collect()
    };
    let all: Vec<usize> = (0..collected.budgets.len()).collect();
    let mut windows = group.windows.iter();
    if windows.all(|window| all.iter().all(|&budget| figures(window, budget).is_empty())) {
        return String::new();
    }
    let mut text = format!("\n{}\n", printed.heading);
    for budgets in all.chunks(BUDGETS_ACROSS) {
        let rows = group.windows.iter().map(|window| {
            let cells = budgets.iter().map(|&budget| {
                let samples = figures(window, budget);
                let interval = bootstrap_interval(&samples, SEED)
                    .map(|interval| interval.within(0.0, printed.largest));
                cell(mean(samples), interval, printed.decimals, "-")
            });
            std::iter::once(window.label.clone()).chain(cells).collect()
        });
        let table = grid(header(collected, budgets, "window"), rows);
        text.push_str(&format!("{table}\n"));
    }
    text
}

/// How recall, hit rate and kept mass go with KL over the windows of each sample, and how the means do.
fn relation_tables(collected: &Collected, relations: &[Relation]) -> String {
    let found = |over: &Over, foreseen: &str, budget: usize| {
        let budget = collected.budgets.get(budget).map(ToString::to_string);
        relations.iter().find(|relation| {
            relation.over == *over
                && relation.foreseen == foreseen
                && relation.changed == "kl"
                && Some(&relation.budget) == budget.as_ref()
                && !relation.spearman.is_nan()
        })
    };
    let lines = FORESEEN
        .map(|foreseen| (Over::Windows, foreseen))
        .into_iter()
        .chain([(Over::WindowMeans, FORESEEN[0])]);
    let lines: Vec<(Over, &str)> = lines.collect();
    let all: Vec<usize> = (0..collected.budgets.len()).collect();
    let any = |&budget: &usize| {
        let mut lines = lines.iter();
        lines.any(|(over, foreseen)| found(over, foreseen, budget).is_some())
    };
    if !all.iter().any(any) {
        return String::new();
    }
    let mut text = String::from(
        "\nDoes a window that foresees more change the output less? Spearman's correlation\nwith KL\n",
    );
    for budgets in all.chunks(BUDGETS_ACROSS) {
        let rows = lines.iter().map(|(over, foreseen)| {
            let cells = budgets.iter().map(|&budget| {
                let relation = found(over, foreseen, budget);
                let interval = relation.and_then(|relation| relation.interval);
                cell(
                    relation.map(|relation| relation.spearman),
                    interval,
                    2,
                    "..",
                )
            });
            let name = foreseen.replace('_', " ");
            let name = match over {
                Over::WindowMeans => format!("{name}, of means"),
                Over::Windows | Over::Samples(_) => name,
            };
            std::iter::once(name).chain(cells).collect()
        });
        let table = grid(header(collected, budgets, "foreseen"), rows);
        text.push_str(&format!("{table}\n"));
    }
    text
}

fn header(collected: &Collected, budgets: &[usize], first: &str) -> Vec<String> {
    let budgets = budgets
        .iter()
        .filter_map(|&budget| collected.budgets.get(budget))
        .map(ToString::to_string);
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
