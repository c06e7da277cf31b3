//! Several lengths and depths in one word: `length=1k..8k/4`, `depth=0..1/5`, `length=1k|8k`.

use std::collections::BTreeMap;

use crate::error::DatasetError;

/// More samples sets than this are a mistake in typing.
const MOST: usize = 1_000;

type Options = BTreeMap<String, String>;

/// The options of every cell of the grid, lengths first, then depths; one cell when there is one of each.
///
/// # Errors
/// A range or a list that cannot be read.
pub(crate) fn cells(task: &str, options: &Options) -> Result<Vec<Options>, DatasetError> {
    let mut cells = vec![options.clone()];
    for (key, expected) in [
        (
            "length",
            "length=N, N|N or A..B/COUNT with A and B from 1 and at most 1000 lengths",
        ),
        (
            "depth",
            "depth=D, D|D or A..B/COUNT with A and B from 0 to 1 and at most 1000 depths",
        ),
    ] {
        let Some(value) = options.get(key) else {
            continue;
        };
        let values = several(key, value).ok_or_else(|| DatasetError::OptionValue {
            task: task.to_owned(),
            option: key.to_owned(),
            value: value.clone(),
            expected: expected.to_owned(),
        })?;
        cells = cells
            .into_iter()
            .flat_map(|cell| {
                values.iter().map(move |value| {
                    let mut cell = cell.clone();
                    cell.insert(key.to_owned(), value.clone());
                    cell
                })
            })
            .collect();
    }
    Ok(cells)
}

/// `None` when the value is neither one, a list, nor a range.
fn several(key: &str, text: &str) -> Option<Vec<String>> {
    let mut values = Vec::new();
    for part in text.split('|') {
        match part.split_once("..") {
            None if key == "length" => values.push(length(part).unwrap_or_else(|| part.to_owned())),
            None => values.push(part.to_owned()),
            Some((from, rest)) => {
                let (to, count) = rest.split_once('/')?;
                let count: usize = count
                    .parse()
                    .ok()
                    .filter(|count| (1..=MOST).contains(count))?;
                values.extend(match key {
                    "length" => lengths(&length(from)?, &length(to)?, count)?,
                    _ => depths(from, to, count)?,
                });
            }
        }
    }
    (values.len() <= MOST).then_some(values)
}

/// `8k` as 8192.
fn length(text: &str) -> Option<String> {
    let number: usize = match text.strip_suffix(['k', 'K']) {
        Some(thousands) => thousands.parse::<usize>().ok()?.checked_mul(1_024)?,
        None => text.parse().ok()?,
    };
    Some(number.to_string())
}

/// `count` lengths, each as many times the one before.
fn lengths(from: &str, to: &str, count: usize) -> Option<Vec<String>> {
    let (from, to): (f64, f64) = (from.parse().ok()?, to.parse().ok()?);
    if from < 1.0 || to < from {
        return None;
    }
    let steps = (count - 1).max(1) as f64;
    let lengths = (0..count).map(|step| from * (to / from).powf(step as f64 / steps));
    Some(
        lengths
            .map(|length| format!("{}", length.round()))
            .collect(),
    )
}

/// `count` depths in even steps.
fn depths(from: &str, to: &str, count: usize) -> Option<Vec<String>> {
    let (from, to): (f64, f64) = (from.parse().ok()?, to.parse().ok()?);
    let range = 0.0..=1.0;
    if !range.contains(&from) || !range.contains(&to) || to < from {
        return None;
    }
    let steps = (count - 1).max(1) as f64;
    let depths = (0..count).map(|step| from + (to - from) * step as f64 / steps);
    // four decimals tell a thousand depths apart
    Some(
        depths
            .map(|depth| format!("{}", (depth * 1e4).round() / 1e4))
            .collect(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grid(options: &[(&str, &str)]) -> Option<Vec<(String, String)>> {
        let options = options
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect();
        let cells = cells("niah", &options).ok()?;
        let pair = |cell: &Options| (cell["length"].clone(), cell["depth"].clone());
        Some(cells.iter().map(pair).collect())
    }

    #[test]
    fn ranges_and_lists_are_multiplied() {
        let cells = grid(&[("length", "1k..8k/4"), ("depth", "0..1/5")]).unwrap();
        assert_eq!(cells.len(), 20);
        let lengths: Vec<&str> = cells
            .iter()
            .step_by(5)
            .map(|(length, _)| length.as_str())
            .collect();
        assert_eq!(lengths, ["1024", "2048", "4096", "8192"]);
        let depths: Vec<&str> = cells[..5].iter().map(|(_, depth)| depth.as_str()).collect();
        assert_eq!(depths, ["0", "0.25", "0.5", "0.75", "1"]);
        let cells = grid(&[("length", "300|2k"), ("depth", "0.1|0.9|sweep")]).unwrap();
        assert_eq!(cells.len(), 6);
        assert_eq!(cells[5], ("2048".to_owned(), "sweep".to_owned()));
        let thirds = grid(&[("length", "300"), ("depth", "0..1/4")]).unwrap();
        assert_eq!(thirds[1].1, "0.3333");
    }

    #[test]
    fn what_is_no_grid_is_refused() {
        for (length, depth) in [
            ("1k..8k", "0"),
            ("8k..1k/4", "0"),
            ("0..1k/2", "0"),
            ("1k..8k/0", "0"),
            ("1k..8k/1001", "0"),
            ("1k", "0..2/3"),
            ("1k", "a..1/3"),
            ("x..1k/2", "0"),
            ("99999999999999999999k..1k/2", "0"),
        ] {
            assert_eq!(
                grid(&[("length", length), ("depth", depth)]),
                None,
                "{length} {depth}"
            );
        }
    }
}
