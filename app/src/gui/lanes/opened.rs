//! What the screen is told of a session and of its samples.

use std::sync::Arc;

use kvlens_analysis::Budget;
use kvlens_sessions::windows::final_part;
use kvlens_sessions::{SampleRecord, SampleState, Session};

use super::{Event, Reporter};
use crate::gui::data::{SampleDetails, SampleRow, SessionInfo, Slot};
use crate::gui::derived::budget_grid;
use crate::measurement::needle::needle_place;
use crate::measurement::{MeasureOptions, measure_sample};

/// What is known of a session without its samples' files.
pub(super) fn describe(session: &Session) -> SessionInfo {
    let manifest = session.manifest();
    let mut samples = Vec::new();
    let mut failed = Vec::new();
    let mut pending = 0;
    for entry in &manifest.samples {
        match &entry.state {
            SampleState::Finished {
                prompt_tokens,
                decode_tokens,
                ..
            } => samples.push(SampleRow {
                id: entry.id.clone(),
                prompt_tokens: *prompt_tokens,
                decode_tokens: *decode_tokens,
                details: None,
                unreadable: None,
            }),
            SampleState::Failed { reason } => failed.push((entry.id.clone(), reason.clone())),
            SampleState::Pending => pending += 1,
        }
    }
    SessionInfo {
        path: session.path().to_owned(),
        name: session.name().to_owned(),
        model: manifest.model.name.clone(),
        device: format!("{}, {}", manifest.device, manifest.dtype),
        layers: manifest.shape.layers,
        query_heads: manifest.shape.query_heads,
        kv_heads: manifest.shape.kv_heads,
        samples,
        failed,
        pending,
        plan: Some(Arc::new(manifest.plan.clone())),
    }
}

/// The rest of a sample's row.
pub(super) fn details(record: &SampleRecord) -> SampleDetails {
    SampleDetails {
        task: record.task.clone(),
        question_place: record
            .question_place
            .map_or(String::new(), |place| place.to_string()),
        score: record.score,
        needle: needle_place(record),
    }
}

/// Measures a sample at every budget of the plots.
pub(super) fn measured(
    slot: Slot,
    session: &Session,
    index: usize,
    options: MeasureOptions,
    reporter: &Reporter<'_>,
) -> anyhow::Result<Event> {
    reporter.cancel.check()?;
    reporter.stage("Rank the tokens");
    let captured = reporter.samples.load_to_measure(session, index)?;
    reporter.cancel.check()?;
    let labels = captured.windows().iter().map(|window| window.label());
    let own: Vec<Budget> = labels
        .filter_map(|label| Some(final_part(label)?.budget))
        .collect();
    let sample = measure_sample(&captured, &options, |prompt_tokens| {
        let own = own.iter().map(|budget| budget.tokens(prompt_tokens));
        let grid = budget_grid(prompt_tokens).map(|grid| grid.including(own));
        grid.map_or_else(Vec::new, |grid| grid.tokens().to_vec())
    })?
    .joined();
    Ok(Event::SampleMeasured {
        slot,
        path: session.path().to_owned(),
        index,
        options,
        sample: Arc::new(sample),
    })
}
