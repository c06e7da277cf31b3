//! From sessions to the rows of a figure, one sample at a time.

use std::collections::HashSet;

use anyhow::{Context, Result};
use kvlens_analysis::collection::{CollectedSample, CollectedWindow};
use kvlens_analysis::figure::{FigureRow, FigureText, SeriesSamples};
use kvlens_analysis::needle::NeedleGrids;
use kvlens_analysis::profile::ProfileNumber;
use kvlens_analysis::{Budget, Collection, HeadKind, Metric, SampleGroup};
use kvlens_sessions::windows::DECODE_LABEL;
use kvlens_sessions::{CapturedSample, Session};

use super::density::{Densities, bin_names};
use super::fidelity::EvictedScores;
use super::groups::{ByGroup, joined};
use super::heads::HeadChoice;
use super::held::{check_samples, final_budgets, joined_labels, longest_prompt, refuse_unknown};
use super::maps::{HeadSums, difference_rows, winner_rows};
use super::needle::needle_rows;
use super::note::Note;
use super::one_head::{self, HeadFigure, LINE};
use super::profile::HeadScatter;
use super::samples::{Sampled, curve_budgets, head_label};
use super::{FigureRequest, KindChoice};
use crate::jobs::failure::{Failure, stop_if_cancelled};
use crate::jobs::found_sessions::{sample_key, window_labels};
use crate::jobs::measure::LARGEST_SHARE;
use crate::jobs::model_names::ModelNames;
use crate::jobs::warnings::{SampleFacts, Warnings};
use crate::jobs::{Cancel, HIT_RATE_BUDGETS, SEED, Watch};
use crate::measurement::places::Sweep;
use crate::measurement::{MeasureOptions, MeasuredSample, MeasuredWindow, measure_sample};

/// The two series of query cosines.
pub const BEFORE: &str = "before rotation";
/// The second of them.
pub const AFTER: &str = "after rotation";

/// A figure to be made.
pub struct FigureJob<'a> {
    /// Opened; samples are loaded one by one.
    pub sessions: &'a [Session],
    /// What is shown.
    pub kind: KindChoice,
    /// Ids of the samples that are shown; all if empty.
    pub samples: &'a [String],
    /// Labels of the windows in the order of the figure.
    pub windows: Vec<String>,
    /// The window that others are compared with, for a map of differences.
    pub against: Option<String>,
    /// Heads that means are taken over.
    pub heads: HeadChoice,
    /// The budget of figures that are about one.
    pub budget: Budget,
    /// The metric of figures that show one.
    pub metric: Metric,
    /// The number of the heads' profiles of the figure that shows one.
    pub profile: ProfileNumber,
    /// How far apart windows may be to count as equivalent, if they may at all.
    pub margin: Option<f64>,
    /// How windows and oracle are scored.
    pub options: MeasureOptions,
    /// How a window is swept through places.
    pub sweep: Sweep,
    /// Decode steps from one ranking of the cache to the next.
    pub rank_every: usize,
    range: Option<(f64, f64)>,
    /// Budgets that a window with `budget=final` was captured for.
    pub final_budgets: Vec<Budget>,
    /// T of the longest prompt of all sessions.
    longest: usize,
    /// What the model answered after evictions, where that was given.
    pub scores: EvictedScores,
}

/// What is gathered of one group of samples.
#[derive(Debug, Default)]
struct Gathered {
    series: SeriesSamples,
    times: SeriesSamples,
    heads: HeadSums,
    densities: Densities,
    scatter: HeadScatter,
}

/// Everything that is gathered.
struct Gathering {
    model_names: ModelNames,
    groups: ByGroup<Gathered>,
    collection: Collection,
    needles: NeedleGrids,
    head_kinds: Vec<HeadKind>,
    without_queries: usize,
    /// Samples whose decode stage ends before a ranking of their cache is held against anything.
    too_short: usize,
    /// Content, group and window of everything so far, so that copies are known.
    seen: HashSet<(String, SampleGroup, String)>,
    copies: usize,
    /// The shortest and the longest prompt.
    prompt_tokens: Option<(usize, usize)>,
    warnings: Warnings,
    /// What a figure of one head shows.
    of_one_head: Option<HeadFigure>,
}

impl<'a> FigureJob<'a> {
    /// From what was asked for.
    ///
    /// # Errors
    /// [`Failure::BadInput`] for a window that no session has; a sample that cannot be read.
    pub fn new(
        request: &'a FigureRequest,
        sessions: &'a [Session],
        scores: EvictedScores,
    ) -> Result<Self> {
        check_samples(&request.samples, sessions)?;
        let stored = window_labels(sessions)?;
        let known = match request.kind.is_about_budgets() {
            true => joined_labels(&stored),
            false => stored.clone(),
        };
        for label in request.windows.iter().chain(&request.against) {
            if !known.contains(label) {
                return Err(Failure::BadInput(format!(
                    "no session has the window '{label}'; there are {}",
                    known.join(", ")
                ))
                .into());
            }
        }
        let mut windows = match request.windows.is_empty() {
            true => known,
            false => request.windows.clone(),
        };
        let against = match request.kind {
            KindChoice::HeadDifference => {
                request.against.clone().or_else(|| windows.first().cloned())
            }
            _ => None,
        };
        if let Some(against) = &against
            && !windows.contains(against)
        {
            windows.push(against.clone());
        }
        refuse_unknown("layer", &request.layers, sessions, |shape| shape.layers)?;
        refuse_unknown("head", &request.heads, sessions, |shape| shape.query_heads)?;
        Ok(Self {
            sessions,
            kind: request.kind,
            samples: &request.samples,
            longest: longest_prompt(sessions),
            windows,
            against,
            heads: HeadChoice {
                layers: request.layers.clone(),
                heads: request.heads.clone(),
            },
            budget: request.budget,
            metric: request.metric,
            profile: request.profile,
            margin: request.margin,
            options: request.options,
            sweep: request.sweep,
            rank_every: request.rank_every,
            range: request.range,
            final_budgets: final_budgets(&stored),
            scores,
        })
    }

    /// The finished samples of a session that are shown, by their numbers.
    fn shown_samples(&self, session: &Session) -> Vec<usize> {
        let finished = session.manifest().finished().enumerate();
        finished
            .filter(|(_, entry)| self.samples.is_empty() || self.samples.contains(&entry.id))
            .map(|(index, _)| index)
            .collect()
    }

    /// Those of some things whose windows the figure shows, in its order.
    pub fn in_order<'b, W>(&self, all: &'b [W], label: impl Fn(&W) -> &str) -> Vec<&'b W> {
        let of_label = |wanted: &String| {
            all.iter()
                .filter(|window| label(window) == wanted)
                .collect::<Vec<_>>()
        };
        self.windows.iter().flat_map(of_label).collect()
    }

    /// The place of a window among those shown.
    pub fn place_of(&self, label: &str) -> usize {
        let place = self.windows.iter().position(|known| known == label);
        place.unwrap_or_default()
    }

    /// The budgets in tokens that a prompt is compared at.
    fn budgets(&self, prompt_tokens: usize) -> Vec<usize> {
        let mut budgets = match self.kind {
            KindChoice::Recall | KindChoice::RecallByLayer | KindChoice::Evidence => {
                self.curve_budgets(prompt_tokens)
            }
            KindChoice::HitRate => {
                let most = LARGEST_SHARE * self.longest as f64;
                let budgets = HIT_RATE_BUDGETS.into_iter();
                budgets.filter(|&budget| budget as f64 <= most).collect()
            }
            _ => vec![self.budget.tokens(prompt_tokens)],
        };
        budgets.retain(|budget| *budget <= prompt_tokens);
        budgets
    }

    /// The budgets in tokens of a curve: three to each doubling, and those that windows were captured for.
    pub fn curve_budgets(&self, prompt_tokens: usize) -> Vec<usize> {
        let own = self.final_budgets.iter();
        let mut budgets = curve_budgets(prompt_tokens);
        budgets.extend(own.map(|budget| budget.tokens(prompt_tokens)));
        budgets.sort_unstable();
        budgets.dedup();
        budgets
    }

    /// Whether a prompt is as long as the budget of a figure that is about one.
    fn fits(&self, prompt_tokens: usize) -> bool {
        let too_short = matches!(self.budget, Budget::Tokens(tokens) if tokens > prompt_tokens);
        !self.kind.is_about_one_budget() || !too_short
    }

    /// The measured windows that the figure shows, in its order: where it is about one budget, those that know it.
    pub fn shown<'b>(
        &self,
        all: &'b [MeasuredWindow],
        prompt_tokens: usize,
    ) -> Vec<&'b MeasuredWindow> {
        let budget = self.budget.tokens(prompt_tokens);
        let knows = |window: &MeasuredWindow| {
            !self.kind.is_about_one_budget() || window.at(budget).is_some()
        };
        let mut windows = self.in_order(all, |window| &window.label);
        windows.retain(|window| knows(window));
        windows
    }

    /// Goes through all samples and gives the rows with the words around them.
    ///
    /// # Errors
    /// An interrupt, samples that cannot be read, [`Failure::BadInput`] where nothing can be shown.
    pub fn collect(
        &self,
        cancel: &Cancel,
        watch: &mut dyn Watch,
    ) -> Result<(Vec<FigureRow>, FigureText)> {
        let mut gathering = Gathering {
            groups: ByGroup::default(),
            model_names: ModelNames::of(self.sessions),
            collection: Collection::new(&[self.budget], &[], self.metric),
            needles: NeedleGrids::default(),
            head_kinds: Vec::new(),
            without_queries: 0,
            too_short: 0,
            seen: HashSet::new(),
            copies: 0,
            prompt_tokens: None,
            warnings: Warnings::default(),
            of_one_head: None,
        };
        gathering
            .warnings
            .of_set_aside(&self.windows, self.options.compare, &*watch);
        let shown: Vec<_> = self
            .sessions
            .iter()
            .map(|session| (session, self.shown_samples(session)))
            .collect();
        let count = shown.iter().map(|(_, indices)| indices.len()).sum();
        let mut done = 0;
        for (session, indices) in shown {
            for index in indices {
                if gathering.of_one_head.is_some() {
                    continue;
                }
                stop_if_cancelled(cancel, "stopped; no file was written")?;
                let captured = session.load_sample(index)?;
                watch.sample(done, count, &captured.record.id);
                self.gather(session, &captured, &mut gathering, &*watch)
                    .with_context(|| format!("sample '{}'", captured.record.id))?;
                done += 1;
            }
        }
        if gathering.without_queries > 0 {
            watch.note(&format!(
                "warning: {} of {count} samples keep too few queries of the end of their prompts to move a \
                 window; capture with a window such as last:256, or last:N with N as long as the prompt",
                gathering.without_queries
            ));
        }
        if gathering.too_short > 0 {
            watch.note(&format!(
                "warning: {} of {count} samples decoded at most {} tokens, so that no later step is there for a ranking of \
                 their cache: give a smaller --rank-every, or capture with a larger --decode",
                gathering.too_short, self.rank_every
            ));
        }
        if gathering.copies > 0 {
            watch.note(&format!(
                "warning: {} of {count} samples came again and count once",
                gathering.copies
            ));
        }
        std::mem::take(&mut gathering.warnings).end(&*watch);
        let (rows, left_out) = self.rows(&gathering)?;
        let text = self.text(&gathering, &rows, left_out);
        Ok((named(self.placed(rows), &text.names), text))
    }

    fn gather(
        &self,
        session: &Session,
        captured: &CapturedSample,
        gathering: &mut Gathering,
        watch: &dyn Watch,
    ) -> Result<()> {
        let fits = self.fits(captured.record.prompt_ids.len());
        if !fits || self.options.oracle_steps(captured.oracle().rows()).is_err() {
            return Ok(());
        }
        let group = SampleGroup {
            model: gathering.model_names.name(session),
            task: captured.record.task.clone(),
            question_place: captured
                .record
                .question_place
                .map(|place| place.to_string()),
        };
        let key = sample_key(session, &captured.record);
        if !gathering.has_news(&key.content, &group, captured) {
            gathering.copies += 1;
            return Ok(());
        }
        let tokens = captured.record.prompt_ids.len();
        let (least, most) = gathering.prompt_tokens.unwrap_or((tokens, tokens));
        gathering.prompt_tokens = Some((least.min(tokens), most.max(tokens)));
        let mut measured = measure_sample(captured, &self.options, |tokens| self.budgets(tokens))?;
        if self.kind.is_about_budgets() {
            measured = measured.joined();
            self.warn_of_final_budgets(&measured, &mut gathering.warnings, watch);
        }
        for window in &measured.windows {
            let kind = window.comparison.head_kind;
            if !gathering.head_kinds.contains(&kind) {
                gathering.head_kinds.push(kind);
            }
        }
        let sampled = Sampled {
            content: &key.content,
            captured,
            measured: &measured,
            rope: session.manifest().shape.rope.as_ref(),
        };
        let Gathered {
            series,
            times,
            heads,
            densities,
            scatter,
        } = gathering.groups.of(&group);
        match self.kind {
            KindChoice::Recall => sampled.push_budgets(self, false, series),
            KindChoice::RecallByLayer => sampled.push_budgets(self, true, series),
            KindChoice::Layer => sampled.push_layers(self, series),
            KindChoice::DecodeStep => sampled.push_drift(self, true, series)?,
            KindChoice::Horizon => sampled.push_drift(self, false, series)?,
            KindChoice::DecodeEviction => {
                let is_long = sampled.push_decode_evictions(self, series)?;
                gathering.too_short += usize::from(!is_long);
            }
            KindChoice::HitRate => sampled.push_hit_rates(self, series),
            KindChoice::Queries => sampled.push_queries(self, series)?,
            KindChoice::Allocation => sampled.push_allocations(self, series)?,
            KindChoice::Cost => sampled.push_cost(self, series, times),
            KindChoice::Complementarity => sampled.push_pairs(self, series)?,
            KindChoice::Profile => sampled.add_profiles(self, scatter)?,
            KindChoice::Evidence => sampled.push_evidence(self, series),
            KindChoice::Needle => sampled.add_needle(self, &group, &mut gathering.needles),
            // of tables (`super::fidelity`)
            KindChoice::FidelityKl
            | KindChoice::FidelityAgreement
            | KindChoice::FidelityAnswer
            | KindChoice::FidelityScore
            | KindChoice::FidelityRecall => {}
            KindChoice::Depth => sampled.push_depths(self, series),
            KindChoice::RankDensity => {
                for window in self.in_order(&measured.windows, |window| &window.label) {
                    densities.add(&key.content, &measured, window, &self.heads, self.longest);
                }
            }
            KindChoice::Attention | KindChoice::Tokens => {
                let figure = match self.kind {
                    KindChoice::Attention => one_head::attention(self, captured)?,
                    _ => one_head::tokens(self, captured, &measured)?,
                };
                gathering.of_one_head = Some(figure);
            }
            KindChoice::HeadMap => sampled.add_heads(self, false, heads)?,
            KindChoice::Kl => sampled.add_heads(self, true, heads)?,
            KindChoice::Place => {
                let has_queries = sampled.push_places(self, series)?;
                gathering.without_queries += usize::from(!has_queries);
            }
            KindChoice::HeadDifference | KindChoice::Winner => {
                let windows = self.shown(&measured.windows, captured.record.prompt_ids.len());
                let windows: Vec<CollectedWindow<'_>> = windows
                    .into_iter()
                    .map(|window| CollectedWindow {
                        label: &window.label,
                        score_kind: window.score_kind.name(),
                        comparison: &window.comparison,
                        ceiling: window.ceiling.as_deref(),
                    })
                    .collect();
                let sample = CollectedSample {
                    key: &key,
                    session: session.name(),
                    sample: &captured.record.id,
                    prompt_tokens: captured.record.prompt_ids.len(),
                };
                gathering.collection.add(&group, sample, &windows);
            }
        }
        Ok(())
    }

    /// Curves show the budgets that a window was captured for; whatever is about others lacks it.
    fn warn_of_final_budgets(
        &self,
        measured: &MeasuredSample,
        warnings: &mut Warnings,
        watch: &dyn Watch,
    ) {
        let record = &measured.record;
        let facts = SampleFacts {
            id: &record.id,
            prompt_tokens: record.prompt_ids.len(),
            decode_tokens: record.generated_ids.len(),
        };
        if self.kind.is_about_one_budget() || self.kind == KindChoice::HitRate {
            let budgets = self.budgets(facts.prompt_tokens);
            let windows = measured.windows.iter();
            let windows = windows.map(|window| (window.label.as_str(), window.own_budgets()));
            warnings.of_final_budgets(facts, windows, &budgets, watch);
        }
    }

    /// The rows, and how many samples do not reach every point of their curves and are left out.
    fn rows(&self, gathering: &Gathering) -> Result<(Vec<FigureRow>, usize)> {
        let mut left_out = 0;
        let rows: Vec<FigureRow> = match self.kind {
            KindChoice::HeadDifference => {
                let against = self.against.as_deref().unwrap_or_default();
                difference_rows(&gathering.collection, &self.windows, against, self.margin)?
            }
            KindChoice::Winner => winner_rows(&gathering.collection, self.margin)?,
            KindChoice::Needle => needle_rows(&gathering.needles),
            KindChoice::HeadMap | KindChoice::Kl => {
                let of_group = |(name, group): (String, &Gathered)| group.heads.rows(&name);
                gathering.groups.named().flat_map(of_group).collect()
            }
            KindChoice::RankDensity => {
                let of_group = |(name, group): (String, &Gathered)| group.densities.rows(&name);
                gathering.groups.named().flat_map(of_group).collect()
            }
            KindChoice::Profile => {
                let of_group = |(name, group): (String, &Gathered)| group.scatter.rows(&name);
                gathering.groups.named().flat_map(of_group).collect()
            }
            KindChoice::Attention | KindChoice::Tokens => {
                let found = gathering.of_one_head.as_ref();
                found.map_or_else(Vec::new, |figure| figure.rows.clone())
            }
            _ => {
                let mut rows = Vec::new();
                for (name, group) in gathering.groups.named() {
                    let (of_group, left_out_here) = self.series_rows(&name, group);
                    rows.extend(of_group);
                    left_out += left_out_here;
                }
                rows
            }
        };
        // a figure of heads that do not exist would be a figure of nothing
        if rows.iter().all(|row| row.value.is_nan()) {
            return Err(Failure::BadInput(
                "there is nothing to draw: no sample has what the figure asks for (windows, layers, heads, a \
                 budget that fits its prompt or, for needles, an asked length and depth)"
                    .to_owned(),
            )
            .into());
        }
        Ok((rows, left_out))
    }

    /// Points of a group in panels of its name, curves over the same samples at every point; and how many samples do not
    /// reach every point.
    fn series_rows(&self, name: &str, group: &Gathered) -> (Vec<FigureRow>, usize) {
        let bounds = match self.kind {
            KindChoice::Queries => None,
            kind => kind
                .metric(self.metric)
                .map_or(Some((0.0, 1.0)), Metric::bounds),
        };
        let (mut rows, left_out) = match self.kind {
            KindChoice::DecodeStep | KindChoice::Horizon | KindChoice::Place => {
                let common = group.series.common_rows(bounds, SEED);
                (common.rows, common.left_out)
            }
            _ => (group.series.rows(bounds, SEED), 0),
        };
        for row in &mut rows {
            row.panel = joined(&[&row.panel, name]);
            if self.kind == KindChoice::Complementarity {
                row.y = Some(self.place_of(&row.series) as f64);
            }
            if self.kind == KindChoice::Cost {
                let times = group.times.rows(None, SEED);
                let time = times.iter().find(|time| time.series == row.series);
                // the axis has no place for no time at all
                row.x = time.map_or(0.0, |time| time.value).max(1e-3);
            }
        }
        // a curve over other samples at each point would mix its shape with theirs
        let most = |row: &FigureRow| {
            let same = rows
                .iter()
                .filter(|other| other.panel == row.panel && other.series == row.series);
            same.map(|other| other.samples).max().unwrap_or(0)
        };
        let enough = |row: &FigureRow| match self.kind {
            KindChoice::Recall
            | KindChoice::RecallByLayer
            | KindChoice::Evidence
            | KindChoice::Allocation => row.samples == most(row),
            _ => true,
        };
        let rows = rows.iter().filter(|row| enough(row)).cloned().collect();
        (rows, left_out)
    }

    /// Bars stand at places 0, 1, ... in place of their budgets or windows.
    fn placed(&self, mut rows: Vec<FigureRow>) -> Vec<FigureRow> {
        if matches!(self.kind, KindChoice::HitRate | KindChoice::Queries) {
            let places = distinct_x(&rows);
            for row in &mut rows {
                let place = places.iter().position(|x| *x == row.x);
                row.x = place.unwrap_or_default() as f64;
            }
        }
        rows
    }

    /// From zero as far as the rows go, where a metric has no end.
    fn range_of(&self, rows: &[FigureRow]) -> Option<(f64, f64)> {
        let metric = self.kind.metric(self.metric)?;
        let values = rows
            .iter()
            .flat_map(|row| [row.value, row.high.unwrap_or(row.value)]);
        let most = values.filter(|value| value.is_finite()).fold(0.0, f64::max);
        (metric.bounds().is_none() && most > 0.0).then_some((0.0, most))
    }

    fn text(&self, gathering: &Gathering, rows: &[FigureRow], left_out: usize) -> FigureText {
        let metric = self.kind.metric(self.metric).unwrap_or(self.metric).label();
        let budget = budget_words(self.budget);
        let at = |what: &str| format!("{what} at {budget}");
        let (x, value) = match self.kind {
            KindChoice::Recall | KindChoice::RecallByLayer => {
                ("budget (tokens)".to_owned(), metric.to_owned())
            }
            KindChoice::Layer => ("layer".to_owned(), at(metric)),
            KindChoice::HeadMap => (String::new(), at(metric)),
            KindChoice::HeadDifference => (String::new(), at(&format!("difference of {metric}"))),
            KindChoice::Winner => (String::new(), String::new()),
            KindChoice::DecodeStep => ("decode step".to_owned(), at(metric)),
            KindChoice::DecodeEviction => (
                "decode steps when the cache is ranked".to_owned(),
                at("recall"),
            ),
            KindChoice::Horizon => ("decode steps from the first".to_owned(), at(metric)),
            KindChoice::Place => (
                format!(
                    "position of the last of {} queries, from the prompt's end (tokens)",
                    self.sweep.width
                ),
                format!("share at {budget}"),
            ),
            KindChoice::Depth => (
                "depth in the prompt (share of it)".to_owned(),
                at("needed tokens kept"),
            ),
            KindChoice::RankDensity => (
                "rank by the decode stage".to_owned(),
                "share of these tokens".to_owned(),
            ),
            KindChoice::Attention => (
                "prompt token".to_owned(),
                "attention weight (power of ten)".to_owned(),
            ),
            KindChoice::Tokens => (format!("{LINE} tokens on a line"), String::new()),
            KindChoice::Profile => match self.profile.is_overlap() {
                true => (at(self.profile.label()), at(metric)),
                false => (self.profile.label().to_owned(), at(metric)),
            },
            KindChoice::Evidence => (
                "budget (tokens)".to_owned(),
                "share of the needed tokens".to_owned(),
            ),
            KindChoice::HitRate => ("budget (tokens)".to_owned(), "hit rate".to_owned()),
            KindChoice::Kl => (
                String::new(),
                "KL of the decode stage from the window (nats)".to_owned(),
            ),
            KindChoice::Queries => (String::new(), "cosine".to_owned()),
            KindChoice::Allocation => (
                "mean budget of a head (tokens)".to_owned(),
                "decode attention kept".to_owned(),
            ),
            KindChoice::Needle => ("asked length (tokens)".to_owned(), at("share")),
            KindChoice::Cost => ("time beyond the prefill (ms)".to_owned(), at(metric)),
            KindChoice::Complementarity => (
                "missed by".to_owned(),
                format!("share of the decode stage's top {budget}"),
            ),
            KindChoice::FidelityKl
            | KindChoice::FidelityAgreement
            | KindChoice::FidelityAnswer
            | KindChoice::FidelityScore
            | KindChoice::FidelityRecall => (String::new(), String::new()),
        };
        let is_map = matches!(
            self.kind,
            KindChoice::HeadMap | KindChoice::HeadDifference | KindChoice::Winner | KindChoice::Kl
        );
        let names = match self.kind {
            KindChoice::HitRate => distinct_x(rows).iter().map(f64::to_string).collect(),
            KindChoice::Complementarity => self.windows.clone(),
            KindChoice::RankDensity => bin_names(self.longest),
            KindChoice::Attention | KindChoice::Tokens => {
                let found = gathering.of_one_head.as_ref();
                found.map_or_else(Vec::new, |figure| figure.columns.clone())
            }
            KindChoice::Queries => distinct_x(rows)
                .iter()
                .filter_map(|x| self.windows.get(*x as usize).cloned())
                .collect(),
            _ => Vec::new(),
        };
        FigureText {
            x: match is_map {
                true => head_label(&gathering.head_kinds).to_owned(),
                false => x,
            },
            value,
            names,
            range: self.range.or_else(|| self.range_of(rows)),
            counts: self.kind == KindChoice::Profile && self.profile.is_count(),
            note: Some(
                Note {
                    job: self,
                    rows,
                    left_out,
                    prompt_tokens: gathering.prompt_tokens,
                }
                .text(),
            ),
        }
    }
}

impl Gathering {
    /// Whether any window of a sample is new, and notes them. A sample without windows has its decode stage.
    fn has_news(&mut self, content: &str, group: &SampleGroup, captured: &CapturedSample) -> bool {
        let labels = captured.windows().iter().map(|window| window.label());
        let labels = labels.chain(std::iter::once(DECODE_LABEL));
        let mut news = false;
        for label in labels {
            let new = (content.to_owned(), group.clone(), label.to_owned());
            news |= self.seen.insert(new);
        }
        news
    }
}

/// The x of all rows, ascending.
/// The same with the names of the places that they stand at, where those have names.
fn named(mut rows: Vec<FigureRow>, names: &[String]) -> Vec<FigureRow> {
    for row in &mut rows {
        row.x_name = names.get(row.x as usize).cloned();
    }
    rows
}

fn distinct_x(rows: &[FigureRow]) -> Vec<f64> {
    let mut places: Vec<f64> = rows.iter().map(|row| row.x).collect();
    places.sort_by(f64::total_cmp);
    places.dedup();
    places
}

pub fn budget_words(budget: Budget) -> String {
    match budget {
        Budget::Tokens(1) => "1 token".to_owned(),
        Budget::Tokens(tokens) => format!("{tokens} tokens"),
        Budget::Fraction(_) => format!("{budget} of the prompt"),
    }
}
