//! What a figure shows of sessions.

use anyhow::Result;
use kvlens_analysis::profile::ProfileNumber;
use kvlens_analysis::{Budget, Metric};
use kvlens_sessions::Session;

use super::fidelity::EvictedScores;
use super::heads::HeadChoice;
use super::held::{
    check_samples, decode_lengths, final_budgets, joined_labels, longest_prompt, refuse_unknown,
};
use super::samples::curve_budgets;
use super::{FigureRequest, KindChoice};
use crate::jobs::HIT_RATE_BUDGETS;
use crate::jobs::failure::Failure;
use crate::jobs::found_sessions::window_labels;
use crate::jobs::measure::LARGEST_SHARE;
use crate::measurement::places::Sweep;
use crate::measurement::{MeasureOptions, MeasuredWindow};

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
    /// Labels of all windows of the sessions.
    pub known: Vec<String>,
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
    /// The ends of the value axis or the colour bar, instead of the kind's own.
    pub range: Option<(f64, f64)>,
    /// Budgets that a window with `budget=final` was captured for.
    pub final_budgets: Vec<Budget>,
    /// T of the longest prompt of all sessions.
    pub longest: usize,
    /// How many decode steps the samples that are shown have, each number once: curves over samples need a point there.
    pub decode_lengths: Vec<usize>,
    /// What the model answered after evictions, where that was given.
    pub scores: EvictedScores,
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
            true => known.clone(),
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
            decode_lengths: decode_lengths(&request.samples, &request.options, sessions),
            known,
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
    pub fn shown_samples(&self, session: &Session) -> Vec<usize> {
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
    pub fn budgets(&self, prompt_tokens: usize) -> Vec<usize> {
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
    pub fn fits(&self, prompt_tokens: usize) -> bool {
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
}
