//! The card of a trained window: for which model, how it was made, how it does on held-out prompts.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use kvlens_sessions::model::ModelIdentity;
use kvlens_sessions::training::{
    HeldOutFigures, HeldOutGroup, WindowTrainingPlan, WindowTrainingSummary,
};
use kvlens_sessions::windows::TrainedMethod;

use super::recall;

/// What a card tells of.
pub struct Card<'a> {
    pub plan: &'a WindowTrainingPlan,
    pub model: &'a ModelIdentity,
    pub training_prompts: usize,
    pub groups: &'a [HeldOutGroup],
    pub summary: &'a WindowTrainingSummary,
}

impl Card<'_> {
    /// Writes the card beside the window's file, aside and renamed, and says where.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self, out: &Path) -> Result<PathBuf> {
        let path = out.with_extension("md");
        let aside = path.with_added_extension("partial");
        std::fs::write(&aside, self.text())
            .and_then(|()| std::fs::rename(&aside, &path))
            .with_context(|| format!("the card cannot be written: {}", path.display()))?;
        Ok(path)
    }

    fn text(&self) -> String {
        format!(
            "# {} for `{}`\n\n{}\n{}\n{}",
            self.plan.method.name(),
            self.model.name,
            self.settings(),
            self.final_recall(),
            self.course()
        )
    }

    fn settings(&self) -> String {
        let plan = self.plan;
        let objective = match plan.method {
            TrainedMethod::JudgeQ => "MSE of the mean attention (Judge Q, arXiv 2509.10798)",
            TrainedMethod::LookaheadKv => "KL of the normalised importance (LookaheadKV)",
        };
        let adapters = match plan.adapter_rank {
            0 => "no adapters".to_owned(),
            rank => format!(
                "adapters of rank {rank}, alpha {}, learning rate {}",
                plan.adapter_alpha, plan.adapter_learning_rate
            ),
        };
        format!(
            "Made by `kvlens train {}`; used by window `{}`. The file's metadata hold every setting and the whole curve.\n\n\
             * Model: {} ({}), weights SHA-256 `{}`; it stayed as it was.\n\
             * Objective: {objective}.\n\
             * {} soft tokens, learning rate {}; {adapters}.\n\
             * {} of {} steps of {} prompts (Adam, warm-up over {} steps, then a cosine to nothing), seed {}.\n\
             * {} training prompts, to which the model responded itself, greedily, with up to {} tokens:\n{}",
            plan.method.name(),
            plan.method.name(),
            self.model.name,
            self.model.architecture,
            self.model.weights_sha256,
            plan.soft_tokens,
            plan.token_learning_rate,
            self.summary.curve.len(),
            plan.steps,
            plan.step_prompts,
            plan.warm_up_steps,
            plan.seed,
            self.training_prompts,
            plan.decode_tokens,
            list(&plan.data),
        )
    }

    fn final_recall(&self) -> String {
        let mut text = "## Held-out recall\n\nMean over layers, heads and prompts; every window and the decode stage are scored \
                        alike (mean over rows, causal keys, max:7, every query head), so that only their queries differ \
                        and the decode stage itself would have 1.\n"
            .to_owned();
        let windows = recall::windows(self.plan, self.summary);
        for (index, group) in self.groups.iter().enumerate() {
            // writing to a String cannot fail
            let _ = write!(
                text,
                "\n{}\n\n| window | 5 % | 10 % | 20 % |\n|---|---|---|---|\n",
                recall::title(group)
            );
            for window in &windows {
                let values = window.recall.get(index).map(Vec::as_slice);
                let _ = writeln!(
                    text,
                    "| `{}` | {} |",
                    window.window,
                    cells(values.unwrap_or_default())
                );
            }
        }
        text
    }

    /// Loss and recall at 5 % of the prompt, as the training went.
    fn course(&self) -> String {
        let mut text = "## Its course\n\nHeld-out loss, and recall at 5 % of the prompt for each group above.\n\n| steps | loss | recall |\n|---|---|---|\n".to_owned();
        let looks = self.summary.curve.iter().filter_map(|point| {
            let figures = point.held_out.as_ref()?;
            Some((point.step, figures))
        });
        let last = (self.summary.curve.len(), &self.summary.held_out);
        for (steps, figures) in looks.chain(std::iter::once(last)) {
            let _ = writeln!(
                text,
                "| {steps} | {:.4e} | {} |",
                figures.loss,
                at_first_budget(figures)
            );
        }
        text
    }
}

fn list(specs: &[String]) -> String {
    specs.iter().map(|spec| format!("  * `{spec}`\n")).collect()
}

fn cells(values: &[f32]) -> String {
    let texts: Vec<String> = values.iter().map(|value| format!("{value:.3}")).collect();
    texts.join(" | ")
}

fn at_first_budget(figures: &HeldOutFigures) -> String {
    let firsts = figures.recall.iter().filter_map(|group| group.first());
    let texts: Vec<String> = firsts.map(|value| format!("{value:.3}")).collect();
    texts.join(", ")
}
