//! `kvlens fidelity`: evict by each window, decode, and see what became of the output.

mod arguments;
mod text;

use anyhow::Result;

pub use arguments::FidelityArguments;

use super::interrupt::cancel_on_interrupt;
use super::output;
use super::progress::Progress;
use crate::jobs::budgets::distinct;
use crate::jobs::fidelity::{FidelityRequest, run as evict};
use crate::jobs::models::Models;
use crate::measurement::fidelity::EvictionPlan;

/// Runs the command.
///
/// # Errors
/// Bad input, an interrupt, tables that could not be written.
pub fn run(arguments: &FidelityArguments) -> Result<()> {
    let request = FidelityRequest {
        sessions: arguments.sessions.clone(),
        out: arguments.out.clone(),
        budgets: distinct(&arguments.budgets),
        plan: EvictionPlan {
            options: arguments.options()?,
            allocation: arguments.allocation.kind(),
            decode: arguments.decode,
            join_final_budgets: true,
        },
        allocation: arguments.allocation,
        limit: arguments.limit.unwrap_or(usize::MAX),
        model: arguments.model.clone(),
        device: arguments.device,
        dtype: arguments.dtype,
    };
    let cancel = cancel_on_interrupt()?;
    let mut progress = Progress::begin("fidelity")?;
    let outcome = evict(&request, &mut Models::default(), &mut progress, &cancel);
    progress.end();
    output::print(&format!(
        "{}\nTables written: {}\n",
        text::text(&outcome?, &request.budgets)?,
        arguments.out.display()
    ))
}
