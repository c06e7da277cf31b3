//! What is compared and how it is scored, in words for captions.

use kvlens_analysis::{
    Compare, ForcedKeep, GroupOrder, GroupReduction, KeptRecent, KeySet, RowReduction, Scoring,
    StepRange, ValueWeight,
};

use super::MeasureOptions;

/// What a ceiling is, behind a word for where it stands.
pub const CEILING: &str = "what the decode stage's own queries reach under the same scoring";

impl MeasureOptions {
    /// What is compared, by which scoring and against what, and which tokens are set apart, in a few sentences.
    pub fn compared(&self) -> String {
        let truth = self.truth_scoring().scoring;
        let steps = steps_words(self.oracle.steps);
        let compared = match self.compare {
            Compare::Queries => format!(
                "Queries compared: every window and the decode stage{steps} are scored alike ({}), so that only their \
                 queries differ and the decode stage itself has recall 1.",
                scoring_words(truth)
            ),
            Compare::Methods => format!(
                "Methods compared: every window is scored as published{} and held against the {} of the decode \
                 stage{steps} ({}).",
                self.overridden(),
                match truth.weight.is_none() {
                    true => "raw attention",
                    false => "attention",
                },
                scoring_words(truth)
            ),
        };
        let more = [
            self.exempted(),
            self.kept_recent(),
            self.behind_projection(),
        ];
        let more = more.into_iter().flatten();
        std::iter::once(compared)
            .chain(more)
            .collect::<Vec<_>>()
            .join(" ")
    }

    /// Tokens that no ranking contains.
    fn exempted(&self) -> Option<String> {
        let ForcedKeep { sinks, recent } = self.exempt;
        let tokens = match (sinks, recent) {
            (0, 0) => return None,
            (sinks, 0) => format!("the first {sinks}"),
            (0, recent) => format!("the last {recent}"),
            (sinks, recent) => format!("the first {sinks} and the last {recent}"),
        };
        Some(format!(
            "In no ranking, and kept by every rule out of its budget: {tokens} of a prompt's tokens."
        ))
    }

    fn kept_recent(&self) -> Option<String> {
        let tokens = match self.keep_recent? {
            KeptRecent::Tokens(tokens) => format!("{tokens} most recent tokens"),
            KeptRecent::PercentOfBudget(percent) => {
                format!("most recent tokens for {percent} % of its budget")
            }
        };
        Some(format!("Every rule keeps the {tokens}."))
    }

    fn behind_projection(&self) -> Option<String> {
        (!self.through.is_head())
            .then(|| "Output errors are told behind the output projection.".to_owned())
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
            overrides.weight.map(|weight| match weight.is_none() {
                true => "no weight".to_owned(),
                false => weight_words(weight).to_owned(),
            }),
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
    if !scoring.weight.is_none() {
        parts.push(weight_words(scoring.weight).to_owned());
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

fn weight_words(weight: ValueWeight) -> &'static str {
    match weight {
        ValueWeight::None => "not weighed",
        ValueWeight::ValueNorm => "times the norm of the token's value",
        ValueWeight::OutputNorm => "times the norm of the token's projected value",
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
    use kvlens_sessions::OutputPlace;

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

    #[test]
    fn words_tell_weights_and_tokens_that_are_set_apart() {
        let mut options = MeasureOptions {
            compare: Compare::Methods,
            ..MeasureOptions::default()
        };
        let plain = options.compared();
        assert!(
            plain.contains("against the raw attention of the decode stage"),
            "{plain}"
        );
        assert!(
            !plain.contains("times") && !plain.contains("kept by every rule"),
            "{plain}"
        );
        options.overrides.weight = Some(ValueWeight::ValueNorm);
        options.oracle.weight = Some(ValueWeight::OutputNorm);
        options.exempt = ForcedKeep {
            sinks: 4,
            recent: 8,
        };
        options.keep_recent = Some(KeptRecent::PercentOfBudget(30));
        options.through = OutputPlace::Projected;
        let told = options.compared();
        for part in [
            "as published but for times the norm of the token's value and held",
            "against the attention of the decode stage",
            "times the norm of the token's projected value).",
            "the first 4 and the last 8 of a prompt's tokens.",
            "Every rule keeps the most recent tokens for 30 % of its budget.",
            "behind the output projection.",
        ] {
            assert!(told.contains(part), "{part}: {told}");
        }
    }
}
