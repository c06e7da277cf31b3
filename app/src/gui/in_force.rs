//! What is compared and by which scoring, in as few words as fit into a title.

use kvlens_analysis::{Compare, ForcedKeep, GroupReduction, Scoring, StepRange};

use crate::measurement::MeasureOptions;

/// What stands beside a number: `queries, max:7` or `methods, raw truth`, and what else was chosen.
#[must_use]
pub fn in_force(options: &MeasureOptions) -> String {
    let mut parts = match options.compare {
        Compare::Queries => common_scoring(options.truth_scoring().scoring),
        Compare::Methods => methods(options),
    };
    if options.oracle.steps != StepRange::default() {
        parts.push(format!("steps {}", options.oracle.steps));
    }
    let ForcedKeep { sinks, recent } = options.exempt;
    if sinks > 0 {
        parts.push(format!("without {sinks} sinks"));
    }
    if recent > 0 {
        parts.push(format!("without {recent} recent"));
    }
    if let Some(recent) = options.keep_recent {
        parts.push(format!("keeps {recent} recent"));
    }
    parts.insert(0, options.compare.to_string());
    parts.join(", ")
}

/// The parts of the one scoring that are not the default, and always the pooling.
fn common_scoring(scoring: Scoring) -> Vec<String> {
    let usual = Scoring::for_queries();
    let mut parts = Vec::new();
    if scoring.reduce != usual.reduce {
        parts.push(format!("{} of rows", scoring.reduce));
    }
    if scoring.keys != usual.keys {
        parts.push(format!("{} keys", scoring.keys));
    }
    parts.push(match scoring.pool.to_string().as_str() {
        "none" => "unpooled".to_owned(),
        pool => pool.to_owned(),
    });
    if scoring.group != GroupReduction::None {
        parts.push(format!("group {}", scoring.group));
    }
    if scoring.group_order != usual.group_order {
        parts.push(scoring.group_order.to_string());
    }
    parts
}

/// The truth, then what replaces parts of the published scorings.
fn methods(options: &MeasureOptions) -> Vec<String> {
    let raw = Scoring::default();
    let truth = options.truth_scoring().scoring;
    let truth_parts = [
        (truth.reduce != raw.reduce).then(|| format!("{} of steps", truth.reduce)),
        (truth.keys != raw.keys).then(|| format!("{} keys", truth.keys)),
    ];
    let truth_parts: Vec<String> = truth_parts.into_iter().flatten().collect();
    let truth = match truth_parts.is_empty() {
        true => "raw truth".to_owned(),
        false => format!("truth by {}", truth_parts.join(" and ")),
    };
    let overrides = options.overrides;
    let parts = [
        Some(truth),
        overrides.reduce.map(|reduce| format!("{reduce} of rows")),
        overrides.keys.map(|keys| format!("{keys} keys")),
        overrides.pool.map(|pool| format!("pool {pool}")),
        overrides.group.map(|group| format!("group {group}")),
        overrides.group_order.map(|order| order.to_string()),
    ];
    parts.into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use kvlens_analysis::{KeySet, Pooling, RowReduction};

    use super::*;

    #[test]
    fn the_words_say_what_is_not_the_default() {
        let mut options = MeasureOptions::default();
        assert_eq!(in_force(&options), "queries, max:7");
        options.overrides.pool = Some(Pooling::None);
        options.overrides.keys = Some(KeySet::Prompt);
        options.exempt.sinks = 4;
        assert_eq!(
            in_force(&options),
            "queries, prompt keys, unpooled, without 4 sinks"
        );
        options = MeasureOptions {
            compare: Compare::Methods,
            ..MeasureOptions::default()
        };
        assert_eq!(in_force(&options), "methods, raw truth");
        options.oracle.reduce = Some(RowReduction::Max);
        options.overrides.pool = Some(Pooling::None);
        assert_eq!(
            in_force(&options),
            "methods, truth by max of steps, pool none"
        );
    }
}
