//! Curves over the budget: of windows over the selected heads, of layers, of single heads.

use std::collections::BTreeSet;

use kvlens_analysis::figure::palette::repeat;
use kvlens_analysis::{Band, Comparison, Metric};

use crate::gui::data::SessionInfo;
use crate::gui::state::HeadAddress;
use crate::measurement::MeasuredWindow;

/// The query heads of the model.
#[derive(Clone, Copy, Debug)]
pub(in crate::gui) struct HeadGrid {
    /// L.
    pub layers: usize,
    /// H.
    pub query_heads: usize,
}

impl HeadGrid {
    pub fn of(info: &SessionInfo) -> Self {
        Self {
            layers: info.layers,
            query_heads: info.query_heads,
        }
    }
}

/// What a window's curves are over the selected heads, for every metric.
pub struct WindowBands {
    /// The window.
    pub label: String,
    /// How many windows of the same method stand before it.
    pub repeat: usize,
    /// Heads that the band is over.
    pub heads: usize,
    by_metric: Vec<MetricCurves>,
}

/// One metric of a window over the selected heads, at every budget of the grid.
struct MetricCurves {
    metric: Metric,
    band: Band,
    /// Mean of the window's ceiling, where methods are compared.
    ceiling: Option<Vec<f64>>,
    /// Heads that the metric is defined in.
    defined: Vec<usize>,
}

impl WindowBands {
    /// The band of one metric at every budget of the grid.
    #[must_use]
    pub fn band(&self, metric: Metric) -> Option<&Band> {
        self.of(metric).map(|curves| &curves.band)
    }

    /// What the window could reach at best: the mean of its ceiling at every budget of the grid, where methods are
    /// compared.
    #[must_use]
    pub fn ceiling(&self, metric: Metric) -> Option<&[f64]> {
        self.of(metric)?.ceiling.as_deref()
    }

    /// Of the selected heads those that a metric is defined in at a budget of the grid: the mean is over them.
    #[must_use]
    pub fn defined_heads(&self, metric: Metric, budget_index: usize) -> usize {
        let defined = self.of(metric).map(|curves| curves.defined.as_slice());
        let at_budget = defined.and_then(|defined| defined.get(budget_index));
        at_budget.copied().unwrap_or(0)
    }

    fn of(&self, metric: Metric) -> Option<&MetricCurves> {
        self.by_metric.iter().find(|known| known.metric == metric)
    }
}

/// One layer's curves: the mean over its heads that are selected, or over all of them if none is.
pub struct LayerCurves {
    /// Which layer.
    pub layer: usize,
    /// Whether any of its heads is selected.
    pub selected: bool,
    /// The metric at every budget of the grid, window by window.
    pub means: Vec<Vec<f64>>,
    /// The windows' ceilings at every budget of the grid, where methods are compared.
    pub ceilings: Vec<Option<Vec<f64>>>,
}

/// A head's own curve, for the window on show.
#[derive(Clone, Debug, PartialEq)]
pub struct HeadCurve {
    /// The head.
    pub head: HeadAddress,
    /// The metric at every budget of the grid.
    pub values: Vec<f64>,
    /// The window's ceiling in this head, where methods are compared.
    pub ceiling: Option<Vec<f64>>,
}

pub(super) fn window_bands(
    windows: &[MeasuredWindow],
    grid: HeadGrid,
    selection: &BTreeSet<HeadAddress>,
) -> Vec<WindowBands> {
    let labels: Vec<&str> = windows.iter().map(|window| window.label.as_str()).collect();
    windows
        .iter()
        .enumerate()
        .map(|(index, window)| {
            let heads = selected(&window.comparison, grid, selection);
            WindowBands {
                label: window.label.clone(),
                repeat: repeat(&labels, index),
                heads: heads.len(),
                by_metric: Metric::ALL
                    .into_iter()
                    .map(|metric| MetricCurves {
                        metric,
                        band: window.comparison.band(metric, &heads),
                        ceiling: ceiling(window, metric, &heads),
                        defined: defined_heads(&window.comparison, metric, &heads),
                    })
                    .collect(),
            }
        })
        .collect()
}

fn ceiling(window: &MeasuredWindow, metric: Metric, heads: &[(usize, usize)]) -> Option<Vec<f64>> {
    let ceiling = window.ceiling.as_ref()?;
    Some(ceiling.band(metric, heads).mean)
}

/// How many of the heads a metric is defined in, at every budget.
fn defined_heads(comparison: &Comparison, metric: Metric, heads: &[(usize, usize)]) -> Vec<usize> {
    let mut defined = vec![0; comparison.budgets.len()];
    for &(layer, head) in heads {
        let curve = comparison.head(layer, head).curves.of(metric);
        for (defined, value) in defined.iter_mut().zip(curve) {
            *defined += usize::from(!value.is_nan());
        }
    }
    defined
}

/// Recall that a random ranking is expected to reach at every budget: the mean over the heads whose layer ranks more
/// tokens; NaN where none does.
pub(in crate::gui) fn chance(comparison: &Comparison, heads: &[(usize, usize)]) -> Vec<f64> {
    let mut of_layer = vec![0_usize; comparison.layers];
    for (layer, _) in heads {
        of_layer[*layer] += 1;
    }
    let layers = of_layer.iter().zip(&comparison.rankable_tokens);
    let layers: Vec<(f64, usize)> = layers
        .map(|(&heads, &rankable)| (heads as f64, rankable))
        .collect();
    let at = |&budget: &usize| {
        let (mut sum, mut count) = (0.0, 0.0);
        for &(heads, rankable) in layers.iter().filter(|(_, rankable)| budget < *rankable) {
            sum += heads * budget as f64 / rankable as f64;
            count += heads;
        }
        sum / count
    };
    comparison.budgets.iter().map(at).collect()
}

/// The window's own heads that the selected query heads belong to; all of them without a selection.
pub(in crate::gui) fn selected(
    comparison: &Comparison,
    grid: HeadGrid,
    selection: &BTreeSet<HeadAddress>,
) -> Vec<(usize, usize)> {
    selected_heads(comparison.layers, comparison.heads, grid, selection)
}

/// Of `[layers, heads]` those that the selected query heads belong to; all of them without a selection.
pub(super) fn selected_heads(
    layers: usize,
    heads: usize,
    grid: HeadGrid,
    selection: &BTreeSet<HeadAddress>,
) -> Vec<(usize, usize)> {
    let chosen: BTreeSet<(usize, usize)> = selection
        .iter()
        .filter(|address| address.layer < layers && address.head < grid.query_heads)
        .map(|address| {
            (
                address.layer,
                address.head * heads / grid.query_heads.max(1),
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

pub(super) fn layer_curves(
    windows: &[MeasuredWindow],
    grid: HeadGrid,
    selection: &BTreeSet<HeadAddress>,
    metric: Metric,
) -> Vec<LayerCurves> {
    (0..grid.layers)
        .map(|layer| {
            let own = |address: &&HeadAddress| address.layer == layer;
            let mut heads: BTreeSet<HeadAddress> = selection.iter().filter(own).copied().collect();
            let is_selected = !heads.is_empty();
            if !is_selected {
                heads.extend((0..grid.query_heads).map(|head| HeadAddress { layer, head }));
            }
            LayerCurves {
                layer,
                selected: is_selected,
                means: windows
                    .iter()
                    .map(|window| {
                        let heads = selected(&window.comparison, grid, &heads);
                        window.comparison.band(metric, &heads).mean
                    })
                    .collect(),
                ceilings: windows
                    .iter()
                    .map(|window| {
                        let heads = selected(&window.comparison, grid, &heads);
                        ceiling(window, metric, &heads)
                    })
                    .collect(),
            }
        })
        .collect()
}

/// Read and not computed: it is made in the frame.
pub(super) fn head_curve(
    grid: HeadGrid,
    window: &MeasuredWindow,
    metric: Metric,
    head: Option<HeadAddress>,
) -> Option<HeadCurve> {
    let head = head.filter(|head| head.layer < grid.layers && head.head < grid.query_heads)?;
    let of_head = |comparison: &Comparison| {
        let own = selected(comparison, grid, &BTreeSet::from([head]));
        let &(layer, head) = own.first()?;
        Some(comparison.head(layer, head).curves.of(metric).to_vec())
    };
    let ceiling = window.ceiling.as_deref();
    Some(HeadCurve {
        head,
        values: of_head(&window.comparison)?,
        ceiling: ceiling.and_then(of_head),
    })
}
