//! Values that follow from the sample on show and the choices: curves, maps, token scores.
//!
//! The numbers come from the analysis crate; here it is only decided when to ask for them again, and where they are
//! made ([`super::query`]). A topic's file holds what it wants and how the views read it.

mod bands;
mod curves;
pub mod decode_cache;
pub mod drift;
mod evidence;
pub mod fidelity;
mod kept;
mod maps;
mod of_session;
mod over_samples;
mod pairs;
mod profile;
pub mod queries;
mod ranks;
mod text;
mod tokens;

use std::collections::BTreeSet;
use std::sync::Arc;

use kvlens_analysis::figure::palette::repeat;
use kvlens_analysis::{BudgetGrid, Metric};

use super::command::Hover;
use super::data::{SessionInfo, Shown};
use super::head_numbers::HeadTable;
use super::query::{Pool, Query};
use super::questions::profile::ProfileAnswer;
use super::session_maps::SessionMaps;
use super::state::{Choices, HeadAddress, HeatScale, TokenHeat};
use super::views::Need;
use crate::measurement::{MeasuredSample, MeasuredWindow};
use bands::Bands;
pub use curves::{HeadCurve, LayerCurves, WindowBands};
pub(super) use curves::{HeadGrid, chance, selected};
pub use evidence::{EvidenceCurve, EvidenceCurves};
use kept::kept_of_head;
pub use kept::{EvidenceKept, KeptTokens};
pub use maps::{HeadMap, WinnerMap, is_tie};
use of_session::{MapKey, Maps};
use over_samples::OverSamplesKey;
pub use over_samples::{CurveOverSamples, OverSamples};
use pairs::PairsKey;
pub use pairs::{PairShares, WindowPairs};
pub use profile::Scatter;
use profile::ScatterKey;
pub use ranks::RankAgreement;
pub use tokens::{TokenScores, TokenShade};

const BUDGET_POINTS: usize = 1024;

/// A window by which colour and line are told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WindowName {
    /// As it was typed.
    pub label: String,
    /// How many windows of the same method stand before it.
    pub repeat: usize,
}

type LayersKey = (u64, BTreeSet<HeadAddress>, Metric);
type HeadsKey = (u64, BTreeSet<HeadAddress>);
type CurveKey = (u64, String, Metric, Option<HeadAddress>);
type TokensKey = (u64, String, BTreeSet<HeadAddress>);

/// What there is to know for the views in sight.
pub struct Wanted<'a> {
    /// The session.
    pub info: &'a SessionInfo,
    /// Its sample on show.
    pub shown: &'a Shown,
    /// What is looked at.
    pub choices: &'a Choices,
    /// Maps over all samples under these choices, with their version.
    pub all: Option<(&'a SessionMaps, u64)>,
    /// What the heads of the sample are like, as far as that was asked, with its version.
    pub profile: Option<(&'a ProfileAnswer, u64)>,
    /// What the views in sight need.
    pub needs: &'a BTreeSet<Need>,
}

/// Version of the sample, window, budget and head of the player.
type PlayerKey = (u64, String, usize, Option<HeadAddress>);

/// All derived values of the sample on show; renewed by [`Derived::refresh`] before a frame.
#[derive(Default)]
pub struct Derived {
    grid: Option<BudgetGrid>,
    /// Budgets in tokens that windows observed anew for.
    final_budgets: BTreeSet<usize>,
    /// Version of the sample on show.
    shown_version: u64,
    /// Place of the budget in the grid of budgets.
    pub budget_index: usize,
    /// The window that map and tokens show.
    pub window: Option<String>,
    /// What was observed of it for the budget that is nearest: itself but for a window that observed for several.
    pub observation: Option<String>,
    /// The window that the map subtracts.
    pub minus: Option<String>,
    /// The metric that curves are asked for.
    metric: Option<Metric>,
    windows: Query<u64, Vec<WindowName>>,
    bands: Query<HeadsKey, Bands>,
    maps: Query<MapKey, Maps>,
    between: Query<(u64, u64), Option<HeadMap>>,
    heads: Query<(u64, u64, String, usize), HeadTable>,
    scatter: Query<ScatterKey, Option<Scatter>>,
    pairs: Query<PairsKey, Option<WindowPairs>>,
    evidence: Query<u64, EvidenceCurves>,
    over_samples: Query<OverSamplesKey, OverSamples>,
    /// What the player's head keeps, `[T]`; nothing where it is the mean of heads, whose tokens are [`Self::kept`].
    player: Query<PlayerKey, Option<Vec<bool>>>,
    pinned: Query<CurveKey, Option<HeadCurve>>,
    hovered: Query<CurveKey, Option<HeadCurve>>,
    tokens: Query<TokensKey, (Arc<TokenScores>, u64)>,
    shade: Query<(u64, TokenHeat, HeatScale), TokenShade>,
    kept: Query<(u64, usize), (KeptTokens, EvidenceKept)>,
    rank_agreement: Query<TokensKey, Option<RankAgreement>>,
    by_layer: Query<LayersKey, Vec<LayerCurves>>,
    drift: Query<drift::DriftKey, drift::DriftCurves>,
    places: Query<drift::PlacesKey, drift::PlacesCurves>,
    decode_cache: Query<decode_cache::DecodeCacheKey, decode_cache::DecodeCacheCurves>,
    queries: Query<queries::QueriesKey, queries::QueryLines>,
    fidelity: Query<fidelity::FidelityKey, fidelity::FidelityCurves>,
}

impl Derived {
    /// Renews what the views in sight need of the sample and the choices.
    pub fn refresh(&mut self, pool: &Pool, wanted: &Wanted<'_>) {
        let (shown, choices) = (wanted.shown, wanted.choices);
        let sample = &shown.sample;
        let Some(first) = sample.windows.first() else {
            *self = Self::default();
            return;
        };
        let window = chosen_window(sample, choices).unwrap_or(first);
        let minus = labelled(sample, choices.minus.as_deref());
        let minus = minus.filter(|minus| minus.label != window.label);
        self.window = Some(window.label.clone());
        self.minus = minus.map(|minus| minus.label.clone());
        let prompt_tokens = sample.record.prompt_ids.len();
        if self.grid.is_none() || self.shown_version != shown.version {
            let own = sample.windows.iter().flat_map(|window| &window.at_budgets);
            self.final_budgets = own.map(|(tokens, _)| *tokens).collect();
            let grid = budget_grid(prompt_tokens);
            self.grid = grid.map(|grid| grid.including(self.final_budgets.iter().copied()));
        }
        let budget = choices.budget.tokens(prompt_tokens);
        let grid = self.grid.as_ref();
        self.budget_index = grid.map_or(0, |grid| grid.nearest_index(budget));
        self.observation = Some(window.nearest(self.budget_tokens()).label.clone());
        self.shown_version = shown.version;
        self.metric = Some(choices.metric);
        self.windows
            .at_once(shown.version, |_| window_names(&sample.windows));
        self.refresh_curves(pool, wanted, window);
        self.refresh_maps(wanted, [Some(window), minus]);
        if wanted.needs.contains(&Need::Heads) {
            let at = self.budget_index;
            let profile_version = wanted.profile.map_or(0, |(_, version)| version);
            let key = (shown.version, profile_version, window.label.clone(), at);
            let profile = wanted.profile.map(|(profile, _)| profile);
            self.heads.at_once(key, |_| {
                HeadTable::of(wanted.info, shown, window, at, profile)
            });
        }
        self.refresh_scatter(wanted, window);
        self.refresh_pairs(pool, wanted, window);
        self.refresh_evidence(pool, wanted);
        self.refresh_text(pool, wanted, window);
        if wanted.needs.contains(&Need::Player) {
            let budget = self.budget_tokens();
            let (label, head) = (window.label.clone(), choices.primary_head());
            let query_heads = wanted.info.query_heads;
            self.player
                .at_once((shown.version, label, budget, head), |_| {
                    Some(kept_of_head(window, head?, query_heads, budget))
                });
        }
    }

    /// Renews what hangs on the pointer.
    pub fn point_at(&mut self, shown: &Shown, info: &SessionInfo, hover: &Hover) {
        let mut windows = shown.sample.windows.iter();
        let wanted = windows.find(|window| Some(&window.label) == self.window.as_ref());
        if let (Some(window), Some(metric)) = (wanted, self.metric) {
            let grid = HeadGrid::of(info);
            let key = (shown.version, window.label.clone(), metric, hover.head);
            self.hovered.at_once(key, |_| {
                curves::head_curve(grid, window, metric, hover.head)
            });
        }
    }

    /// Every number of every head, while a view shows them.
    #[must_use]
    pub fn head_table(&self) -> Option<&HeadTable> {
        self.heads.value()
    }

    /// What stays in the cache of the head that the player shows, `[T]`.
    #[must_use]
    pub fn kept_for_player(&self) -> Option<&[bool]> {
        match self.player.value()? {
            Some(kept) => Some(kept),
            None => self.kept().map(KeptTokens::window),
        }
    }

    /// Token budgets at which every metric is known.
    #[must_use]
    pub fn budgets(&self) -> &[usize] {
        self.grid.as_ref().map_or(&[], BudgetGrid::tokens)
    }

    /// Budgets in tokens that some windows have numbers at alone.
    #[must_use]
    pub fn final_budgets(&self) -> &BTreeSet<usize> {
        &self.final_budgets
    }

    /// The budget in tokens, as the grid has it.
    #[must_use]
    pub fn budget_tokens(&self) -> usize {
        self.budgets().get(self.budget_index).copied().unwrap_or(0)
    }

    /// The windows of the sample on show, in its order; known before any of their numbers.
    #[must_use]
    pub fn windows(&self) -> &[WindowName] {
        self.windows.value().map_or(&[], Vec::as_slice)
    }
}

/// The window of a sample that map, tokens and the list of heads show.
#[must_use]
pub fn chosen_window<'a>(
    sample: &'a MeasuredSample,
    choices: &Choices,
) -> Option<&'a MeasuredWindow> {
    let chosen = labelled(sample, choices.window.as_deref());
    chosen.or_else(|| sample.windows.first())
}

fn labelled<'a>(sample: &'a MeasuredSample, label: Option<&str>) -> Option<&'a MeasuredWindow> {
    let mut windows = sample.windows.iter();
    windows.find(|window| Some(window.label.as_str()) == label)
}

fn window_names(windows: &[MeasuredWindow]) -> Vec<WindowName> {
    let labels: Vec<&str> = windows.iter().map(|window| window.label.as_str()).collect();
    let names = labels.iter().enumerate();
    names
        .map(|(index, label)| WindowName {
            label: (*label).to_owned(),
            repeat: repeat(&labels, index),
        })
        .collect()
}

/// The budgets at which a sample is measured; up to this many prompt tokens that is every budget.
///
/// Gives nothing for a prompt without tokens.
#[must_use]
pub fn budget_grid(prompt_tokens: usize) -> Option<BudgetGrid> {
    BudgetGrid::new(prompt_tokens, BUDGET_POINTS).ok()
}
