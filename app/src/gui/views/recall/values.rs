//! What stands behind the names of the curves: their numbers at the budget.

use kvlens_analysis::Metric;

use super::curves::{baseline, differences};
use super::over_samples;
use crate::gui::derived::WindowName;
use crate::gui::forced::forced_tokens;
use crate::gui::numbers;
use crate::gui::state::CurvesOver;
use crate::gui::views::View;
use crate::gui::views::legend::Name;

/// A window with its number at the budget; a click hides the curve.
pub(super) fn name(view: &View<'_>, window: &WindowName) -> Name {
    if view.settings.choices.shown_curves_over() != CurvesOver::Sample {
        let value = over_samples::value_at_budget(view, &window.label);
        let help = "Mean over samples at the budget that is nearest to the one chosen. Click to hide or show the curve";
        return Name::of_window(view, window, &value, help);
    }
    let metric = view.settings.choices.metric;
    let mut bands = view.derived.bands().iter();
    let bands = bands.find(|known| known.label == window.label);
    if let Some(baseline) = baseline(view) {
        let differences = bands.and_then(|bands| differences(bands, baseline, metric));
        let value = differences.and_then(|it| it.get(view.derived.budget_index).copied());
        let help = format!(
            "What it has more than {}, mean over the selected heads at the budget. Click to hide or show the curve",
            baseline.label
        );
        return Name::of_window(view, window, &signed(value), &help);
    }
    let at = |values: &[f64]| values.get(view.derived.budget_index).copied();
    let value = bands.and_then(|bands| at(&bands.band(metric)?.mean));
    let ceiling = bands.and_then(|bands| at(bands.ceiling(metric)?));
    let value = match (value, ceiling) {
        (None, _) => String::new(),
        (Some(value), _) if value.is_nan() => " –".to_owned(),
        (Some(value), None) => format!(" {value:.3}"),
        (Some(value), Some(ceiling)) => format!(" {value:.3} of {ceiling:.3}"),
    };
    let forced = forced(view, window);
    let value = format!("{value}{}", forced.as_deref().unwrap_or_default());
    let help = "Mean over the selected heads at the budget. Click to hide or show the curve";
    Name::of_window(view, window, &value, help)
}

/// A difference behind a name.
pub(super) fn signed(value: Option<f64>) -> String {
    match value {
        None => String::new(),
        Some(value) if value.is_nan() => " –".to_owned(),
        Some(value) => format!(" {}", numbers::signed(value, 3)),
    }
}

/// How many of the hits no ranking earned, where the hit rate is shown.
fn forced(view: &View<'_>, window: &WindowName) -> Option<String> {
    let (_, shown) = view.shown()?;
    let mut windows = shown.sample.windows.iter();
    let window = windows.find(|known| known.label == window.label)?;
    let budget = view.derived.budget_tokens();
    let forced = forced_tokens(window, budget);
    let is_told = view.settings.choices.metric == Metric::HitRate && forced > 0;
    is_told.then(|| format!(" ({forced} of {budget} forced)"))
}
