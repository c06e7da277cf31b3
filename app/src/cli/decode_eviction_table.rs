//! What `measure --also decode-eviction` says on stdout: how well caches are ranked while they decode.

use std::fmt::Write as _;

use kvlens_analysis::decode_eviction::{DecodeEvictionMean, DecodeEvictionMeans, Horizon};
use kvlens_analysis::{Budget, SampleGroup, distinct};

use super::grid::grid;

/// Columns of a table, at most.
const BUDGETS_ACROSS: usize = 5;

/// The tables with their heading; nothing where it was not asked.
pub fn text(
    groups: &[(SampleGroup, DecodeEvictionMeans)],
    every: usize,
    budgets: &[Budget],
) -> String {
    let mut text = String::new();
    for (group, means) in groups {
        let means = means.means();
        for horizon in distinct(means.iter().map(|mean| mean.point.horizon)) {
            let of_horizon = means.iter().filter(|mean| mean.point.horizon == horizon);
            let of_horizon: Vec<&DecodeEvictionMean> = of_horizon.collect();
            // writing to a string cannot fail
            let _ = writeln!(text, "\n{}, {}", words(group), against(horizon));
            for budgets in budgets.chunks(BUDGETS_ACROSS) {
                let _ = writeln!(text, "{}", table(&of_horizon, budgets));
            }
        }
    }
    match text.is_empty() {
        true => text,
        false => format!(
            "Ranking the cache every {every} steps while it decodes: recall (and mass) of what later steps attend to\n\
             {text}\nMeans over heads and rankings, then over samples. Nothing is evicted: every step attends to the full \
             cache.\n\n"
        ),
    }
}

fn words(group: &SampleGroup) -> String {
    let place = group.question_place.as_ref();
    let place = place.map(|place| format!(", question at the {place}"));
    format!(
        "{}, {}{}",
        group.model,
        group.task,
        place.unwrap_or_default()
    )
}

fn against(horizon: Horizon) -> String {
    match horizon {
        Horizon::Next(1) => "the next step".to_owned(),
        Horizon::Next(steps) => format!("the next {steps} steps"),
        Horizon::Rest => "all steps to the end".to_owned(),
    }
}

fn table(means: &[&DecodeEvictionMean], budgets: &[Budget]) -> String {
    let mut rankings: Vec<&str> = Vec::new();
    for mean in means {
        let ranking = mean.point.ranking.as_str();
        if !rankings.contains(&ranking) {
            rankings.push(ranking);
        }
    }
    let cell = |ranking: &str, budget: Budget| {
        let mut means = means.iter();
        let found = means.find(|mean| mean.point.ranking == ranking && mean.point.budget == budget);
        match found.filter(|mean| mean.samples > 0) {
            Some(mean) => format!("{:.2} ({:.2})", mean.recall, mean.mass),
            None => "-".to_owned(),
        }
    };
    let header = std::iter::once("ranking".to_owned());
    let header = header
        .chain(budgets.iter().map(Budget::to_string))
        .collect();
    let rows = rankings.iter().map(|&ranking| {
        let cells = budgets.iter().map(|&budget| cell(ranking, budget));
        std::iter::once(ranking.to_owned()).chain(cells).collect()
    });
    grid(header, rows).to_string()
}
