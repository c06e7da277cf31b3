//! From sessions to what a figure is drawn of, one sample at a time.

use std::collections::{BTreeMap, HashSet};

use anyhow::{Context, Result};
use kvlens_analysis::collection::{CollectedSample, CollectedWindow};
use kvlens_analysis::figure::{FigureRow, FigureText, SeriesSamples};
use kvlens_analysis::needle::NeedleGrids;
use kvlens_analysis::{Collection, HeadKind, SampleGroup, SampleKey};
use kvlens_sessions::windows::DECODE_LABEL;
use kvlens_sessions::{CapturedSample, Session};

use super::KindChoice;
use super::data::FigureJob;
use super::density::Densities;
use super::groups::ByGroup;
use super::maps::HeadSums;
use super::one_head::{self, HeadFigure};
use super::profile::HeadScatter;
use super::samples::Sampled;
use crate::jobs::failure::stop_if_cancelled;
use crate::jobs::found_sessions::sample_key;
use crate::jobs::left_out::LeftOut;
use crate::jobs::model_names::ModelNames;
use crate::jobs::warnings::{SampleFacts, Warnings};
use crate::jobs::{Cancel, Watch};
use crate::measurement::{MeasuredSample, measure_sample};

/// A figure without its picture.
pub struct Collected {
    /// All that the chart sees.
    pub rows: Vec<FigureRow>,
    /// The words around them.
    pub text: FigureText,
    /// Samples that are in no row, because they could not be read.
    pub left_out: LeftOut,
}

/// What is gathered of one group of samples.
#[derive(Debug, Default)]
pub struct Gathered {
    pub series: SeriesSamples,
    pub times: SeriesSamples,
    pub heads: HeadSums,
    pub densities: Densities,
    pub scatter: HeadScatter,
    /// T of the shortest prompt.
    pub shortest: Option<usize>,
}

/// Everything that is gathered.
pub struct Gathering {
    model_names: ModelNames,
    pub groups: ByGroup<Gathered>,
    pub collection: Collection,
    pub needles: NeedleGrids,
    pub head_kinds: Vec<HeadKind>,
    without_queries: usize,
    /// Samples whose decode stage ends before a ranking of their cache is held against anything.
    too_short: usize,
    /// Content, group and window of everything so far, so that copies are known.
    seen: HashSet<(String, SampleGroup, String)>,
    copies: usize,
    /// T of every sample, by its content.
    pub prompt_tokens: BTreeMap<String, usize>,
    pub left_out: LeftOut,
    warnings: Warnings,
    /// What a figure of one head shows.
    pub of_one_head: Option<HeadFigure>,
}

impl FigureJob<'_> {
    /// Goes through all samples that can be read and gives the rows with the words around them.
    ///
    /// # Errors
    /// An interrupt, no sample that can be read, [`Failure::BadInput`] where nothing can be shown.
    pub fn collect(&self, cancel: &Cancel, watch: &mut dyn Watch) -> Result<Collected> {
        let mut gathering = Gathering {
            model_names: ModelNames::of(self.sessions),
            collection: Collection::new(&[self.budget], &[], self.metric),
            groups: ByGroup::default(),
            needles: NeedleGrids::default(),
            head_kinds: Vec::new(),
            without_queries: 0,
            too_short: 0,
            seen: HashSet::new(),
            copies: 0,
            prompt_tokens: BTreeMap::new(),
            left_out: LeftOut::default(),
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
                done += 1;
                let (found, place) = (session.load_sample(index), (session, index));
                let left_out = &mut gathering.left_out;
                let Some(captured) = left_out.or_leave_out(found, place, count, &*watch)? else {
                    continue;
                };
                watch.sample(done - 1, count, &captured.record.id);
                self.gather(session, &captured, &mut gathering, &*watch)
                    .with_context(|| format!("sample '{}'", captured.record.id))?;
            }
        }
        gathering.end(self.rank_every, count, &*watch);
        let found = self.rows(&gathering)?;
        let text = self.text(&gathering, &found);
        Ok(Collected {
            rows: self.placed(found.rows, &text.names),
            text,
            left_out: gathering.left_out,
        })
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
        gathering.prompt_tokens.insert(key.content.clone(), tokens);
        let shortest = &mut gathering.groups.of(&group).shortest;
        *shortest = Some(shortest.map_or(tokens, |known| known.min(tokens)));
        if self.kind == KindChoice::Queries {
            // cosines need no scores, and a session may keep queries alone
            let rope = session.manifest().shape.rope.as_ref();
            let series = &mut gathering.groups.of(&group).series;
            return self.push_queries((&key.content, captured), rope, series);
        }
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
        };
        self.add(sampled, (&group, &key, session.name()), gathering)
    }

    /// Adds what the kind shows of a sample.
    fn add(
        &self,
        sampled: Sampled<'_>,
        (group, key, session): (&SampleGroup, &SampleKey, &str),
        gathering: &mut Gathering,
    ) -> Result<()> {
        let Sampled {
            captured, measured, ..
        } = sampled;
        let Gathered {
            series,
            times,
            heads,
            densities,
            scatter,
            ..
        } = gathering.groups.of(group);
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
            KindChoice::Allocation => sampled.push_allocations(self, series)?,
            KindChoice::Cost => sampled.push_cost(self, series, times),
            KindChoice::Complementarity => sampled.push_pairs(self, series)?,
            KindChoice::Profile => sampled.add_profiles(self, scatter)?,
            KindChoice::Evidence => sampled.push_evidence(self, series),
            KindChoice::Needle => sampled.add_needle(self, group, &mut gathering.needles),
            // of queries that are not scored, and of tables (`super::fidelity`)
            KindChoice::Queries
            | KindChoice::FidelityKl
            | KindChoice::FidelityAgreement
            | KindChoice::FidelityAnswer
            | KindChoice::FidelityScore
            | KindChoice::FidelityRecall => {}
            KindChoice::Depth => sampled.push_depths(self, series),
            KindChoice::RankDensity => {
                for window in self.in_order(&measured.windows, |window| &window.label) {
                    densities.add(&key.content, measured, window, &self.heads, self.longest);
                }
            }
            KindChoice::Attention | KindChoice::Tokens => {
                let figure = match self.kind {
                    KindChoice::Attention => one_head::attention(self, captured)?,
                    _ => one_head::tokens(self, captured, measured)?,
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
                    key,
                    session,
                    sample: &captured.record.id,
                    prompt_tokens: captured.record.prompt_ids.len(),
                };
                gathering.collection.add(group, sample, &windows);
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

    /// The rows of every group, by the name of its panel.
    pub fn of_groups(&self, rows: impl Fn(&str, &Gathered) -> Vec<FigureRow>) -> Vec<FigureRow> {
        let named = self.groups.named();
        named.flat_map(|(name, group)| rows(&name, group)).collect()
    }

    /// Says what was counted of `count` samples.
    fn end(&mut self, rank_every: usize, count: usize, watch: &dyn Watch) {
        if self.without_queries > 0 {
            watch.note(&format!(
                "warning: {} of {count} samples keep too few queries of the end of their prompts to move a \
                 window; capture with a window such as last:256, or last:N with N as long as the prompt",
                self.without_queries
            ));
        }
        if self.too_short > 0 {
            watch.note(&format!(
                "warning: {} of {count} samples decoded at most {} tokens, so that no later step is there for a ranking of \
                 their cache: give a smaller --rank-every, or capture with a larger --decode",
                self.too_short, rank_every
            ));
        }
        if self.copies > 0 {
            watch.note(&format!(
                "warning: {} of {count} samples came again and count once",
                self.copies
            ));
        }
        std::mem::take(&mut self.warnings).end(watch);
    }
}
