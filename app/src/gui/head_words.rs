//! Heads as they are chosen in words: `3.*, recall<0.2, needed>0.05, worst 10`.

use std::collections::BTreeSet;
use std::str::FromStr;

use super::head_numbers::{HeadNumber, HeadTable, unknown};
use super::heads_text::parse_heads;
use super::state::HeadAddress;

/// What was typed: places and conditions that all have to hold, and how many of the heads that are left.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HeadWords {
    /// Heads by their places; all where there is none.
    places: BTreeSet<HeadAddress>,
    conditions: Vec<Condition>,
    rank: Option<Rank>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Condition {
    number: HeadNumber,
    relation: Relation,
    bound: f64,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Relation {
    Less,
    AtMost,
    More,
    AtLeast,
    Equal,
}

/// The longer signs first: `<=` begins with `<`.
const RELATIONS: [(&str, Relation); 5] = [
    ("<=", Relation::AtMost),
    (">=", Relation::AtLeast),
    ("<", Relation::Less),
    (">", Relation::More),
    ("=", Relation::Equal),
];

/// The first so many by a number.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Rank {
    end: End,
    count: usize,
    /// The metric on show where none was named.
    number: Option<HeadNumber>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum End {
    Best,
    Worst,
    Highest,
    Lowest,
}

const ENDS: [(&str, End); 4] = [
    ("best", End::Best),
    ("worst", End::Worst),
    ("highest", End::Highest),
    ("lowest", End::Lowest),
];

impl HeadWords {
    /// Reads what was typed for a model of L layers and H query heads; parts stand between commas, or `and`.
    ///
    /// # Errors
    /// A sentence about the part that is not understood.
    pub fn read(text: &str, layers: usize, query_heads: usize) -> Result<Self, String> {
        let mut words = Self::default();
        let text = text.to_lowercase().replace(" and ", ",");
        for part in text
            .split(',')
            .map(str::trim)
            .filter(|part| !part.is_empty())
        {
            let first = part.split_whitespace().next().unwrap_or_default();
            if let Some((_, end)) = ENDS.iter().find(|(name, _)| *name == first) {
                words.rank = Some(Rank::read(*end, part)?);
            } else if part.contains(['<', '>', '=']) {
                words.conditions.push(part.parse()?);
            } else {
                let heads = parse_heads(part, layers, query_heads);
                words
                    .places
                    .extend(heads.map_err(|wrong| format!("{wrong}; {NOTATION}"))?);
            }
        }
        Ok(words)
    }

    /// The heads, where nothing but places was named; none of them for all.
    #[must_use]
    pub fn places(&self) -> Option<Vec<HeadAddress>> {
        let are_places = self.conditions.is_empty() && self.rank.is_none();
        are_places.then(|| self.places.iter().copied().collect())
    }

    /// The first number that the words are about and no head has.
    #[must_use]
    pub fn unsaid(&self, table: &HeadTable) -> Option<HeadNumber> {
        let numbers = self.conditions.iter().map(|condition| condition.number);
        let ranked = self.rank.and_then(|rank| rank.number);
        numbers.chain(ranked).find(|number| !table.says(*number))
    }

    /// The heads that were meant, the first by rank first; `shown` is the metric that `worst 10` is about.
    #[must_use]
    pub fn choose(&self, table: &HeadTable, shown: HeadNumber) -> Vec<HeadAddress> {
        let mut heads = table.heads();
        heads.retain(|head| self.places.is_empty() || self.places.contains(head));
        for condition in &self.conditions {
            heads.retain(|head| condition.holds(table.get(condition.number, *head)));
        }
        if let Some(rank) = self.rank {
            let number = rank.number.unwrap_or(shown);
            heads.retain(|head| !table.get(number, *head).is_nan());
            let highest = match rank.end {
                End::Best => number.higher_is_better(),
                End::Worst => !number.higher_is_better(),
                End::Highest => true,
                End::Lowest => false,
            };
            table.sort(&mut heads, number, highest);
            heads.truncate(rank.count);
        }
        heads
    }
}

/// What can be typed.
const NOTATION: &str = "or a condition such as recall<0.2, or worst 10";

impl Condition {
    fn holds(self, value: f64) -> bool {
        match self.relation {
            Relation::Less => value < self.bound,
            Relation::AtMost => value <= self.bound,
            Relation::More => value > self.bound,
            Relation::AtLeast => value >= self.bound,
            Relation::Equal => value == self.bound,
        }
    }
}

impl FromStr for Condition {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("'{text}' is no condition; write one such as recall<0.2");
        let (number, relation, bound) = RELATIONS
            .iter()
            .find_map(|(sign, relation)| {
                let (number, bound) = text.split_once(sign)?;
                Some((number, *relation, bound))
            })
            .ok_or_else(wrong)?;
        let bound = bound.trim();
        let bound = match bound.strip_suffix('%') {
            Some(percent) => percent.trim().parse().map(|percent: f64| percent / 100.0),
            None => bound.parse(),
        };
        Ok(Self {
            number: HeadNumber::named(number).ok_or_else(|| unknown(number))?,
            relation,
            bound: bound.map_err(|_| wrong())?,
        })
    }
}

impl Rank {
    fn read(end: End, text: &str) -> Result<Self, String> {
        let mut words = text.split_whitespace().skip(1);
        let count = words.next().and_then(|count| count.parse().ok());
        let count = count.filter(|count| *count > 0).ok_or_else(|| {
            format!("'{text}' says not how many heads; write it as worst 10, or worst 10 by mass")
        })?;
        let name: Vec<&str> = words.filter(|word| *word != "by").collect();
        let name = name.join(" ");
        let number = match name.as_str() {
            "" => None,
            name => Some(HeadNumber::named(name).ok_or_else(|| unknown(name))?),
        };
        Ok(Self { end, count, number })
    }
}

#[cfg(test)]
mod tests {
    use kvlens_analysis::Metric;

    use super::*;

    /// Two layers of two heads: recall 0.1, 0.4, undefined, 0.3; attention on needed tokens 0.0, 0.2, 0.3, 0.06.
    fn table() -> HeadTable {
        let mut columns = vec![vec![f64::NAN; 4]; HeadNumber::all().count()];
        columns[0] = vec![0.0, 0.2, 0.3, 0.06];
        columns[1] = vec![0.1, 0.4, f64::NAN, 0.3];
        HeadTable::from_columns(2, columns)
    }

    fn chosen(text: &str) -> Vec<String> {
        let words = HeadWords::read(text, 2, 2).unwrap();
        let heads = words.choose(&table(), HeadNumber::Metric(Metric::Recall));
        let text = |head: &HeadAddress| format!("{}.{}", head.layer, head.head);
        heads.iter().map(text).collect()
    }

    #[test]
    fn places_and_conditions_must_all_hold_and_the_rank_comes_last() {
        assert_eq!(chosen("recall<0.2"), ["0.0"]);
        assert_eq!(chosen("recall <= 30%"), ["0.0", "1.1"]);
        assert_eq!(chosen("needed>0.05"), ["0.1", "1.0", "1.1"]);
        assert_eq!(chosen("needed>0.05, 1.*"), ["1.0", "1.1"]);
        assert_eq!(chosen("needed>0.05 and recall>=0.3"), ["0.1", "1.1"]);
        assert_eq!(chosen("worst 2"), ["0.0", "1.1"], "those with a number");
        assert_eq!(chosen("highest 2 by needed"), ["1.0", "0.1"]);
        assert_eq!(chosen("worst 1, needed>0.05"), ["1.1"]);
        assert_eq!(chosen("needed=0"), ["0.0"]);
        assert_eq!(chosen("0.1 1.0"), ["0.1", "1.0"]);
        assert_eq!(chosen("all").len(), 4);
    }

    #[test]
    fn what_is_not_understood_is_named() {
        let wrong = |text: &str| HeadWords::read(text, 2, 2).unwrap_err();
        assert!(wrong("recal<0.2").contains("'recal' is no number of a head"));
        assert!(wrong("recall<x").contains("'recall<x'"));
        assert!(wrong("worst").contains("how many"));
        assert!(wrong("worst ten").contains("how many"));
        assert!(wrong("5.0").contains("layers below 2"));
    }
}
