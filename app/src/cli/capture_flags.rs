//! What is to be run and how, apart from model and data: the same flags of `capture` and keys of a plan file.

use anyhow::Result;
use clap::{Args, Command};
use kvlens_sessions::model::{
    AttentionKernel, ChatVariables, DeviceChoice, DtypeChoice, ModelSource,
};
use kvlens_sessions::{CapturePlan, DecodePlan, HalfFormat, Keep};
use serde::Deserialize;

use super::args::at_least_one;
use super::prompt_arguments::{PromptArguments, first_named};
use crate::jobs::failure::Failure;

/// Flags, or keys of a plan file.
#[derive(Clone, Debug, Default, PartialEq, Args, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct CaptureFlags {
    /// Which prompts are taken, and how they are read
    #[command(flatten)]
    #[serde(skip)]
    pub prompts: PromptArguments,
    /// Observation windows such as `last:32`, or `all` with their default options; the decode stage
    /// is always captured [default: last:32]
    #[arg(help_heading = "Windows and decode stage", long, value_name = "WINDOW", num_args = 1..)]
    pub windows: Vec<String>,
    /// Tokens of the decode stage, at most [default: as many as the prompt's benchmark lets a model generate, else 64]
    #[arg(help_heading = "Windows and decode stage", long, value_name = "N", value_parser = at_least_one)]
    pub decode: Option<usize>,
    /// Go on after an end-of-text token
    #[arg(help_heading = "Windows and decode stage", long)]
    pub ignore_eos: bool,
    /// Feed each sample's reference answer instead of what the model generates
    #[arg(
        help_heading = "Windows and decode stage",
        long,
        conflicts_with = "temperature"
    )]
    pub teacher_forced: bool,
    /// Sample at this temperature; greedy without it
    #[arg(help_heading = "Windows and decode stage", long, value_name = "X")]
    pub temperature: Option<f64>,
    /// Seed of the sampling [default: 0]
    #[arg(help_heading = "Windows and decode stage", long, value_name = "S")]
    pub seed: Option<u64>,
    /// Wrap prompts in the model's chat template
    #[arg(help_heading = "Model and prompts", long)]
    pub chat: bool,
    /// Tell the chat template something besides, such as `enable_thinking=false` for Qwen3; a value that is no
    /// JSON is a text. Repeat it for further variables
    #[arg(help_heading = "Model and prompts", long, value_name = "NAME=VALUE")]
    pub chat_variable: Vec<String>,
    /// What a session keeps of each prompt, beside ready-made scores: keys (scores can be made anew later); keys,decode
    /// (keys of the generated tokens as well, so that evictions while decoding can be told); keys,values (also values of
    /// all of them, so that the error of attention's output can be told; twice the size); without keys scores (made as each
    /// window was published and under one scoring for all; pooling can still be chosen, rows and keys cannot), queries
    /// (how alike they are, not what they attend to) or scores,queries [default: keys,values where the session takes at
    /// most 1 GB with them, otherwise keys]
    #[arg(
        help_heading = "How it runs",
        long,
        value_name = "scores|queries|keys|keys,decode|keys,values"
    )]
    pub keep: Option<Keep>,
    /// The format of the keys, values and queries that are kept: f16 or bf16, half the size of a model that runs in f32
    /// [default: the model's]. The largest change of a token's importance is told
    #[arg(help_heading = "How it runs", long, value_name = "f16|bf16")]
    pub numbers: Option<HalfFormat>,
    /// auto, cpu, cuda, cuda:N or metal [default: auto]
    #[arg(help_heading = "How it runs", long, value_name = "D")]
    pub device: Option<DeviceChoice>,
    /// auto, f32, f16 or bf16 [default: auto]
    #[arg(help_heading = "How it runs", long, value_name = "T")]
    pub dtype: Option<DtypeChoice>,
    /// How the attention of prompt rows is computed of which nothing is kept: blocks; flash where there is such
    /// a kernel (CUDA, f16 or bf16, built with `flash-attn`); auto, flash on a card where it computes [default: auto]
    #[arg(help_heading = "How it runs", long, value_name = "KERNEL")]
    pub attention: Option<AttentionKernel>,
    /// Run each window N times to measure its time, and keep the median [default: 1]
    #[arg(help_heading = "How it runs", long, value_name = "N", value_parser = at_least_one)]
    pub repeat_cost: Option<usize>,
}

impl CaptureFlags {
    /// The names of all flags, which are those of a plan file's keys as well.
    pub fn names() -> Vec<String> {
        let command = Self::augment_args(Command::new(""));
        let names = command.get_arguments().filter_map(|flag| flag.get_long());
        names.map(str::to_owned).collect()
    }

    /// These, and for what they leave open those of a plan file.
    #[must_use]
    pub fn or(self, file: Self) -> Self {
        Self {
            prompts: self.prompts.or(file.prompts),
            windows: first_named(self.windows, file.windows),
            decode: self.decode.or(file.decode),
            ignore_eos: self.ignore_eos || file.ignore_eos,
            teacher_forced: self.teacher_forced || file.teacher_forced,
            temperature: self.temperature.or(file.temperature),
            seed: self.seed.or(file.seed),
            chat: self.chat || file.chat,
            chat_variable: first_named(self.chat_variable, file.chat_variable),
            keep: self.keep.or(file.keep),
            numbers: self.numbers.or(file.numbers),
            device: self.device.or(file.device),
            dtype: self.dtype.or(file.dtype),
            attention: self.attention.or(file.attention),
            repeat_cost: self.repeat_cost.or(file.repeat_cost),
        }
    }

    /// The capture of a model on data.
    ///
    /// # Errors
    /// [`Failure::BadInput`] for what contradicts itself.
    pub fn plan(&self, model: ModelSource, data: Vec<String>) -> Result<CapturePlan> {
        self.check()?;
        self.keep.unwrap_or_default().check_numbers(self.numbers)?;
        let plain = CapturePlan::plain(model, data);
        Ok(CapturePlan {
            prompts: self.prompts.choices()?,
            windows: first_named(self.windows.clone(), plain.windows),
            decode: DecodePlan {
                max_tokens: self.decode.unwrap_or(plain.decode.max_tokens),
                sample_lengths: self.decode.is_none(),
                ignore_eos: self.ignore_eos,
                teacher_forced: self.teacher_forced,
                temperature: self.temperature,
                seed: self.seed.unwrap_or(0),
            },
            chat: self.chat,
            chat_variables: ChatVariables::parse(&self.chat_variable)?,
            device: self.device.unwrap_or_default(),
            dtype: self.dtype.unwrap_or_default(),
            attention: self.attention.unwrap_or_default(),
            keep: self.keep,
            numbers: self.numbers,
            repeat_cost: self.repeat_cost.unwrap_or(1).max(1),
            ..plain
        })
    }

    fn check(&self) -> Result<(), Failure> {
        if self.teacher_forced && self.temperature.is_some() {
            return Err(Failure::BadInput(
                "a teacher-forced decode stage has nothing to sample; leave out the temperature"
                    .to_owned(),
            ));
        }
        if !self.chat && !self.chat_variable.is_empty() {
            return Err(Failure::BadInput(
                "a chat variable is for the model's chat template, which is not asked for; add --chat"
                    .to_owned(),
            ));
        }
        Ok(())
    }
}
