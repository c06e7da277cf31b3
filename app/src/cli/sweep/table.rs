//! How far a sweep is, as a table.

use crate::cli::grid::grid;
use crate::jobs::sweep::{CellStatus, Sweep, TaskState, TaskStatus, cells_of};

/// States that have a column where any task is in them, in this order.
const STATES: [&str; 6] = [
    "finished",
    "running",
    "queued",
    "waiting",
    "interrupted",
    "failed",
];

/// A row for each cell, and what failed below.
pub fn text(sweep: &Sweep, tasks: &[TaskStatus]) -> String {
    let cells = cells_of(sweep, tasks);
    let states: Vec<&str> = STATES
        .into_iter()
        .filter(|state| cells.iter().any(|cell| cell.count(state) > 0))
        .collect();
    let mut header = vec!["session".to_owned(), "samples".to_owned()];
    header.extend(states.iter().map(|state| (*state).to_owned()));
    let rows = cells.iter().map(|cell| {
        let mut row = vec![cell.cell.name.clone(), samples(cell)];
        row.extend(states.iter().map(|state| cell.count(state).to_string()));
        row
    });
    let mut text = format!("{}\n", grid(header, rows));
    for task in tasks {
        if let TaskState::Failed { reason } = &task.state {
            text.push_str(&format!("{}: {reason}\n", task.task));
        }
    }
    text
}

/// Captured samples of all.
pub fn samples(cell: &CellStatus<'_>) -> String {
    let (finished, all) = cell.samples();
    format!("{finished}/{all}")
}
