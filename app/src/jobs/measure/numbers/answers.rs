//! Answers to further questions that are about no window, or about a window's queries alone.

use anyhow::Result;
use kvlens_analysis::drift::PlacedRecall;
use kvlens_sessions::{CapturedSample, Observation};

use super::{Asking, Question};
use crate::measurement::MeasuredSample;
use crate::measurement::head_rows::OnHead;
use crate::measurement::places::sweep_places;
use crate::measurement::profiles::{SampleHeads, sample_heads};
use crate::measurement::queries::window_queries;

/// What was asked, as far as it was.
#[derive(Debug, Clone)]
pub struct Answers {
    /// How alike each window's queries are to the decode stage's; windows without queries are left out.
    pub queries: Vec<QueryNumbers>,
    /// What each head is like, and what it shares with its neighbours.
    pub profile: Option<SampleHeads>,
    /// A window's recall by its place, `[L, heads][places]`; none where the session keeps too few queries.
    pub places: Option<Vec<Vec<PlacedRecall>>>,
}

/// How alike a window's queries are to the decode stage's.
#[derive(Debug, Clone)]
pub struct QueryNumbers {
    /// The window.
    pub label: String,
    /// H.
    pub heads: usize,
    /// Pairs of rows.
    pub rows: usize,
    /// Mean position of the window's rows minus that of the decode steps.
    pub position_gap: f64,
    /// Mean cosine before the rotary embedding, `[L, H]`; none where the session does not say which it was.
    pub before_rotation: Option<Vec<f64>>,
    /// After it.
    pub after_rotation: Vec<f64>,
}

impl Answers {
    pub(super) fn of(
        captured: &CapturedSample,
        measured: &MeasuredSample,
        asking: Asking<'_>,
    ) -> Result<Self> {
        let mut queries = Vec::new();
        if asking.is_asked(Question::Queries) {
            for window in captured.windows() {
                queries.extend(QueryNumbers::of(captured, window, asking)?);
            }
        }
        let tokens = asking.tokens(captured.record.prompt_ids.len());
        let profile = || {
            let on_head: OnHead<'_> = &mut |_, _| Ok(());
            sample_heads(captured, measured, asking.options, &tokens, on_head)
        };
        let is_profiled = asking.is_asked(Question::Profile);
        let places = match asking.is_asked(Question::Places) {
            true => sweep_places(
                captured,
                asking.options,
                asking.questions.sweep,
                &tokens,
                &mut |_, _| Ok(()),
            )?,
            false => None,
        };
        Ok(Self {
            queries,
            profile: is_profiled.then(profile).transpose()?,
            places,
        })
    }

    pub(super) fn append(&mut self, behind: Self) {
        for (own, behind) in self.queries.iter_mut().zip(behind.queries) {
            own.after_rotation.extend(behind.after_rotation);
            if let (Some(own), Some(behind)) = (&mut own.before_rotation, behind.before_rotation) {
                own.extend(behind);
            }
        }
        if let (Some(own), Some(behind)) = (&mut self.profile, behind.profile) {
            own.append(behind);
        }
        if let (Some(own), Some(behind)) = (&mut self.places, behind.places) {
            own.extend(behind);
        }
    }
}

impl QueryNumbers {
    fn of(
        captured: &CapturedSample,
        window: &Observation,
        asking: Asking<'_>,
    ) -> Result<Option<Self>> {
        let Some(queries) = window_queries(captured, window, asking.rope)? else {
            return Ok(None);
        };
        let rows = window.query_rows();
        let heads = rows.and_then(|rows| rows.queries().dim(1).ok());
        let before = queries.before_rotation.as_ref();
        Ok(Some(Self {
            label: window.label().to_owned(),
            heads: heads.unwrap_or(1),
            rows: queries.rows,
            position_gap: queries.position_gap,
            before_rotation: before.map(|cosine| cosine.by_head()),
            after_rotation: queries.after_rotation.by_head(),
        }))
    }
}
