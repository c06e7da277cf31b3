//! What can be typed.

use std::path::PathBuf;

use clap::builder::PossibleValue;
use clap::{Arg, Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use kvlens_sessions::model::{DeviceChoice, DtypeChoice, ModelSource};
use kvlens_sessions::training::TrainingSettings;

use super::capture_flags::CaptureFlags;
use super::data::DataCommand;
use super::fidelity::FidelityArguments;
use super::figure::FigureArguments;
use super::measure_arguments::MeasureArguments;
use super::session::SessionCommand;
use super::sweep::SweepArguments;
use crate::jobs::window::PictureTheme;

/// Workbench for KV-cache eviction: which prompt tokens decoding really attends to, and how well
/// each observation window foresees them.
#[derive(Debug, Parser)]
#[command(name = "kvlens", version, propagate_version = true)]
pub struct Arguments {
    /// Without one, the workbench opens.
    #[command(subcommand)]
    pub command: Option<Command>,
}

impl Arguments {
    /// The process's arguments. A number below zero behind an option is that option's, which says what it takes; clap
    /// would take it for an unknown option.
    ///
    /// # Errors
    /// What is to be printed: help, or a sentence.
    pub fn read() -> Result<Self, clap::Error> {
        let mut command = with_negative_numbers(Self::command());
        let found = command.try_get_matches_from_mut(std::env::args_os())?;
        Self::from_arg_matches(&found).map_err(|error| error.format(&mut command))
    }
}

fn with_negative_numbers(command: clap::Command) -> clap::Command {
    let of_option = |option: Arg| {
        let takes_value = option.get_action().takes_values() && !option.is_positional();
        match takes_value {
            true => option.allow_negative_numbers(true),
            false => option,
        }
    };
    command
        .mut_args(of_option)
        .mut_subcommands(with_negative_numbers)
}

/// The jobs.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Open the workbench, on sessions if any are named
    Open(OpenArguments),
    /// Run a model on prompts and keep what its decode stage and the windows attend to
    Capture(CaptureArguments),
    /// Compare every window of captured sessions with the decode stage; print recall, write Parquet
    Measure(MeasureArguments),
    /// Evict by each window of captured sessions, decode, and compare the output with the full cache's
    ///
    /// Caches are evicted by the methods as published, but for what the flags of scoring replace. In the tables,
    /// `recall` is that of the windows' queries, which are scored as the decode stage is; `method_recall` and
    /// `kept_recall` are those of the methods against the decode stage's raw attention.
    Fidelity(FidelityArguments),
    /// Draw a figure for a paper: SVG, PDF or PNG, its numbers, and how to make them again
    Figure(Box<FigureArguments>),
    /// Measure what a paper measured, and write it beside the published numbers: a page, tables, figures
    Recipe(Box<RecipeArguments>),
    /// Say what is in a session, whether it is whole; repair, shrink or merge it; pack it into one file and unpack it
    #[command(subcommand)]
    Session(SessionCommand),
    /// Run a plan over models, data, windows, decode settings and seeds, here or on a cluster
    Sweep(SweepArguments),
    /// Capture the built-in prompts with the built-in model, measure them, and open the workbench
    Demo(DemoArguments),
    /// Train a model
    #[command(subcommand)]
    Train(TrainCommand),
    /// Tell, show, make and check prompts
    #[command(subcommand)]
    Data(DataCommand),
    /// Say what this program finds here: devices, memory, processor, display, what is built in
    Doctor,
    /// Hold a device against the processor, stage by stage, and write what was found as JSON
    #[command(hide = true)]
    CheckDevice(CheckDeviceArguments),
    /// Print the completions of a shell: `kvlens completions bash > ~/.local/share/bash-completion/completions/kvlens`
    Completions(CompletionsArguments),
}

/// `kvlens completions`
#[derive(Debug, Args)]
pub struct CompletionsArguments {
    /// The shell
    #[arg(value_name = "SHELL", value_enum)]
    pub shell: Shell,
}

/// `kvlens check-device`
#[derive(Debug, Args)]
pub struct CheckDeviceArguments {
    /// The device; with `cpu`, the operations that a GPU is run by are checked on the processor
    #[arg(long, default_value = "auto")]
    pub device: DeviceChoice,
    /// A folder of small checkpoints, such as the repository's sessions/tests/fixtures
    #[arg(long, value_name = "FOLDER")]
    pub fixtures: Option<PathBuf>,
    /// Shapes that a processor is done with in seconds
    #[arg(long)]
    pub rehearse: bool,
    /// Seconds that a stage may take
    #[arg(long, value_name = "SECONDS")]
    pub limit: Option<u64>,
    /// Leave stages out
    #[arg(long, value_name = "STAGE", value_delimiter = ',')]
    pub skip: Vec<String>,
    /// Where the JSON goes; without it, to stdout
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

impl Default for Command {
    fn default() -> Self {
        Self::Open(OpenArguments::window(Vec::new()))
    }
}

/// `kvlens open`
#[derive(Debug, Args)]
pub struct OpenArguments {
    /// Session folders (NAME.kvlens), and links (kvlens:...) as File, Copy a link copies them
    #[arg(value_name = "SESSION")]
    pub sessions: Vec<PathBuf>,
    /// Play a list of commands (JSON) once the sessions are open
    #[arg(long, value_name = "FILE")]
    pub script: Option<PathBuf>,
    /// Begin a lesson of your own: a folder with a lesson.md, or such a file
    #[arg(long, value_name = "FOLDER")]
    pub lesson: Option<PathBuf>,
    /// Write a picture of what is shown then, and end; needs no display
    #[arg(long, value_name = "FILE.png", value_parser = png_file)]
    pub screenshot: Option<PathBuf>,
    /// Size of the picture in pixels
    #[arg(
        long,
        value_name = "WxH",
        default_value = "1280x800",
        requires = "screenshot"
    )]
    pub size: WindowSize,
    /// Theme of the picture
    #[arg(
        long,
        value_name = "T",
        default_value = "light",
        requires = "screenshot"
    )]
    pub theme: PictureTheme,
}

impl OpenArguments {
    /// The window, on some sessions.
    pub fn window(sessions: Vec<PathBuf>) -> Self {
        Self {
            sessions,
            script: None,
            lesson: None,
            screenshot: None,
            size: WindowSize([1280, 800]),
            theme: PictureTheme::Light,
        }
    }
}

/// Width and height in pixels, written `1280x800`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WindowSize(pub [usize; 2]);

impl std::str::FromStr for WindowSize {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let side = |text: &str| text.parse().ok().filter(|side| (320..=8192).contains(side));
        let (width, height) = text.split_once('x').unwrap_or((text, ""));
        match (side(width), side(height)) {
            (Some(width), Some(height)) => Ok(Self([width, height])),
            _ => Err("it must be WIDTHxHEIGHT, each from 320 to 8192, such as 1280x800".to_owned()),
        }
    }
}

impl ValueEnum for PictureTheme {
    fn value_variants<'a>() -> &'a [Self] {
        &Self::ALL
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(PossibleValue::new(self.name()))
    }
}

/// `kvlens capture`. What is not given is the plan file's or, without one, what the help says.
#[derive(Debug, Default, PartialEq, Args)]
pub struct CaptureArguments {
    /// A plan file (TOML) with several models and data: one session for each model and each data entry, in the
    /// folder --out. Its keys are named as these flags; a flag that is given takes the place of the key
    #[arg(help_heading = "Model and prompts", long, value_name = "FILE.toml")]
    pub plan: Option<PathBuf>,
    /// The model: `demo` (built in), a folder in the Hugging Face layout, a .gguf file, or a hub id such as
    /// `ORG/NAME[@REVISION]`, which is looked for in the local hub cache and fetched if it is not there
    #[arg(
        help_heading = "Model and prompts",
        long,
        value_name = "demo|DIR|FILE.gguf|ORG/NAME",
        required_unless_present_any = ["plan", "resume"]
    )]
    pub model: Option<ModelSource>,
    /// Prompts: `demo[:question=start|end,length=512|1024,samples=N]`, a generated task such as
    /// `niah:length=1024,samples=16` (`kvlens data list` tells them), a benchmark as it lies on disk such as
    /// `longbench:PATH`, a .txt file (one prompt), or a .jsonl, .json or .parquet file (one prompt a row)
    #[arg(help_heading = "Model and prompts", long, value_name = "SPEC", required_unless_present_any = ["plan", "resume"], num_args = 1..)]
    pub data: Vec<String>,
    /// What else is to be run, and how
    #[command(flatten)]
    pub flags: CaptureFlags,
    /// Print what the capture would take in memory and on disk, and end: no weights are read, nothing is run
    /// or written
    #[arg(help_heading = "Session", long)]
    pub estimate: bool,
    /// Go on with a capture that was stopped: with SESSION, by the plan that it holds and nothing else; without, by this
    /// command, in which everything else must be as it was
    #[arg(help_heading = "Session", long, value_name = "SESSION", num_args = 0..=1)]
    pub resume: Option<Option<PathBuf>>,
    /// The session folder to write, NAME.kvlens by custom; with --plan, the folder for the sessions
    #[arg(
        help_heading = "Session",
        long,
        value_name = "SESSION",
        required_unless_present_any = ["estimate", "plan", "resume"]
    )]
    pub out: Option<PathBuf>,
}

/// `kvlens recipe`
#[derive(Debug, Args)]
pub struct RecipeArguments {
    /// A recipe of the program (`list` names them), or the file of one's own: NAME.toml with its page NAME.md beside
    #[arg(value_name = "NAME|FILE.toml|list")]
    pub name: String,
    /// The model: `demo` (built in), a folder in the Hugging Face layout, a file FILE.gguf, or a hub id
    #[arg(
        long,
        value_name = "demo|DIR|FILE.gguf|ORG/NAME",
        default_value = "demo"
    )]
    pub model: ModelSource,
    /// Prompts, as `capture` takes them; without any, those of the recipe
    #[arg(long, value_name = "SPEC", num_args = 1..)]
    pub data: Vec<String>,
    /// Wrap prompts in the model's chat template
    #[arg(long)]
    pub chat: bool,
    /// auto, cpu, cuda, cuda:N or metal
    #[arg(long, value_name = "D", default_value_t)]
    pub device: DeviceChoice,
    /// auto, f32, f16 or bf16
    #[arg(long, value_name = "T", default_value_t)]
    pub dtype: DtypeChoice,
    /// The format of its figures
    #[arg(long, value_name = "FORMAT", default_value = "svg", value_parser = ["svg", "pdf", "png"])]
    pub format: String,
    /// The folder for everything
    #[arg(long, value_name = "DIR", default_value = "kvlens-recipe")]
    pub out: PathBuf,
    /// Go on in that folder with what an earlier run captured; tables, figures and page are made anew
    #[arg(long)]
    pub resume: bool,
}

/// `kvlens demo`
#[derive(Debug, Args)]
pub struct DemoArguments {
    /// A model of yours in place of the built-in one, on four pieces of prose that the program brings (`--data pieces`):
    /// a folder in the Hugging Face layout, a .gguf file or a hub id. Minutes for a small model on a processor
    #[arg(long, value_name = "DIR|FILE.gguf|ORG/NAME")]
    pub model: Option<ModelSource>,
    /// Wrap the pieces in the model's chat template
    #[arg(long, requires = "model")]
    pub chat: bool,
    /// The folder for the session and the tables; what an earlier demo wrote there is replaced
    #[arg(long, value_name = "DIR", default_value = "kvlens-demo")]
    pub out: PathBuf,
    /// Do not open the workbench afterwards
    #[arg(long)]
    pub no_window: bool,
}

/// `kvlens train`
#[derive(Debug, Subcommand)]
pub enum TrainCommand {
    /// Train the small built-in language model anew, from generated documents
    DemoModel(TrainDemoModelArguments),
    /// Train Judge Q's soft tokens for a model, which stays as it is
    JudgeQ(TrainJudgeQArguments),
    /// Train LookaheadKV's tokens and adapters for a model, which stays as it is
    LookaheadKv(TrainLookaheadKvArguments),
    /// Write the card of a trained model: recipe, curve, accuracy of captured answers, recall by head
    Card(TrainCardArguments),
}

/// `kvlens train card`
#[derive(Debug, Args)]
pub struct TrainCardArguments {
    /// Sessions that were captured with the model, with the generated tasks
    #[arg(value_name = "SESSION", required = true)]
    pub sessions: Vec<PathBuf>,
    /// The model's folder, in which README.md is written
    #[arg(long, value_name = "DIR")]
    pub model: PathBuf,
}

/// `kvlens train demo-model`
#[derive(Debug, Args)]
pub struct TrainDemoModelArguments {
    /// The folder for the model (Hugging Face layout), its training log and the run's state
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// A training plan (JSON), such as the `plan` of a training-log.json; without it, the built-in model's own
    #[arg(long, value_name = "FILE")]
    pub plan: Option<PathBuf>,
    /// Seed of initial weights and data, instead of the plan's
    #[arg(long, value_name = "S")]
    pub seed: Option<u64>,
    /// Stop after so many steps, counted from the beginning of the training; `--resume` goes on
    #[arg(long, value_name = "N", value_parser = at_least_one)]
    pub stop_after_steps: Option<usize>,
    /// auto, cpu, cuda, cuda:N or metal
    #[arg(long, value_name = "D", default_value_t)]
    pub device: DeviceChoice,
    /// Go on with a training that was stopped
    #[arg(long, conflicts_with = "replace")]
    pub resume: bool,
    /// Start anew where a training lies
    #[arg(long)]
    pub replace: bool,
}

/// What both trainings of a window take.
#[derive(Debug, Args)]
pub struct TrainWindowArguments {
    /// The model: `demo` (built in), a folder in the Hugging Face layout, a file FILE.gguf (with --dtype f32, f16 or
    /// bf16), or a hub id
    #[arg(long, value_name = "demo|DIR|FILE.gguf|ORG/NAME")]
    pub model: ModelSource,
    /// Training prompts, as `capture` takes them; the model responds to them itself
    #[arg(long, value_name = "SPEC", required = true, num_args = 1..)]
    pub data: Vec<String>,
    /// Prompts to look at while training; without any, every tenth training prompt is held out
    #[arg(long, value_name = "SPEC", num_args = 1..)]
    pub held_out: Vec<String>,
    /// Windows that the held-out recall is shown beside
    #[arg(long, value_name = "WINDOW", num_args = 1.., default_values_t = ["last:32".to_owned(), "last:8".to_owned()])]
    pub baselines: Vec<String>,
    /// Rows that are run behind the prompt
    #[arg(long, value_name = "N", default_value_t = 32, value_parser = at_least_one)]
    pub soft_tokens: usize,
    /// Tokens of a response, at most; without it 64, of lookahead-kv what --settings says
    #[arg(long, value_name = "N", value_parser = at_least_one)]
    pub decode: Option<usize>,
    /// Steps of the training
    #[arg(long, value_name = "N", default_value_t = 2000, value_parser = at_least_one)]
    pub steps: usize,
    /// Prompts of a step; without it 8, of lookahead-kv what --settings says
    #[arg(long, value_name = "N", value_parser = at_least_one)]
    pub step_prompts: Option<usize>,
    /// Learning rate of the tokens (Adam); without it 0.02 for judge-q and 0.01 for lookahead-kv, which were
    /// found on the built-in model; of lookahead-kv what --settings says
    #[arg(long, value_name = "X")]
    pub token_rate: Option<f64>,
    /// Steps between two looks at the held-out prompts
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = at_least_one)]
    pub look_every: usize,
    /// Seed of initial values and of the prompts' order
    #[arg(long, value_name = "S", default_value_t = 0)]
    pub seed: u64,
    /// Wrap prompts in the model's chat template
    #[arg(long)]
    pub chat: bool,
    /// auto, cpu, cuda, cuda:N or metal
    #[arg(long, value_name = "D", default_value_t)]
    pub device: DeviceChoice,
    /// auto, f32, f16 or bf16
    #[arg(long, value_name = "T", default_value_t)]
    pub dtype: DtypeChoice,
    /// Stop after so many steps, counted from the beginning of the training; `--resume` goes on
    #[arg(long, value_name = "N", value_parser = at_least_one)]
    pub stop_after_steps: Option<usize>,
    /// Go on with a training that was stopped; everything else must be as it was
    #[arg(long, conflicts_with = "replace")]
    pub resume: bool,
    /// Start anew where a training lies
    #[arg(long)]
    pub replace: bool,
    /// The file to write (safetensors)
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
}

/// `kvlens train judge-q`
#[derive(Debug, Args)]
pub struct TrainJudgeQArguments {
    #[command(flatten)]
    pub window: TrainWindowArguments,
}

/// `kvlens train lookahead-kv`
#[derive(Debug, Args)]
pub struct TrainLookaheadKvArguments {
    #[command(flatten)]
    pub window: TrainWindowArguments,
    /// Learning rates, prompts of a step and length of responses: default (found on the built-in model), paper (1e-3,
    /// 32, 512; its inputs have up to 16,384 tokens) or repository (1e-4, 64, 512; up to 4,096). Both as an issue of
    /// the authors' repository quotes them; optimiser and steps are known of neither
    #[arg(long, value_name = "SOURCE", default_value = "default")]
    pub settings: TrainingSettings,
    /// Rank of the adapters; 0 for tokens without adapters
    #[arg(long, value_name = "R", default_value_t = 8)]
    pub rank: usize,
    /// The adapters are scaled by alpha / rank
    #[arg(long, value_name = "A", default_value_t = 32.0)]
    pub alpha: f64,
    /// Learning rate of the adapters (Adam); without it 0.003, or what --settings says
    #[arg(long, value_name = "X")]
    pub adapter_rate: Option<f64>,
}

/// Budgets of `measure` and of the demo.
pub const DEFAULT_BUDGETS: &str = "64,128,256,5%,10%,20%";

/// The name of a PNG file.
fn png_file(text: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(text);
    match path
        .extension()
        .is_some_and(|ending| ending.eq_ignore_ascii_case("png"))
    {
        true => Ok(path),
        false => Err("the picture is a PNG file; give it a name that ends in .png".to_owned()),
    }
}

/// A count of at least 1.
pub fn at_least_one(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) | Err(_) => Err("it must be a whole number of at least 1".to_owned()),
        Ok(number) => Ok(number),
    }
}

#[cfg(test)]
mod tests {
    use kvlens_analysis::{Budget, Pooling};

    use super::*;

    #[test]
    fn the_definitions_hold_together() {
        with_negative_numbers(Arguments::command()).debug_assert();
    }

    #[test]
    fn lists_end_at_the_next_flag() {
        let parsed = Arguments::try_parse_from([
            "kvlens",
            "capture",
            "--model",
            "demo",
            "--data",
            "demo",
            "a.txt",
            "--windows",
            "last:32",
            "last:8",
            "--out",
            "x.kvlens",
        ])
        .unwrap();
        let Some(Command::Capture(capture)) = parsed.command else {
            panic!("{parsed:?}");
        };
        assert_eq!(capture.data, ["demo", "a.txt"]);
        assert_eq!(capture.flags.windows, ["last:32", "last:8"]);
        assert_eq!(capture.flags.decode, None);
    }

    #[test]
    fn budgets_and_overrides_are_read() {
        let parsed = Arguments::try_parse_from([
            "kvlens",
            "measure",
            "x.kvlens",
            "--out",
            "t",
            "--budgets",
            "64,5%",
            "--pool",
            "max:7",
            "--exempt-recent",
            "32",
        ])
        .unwrap();
        let Some(Command::Measure(measure)) = parsed.command else {
            panic!("{parsed:?}");
        };
        assert_eq!(
            measure.budgets,
            [Budget::Tokens(64), Budget::Fraction(0.05)]
        );
        assert_eq!(
            measure.comparing.options().overrides.pool,
            Some(Pooling::Max { kernel: 7 })
        );
        assert_eq!(measure.comparing.options().exempt.recent, 32);
    }

    #[test]
    fn words_that_mean_nothing_are_refused() {
        for bad in [
            ["--budgets", "0"],
            ["--budgets", "abc"],
            ["--pool", "max:4"],
            ["--keys", "some"],
            ["--compare", "windows"],
            ["--order", "none"],
            ["--exempt-recent", "-1"],
        ] {
            let arguments = ["kvlens", "measure", "x", "--out", "t"]
                .into_iter()
                .chain(bad);
            assert!(Arguments::try_parse_from(arguments).is_err(), "{bad:?}");
        }
    }
}
