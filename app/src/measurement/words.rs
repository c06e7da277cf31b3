//! What is compared and how it is scored, in words for captions.

use kvlens_analysis::{
    Compare, GroupOrder, GroupReduction, KeySet, RowReduction, Scoring, StepRange,
};

use super::MeasureOptions;

/// What a ceiling is, behind a word for where it stands.
pub const CEILING: &str = "what the decode stage's own queries reach under the same scoring";

impl MeasureOptions {
    /// What is compared, by which scoring and against what, in one or two sentences.
    pub fn compared(&self) -> String {
        let truth = self.truth_scoring().scoring;
        let steps = steps_words(self.oracle.steps);
        match self.compare {
            Compare::Queries => format!(
                "Queries compared: every window and the decode stage{steps} are scored alike ({}), so that only their \
                 queries differ and the decode stage itself has recall 1.",
                scoring_words(truth)
            ),
            Compare::Methods => format!(
                "Methods compared: every window is scored as published{} and held against the raw attention of the \
                 decode stage{steps} ({}).",
                self.overridden(),
                scoring_words(truth)
            ),
        }
    }

    /// The parts of the published scorings that are replaced.
    fn overridden(&self) -> String {
        let overrides = self.overrides;
        let parts = [
            overrides
                .reduce
                .map(|reduce| reduce_words(reduce).to_owned()),
            overrides.keys.map(|keys| keys_words(keys).to_owned()),
            overrides.pool.map(|pool| format!("pooling {pool}")),
            overrides.group.map(|group| group_words(group).to_owned()),
            overrides
                .group_order
                .map(|order| order_words(order).to_owned()),
        ];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        match parts.is_empty() {
            true => String::new(),
            false => format!(" but for {}", parts.join(", ")),
        }
    }
}

/// From rows to scores, part by part.
fn scoring_words(scoring: Scoring) -> String {
    let mut parts = vec![
        reduce_words(scoring.reduce).to_owned(),
        keys_words(scoring.keys).to_owned(),
        match scoring.pool.to_string().as_str() {
            "none" => "unpooled".to_owned(),
            pool => pool.to_owned(),
        },
        group_words(scoring.group).to_owned(),
    ];
    if scoring.group != GroupReduction::None {
        parts.push(order_words(scoring.group_order).to_owned());
    }
    parts.join(", ")
}

fn reduce_words(reduce: RowReduction) -> &'static str {
    match reduce {
        RowReduction::Mean => "mean over rows",
        RowReduction::Sum => "sum over rows",
        RowReduction::Max => "largest over rows",
    }
}

fn keys_words(keys: KeySet) -> &'static str {
    match keys {
        KeySet::Causal => "causal keys",
        KeySet::Prompt => "keys of the prompt alone",
    }
}

fn group_words(group: GroupReduction) -> &'static str {
    match group {
        GroupReduction::None => "every query head",
        GroupReduction::Mean => "mean of a key/value head's query heads",
        GroupReduction::Max => "largest of a key/value head's query heads",
        GroupReduction::Layer => "mean of a layer's query heads",
    }
}

fn order_words(order: GroupOrder) -> &'static str {
    match order {
        GroupOrder::PoolFirst => "pooled before that",
        GroupOrder::GroupFirst => "pooled after that",
    }
}

/// Which decode steps count, in brackets behind the decode stage; nothing where all do.
fn steps_words(steps: StepRange) -> String {
    match steps {
        StepRange::All => String::new(),
        StepRange::First(1) => " (its first step)".to_owned(),
        StepRange::First(count) => format!(" (its first {count} steps)"),
        StepRange::Between(first, last) if first == last => format!(" (its step {first})"),
        StepRange::Between(first, last) => format!(" (its steps {first} to {last})"),
    }
}

#[cfg(test)]
mod tests {
    use kvlens_analysis::Pooling;

    use super::*;

    #[test]
    fn words_tell_the_scoring_in_use() {
        let mut options = MeasureOptions::default();
        let told = options.compared();
        assert!(
            told.contains("(mean over rows, causal keys, max:7, every query head)"),
            "{told}"
        );
        options.overrides.pool = Some(Pooling::None);
        options.oracle.steps = "1-4".parse().unwrap();
        let told = options.compared();
        assert!(
            told.contains("stage (its steps 1 to 4) are scored alike"),
            "{told}"
        );
        assert!(told.contains("causal keys, unpooled, every"), "{told}");
        for (typed, words) in [
            ("1", "its first step"),
            ("8", "its first 8 steps"),
            ("5-5", "its step 5"),
        ] {
            assert_eq!(steps_words(typed.parse().unwrap()), format!(" ({words})"));
        }
        options.compare = Compare::Methods;
        let told = options.compared();
        assert!(
            told.contains("as published but for pooling none and held"),
            "{told}"
        );
        options.oracle.reduce = Some(RowReduction::Max);
        assert!(
            options
                .compared()
                .contains("(largest over rows, causal keys, unpooled"),
            "{told}"
        );
    }
}
