//! `kvlens measure`: every window of captured sessions against the decode stage.

use anyhow::Result;
use kvlens_analysis::distinct;

use super::cost_table;
use super::decode_eviction_table;
use super::interrupt::cancel_on_interrupt;
use super::measure_arguments::MeasureArguments;
use super::output;
use super::progress::Progress;
use super::recall_table;
use super::session::unpacked;
use crate::jobs::Cancel;
use crate::jobs::found_sessions::{open_sessions, window_labels};
use crate::jobs::left_out::LeftOut;
use crate::jobs::measure::{MeasureRequest, Pairs, TableChoice, run as measure};

/// Runs the command.
///
/// # Errors
/// Bad input, an interrupt, tables that could not be written; behind the tables, samples that could not be read.
pub fn run(arguments: &MeasureArguments) -> Result<()> {
    let folders = unpacked(&arguments.sessions)?;
    let sessions = open_sessions(&folders)?.sessions;
    let request = MeasureRequest {
        pairs: Pairs::from_typed(arguments.against.as_deref(), &window_labels(&sessions)?)?,
        sessions: folders,
        out: arguments.out.clone(),
        budgets: distinct(arguments.budgets.iter().copied()),
        options: arguments.comparing.options(),
        metric: arguments.metric.0,
        head_tests: !arguments.no_head_tests,
        margin: arguments.equivalent,
        questions: arguments.questions(),
        tables: TableChoice {
            csv: arguments.csv,
            importance: arguments.importance,
        },
        command: None,
    };
    measure_and_print(&request, &cancel_on_interrupt()?)
}

/// Measures, tells on stderr how far it is, and prints the tables and where they are.
///
/// # Errors
/// What the job refuses; behind the tables, samples that could not be read.
pub fn measure_and_print(request: &MeasureRequest, cancel: &Cancel) -> Result<()> {
    let (text, left_out) = measured_text(request, cancel)?;
    output::print(&format!(
        "{text}Tables written: {}\n",
        request.out.display()
    ))?;
    left_out.refuse("the tables are of the others")
}

/// Measures, tells on stderr how far it is, and gives the tables for stdout, with the samples that are in none.
///
/// # Errors
/// What the job refuses.
pub fn measured_text(request: &MeasureRequest, cancel: &Cancel) -> Result<(String, LeftOut)> {
    let mut progress = Progress::begin("measure")?;
    let outcome = measure(request, &mut progress, cancel);
    progress.end();
    let measured = outcome?;
    let (budgets, pairs) = (&request.budgets, &request.pairs);
    let text = recall_table::text(&measured, budgets, pairs, request.margin)?;
    let every = request.questions.while_decoding.every;
    let decoding = decode_eviction_table::text(&measured.while_decoding, every, budgets);
    let costs = cost_table::text(&measured.costs);
    Ok((format!("{text}\n{decoding}{costs}\n"), measured.left_out))
}
