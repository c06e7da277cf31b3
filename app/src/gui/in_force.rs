//! What is compared and by which scoring, in as few words as fit into a title.

use kvlens_analysis::{Compare, ForcedKeep, Pooling, StepRange};

use crate::measurement::{MeasureOptions, OracleDefinition};

/// What stands beside a number: `queries, max:7` or `methods, raw truth`, and what else was chosen.
#[must_use]
pub fn in_force(options: &MeasureOptions) -> String {
    let mut parts = vec![options.compare.to_string()];
    if options.compare == Compare::Methods && truth_parts(options).is_empty() {
        parts.push("raw truth".to_owned());
    }
    parts.extend(oracle_parts(options));
    let scoring = scoring_parts(options);
    let is_usual = options.compare == Compare::Queries && options.overrides.pool.is_none();
    parts.extend(is_usual.then(|| pool_text(options.truth_scoring().scoring.pool)));
    parts.extend(scoring);
    parts.join(", ")
}

/// A choice that is not the default, and the options without it.
#[derive(Clone, Debug, PartialEq)]
pub struct Chosen {
    /// What it is about.
    pub topic: &'static str,
    /// What was chosen.
    pub text: String,
    /// The same options with the default in its place.
    pub without: MeasureOptions,
}

/// Every choice that is not the default: of the comparison, of the scoring, of the oracle.
#[must_use]
pub fn chosen(options: &MeasureOptions) -> Vec<Chosen> {
    let usual = MeasureOptions::default();
    let compare = MeasureOptions {
        compare: Compare::Queries,
        oracle: OracleDefinition {
            steps: options.oracle.steps,
            ..OracleDefinition::default()
        },
        ..*options
    };
    let scoring = MeasureOptions {
        overrides: usual.overrides,
        keep_recent: usual.keep_recent,
        ..*options
    };
    let oracle = MeasureOptions {
        oracle: usual.oracle,
        exempt: usual.exempt,
        ..*options
    };
    let is_otherwise = options.compare != usual.compare;
    let compared = is_otherwise.then(|| format!("{} as published", options.compare));
    let told = [
        ("comparison", compared.into_iter().collect(), compare),
        ("scoring", scoring_parts(options), scoring),
        ("oracle", oracle_parts(options), oracle),
    ];
    let told = told.into_iter().filter(|(_, parts, _)| !parts.is_empty());
    told.map(|(topic, parts, without)| Chosen {
        topic,
        text: parts.join(", "),
        without,
    })
    .collect()
}

/// What of the scoring is not the default, or not as published.
fn scoring_parts(options: &MeasureOptions) -> Vec<String> {
    let overrides = options.overrides;
    let parts = [
        overrides.reduce.map(|reduce| format!("{reduce} of rows")),
        overrides.keys.map(|keys| format!("{keys} keys")),
        overrides.pool.map(pool_text),
        overrides.group.map(|group| format!("group {group}")),
        overrides.group_order.map(|order| order.to_string()),
        overrides.weight.map(|weight| format!("times {weight}")),
        options
            .keep_recent
            .map(|recent| format!("keeps {recent} recent")),
    ];
    parts.into_iter().flatten().collect()
}

fn pool_text(pool: Pooling) -> String {
    match pool {
        Pooling::None => "unpooled".to_owned(),
        pool => pool.to_string(),
    }
}

/// What of the truth is not the default.
fn oracle_parts(options: &MeasureOptions) -> Vec<String> {
    let ForcedKeep { sinks, recent } = options.exempt;
    let steps = options.oracle.steps;
    let truth = truth_parts(options);
    let parts = [
        (!truth.is_empty()).then(|| format!("truth by {}", truth.join(" and "))),
        (steps != StepRange::default()).then(|| format!("steps {steps}")),
        (sinks > 0).then(|| format!("without {sinks} sinks")),
        (recent > 0).then(|| format!("without {recent} recent")),
    ];
    parts.into_iter().flatten().collect()
}

fn truth_parts(options: &MeasureOptions) -> Vec<String> {
    let OracleDefinition {
        reduce,
        keys,
        weight,
        ..
    } = options.oracle;
    let parts = [
        reduce.map(|reduce| format!("{reduce} of steps")),
        keys.map(|keys| format!("{keys} keys")),
        weight.map(|weight| format!("weight {weight}")),
    ];
    parts.into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use kvlens_analysis::{KeySet, RowReduction};

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
            "queries, without 4 sinks, prompt keys, unpooled"
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
            "methods, truth by max of steps, unpooled"
        );
    }

    #[test]
    fn every_choice_is_told_with_the_way_back_from_it_alone() {
        assert_eq!(chosen(&MeasureOptions::default()), []);
        let mut options = MeasureOptions {
            compare: Compare::Methods,
            ..MeasureOptions::default()
        };
        options.overrides.pool = Some(Pooling::None);
        options.oracle.reduce = Some(RowReduction::Max);
        let found = chosen(&options);
        let told: Vec<_> = found
            .iter()
            .map(|it| (it.topic, it.text.as_str()))
            .collect();
        assert_eq!(
            told,
            [
                ("comparison", "methods as published"),
                ("scoring", "unpooled"),
                ("oracle", "truth by max of steps"),
            ]
        );
        let [compare, scoring, oracle] = &found[..] else {
            panic!("three are chosen");
        };
        // what only methods have goes with them, as the truth of its own does
        assert_eq!(compare.without.contradiction(), None);
        assert_eq!(compare.without.overrides.pool, Some(Pooling::None));
        assert_eq!(chosen(&scoring.without).len(), 2);
        assert_eq!(scoring.without.oracle, options.oracle);
        assert_eq!(oracle.without.overrides, options.overrides);
    }
}
