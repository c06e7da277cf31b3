//! `budget=final`: a first stage that takes the budget of the final eviction, as the script released with LAQ has it.
//!
//! A capture serves every budget, so it looks ahead once for each: `laq:budget=final@5%+10%` becomes the observations
//! `laq:budget=final@5%` and `laq:budget=final@10%`, which a measurement joins to the one window `laq:budget=final`. At
//! a budget that was not captured that window has no numbers.

use kvlens_analysis::Budget;

use super::WindowLabel;
use crate::SessionError;

/// The budgets that `budget=final` stands for: those of a measurement that names none.
pub const FINAL_BUDGETS: &str = "64+128+256+5%+10%+20%";

/// The option that such a window has.
const OPTION: &str = "budget";

/// The word for the final budget, and what parts it from the budgets of the capture.
const WORD: &str = "final";
const AT: char = '@';

/// An observation for one budget, as part of a window.
#[derive(Debug, Clone, PartialEq)]
pub struct FinalPart {
    /// The window, without the budgets that it was captured for.
    pub window: String,
    /// The budget that the observation is for.
    pub budget: Budget,
}

/// The labels of a typed window's observations: one for each budget of a window with `budget=final`, else its own.
pub(crate) fn one_for_each_budget(typed: &str) -> Result<Vec<String>, SessionError> {
    let label: WindowLabel = typed.parse()?;
    let Some((value, budgets)) = label.typed(OPTION).and_then(budgets_of) else {
        return Ok(vec![typed.to_owned()]);
    };
    let budgets = budgets.unwrap_or(FINAL_BUDGETS).split('+');
    Ok(budgets
        .map(|budget| with_budget(typed, value, &format!("{WORD}{AT}{budget}")))
        .collect())
}

/// What an observation is part of, where it is one of a window with `budget=final`.
#[must_use]
pub fn final_part(label: &str) -> Option<FinalPart> {
    let parsed: WindowLabel = label.parse().ok()?;
    let (value, budget) = parsed.typed(OPTION).and_then(budgets_of)?;
    Some(FinalPart {
        budget: budget?.parse().ok()?,
        window: with_budget(label, value, WORD),
    })
}

/// The budget of an option's value, of a part as of any other window.
pub(super) fn own_budget(value: &str) -> &str {
    match budgets_of(value) {
        Some((_, Some(budget))) => budget,
        _ => value,
    }
}

/// A value that asks for the final budget, with the budgets behind it.
fn budgets_of(value: &str) -> Option<(&str, Option<&str>)> {
    match value.split_once(AT) {
        Some((WORD, budgets)) => Some((value, Some(budgets))),
        None if value == WORD => Some((value, None)),
        _ => None,
    }
}

fn with_budget(label: &str, old: &str, new: &str) -> String {
    label.replacen(&format!("{OPTION}={old}"), &format!("{OPTION}={new}"), 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::windows::parse_windows;

    fn labels(typed: &str) -> Result<Vec<String>, String> {
        let windows = parse_windows(&[typed.to_owned()]).map_err(|error| error.to_string())?;
        let labels = windows.iter().map(|window| window.label().to_owned());
        Ok(labels.collect())
    }

    #[test]
    fn every_budget_has_a_lookahead_of_its_own() {
        assert_eq!(
            labels("laq:n=4,budget=final@26+10%,mask=as-released").unwrap(),
            [
                "laq:n=4,budget=final@26,mask=as-released",
                "laq:n=4,budget=final@10%,mask=as-released"
            ]
        );
        assert_eq!(labels("laq++:budget=final").unwrap().len(), 6);
        assert_eq!(labels("laq:budget=26").unwrap(), ["laq:budget=26"]);
    }

    #[test]
    fn parts_know_their_window_and_their_budget() {
        let part = final_part("laq:n=4,budget=final@10%,mask=as-released").unwrap();
        assert_eq!(part.window, "laq:n=4,budget=final,mask=as-released");
        assert_eq!(part.budget, Budget::Fraction(0.1));
        for other in ["laq", "laq:budget=10%", "laq:budget=final", "knorm"] {
            assert_eq!(final_part(other), None, "{other}");
        }
    }

    #[test]
    fn what_cannot_be_joined_is_refused() {
        for wrong in [
            "laq:budget=final@",
            "laq:budget=final@0+5%",
            "laq:budget=last",
        ] {
            assert!(labels(wrong).unwrap_err().contains("budget"), "{wrong}");
        }
        assert!(
            labels("laq:budget=final@5%+5%")
                .unwrap_err()
                .contains("twice")
        );
        let inside = labels("union:of=last:8+laq:budget=final").unwrap_err();
        assert!(inside.contains("a window by itself"), "{inside}");
    }
}
