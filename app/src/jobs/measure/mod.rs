//! Every window of captured sessions against the decode stage, into tables.

mod costs;
mod decode_eviction;
mod numbers;
mod pairs;
mod question_tables;
mod tables;

use std::path::PathBuf;

use anyhow::{Context, Result};
use kvlens_analysis::collection::{CollectedSample, CollectedWindow};
use kvlens_analysis::decode_eviction::DecodeEvictionMeans;
use kvlens_analysis::needle::NeedleGrids;
use kvlens_analysis::tables::{ImportanceInput, SampleContext};
use kvlens_analysis::{Budget, Collection, Metric, SampleGroup, SampleKey};
use kvlens_sessions::windows::DECODE_LABEL;
use kvlens_sessions::{ModelShape, OpenSample, SampleHeader, ScoreKind, Session};

use super::budgets::SampleBudgets;
use super::failure::{Failure, refuse_contradiction, stop_if_cancelled};
use super::folders::check_output_folder;
use super::found_sessions::{open_sessions, refuse_useless_budgets, sample_key, window_labels};
use super::left_out::LeftOut;
use super::model_names::ModelNames;
use super::provenance::{Provenance, to_json};
use super::{Cancel, HIT_RATE_BUDGETS, SEED, SampleFacts, Warnings, Watch};
use crate::measurement::needle::add_needle;
use crate::measurement::places::Sweep;
use crate::measurement::{MeasureOptions, measure_sample, rank_side};

pub use costs::{CostSummary, WindowCosts};
pub use pairs::Pairs;
pub use question_tables::{Question, Questions};
pub use tables::{TableChoice, is_of_all_samples, is_written_by_measure};
pub(super) use tables::{clamped, sample_context};

use decode_eviction::WhileDecoding;
use numbers::{Asking, SampleNumbers};
use tables::{CollectedSamples, Tables};

/// The last prompt window of SnapKV, moved by half its width.
pub const DEFAULT_SWEEP: Sweep = Sweep::by_halves(32);

/// A measurement with where it goes.
#[derive(Clone, Debug)]
pub struct MeasureRequest {
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
    /// How far apart windows may be to count as equivalent, if they may at all.
    pub margin: Option<f64>,
    /// What is asked beyond recall.
    pub questions: Questions,
    /// What is written.
    pub tables: TableChoice,
    /// The command that the tables name as theirs; without one, that of this process.
    pub command: Option<Vec<String>>,
}

impl MeasureRequest {
    /// Of sessions at budgets, everything else as the command has it where nobody says: recall, every window against the
    /// first, every head tested, nothing asked beyond.
    #[must_use]
    pub fn new(sessions: Vec<PathBuf>, out: PathBuf, budgets: Vec<Budget>) -> Self {
        Self {
            sessions,
            out,
            budgets,
            options: MeasureOptions::default(),
            metric: Metric::Recall,
            pairs: Pairs::First,
            head_tests: true,
            margin: None,
            questions: Questions::none(),
            tables: TableChoice {
                csv: false,
                importance: false,
            },
            command: None,
        }
    }
}

/// A budget that nobody asked for is not shown where it is a larger share of a prompt: what is kept then says little.
pub const LARGEST_SHARE: f64 = 0.9;

/// What a measurement found, beyond its tables.
pub struct Measured {
    /// How it was measured.
    pub options: MeasureOptions,
    /// Of every window, over all samples.
    pub collection: Collection,
    /// Of the decode stage against itself, as a window of this name: what no window can exceed.
    pub decode: Collection,
    /// What the windows cost.
    pub costs: CostSummary,
    /// How well caches were ranked while they decoded, by group; nothing where it was not asked.
    pub while_decoding: Vec<(SampleGroup, DecodeEvictionMeans)>,
    /// Samples that are in no table, because their files are missing or damaged.
    pub left_out: LeftOut,
}

/// Measures every finished sample and writes the tables. Samples whose files are missing or damaged are left out, of
/// which the watch is told.
///
/// # Errors
/// Bad input; no sample that can be read; [`Failure::Interrupted`] after a cancel; an unwritable table. The output folder
/// is then as it was.
pub fn run(request: &MeasureRequest, watch: &mut dyn Watch, cancel: &Cancel) -> Result<Measured> {
    refuse_contradiction(&request.options)?;
    check_output_folder(&request.out)?;
    let sessions = open_sessions(&request.sessions)?.tell(&*watch);
    refuse_useless_budgets(&sessions, &request.budgets)?;
    let provenance = Provenance::new(&sessions, &request.budgets, &request.options)?
        .of_command(request.command.as_ref());
    let provenance = to_json(&provenance)?;
    let collection = || {
        let more = HIT_RATE_BUDGETS.map(Budget::Tokens);
        Collection::new(&request.budgets, &more, request.metric)
    };
    let mut run = Run {
        job: request,
        model_names: ModelNames::of(&sessions),
        tables: Tables::begin(
            &request.out,
            &provenance,
            request.tables,
            &request.questions,
        )?,
        collection: collection(),
        decode: collection().of_the_truth(),
        needles: NeedleGrids::default(),
        costs: CostSummary::default(),
        while_decoding: WhileDecoding::default(),
        left_out: LeftOut::default(),
        warnings: Warnings::default(),
        progress: watch,
    };
    let compare = request.options.compare;
    run.warnings
        .of_set_aside(&window_labels(&sessions)?, compare, &*run.progress);
    let count: usize = sessions.iter().map(Session::sample_count).sum();
    let mut done = 0;
    for session in &sessions {
        run.warn_about_session(session);
        for index in 0..session.sample_count() {
            stop_if_cancelled(cancel, "stopped; no table was written or changed")?;
            done += 1;
            let (found, place) = (session.open_sample(index), (session, index));
            let left_out = &mut run.left_out;
            let Some(sample) = left_out.or_leave_out(found, place, count, &*run.progress)? else {
                continue;
            };
            let id = sample.header().record.id.clone();
            run.progress.sample(done - 1, count, &id);
            run.add(session, sample, cancel)
                .with_context(|| format!("sample '{id}'"))?;
        }
    }
    run.finish(cancel)
}

/// Scores of one kind that are held at once, over sides, heads and tokens. Each comes with an unpooled one, a rank and a
/// place, and with what makes them: some 20 bytes.
const SCORES_AT_ONCE: usize = 1 << 24;

/// How many of a sample's layers are measured at once: one at least, and as many as the scores of all windows, the decode
/// stage and its mass leave room for. A short prompt keeps all cores busy so.
fn layers_at_once(shape: &ModelShape, header: &SampleHeader) -> usize {
    let sides = header.windows().len() + 2;
    let tokens = header.record.prompt_ids.len();
    let of_layer = sides.saturating_mul(shape.query_heads.saturating_mul(tokens));
    (SCORES_AT_ONCE / of_layer.max(1)).max(1)
}

struct Run<'a> {
    job: &'a MeasureRequest,
    model_names: ModelNames,
    tables: Tables,
    collection: Collection,
    decode: Collection,
    needles: NeedleGrids,
    costs: CostSummary,
    while_decoding: WhileDecoding,
    left_out: LeftOut,
    warnings: Warnings,
    progress: &'a mut dyn Watch,
}

impl Run<'_> {
    fn add(
        &mut self,
        session: &Session,
        mut sample: OpenSample<'_>,
        cancel: &Cancel,
    ) -> Result<()> {
        let header = sample.header().clone();
        let record = &header.record;
        let facts = SampleFacts {
            id: &record.id,
            prompt_tokens: record.prompt_ids.len(),
            decode_tokens: record.generated_ids.len(),
        };
        let options = &self.job.options;
        if options.oracle_steps(facts.decode_tokens).is_err() {
            let steps = options.oracle.steps;
            self.warnings.of_oracle(facts, steps, &*self.progress);
            return Ok(());
        }
        let budgets = SampleBudgets::new(&self.job.budgets, facts.prompt_tokens);
        let shape = &session.manifest().shape;
        self.warn_about_sample(facts, &budgets, &shape.sliding_windows);
        self.progress.stage("measure", 0, facts.prompt_tokens);
        let asking = Asking {
            options,
            budgets: &budgets.applying,
            pairs: &self.job.pairs,
            questions: &self.job.questions,
            rope: shape.rope.as_ref(),
        };
        let at_once = layers_at_once(shape, &header);
        let numbers = self.numbers(&mut sample, asking, (shape.layers, at_once), cancel)?;
        self.warn_about_numbers(facts, &numbers, &budgets);
        let key = sample_key(session, record);
        let context = sample_context(session, self.model_names.name(session), record, &key);
        self.tables.add(&context, &numbers, &budgets.applying)?;
        if self.tables.has_importance() {
            let layers = (shape.layers, at_once);
            self.add_importance(&mut sample, &context, &numbers, layers, cancel)?;
        }
        if self.job.questions.asked.contains(&Question::DecodeEviction) {
            self.add_decode_eviction((session, &mut sample), &context, &key, cancel)?;
        }
        self.collect(&context, &key, &numbers, &budgets.applying);
        self.costs.add(&numbers.oracle_cost, &numbers.windows);
        self.progress
            .stage("measure", facts.prompt_tokens, facts.prompt_tokens);
        Ok(())
    }

    /// Measures some layers after the other.
    fn numbers(
        &mut self,
        sample: &mut OpenSample<'_>,
        asking: Asking<'_>,
        (layers, at_once): (usize, usize),
        cancel: &Cancel,
    ) -> Result<SampleNumbers> {
        let prompt_tokens = sample.header().record.prompt_ids.len();
        let compared = self.compared_budgets(asking.budgets, prompt_tokens);
        let mut all: Option<SampleNumbers> = None;
        for first in (0..layers).step_by(at_once) {
            stop_if_cancelled(cancel, "stopped; no table was written or changed")?;
            let captured = sample.layers(first, at_once)?;
            let of_part = || {
                let part = measure_sample(&captured, asking.options, |_| compared.clone())?;
                SampleNumbers::of(&captured, &part.joined(), asking)
            };
            let part = match at_once < layers {
                true => of_part().with_context(|| {
                    format!("in the layers from {first} on, of which it is number 0 here")
                }),
                false => of_part(),
            }?;
            match &mut all {
                Some(all) => all.append(part)?,
                None => all = Some(part),
            }
            let tokens = prompt_tokens * (first + at_once).min(layers) / layers;
            self.progress.stage("measure", tokens, prompt_tokens);
        }
        all.context("the session's model has no layers")
    }

    /// Every score, one side after the other as the table has them.
    fn add_importance(
        &mut self,
        sample: &mut OpenSample<'_>,
        context: &SampleContext,
        numbers: &SampleNumbers,
        (layers, at_once): (usize, usize),
        cancel: &Cancel,
    ) -> Result<()> {
        let windows = numbers.windows.iter().flat_map(|window| &window.observed);
        let labels = windows.map(|observed| Some(observed.label.as_str()));
        for label in std::iter::once(None).chain(labels) {
            for first in (0..layers).step_by(at_once) {
                stop_if_cancelled(cancel, "stopped; no table was written or changed")?;
                let captured = sample.layers(first, at_once)?;
                let ranked = rank_side(&captured, &self.job.options, label)?;
                self.tables.add_importance(ImportanceInput {
                    sample: context,
                    window: label.unwrap_or(DECODE_LABEL),
                    first_layer: first,
                    token_ids: &numbers.record.prompt_ids,
                    token_texts: &numbers.record.token_texts,
                    importance: &ranked.importance,
                    rankings: &ranked.rankings,
                })?;
            }
        }
        Ok(())
    }

    /// The asked budgets that apply, and of the others those that the prompt can hold, in tokens: a budget's means are
    /// over the same samples whether it was asked for or not.
    fn compared_budgets(&self, asked: &[Budget], prompt_tokens: usize) -> Vec<usize> {
        let asked = asked.iter();
        let mut tokens: Vec<usize> = asked.map(|budget| budget.tokens(prompt_tokens)).collect();
        let more = HIT_RATE_BUDGETS.into_iter();
        tokens.extend(more.filter(|&budget| budget <= prompt_tokens));
        tokens.sort_unstable();
        tokens.dedup();
        tokens
    }

    fn collect(
        &mut self,
        context: &SampleContext,
        key: &SampleKey,
        sample: &SampleNumbers,
        budgets: &[Budget],
    ) {
        let windows: Vec<CollectedWindow<'_>> = sample
            .windows
            .iter()
            .map(|window| CollectedWindow {
                label: &window.label,
                score_kind: window.score_kind.name(),
                comparison: &window.comparison,
                ceiling: window.ceiling.as_ref(),
            })
            .collect();
        let decode = CollectedWindow {
            label: DECODE_LABEL,
            score_kind: ScoreKind::Attention.name(),
            comparison: &sample.decode,
            ceiling: None,
        };
        let group = context.group();
        let collected = CollectedSample {
            key,
            session: &context.session,
            sample: &context.sample,
            prompt_tokens: sample.record.prompt_ids.len(),
        };
        self.collection.add(&group, collected, &windows);
        let windows = sample.windows.iter();
        let windows = windows.map(|window| (window.label.as_str(), &window.comparison));
        let (needles, record) = (&mut self.needles, &sample.record);
        add_needle(needles, (&group, &key.content), record, windows, budgets);
        self.decode.add(&group, collected, &[decode]);
    }

    fn warn_about_session(&self, session: &Session) {
        let manifest = session.manifest();
        let finished = session.sample_count();
        let all = manifest.samples.len() + session.missing_samples();
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
        facts: SampleFacts<'_>,
        budgets: &SampleBudgets,
        sliding_windows: &[Option<usize>],
    ) {
        let (warnings, progress) = (&mut self.warnings, &*self.progress);
        warnings.of_budgets(facts, &budgets.left_out, progress);
        warnings.of_decode_stage(facts, progress);
        warnings.of_sliding_layers(facts, sliding_windows, progress);
        let exempt = self.job.options.exempt.count(facts.prompt_tokens);
        warnings.of_exempt(facts, exempt, progress);
    }

    fn warn_about_numbers(
        &mut self,
        facts: SampleFacts<'_>,
        numbers: &SampleNumbers,
        budgets: &SampleBudgets,
    ) {
        let (warnings, progress) = (&mut self.warnings, &*self.progress);
        for (label, rows) in &numbers.rows_in_prompt {
            warnings.of_window(facts, label, *rows, progress);
        }
        let windows = numbers.windows.iter();
        let windows = windows.map(|window| (window.label.as_str(), window.own_budgets.clone()));
        let asked = budgets.tokens(facts.prompt_tokens);
        warnings.of_final_budgets(facts, windows, &asked, progress);
        let places = self.job.questions.asked.contains(&Question::Places);
        if places && numbers.answers.places.is_none() {
            warnings.of_places(facts, progress);
        }
    }

    /// Adds what the samples say together, and publishes the tables.
    fn finish(mut self, cancel: &Cancel) -> Result<Measured> {
        let job = self.job;
        if self.collection.groups().is_empty() {
            return Err(Failure::BadInput(format!(
                "no sample has any of the decode steps {}; give other --oracle-steps",
                job.options.oracle.steps
            ))
            .into());
        }
        if self.collection.summaries(job.metric, SEED).is_empty() {
            let why = match job.metric {
                Metric::OutputError => {
                    "; it needs the prompt's values, which a capture with --keep keys,values keeps"
                }
                Metric::EvidenceKept => "; the data do not say which tokens the answers need",
                _ => "; a budget has to be smaller than what a layer ranks of a prompt",
            };
            let metric = job.metric.label();
            self.progress
                .note(&format!("warning: {metric} is known of no sample{why}"));
        }
        let go_on = || stop_if_cancelled(cancel, "stopped; no table was written or changed");
        let collected = CollectedSamples {
            compare: job.options.compare,
            decode: &self.decode,
            windows: &self.collection,
            needles: &self.needles,
            pairs: &job.pairs,
            head_tests: job.head_tests,
            margin: job.margin,
        };
        self.tables.add_collection(&collected, SEED, go_on)?;
        go_on()?;
        let earlier = self.tables.publish()?;
        if !earlier.is_empty() {
            self.progress.note(&format!(
                "warning: left as they are, of an earlier run: {} in {}",
                earlier.join(", "),
                job.out.display()
            ));
        }
        self.warnings.end(&*self.progress);
        Ok(Measured {
            options: job.options,
            collection: self.collection,
            decode: self.decode,
            costs: self.costs,
            while_decoding: self.while_decoding.means,
            left_out: self.left_out,
        })
    }
}
