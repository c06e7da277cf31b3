//! `kvlens measure`: every window of captured sessions against the decode stage.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::PathBuf;

use anyhow::{Context, Result};
use kvlens_analysis::collection::CollectedWindow;
use kvlens_analysis::{Budget, Collection, Metric, SampleGroup, SampleKey};
use kvlens_sessions::{CancelFlag, CapturedSample, SampleState, Session};

use super::budgets::{SampleBudgets, distinct};
use super::cost_table::CostSummary;
use super::failure::Failure;
use super::folders::check_can_create;
use super::found_sessions::open_sessions;
use super::interrupt::{cancel_on_interrupt, stop_if_cancelled};
use super::measure_arguments::MeasureArguments;
use super::model_names::ModelNames;
use super::output;
use super::pairs::Pairs;
use super::progress::Progress;
use super::provenance::Provenance;
use super::question_tables::{AskedSample, Questions};
use super::recall_table::{self, HIT_RATE_BUDGETS, SEED};
use super::tables::{TableChoice, Tables, sample_context};
use super::warnings::{SampleFacts, Warnings};
use crate::measurement::{MeasureOptions, measure_sample};

/// Runs the command.
///
/// # Errors
/// Bad input, an interrupt, tables that could not be written.
pub fn run(arguments: &MeasureArguments) -> Result<()> {
    let sessions = open_sessions(&arguments.sessions)?;
    let job = MeasureJob {
        pairs: Pairs::from_typed(arguments.against.as_deref(), &window_labels(&sessions)?)?,
        sessions: arguments.sessions.clone(),
        out: arguments.out.clone(),
        budgets: distinct(&arguments.budgets),
        options: arguments.scoring.options(),
        metric: arguments.metric.into(),
        head_tests: !arguments.no_head_tests,
        questions: arguments.questions(),
        tables: TableChoice {
            csv: arguments.csv,
            importance: arguments.importance,
        },
    };
    let table = job.run(&cancel_on_interrupt()?)?;
    output::print(&format!(
        "{table}Tables written: {}\n",
        arguments.out.display()
    ))
}

/// The windows of all sessions, each once. The plan may say `all`, so a sample tells them: every sample of a
/// session was observed by the same windows.
///
/// # Errors
/// When a session's first sample cannot be read.
pub fn window_labels(sessions: &[Session]) -> Result<Vec<String>> {
    let mut labels: Vec<String> = Vec::new();
    for session in sessions {
        for window in session.load_sample(0)?.windows() {
            if labels.iter().all(|label| label != window.label()) {
                labels.push(window.label().to_owned());
            }
        }
    }
    Ok(labels)
}

/// A measurement with where it goes.
pub struct MeasureJob {
    /// Session folders, or folders of sessions.
    pub sessions: Vec<PathBuf>,
    /// The folder of the tables.
    pub out: PathBuf,
    /// The asked budgets, each once.
    pub budgets: Vec<Budget>,
    /// How to score and rank.
    pub options: MeasureOptions,
    /// The metric of differences and winners.
    pub metric: Metric,
    /// The windows that are compared with each other.
    pub pairs: Pairs,
    /// Whether every head is tested by itself.
    pub head_tests: bool,
    /// What is asked beyond recall.
    pub questions: Questions,
    /// What is written.
    pub tables: TableChoice,
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
            model_names: ModelNames::of(&sessions),
            tables: Tables::begin(&self.out, &provenance, self.tables, &self.questions)?,
            collection: Collection::new(
                &self.budgets,
                &HIT_RATE_BUDGETS.map(Budget::Tokens),
                self.metric,
            ),
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
                run.add(session, index, &captured)
                    .with_context(|| format!("sample '{}'", captured.record.id))?;
                done += 1;
            }
        }
        run.finish(cancel)
    }
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

struct Run<'a> {
    job: &'a MeasureJob,
    model_names: ModelNames,
    tables: Tables,
    collection: Collection,
    costs: CostSummary,
    warnings: Warnings,
    progress: Progress,
}

impl Run<'_> {
    fn add(&mut self, session: &Session, index: usize, captured: &CapturedSample) -> Result<()> {
        let record = &captured.record;
        let facts = SampleFacts {
            id: &record.id,
            prompt_tokens: record.prompt_ids.len(),
            decode_tokens: record.generated_ids.len(),
        };
        let options = &self.job.options;
        if options.oracle_steps(facts.decode_tokens).is_err() {
            let steps = options.oracle.steps;
            self.warnings.of_oracle(facts, steps, &self.progress);
            return Ok(());
        }
        let budgets = SampleBudgets::new(&self.job.budgets, facts.prompt_tokens);
        let collected = SampleBudgets::new(self.collection.budgets(), facts.prompt_tokens);
        let sliding_windows = &session.manifest().shape.sliding_windows;
        self.warn_about_sample(captured, facts, &budgets, sliding_windows);
        self.progress.stage("measure", 0, facts.prompt_tokens);
        let sample = measure_sample(captured, options, |tokens| collected.tokens(tokens))?;
        let context = sample_context(session, self.model_names.name(session), record);
        let oracle_cost = captured.oracle().cost();
        let asked = &budgets.applying;
        self.tables
            .add(&context, &sample, oracle_cost, asked, options.exempt)?;
        let in_tokens = budgets.tokens(facts.prompt_tokens);
        self.tables
            .add_pairs(&context, &sample, &self.job.pairs, &in_tokens)?;
        let all_answered = self.tables.add_answers(AskedSample {
            context: &context,
            captured,
            measured: &sample,
            options,
            rope: session.manifest().shape.rope.as_ref(),
            budgets: &in_tokens,
        })?;
        if !all_answered {
            self.warnings.of_places(facts, &self.progress);
        }
        let windows: Vec<CollectedWindow<'_>> = sample
            .windows
            .iter()
            .map(|window| CollectedWindow {
                label: &window.label,
                score_kind: window.score_kind.name(),
                comparison: &window.comparison,
            })
            .collect();
        let group = SampleGroup {
            model: context.model,
            task: context.task,
            question_place: record.question_place.map(|place| place.to_string()),
        };
        let key = pairing_key(session, index, captured);
        self.collection
            .add(&group, &key, facts.prompt_tokens, &windows);
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
        sliding_windows: &[Option<usize>],
    ) {
        let (warnings, progress) = (&mut self.warnings, &self.progress);
        warnings.of_budgets(facts, &budgets.left_out, progress);
        warnings.of_decode_stage(facts, progress);
        warnings.of_sliding_layers(facts, sliding_windows, progress);
        let exempt = self.job.options.exempt.count(facts.prompt_tokens);
        warnings.of_exempt(facts, exempt, progress);
        for window in captured.windows() {
            let rows = window.rows_in_prompt(facts.prompt_tokens);
            warnings.of_window(facts, window.label(), rows, progress);
        }
    }

    /// Adds what the samples say together, publishes the tables and gives the text for stdout.
    fn finish(mut self, cancel: &CancelFlag) -> Result<String> {
        let job = self.job;
        if self.collection.groups().is_empty() {
            return Err(Failure::BadInput(format!(
                "no sample has any of the decode steps {}; give other --oracle-steps",
                job.options.oracle.steps
            ))
            .into());
        }
        let go_on = || stop_if_cancelled(cancel, "stopped; no table was written or changed");
        self.tables
            .add_collection(&self.collection, &job.pairs, job.head_tests, SEED, go_on)?;
        go_on()?;
        let text = recall_table::text(&self.collection, &job.budgets, &job.pairs)?;
        let earlier = self.tables.publish()?;
        if !earlier.is_empty() {
            self.progress.note(&format!(
                "warning: left as they are, of an earlier run: {} in {}",
                earlier.join(", "),
                job.out.display()
            ));
        }
        self.warnings.end(&self.progress);
        self.progress.end();
        Ok(format!("{text}\n{}\n", self.costs.text()))
    }
}

/// Equal where two sessions ran the same sample, by the same model in the same number format, to the same decode stage.
pub fn pairing_key(session: &Session, index: usize, captured: &CapturedSample) -> SampleKey {
    let entry = session.manifest().finished().nth(index);
    let sample = entry.map_or("", |entry| entry.sample_sha256.as_str());
    let mut hasher = DefaultHasher::new();
    session.manifest().model.weights_sha256.hash(&mut hasher);
    session.manifest().dtype.hash(&mut hasher);
    captured.record.prompt_ids.hash(&mut hasher);
    captured.record.generated_ids.hash(&mut hasher);
    format!("{sample}-{:016x}", hasher.finish())
}
