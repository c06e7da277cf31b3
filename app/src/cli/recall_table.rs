//! The table on stdout: mean recall by question place and window.

use comfy_table::{
    CellAlignment, ColumnConstraint, ContentArrangement, LineStyle, Table, TableStyle,
};
use kvlens_analysis::tables::summary::{Summary, SummaryRow};
use kvlens_analysis::{AnalysisError, Budget};
use kvlens_datasets::QuestionPlace;
use kvlens_sessions::ScoreKind;

use crate::measurement::MeasuredSample;

/// Columns that still leave room for a window's label at [`WIDTH`].
const BUDGETS_ACROSS: usize = 6;
/// Characters of a line at most.
pub const WIDTH: u16 = 80;
/// A line under the header and nothing else.
const STYLE: TableStyle = TableStyle::new().header_separator(LineStyle::none().fill('─'));
/// Fixes the draws of the bootstrap, so that the same figures give the same interval.
const SEED: u64 = 0;

/// What samples are averaged together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// Name of the session.
    pub session: String,
    /// The samples' task.
    pub task: String,
    /// Where their question stands.
    pub question_place: Option<QuestionPlace>,
}

/// Collects recall sample by sample.
pub struct RecallTable {
    /// One summary for each budget, because a budget may not apply to every sample.
    columns: Vec<(Budget, Summary)>,
    groups: Vec<GroupLengths>,
    /// Windows whose scores are no attention, and what they are.
    not_attention: Vec<(String, ScoreKind)>,
}

struct GroupLengths {
    group: Group,
    prompt_tokens: Vec<usize>,
}

impl RecallTable {
    /// An empty table with a column for each of these budgets.
    pub fn new(budgets: &[Budget]) -> Self {
        let column = |budget: &Budget| (*budget, Summary::new(&[*budget]));
        Self {
            columns: budgets.iter().map(column).collect(),
            groups: Vec::new(),
            not_attention: Vec::new(),
        }
    }

    /// Adds a sample to its group.
    ///
    /// # Errors
    /// When a window was not compared at a budget that applies to the sample.
    pub fn add(
        &mut self,
        group: Group,
        sample: &MeasuredSample,
        applying: &[Budget],
    ) -> Result<(), AnalysisError> {
        for window in &sample.windows {
            let known = || {
                self.not_attention
                    .iter()
                    .any(|(label, _)| *label == window.label)
            };
            if !window.score_kind.is_attention() && !known() {
                self.not_attention
                    .push((window.label.clone(), window.score_kind));
            }
        }
        let label = self.enter(group, sample.oracle.prompt_tokens());
        for (_, summary) in self
            .columns
            .iter_mut()
            .filter(|(budget, _)| applying.contains(budget))
        {
            for window in &sample.windows {
                summary.add(&label, &window.label, &window.comparison)?;
            }
        }
        Ok(())
    }

    /// Counts a sample in and gives the label that the summaries know its group by.
    fn enter(&mut self, group: Group, prompt_tokens: usize) -> String {
        let known = self.groups.iter().position(|entry| entry.group == group);
        let index = known.unwrap_or(self.groups.len());
        match self.groups.get_mut(index) {
            Some(entry) => entry.prompt_tokens.push(prompt_tokens),
            None => self.groups.push(GroupLengths {
                group,
                prompt_tokens: vec![prompt_tokens],
            }),
        }
        index.to_string()
    }

    /// The whole text, groups in the order in which they came.
    pub fn text(&self) -> String {
        let columns: Vec<(String, Vec<SummaryRow>)> = self
            .columns
            .iter()
            .map(|(budget, summary)| (budget.to_string(), summary.rows(SEED)))
            .collect();
        let mut text = String::from("Mean recall of the decode stage's top tokens, by budget\n");
        let one_session = self
            .groups
            .windows(2)
            .all(|pair| matches!(pair, [a, b] if a.group.session == b.group.session));
        for (index, entry) in self.groups.iter().enumerate() {
            text.push('\n');
            text.push_str(&entry.heading(!one_session));
            text.push('\n');
            for block in columns.chunks(BUDGETS_ACROSS) {
                text.push_str(&table(block, &index.to_string()).to_string());
                text.push('\n');
            }
        }
        text.push_str(
            "\nMeans over layers, heads and samples; below each its 95 % interval over samples.\n",
        );
        if !self.not_attention.is_empty() {
            text.push_str("Not scored by attention:\n");
            for (label, kind) in &self.not_attention {
                text.push_str(&format!(" {label}: {kind}\n"));
            }
        }
        text
    }
}

impl GroupLengths {
    fn heading(&self, with_session: bool) -> String {
        let group = &self.group;
        let mut parts = Vec::new();
        if with_session {
            parts.push(group.session.clone());
        }
        parts.push(group.task.clone());
        if let Some(place) = group.question_place {
            parts.push(format!("question at the {place}"));
        }
        let shortest = self.prompt_tokens.iter().min().copied().unwrap_or_default();
        let longest = self.prompt_tokens.iter().max().copied().unwrap_or_default();
        let count = match self.prompt_tokens.len() {
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
}

fn table(columns: &[(String, Vec<SummaryRow>)], group: &str) -> Table {
    let mut table = Table::new();
    table
        .load_style(STYLE)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_width(WIDTH);
    let budgets = columns.iter().map(|(budget, _)| budget.as_str());
    table.set_header(std::iter::once("window").chain(budgets));
    for window in window_labels(columns, group) {
        let cells = columns.iter().map(|(_, rows)| {
            rows.iter()
                .find(|row| row.task == group && row.window == window)
                .map_or_else(|| "-".to_owned(), cell)
        });
        table.add_row(std::iter::once(window.to_owned()).chain(cells));
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

fn window_labels<'a>(columns: &'a [(String, Vec<SummaryRow>)], group: &str) -> Vec<&'a str> {
    let mut labels: Vec<&str> = Vec::new();
    for row in columns.iter().flat_map(|(_, rows)| rows) {
        if row.task == group && !labels.contains(&row.window.as_str()) {
            labels.push(&row.window);
        }
    }
    labels
}

/// The mean over samples and, with two samples or more, its interval on a second line.
fn cell(row: &SummaryRow) -> String {
    match row.recall_interval {
        None => format!("{:.2}", row.recall),
        Some(interval) => format!(
            "{:.2}\n{:.2}-{:.2}",
            row.recall, interval.low, interval.high
        ),
    }
}

#[cfg(test)]
mod tests {
    use kvlens_analysis::statistics::Interval;
    use kvlens_analysis::tables::summary::SummaryRow;

    use super::*;

    fn row(window: &str, recall: f64, interval: Option<(f64, f64)>) -> SummaryRow {
        SummaryRow {
            task: "0".to_owned(),
            window: window.to_owned(),
            budget: Budget::Tokens(64),
            samples: 2,
            recall,
            recall_interval: interval.map(|(low, high)| Interval { low, high }),
            hit_rate: recall,
            mass_of_oracle: recall,
        }
    }

    #[test]
    fn a_cell_has_the_mean_and_below_it_the_interval() {
        assert_eq!(cell(&row("a", 0.704, Some((0.6, 0.8)))), "0.70\n0.60-0.80");
        assert_eq!(cell(&row("a", 0.704, None)), "0.70");
    }

    #[test]
    fn a_window_without_a_figure_at_a_budget_gets_a_dash() {
        let columns = [
            ("64".to_owned(), vec![row("last:32", 0.5, None)]),
            ("4096".to_owned(), Vec::new()),
        ];
        let text = table(&columns, "0").to_string();
        let line = text.lines().find(|line| line.contains("last:32")).unwrap();
        assert!(
            line.contains("0.50") && line.trim_end().ends_with('-'),
            "{text}"
        );
    }

    #[test]
    fn six_budgets_and_a_long_label_stay_within_eighty_columns() {
        let rows = vec![
            row("dapq:n=32,content=prefix-suffix", 0.123, Some((0.1, 0.2))),
            row("last:8", 0.987, Some((0.9, 1.0))),
        ];
        let columns: Vec<_> = (0..BUDGETS_ACROSS)
            .map(|_| ("131072".to_owned(), rows.clone()))
            .collect();
        let text = table(&columns, "0").to_string();
        for line in text.lines() {
            assert!(
                line.chars().count() <= 80,
                "{}: {line}",
                line.chars().count()
            );
        }
    }

    #[test]
    fn a_heading_names_place_count_and_lengths() {
        let mut entry = GroupLengths {
            group: Group {
                session: "s".to_owned(),
                task: "facts".to_owned(),
                question_place: Some(QuestionPlace::End),
            },
            prompt_tokens: vec![470],
        };
        assert_eq!(
            entry.heading(false),
            "facts, question at the end, 1 sample of 470 tokens"
        );
        entry.prompt_tokens.push(996);
        assert_eq!(
            entry.heading(true),
            "s, facts, question at the end, 2 samples of 470 to 996 tokens"
        );
    }
}
