//! The tables as README tells them.

use std::collections::HashSet;
use std::fmt::Write;

use super::declare::{ColumnDeclaration, TableDeclaration};
use super::declared;

/// What stands for the columns that every table about single samples begins with.
const SAMPLE: &str = "*the sample's*";

/// README's table of files: one line for each, with what a row is of and its columns. Neighbours of one type share
/// it; a question mark says that cells may be missing.
pub fn markdown() -> String {
    let mut text = "| file | one row per | columns |\n|---|---|---|\n".to_owned();
    for table in declared() {
        // Writing to a text cannot fail.
        let _ = writeln!(
            text,
            "| `{}` | {} | {} |",
            table.file,
            table.one_row_per,
            columns(&table)
        );
    }
    let _ = writeln!(text, "\n{SAMPLE} columns are {}.", of_the_sample());
    text
}

/// The columns that tables about single samples begin with.
fn of_the_sample() -> String {
    let tables = declared();
    let of = |table: &TableDeclaration| -> Vec<&'static str> {
        let grouped = table.columns.iter().filter(|column| column.group.is_some());
        grouped.map(|column| column.name).collect()
    };
    let names = tables.iter().map(of).find(|names| !names.is_empty());
    names.unwrap_or_default().join(", ")
}

/// README's table of columns: what each says. A column that several tables have with one meaning stands there once.
pub fn markdown_columns() -> String {
    let mut text = "| column | type | says |\n|---|---|---|\n".to_owned();
    let mut told = HashSet::new();
    let columns = declared().into_iter().flat_map(|table| table.columns);
    for column in columns {
        let line = format!(
            "| `{}` | {} | {} |",
            column.name,
            kind(&column),
            column.meaning
        );
        if told.insert(line.clone()) {
            text.push_str(&line);
            text.push('\n');
        }
    }
    text
}

fn columns(table: &TableDeclaration) -> String {
    let mut parts = Vec::new();
    let own = table.columns.iter().filter(|column| column.group.is_none());
    if table.columns.iter().any(|column| column.group.is_some()) {
        parts.push(SAMPLE.to_owned());
    }
    let own: Vec<&ColumnDeclaration> = own.collect();
    for same_kind in own.chunk_by(|left, right| kind(left) == kind(right)) {
        let names: Vec<&str> = same_kind.iter().map(|column| column.name).collect();
        let kind = same_kind
            .first()
            .map_or_else(String::new, |column| kind(column));
        parts.push(format!("{} ({kind})", names.join(", ")));
    }
    parts.join(", ")
}

fn kind(column: &ColumnDeclaration) -> String {
    match column.nullable {
        true => format!("{}?", column.kind),
        false => column.kind.to_owned(),
    }
}
