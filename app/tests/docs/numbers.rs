//! What a template can ask of the measured tables in `docs/numbers`.
//!
//! * `value(table, field, **which)`: a number of the one row whose cells are as given; none or several are an error.
//! * `rows(table, by, **which)`: the rows whose cells are as given, largest `by` first, as objects.
//! * `command(table)`: the command line that made a table, from its provenance.
//! * `text(file)`: a text file as it is.
//! * `claim(condition, words)`: nothing, but an error where the numbers do not bear the words out.
//! * `tables()`, `summary_snippet()`: what README says of the Parquet files.
//! * filters `n2`, `n3` (decimals), `signed` (two decimals with a sign).

use std::collections::BTreeMap;
use std::path::Path;

use kvlens_analysis::tables::{SUMMARY_SNIPPET, TableFile, markdown};
use minijinja::value::{Kwargs, Value};
use minijinja::{Environment, Error, ErrorKind};

/// A cell; none where it is missing.
type Row = BTreeMap<String, Option<Cell>>;

#[derive(Clone)]
enum Cell {
    Text(String),
    Number(f64),
}

impl Cell {
    fn words(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Number(number) => number.to_string(),
        }
    }
}

fn failed(words: String) -> Error {
    Error::new(ErrorKind::InvalidOperation, words)
}

fn open(folder: &Path, table: &str) -> Result<TableFile, Error> {
    let path = folder.join(format!("{table}.parquet"));
    TableFile::read(&path).map_err(|error| failed(error.to_string()))
}

fn read(folder: &Path, table: &str) -> Result<Vec<Row>, Error> {
    let file = open(folder, table)?;
    let mut rows = vec![Row::new(); file.rows()];
    let told = |error: kvlens_analysis::tables::TableError| failed(error.to_string());
    for (name, kind) in file.columns() {
        let cells: Vec<Option<Cell>> = match kind.as_str() {
            "str" => {
                let texts = file.text(&name).map_err(told)?;
                texts.into_iter().map(|cell| cell.map(Cell::Text)).collect()
            }
            "bool" => continue,
            "u32" | "u64" => {
                let counts = file.counts(&name).map_err(told)?;
                let number = |count: u64| Cell::Number(count as f64);
                counts.into_iter().map(|cell| cell.map(number)).collect()
            }
            _ => {
                let numbers = file.numbers(&name).map_err(told)?;
                numbers
                    .into_iter()
                    .map(|cell| cell.map(Cell::Number))
                    .collect()
            }
        };
        for (row, cell) in rows.iter_mut().zip(cells) {
            row.insert(name.clone(), cell);
        }
    }
    Ok(rows)
}

/// The rows of a table whose cells are as the keywords say.
fn matching(folder: &Path, table: &str, which: &Kwargs) -> Result<Vec<Row>, Error> {
    let mut wanted = Vec::new();
    for column in which.args() {
        wanted.push((column.to_owned(), which.get::<Value>(column)?.to_string()));
    }
    which.assert_all_used()?;
    let rows = read(folder, table)?;
    for (column, _) in &wanted {
        if let Some(row) = rows.first().filter(|row| !row.contains_key(column)) {
            let columns: Vec<&String> = row.keys().collect();
            return Err(failed(format!(
                "{table} has no column {column}, but {columns:?}"
            )));
        }
    }
    let fits = |row: &Row| {
        wanted.iter().all(|(column, cell)| {
            let found = row.get(column).cloned().flatten();
            found.is_some_and(|found| found.words() == *cell)
        })
    };
    Ok(rows.into_iter().filter(fits).collect())
}

fn number(row: &Row, field: &str) -> Result<f64, Error> {
    match row.get(field).cloned().flatten() {
        Some(Cell::Number(number)) => Ok(number),
        _ => Err(failed(format!("there is no number {field}"))),
    }
}

fn as_value(row: &Row) -> Value {
    let cells = row.iter().map(|(column, cell)| {
        let value = match cell {
            Some(Cell::Number(number)) => Value::from(*number),
            Some(Cell::Text(text)) => Value::from(text.clone()),
            None => Value::from(()),
        };
        (column.clone(), value)
    });
    Value::from(cells.collect::<BTreeMap<String, Value>>())
}

/// The words behind the program's name in the provenance of a table.
fn command(folder: &Path, table: &str) -> Result<String, Error> {
    let file = open(folder, table)?;
    let provenance = file.metadata("provenance").unwrap_or_default();
    let provenance: serde_json::Value =
        serde_json::from_str(provenance).map_err(|error| failed(error.to_string()))?;
    let words = provenance["command_line"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    let words: Vec<&str> = words
        .iter()
        .skip(1)
        .filter_map(|word| word.as_str())
        .collect();
    Ok(format!("kvlens {}", words.join(" ")))
}

/// Gives an environment the functions and filters of this file.
pub fn add_to(environment: &mut Environment<'_>, folder: &Path) {
    let tables = folder.to_owned();
    environment.add_function(
        "value",
        move |table: String, field: String, which: Kwargs| match matching(&tables, &table, &which)?
            .as_slice()
        {
            [row] => number(row, &field),
            rows => Err(failed(format!(
                "{} rows of {table} fit {which:?}",
                rows.len()
            ))),
        },
    );
    let tables = folder.to_owned();
    environment.add_function("rows", move |table: String, by: String, which: Kwargs| {
        let mut keyed = matching(&tables, &table, &which)?
            .iter()
            .map(|row| Ok((number(row, &by)?, as_value(row))))
            .collect::<Result<Vec<_>, Error>>()?;
        keyed.sort_by(|(a, _), (b, _)| b.total_cmp(a));
        Ok::<_, Error>(
            keyed
                .into_iter()
                .map(|(_, row)| row)
                .collect::<Vec<Value>>(),
        )
    });
    let tables = folder.to_owned();
    environment.add_function("command", move |table: String| command(&tables, &table));
    let texts = folder.to_owned();
    environment.add_function("text", move |file: String| {
        std::fs::read_to_string(texts.join(&file))
            .map_err(|error| failed(format!("{file}: {error}")))
    });
    environment.add_function("claim", |holds: bool, words: String| match holds {
        true => Ok(String::new()),
        false => Err(failed(format!("the numbers do not say that {words}"))),
    });
    environment.add_function("tables", markdown);
    environment.add_function("summary_snippet", || SUMMARY_SNIPPET);
    environment.add_filter("n2", |number: f64| format!("{number:.2}"));
    environment.add_filter("n3", |number: f64| format!("{number:.3}"));
    environment.add_filter("signed", |number: f64| format!("{number:+.2}"));
}
