//! Plain words where a result means little.

use std::collections::BTreeMap;

use kvlens_analysis::{Budget, Compare, StepRange};
use kvlens_sessions::windows::set_aside_for_queries;

use crate::measurement::StageProgress;

/// Decode stages shorter than this say little about what decoding attends to.
const FEW_DECODE_TOKENS: usize = 4;

/// Samples that are named for one kind of warning before the rest is only counted.
const NAMED_SAMPLES: usize = 3;

/// What is known of a sample when a warning is due.
#[derive(Clone, Copy)]
pub struct SampleFacts<'a> {
    /// Its id.
    pub id: &'a str,
    /// T.
    pub prompt_tokens: usize,
    /// S.
    pub decode_tokens: usize,
}

/// Warns about samples, naming the first few of a kind and counting the others.
#[derive(Default)]
pub struct Warnings {
    said: BTreeMap<String, usize>,
}

impl Warnings {
    /// Scoring options of windows that the comparison does not use, each label once.
    pub fn of_set_aside(
        &mut self,
        labels: &[String],
        compare: Compare,
        progress: &dyn StageProgress,
    ) {
        if compare == Compare::Methods {
            return;
        }
        for label in labels {
            if let Some(option) = set_aside_for_queries(label) {
                self.say(
                    &format!("windows with the option {option}"),
                    &format!(
                        "{option} of window '{label}' is set aside: where queries are compared one scoring holds for \
                         all; --compare methods counts it"
                    ),
                    progress,
                );
            }
        }
    }

    /// A decode stage of a few tokens.
    pub fn of_decode_stage(&mut self, sample: SampleFacts<'_>, progress: &dyn StageProgress) {
        if sample.decode_tokens >= FEW_DECODE_TOKENS {
            return;
        }
        self.say(
            "short decode stages",
            &format!(
                "sample '{}' decoded only {} tokens: its figures rest on very few queries",
                sample.id, sample.decode_tokens
            ),
            progress,
        );
    }

    /// A decode stage that ends before its cache is ranked and anything is held against that.
    pub fn of_decode_rankings(
        &mut self,
        sample: SampleFacts<'_>,
        every: usize,
        progress: &dyn StageProgress,
    ) {
        self.say(
            "decode stages that are not longer than --rank-every",
            &format!(
                "sample '{}' decoded {} tokens, so its cache, ranked every {every} steps, is held against no later step: \
                 give a smaller --rank-every, or capture with a larger --decode",
                sample.id, sample.decode_tokens
            ),
            progress,
        );
    }

    /// A window that holds the whole prompt. `rows` is the window's size as it was asked for.
    pub fn of_window(
        &mut self,
        sample: SampleFacts<'_>,
        label: &str,
        rows: usize,
        progress: &dyn StageProgress,
    ) {
        if rows < sample.prompt_tokens {
            return;
        }
        self.say(
            &format!("prompts not longer than {label}"),
            &format!(
                "sample '{}' has {} prompt tokens, not more than window {label} has rows: \
                 the window is the whole prompt and its figures mean little",
                sample.id, sample.prompt_tokens
            ),
            progress,
        );
    }

    /// Layers on which the decode stage does not see the whole prompt. `sliding_windows` is `[L]`.
    pub fn of_sliding_layers(
        &mut self,
        sample: SampleFacts<'_>,
        sliding_windows: &[Option<usize>],
        progress: &dyn StageProgress,
    ) {
        let sliding = sliding_windows.iter().flatten();
        let short = sliding.filter(|&&window| window <= sample.prompt_tokens);
        let (count, layers) = (short.count(), sliding_windows.len());
        if count == 0 {
            return;
        }
        self.say(
            "prompts longer than a sliding window",
            &format!(
                "sample '{}' has {} prompt tokens, more than {count} of the {layers} layers see: there only \
                 what the first decode step sees can be ranked, and the heads are left out of means at budgets \
                 that are not below that (visible_tokens in the tables)",
                sample.id, sample.prompt_tokens
            ),
            progress,
        );
    }

    /// Budgets that are larger than the prompt.
    pub fn of_budgets(
        &mut self,
        sample: SampleFacts<'_>,
        left_out: &[Budget],
        progress: &dyn StageProgress,
    ) {
        if left_out.is_empty() {
            return;
        }
        let left_out: Vec<String> = left_out.iter().map(Budget::to_string).collect();
        self.say(
            "budgets larger than the prompt",
            &format!(
                "sample '{}' has {} prompt tokens: left out the budgets {}",
                sample.id,
                sample.prompt_tokens,
                left_out.join(", ")
            ),
            progress,
        );
    }

    /// Windows that observed anew for each budget, but not for these, which are in tokens.
    /// A window is given by its label and the budgets that it observed for; none of one that observed once.
    pub fn of_final_budgets<'a>(
        &mut self,
        sample: SampleFacts<'_>,
        windows: impl Iterator<Item = (&'a str, Vec<usize>)>,
        budgets: &[usize],
        progress: &dyn StageProgress,
    ) {
        for (label, known) in windows {
            let missing = budgets.iter().filter(|tokens| !known.contains(tokens));
            let missing: Vec<String> = missing.map(usize::to_string).collect();
            if missing.is_empty() || known.is_empty() {
                continue;
            }
            let known: Vec<String> = known.iter().map(usize::to_string).collect();
            self.say(
                &format!("budgets that {label} was not captured for"),
                &format!(
                    "sample '{}': window '{label}' looked ahead for budgets of {} tokens alone and has no numbers at {}; \
                     capture it with these, too (budget=final@...)",
                    sample.id,
                    known.join(", "),
                    missing.join(", ")
                ),
                progress,
            );
        }
    }

    /// Decode stages without any of the oracle's steps.
    pub fn of_oracle(
        &mut self,
        sample: SampleFacts<'_>,
        steps: StepRange,
        progress: &dyn StageProgress,
    ) {
        self.say(
            "decode stages too short for the oracle",
            &format!(
                "sample '{}' decoded {} tokens, none of the steps {steps}: it is left out",
                sample.id, sample.decode_tokens
            ),
            progress,
        );
    }

    /// Samples without a run of queries to sweep a window through.
    pub fn of_places(&mut self, sample: SampleFacts<'_>, progress: &dyn StageProgress) {
        self.say(
            "samples without queries to sweep",
            &format!(
                "sample '{}' keeps too few queries of the end of its prompt to move a window: capture it with \
                 a window such as last:256, or last:N with N as long as the prompt for all of it",
                sample.id
            ),
            progress,
        );
    }

    /// Rankings that are left with no token to rank.
    pub fn of_exempt(
        &mut self,
        sample: SampleFacts<'_>,
        exempt: usize,
        progress: &dyn StageProgress,
    ) {
        if exempt < sample.prompt_tokens {
            return;
        }
        self.say(
            "prompts that are exempt as a whole",
            &format!(
                "sample '{}' has {} prompt tokens and all of them are exempt: there is nothing to rank",
                sample.id, sample.prompt_tokens
            ),
            progress,
        );
    }

    fn say(&mut self, kind: &str, line: &str, progress: &dyn StageProgress) {
        let count = self.said.entry(kind.to_owned()).or_default();
        *count += 1;
        if *count <= NAMED_SAMPLES {
            progress.note(&format!("warning: {line}"));
        }
    }

    /// Says how many more samples there were of each kind.
    pub fn end(self, progress: &dyn StageProgress) {
        for (kind, count) in self.said {
            if count > NAMED_SAMPLES {
                let more = count - NAMED_SAMPLES;
                progress.note(&format!("warning: {kind}: {more} more samples"));
            }
        }
    }
}
