//! The tables that `measure --also` asks for: when and where a window foresees, how alike its queries are
//! to the decode stage's, and what other allocations of the budget keep.

use std::path::{Path, PathBuf};

use anyhow::Result;
use kvlens_analysis::collection::HeadShape;
use kvlens_analysis::drift::PlacedRecall;
use kvlens_analysis::profile::{ProfileSamples, SampleProfile};
use kvlens_analysis::tables::{
    AllocationRow, AllocationTable, DecodeEvictionTable, DriftRow, DriftTable, NeighbourTable,
    PlaceRow, PlaceTable, ProfileStabilityTable, ProfileTable, QueryRow, QueryTable, SampleContext,
    TableOutput, WindowHead, decode_eviction_rows, neighbour_rows, profile_rows,
    profile_stability_rows,
};
use kvlens_analysis::{Budget, Comparison};

use super::DEFAULT_SWEEP;
use super::numbers::{ObservedNumbers, QueryNumbers, SampleNumbers, WindowNumbers};
use super::tables::{clamped, finish};
use crate::measurement::decode_eviction::{DecodeRankings, RankedSample, USUAL_EVERY};
use crate::measurement::drift::HeadDrift;
use crate::measurement::places::Sweep;

/// A further question, which has a table of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Question {
    /// drift.parquet: recall and output error by decode step and by horizon
    Drift,
    /// place.parquet: recall against where a window of W queries sits, from the prompt into the generation
    Places,
    /// query.parquet: cosine of pseudo and decode queries, before and after the rotary embedding
    Queries,
    /// allocation.parquet: pyramid and head-adaptive budgets beside the uniform one
    Allocation,
    /// profile.parquet: what every head is like; neighbour.parquet: what it shares with the next step, the layer below and its group; profile_stability.parquet: both over samples
    Profile,
    /// decode_eviction.parquet: how well the cache, prompt and generated tokens, is ranked while it decodes
    DecodeEviction,
}

impl Question {
    /// Every question.
    pub const ALL: [Self; 6] = [
        Self::Drift,
        Self::Places,
        Self::Queries,
        Self::Allocation,
        Self::Profile,
        Self::DecodeEviction,
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
            Self::DecodeEviction => "decode-eviction",
        }
    }

    /// Its table, and what stands in it.
    #[must_use]
    pub fn summary(self) -> &'static str {
        match self {
            Self::Drift => "drift.parquet: recall and output error by decode step and by horizon",
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
                "profile.parquet: what every head is like; neighbour.parquet: what it shares with the next step, the layer below and its group; profile_stability.parquet: both over samples"
            }
            Self::DecodeEviction => {
                "decode_eviction.parquet: how well the cache, prompt and generated tokens, is ranked while it decodes"
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
    /// When and by what the cache is ranked for [`Question::DecodeEviction`].
    pub while_decoding: DecodeRankings,
}

impl Questions {
    /// Nothing is asked; everything else as it is where nobody says.
    #[must_use]
    pub fn none() -> Self {
        Self {
            asked: Vec::new(),
            sweep: DEFAULT_SWEEP,
            while_decoding: DecodeRankings::usual(USUAL_EVERY),
        }
    }
}

/// The open tables, one for each question.
pub struct QuestionTables {
    drift: Option<TableOutput<DriftTable>>,
    place: Option<TableOutput<PlaceTable>>,
    query: Option<TableOutput<QueryTable>>,
    allocation: Option<TableOutput<AllocationTable>>,
    profile: Option<ProfileTables>,
    decode_eviction: Option<TableOutput<DecodeEvictionTable>>,
    sweep: Sweep,
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
                .then(|| ProfileTables::begin(folder, provenance, csv))
                .transpose()?,
            decode_eviction: asked(Question::DecodeEviction)
                .then(|| TableOutput::create(folder, provenance, csv))
                .transpose()?,
            sweep: questions.sweep,
        })
    }

    /// Adds the answers for one sample.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub fn add(
        &mut self,
        context: &SampleContext,
        sample: &SampleNumbers,
        budgets: &[Budget],
    ) -> Result<()> {
        for window in &sample.windows {
            if let Some(table) = &mut self.drift {
                for observed in &window.observed {
                    write_drift(table, context, observed, budgets)?;
                }
            }
            if let Some(table) = &mut self.allocation {
                write_allocation(table, context, window)?;
            }
        }
        let answers = &sample.answers;
        if let Some(table) = &mut self.query {
            for window in &answers.queries {
                write_queries(table, context, window)?;
            }
        }
        // profiles and places have the heads of the truth
        let shape = sample.decode.shape();
        let prompt_tokens = sample.decode.prompt_tokens;
        let at = budgets.iter();
        let at = at.map(|&budget| (budget, budget.tokens(prompt_tokens)));
        let at: Vec<(Budget, usize)> = at.collect();
        if let Some(tables) = &mut self.profile {
            tables.add(context, sample, &at)?;
        }
        if let (Some(table), Some(places)) = (&mut self.place, &answers.places) {
            write_places(table, context, (self.sweep, shape, &at), places)?;
        }
        Ok(())
    }

    /// Adds some layers of a sample, from `first_layer` on, whose cache was ranked while it decoded.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub fn add_decode_eviction(
        &mut self,
        context: &SampleContext,
        first_layer: usize,
        (ranked, budgets): (&RankedSample, &[Budget]),
    ) -> Result<()> {
        let Some(table) = &mut self.decode_eviction else {
            return Ok(());
        };
        for (index, steps) in ranked.by_head.iter().enumerate() {
            let place = (first_layer + index / ranked.heads, index % ranked.heads);
            let by = (ranked.rankings.as_slice(), budgets);
            table.write(&decode_eviction_rows(context, place, by, steps))?;
        }
        Ok(())
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
            .map_or(Ok(()), |tables| tables.finish(csv, names))?;
        self.decode_eviction
            .map_or(Ok(()), |table| finish(table, csv, names))
    }
}

/// What every head is like: by itself, beside its neighbours, and over samples.
struct ProfileTables {
    profile: TableOutput<ProfileTable>,
    neighbour: TableOutput<NeighbourTable>,
    stability: TableOutput<ProfileStabilityTable>,
    samples: ProfileSamples,
}

impl ProfileTables {
    fn begin(folder: &Path, provenance: &str, csv: bool) -> Result<Self> {
        Ok(Self {
            profile: TableOutput::create(folder, provenance, csv)?,
            neighbour: TableOutput::create(folder, provenance, csv)?,
            stability: TableOutput::create(folder, provenance, csv)?,
            samples: ProfileSamples::default(),
        })
    }

    fn add(
        &mut self,
        context: &SampleContext,
        sample: &SampleNumbers,
        budgets: &[(Budget, usize)],
    ) -> Result<()> {
        let shape = sample.decode.shape();
        let Some(answers) = &sample.answers.profile else {
            return Ok(());
        };
        let overlaps = answers.neighbours.by_head();
        let rankable = sample.decode.rankable_tokens.as_slice();
        self.profile
            .write(&profile_rows(context, shape, &answers.heads))?;
        let rows = neighbour_rows(context, (shape, rankable), budgets, overlaps);
        self.neighbour.write(&rows)?;
        let group = context.group();
        let typed: Vec<Budget> = budgets.iter().map(|&(budget, _)| budget).collect();
        let sample = SampleProfile {
            content: &context.content,
            shape,
            profiles: &answers.heads,
            budgets: &typed,
            overlaps,
        };
        self.samples.add(group, sample);
        Ok(())
    }

    fn finish(mut self, csv: bool, names: &mut Vec<PathBuf>) -> Result<()> {
        for found in self.samples.stabilities() {
            self.stability.write(&profile_stability_rows(&found))?;
        }
        finish(self.profile, csv, names)?;
        finish(self.neighbour, csv, names)?;
        finish(self.stability, csv, names)
    }
}

fn write_drift(
    table: &mut TableOutput<DriftTable>,
    context: &SampleContext,
    window: &ObservedNumbers,
    budgets: &[Budget],
) -> Result<()> {
    let Some(drift) = &window.drift else {
        return Ok(());
    };
    let Comparison {
        heads,
        head_kind,
        prompt_tokens,
        ..
    } = window.comparison;
    for (index, by_head) in drift.by_head.iter().enumerate() {
        let HeadDrift {
            recall,
            output_error,
        } = by_head;
        let steps = recall.by_step.iter().zip(1..).enumerate();
        let steps =
            steps.map(|(at, (recall, step))| ("step", step, recall, output_error.by_step.get(at)));
        let horizons = recall.by_horizon.iter().zip(&drift.horizons).enumerate();
        let horizons = horizons.map(|(at, (recall, &step))| {
            ("horizon", step, recall, output_error.by_horizon.get(at))
        });
        let rows: Vec<DriftRow<'_>> = steps
            .chain(horizons)
            .flat_map(|(part, step, recall, errors)| {
                let points = budgets.iter().zip(recall).enumerate();
                points.map(move |(at, (&budget, &recall))| DriftRow {
                    sample: context,
                    head: WindowHead::at(&window.label, index, heads, head_kind),
                    part,
                    step: clamped(step),
                    budget,
                    budget_tokens: clamped(budget.tokens(prompt_tokens)),
                    recall: Some(recall),
                    output_error: errors.and_then(|errors| errors.get(at).copied()),
                })
            })
            .collect();
        table.write(&rows)?;
    }
    Ok(())
}

fn write_allocation(
    table: &mut TableOutput<AllocationTable>,
    context: &SampleContext,
    window: &WindowNumbers,
) -> Result<()> {
    let Comparison {
        heads,
        head_kind,
        prompt_tokens,
        ..
    } = window.comparison;
    for allocation in &window.allocations {
        let budget = allocation.budget;
        let rows: Vec<AllocationRow<'_>> = allocation
            .by_head
            .iter()
            .enumerate()
            .map(|(index, kept)| AllocationRow {
                sample: context,
                head: WindowHead::at(&window.label, index, heads, head_kind),
                allocation: allocation.kind.name(),
                budget,
                budget_tokens: clamped(budget.tokens(prompt_tokens)),
                tokens: clamped(kept.tokens),
                recall: Some(kept.recall),
                kept_recall: Some(kept.kept_recall),
                hit_rate: Some(kept.hit_rate),
                selected_mass: Some(kept.selected_mass),
            })
            .collect();
        table.write(&rows)?;
    }
    Ok(())
}

fn write_queries(
    table: &mut TableOutput<QueryTable>,
    context: &SampleContext,
    window: &QueryNumbers,
) -> Result<()> {
    let before = window.before_rotation.as_ref();
    let rows: Vec<QueryRow<'_>> = window
        .after_rotation
        .iter()
        .enumerate()
        .map(|(index, &cosine_after_rotation)| QueryRow {
            sample: context,
            window: &window.label,
            layer: clamped(index / window.heads),
            head: clamped(index % window.heads),
            rows: clamped(window.rows),
            position_gap: window.position_gap,
            cosine_before_rotation: before.and_then(|before| before.get(index).copied()),
            cosine_after_rotation: Some(cosine_after_rotation),
        })
        .collect();
    Ok(table.write(&rows)?)
}

fn write_places(
    table: &mut TableOutput<PlaceTable>,
    context: &SampleContext,
    (sweep, shape, budgets): (Sweep, HeadShape, &[(Budget, usize)]),
    places: &[Vec<PlacedRecall>],
) -> Result<()> {
    for (index, by_place) in places.iter().enumerate() {
        let rows: Vec<PlaceRow<'_>> = by_place
            .iter()
            .flat_map(|place| {
                let points = budgets.iter().zip(&place.recall).zip(&place.visible);
                points.map(move |((&(budget, tokens), &recall), &visible)| PlaceRow {
                    sample: context,
                    width: clamped(sweep.width),
                    layer: clamped(index / shape.heads),
                    head: clamped(index % shape.heads),
                    head_kind: shape.head_kind,
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
    Ok(())
}
