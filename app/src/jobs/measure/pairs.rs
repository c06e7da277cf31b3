//! Which windows are held against each other.

use anyhow::Result;
use kvlens_analysis::Collection;

use crate::jobs::failure::Failure;

/// The choice of pairs.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Pairs {
    /// Every other window against the first.
    #[default]
    First,
    /// Every other window against this one.
    Against(String),
    /// Every two windows.
    All,
}

impl Pairs {
    /// From what was typed. A window must be one of `labels`.
    ///
    /// # Errors
    /// [`Failure::BadInput`] for a window that no session has.
    pub fn from_typed(typed: Option<&str>, labels: &[String]) -> Result<Self> {
        match typed {
            None => Ok(Self::First),
            Some("all") => Ok(Self::All),
            Some(label) if labels.iter().any(|known| known == label) => {
                Ok(Self::Against(label.to_owned()))
            }
            Some(label) => Err(Failure::BadInput(format!(
                "no session has the window '{label}' to compare with; it has {}",
                labels.join(", ")
            ))
            .into()),
        }
    }

    /// The window that others are compared with; none for all pairs.
    pub fn against<'a>(&'a self, collection: &'a Collection) -> Option<&'a str> {
        match self {
            Self::First => collection.first_window(),
            Self::Against(label) => Some(label),
            Self::All => None,
        }
    }

    /// The pairs among these labels as indices, the second being what the first is compared with.
    pub fn of(&self, labels: &[&str]) -> Vec<(usize, usize)> {
        let others = |second: usize| {
            (0..labels.len())
                .filter(move |&first| first != second)
                .map(move |first| (first, second))
                .collect()
        };
        match self {
            Self::First => match labels.is_empty() {
                true => Vec::new(),
                false => others(0),
            },
            Self::Against(label) => labels
                .iter()
                .position(|known| known == label)
                .map_or_else(Vec::new, others),
            Self::All => (0..labels.len())
                .flat_map(|second| (second + 1..labels.len()).map(move |first| (first, second)))
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_those_that_were_asked_for() {
        let labels = ["a", "b", "c"];
        assert_eq!(Pairs::First.of(&labels), [(1, 0), (2, 0)]);
        let against = Pairs::from_typed(Some("b"), &labels.map(str::to_owned)).unwrap();
        assert_eq!(against.of(&labels), [(0, 1), (2, 1)]);
        assert_eq!(Pairs::All.of(&labels), [(1, 0), (2, 0), (2, 1)]);
        assert_eq!(Pairs::First.of(&[]), []);
        assert_eq!(against.of(&["x"]), []);
        assert!(Pairs::from_typed(Some("d"), &["a".to_owned()]).is_err());
    }
}
