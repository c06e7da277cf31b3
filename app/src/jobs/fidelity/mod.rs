//! Evicting by each window of captured sessions, decoding, and what became of the output: into tables.

mod relation;
mod sample;
mod state;
mod tables;

use std::fmt;
use std::path::PathBuf;

use anyhow::{Result, bail};
use kvlens_analysis::Budget;
use kvlens_analysis::allocation::{ADAPTIVE_FLOOR, PYRAMID_BETA};
use kvlens_analysis::needle::NeedleGrids;
use kvlens_sessions::model::{DeviceChoice, DtypeChoice, Model, ModelSource};
use kvlens_sessions::{Session, StartMode};
use serde::Serialize;

use super::failure::{Failure, is_cancelled, refuse_contradiction};
use super::folders::{Staging, check_output_folder};
use super::found_sessions::{open_sessions, refuse_useless_budgets, sample_key};
use super::left_out::LeftOut;
use super::measure::sample_context;
use super::model_names::ModelNames;
use super::models::{Models, NoSessionModel, WhyNoModel};
use super::provenance::{Provenance, to_json};
use super::{Cancel, SampleFacts, Warnings, Watch};
use crate::measurement::allocations::AllocationKind;
use crate::measurement::fidelity::EvictionPlan;
use crate::measurement::fidelity::answers::SampleAnswers;
use crate::measurement::fidelity::summary::Evictions;
use crate::measurement::needle::{add_evictions, needle_place};

pub use relation::{Over, Relation, relations};
pub use sample::SampleEvictions;

use state::{Begun, FidelityState, SamplePlace, is_written};
use tables::FidelityTables;

/// What the columns are, in words that go with the figures.
const DEFINITION: &str = "the prompt is prefilled on the full cache; each head keeps forced-keep tokens, then the \
     top of the window's ranking, up to the budget, at their positions; token i of the session's generation is \
     fed at position T + i on the full and on the evicted cache, and the distributions of the next token are \
     compared; the first token's distribution comes out of the prompt and is not compared. Caches are evicted by the \
     methods as published; recall is that of their queries, which are scored as the decode stage is";

/// How a budget is shared out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Allocation {
    /// The same for every head.
    #[default]
    Uniform,
    /// More for the lower layers.
    Pyramid,
    /// More, within a layer, for the heads with the larger scores.
    Adaptive,
}

impl Allocation {
    /// Every allocation.
    pub const ALL: [Self; 3] = [Self::Uniform, Self::Pyramid, Self::Adaptive];

    /// How it is written.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Uniform => "uniform",
            Self::Pyramid => "pyramid",
            Self::Adaptive => "adaptive",
        }
    }

    /// What it does, in words.
    #[must_use]
    pub fn summary(self) -> &'static str {
        match self {
            Self::Uniform => "The same for every head",
            Self::Pyramid => "More for the lower layers",
            Self::Adaptive => "More, within a layer, for the heads with the larger scores",
        }
    }

    /// What the word means.
    #[must_use]
    pub fn kind(self) -> AllocationKind {
        match self {
            Self::Uniform => AllocationKind::Uniform,
            Self::Pyramid => AllocationKind::Pyramid,
            Self::Adaptive => AllocationKind::HeadAdaptive,
        }
    }
}

impl fmt::Display for Allocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A fidelity run with where it goes.
pub struct FidelityRequest {
    /// Session folders, or folders of sessions.
    pub sessions: Vec<PathBuf>,
    /// The folder of the tables.
    pub out: PathBuf,
    /// Each once.
    pub budgets: Vec<Budget>,
    /// How to score, rank, share out and decode.
    pub plan: EvictionPlan,
    /// The allocation of the plan, as it was asked for.
    pub allocation: Allocation,
    /// Samples of each session at most.
    pub limit: usize,
    /// The model, in place of where a session found its own.
    pub model: Option<ModelSource>,
    /// Where it runs.
    pub device: DeviceChoice,
    /// Its number format, in place of that of a session's plan.
    pub dtype: Option<DtypeChoice>,
    /// What to do with a run that was stopped.
    pub start: StartMode,
    /// The words that the tables name as their command.
    pub command: Vec<String>,
}

/// What the tables need to be made again, beyond what a measurement needs.
#[derive(Serialize)]
struct FidelityProvenance<'a> {
    #[serde(flatten)]
    measured: Provenance<'a>,
    fidelity: Eviction<'a>,
}

#[derive(Serialize)]
struct Eviction<'a> {
    definition: &'static str,
    allocation: Allocation,
    pyramid_beta: f64,
    adaptive_floor: f64,
    decode: Option<usize>,
    model: Option<&'a ModelSource>,
    device: DeviceChoice,
    dtype: Option<DtypeChoice>,
}

/// What a run gives besides its tables.
#[derive(Default)]
pub struct Evicted {
    /// The figures that the tables hold.
    pub evictions: Evictions,
    /// The answers of the first sample of each group.
    pub answers: Vec<SampleAnswers>,
    /// The scores of samples of needle grids.
    pub needles: NeedleGrids,
}

/// What a run did.
pub struct Finished {
    /// What its tables tell; nothing where a run to go on with was done.
    pub evicted: Option<Evicted>,
    /// Samples that are in no table, because their files are missing or damaged.
    pub left_out: LeftOut,
}

/// Evicts and decodes every finished sample that can be read and writes the tables.
///
/// Samples that are finished when the run is stopped, or fails, are kept in the tables. Every budget of every window is
/// kept beside them as soon as it is made, and not made again by a run that goes on; what is written in the end is, to
/// the last bit, what a run writes that nobody stopped.
///
/// # Errors
/// Bad input; no sample that can be read; a model that is not the session's; [`Failure::Interrupted`] after a cancel.
pub fn run(
    request: &FidelityRequest,
    models: &mut Models,
    watch: &mut dyn Watch,
    cancel: &Cancel,
) -> Result<Finished> {
    refuse_contradiction(&request.plan.options)?;
    check_output_folder(&request.out)?;
    let sessions = open_sessions(&request.sessions)?.tell(&*watch);
    refuse_useless_budgets(&sessions, &request.budgets)?;
    let count = sessions.iter().map(|one| request.samples_of(one)).sum();
    let begun = Begun {
        provenance: request.provenance(&sessions)?,
        session_sha256: sessions
            .iter()
            .map(Session::sha256)
            .collect::<Result<_, _>>()?,
        limit: request.limit,
    };
    // before the state, which lies beside the folder that it makes
    let staging = Staging::begin(&request.out)?;
    let state = FidelityState::begin(&request.out, request.start, begun)?;
    let mut left_out = LeftOut::default();
    if request.start == StartMode::Resume
        && !state.holds_something()
        && is_written(&request.out, state.provenance(), || {
            request.contents(&sessions, &mut left_out)
        })?
    {
        return Ok(Finished {
            evicted: None,
            left_out,
        });
    }
    let mut run = Run {
        job: request,
        model_names: ModelNames::of(&sessions),
        tables: FidelityTables::begin(staging, state.provenance())?,
        state,
        evicted: Evicted::default(),
        left_out: LeftOut::default(),
        warnings: Warnings::default(),
        progress: watch,
        count,
        done: 0,
        cancel,
    };
    let outcome = run.all(&sessions, models);
    run.finish(outcome)
}

impl FidelityRequest {
    fn samples_of(&self, session: &Session) -> usize {
        session.sample_count().min(self.limit)
    }

    /// What names the content of every sample that can be read, in their order.
    fn contents(&self, sessions: &[Session], left_out: &mut LeftOut) -> Result<Vec<String>> {
        let mut contents = Vec::new();
        for session in sessions {
            for index in 0..self.samples_of(session) {
                match session.check_sample(index) {
                    Ok(header) => contents.push(sample_key(session, &header.record).content),
                    Err(error) => drop(left_out.add(session, index, &error)),
                }
            }
        }
        Ok(contents)
    }

    fn session_model<'m>(
        &self,
        models: &'m mut Models,
        session: &Session,
        cancel: &Cancel,
    ) -> Result<&'m Model> {
        let plan = &session.manifest().plan;
        let sources = [self.model.as_ref().unwrap_or(&plan.model).clone()];
        let dtype = self.dtype.unwrap_or(plan.dtype);
        models
            .of_session(session, &sources, self.device, dtype, cancel)
            .map_err(|refused| self.refusal(session, refused))
    }

    fn refusal(&self, session: &Session, refused: NoSessionModel) -> anyhow::Error {
        match refused.why {
            WhyNoModel::NotLoaded(error) if is_cancelled(&error) => error,
            WhyNoModel::NotLoaded(error) => error.context(match self.model {
                Some(_) => "the model cannot be used".to_owned(),
                None => format!(
                    "the model that session '{}' was captured with cannot be loaded again; say where it is by --model",
                    session.name()
                ),
            }),
            WhyNoModel::Differs(part) => Failure::BadInput(format!(
                "the model has other {part} than '{}', which session '{}' was captured with; give that one by \
                 --model: {}",
                session.manifest().model.name,
                session.name(),
                refused.source
            ))
            .into(),
        }
    }

    fn provenance(&self, sessions: &[Session]) -> Result<String> {
        let provenance = FidelityProvenance {
            measured: Provenance::new(sessions, &self.budgets, &self.plan.options)?
                .of_command(Some(&self.command)),
            fidelity: Eviction {
                definition: DEFINITION,
                allocation: self.allocation,
                pyramid_beta: PYRAMID_BETA,
                adaptive_floor: ADAPTIVE_FLOOR,
                decode: self.plan.decode,
                model: self.model.as_ref(),
                device: self.device,
                dtype: self.dtype,
            },
        };
        to_json(&provenance)
    }
}

struct Run<'a> {
    job: &'a FidelityRequest,
    model_names: ModelNames,
    // before the tables, whose folders can only be removed once its lock is: fields are dropped in this order
    state: FidelityState,
    tables: FidelityTables,
    evicted: Evicted,
    left_out: LeftOut,
    warnings: Warnings,
    progress: &'a mut dyn Watch,
    count: usize,
    /// Samples that are in the tables.
    done: usize,
    cancel: &'a Cancel,
}

impl Run<'_> {
    fn all(&mut self, sessions: &[Session], models: &mut Models) -> Result<()> {
        let job = self.job;
        for (number, session) in sessions.iter().enumerate() {
            let indices = 0..job.samples_of(session);
            let is_needed = indices
                .clone()
                .any(|index| !self.state.is_done((number, index)));
            let model = match is_needed {
                true => Some(job.session_model(models, session, self.cancel)?),
                false => None,
            };
            for index in indices {
                self.cancel.check()?;
                self.sample(session, (number, index), model)?;
            }
        }
        Ok(())
    }

    /// `model` is there unless all samples of the session were finished by an earlier run.
    fn sample(
        &mut self,
        session: &Session,
        place: SamplePlace,
        model: Option<&Model>,
    ) -> Result<()> {
        let found = session.load_sample(place.1);
        let (left_out, sample) = (&mut self.left_out, (session, place.1));
        let Some(captured) = left_out.or_leave_out(found, sample, self.count, &*self.progress)?
        else {
            return Ok(());
        };
        let record = &captured.record;
        let before = self.done + self.left_out.count();
        self.progress.sample(before, self.count, &record.id);
        let facts = SampleFacts {
            id: &record.id,
            prompt_tokens: record.prompt_ids.len(),
            decode_tokens: record.generated_ids.len(),
        };
        let evictions = SampleEvictions::new(session, &captured, &self.job.budgets);
        self.warnings
            .of_budgets(facts, evictions.left_out(), &*self.progress);
        self.warnings.of_decode_stage(facts, &*self.progress);
        let exempt = self.job.plan.options.exempt.count(facts.prompt_tokens);
        self.warnings.of_exempt(facts, exempt, &*self.progress);
        let windows = match (self.state.done(place), model) {
            (Some(windows), _) => windows,
            (None, Some(model)) => {
                let mut made = self.state.of_sample(place);
                let plan = &self.job.plan;
                evictions.run(plan, model, |_| true, &mut made, self.progress, self.cancel)?;
                made.end()?
            }
            (None, None) => bail!("sample '{}' has no model to run on", record.id),
        };
        let key = sample_key(session, record);
        let context = sample_context(session, self.model_names.name(session), record, &key);
        self.tables
            .add(&context, record, self.job.allocation, &windows)?;
        let group = context.group();
        let evicted = &mut self.evicted;
        let tokens = facts.prompt_tokens;
        evicted
            .evictions
            .add(&group, &key.content, tokens, &windows);
        if let Some(place) = needle_place(record) {
            add_evictions(&mut evicted.needles, &group, &key.content, place, &windows);
        }
        if evicted.answers.iter().all(|known| known.group != group) {
            let answers = SampleAnswers::of(group, facts.id, &windows);
            evicted.answers.extend(answers);
        }
        self.done += 1;
        Ok(())
    }

    /// Publishes what there is of the tables and gives the figures, or why the run ended early.
    fn finish(self, outcome: Result<()>) -> Result<Finished> {
        self.warnings.end(&*self.progress);
        let (done, count, out) = (self.done, self.count, self.job.out.display());
        if done > 0 {
            self.tables.publish(&self.evicted)?;
        }
        let go_on = match self.state.holds_something() {
            true => "; go on with the same command and --resume",
            false => "",
        };
        let kept = match done {
            0 => format!("no sample was finished, and no table was written or changed{go_on}"),
            _ => format!(
                "the tables hold the {done} of {count} samples that were finished{go_on}: {out}"
            ),
        };
        match outcome {
            Ok(()) => {
                self.state.end()?;
                Ok(Finished {
                    evicted: Some(self.evicted),
                    left_out: self.left_out,
                })
            }
            Err(error) if is_cancelled(&error) => {
                Err(Failure::Interrupted(format!("stopped; {kept}")).into())
            }
            Err(error) => Err(match done {
                0 => error,
                _ => error.context(kept),
            }),
        }
    }
}
