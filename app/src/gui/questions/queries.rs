//! How alike the windows' queries are to those of the decode stage, and what position and content do alone.

use std::sync::Arc;

use kvlens_sessions::ModelShape;
use kvlens_sessions::model::ModelSource;

use super::Answer;
use crate::gui::data::SamplePlace;
use crate::gui::lanes::{Meter, ModelLane, Reporter};
use crate::measurement::interventions::{IntervenedQueries, intervene};
use crate::measurement::queries::{WindowQueries, window_queries};

/// The cosines of a sample's windows.
#[derive(Clone, Debug)]
pub struct QueriesAnswer {
    /// The sample.
    pub sample: SamplePlace,
    /// L.
    pub layers: usize,
    /// H.
    pub heads: usize,
    /// Windows that have queries, in the sample's order.
    pub windows: Vec<(String, WindowQueries)>,
    /// Labels of the windows that observe without queries.
    pub without_queries: Vec<String>,
}

/// What position and content do to the queries, each alone; needs the model.
#[derive(Clone, Debug)]
pub struct InterventionsQuestion {
    /// The sample.
    pub sample: SamplePlace,
    /// Where the model may be if it is no longer where the session found it.
    pub elsewhere: Option<ModelSource>,
}

/// The cosines of the interventions on a sample.
#[derive(Clone, Debug)]
pub struct InterventionsAnswer {
    /// The sample.
    pub sample: SamplePlace,
    /// Each intervention.
    pub found: Vec<IntervenedQueries>,
}

pub(super) fn answer(sample: SamplePlace, reporter: &Reporter<'_>) -> anyhow::Result<()> {
    let session = reporter.samples.session(&sample.path)?;
    let captured = reporter.samples.load(&session, sample.index)?;
    let shape = &session.manifest().shape;
    let mut answer = QueriesAnswer {
        sample,
        layers: shape.layers,
        heads: shape.query_heads,
        windows: Vec::new(),
        without_queries: Vec::new(),
    };
    for window in captured.windows() {
        reporter.cancel.check()?;
        let label = window.label().to_owned();
        match window_queries(&captured, window, shape.rope.as_ref())? {
            Some(queries) => answer.windows.push((label, queries)),
            None => answer.without_queries.push(label),
        }
    }
    reporter.answer(Answer::Queries(Arc::new(answer)));
    Ok(())
}

pub(in crate::gui) fn answer_interventions(
    lane: &mut ModelLane,
    question: InterventionsQuestion,
    reporter: &Reporter<'_>,
) -> anyhow::Result<()> {
    let InterventionsQuestion { sample, elsewhere } = question;
    let session = reporter.samples.session(&sample.path)?;
    let captured = reporter.samples.load(&session, sample.index)?;
    let model = lane.session_model(&session, elsewhere.as_ref(), reporter)?;
    // a session of an earlier program does not say how positions become angles; its model does
    let rope = ModelShape::from(model.config()).rope;
    let mut progress = Meter::new(reporter);
    let found = intervene(
        model,
        &captured,
        rope.as_ref(),
        reporter.cancel,
        &mut progress,
    )?;
    reporter.answer(Answer::Interventions(Arc::new(InterventionsAnswer {
        sample,
        found,
    })));
    Ok(())
}
