//! `kvlens session`: what is in a session, and whether it is whole.

use std::fmt::Write as _;
use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::{Args, Subcommand};
use kvlens_sessions::Session;
use kvlens_sessions::estimate::readable_bytes;
use serde::Serialize;

use super::interrupt::cancel_on_interrupt;
use super::output;
use super::progress::Progress;
use crate::jobs::failure::Failure;
use crate::jobs::session::{SessionInfo, check, info};

/// `kvlens session`
#[derive(Debug, Subcommand)]
pub enum SessionCommand {
    /// Say what is in a session: plan, model, samples, sizes. No sample is read
    Info(SessionArguments),
    /// See that a session is whole: every sample's file is hashed and held against the manifest. Exit code 2 if one
    /// is damaged
    Check(SessionArguments),
}

/// What both take.
#[derive(Debug, Args)]
pub struct SessionArguments {
    /// The session folder (NAME.kvlens)
    #[arg(value_name = "SESSION")]
    pub session: PathBuf,
    /// Print JSON, for programs
    #[arg(long)]
    pub json: bool,
}

/// Runs the command.
///
/// # Errors
/// A session that cannot be opened; [`Failure::BadInput`] for one that is damaged; an interrupt.
pub fn run(command: &SessionCommand) -> Result<()> {
    match command {
        SessionCommand::Info(arguments) => print_info(arguments),
        SessionCommand::Check(arguments) => print_check(arguments),
    }
}

fn print_info(arguments: &SessionArguments) -> Result<()> {
    let session = Session::open(&arguments.session)?;
    let info = info(&session)?;
    if arguments.json {
        return print_json(&info);
    }
    output::print(&info_lines(&info))
}

fn info_lines(info: &SessionInfo<'_>) -> String {
    let (manifest, plan) = (info.manifest, &info.manifest.plan);
    let range = |range: Option<[usize; 2]>| match range {
        None => "-".to_owned(),
        Some([least, most]) if least == most => least.to_string(),
        Some([least, most]) => format!("{least} to {most}"),
    };
    let template = manifest.text_rules.as_ref();
    let template = template.and_then(|rules| rules.chat_template.as_ref());
    let chat = match (plan.chat, template) {
        (false, _) => "no template".to_owned(),
        (true, None) => "through the model's template".to_owned(),
        (true, Some(template)) => format!("through {}", template.file),
    };
    let lines = [
        ("session", info.name.to_owned()),
        (
            "samples",
            format!(
                "{} finished, {} failed, {} to be captured",
                info.finished, info.failed, info.pending
            ),
        ),
        ("prompt tokens", range(info.prompt_tokens)),
        ("decode tokens", range(info.decode_tokens)),
        ("size", readable_bytes(info.bytes as f64)),
        (
            "model",
            format!(
                "{} ({}), {} on {}",
                manifest.model.name, plan.model, manifest.dtype, manifest.device
            ),
        ),
        ("data", plan.data.join(" ")),
        ("windows", plan.windows.join(" ")),
        ("chat", chat),
        (
            "written by",
            format!(
                "kvlens {}, format {}",
                manifest.kvlens_version, manifest.format_version
            ),
        ),
    ];
    lines.iter().fold(String::new(), |mut text, (name, value)| {
        // writing to a string cannot fail
        let _ = writeln!(text, "{name:<14} {value}");
        text
    })
}

fn print_check(arguments: &SessionArguments) -> Result<()> {
    let cancel = cancel_on_interrupt()?;
    let session = Session::open(&arguments.session)?;
    let mut progress = Progress::begin("check")?;
    let checked = check(&session, &mut progress, &cancel);
    progress.end();
    let checked = checked?;
    if arguments.json {
        print_json(&checked)?;
    } else {
        for damaged in &checked.damaged {
            output::print(&format!("{}: {}\n", damaged.sample, damaged.reason))?;
        }
        output::print(&format!(
            "{} whole, {} damaged, {} failed, {} to be captured\n",
            checked.whole,
            checked.damaged.len(),
            checked.failed,
            checked.pending
        ))?;
    }
    match checked.damaged.len() {
        0 => Ok(()),
        damaged => Err(Failure::BadInput(format!(
            "{damaged} of {} finished samples are damaged; `kvlens capture --resume SESSION` captures them again: {}",
            session.sample_count(),
            arguments.session.display()
        ))
        .into()),
    }
}

fn print_json(value: &impl Serialize) -> Result<()> {
    let text = serde_json::to_string_pretty(value);
    output::print(&format!("{}\n", text.context("this has no JSON form")?))
}
