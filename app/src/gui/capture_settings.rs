//! What the capture panel asks for, and the plan that follows from it.

use std::path::PathBuf;

use anyhow::{Context as _, bail};
use kvlens_datasets::{BadRows, LoadReport, Loaded, PromptChoices, Sample};
use kvlens_sessions::model::{ChatVariables, DeviceChoice, DtypeChoice, ModelSource};
use kvlens_sessions::{CapturePlan, DecodePlan};
use serde::{Deserialize, Serialize};

use crate::jobs::Cancel;
use crate::jobs::prompts::{self, Beginning};

/// What the panel begins with: windows that any model has, as nothing needs to be trained for them.
const FIRST_WINDOWS: [&str; 4] = ["last:32", "last:8", "laq:n=8", "dapq:n=32"];

/// What stands in a plan whose prompt was typed into the panel.
pub const TYPED_TEXT: &str = "typed text";

/// Where the prompts come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum PromptSource {
    /// The built-in prompts.
    #[default]
    Demo,
    /// A file, or a built-in task with options, as on the command line.
    File,
    /// Text that is typed into the panel.
    Text,
}

impl PromptSource {
    /// Every choice in the order of the panel.
    pub const ALL: [Self; 3] = [Self::Demo, Self::File, Self::Text];

    /// Text of the choice.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Demo => "Built-in",
            Self::File => "File",
            Self::Text => "Text",
        }
    }
}

/// The fields of the capture panel, as they were typed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct CaptureSettings {
    /// `demo`, the folder of a checkpoint, or a hub id.
    pub model: String,
    /// Where the prompts come from.
    pub source: PromptSource,
    /// Files of prompts and built-in tasks with their options, one a line.
    pub data: String,
    /// Which prompts of it are taken, and how they are read.
    pub prompts: PromptChoices,
    /// A prompt.
    pub text: String,
    /// The reference answer to the prompt; may be empty.
    pub answer: String,
    /// Labels of the windows, as typed.
    pub windows: Vec<String>,
    /// Longest decode stage, in tokens.
    pub decode_tokens: usize,
    /// Whether the end-of-text token ends the decode stage.
    pub ignore_eos: bool,
    /// Whether the reference answer is fed back in place of the model's own tokens.
    pub teacher_forced: bool,
    /// Whether the chat template is applied.
    pub chat: bool,
    /// What the template is told besides, as `NAME=VALUE` with spaces between.
    pub chat_variables: String,
    /// Seed of everything that is random.
    pub seed: u64,
    /// `auto`, `cpu`, `cuda:N` or `metal`.
    pub device: String,
    /// `auto`, `f32`, `f16` or `bf16`.
    pub dtype: String,
    /// Folder of the session; empty for a fresh one among the program's own data.
    pub out: String,
}

impl Default for CaptureSettings {
    fn default() -> Self {
        Self {
            model: "demo".to_owned(),
            source: PromptSource::Demo,
            data: String::new(),
            prompts: PromptChoices::default(),
            text: String::new(),
            answer: String::new(),
            windows: FIRST_WINDOWS.map(str::to_owned).to_vec(),
            decode_tokens: 64,
            ignore_eos: false,
            teacher_forced: false,
            chat: false,
            chat_variables: String::new(),
            seed: 0,
            device: "auto".to_owned(),
            dtype: "auto".to_owned(),
            out: String::new(),
        }
    }
}

impl CaptureSettings {
    /// None where no template is applied.
    fn chat_variables(&self) -> anyhow::Result<ChatVariables> {
        if !self.chat {
            return Ok(ChatVariables::default());
        }
        let words = self.chat_variables.split_whitespace();
        let words: Vec<String> = words.map(str::to_owned).collect();
        Ok(ChatVariables::parse(&words)?)
    }

    /// The plan, checked as far as that goes without loading anything.
    ///
    /// # Errors
    /// A sentence that names the field to mend.
    pub fn plan(&self) -> anyhow::Result<CapturePlan> {
        let model: ModelSource = self
            .model
            .trim()
            .parse()
            .context("the model is not understood")?;
        let windows: Vec<String> = self
            .windows
            .iter()
            .map(|label| label.trim().to_owned())
            .filter(|label| !label.is_empty())
            .collect();
        if windows.is_empty() {
            bail!("add at least one observation window, such as last:32");
        }
        kvlens_sessions::windows::parse_windows(&windows)?;
        let device: DeviceChoice = self
            .device
            .parse()
            .context("the device is not understood")?;
        let dtype: DtypeChoice = self
            .dtype
            .parse()
            .context("the number type is not understood")?;
        Ok(CapturePlan {
            prompts: match self.source {
                PromptSource::File => self.prompts.clone(),
                PromptSource::Demo | PromptSource::Text => PromptChoices::default(),
            },
            windows,
            decode: DecodePlan {
                max_tokens: self.decode_tokens,
                sample_lengths: false,
                ignore_eos: self.ignore_eos,
                teacher_forced: self.teacher_forced,
                temperature: None,
                seed: self.seed,
            },
            chat: self.chat,
            chat_variables: self.chat_variables()?,
            device,
            dtype,
            ..CapturePlan::plain(model, self.data_specs()?)
        })
    }

    fn data_specs(&self) -> anyhow::Result<Vec<String>> {
        let specs: Vec<String> = self.data_lines().map(str::to_owned).collect();
        match self.source {
            PromptSource::Demo => Ok(vec!["demo".to_owned()]),
            PromptSource::File if specs.is_empty() => {
                bail!("choose a file of prompts, or type its path")
            }
            PromptSource::File => Ok(specs),
            PromptSource::Text if self.text.is_empty() => bail!("type a prompt first"),
            PromptSource::Text => Ok(vec![TYPED_TEXT.to_owned()]),
        }
    }

    /// Files and tasks, one a line.
    fn data_lines(&self) -> impl Iterator<Item = &str> {
        let lines = self.data.lines().map(str::trim);
        lines.filter(|line| !line.is_empty())
    }

    /// Names one more file or task.
    pub fn add_data(&mut self, spec: &str) {
        let mut lines: Vec<&str> = self.data_lines().collect();
        lines.push(spec);
        self.data = lines.join("\n");
    }

    /// The fields that ask for a plan again, as far as the panel has them.
    #[must_use]
    pub fn of_plan(plan: &CapturePlan) -> Self {
        let variables = std::collections::BTreeMap::from(plan.chat_variables.clone());
        let variables = variables.into_iter().map(|(name, value)| match value {
            serde_json::Value::String(text) => format!("{name}={text}"),
            value => format!("{name}={value}"),
        });
        let (source, data) = match plan.data.as_slice() {
            [demo] if demo == "demo" => (PromptSource::Demo, String::new()),
            [typed] if typed == TYPED_TEXT => (PromptSource::Text, String::new()),
            several => (PromptSource::File, several.join("\n")),
        };
        Self {
            model: plan.model.to_string(),
            source,
            data,
            prompts: plan.prompts.clone(),
            windows: plan.windows.clone(),
            decode_tokens: plan.decode.max_tokens,
            ignore_eos: plan.decode.ignore_eos,
            teacher_forced: plan.decode.teacher_forced,
            chat: plan.chat,
            chat_variables: variables.collect::<Vec<_>>().join(" "),
            seed: plan.decode.seed,
            device: plan.device.to_string(),
            dtype: plan.dtype.to_string(),
            ..Self::default()
        }
    }

    /// The prompt that is typed, where that is what to capture.
    #[must_use]
    pub fn typed_prompt(&self) -> Option<Sample> {
        (self.source == PromptSource::Text).then(|| Sample {
            id: "typed".to_owned(),
            dataset: TYPED_TEXT.to_owned(),
            task: "text".to_owned(),
            prompt: self.text.clone(),
            answer: (!self.answer.is_empty()).then(|| self.answer.clone()),
            ..Sample::default()
        })
    }

    /// The first prompts, of about so many bytes. Reads files, so only the lanes call it.
    ///
    /// # Errors
    /// What the data set refuses.
    pub fn first_prompts(&self, bytes: usize, cancel: &Cancel) -> anyhow::Result<Beginning> {
        match self.typed_prompt() {
            None => prompts::beginning(&self.plan()?, bytes, cancel),
            Some(typed) => Ok(Beginning {
                loaded: Loaded {
                    samples: vec![typed],
                    report: LoadReport::default(),
                },
                is_whole: true,
            }),
        }
    }

    /// The same, but rows that are no prompt are left out and named.
    #[must_use]
    pub fn leaving_out_bad_rows(&self) -> Self {
        let mut lenient = self.clone();
        lenient.prompts.bad_rows = BadRows::LeaveOut;
        lenient
    }

    /// The folder that was typed, if any.
    #[must_use]
    pub fn typed_out(&self) -> Option<PathBuf> {
        let typed = self.out.trim();
        (!typed.is_empty()).then(|| PathBuf::from(typed))
    }

    /// A short name for a session of these settings.
    #[must_use]
    pub fn session_stem(&self) -> String {
        let model = PathBuf::from(self.model.trim());
        let model = model.file_name().map_or("model".to_owned(), |name| {
            name.to_string_lossy().into_owned()
        });
        match self.source {
            PromptSource::Demo if model == "demo" => model,
            PromptSource::Demo => format!("{model}-demo"),
            PromptSource::Text => format!("{model}-text"),
            PromptSource::File => {
                let data = PathBuf::from(self.data_lines().next().unwrap_or("data"));
                let data = data.file_stem().map_or("data".to_owned(), |name| {
                    name.to_string_lossy().into_owned()
                });
                format!("{model}-{}", data.replace([':', ',', '='], "-"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_settings_make_a_plan_for_the_demo() {
        let plan = CaptureSettings::default().plan().unwrap();
        assert_eq!(plan.model, ModelSource::Demo);
        assert_eq!(plan.data, ["demo"]);
        assert_eq!(plan.windows, FIRST_WINDOWS);
        assert_eq!(CaptureSettings::default().session_stem(), "demo");
    }

    #[test]
    fn what_is_missing_is_named() {
        let refused = |settings: CaptureSettings| format!("{:#}", settings.plan().unwrap_err());
        let base = CaptureSettings::default;
        assert!(
            refused(CaptureSettings {
                windows: vec![" ".into()],
                ..base()
            })
            .contains("observation window")
        );
        assert!(
            refused(CaptureSettings {
                windows: vec!["no-such-window:3".into()],
                ..base()
            })
            .contains("no-such-window")
        );
        assert!(
            refused(CaptureSettings {
                source: PromptSource::Text,
                ..base()
            })
            .contains("prompt")
        );
        assert!(
            refused(CaptureSettings {
                source: PromptSource::File,
                ..base()
            })
            .contains("file of prompts")
        );
    }

    #[test]
    fn typed_text_is_one_sample_as_it_stands() {
        let settings = CaptureSettings {
            source: PromptSource::Text,
            text: " two  spaces\n".to_owned(),
            answer: "yes".to_owned(),
            ..CaptureSettings::default()
        };
        let sample = settings.typed_prompt().unwrap();
        assert_eq!(sample.prompt, " two  spaces\n");
        assert_eq!(sample.answer.as_deref(), Some("yes"));
        assert_eq!(CaptureSettings::default().typed_prompt(), None);
    }

    #[test]
    fn the_panel_asks_again_for_what_it_asked_for() {
        let mut settings = CaptureSettings {
            model: "org/name".to_owned(),
            source: PromptSource::File,
            data: "a.jsonl".to_owned(),
            windows: vec!["laq:16,pool=avg:5".to_owned(), "tova".to_owned()],
            decode_tokens: 12,
            ignore_eos: true,
            chat: true,
            chat_variables: "enable_thinking=false effort=low".to_owned(),
            seed: 7,
            dtype: "f32".to_owned(),
            ..CaptureSettings::default()
        };
        settings.add_data("niah:length=1k,samples=2");
        let plan = settings.plan().unwrap();
        assert_eq!(plan.data, ["a.jsonl", "niah:length=1k,samples=2"]);
        assert_eq!(CaptureSettings::of_plan(&plan).plan().unwrap(), plan);
        assert_eq!(settings.session_stem(), "name-a");
    }

    #[test]
    fn chat_variables_count_where_the_template_is_applied() {
        let settings = |chat: bool, variables: &str| CaptureSettings {
            chat,
            chat_variables: variables.to_owned(),
            ..CaptureSettings::default()
        };
        let plan = settings(true, "enable_thinking=false effort=low")
            .plan()
            .unwrap();
        let expected = ["enable_thinking=false", "effort=low"].map(str::to_owned);
        assert_eq!(
            plan.chat_variables,
            ChatVariables::parse(&expected).unwrap()
        );
        let plan = settings(false, "enable_thinking").plan().unwrap();
        assert_eq!(plan.chat_variables, ChatVariables::default());
        let refused = settings(true, "enable_thinking").plan().unwrap_err();
        assert!(refused.to_string().contains("has no '='"), "{refused}");
    }
}
