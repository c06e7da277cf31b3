//! Values that follow from the sample on show and the choices: bands, maps, token scores.
//!
//! The numbers come from the analysis crate; this file only decides when to ask for them again. A
//! drag of the budget looks values up, a change of the heads renews the bands, and only another
//! sample renews everything.

mod background;
mod curves;
pub mod drift;
pub mod fidelity;
mod kept;
mod maps;
mod memo;
pub mod queries;
mod ranks;
mod tokens;

use std::collections::BTreeSet;
use std::sync::Arc;

use kvlens_analysis::{BudgetGrid, Metric};

use super::command::Hover;
use super::data::{SessionInfo, Shown};
use super::session_maps::{GatheredKey, SessionMaps};
use super::state::{Choices, HeadAddress, HeatScale, MapKind, MapScope, TokenHeat};
use super::views::Need;
use crate::measurement::MeasuredWindow;
use background::Background;
pub use curves::{HeadCurve, LayerCurves, WindowBands};
use curves::{chance, head_curve, layer_curves, repeat, selected, selected_heads, window_bands};
pub use kept::{EvidenceKept, KeptTokens};
pub use maps::{HeadMap, WinnerMap, is_tie};
use memo::Memo;
pub use ranks::RankAgreement;
use ranks::rank_agreement;
pub use tokens::{TokenScores, TokenShade};

const BUDGET_POINTS: usize = 1024;

/// What maps show.
#[derive(Clone, PartialEq)]
struct MapChoices {
    kind: MapKind,
    scope: MapScope,
    metric: Metric,
    window: String,
    minus: Option<String>,
    hidden: BTreeSet<String>,
}

/// Maps of the kind that is chosen; the others are empty.
#[derive(Default)]
struct Maps {
    window: Option<HeadMap>,
    side_by_side: Vec<HeadMap>,
    winner: Option<WinnerMap>,
}

/// Curves over the selected heads.
#[derive(Default)]
struct Bands {
    windows: Vec<WindowBands>,
    /// Recall of a random ranking at every budget.
    chance: Vec<f64>,
}

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
/// Sample, maps over all samples, budget, and the choices that maps hang on.
type MapKey = (u64, u64, usize, MapChoices);
type CurveKey = (u64, String, Metric, Option<HeadAddress>);
type TokensKey = (u64, String, BTreeSet<HeadAddress>);

/// All derived values of the sample on show; renewed by [`Derived::refresh`] before a frame.
#[derive(Default)]
pub struct Derived {
    grid: Option<BudgetGrid>,
    /// Version of the sample on show.
    shown_version: u64,
    /// Place of the budget in the grid of budgets.
    pub budget_index: usize,
    /// The window that map and tokens show.
    pub window: Option<String>,
    /// The window that the map subtracts.
    pub minus: Option<String>,
    /// The metric that curves are asked for.
    metric: Option<Metric>,
    windows: Memo<u64, Vec<WindowName>>,
    bands: Background<HeadsKey, Bands>,
    maps: Memo<MapKey, Maps>,
    between: Memo<(u64, u64), Option<HeadMap>>,
    pinned: Memo<CurveKey, Option<HeadCurve>>,
    hovered: Memo<CurveKey, Option<HeadCurve>>,
    tokens: Background<TokensKey, (TokenScores, u64)>,
    shade: Memo<(u64, TokenHeat, HeatScale), TokenShade>,
    kept: Memo<(u64, usize), (KeptTokens, EvidenceKept)>,
    rank_agreement: Background<TokensKey, Option<RankAgreement>>,
    by_layer: Background<LayersKey, Vec<LayerCurves>>,
    drift: Memo<drift::DriftKey, drift::DriftCurves>,
    places: Memo<drift::PlacesKey, drift::PlacesCurves>,
    queries: Memo<queries::QueriesKey, queries::QueryLines>,
    fidelity: Memo<fidelity::FidelityKey, fidelity::FidelityCurves>,
}

impl Derived {
    /// Renews what the sample and the choices ask for; `all` are the maps over all samples with their version.
    /// Tokens, ranks and curves by layer are renewed only where a view `needs` them.
    pub fn refresh(
        &mut self,
        info: &SessionInfo,
        shown: &Shown,
        choices: &Choices,
        all: Option<(&SessionMaps, u64)>,
        needs: &BTreeSet<Need>,
    ) {
        let sample = &shown.sample;
        let Some(first) = sample.windows.first() else {
            *self = Self::default();
            return;
        };
        let find = |label: &Option<String>| {
            let label = label.as_ref()?;
            sample.windows.iter().find(|window| window.label == *label)
        };
        let window = find(&choices.window).unwrap_or(first);
        let minus = find(&choices.minus).filter(|minus| minus.label != window.label);
        self.window = Some(window.label.clone());
        self.minus = minus.map(|minus| minus.label.clone());

        let prompt_tokens = sample.record.prompt_ids.len();
        self.grid = budget_grid(prompt_tokens);
        let wanted = choices.budget.tokens(prompt_tokens);
        self.budget_index = self
            .grid
            .as_ref()
            .map_or(0, |grid| grid.nearest_index(wanted));

        self.metric = Some(choices.metric);
        self.windows
            .renew(shown.version, |_| window_names(&sample.windows));
        self.refresh_bands(info, shown, choices);
        self.by_layer.take_finished();
        if needs.contains(&Need::LayerCurves) {
            self.refresh_layers(info, shown, choices);
        }
        self.refresh_maps(info, shown, choices, [Some(window), minus], all);
        let curve_key = (shown.version, window.label.clone(), choices.metric);
        let (version, label, metric) = curve_key;
        self.pinned
            .renew((version, label, metric, choices.pinned), |_| {
                head_curve(info, window, metric, choices.pinned)
            });
        let tokens_key = (shown.version, window.label.clone(), choices.heads.clone());
        let heads = selected(&window.comparison, info, &choices.heads);
        let place = sample
            .windows
            .iter()
            .position(|known| known.label == window.label);
        let place = place.unwrap_or_default();
        self.rank_agreement.take_finished();
        self.tokens.take_finished();
        if needs.contains(&Need::RankAgreement) {
            self.refresh_ranks(shown, tokens_key.clone(), place, heads.clone());
        }
        if needs.contains(&Need::Tokens) {
            self.refresh_tokens(shown, tokens_key, place, heads);
        }
        let tokens = self.tokens.held().map(|(_, held)| held);
        let tokens_version = tokens.map_or(0, |(_, version)| *version);
        let tokens = tokens.map(|(tokens, _)| tokens);
        let shade_key = (tokens_version, choices.token_heat, choices.heat_scale);
        self.shade.renew(shade_key, |version| {
            tokens.map_or_else(TokenShade::default, |tokens| {
                tokens.shade(choices.token_heat, choices.heat_scale, version)
            })
        });
        let budget = self.budget_tokens();
        self.kept.renew((tokens_version, budget), |_| {
            let kept = tokens.map_or_else(KeptTokens::default, |tokens| tokens.kept(budget));
            let evidence = kept.of_evidence(&sample.record.evidence_tokens);
            (kept, evidence)
        });
    }

    fn refresh_bands(&mut self, info: &SessionInfo, shown: &Shown, choices: &Choices) {
        let heads = match choices.heads.len() {
            0 => info.layers * info.query_heads,
            heads => heads,
        };
        let scores = heads * self.budgets().len() * shown.sample.windows.len();
        let (sample, info) = (Arc::clone(&shown.sample), info.clone());
        let selection = choices.heads.clone();
        let key = (shown.version, selection.clone());
        self.bands.renew(key, scores, move |_| {
            let chance = sample.windows.first().map_or_else(Vec::new, |window| {
                let heads = selected(&window.comparison, &info, &selection);
                chance(&window.comparison, &heads)
            });
            Bands {
                windows: window_bands(&sample.windows, &info, &selection),
                chance,
            }
        });
        self.shown_version = shown.version;
    }

    /// Curves of every layer; of a large model they are on their way for a while.
    fn refresh_layers(&mut self, info: &SessionInfo, shown: &Shown, choices: &Choices) {
        let heads = info.layers * info.query_heads;
        let scores = heads * self.budgets().len() * shown.sample.windows.len();
        let (sample, info) = (Arc::clone(&shown.sample), info.clone());
        let (selection, metric) = (choices.heads.clone(), choices.metric);
        let key = (shown.version, selection.clone(), metric);
        self.by_layer.renew(key, scores, move |_| {
            layer_curves(&sample.windows, &info, &selection, metric)
        });
    }

    /// Ranks of oracle and window over the selected heads; of many heads of a long prompt they are on their way for
    /// a while.
    fn refresh_ranks(
        &mut self,
        shown: &Shown,
        key: TokensKey,
        place: usize,
        heads: Vec<(usize, usize)>,
    ) {
        let scores = heads.len() * shown.sample.record.prompt_ids.len();
        let sample = Arc::clone(&shown.sample);
        self.rank_agreement.renew(key, scores, move |version| {
            let window = sample.windows.get(place)?;
            Some(rank_agreement(&sample, window, &heads, version))
        });
    }

    /// Means over the selected heads, token by token; on their way for as long.
    fn refresh_tokens(
        &mut self,
        shown: &Shown,
        key: TokensKey,
        place: usize,
        heads: Vec<(usize, usize)>,
    ) {
        let scores = heads.len() * shown.sample.record.prompt_ids.len();
        let exempt = shown.options.exempt;
        let sample = Arc::clone(&shown.sample);
        self.tokens.renew(key, scores, move |version| {
            let window = sample.windows.get(place);
            let tokens = window.map(|window| TokenScores::of(&sample, window, &heads, exempt));
            (tokens.unwrap_or_default(), version)
        });
    }

    fn refresh_maps(
        &mut self,
        info: &SessionInfo,
        shown: &Shown,
        choices: &Choices,
        [window, minus]: [Option<&MeasuredWindow>; 2],
        all: Option<(&SessionMaps, u64)>,
    ) {
        let Some(window) = window else { return };
        let scope = match choices.map_kind {
            MapKind::Beside => MapScope::Sample,
            _ => choices.map_scope,
        };
        // maps of an earlier budget or scoring look the same, but are not what stands above them
        let gathered = GatheredKey::of(&info.path, choices);
        let all =
            all.filter(|(maps, _)| scope == MapScope::Session && maps.key.gathered == gathered);
        let wanted = MapChoices {
            kind: choices.map_kind,
            scope,
            metric: choices.metric,
            window: window.label.clone(),
            minus: minus.map(|minus| minus.label.clone()),
            hidden: choices.hidden_windows.clone(),
        };
        let all_version = all.map_or(0, |(_, version)| version);
        let at = self.budget_index;
        let key = (shown.version, all_version, at, wanted);
        let visible: Vec<&MeasuredWindow> = shown
            .sample
            .windows
            .iter()
            .filter(|window| !choices.hidden_windows.contains(&window.label))
            .collect();
        self.maps.renew(key, |version| {
            let one = |window: &MeasuredWindow, minus: Option<&MeasuredWindow>| match scope {
                MapScope::Sample => Some(maps::sample_map(
                    info,
                    window,
                    minus,
                    choices.metric,
                    at,
                    version,
                )),
                MapScope::Session => {
                    let minus = minus.map(|minus| minus.label.as_str());
                    maps::session_map(all?.0, &window.label, minus, version)
                }
            };
            match choices.map_kind {
                MapKind::Window => Maps {
                    window: one(window, minus),
                    ..Maps::default()
                },
                MapKind::Beside => Maps {
                    window: one(window, None),
                    ..Maps::default()
                },
                MapKind::SideBySide => Maps {
                    side_by_side: visible
                        .iter()
                        .filter_map(|window| one(window, None))
                        .collect(),
                    ..Maps::default()
                },
                MapKind::Winner => Maps {
                    winner: match scope {
                        MapScope::Sample => {
                            maps::sample_winners(info, &visible, choices.metric, at, version)
                        }
                        MapScope::Session => {
                            all.and_then(|(maps, _)| maps::session_winners(maps, &visible, version))
                        }
                    },
                    ..Maps::default()
                },
            }
        });
    }

    /// Renews what holds this session against another.
    pub fn hold_against(&mut self, beside: &Self) {
        let (Some(main), Some(other)) = (self.maps.get(), beside.maps.get()) else {
            return;
        };
        let key = (self.maps.version(), beside.maps.version());
        self.between.renew(key, |version| {
            maps::between(main.window.as_ref()?, other.window.as_ref()?, version)
        });
    }

    /// The map of the chosen window, less the same of the session beside.
    #[must_use]
    pub fn map_between(&self) -> Option<&HeadMap> {
        self.between.get()?.as_ref()
    }

    /// Renews what hangs on the pointer.
    pub fn point_at(&mut self, shown: &Shown, info: &SessionInfo, hover: &Hover) {
        let mut windows = shown.sample.windows.iter();
        let Some(window) = windows.find(|window| Some(&window.label) == self.window.as_ref())
        else {
            return;
        };
        let Some((_, _, metric, _)) = self.pinned.key() else {
            return;
        };
        let key = (shown.version, window.label.clone(), *metric, hover.head);
        let metric = *metric;
        self.hovered
            .renew(key, |_| head_curve(info, window, metric, hover.head));
    }

    /// The curve of the pinned head.
    #[must_use]
    pub fn pinned_curve(&self) -> Option<&HeadCurve> {
        self.pinned.get()?.as_ref()
    }

    /// The curve of the head that the pointer is on.
    #[must_use]
    pub fn hovered_curve(&self) -> Option<&HeadCurve> {
        self.hovered.get()?.as_ref()
    }

    /// Token budgets at which every metric is known.
    #[must_use]
    pub fn budgets(&self) -> &[usize] {
        self.grid.as_ref().map_or(&[], BudgetGrid::tokens)
    }

    /// The budget in tokens, as the grid has it.
    #[must_use]
    pub fn budget_tokens(&self) -> usize {
        self.budgets().get(self.budget_index).copied().unwrap_or(0)
    }

    /// The windows of the sample on show, in its order; known before any of their numbers.
    #[must_use]
    pub fn windows(&self) -> &[WindowName] {
        self.windows.get().map_or(&[], Vec::as_slice)
    }

    /// Bands of every window; none while those of another sample are on their way.
    #[must_use]
    pub fn bands(&self) -> &[WindowBands] {
        self.held_bands().map_or(&[], |bands| &bands.windows)
    }

    /// Recall that a random ranking is expected to reach at every budget, over the selected heads.
    #[must_use]
    pub fn chance(&self) -> &[f64] {
        self.held_bands().map_or(&[], |bands| &bands.chance)
    }

    fn held_bands(&self) -> Option<&Bands> {
        let (key, bands) = self.bands.held()?;
        (key.0 == self.shown_version).then_some(bands)
    }

    /// The map of the chosen window, if that is what is shown.
    #[must_use]
    pub fn map(&self) -> Option<&HeadMap> {
        self.maps.get()?.window.as_ref()
    }

    /// The maps of all visible windows, if that is what is shown.
    #[must_use]
    pub fn side_by_side(&self) -> &[HeadMap] {
        self.maps.get().map_or(&[], |maps| &maps.side_by_side)
    }

    /// The map of winners, if that is what is shown.
    #[must_use]
    pub fn winner_map(&self) -> Option<&WinnerMap> {
        self.maps.get()?.winner.as_ref()
    }

    /// Scores and ranks of the tokens.
    #[must_use]
    pub fn tokens(&self) -> Option<&TokenScores> {
        let (key, (tokens, _)) = self.tokens.held()?;
        (key.0 == self.shown_version).then_some(tokens)
    }

    /// The tokens' heat.
    #[must_use]
    pub fn shade(&self) -> Option<&TokenShade> {
        self.shade.get()
    }

    /// Curves of every layer; asked for by [`Choices::by_layer`].
    #[must_use]
    pub fn by_layer(&self) -> &[LayerCurves] {
        let held = self.by_layer.held().filter(|(key, _)| {
            let (version, _, metric) = key;
            *version == self.shown_version && Some(*metric) == self.metric
        });
        held.map_or(&[], |(_, layers)| layers)
    }

    /// Whether something of the choices is still on its way.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        self.tokens.is_busy()
            || self.rank_agreement.is_busy()
            || self.bands.is_busy()
            || self.by_layer.is_busy()
    }

    /// What could not be made since this was asked last.
    pub fn take_failures(&mut self) -> Vec<&'static str> {
        let failures = [
            (self.tokens.take_failure(), "The tokens' scores"),
            (self.rank_agreement.take_failure(), "The rank agreement"),
            (self.bands.take_failure(), "The curves"),
            (self.by_layer.take_failure(), "The curves by layer"),
        ];
        let failed = failures.into_iter().filter(|(is_news, _)| *is_news);
        failed.map(|(_, what)| what).collect()
    }

    /// Ranks of oracle and window against each other.
    #[must_use]
    pub fn rank_agreement(&self) -> Option<&RankAgreement> {
        let (key, ranks) = self.rank_agreement.held()?;
        ranks.as_ref().filter(|_| key.0 == self.shown_version)
    }

    /// What the window's rule keeps at the budget.
    #[must_use]
    pub fn kept(&self) -> Option<&KeptTokens> {
        self.kept.get().map(|(kept, _)| kept)
    }

    /// How many of the needed tokens survive at the budget.
    #[must_use]
    pub fn evidence(&self) -> EvidenceKept {
        self.kept.get().map(|(_, kept)| *kept).unwrap_or_default()
    }

    /// Differs whenever another set of tokens is kept.
    #[must_use]
    pub fn kept_version(&self) -> u64 {
        self.kept.version()
    }
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
