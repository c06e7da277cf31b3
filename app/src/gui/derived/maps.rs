//! Maps of layers by heads: of one window, of all side by side, and of who wins.

use kvlens_analysis::Metric;
use kvlens_analysis::profile::ProfileNumber;
use kvlens_analysis::statistics::{HeadDifference, HeadWinner, WindowValues, best_by_head};

use crate::gui::data::{SessionInfo, Shown};
use crate::gui::head_numbers::{HeadNumber, needed_attention, needed_heads};
use crate::gui::questions::profile::ProfileAnswer;
use crate::gui::session_maps::SessionMaps;
use crate::measurement::MeasuredWindow;
use crate::measurement::head_values::spread;

/// A map of layers by heads, ready to be coloured.
#[derive(Clone, Debug, PartialEq)]
pub struct HeadMap {
    /// What the map is of, for title and hover.
    pub title: String,
    /// What its numbers are.
    pub number: HeadNumber,
    /// The number that has the strongest colour.
    pub highest: f64,
    /// L.
    pub layers: usize,
    /// Heads per layer of the scoring.
    pub heads: usize,
    /// Query heads that one cell stands for.
    pub query_heads_per_cell: usize,
    /// Whether two windows are subtracted.
    pub difference: bool,
    /// NaN where the metric is undefined, `[L, heads]`.
    pub values: Vec<f64>,
    /// What the window could reach at best, `[L, heads]`; empty where nothing bounds it, or two windows are subtracted.
    pub ceilings: Vec<f64>,
    /// Tokens that each layer ranks, `[L]`; empty where that is not the same for all samples.
    pub rankable_tokens: Vec<usize>,
    /// Whether a difference could as well be none, `[L, heads]`; empty where there are no samples to tell by.
    pub unresolved: Vec<bool>,
    /// Whether a difference is shown to be within the margin, `[L, heads]`; empty without samples or a margin.
    pub equivalent: Vec<bool>,
    /// Differs whenever the values do.
    pub version: u64,
}

/// Who is best in each head.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct WinnerMap {
    /// L.
    pub layers: usize,
    /// H.
    pub heads: usize,
    /// Labels of the windows that take part.
    pub windows: Vec<String>,
    /// Winner and margin, `[L, H]`; none where the metric is undefined for one of the windows.
    pub winners: Vec<Option<HeadWinner>>,
    /// Tokens that each layer ranks, `[L]`; empty where that is not the same for all samples.
    pub rankable_tokens: Vec<usize>,
    /// Whether samples tell which margins are more than chance.
    pub tested: bool,
    /// Differs whenever the winners do.
    pub version: u64,
}

impl HeadMap {
    /// Whether a cell, given as layer and head, has no number.
    #[must_use]
    pub fn is_undefined(&self, (layer, head): (usize, usize)) -> bool {
        let value = self.values.get(layer * self.heads + head);
        value.is_none_or(|value| value.is_nan())
    }
}

impl WinnerMap {
    /// Heads that a window wins alone.
    #[must_use]
    pub fn wins(&self, window: usize) -> usize {
        let alone = |winner: &&HeadWinner| winner.winner == window && !is_tie(winner);
        self.winners.iter().flatten().filter(alone).count()
    }

    /// The best window of a head, where the metric is defined for all of them.
    #[must_use]
    pub fn winner(&self, layer: usize, head: usize) -> Option<&HeadWinner> {
        self.winners.get(layer * self.heads + head)?.as_ref()
    }
}

/// Whether winner and runner-up are equal.
#[must_use]
pub fn is_tie(winner: &HeadWinner) -> bool {
    winner.runner_up.is_some() && winner.margin == 0.0
}

/// Scales of differences, which step so that they stay while a budget is moved a little.
const DIFFERENCE_SCALES: [f64; 4] = [0.1, 0.2, 0.5, 1.0];

/// The number that has the strongest colour: of differences the least of some round ones that none of them passes, because
/// they are small where both windows are good.
fn strongest(values: &[f64], is_difference: bool) -> f64 {
    if !is_difference {
        return 1.0;
    }
    let defined = values.iter().filter(|value| !value.is_nan());
    let largest = defined.fold(0.0, |most, value| value.abs().max(most));
    let holds = |scale: &f64| largest <= *scale;
    DIFFERENCE_SCALES.into_iter().find(holds).unwrap_or(largest)
}

/// One window of the sample on show, less another one if there is one.
pub(super) fn sample_map(
    info: &SessionInfo,
    window: &MeasuredWindow,
    minus: Option<&MeasuredWindow>,
    metric: Metric,
    budget_index: usize,
    version: u64,
) -> HeadMap {
    let values_of = |window: &MeasuredWindow| window.comparison.metric_map(metric, budget_index);
    let mut values = values_of(window);
    if let Some(minus) = minus {
        for (value, other) in values.iter_mut().zip(values_of(minus)) {
            *value -= other;
        }
    }
    let ceiling = window.ceiling.as_ref().filter(|_| minus.is_none());
    let heads = window.comparison.heads;
    HeadMap {
        title: title(&window.label, minus.map(|minus| minus.label.as_str())),
        number: HeadNumber::Metric(metric),
        highest: strongest(&values, minus.is_some()),
        layers: window.comparison.layers,
        heads,
        ceilings: ceiling.map_or_else(Vec::new, |it| it.metric_map(metric, budget_index)),
        rankable_tokens: window.comparison.rankable_tokens.clone(),
        query_heads_per_cell: info.query_heads / heads.max(1),
        difference: minus.is_some(),
        values,
        unresolved: Vec::new(),
        equivalent: Vec::new(),
        version,
    }
}

/// Attention of the decode stage on the needed tokens, in its own heads.
pub(super) fn needed_map(info: &SessionInfo, shown: &Shown, version: u64) -> HeadMap {
    let heads = (needed_attention(shown), needed_heads(shown));
    decode_map(info, HeadNumber::NeededAttention, heads, version)
}

/// What the heads are like, whatever the window.
pub(super) fn profile_map(
    info: &SessionInfo,
    profile: &ProfileAnswer,
    (number, budget_tokens): (ProfileNumber, usize),
    version: u64,
) -> HeadMap {
    let values = profile.column(number, budget_tokens);
    let heads = (values, profile.heads_per_layer);
    decode_map(info, HeadNumber::Profile(number), heads, version)
}

/// A number of the decode stage, `[L, heads]`, whose highest value has the strongest colour.
fn decode_map(
    info: &SessionInfo,
    number: HeadNumber,
    (values, heads): (Vec<f64>, usize),
    version: u64,
) -> HeadMap {
    let highest = values.iter().copied().fold(0.0, f64::max);
    HeadMap {
        title: "decode stage".to_owned(),
        number,
        highest: if highest > 0.0 { highest } else { 1.0 },
        layers: info.layers,
        heads,
        query_heads_per_cell: info.query_heads / heads.max(1),
        difference: false,
        values,
        ceilings: Vec::new(),
        rankable_tokens: Vec::new(),
        unresolved: Vec::new(),
        equivalent: Vec::new(),
        version,
    }
}

fn title(window: &str, minus: Option<&str>) -> String {
    match minus {
        Some(minus) => format!("{window} − {minus}"),
        None => window.to_owned(),
    }
}

/// The same over all samples; none for a window that they do not have.
pub(super) fn session_map(
    maps: &SessionMaps,
    window: &str,
    minus: Option<&str>,
    margin: Option<f64>,
    version: u64,
) -> Option<HeadMap> {
    let mut values = maps.mean_of(window)?.to_vec();
    if let Some(minus) = minus {
        for (value, other) in values.iter_mut().zip(maps.mean_of(minus)?) {
            *value -= other;
        }
    }
    let is_pair = |pair: &[String; 2]| pair[0] == window && Some(pair[1].as_str()) == minus;
    let tested = maps.key.pair.as_ref().is_some_and(is_pair);
    let differences = || maps.differences.iter().filter(|_| tested);
    let equivalent = margin.map(|margin| {
        let is_equivalent = |head: HeadDifference| head.difference.is_equivalent(margin);
        let heads = differences().map(|head| head.is_some_and(is_equivalent));
        heads.collect()
    });
    let [layers, heads] = maps.shape;
    Some(HeadMap {
        title: title(window, minus),
        number: HeadNumber::Metric(maps.key.gathered.metric),
        highest: strongest(&values, minus.is_some()),
        layers,
        heads,
        query_heads_per_cell: 1,
        difference: minus.is_some(),
        values,
        ceilings: match minus {
            Some(_) => Vec::new(),
            None => maps.ceiling_of(window).to_vec(),
        },
        rankable_tokens: Vec::new(),
        equivalent: equivalent.unwrap_or_default(),
        unresolved: differences()
            .map(|head| head.is_some_and(|head| !head.is_resolved()))
            .collect(),
        version,
    })
}

/// The same window in two sessions; none where windows or shapes differ.
pub(super) fn between(main: &HeadMap, beside: &HeadMap, version: u64) -> Option<HeadMap> {
    let same =
        main.title == beside.title && (main.layers, main.heads) == (beside.layers, beside.heads);
    let values = main.values.iter().zip(&beside.values);
    let values: Vec<f64> = values.map(|(a, b)| a - b).collect();
    same.then(|| HeadMap {
        title: format!("{}, A − B", main.title),
        difference: true,
        highest: strongest(&values, true),
        values,
        ceilings: Vec::new(),
        rankable_tokens: Vec::new(),
        version,
        ..main.clone()
    })
}

/// Who is best in each head of the sample on show; none of windows whose numbers do not exist.
pub(super) fn sample_winners(
    info: &SessionInfo,
    windows: &[&MeasuredWindow],
    metric: Metric,
    budget_index: usize,
    version: u64,
) -> Option<WinnerMap> {
    let values_of = |window: &&MeasuredWindow| {
        let values = window.comparison.metric_map(metric, budget_index);
        spread(&values, window.comparison.heads, info.query_heads)
    };
    let values = windows.iter().flat_map(values_of).collect();
    let heads = info.layers * info.query_heads;
    let values = WindowValues::new(windows.len(), 1, heads, values, None).ok()?;
    Some(WinnerMap {
        layers: info.layers,
        heads: info.query_heads,
        windows: windows.iter().map(|window| window.label.clone()).collect(),
        winners: best_by_head(&values, metric.higher_is_better(), 0).ok()?,
        rankable_tokens: windows.first()?.comparison.rankable_tokens.clone(),
        tested: false,
        version,
    })
}

/// Who of the `visible` windows is best in each head over all samples; none before they are all in.
pub(super) fn session_winners(
    maps: &SessionMaps,
    visible: &[&MeasuredWindow],
    version: u64,
) -> Option<WinnerMap> {
    let [layers, heads] = maps.shape;
    let labels = visible.iter().map(|window| &window.label);
    let is_of_these = labels.eq(&maps.key.windows);
    (is_of_these && !maps.winners.is_empty()).then(|| WinnerMap {
        layers,
        heads,
        windows: maps.key.windows.clone(),
        winners: maps.winners.clone(),
        rankable_tokens: Vec::new(),
        tested: maps.samples > 1,
        version,
    })
}

#[cfg(test)]
mod tests {
    use super::strongest;

    #[test]
    fn a_difference_has_the_least_round_scale_that_holds_it() {
        assert_eq!(strongest(&[0.03, -0.15, f64::NAN], true), 0.2);
        assert_eq!(strongest(&[0.0, 0.0], true), 0.1);
        assert_eq!(strongest(&[-0.5], true), 0.5);
        // a metric without an upper bound
        assert_eq!(strongest(&[-3.5, 1.0], true), 3.5);
        assert_eq!(strongest(&[0.03], false), 1.0);
    }
}
