//! `kvlens measure`: every window of captured sessions against the decode stage.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use kvlens_analysis::Budget;
use kvlens_analysis::tables::{ImportanceTable, SampleContext, Table};
use kvlens_sessions::{CancelFlag, CapturedSample, SampleState, Session};

use super::args::MeasureArguments;
use super::budgets::{SampleBudgets, distinct};
use super::cost_table::CostSummary;
use super::failure::Failure;
use super::folders::check_can_create;
use super::interrupt::{cancel_on_interrupt, stop_if_cancelled};
use super::output;
use super::progress::Progress;
use super::provenance::Provenance;
use super::recall_table::{Group, RecallTable};
use super::tables::{Tables, clamped};
use super::warnings::{SampleFacts, Warnings};
use crate::measurement::{MeasureOptions, measure_sample};

/// Runs the command.
///
/// # Errors
/// Bad input, an interrupt, tables that could not be written.
pub fn run(arguments: &MeasureArguments) -> Result<()> {
    let job = MeasureJob {
        sessions: arguments.sessions.clone(),
        out: arguments.out.clone(),
        budgets: distinct(&arguments.budgets),
        options: arguments.scoring.options(),
        importance: arguments.importance,
    };
    let table = job.run(&cancel_on_interrupt()?)?;
    output::print(&format!(
        "{table}Tables written: {}\n",
        arguments.out.display()
    ))
}

/// A measurement with where it goes.
pub struct MeasureJob {
    /// Session folders.
    pub sessions: Vec<PathBuf>,
    /// The folder of the tables.
    pub out: PathBuf,
    /// The asked budgets, each once.
    pub budgets: Vec<Budget>,
    /// How to score and rank.
    pub options: MeasureOptions,
    /// Whether to write every score.
    pub importance: bool,
}

impl MeasureJob {
    /// Measures every finished sample, writes the tables, and gives the recall table's text.
    ///
    /// # Errors
    /// Bad input; [`Failure::Interrupted`] after a cancel; an unwritable table. The output folder
    /// is then as it was.
    pub fn run(&self, cancel: &CancelFlag) -> Result<String> {
        check_can_create(&self.out)?;
        let sessions = open_sessions(&self.sessions)?;
        refuse_useless_budgets(&sessions, &self.budgets)?;
        let provenance = Provenance::new(&sessions, &self.budgets, &self.options)?.to_json()?;
        let mut run = Run {
            job: self,
            tables: Tables::begin(&self.out, &provenance, self.importance)?,
            recall: RecallTable::new(&self.budgets),
            costs: CostSummary::default(),
            warnings: Warnings::default(),
            progress: Progress::begin("measure")?,
        };
        let count = sessions.iter().map(Session::sample_count).sum();
        let mut done = 0;
        for session in &sessions {
            run.warn_about_session(session);
            for index in 0..session.sample_count() {
                stop_if_cancelled(cancel, "stopped; no table was written or changed")?;
                let captured = session.load_sample(index)?;
                run.progress.sample(done, count, &captured.record.id);
                run.add(session, &captured)
                    .with_context(|| format!("sample '{}'", captured.record.id))?;
                done += 1;
            }
        }
        run.finish()
    }
}

/// Opens every session; refuses the same one twice, and one without a finished sample.
///
/// # Errors
/// [`Failure::BadInput`], or what opening a session refuses.
pub fn open_sessions(paths: &[PathBuf]) -> Result<Vec<Session>> {
    let mut sessions: Vec<Session> = Vec::new();
    for path in paths {
        let session = Session::open(path)?;
        if sessions.iter().any(|known| is_same(known.path(), path)) {
            return Err(bad_input("the session is named twice", path));
        }
        if session.sample_count() == 0 {
            return Err(bad_input(
                "the session has no finished sample; go on with its capture by --resume",
                path,
            ));
        }
        sessions.push(session);
    }
    Ok(sessions)
}

/// A budget that is larger than some prompts is left out there; one that fits none makes an empty table.
///
/// # Errors
/// [`Failure::BadInput`] for the latter.
pub fn refuse_useless_budgets(sessions: &[Session], budgets: &[Budget]) -> Result<()> {
    let longest = sessions
        .iter()
        .flat_map(|session| session.manifest().finished())
        .filter_map(|entry| match entry.state {
            SampleState::Finished { prompt_tokens, .. } => Some(prompt_tokens),
            SampleState::Pending | SampleState::Failed { .. } => None,
        })
        .max()
        .unwrap_or(0);
    if SampleBudgets::new(budgets, longest).applying.is_empty() {
        return Err(Failure::BadInput(format!(
            "every budget is larger than the longest prompt, which has {longest} tokens; give smaller --budgets"
        ))
        .into());
    }
    Ok(())
}

fn is_same(a: &Path, b: &Path) -> bool {
    matches!((a.canonicalize(), b.canonicalize()), (Ok(a), Ok(b)) if a == b)
}

fn bad_input(sentence: &str, path: &Path) -> anyhow::Error {
    Failure::BadInput(format!("{sentence}: {}", path.display())).into()
}

struct Run<'a> {
    job: &'a MeasureJob,
    tables: Tables,
    recall: RecallTable,
    costs: CostSummary,
    warnings: Warnings,
    progress: Progress,
}

impl Run<'_> {
    fn add(&mut self, session: &Session, captured: &CapturedSample) -> Result<()> {
        let record = &captured.record;
        let facts = SampleFacts {
            id: &record.id,
            prompt_tokens: record.prompt_ids.len(),
            decode_tokens: record.generated_ids.len(),
        };
        let budgets = SampleBudgets::new(&self.job.budgets, facts.prompt_tokens);
        self.warn_about_sample(captured, facts, &budgets);
        self.progress.stage("measure", 0, facts.prompt_tokens);
        let options = &self.job.options;
        let sample = measure_sample(captured, options, |tokens| budgets.tokens(tokens))?;
        let context = SampleContext {
            session: session.name().to_owned(),
            model: session.manifest().model.name.clone(),
            dataset: record.dataset.clone(),
            task: record.task.clone(),
            sample: record.id.clone(),
            prompt_tokens: clamped(facts.prompt_tokens),
            decode_tokens: clamped(facts.decode_tokens),
        };
        let oracle_cost = captured.oracle().cost();
        self.tables.add(
            &context,
            &sample,
            oracle_cost,
            &budgets.applying,
            options.exempt,
        )?;
        let group = Group {
            session: context.session,
            task: context.task,
            question_place: record.question_place,
        };
        self.recall.add(group, &sample, &budgets.applying)?;
        self.costs.add(oracle_cost, &sample.windows);
        self.progress
            .stage("measure", facts.prompt_tokens, facts.prompt_tokens);
        Ok(())
    }

    fn warn_about_session(&self, session: &Session) {
        let manifest = session.manifest();
        let (finished, all) = (session.sample_count(), manifest.samples.len());
        if finished < all {
            self.progress.note(&format!(
                "warning: only {finished} of {all} samples of the session are finished: {}",
                session.path().display()
            ));
        }
        if manifest.plan.decode.teacher_forced {
            self.progress.note(&format!(
                "warning: the decode stage was teacher-forced, so it shows what reading the given \
                 answer attends to, not what the model's own would: {}",
                session.path().display()
            ));
        }
    }

    fn warn_about_sample(
        &mut self,
        captured: &CapturedSample,
        facts: SampleFacts<'_>,
        budgets: &SampleBudgets,
    ) {
        let (warnings, progress) = (&mut self.warnings, &self.progress);
        warnings.of_budgets(facts, &budgets.left_out, progress);
        warnings.of_decode_stage(facts, progress);
        let exempt = self.job.options.exempt.count(facts.prompt_tokens);
        warnings.of_exempt(facts, exempt, progress);
        for window in captured.windows() {
            let rows = window.rows_in_prompt(facts.prompt_tokens);
            warnings.of_window(facts, window.label(), rows, progress);
        }
    }

    /// Publishes the tables and gives the text for stdout.
    fn finish(self) -> Result<String> {
        let stale = self.job.out.join(ImportanceTable::FILE_NAME);
        self.tables.publish()?;
        if !self.job.importance && stale.exists() {
            self.progress.note(&format!(
                "warning: this file is of an earlier run and was left as it is: {}",
                stale.display()
            ));
        }
        self.warnings.end(&self.progress);
        self.progress.end();
        Ok(format!("{}\n{}\n", self.recall.text(), self.costs.text()))
    }
}
