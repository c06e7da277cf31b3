//! Tokens that a window's eviction rule keeps whatever their score: hits that no ranking earned.

use crate::measurement::MeasuredWindow;

/// How many tokens the rule keeps at a budget whatever their score.
#[must_use]
pub fn forced_tokens(window: &MeasuredWindow, budget_tokens: usize) -> usize {
    let forced = window.keep_rule.at(budget_tokens);
    (forced.sinks + forced.recent).min(budget_tokens)
}

/// The same as a sentence.
#[must_use]
pub fn forced_text(window: &MeasuredWindow, budget_tokens: usize) -> String {
    let label = &window.label;
    match forced_tokens(window, budget_tokens) {
        0 => format!("{label} forces no token"),
        forced => format!(
            "{label} keeps {forced} of {budget_tokens} tokens whatever their score: hits that no ranking earned"
        ),
    }
}

/// What the rule keeps at every budget, such as `4 sinks, 32 recent`.
#[must_use]
pub fn rule_text(window: &MeasuredWindow) -> String {
    let rule = window.keep_rule;
    let parts = [
        (rule.fixed.sinks > 0).then(|| format!("{} sinks", rule.fixed.sinks)),
        (rule.fixed.recent > 0).then(|| format!("{} recent", rule.fixed.recent)),
        (rule.recent_percent > 0)
            .then(|| format!("{} % of the budget recent", rule.recent_percent)),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    match parts.is_empty() {
        true => "no token".to_owned(),
        false => parts.join(", "),
    }
}
