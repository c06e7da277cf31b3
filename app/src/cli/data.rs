//! `kvlens data`: the tasks, a prompt as it will be run, files made and checked.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::{Args, Subcommand};
use kvlens_datasets::{
    BadRows, Format, PromptChoices, Sample, TokenCounter, builtin_tasks, write_samples,
};
use kvlens_sessions::CapturePlan;
use kvlens_sessions::estimate::CaptureEstimator;
use kvlens_sessions::model::ModelSource;
use serde_json::json;

use super::fetch::require_model;
use super::output;
use super::prompt_arguments::PromptArguments;
use crate::jobs::failure::Failure;
use crate::jobs::folders::Staging;
use crate::jobs::prompts;

/// How much of a long prompt is shown at each end, in characters.
const SHOWN: usize = 400;

/// `kvlens data`
#[derive(Debug, Subcommand)]
pub enum DataCommand {
    /// Tell the built-in tasks with their options, and the benchmarks that are known
    List {
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Show prompts as they will be run: tokens, and where question and evidence stand
    Show(ShowArguments),
    /// Write the prompts of a task or of files as JSONL, which `--data` takes again
    Generate(GenerateArguments),
    /// Read files as a capture would, and say what is read as what and what is wrong
    Check(CheckArguments),
}

/// What all of them take.
#[derive(Debug, Args)]
pub struct Prompts {
    /// Prompts, as `capture --data` takes them
    #[arg(value_name = "SPEC", required = true)]
    data: Vec<String>,
    #[command(flatten)]
    choices: PromptArguments,
    /// The model whose tokens are counted: `demo`, a folder, a .gguf file or a hub id that is here
    #[arg(long, value_name = "M", default_value_t = ModelSource::Demo)]
    model: ModelSource,
    /// Wrap prompts in the model's chat template
    #[arg(long)]
    chat: bool,
}

/// `kvlens data show`
#[derive(Debug, Args)]
pub struct ShowArguments {
    #[command(flatten)]
    prompts: Prompts,
    /// The whole text, whatever its length
    #[arg(long)]
    whole: bool,
    /// As JSON, one sample a line
    #[arg(long)]
    json: bool,
}

/// `kvlens data generate`
#[derive(Debug, Args)]
pub struct GenerateArguments {
    #[command(flatten)]
    prompts: Prompts,
    /// The file to write
    #[arg(long, value_name = "FILE.jsonl")]
    out: PathBuf,
}

/// `kvlens data check`
#[derive(Debug, Args)]
pub struct CheckArguments {
    /// Files, folders or other prompts
    #[arg(value_name = "SPEC", required = true)]
    data: Vec<String>,
    #[command(flatten)]
    choices: PromptArguments,
    /// As JSON
    #[arg(long)]
    json: bool,
}

/// Runs the command.
///
/// # Errors
/// Prompts that cannot be had, a file that cannot be written, rows that are no prompts.
pub fn run(command: &DataCommand) -> Result<()> {
    match command {
        DataCommand::List { json } => output::print(&list(*json)),
        DataCommand::Show(arguments) => show(arguments),
        DataCommand::Generate(arguments) => generate(arguments),
        DataCommand::Check(arguments) => check(arguments),
    }
}

fn list(as_json: bool) -> String {
    if as_json {
        let tasks = builtin_tasks().iter();
        let tasks = tasks.map(
            |task| json!({"name": task.name, "summary": task.summary, "options": task.options}),
        );
        let formats = Format::ALL.map(|format| format.name());
        let tasks: Vec<_> = tasks.collect();
        return format!("{}\n", json!({"tasks": tasks, "formats": formats}));
    }
    let mut text = String::from("Built-in tasks (NAME:option=value,option=value):\n\n");
    for task in builtin_tasks() {
        // writing to a string cannot fail
        let _ = writeln!(text, "{:<18} {}", task.name, task.summary);
        let _ = writeln!(text, "{:<18} {}", "", task.options.join(", "));
    }
    let formats: Vec<&str> = Format::ALL.iter().map(|format| format.name()).collect();
    let _ = writeln!(
        text,
        "\nlength counts the tokens of the model (--model); with count=words, words and punctuation marks\n\
         Several lengths and depths make a grid: length=1k..8k/4,depth=0..1/5\n\
         Files: FILE.txt, .jsonl, .json, .parquet, a folder, or LAYOUT:PATH with a layout of\n{}",
        formats.join(", ")
    );
    text
}

/// Hands over one prompt after the other with its model's tokenizer, and says what was read.
fn each(
    prompts: &Prompts,
    on_sample: &mut dyn FnMut(&Sample, &CaptureEstimator) -> Result<()>,
) -> Result<()> {
    require_model(&prompts.model)?;
    let plan = plan(prompts)?;
    let counter = CaptureEstimator::open(&plan)?;
    let report = prompts::each(&plan, &counter, &mut |sample| on_sample(sample, &counter))?;
    report.to_string().lines().for_each(output::note);
    Ok(())
}

/// A capture with the defaults of `capture`, so that a prompt is as long as it will be there.
fn plan(prompts: &Prompts) -> Result<CapturePlan> {
    Ok(CapturePlan {
        prompts: prompts.choices.choices()?,
        chat: prompts.chat,
        ..CapturePlan::plain(prompts.model.clone(), prompts.data.clone())
    })
}

fn show(arguments: &ShowArguments) -> Result<()> {
    each(&arguments.prompts, &mut |sample, counter| {
        let tokens = counter.prompt_tokens(sample).map_err(Failure::BadInput)?;
        if arguments.json {
            return output::print(&format!(
                "{}\n",
                json!({"tokens": tokens, "sample": sample})
            ));
        }
        let mut text = String::new();
        let counted = (tokens, &arguments.prompts.model);
        show_one(&mut text, sample, counted, counter, arguments.whole)?;
        output::print(&text)
    })
}

fn show_one(
    text: &mut String,
    sample: &Sample,
    (tokens, model): (usize, &ModelSource),
    counter: &CaptureEstimator,
    whole: bool,
) -> Result<()> {
    let prompt = &sample.prompt;
    let _ = writeln!(text, "{} ({}, {})", sample.id, sample.dataset, sample.task);
    let with = match sample.later_question {
        Some(_) => " with those of the question that comes afterwards",
        None => "",
    };
    let bytes = prompt.len();
    let _ = writeln!(
        text,
        "  {tokens} tokens{with}, {bytes} bytes, by the tokenizer of {model}"
    );
    let (needed, positions) = (tokens + counter.tokens_behind(sample), counter.positions());
    if needed > positions {
        let _ = writeln!(
            text,
            "  too long for the model: with the answer it needs {needed} positions of {positions}; a capture refuses it, \
             or cuts it (--truncate) or leaves it out (--skip-too-long)"
        );
    }
    let place = sample.question_place.map(|place| place.label());
    let _ = writeln!(text, "  question: {}", place.unwrap_or("not told apart"));
    let tokens_before = |at: usize| {
        let before = prompt.get(..at).unwrap_or_default();
        counter.text_tokens(before).map_err(Failure::BadInput)
    };
    for span in &sample.evidence {
        let _ = writeln!(
            text,
            "  evidence from about token {} (byte {}): {}",
            tokens_before(span.start)?,
            span.start,
            prompt.get(span.clone()).unwrap_or_default()
        );
    }
    for (name, value) in [
        ("answer", sample.answer.as_deref()),
        ("answer opens with", sample.answer_prefix.as_deref()),
        ("asked afterwards", sample.later_question.as_deref()),
    ] {
        if let Some(value) = value {
            let _ = writeln!(text, "  {name}: {}", value.trim());
        }
    }
    if let Some(tokens) = sample.answer_tokens {
        let _ = writeln!(text, "  answer of at most {tokens} tokens");
    }
    if let Some(scoring) = &sample.scoring {
        let _ = writeln!(text, "  scored by: {:?}", scoring.metric);
    }
    let _ = writeln!(text, "\n{}\n", shown(prompt, whole));
    Ok(())
}

/// Both ends of a long text.
fn shown(text: &str, whole: bool) -> String {
    let count = text.chars().count();
    if whole || count <= 2 * SHOWN {
        return text.to_owned();
    }
    let start: String = text.chars().take(SHOWN).collect();
    let end: String = text.chars().skip(count - SHOWN).collect();
    format!("{start}\n[... {} characters ...]\n{end}", count - 2 * SHOWN)
}

fn generate(arguments: &GenerateArguments) -> Result<()> {
    let out = &arguments.out;
    let failed = || format!("the prompts cannot be written: {}", out.display());
    let (Some(name), false) = (out.file_name(), out.exists()) else {
        return Err(Failure::BadInput(format!(
            "the file is already there, or this names none; give another --out: {}",
            out.display()
        ))
        .into());
    };
    if out.extension().is_none_or(|extension| extension != "jsonl") {
        return Err(Failure::BadInput(format!(
            "prompts are written as JSON lines, and a file of another name would be read as something else; give --out \
             NAME.jsonl: {}",
            out.display()
        ))
        .into());
    }
    let folder = out.parent().filter(|it| !it.as_os_str().is_empty());
    let aside = Staging::begin(folder.unwrap_or(Path::new(".")))?;
    let mut file = BufWriter::new(File::create(aside.folder().join(name)).with_context(failed)?);
    let mut count = 0;
    each(&arguments.prompts, &mut |sample, _| {
        count += 1;
        write_samples(&mut file, std::slice::from_ref(sample)).with_context(failed)
    })?;
    file.flush().with_context(failed)?;
    aside.publish(&[name])?;
    output::print(&format!(
        "wrote {}: {}\n",
        output::counted_samples(count),
        out.display()
    ))
}

fn check(arguments: &CheckArguments) -> Result<()> {
    let choices = PromptChoices {
        // all bad rows are to be named, not only the first
        bad_rows: BadRows::LeaveOut,
        ..arguments.choices.choices()?
    };
    let report = prompts::check(&arguments.data, &choices)?;
    match arguments.json {
        true => output::print(&format!("{}\n", serde_json::to_string(&report)?))?,
        false => output::print(&report.to_string())?,
    }
    let samples: usize = report.sources.iter().map(|source| source.samples).sum();
    let bad: usize = report
        .sources
        .iter()
        .map(|source| source.left_out.count)
        .sum();
    if bad > 0 && !arguments.choices.skip_bad_rows {
        return Err(Failure::BadInput(format!(
            "{}, as said above; --skip-bad-rows leaves them out",
            match bad {
                1 => "1 row is no prompt".to_owned(),
                _ => format!("{bad} rows are no prompts"),
            }
        ))
        .into());
    }
    match arguments.json {
        true => Ok(()),
        false => output::print(&format!("{}\n", output::counted_samples(samples))),
    }
}
