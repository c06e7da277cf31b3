//! A table for stdout.

use comfy_table::{
    CellAlignment, ColumnConstraint, ContentArrangement, LineStyle, Table, TableStyle,
};

/// Characters of a line at most.
pub const WIDTH: u16 = 80;

/// A line under the header and nothing else.
const STYLE: TableStyle = TableStyle::new().header_separator(LineStyle::none().fill('─'));

/// A table of [`WIDTH`] with a line under its header, its first column to the left and the others to the right.
pub fn grid(header: Vec<String>, rows: impl Iterator<Item = Vec<String>>) -> Table {
    let mut table = Table::new();
    table
        .load_style(STYLE)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_width(WIDTH);
    table.set_header(header);
    for row in rows {
        table.add_row(row);
    }
    for (index, column) in table.column_iter_mut().enumerate() {
        column.set_padding((1, 0));
        if index > 0 {
            column.set_cell_alignment(CellAlignment::Right);
            column.set_constraint(ColumnConstraint::ContentWidth);
        }
    }
    table
}

/// A text in lines of at most [`WIDTH`] characters, each ended by a line break; spaces at its start stay.
pub fn wrapped(text: &str) -> String {
    let indent = &text[..text.len() - text.trim_start().len()];
    let mut lines = vec![indent.to_owned()];
    for word in text.split_whitespace() {
        let is_first = lines.last().is_some_and(|line| line.trim().is_empty());
        let length = |line: &String| line.chars().count() + 1 + word.chars().count();
        let fits = lines
            .last()
            .is_some_and(|line| length(line) <= usize::from(WIDTH));
        match lines.last_mut() {
            Some(line) if is_first => line.push_str(word),
            Some(line) if fits => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(format!("{indent}{word}")),
        }
    }
    lines.iter().map(|line| format!("{line}\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_end_before_the_eightieth_column_and_keep_every_word() {
        let words = format!(" {}", "abcde fgh ".repeat(30));
        let text = wrapped(&words);
        assert!(text.lines().count() > 3 && text.ends_with('\n'));
        for line in text.lines() {
            assert!(line.starts_with(" a") || line.starts_with(" f"), "{line}");
            assert!(line.len() <= usize::from(WIDTH), "{line}");
        }
        assert!(text.split_whitespace().eq(words.split_whitespace()));
    }
}
