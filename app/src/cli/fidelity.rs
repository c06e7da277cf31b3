//! `kvlens fidelity`: evict by each window, decode, and see what became of the output.

mod arguments;
mod model;
mod relation;
mod tables;
mod text;

use std::path::PathBuf;

use anyhow::{Context, Result};
use kvlens_analysis::Budget;
use kvlens_analysis::allocation::{ADAPTIVE_FLOOR, PYRAMID_BETA};
use kvlens_sessions::model::{DeviceChoice, DtypeChoice, Model, ModelSource};
use kvlens_sessions::{CancelFlag, Session, SessionError};
use serde::Serialize;

pub use arguments::FidelityArguments;

use super::budgets::{SampleBudgets, distinct};
use super::failure::Failure;
use super::folders::check_can_create;
use super::found_sessions::open_sessions;
use super::interrupt::cancel_on_interrupt;
use super::measure::refuse_useless_budgets;
use super::model_names::ModelNames;
use super::output;
use super::progress::Progress;
use super::provenance::Provenance;
use super::tables::sample_context;
use super::warnings::{SampleFacts, Warnings};
use crate::measurement::fidelity::collected::{Collected, Group};
use crate::measurement::fidelity::{EvictionPlan, SampleRun};
use arguments::Allocation;
use model::ModelLoader;
use relation::relations;
use tables::FidelityTables;

/// What the columns are, in words that go with the figures.
const DEFINITION: &str = "the prompt is prefilled on the full cache; each head keeps forced-keep tokens, then the \
     top of the window's ranking, up to the budget, at their positions; token i of the session's generation is \
     fed at position T + i on the full and on the evicted cache, and the distributions of the next token are \
     compared; the first token's distribution comes out of the prompt and is not compared";

/// Runs the command.
///
/// # Errors
/// Bad input, an interrupt, tables that could not be written.
pub fn run(arguments: &FidelityArguments) -> Result<()> {
    let job = FidelityJob {
        sessions: arguments.sessions.clone(),
        out: arguments.out.clone(),
        budgets: distinct(&arguments.budgets),
        plan: EvictionPlan {
            options: arguments.options()?,
            allocation: arguments.allocation.kind(),
            decode: arguments.decode,
        },
        allocation: arguments.allocation,
        limit: arguments.limit.unwrap_or(usize::MAX),
        model: arguments.model.clone(),
        device: arguments.device,
        dtype: arguments.dtype,
    };
    let text = job.run(&cancel_on_interrupt()?)?;
    output::print(&format!(
        "{text}\nTables written: {}\n",
        arguments.out.display()
    ))
}

/// A fidelity run with where it goes.
struct FidelityJob {
    sessions: Vec<PathBuf>,
    out: PathBuf,
    /// Each once.
    budgets: Vec<Budget>,
    plan: EvictionPlan,
    /// As it was typed.
    allocation: Allocation,
    /// Samples of each session at most.
    limit: usize,
    model: Option<ModelSource>,
    device: DeviceChoice,
    dtype: Option<DtypeChoice>,
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

impl FidelityJob {
    /// Evicts and decodes every finished sample, writes the tables, and gives the text for stdout.
    ///
    /// Samples that are finished when the run is stopped, or fails, are kept.
    fn run(&self, cancel: &CancelFlag) -> Result<String> {
        check_can_create(&self.out)?;
        let sessions = open_sessions(&self.sessions)?;
        refuse_useless_budgets(&sessions, &self.budgets)?;
        let mut run = Run {
            job: self,
            model_names: ModelNames::of(&sessions),
            tables: FidelityTables::begin(&self.out, &self.provenance(&sessions)?)?,
            collected: Collected::new(&self.budgets),
            warnings: Warnings::default(),
            progress: Progress::begin("fidelity")?,
            count: sessions
                .iter()
                .map(|session| self.samples_of(session))
                .sum(),
            done: 0,
            cancel,
        };
        let outcome = run.all(&sessions);
        run.finish(outcome)
    }

    fn samples_of(&self, session: &Session) -> usize {
        session.sample_count().min(self.limit)
    }

    fn provenance(&self, sessions: &[Session]) -> Result<String> {
        let provenance = FidelityProvenance {
            measured: Provenance::new(sessions, &self.budgets, &self.plan.options)?,
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
        serde_json::to_string(&provenance)
            .context("the provenance of the tables cannot be written as JSON")
    }
}

struct Run<'a> {
    job: &'a FidelityJob,
    model_names: ModelNames,
    tables: FidelityTables,
    collected: Collected,
    warnings: Warnings,
    progress: Progress,
    count: usize,
    done: usize,
    cancel: &'a CancelFlag,
}

impl Run<'_> {
    fn all(&mut self, sessions: &[Session]) -> Result<()> {
        let job = self.job;
        let mut models = ModelLoader::new(job.model.clone(), job.device, job.dtype);
        for session in sessions {
            let model = models.model(session)?;
            for index in 0..job.samples_of(session) {
                self.cancel.check()?;
                self.sample(session, index, model)?;
                self.done += 1;
            }
        }
        Ok(())
    }

    fn sample(&mut self, session: &Session, index: usize, model: &Model) -> Result<()> {
        let captured = session.load_sample(index)?;
        let record = &captured.record;
        self.progress.sample(self.done, self.count, &record.id);
        let facts = SampleFacts {
            id: &record.id,
            prompt_tokens: record.prompt_ids.len(),
            decode_tokens: record.generated_ids.len(),
        };
        let budgets = SampleBudgets::new(&self.job.budgets, facts.prompt_tokens);
        self.warnings
            .of_budgets(facts, &budgets.left_out, &self.progress);
        self.warnings.of_decode_stage(facts, &self.progress);
        let (plan, decode) = (&self.job.plan, &session.manifest().plan.decode);
        let windows =
            SampleRun::begin(plan, decode, model, record, self.cancel, &mut self.progress)
                .and_then(|run| run.run(&captured, &budgets.applying))
                .with_context(|| format!("sample '{}'", record.id))?;
        let context = sample_context(session, self.model_names.name(session), record);
        self.tables
            .add(&context, record, self.job.allocation, &windows)?;
        let group = Group {
            session: context.session,
            model: context.model,
            task: context.task,
            question_place: record.question_place,
        };
        self.collected.add(group, facts.prompt_tokens, &windows);
        Ok(())
    }

    /// Publishes what there is of the tables and gives the text for stdout, or why the run ended early.
    fn finish(self, outcome: Result<()>) -> Result<String> {
        self.warnings.end(&self.progress);
        self.progress.end();
        let (done, count, out) = (self.done, self.count, self.job.out.display());
        if done > 0 {
            self.tables.publish(&relations(&self.collected)?)?;
        }
        let kept = match done {
            0 => "no sample was finished, and no table was written or changed".to_owned(),
            _ => format!("the tables hold the {done} of {count} samples that were finished: {out}"),
        };
        match outcome {
            Ok(()) => text::text(&self.collected),
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

fn is_cancelled(error: &anyhow::Error) -> bool {
    let mut links = error.chain();
    links.any(|link| matches!(link.downcast_ref(), Some(SessionError::Cancelled)))
}
