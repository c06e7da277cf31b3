//! What the heads are like against what the chosen window does in them: a mark for each.

use kvlens_analysis::Metric;
use kvlens_analysis::agreement::spearman;
use kvlens_analysis::profile::ProfileNumber;

use super::{Derived, Wanted};
use crate::gui::questions::profile::ProfileAnswer;
use crate::gui::state::HeadAddress;
use crate::gui::views::Need;
use crate::measurement::MeasuredWindow;

/// A mark for every head in which both numbers are defined.
#[derive(Clone, Debug, PartialEq)]
pub struct Scatter {
    /// What the heads are like.
    pub number: ProfileNumber,
    /// What the window does in them.
    pub metric: Metric,
    /// The heads; the first query head of those that share one.
    pub heads: Vec<HeadAddress>,
    /// Query heads that a mark stands for.
    pub query_heads_per_mark: usize,
    /// The number of each.
    pub xs: Vec<f64>,
    /// The metric of each.
    pub ys: Vec<f64>,
    /// Spearman's rank correlation of the two over these heads; NaN where it is undefined.
    pub spearman: f64,
}

/// Versions of sample and profile, the window, the place of the budget, and what is shown.
pub(super) type ScatterKey = (u64, u64, String, usize, ProfileNumber, Metric);

impl Derived {
    pub(super) fn refresh_scatter(&mut self, wanted: &Wanted<'_>, window: &MeasuredWindow) {
        if !wanted.needs.contains(&Need::Scatter) {
            self.scatter.let_go();
            return;
        }
        let (number, metric) = (wanted.choices.profile, wanted.choices.metric);
        let version = wanted.profile.map_or(0, |(_, version)| version);
        let (at, budget_tokens) = (self.budget_index, self.budget_tokens());
        let shown = wanted.shown.version;
        let key = (shown, version, window.label.clone(), at, number, metric);
        self.scatter.at_once(key, |_| {
            let (profile, _) = wanted.profile?;
            let ys = window.comparison.metric_map(metric, at);
            let xs = profile.column(number, budget_tokens);
            let query_heads = wanted.info.query_heads;
            scatter(profile, (number, xs), (metric, ys), query_heads)
        });
    }

    /// The marks of the chosen window, as far as the heads were profiled.
    #[must_use]
    pub fn scatter(&self) -> Option<&Scatter> {
        self.scatter.value()?.as_ref()
    }
}

/// None where window and profile are of other heads.
fn scatter(
    profile: &ProfileAnswer,
    (number, xs): (ProfileNumber, Vec<f64>),
    (metric, ys): (Metric, Vec<f64>),
    query_heads: usize,
) -> Option<Scatter> {
    let heads = profile.heads_per_layer.max(1);
    let per_mark = query_heads / heads;
    if xs.len() != ys.len() {
        return None;
    }
    let mut found = Scatter {
        number,
        metric,
        heads: Vec::new(),
        query_heads_per_mark: per_mark,
        xs: Vec::new(),
        ys: Vec::new(),
        spearman: f64::NAN,
    };
    for (index, (x, y)) in xs.into_iter().zip(ys).enumerate() {
        if x.is_finite() && y.is_finite() {
            found.heads.push(HeadAddress {
                layer: index / heads,
                head: index % heads * per_mark,
            });
            found.xs.push(x);
            found.ys.push(y);
        }
    }
    let ranked = |values: &[f64]| -> Vec<f32> { values.iter().map(|it| *it as f32).collect() };
    let correlation = spearman(&ranked(&found.xs), &ranked(&found.ys));
    found.spearman = correlation.unwrap_or(f64::NAN);
    Some(found)
}
