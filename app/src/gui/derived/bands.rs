//! Curves over the selected heads, layer by layer, and of single heads.

use std::sync::Arc;

use super::curves::{self, HeadGrid, chance, layer_curves, selected, window_bands};
use super::{Derived, HeadCurve, LayerCurves, Wanted, WindowBands};
use crate::gui::query::Pool;
use crate::gui::views::Need;
use crate::measurement::MeasuredWindow;

/// Curves over the selected heads.
#[derive(Default)]
pub(super) struct Bands {
    windows: Vec<WindowBands>,
    /// Recall of a random ranking at every budget.
    chance: Vec<f64>,
}

impl Derived {
    pub(super) fn refresh_curves(
        &mut self,
        pool: &Pool,
        wanted: &Wanted<'_>,
        window: &MeasuredWindow,
    ) {
        let (shown, choices) = (wanted.shown, wanted.choices);
        let (grid, metric) = (HeadGrid::of(wanted.info), choices.metric);
        let selection = choices.heads.clone();
        if wanted.needs.contains(&Need::Curves) {
            let sample = Arc::clone(&shown.sample);
            let key = (shown.version, selection.clone());
            let selection = selection.clone();
            self.bands.in_pool(pool, key, move |_| {
                let first = sample.windows.first();
                Bands {
                    windows: window_bands(&sample.windows, grid, &selection),
                    chance: first.map_or_else(Vec::new, |window| {
                        let heads = selected(&window.comparison, grid, &selection);
                        chance(&window.comparison, &heads)
                    }),
                }
            });
        } else {
            self.bands.let_go();
        }
        if wanted.needs.contains(&Need::LayerCurves) {
            let sample = Arc::clone(&shown.sample);
            let key = (shown.version, selection.clone(), metric);
            self.by_layer.in_pool(pool, key, move |_| {
                layer_curves(&sample.windows, grid, &selection, metric)
            });
        } else {
            self.by_layer.let_go();
        }
        let key = (shown.version, window.label.clone(), metric, choices.pinned);
        self.pinned.at_once(key, |_| {
            curves::head_curve(grid, window, metric, choices.pinned)
        });
    }

    /// The curve of the pinned head.
    #[must_use]
    pub fn pinned_curve(&self) -> Option<&HeadCurve> {
        self.pinned.value()?.as_ref()
    }

    /// The curve of the head that the pointer is on.
    #[must_use]
    pub fn hovered_curve(&self) -> Option<&HeadCurve> {
        self.hovered.value()?.as_ref()
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

    /// Curves of every layer; asked for by [`crate::gui::state::Choices::by_layer`].
    #[must_use]
    pub fn by_layer(&self) -> &[LayerCurves] {
        let held = self.by_layer.held().filter(|(key, _)| {
            let (version, _, metric) = key;
            (*version, Some(*metric)) == (self.shown_version, self.metric)
        });
        held.map_or(&[], |(_, layers)| layers)
    }
}
