//! The tables that `measure --also` asks for: when and where a window foresees, how alike its queries are
//! to the decode stage's, and what other allocations of the budget keep.

use std::path::{Path, PathBuf};

use anyhow::Result;
use kvlens_analysis::Budget;
use kvlens_analysis::profile::head_profiles;
use kvlens_analysis::tables::{
    AllocationRow, AllocationTable, DriftRow, DriftTable, PlaceRow, PlaceTable, ProfileTable,
    QueryRow, QueryTable, SampleContext, TableOutput, WindowHead, profile_rows,
};
use kvlens_sessions::model::RopeConfig;
use kvlens_sessions::{CapturedSample, Observation};

use super::tables::{clamped, finish};
use crate::measurement::allocations::{AllocationKind, allocate};
use crate::measurement::drift::{HeadDrift, window_drift};
use crate::measurement::places::{Sweep, sweep_places};
use crate::measurement::queries::window_queries;
use crate::measurement::{MeasureOptions, MeasuredSample, MeasuredWindow};

/// A further question, which has a table of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Question {
    /// drift.parquet: recall by decode step and by horizon
    Drift,
    /// place.parquet: recall against where a window of W queries sits, from the prompt into the generation
    Places,
    /// query.parquet: cosine of pseudo and decode queries, before and after the rotary embedding
    Queries,
    /// allocation.parquet: pyramid and head-adaptive budgets beside the uniform one
    Allocation,
    /// profile.parquet: what every head is like, by where the decode stage's attention falls
    Profile,
}

impl Question {
    /// Every question.
    pub const ALL: [Self; 5] = [
        Self::Drift,
        Self::Places,
        Self::Queries,
        Self::Allocation,
        Self::Profile,
    ];

    /// How it is written.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Drift => "drift",
            Self::Places => "places",
            Self::Queries => "queries",
            Self::Allocation => "allocation",
            Self::Profile => "profile",
        }
    }

    /// Its table, and what stands in it.
    #[must_use]
    pub fn summary(self) -> &'static str {
        match self {
            Self::Drift => "drift.parquet: recall by decode step and by horizon",
            Self::Places => {
                "place.parquet: recall against where a window of W queries sits, from the prompt into the generation"
            }
            Self::Queries => {
                "query.parquet: cosine of pseudo and decode queries, before and after the rotary embedding"
            }
            Self::Allocation => {
                "allocation.parquet: pyramid and head-adaptive budgets beside the uniform one"
            }
            Self::Profile => {
                "profile.parquet: what every head is like, by where the decode stage's attention falls"
            }
        }
    }
}

/// What is asked beyond recall.
#[derive(Debug, Clone)]
pub struct Questions {
    /// Each has a table.
    pub asked: Vec<Question>,
    /// How a window is swept for [`Question::Places`].
    pub sweep: Sweep,
}

/// The open tables, one for each question.
pub struct QuestionTables {
    drift: Option<TableOutput<DriftTable>>,
    place: Option<TableOutput<PlaceTable>>,
    query: Option<TableOutput<QueryTable>>,
    allocation: Option<TableOutput<AllocationTable>>,
    profile: Option<TableOutput<ProfileTable>>,
    sweep: Sweep,
}

/// A sample in every form that a question needs.
#[derive(Clone, Copy)]
pub struct AskedSample<'a> {
    /// The sample in the tables.
    pub context: &'a SampleContext,
    /// Its tensors.
    pub captured: &'a CapturedSample,
    /// Its measurement.
    pub measured: &'a MeasuredSample,
    /// How it was measured.
    pub options: &'a MeasureOptions,
    /// The model's rotary embedding, if the session says it.
    pub rope: Option<&'a RopeConfig>,
    /// Budgets that apply to its prompt, as they were typed.
    pub budgets: &'a [Budget],
}

impl AskedSample<'_> {
    /// Every budget with its tokens.
    fn budgets(&self) -> impl Iterator<Item = (Budget, usize)> {
        let prompt_tokens = self.captured.record.prompt_ids.len();
        let budgets = self.budgets.iter();
        budgets.map(move |&budget| (budget, budget.tokens(prompt_tokens)))
    }

    fn tokens(&self) -> Vec<usize> {
        self.budgets().map(|(_, tokens)| tokens).collect()
    }
}

impl QuestionTables {
    /// Opens the table of every question that was asked.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub fn begin(
        folder: &Path,
        provenance: &str,
        csv: bool,
        questions: &Questions,
    ) -> Result<Self> {
        let asked = |question| questions.asked.contains(&question);
        Ok(Self {
            drift: asked(Question::Drift)
                .then(|| TableOutput::create(folder, provenance, csv))
                .transpose()?,
            place: asked(Question::Places)
                .then(|| TableOutput::create(folder, provenance, csv))
                .transpose()?,
            query: asked(Question::Queries)
                .then(|| TableOutput::create(folder, provenance, csv))
                .transpose()?,
            allocation: asked(Question::Allocation)
                .then(|| TableOutput::create(folder, provenance, csv))
                .transpose()?,
            profile: asked(Question::Profile)
                .then(|| TableOutput::create(folder, provenance, csv))
                .transpose()?,
            sweep: questions.sweep,
        })
    }

    /// Adds the answers for one sample. Says whether every question could be put to it.
    ///
    /// # Errors
    /// What the numerics refuse; a file that cannot be written.
    pub fn add(&mut self, sample: AskedSample<'_>) -> Result<bool> {
        for window in &sample.measured.windows {
            if let Some(table) = &mut self.drift {
                for observed in window.observations() {
                    write_drift(table, sample, observed)?;
                }
            }
            if let Some(table) = &mut self.allocation {
                write_allocation(table, sample, window)?;
            }
        }
        if let Some(table) = &mut self.query {
            for window in sample.captured.windows() {
                write_queries(table, sample, window)?;
            }
        }
        if let Some(table) = &mut self.profile {
            let mass = &sample.measured.decode_mass;
            let evidence = &sample.captured.record.evidence_tokens;
            let profiles = head_profiles(mass, evidence);
            table.write(&profile_rows(sample.context, mass, &profiles))?;
        }
        match &mut self.place {
            Some(table) => write_places(table, sample, self.sweep),
            None => Ok(true),
        }
    }

    /// Completes every file and adds their names.
    ///
    /// # Errors
    /// When a file cannot be completed.
    pub fn finish(self, csv: bool, names: &mut Vec<PathBuf>) -> Result<()> {
        self.drift
            .map_or(Ok(()), |table| finish(table, csv, names))?;
        self.place
            .map_or(Ok(()), |table| finish(table, csv, names))?;
        self.query
            .map_or(Ok(()), |table| finish(table, csv, names))?;
        self.allocation
            .map_or(Ok(()), |table| finish(table, csv, names))?;
        self.profile
            .map_or(Ok(()), |table| finish(table, csv, names))
    }
}

fn write_drift(
    table: &mut TableOutput<DriftTable>,
    sample: AskedSample<'_>,
    window: &MeasuredWindow,
) -> Result<()> {
    let drift = window_drift(
        sample.captured,
        sample.options,
        window,
        &sample.tokens(),
        &mut |_, _| Ok(()),
    )?;
    let (heads, kind) = (window.comparison.heads, window.comparison.head_kind);
    for (index, by_head) in drift.by_head.iter().enumerate() {
        let HeadDrift {
            by_step,
            by_horizon,
        } = by_head;
        let steps = by_step
            .iter()
            .zip(1..)
            .map(|(recall, step)| ("step", step, recall));
        let horizons = by_horizon.iter().zip(drift.horizons.iter().copied());
        let horizons = horizons.map(|(recall, step)| ("horizon", step, recall));
        let rows: Vec<DriftRow<'_>> = steps
            .chain(horizons)
            .flat_map(|(part, step, recall)| {
                let points = sample.budgets().zip(recall);
                points.map(move |((budget, tokens), &recall)| DriftRow {
                    sample: sample.context,
                    head: WindowHead::at(&window.label, index, heads, kind),
                    part,
                    step: clamped(step),
                    budget,
                    budget_tokens: clamped(tokens),
                    recall: Some(recall),
                })
            })
            .collect();
        table.write(&rows)?;
    }
    Ok(())
}

fn write_allocation(
    table: &mut TableOutput<AllocationTable>,
    sample: AskedSample<'_>,
    window: &MeasuredWindow,
) -> Result<()> {
    let (heads, head_kind) = (window.comparison.heads, window.comparison.head_kind);
    let label = &window.label;
    for kind in AllocationKind::ALL {
        for (budget, budget_tokens) in sample.budgets() {
            let Some(window) = window.at(budget_tokens) else {
                continue;
            };
            let kept = allocate(sample.measured, window, kind, budget_tokens)?;
            let rows: Vec<AllocationRow<'_>> = kept
                .into_iter()
                .enumerate()
                .map(|(index, kept)| AllocationRow {
                    sample: sample.context,
                    head: WindowHead::at(label, index, heads, head_kind),
                    allocation: kind.name(),
                    budget,
                    budget_tokens: clamped(budget_tokens),
                    tokens: clamped(kept.tokens),
                    recall: Some(kept.recall),
                    kept_recall: Some(kept.kept_recall),
                    hit_rate: Some(kept.hit_rate),
                    selected_mass: Some(kept.selected_mass),
                })
                .collect();
            table.write(&rows)?;
        }
    }
    Ok(())
}

fn write_queries(
    table: &mut TableOutput<QueryTable>,
    sample: AskedSample<'_>,
    window: &Observation,
) -> Result<()> {
    let Some(queries) = window_queries(sample.captured, window, sample.rope)? else {
        return Ok(());
    };
    let heads = window
        .query_rows()
        .and_then(|rows| rows.queries().dim(1).ok())
        .unwrap_or(1);
    let before = queries
        .before_rotation
        .as_ref()
        .map(|cosine| cosine.by_head());
    let rows: Vec<QueryRow<'_>> = queries
        .after_rotation
        .by_head()
        .into_iter()
        .enumerate()
        .map(|(index, cosine_after_rotation)| QueryRow {
            sample: sample.context,
            window: window.label(),
            layer: clamped(index / heads),
            head: clamped(index % heads),
            rows: clamped(queries.rows),
            position_gap: queries.position_gap,
            cosine_before_rotation: before
                .as_ref()
                .and_then(|before| before.get(index).copied()),
            cosine_after_rotation: Some(cosine_after_rotation),
        })
        .collect();
    Ok(table.write(&rows)?)
}

fn write_places(
    table: &mut TableOutput<PlaceTable>,
    sample: AskedSample<'_>,
    sweep: Sweep,
) -> Result<bool> {
    let places = sweep_places(
        sample.captured,
        sample.options,
        sweep,
        &sample.tokens(),
        &mut |_, _| Ok(()),
    )?;
    let Some(places) = places else {
        return Ok(false);
    };
    // the sweep has the heads of the truth, as every window has
    let truth = &sample.measured.truth.rankings;
    let (heads, head_kind) = (truth.heads(), truth.head_kind());
    for (index, by_place) in places.iter().enumerate() {
        let rows: Vec<PlaceRow<'_>> = by_place
            .iter()
            .flat_map(|place| {
                let points = sample.budgets().zip(&place.recall).zip(&place.visible);
                points.map(move |(((budget, tokens), &recall), &visible)| PlaceRow {
                    sample: sample.context,
                    width: clamped(sweep.width),
                    layer: clamped(index / heads),
                    head: clamped(index % heads),
                    head_kind,
                    last_position: clamped(place.last_position),
                    budget,
                    budget_tokens: clamped(tokens),
                    recall: Some(recall),
                    visible: Some(visible),
                })
            })
            .collect();
        table.write(&rows)?;
    }
    Ok(true)
}
