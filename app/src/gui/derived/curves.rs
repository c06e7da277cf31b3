//! Curves over the budget: of windows over the selected heads, of layers, of single heads.

use std::collections::BTreeSet;

use kvlens_analysis::{Band, Comparison, Metric};

use crate::gui::data::SessionInfo;
use crate::gui::state::HeadAddress;
use crate::measurement::MeasuredWindow;

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

/// One layer's curves: the mean over its heads that are selected, or over all of them if none is.
pub struct LayerCurves {
    /// Which layer.
    pub layer: usize,
    /// Whether any of its heads is selected.
    pub selected: bool,
    /// The metric at every budget of the grid, window by window.
    pub means: Vec<Vec<f32>>,
}

/// A head's own curve, for the window on show.
#[derive(Clone, Debug, PartialEq)]
pub struct HeadCurve {
    /// The head.
    pub head: HeadAddress,
    /// The metric at every budget of the grid.
    pub values: Vec<f32>,
}

pub(super) fn window_bands(
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
pub(super) fn repeat(labels: &[&str], index: usize) -> usize {
    let method = |label: &str| label.split(':').next().unwrap_or(label).to_owned();
    let own = labels.get(index).map(|label| method(label));
    let before = labels.iter().take(index);
    before.filter(|label| Some(method(label)) == own).count()
}

/// The window's own heads that the selected query heads belong to; all of them without a selection.
pub(super) fn selected(
    comparison: &Comparison,
    info: &SessionInfo,
    selection: &BTreeSet<HeadAddress>,
) -> Vec<(usize, usize)> {
    selected_heads(comparison.layers, comparison.heads, info, selection)
}

/// Of `[layers, heads]` those that the selected query heads belong to; all of them without a selection.
pub(super) fn selected_heads(
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

pub(super) fn layer_curves(
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

pub(super) fn head_curve(
    info: &SessionInfo,
    window: &MeasuredWindow,
    metric: Metric,
    head: Option<HeadAddress>,
) -> Option<HeadCurve> {
    let head = head.filter(|head| head.layer < info.layers && head.head < info.query_heads)?;
    let own = selected(&window.comparison, info, &BTreeSet::from([head]));
    let values = window.comparison.band(metric, &own).mean;
    Some(HeadCurve { head, values })
}
