//! Held-out recall in words and columns.

use kvlens_sessions::training::{
    Baseline, HeldOutGroup, WindowTrainingPlan, WindowTrainingSummary,
};

/// The trained window and those beside it.
pub fn windows(plan: &WindowTrainingPlan, summary: &WindowTrainingSummary) -> Vec<Baseline> {
    let trained = Baseline {
        window: plan.method.name().to_owned(),
        recall: summary.held_out.recall.clone(),
    };
    std::iter::once(trained)
        .chain(summary.baselines.iter().cloned())
        .collect()
}

/// A heading for each group of prompts, and a line for each window.
pub fn lines(groups: &[HeldOutGroup], windows: &[Baseline]) -> Vec<String> {
    let widest = windows.iter().map(|window| window.window.chars().count());
    let width = widest.max().unwrap_or(0);
    let mut lines = Vec::new();
    for (index, group) in groups.iter().enumerate() {
        lines.push(format!(
            "held-out recall at 5 %, 10 %, 20 % of the prompt, {}",
            title(group)
        ));
        for window in windows {
            let recall = window.recall.get(index).map(Vec::as_slice);
            lines.push(format!(
                "  {:width$}  {}",
                window.window,
                numbers(recall.unwrap_or_default())
            ));
        }
    }
    lines
}

/// How many prompts of which data.
pub fn title(group: &HeldOutGroup) -> String {
    match group.prompts {
        1 => format!("1 prompt: {}", group.name),
        prompts => format!("{prompts} prompts: {}", group.name),
    }
}

/// Recall by budget.
pub fn numbers(recall: &[f32]) -> String {
    let texts: Vec<String> = recall.iter().map(|value| format!("{value:.3}")).collect();
    texts.join("  ")
}
