//! Values that follow from the sample on show and the choices: bands, maps, token scores.
//!
//! The numbers come from the analysis crate; this file only decides when to ask for them again. A
//! drag of the budget looks values up, a change of the heads renews the bands, and only another
//! sample renews everything.

pub mod drift;
pub mod fidelity;
mod memo;
pub mod queries;
mod tokens;

use std::collections::BTreeSet;

use kvlens_analysis::rank_density::RankDensity;
use kvlens_analysis::{Band, BudgetGrid, Comparison, Metric};

use super::data::{SessionInfo, Shown};
use super::state::{Choices, HeadAddress, HeatScale, TokenHeat};
use crate::measurement::MeasuredWindow;
use memo::Memo;
pub use tokens::{TokenScores, TokenShade};

/// What a window's curves are over the selected heads, for every metric.
pub struct WindowBands {
    /// The window.
    pub label: String,
    /// How many windows of the same method stand before it.
    pub repeat: usize,
    /// Heads that the band is over.
    pub heads: usize,
    bands: Vec<(Metric, Band)>,
}

impl WindowBands {
    /// The band of one metric at every budget of the grid.
    #[must_use]
    pub fn band(&self, metric: Metric) -> Option<&Band> {
        self.bands
            .iter()
            .find(|(known, _)| *known == metric)
            .map(|(_, band)| band)
    }
}

/// A map of layers by heads, ready to be coloured.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HeadMap {
    /// What the numbers are, for title and hover.
    pub title: String,
    /// L.
    pub layers: usize,
    /// Heads per layer of the window's scoring; H when two windows that differ in this are subtracted.
    pub heads: usize,
    /// Query heads that one cell stands for.
    pub query_heads_per_cell: usize,
    /// Whether two windows are subtracted.
    pub difference: bool,
    /// `[L, heads]`.
    pub values: Vec<f32>,
    /// Differs whenever the values do.
    pub version: u64,
}

/// How many of the needed tokens survive at the budget.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EvidenceKept {
    /// Tokens that hold what the answer needs.
    pub needed: usize,
    /// Those that the oracle keeps.
    pub oracle: usize,
    /// Those that the window keeps.
    pub window: usize,
}

/// One layer's curves: the mean over its heads that are selected, or over all of them if none is.
pub struct LayerCurves {
    /// Which layer.
    pub layer: usize,
    /// Whether any of its heads is selected.
    pub selected: bool,
    /// The metric at every budget of the grid, window by window.
    pub means: Vec<Vec<f32>>,
}

const BUDGET_POINTS: usize = 1024;

/// Bins of a rank on one side of the view of rank agreement.
const RANK_BINS: usize = 24;

/// Where the window ranks the tokens that the oracle ranks here or there, over the selected heads.
#[derive(Clone, Debug)]
pub struct RankAgreement {
    /// The bins.
    pub density: RankDensity,
    /// `[bins, bins]`, see [`RankDensity::shares`].
    pub shares: Vec<f32>,
    /// Heads that were counted.
    pub heads: usize,
    /// Differs whenever the values do.
    pub version: u64,
}

type HeadsKey = (u64, BTreeSet<HeadAddress>);
type MapKey = (u64, String, Option<String>, Metric, usize);
type TokensKey = (u64, String, BTreeSet<HeadAddress>);

/// All derived values of the sample on show; renewed by [`Derived::refresh`] before a frame.
#[derive(Default)]
pub struct Derived {
    grid: Option<BudgetGrid>,
    /// Place of the budget in the grid of budgets.
    pub budget_index: usize,
    /// The window that map and tokens show.
    pub window: Option<String>,
    /// The window that the map subtracts.
    pub minus: Option<String>,
    bands: Memo<HeadsKey, Vec<WindowBands>>,
    map: Memo<MapKey, HeadMap>,
    tokens: Memo<TokensKey, TokenScores>,
    shade: Memo<(u64, TokenHeat, HeatScale), TokenShade>,
    evidence: Memo<(u64, usize), EvidenceKept>,
    rank_agreement: Memo<TokensKey, RankAgreement>,
    by_layer: Memo<(u64, BTreeSet<HeadAddress>, Metric), Vec<LayerCurves>>,
    drift: Memo<drift::DriftKey, drift::DriftCurves>,
    places: Memo<drift::PlacesKey, drift::PlacesCurves>,
    queries: Memo<queries::QueriesKey, queries::QueryLines>,
    fidelity: Memo<fidelity::FidelityKey, fidelity::FidelityCurves>,
}

impl Derived {
    /// Renews what the sample and the choices ask for.
    pub fn refresh(&mut self, info: &SessionInfo, shown: &Shown, choices: &Choices) {
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

        self.bands
            .renew((shown.version, choices.heads.clone()), |_| {
                window_bands(&sample.windows, info, &choices.heads)
            });
        if choices.by_layer {
            let key = (shown.version, choices.heads.clone(), choices.metric);
            self.by_layer.renew(key, |_| {
                layer_curves(&sample.windows, info, &choices.heads, choices.metric)
            });
        }
        let map_key = (
            shown.version,
            window.label.clone(),
            self.minus.clone(),
            choices.metric,
            self.budget_index,
        );
        let at = self.budget_index;
        self.map.renew(map_key, |version| {
            head_map(info, window, minus, choices.metric, at, version)
        });
        let tokens_key = (shown.version, window.label.clone(), choices.heads.clone());
        self.rank_agreement.renew(tokens_key.clone(), |version| {
            let heads = selected(&window.comparison, info, &choices.heads);
            rank_agreement(window, &heads, version)
        });
        self.tokens.renew(tokens_key, |_| {
            TokenScores::of(
                window,
                &selected(&window.comparison, info, &choices.heads),
                shown.options.exempt,
            )
        });
        let shade_key = (
            self.tokens.version(),
            choices.token_heat,
            choices.heat_scale,
        );
        let tokens = self.tokens.get();
        self.shade.renew(shade_key, |version| {
            tokens.map_or_else(TokenShade::default, |tokens| {
                tokens.shade(choices.token_heat, choices.heat_scale, version)
            })
        });
        let budget = self.budget_tokens();
        self.evidence.renew((self.tokens.version(), budget), |_| {
            tokens.map_or_else(EvidenceKept::default, |tokens| {
                count_evidence(tokens, &sample.record.evidence_tokens, budget)
            })
        });
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

    /// Bands of every window.
    #[must_use]
    pub fn bands(&self) -> &[WindowBands] {
        self.bands.get().map_or(&[], Vec::as_slice)
    }

    /// The map.
    #[must_use]
    pub fn map(&self) -> Option<&HeadMap> {
        self.map.get()
    }

    /// Scores and ranks of the tokens.
    #[must_use]
    pub fn tokens(&self) -> Option<&TokenScores> {
        self.tokens.get()
    }

    /// The tokens' heat.
    #[must_use]
    pub fn shade(&self) -> Option<&TokenShade> {
        self.shade.get()
    }

    /// Curves of every layer; asked for by [`Choices::by_layer`].
    #[must_use]
    pub fn by_layer(&self) -> &[LayerCurves] {
        self.by_layer.get().map_or(&[], Vec::as_slice)
    }

    /// Ranks of oracle and window against each other.
    #[must_use]
    pub fn rank_agreement(&self) -> Option<&RankAgreement> {
        self.rank_agreement.get()
    }

    /// How many of the needed tokens survive at the budget.
    #[must_use]
    pub fn evidence(&self) -> EvidenceKept {
        self.evidence.get().copied().unwrap_or_default()
    }

    /// Differs whenever another set of tokens is kept.
    #[must_use]
    pub fn kept_version(&self) -> u64 {
        self.evidence.version()
    }
}

fn layer_curves(
    windows: &[MeasuredWindow],
    info: &SessionInfo,
    selection: &BTreeSet<HeadAddress>,
    metric: Metric,
) -> Vec<LayerCurves> {
    (0..info.layers)
        .map(|layer| {
            let own = |address: &&HeadAddress| address.layer == layer;
            let mut heads: BTreeSet<HeadAddress> = selection.iter().filter(own).copied().collect();
            let is_selected = !heads.is_empty();
            if !is_selected {
                heads.extend((0..info.query_heads).map(|head| HeadAddress { layer, head }));
            }
            LayerCurves {
                layer,
                selected: is_selected,
                means: windows
                    .iter()
                    .map(|window| {
                        let heads = selected(&window.comparison, info, &heads);
                        window.comparison.band(metric, &heads).mean
                    })
                    .collect(),
            }
        })
        .collect()
}

fn rank_agreement(
    window: &MeasuredWindow,
    heads: &[(usize, usize)],
    version: u64,
) -> RankAgreement {
    let mut density = RankDensity::new(window.rankings.rankable_tokens(), RANK_BINS);
    for &(layer, head) in heads {
        density.add(
            window.oracle_rankings.rank(layer, head),
            window.rankings.rank(layer, head),
        );
    }
    RankAgreement {
        shares: density.shares(),
        density,
        heads: heads.len(),
        version,
    }
}

fn count_evidence(
    tokens: &TokenScores,
    evidence: &[std::ops::Range<usize>],
    budget: usize,
) -> EvidenceKept {
    let mut kept = EvidenceKept::default();
    for token in evidence.iter().cloned().flatten() {
        kept.needed += 1;
        kept.oracle += usize::from(tokens.oracle_keeps(token, budget));
        kept.window += usize::from(tokens.window_keeps(token, budget));
    }
    kept
}

/// The budgets at which a sample is measured; up to this many prompt tokens that is every budget.
///
/// Gives nothing for a prompt without tokens.
#[must_use]
pub fn budget_grid(prompt_tokens: usize) -> Option<BudgetGrid> {
    BudgetGrid::new(prompt_tokens, BUDGET_POINTS).ok()
}

fn window_bands(
    windows: &[MeasuredWindow],
    info: &SessionInfo,
    selection: &BTreeSet<HeadAddress>,
) -> Vec<WindowBands> {
    let labels: Vec<&str> = windows.iter().map(|window| window.label.as_str()).collect();
    windows
        .iter()
        .enumerate()
        .map(|(index, window)| {
            let heads = selected(&window.comparison, info, selection);
            WindowBands {
                label: window.label.clone(),
                repeat: repeat(&labels, index),
                heads: heads.len(),
                bands: Metric::ALL
                    .into_iter()
                    .map(|metric| (metric, window.comparison.band(metric, &heads)))
                    .collect(),
            }
        })
        .collect()
}

/// How many windows of the same method stand before a window.
fn repeat(labels: &[&str], index: usize) -> usize {
    let method = |label: &str| label.split(':').next().unwrap_or(label).to_owned();
    let own = labels.get(index).map(|label| method(label));
    let before = labels.iter().take(index);
    before.filter(|label| Some(method(label)) == own).count()
}

/// The window's own heads that the selected query heads belong to; all of them without a selection.
fn selected(
    comparison: &Comparison,
    info: &SessionInfo,
    selection: &BTreeSet<HeadAddress>,
) -> Vec<(usize, usize)> {
    selected_heads(comparison.layers, comparison.heads, info, selection)
}

/// Of `[layers, heads]` those that the selected query heads belong to; all of them without a selection.
fn selected_heads(
    layers: usize,
    heads: usize,
    info: &SessionInfo,
    selection: &BTreeSet<HeadAddress>,
) -> Vec<(usize, usize)> {
    let chosen: BTreeSet<(usize, usize)> = selection
        .iter()
        .filter(|address| address.layer < layers && address.head < info.query_heads)
        .map(|address| {
            (
                address.layer,
                address.head * heads / info.query_heads.max(1),
            )
        })
        .collect();
    if chosen.is_empty() {
        return (0..layers)
            .flat_map(|layer| (0..heads).map(move |head| (layer, head)))
            .collect();
    }
    chosen.into_iter().collect()
}

fn head_map(
    info: &SessionInfo,
    window: &MeasuredWindow,
    minus: Option<&MeasuredWindow>,
    metric: Metric,
    budget_index: usize,
    version: u64,
) -> HeadMap {
    let values_of = |window: &MeasuredWindow, heads: usize| {
        let values = window.comparison.metric_map(metric, budget_index);
        spread(&values, window.comparison.heads, heads)
    };
    let own = window.comparison.heads;
    let heads = match minus {
        Some(minus) if minus.comparison.heads != own => info.query_heads,
        _ => own,
    };
    let mut values = values_of(window, heads);
    if let Some(minus) = minus {
        for (value, other) in values.iter_mut().zip(values_of(minus, heads)) {
            *value -= other;
        }
    }
    HeadMap {
        title: match minus {
            Some(minus) => format!("{} − {}", window.label, minus.label),
            None => window.label.clone(),
        },
        layers: window.comparison.layers,
        heads,
        query_heads_per_cell: info.query_heads / heads.max(1),
        difference: minus.is_some(),
        values,
        version,
    }
}

/// Repeats the value of a shared head for each of the query heads that share it.
fn spread(values: &[f32], from: usize, to: usize) -> Vec<f32> {
    if from == to || from == 0 {
        return values.to_vec();
    }
    values
        .chunks_exact(from)
        .flat_map(|layer| (0..to).filter_map(move |head| layer.get(head * from / to).copied()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shared_heads_are_spread_over_their_query_heads() {
        assert_eq!(
            spread(&[1.0, 2.0, 3.0, 4.0], 2, 4),
            [1.0, 1.0, 2.0, 2.0, 3.0, 3.0, 4.0, 4.0]
        );
        assert_eq!(spread(&[1.0, 2.0], 2, 2), [1.0, 2.0]);
    }
}
