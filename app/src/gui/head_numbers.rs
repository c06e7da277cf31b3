//! Numbers of single heads: what a list of heads is sorted by, and what heads can be chosen by in words.

use kvlens_analysis::Metric;
use kvlens_analysis::evidence::evidence_attention;
use kvlens_analysis::profile::ProfileNumber;
use serde::{Deserialize, Serialize};

use super::data::{SessionInfo, Shown};
use super::derived::{budget_grid, chosen_window};
use super::questions::profile::ProfileAnswer;
use super::state::{Choices, HeadAddress};
use crate::measurement::MeasuredWindow;
use crate::measurement::head_values::spread;

/// A number that every head has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum HeadNumber {
    /// Attention of the decode stage on the needed tokens, whatever the window.
    NeededAttention,
    /// A metric of the chosen window at the budget.
    Metric(Metric),
    /// What the head is like, whatever the window.
    Profile(ProfileNumber),
}

impl HeadNumber {
    /// Every number, in the order of the list's columns.
    pub fn all() -> impl Iterator<Item = Self> {
        std::iter::once(Self::NeededAttention)
            .chain(Metric::ALL.map(Self::Metric))
            .chain(ProfileNumber::ALL.map(Self::Profile))
    }

    /// The name in scripts and in what is typed.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::NeededAttention => "needed",
            Self::Metric(metric) => metric.column(),
            Self::Profile(number) => number.column(),
        }
    }

    /// The number in words.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::NeededAttention => "decode attention on needed tokens",
            Self::Metric(metric) => metric.label(),
            Self::Profile(number) => number.label(),
        }
    }

    /// The name where a column has no room for the words.
    #[must_use]
    pub fn short(self) -> &'static str {
        match self {
            Self::NeededAttention => "needed",
            Self::Metric(metric) => short(metric),
            Self::Profile(number) => super::views::profile::short(number),
        }
    }

    /// Whether a higher one speaks for the window, or for the head's part in the answer.
    #[must_use]
    pub fn higher_is_better(self) -> bool {
        match self {
            Self::NeededAttention | Self::Profile(_) => true,
            Self::Metric(metric) => metric.higher_is_better(),
        }
    }

    /// The number of a name: the column's, the words, or what the tables of the window call it.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        let plain = |text: &str| text.trim().to_lowercase().replace(['_', '-'], " ");
        let wanted = plain(name);
        let also = |number: Self| match number {
            Self::NeededAttention => "needed attention",
            // as scripts of earlier programs have it
            Self::Metric(Metric::EvidenceKept) => "needed kept",
            Self::Metric(_) | Self::Profile(_) => "",
        };
        Self::all().find(|number| {
            let names = [number.name(), number.label(), number.short(), also(*number)];
            names.iter().any(|name| plain(name) == wanted)
        })
    }
}

impl TryFrom<String> for HeadNumber {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        Self::named(&name).ok_or_else(|| unknown(&name))
    }
}

impl From<HeadNumber> for String {
    fn from(number: HeadNumber) -> Self {
        number.name().to_owned()
    }
}

/// A metric's name in tables that have no room for its words.
#[must_use]
pub fn short(metric: Metric) -> &'static str {
    match metric {
        Metric::Recall => "recall",
        Metric::KeptRecall => "kept",
        Metric::HitRate => "hits",
        Metric::Jaccard => "Jaccard",
        Metric::Mass => "mass",
        Metric::MassOfOracle => "share",
        Metric::EvidenceKept => "evidence",
        Metric::OutputError => "error",
    }
}

/// A sentence about a name that no number has.
#[must_use]
pub fn unknown(name: &str) -> String {
    let known: Vec<&str> = HeadNumber::all().map(HeadNumber::name).collect();
    let (name, known) = (name.trim(), known.join(", "));
    format!("'{name}' is no number of a head; there are {known}")
}

/// Every number of every head of one window at one budget.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HeadTable {
    /// H.
    query_heads: usize,
    /// The numbers in the order of [`HeadNumber::all`], each `[L, H]`; NaN where undefined.
    columns: Vec<Vec<f64>>,
}

impl HeadTable {
    /// Of a window of the sample on show.
    #[must_use]
    pub fn of(
        info: &SessionInfo,
        shown: &Shown,
        window: &MeasuredWindow,
        budget_index: usize,
        profile: Option<&ProfileAnswer>,
    ) -> Self {
        let budgets = &window.comparison.budgets;
        let budget_tokens = budgets.get(budget_index).copied().unwrap_or(0);
        let column = |number: HeadNumber| {
            let (values, heads) = match number {
                HeadNumber::NeededAttention => (needed_attention(shown), needed_heads(shown)),
                HeadNumber::Metric(metric) => {
                    let comparison = &window.comparison;
                    let values = comparison.metric_map(metric, budget_index);
                    (values, comparison.heads)
                }
                HeadNumber::Profile(number) => match profile {
                    Some(profile) => {
                        let values = profile.column(number, budget_tokens);
                        (values, profile.heads_per_layer)
                    }
                    None => (Vec::new(), 1),
                },
            };
            spread(&values, heads, info.query_heads)
        };
        Self {
            query_heads: info.query_heads,
            columns: HeadNumber::all().map(column).collect(),
        }
    }

    /// What the choices show of a sample: the chosen window, at the budget.
    #[must_use]
    pub fn of_choices(
        info: &SessionInfo,
        shown: &Shown,
        choices: &Choices,
        profile: Option<&ProfileAnswer>,
    ) -> Self {
        let tokens = shown.sample.record.prompt_ids.len();
        let at = budget_grid(tokens).map(|grid| grid.nearest_index(choices.budget.tokens(tokens)));
        let window = chosen_window(&shown.sample, choices);
        window.map_or_else(Self::default, |window| {
            Self::of(info, shown, window, at.unwrap_or(0), profile)
        })
    }

    /// Of columns in the order of [`HeadNumber::all`], each `[L, H]`.
    #[cfg(test)]
    pub(in crate::gui) fn from_columns(query_heads: usize, columns: Vec<Vec<f64>>) -> Self {
        Self {
            query_heads,
            columns,
        }
    }

    /// A number of every head, `[L, H]`.
    #[must_use]
    pub fn column(&self, number: HeadNumber) -> &[f64] {
        let place = HeadNumber::all().position(|known| known == number);
        let column = place.and_then(|place| self.columns.get(place));
        column.map_or(&[], Vec::as_slice)
    }

    /// A number of one head; NaN where it is undefined.
    #[must_use]
    pub fn get(&self, number: HeadNumber, head: HeadAddress) -> f64 {
        let index = head.layer * self.query_heads + head.head;
        self.column(number).get(index).copied().unwrap_or(f64::NAN)
    }

    /// Whether any head has the number.
    #[must_use]
    pub fn says(&self, number: HeadNumber) -> bool {
        self.column(number).iter().any(|value| !value.is_nan())
    }

    /// Every head, in the order of layers.
    #[must_use]
    pub fn heads(&self) -> Vec<HeadAddress> {
        let count = self.column(HeadNumber::NeededAttention).len();
        let address = |index: usize| HeadAddress {
            layer: index / self.query_heads.max(1),
            head: index % self.query_heads.max(1),
        };
        (0..count).map(address).collect()
    }

    /// Sorts heads by a number, the highest or the lowest first; those without one come last.
    pub fn sort(&self, heads: &mut [HeadAddress], number: HeadNumber, highest_first: bool) {
        let key = |head: &HeadAddress| self.get(number, *head);
        heads.sort_by(|a, b| {
            let (a, b) = (key(a), key(b));
            let order = match highest_first {
                true => b.total_cmp(&a),
                false => a.total_cmp(&b),
            };
            a.is_nan().cmp(&b.is_nan()).then(order)
        });
    }
}

/// Attention of the decode stage on the needed tokens, of each head of [`needed_heads`] per layer.
#[must_use]
pub fn needed_attention(shown: &Shown) -> Vec<f64> {
    let sample = &shown.sample;
    evidence_attention(&sample.decode_mass, &sample.record.evidence_tokens)
}

/// Heads per layer of [`needed_attention`].
#[must_use]
pub fn needed_heads(shown: &Shown) -> usize {
    shown.sample.decode_mass.heads()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_known_by_the_names_that_stand_in_the_window() {
        let named = |text: &str| HeadNumber::named(text);
        assert_eq!(named("needed"), Some(HeadNumber::NeededAttention));
        let kept = Some(HeadNumber::Metric(Metric::EvidenceKept));
        for text in ["needed_kept", "needed kept", "Evidence-kept"] {
            assert_eq!(named(text), kept, "{text}");
        }
        assert_eq!(named("hits"), Some(HeadNumber::Metric(Metric::HitRate)));
        assert_eq!(named("recal"), None);
        for number in HeadNumber::all() {
            assert_eq!(named(number.name()), Some(number));
            assert_eq!(named(number.label()), Some(number));
            assert_eq!(named(number.short()), Some(number));
        }
    }

    #[test]
    fn heads_without_a_number_come_last_in_either_order() {
        let mut columns = vec![vec![f64::NAN; 4]; HeadNumber::all().count()];
        columns[0] = vec![0.2, f64::NAN, 0.5, 0.1];
        let table = HeadTable::from_columns(2, columns);
        let sorted = |highest: bool| {
            let mut heads = table.heads();
            table.sort(&mut heads, HeadNumber::NeededAttention, highest);
            let places = heads.iter().map(|head| head.layer * 2 + head.head);
            places.collect::<Vec<_>>()
        };
        assert_eq!(sorted(true), [2, 0, 3, 1]);
        assert_eq!(sorted(false), [3, 0, 2, 1]);
        assert!(!table.says(HeadNumber::Metric(Metric::Recall)));
    }
}
