//! What the prompts of the capture panel turn out to be: by task, in tokens, and how their files were read.

use kvlens_datasets::{Sample, TokenCounter};
use kvlens_sessions::CapturePlan;
use kvlens_sessions::estimate::CaptureEstimator;

use crate::jobs::fetch::missing;
use crate::jobs::prompts::Beginning;

/// Characters of the first prompt that are shown.
const SHOWN: usize = 600;

/// Prompts, as the panel tells of them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PromptPreview {
    /// Tasks in the order in which they first came.
    pub tasks: Vec<TaskPrompts>,
    /// What of the files was read as what, a line each.
    pub report: Vec<String>,
    /// How the first prompt begins.
    pub first: String,
    /// Whether the model brings a chat template.
    pub has_chat_template: bool,
    /// Whether there are more prompts than were looked at.
    pub has_more: bool,
}

/// The prompts of one task.
#[derive(Clone, Debug, PartialEq)]
pub struct TaskPrompts {
    /// The task.
    pub task: String,
    /// How many there are.
    pub count: usize,
    /// Tokens of the shortest and the longest, with those of a question that comes afterwards; none before the model is
    /// here.
    pub tokens: Option<(usize, usize)>,
}

impl PromptPreview {
    /// Of the prompts that were read for this plan.
    ///
    /// # Errors
    /// A checkpoint that cannot be used; what its tokenizer says.
    pub fn of(plan: &CapturePlan, beginning: &Beginning) -> anyhow::Result<Self> {
        let loaded = &beginning.loaded;
        let counter = match missing(&plan.model) {
            Some(_) => None,
            None => Some(CaptureEstimator::open(plan)?),
        };
        let mut preview = Self {
            report: loaded
                .report
                .to_string()
                .lines()
                .map(str::to_owned)
                .collect(),
            has_chat_template: counter
                .as_ref()
                .is_some_and(CaptureEstimator::has_chat_template),
            first: loaded.samples.first().map_or_else(String::new, shown),
            has_more: !beginning.is_whole,
            ..Self::default()
        };
        for sample in &loaded.samples {
            let tokens = counter
                .as_ref()
                .map(|counter| counter.prompt_tokens(sample));
            let tokens = tokens.transpose().map_err(anyhow::Error::msg)?;
            preview.add(sample, tokens);
        }
        Ok(preview)
    }

    fn add(&mut self, sample: &Sample, tokens: Option<usize>) {
        let known = self.tasks.iter_mut().find(|task| task.task == sample.task);
        let Some(task) = known else {
            self.tasks.push(TaskPrompts {
                task: sample.task.clone(),
                count: 1,
                tokens: tokens.map(|tokens| (tokens, tokens)),
            });
            return;
        };
        task.count += 1;
        let joined = task.tokens.zip(tokens);
        task.tokens = joined.map(|((least, most), tokens)| (least.min(tokens), most.max(tokens)));
    }
}

impl TaskPrompts {
    /// In a line.
    #[must_use]
    pub fn line(&self) -> String {
        let prompts = match self.count {
            1 => "1 prompt".to_owned(),
            count => format!("{count} prompts"),
        };
        let each = if self.count == 1 { "" } else { " each" };
        let tokens = match self.tokens {
            Some((least, most)) if least == most => format!(" of {most} tokens{each}"),
            Some((least, most)) => format!(" of {least} to {most} tokens{each}"),
            None => String::new(),
        };
        format!("{}: {prompts}{tokens}", self.task)
    }
}

fn shown(sample: &Sample) -> String {
    let mut text: String = sample.prompt.chars().take(SHOWN).collect();
    if text.len() < sample.prompt.len() {
        text.push('…');
    }
    match &sample.later_question {
        Some(question) => format!("{text}\n\nAsked afterwards: {}", question.trim()),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use kvlens_datasets::{LoadReport, Loaded};

    use super::*;

    #[test]
    fn prompts_are_told_by_task_with_the_shortest_and_the_longest() {
        let sample = |task: &str, prompt: &str| Sample {
            task: task.to_owned(),
            prompt: prompt.to_owned(),
            ..Sample::default()
        };
        let loaded = Loaded {
            samples: vec![
                sample("qa", "Who?"),
                sample("sum", "All."),
                sample("qa", &"Where is it? ".repeat(100)),
            ],
            report: LoadReport::default(),
        };
        let plan = crate::gui::capture_settings::CaptureSettings::default()
            .plan()
            .unwrap();
        let beginning = Beginning {
            loaded,
            is_whole: false,
        };
        let preview = PromptPreview::of(&plan, &beginning).unwrap();
        assert!(preview.has_more);
        assert_eq!(preview.tasks.len(), 2);
        let (least, most) = preview.tasks[0].tokens.unwrap();
        assert!(least < 10 && most > 200, "{least} {most}");
        let line = preview.tasks[0].line();
        assert_eq!(
            line,
            format!("qa: 2 prompts of {least} to {most} tokens each")
        );
        assert_eq!(preview.first, "Who?");
    }
}
