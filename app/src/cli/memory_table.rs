//! What a capture will take, as a table.

use kvlens_sessions::estimate::{Memory, readable_bytes};

use super::grid::grid;
use super::output::counted_samples;
use crate::jobs::estimate::Estimate;

/// Parts, stages and the peak, for stdout.
pub fn memory_table(estimate: &Estimate) -> String {
    let line = estimate.peak_of_available_line();
    let estimate = &estimate.memory;
    let on_gpu = estimate.peak().device > 0.0;
    let parts = estimate.parts.iter().map(|part| {
        let mut cells = vec![part.name.to_owned()];
        cells.extend(amounts(part.memory, on_gpu));
        cells
    });
    let stages = estimate.stages.iter().map(|stage| {
        let mut cells = vec![stage.stage.to_string()];
        cells.extend(amounts(stage.own, on_gpu));
        cells.extend(amounts(stage.together, on_gpu));
        cells
    });
    format!(
        "{} of at most {} prompt and {} decode tokens, {} on {}\n{}\n\n{}\n\n{}\n",
        counted_samples(estimate.samples),
        estimate.prompt_tokens,
        estimate.decode_tokens,
        estimate.dtype,
        estimate.device,
        grid(
            header("stands over several stages", &["bytes"], on_gpu),
            parts
        ),
        grid(header("stage", &["its own", "together"], on_gpu), stages),
        line
    )
}

/// On a GPU every amount has two columns.
fn header(first: &str, amounts: &[&str], on_gpu: bool) -> Vec<String> {
    let mut cells = vec![first.to_owned()];
    for amount in amounts {
        if on_gpu {
            cells.push(format!("{amount}, device"));
            cells.push(format!("{amount}, host"));
        } else {
            cells.push((*amount).to_owned());
        }
    }
    cells
}

fn amounts(memory: Memory, on_gpu: bool) -> Vec<String> {
    let host = readable_bytes(memory.host);
    if on_gpu {
        vec![readable_bytes(memory.device), host]
    } else {
        vec![host]
    }
}
