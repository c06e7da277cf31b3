//! The numbers of a recipe: those of its figures and of agreement.parquet, with what was published beside them.

use std::path::Path;

use anyhow::Result;
use kvlens_analysis::figure::CHANCE;
use kvlens_analysis::statistics::{mean, mean_interval};
use kvlens_analysis::tables::TableFile;

use super::ingredients::{Published, RecipeAgreement};
use crate::jobs::SEED;
use crate::jobs::figure::{Drawn, KindChoice};

/// Lines of a page's table, at most; the figure's Parquet has all.
const MOST_LINES: usize = 48;

/// One measured number.
#[derive(Debug, Clone, PartialEq)]
pub struct Number {
    /// What it stands beside: a panel; empty for the only one.
    pub panel: String,
    /// A window, or what else is compared.
    pub series: String,
    /// A budget, a layer, a position, a window.
    pub at: String,
    /// What was measured.
    pub value: f64,
    /// Its 95 % interval over samples.
    pub interval: Option<(f64, f64)>,
    /// Samples in it.
    pub samples: usize,
}

/// The numbers of a figure. A dot of a cost figure is two: its time in milliseconds, and the metric.
pub fn of_figure(drawn: &Drawn, kind: KindChoice) -> Vec<Number> {
    let number = |row: &kvlens_analysis::figure::FigureRow| Number {
        panel: row.panel.clone(),
        series: row.series.clone(),
        at: place(drawn, row.x),
        value: row.value,
        interval: row.low.zip(row.high),
        samples: row.samples as usize,
    };
    // chance is in the figure alone: it is known, not measured
    let rows = drawn.rows.iter();
    let rows = rows.filter(|row| row.value.is_finite() && row.series != CHANCE);
    match kind {
        KindChoice::Cost => rows
            .flat_map(|row| {
                let time = Number {
                    at: "ms".to_owned(),
                    value: row.x,
                    interval: None,
                    ..number(row)
                };
                let metric = Number {
                    at: "metric".to_owned(),
                    ..number(row)
                };
                [time, metric]
            })
            .collect(),
        _ => rows.map(number).collect(),
    }
}

fn place(drawn: &Drawn, x: f64) -> String {
    match drawn.names.get(x as usize) {
        Some(name) => name.clone(),
        None => x.to_string(),
    }
}

/// Means of a column of agreement.parquet over samples of the mean over heads, for some windows.
///
/// # Errors
/// A table or a column that is not there.
pub fn of_agreement(tables: &Path, asked: &RecipeAgreement) -> Result<Vec<Number>> {
    let table = TableFile::read(&tables.join("agreement.parquet"))?;
    let (windows, samples) = (table.text("window")?, table.text("sample")?);
    let values = table.numbers(&asked.column)?;
    let mut numbers = Vec::new();
    for window in &asked.windows {
        let mut by_sample: Vec<(&str, Vec<f64>)> = Vec::new();
        let rows = windows.iter().zip(&samples).zip(&values);
        for ((_, sample), value) in rows.filter(|((of, _), _)| of.as_ref() == Some(window)) {
            let (Some(sample), Some(value)) = (sample.as_deref(), value) else {
                continue;
            };
            match by_sample.iter_mut().find(|(known, _)| *known == sample) {
                Some((_, values)) => values.push(*value),
                None => by_sample.push((sample, vec![*value])),
            }
        }
        let of_heads = |(_, values): &(&str, Vec<f64>)| mean(values.iter().copied());
        let means: Vec<f64> = by_sample.iter().filter_map(of_heads).collect();
        let interval = mean_interval(&means, None, SEED);
        numbers.extend(mean(means.iter().copied()).map(|value| Number {
            panel: String::new(),
            series: window.clone(),
            at: asked.column.clone(),
            value,
            interval: interval.map(|interval| (interval.low, interval.high)),
            samples: means.len(),
        }));
    }
    Ok(numbers)
}

/// A Markdown table of numbers with what was published; long ones are thinned, and say so.
pub fn markdown(name: &str, numbers: &[Number], published: &[Published]) -> String {
    let step = numbers.len().div_ceil(MOST_LINES).max(1);
    let mut places: Vec<&str> = Vec::new();
    for number in numbers {
        if !places.contains(&number.at.as_str()) {
            places.push(&number.at);
        }
    }
    // whole places are left out, never the last one
    let is_shown = |number: &Number| {
        let from_end = places.iter().rev().position(|place| *place == number.at);
        from_end.is_some_and(|index| index % step == 0)
    };
    let published_of = |number: &Number| {
        published.iter().find(|published| {
            published.figure == name
                && published.series == number.series
                && published.at == number.at
        })
    };
    let has_panels = numbers.iter().any(|number| !number.panel.is_empty());
    let panel_head = if has_panels { " panel |" } else { "" };
    let mut text = format!(
        "|{panel_head} series | at | published | here | 95 % interval | samples |\n|{}---|---|---|---|---|---|\n",
        if has_panels { "---|" } else { "" }
    );
    for number in numbers {
        let known = published_of(number);
        if !is_shown(number) && known.is_none() {
            continue;
        }
        let panel = match has_panels {
            true => format!(" {} |", number.panel),
            false => String::new(),
        };
        let known = known.map_or("–".to_owned(), |known| digits(known.number));
        let interval = number.interval.map_or("–".to_owned(), |(low, high)| {
            format!("{} to {}", digits(low), digits(high))
        });
        text += &format!(
            "|{panel} {} | {} | {known} | {} | {interval} | {} |\n",
            number.series,
            number.at,
            digits(number.value),
            number.samples
        );
    }
    for missing in published
        .iter()
        .filter(|published| published.figure == name)
    {
        let is_it =
            |number: &Number| (&number.series, &number.at) == (&missing.series, &missing.at);
        if !numbers.iter().any(is_it) {
            let panel = if has_panels { " – |" } else { "" };
            text += &format!(
                "|{panel} {} | {} | {} | not measured | – | – |\n",
                missing.series,
                missing.at,
                digits(missing.number)
            );
        }
    }
    if step > 1 {
        text += &format!(
            "\nOne place in {step}; `{name}.parquet` has all {}.\n",
            numbers.len()
        );
    }
    text
}

/// Four digits behind the point of what is a share, fewer of larger numbers.
pub fn digits(number: f64) -> String {
    match number.abs() {
        large if large >= 100.0 => format!("{number:.0}"),
        large if large >= 10.0 => format!("{number:.1}"),
        _ => format!("{number:.4}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(series: &str, at: &str, value: f64) -> Number {
        Number {
            panel: String::new(),
            series: series.to_owned(),
            at: at.to_owned(),
            value,
            interval: Some((value - 0.1, value + 0.1)),
            samples: 4,
        }
    }

    fn published(series: &str, at: &str) -> Published {
        Published {
            figure: "hit-rate".to_owned(),
            series: series.to_owned(),
            at: at.to_owned(),
            number: 0.5344,
        }
    }

    #[test]
    fn published_numbers_stand_beside_measured_ones_and_alone_where_none_was() {
        let known = [published("last", "128"), published("judge-q", "128")];
        let text = markdown("hit-rate", &[number("last", "128", 0.25)], &known);
        assert!(
            text.contains("| last | 128 | 0.5344 | 0.2500 | 0.1500 to 0.3500 | 4 |"),
            "{text}"
        );
        assert!(
            text.contains("| judge-q | 128 | 0.5344 | not measured |"),
            "{text}"
        );
        let other = markdown("cost", &[number("last", "128", 0.25)], &known);
        assert!(!other.contains("0.5344"));
    }

    #[test]
    fn long_tables_are_thinned_but_never_of_what_was_published() {
        let numbers: Vec<Number> = (0..60)
            .map(|index| number("last", &index.to_string(), 0.5))
            .collect();
        let text = markdown("hit-rate", &numbers, &[published("last", "4")]);
        assert!(
            text.contains("One place in 2") && text.contains("all 60"),
            "{text}"
        );
        assert!(text.contains("| last | 4 | 0.5344 |"));
        assert!(text.contains("| last | 59 |") && !text.contains("| last | 58 |"));
    }
}
