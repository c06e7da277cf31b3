//! Options that every window takes: how its rows become scores, and what its rule keeps whatever they say.
//!
//! `reduce=mean|sum|max`, `pool=none|avg:K|max:K`, `group=none|mean|max|layer`, `order=pool-first|group-first`,
//! `keys=causal|prompt`, `weight=none|value-norm|output-norm` replace parts of the published scoring; `recent=N|P%` and `sinks=N` the tokens that are always
//! kept. They are words of `measure`, too, which overrides what is written here without the model. Where queries are
//! compared one scoring holds for all, so the first six are set aside there.

use kvlens_analysis::{KeptRecent, ScoringOverrides};

use super::{Window, WindowLabel, WindowOptions};
use crate::SessionError;

/// The words, for help texts.
pub const SCORING_SYNTAX: &str = "reduce=mean|sum|max,pool=none|avg:K|max:K,group=none|mean|max|layer,\
                                  order=pool-first|group-first,keys=causal|prompt,weight=none|value-norm|output-norm,recent=N|P%,sinks=N";

/// Those that change nothing where queries are compared.
const SET_ASIDE: [&str; 6] = ["reduce", "pool", "group", "order", "keys", "weight"];

/// The window with what was typed in place of what was published.
///
/// # Errors
/// [`SessionError::Plan`] for a word that is none, and for a choice about rows where a window gives scores.
pub(super) fn scored_as_typed(
    window: Window,
    options: &mut WindowOptions<'_>,
) -> Result<Window, SessionError> {
    let overrides = ScoringOverrides {
        keys: options.given("keys")?,
        reduce: options.given("reduce")?,
        pool: options.given("pool")?,
        group: options.given("group")?,
        group_order: options.given("order")?,
        weight: options.given("weight")?,
    };
    let about_rows = overrides.keys.is_some() || overrides.reduce.is_some();
    if about_rows && !window.gives_rows() {
        return Err(
            options.wrong("keys and reduce are about rows, and it gives scores and no rows")
        );
    }
    let mut rule = window.keep_rule();
    if let Some(recent) = options.given::<KeptRecent>("recent")? {
        rule = rule.with_recent(recent);
    }
    rule.fixed.sinks = options.parsed("sinks", rule.fixed.sinks)?;
    let scoring = overrides.apply(window.scoring());
    Ok(window.scored(scoring).keeping(rule))
}

/// The scoring option of a label, if it has one, that is set aside where queries are compared.
pub fn set_aside_for_queries(label: &str) -> Option<&'static str> {
    let label: WindowLabel = label.parse().ok()?;
    label.first_typed(&SET_ASIDE)
}

#[cfg(test)]
mod tests {
    use kvlens_analysis::{
        GroupOrder, GroupReduction, KeySet, Pooling, RowReduction, Scoring, ValueWeight,
    };

    use super::*;
    use crate::windows::{parse_window, registered};

    fn parse(text: &str) -> Result<Window, String> {
        parse_window(&text.parse().unwrap()).map_err(|error| error.to_string())
    }

    #[test]
    fn every_window_takes_them_and_keeps_its_other_parts() {
        let window = parse("last:8,pool=avg:5,group=mean").unwrap();
        let expected = Scoring {
            pool: Pooling::Average { kernel: 5 },
            group: GroupReduction::Mean,
            reduce: RowReduction::Sum,
            ..Scoring::default()
        };
        assert_eq!(window.scoring(), expected);
        assert_eq!(window.keep_rule().fixed.recent, 8);
        let all = "reduce=max,pool=none,group=max,order=group-first,keys=prompt,weight=value-norm,recent=3,sinks=2";
        let expected = Scoring {
            keys: KeySet::Prompt,
            reduce: RowReduction::Max,
            pool: Pooling::None,
            group: GroupReduction::Max,
            group_order: GroupOrder::GroupFirst,
            weight: ValueWeight::ValueNorm,
        };
        for kind in registered().iter().filter(|kind| kind.example == kind.name) {
            let window = parse(&format!("{}:{all}", kind.name));
            match parse(kind.name).unwrap().gives_rows() {
                true => assert_eq!(window.unwrap().scoring(), expected, "{}", kind.name),
                false => assert!(window.err().unwrap().contains("scores and no rows")),
            }
            let kept = parse(&format!("{}:pool=avg:3,recent=3,sinks=2", kind.name)).unwrap();
            assert_eq!(kept.scoring().pool, Pooling::Average { kernel: 3 });
            let fixed = kept.keep_rule().fixed;
            assert_eq!((fixed.sinks, fixed.recent), (2, 3), "{}", kind.name);
        }
    }

    #[test]
    fn words_that_are_none_are_refused() {
        assert!(
            parse("last:pool=max:4")
                .err()
                .unwrap()
                .contains("pool=max:4")
        );
        assert!(
            parse("laq:group=median")
                .err()
                .unwrap()
                .contains("none, mean, max or layer")
        );
        assert!(parse("tova:recent=x").err().unwrap().contains("recent=x"));
        let of_member = parse("union:of=last:8+dapq:pool=none").err().unwrap();
        assert!(of_member.contains("on the union itself"), "{of_member}");
        assert!(parse("union:by=best-rank,of=last:8+dapq:pool=none").is_ok());
        assert!(parse("union:pool=none,of=last:8+dapq").is_ok());
    }

    #[test]
    fn only_what_changes_scores_is_set_aside_for_queries() {
        assert_eq!(set_aside_for_queries("last:8"), None);
        assert_eq!(set_aside_for_queries("last:8,recent=4"), None);
        assert_eq!(set_aside_for_queries("judge-q:reduce=sum"), Some("reduce"));
    }
}
