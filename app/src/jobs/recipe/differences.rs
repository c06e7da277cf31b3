//! Whether a paper's order of two windows holds: their paired differences, from difference.parquet.

use std::path::Path;

use anyhow::Result;
use kvlens_analysis::Budget;
use kvlens_analysis::tables::TableFile;

use super::ingredients::RecipeDifferences;
use super::numbers::digits;
use crate::jobs::failure::Failure;

/// A pair at a budget, in one group of samples.
#[derive(Debug, Clone, PartialEq)]
struct Difference {
    task: String,
    place: String,
    budget: String,
    /// First less second, mean over samples of the mean over heads.
    mean: f64,
    interval: Option<(f64, f64)>,
    samples: u64,
}

/// A Markdown table of the pairs at every budget, group by group; a window or a budget that was not measured has a line
/// that says so.
///
/// # Errors
/// A table or a column that is not there; [`Failure::BadInput`] where the table has none of the pairs.
pub fn of_differences(
    tables: &Path,
    asked: &RecipeDifferences,
    budgets: &[Budget],
) -> Result<String> {
    let table = TableFile::read(&tables.join("difference.parquet"))?;
    let mut text = "| task | question | budget | expected above | than | difference | 95 % interval | order | prompts |\n\
                    |---|---|---|---|---|---|---|---|---|\n"
        .to_owned();
    let mut found = 0;
    for pair in &asked.pairs {
        let all = differences(&table, pair, asked.metric.column())?;
        for budget in budgets {
            let budget = budget.to_string();
            let of_budget: Vec<&Difference> =
                all.iter().filter(|one| one.budget == budget).collect();
            found += of_budget.len();
            if of_budget.is_empty() {
                text += &format!(
                    "| – | – | {budget} | {} | {} | not measured | – | – | – |\n",
                    pair[0], pair[1]
                );
            }
            for difference in of_budget {
                text += &line(pair, difference);
            }
        }
    }
    match found {
        0 => Err(Failure::BadInput(format!(
            "none of the pairs of '{}' was measured: no session has both of their windows",
            asked.name
        ))
        .into()),
        _ => Ok(text),
    }
}

fn line(pair: &[String; 2], difference: &Difference) -> String {
    let interval = difference.interval.map_or("–".to_owned(), |(low, high)| {
        format!("{} to {}", digits(low), digits(high))
    });
    format!(
        "| {} | {} | {} | {} | {} | {} | {interval} | {} | {} |\n",
        difference.task,
        difference.place,
        difference.budget,
        pair[0],
        pair[1],
        digits(difference.mean),
        verdict(difference.interval),
        difference.samples
    )
}

/// What the interval of a difference says of the order that is expected.
fn verdict(interval: Option<(f64, f64)>) -> &'static str {
    match interval {
        Some((low, _)) if low > 0.0 => "holds",
        Some((_, high)) if high < 0.0 => "reversed",
        _ => "not resolved",
    }
}

/// Means over all heads of a pair of windows, whichever of them the table has first.
fn differences(table: &TableFile, pair: &[String; 2], metric: &str) -> Result<Vec<Difference>> {
    let text = |name: &str| table.text(name);
    let (contrast, kinds) = (text("contrast")?, text("head_kind")?);
    let (tasks, places) = (text("task")?, text("question_place")?);
    let (first, second) = (text("first")?, text("second")?);
    let (metrics, budgets) = (text("metric")?, text("budget")?);
    let (means, samples) = (table.numbers("difference")?, table.counts("samples")?);
    let (lows, highs) = (table.numbers("low")?, table.numbers("high")?);
    let difference = |row: usize| {
        let word = |column: &[Option<String>]| column.get(row).cloned().flatten();
        let number = |column: &[Option<f64>]| column.get(row).copied().flatten();
        let is_about = |column: &[Option<String>], wanted: &str| {
            word(column).is_some_and(|word| word == wanted)
        };
        let all_heads = is_about(&contrast, "window") && is_about(&kinds, "all");
        if !all_heads || !is_about(&metrics, metric) {
            return None;
        }
        let sides = [word(&first)?, word(&second)?];
        let is_turned = sides[0] == pair[1] && sides[1] == pair[0];
        if !is_turned && sides != *pair {
            return None;
        }
        let mean = number(&means)?;
        let interval = number(&lows).zip(number(&highs));
        let (mean, interval) = match is_turned {
            true => (-mean, interval.map(|(low, high)| (-high, -low))),
            false => (mean, interval),
        };
        Some(Difference {
            task: word(&tasks)?,
            place: word(&places).unwrap_or_else(|| "–".to_owned()),
            budget: word(&budgets)?,
            mean,
            interval,
            samples: samples.get(row).copied().flatten().unwrap_or(0),
        })
    };
    Ok((0..table.rows()).filter_map(difference).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_holds_where_the_interval_lies_above_zero() {
        assert_eq!(verdict(Some((0.01, 0.2))), "holds");
        assert_eq!(verdict(Some((-0.3, -0.1))), "reversed");
        assert_eq!(verdict(Some((-0.1, 0.1))), "not resolved");
        assert_eq!(verdict(Some((0.0, 0.1))), "not resolved");
        assert_eq!(verdict(None), "not resolved");
    }

    #[test]
    fn a_line_says_the_pair_its_difference_and_whether_the_order_holds() {
        let pair = ["dapq".to_owned(), "snapkv".to_owned()];
        let difference = Difference {
            task: "facts".to_owned(),
            place: "end".to_owned(),
            budget: "128".to_owned(),
            mean: 0.125,
            interval: Some((0.05, 0.2)),
            samples: 6,
        };
        assert_eq!(
            line(&pair, &difference),
            "| facts | end | 128 | dapq | snapkv | 0.1250 | 0.0500 to 0.2000 | holds | 6 |\n"
        );
    }
}
