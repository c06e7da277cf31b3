//! `kvlens session`: what is in a session, whether it is whole, what is done about it, and joining parts.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::{Args, Subcommand};
use kvlens_sessions::estimate::readable_bytes;
use kvlens_sessions::{
    HalfFormat, Keep, Session, Shrink, Shrunk, is_packed, merge, pack, repair, shrink, unpack,
};
use serde::Serialize;

use super::interrupt::cancel_on_interrupt;
use super::output;
use super::progress::Progress;
use crate::jobs::Cancel;
use crate::jobs::failure::Failure;
use crate::jobs::session::{SessionInfo, UnpackedPlace, check, info, unpacked_name};

/// `kvlens session`
#[derive(Debug, Subcommand)]
pub enum SessionCommand {
    /// Say what is in a session: plan, model, samples, what is kept of them and how large it is. No tensor is read
    Info(SessionArguments),
    /// See that a session is whole: every sample's file is hashed and held against the manifest. Exit code 2 if one
    /// is damaged
    Check(SessionArguments),
    /// Write a smaller session: without values or keys, or with numbers of 16 bits. What is there stays as it is
    Shrink(ShrinkArguments),
    /// Take out what is not whole: files of damaged samples, and those that no sample names, go into SESSION.quarantine
    /// beside it, and those samples are to be captured again
    Repair(RepairArguments),
    /// Join the parts of one session, such as those of a sweep, into one folder
    Merge(MergeArguments),
    /// Write a session as one file to share, without keys and values unless asked for. `kvlens open`, `measure`,
    /// `fidelity`, `figure` and `session info` and `check` take the file in place of a folder and unpack it beside itself
    Pack(PackArguments),
    /// Write the folder of a packed session. Every file is checked against what was packed
    Unpack(UnpackArguments),
}

/// `kvlens session pack`
#[derive(Debug, Args)]
pub struct PackArguments {
    /// The session folder (NAME.kvlens)
    #[arg(value_name = "SESSION")]
    pub session: PathBuf,
    /// The file to write [default: SESSION.zip]
    #[arg(long, value_name = "NAME.kvlens.zip")]
    pub out: Option<PathBuf>,
    /// What is packed of each prompt [default: scores, of which recall, ceilings and evictions are told as before;
    /// of a session that holds none, what it holds]
    #[arg(long, value_name = "scores|queries|keys|keys,decode|keys,values")]
    pub keep: Option<Keep>,
    /// The format of keys, values and queries: f16 or bf16 [default: as they are]. The largest change of a token's
    /// importance is told
    #[arg(long, value_name = "f16|bf16")]
    pub numbers: Option<HalfFormat>,
}

/// `kvlens session unpack`
#[derive(Debug, Args)]
pub struct UnpackArguments {
    /// The packed session (NAME.kvlens.zip)
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// The session folder to write [default: FILE without .zip]
    #[arg(long, value_name = "NAME.kvlens")]
    pub out: Option<PathBuf>,
}

/// `kvlens session shrink`
#[derive(Debug, Args)]
pub struct ShrinkArguments {
    /// The session folder (NAME.kvlens)
    #[arg(value_name = "SESSION")]
    pub session: PathBuf,
    /// The smaller session's folder
    #[arg(long, value_name = "NAME.kvlens")]
    pub out: PathBuf,
    /// What is left of each prompt, as for `kvlens capture`: scores in place of keys answer what is asked under the
    /// scoring of all windows or as published, and nothing that needs single rows [default: what is there]
    #[arg(long, value_name = "scores|queries|keys|keys,decode|keys,values")]
    pub keep: Option<Keep>,
    /// The format of keys, values and queries: f16 or bf16 [default: as they are]. The largest change of a token's
    /// importance is told
    #[arg(long, value_name = "f16|bf16")]
    pub numbers: Option<HalfFormat>,
}

/// `kvlens session repair`
#[derive(Debug, Args)]
pub struct RepairArguments {
    /// The session folder (NAME.kvlens), or one in parts
    #[arg(value_name = "SESSION")]
    pub session: PathBuf,
}

/// `kvlens session merge`
#[derive(Debug, Args)]
pub struct MergeArguments {
    /// The session in parts, or its parts
    #[arg(value_name = "SESSION", required = true)]
    pub sessions: Vec<PathBuf>,
    /// The session folder to write
    #[arg(long, value_name = "SESSION")]
    pub out: PathBuf,
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
        SessionCommand::Shrink(arguments) => print_shrunk(arguments),
        SessionCommand::Repair(arguments) => repair_all(arguments),
        SessionCommand::Merge(arguments) => merge_parts(arguments),
        SessionCommand::Pack(arguments) => print_packed(arguments),
        SessionCommand::Unpack(arguments) => print_unpacked(arguments),
    }
}

/// The folders of sessions of which some may be packed: those are unpacked beside themselves, unless they were before.
///
/// # Errors
/// What is refused of a packed session.
pub fn unpacked(paths: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let folder = |path: &PathBuf| {
        if !is_packed(path) {
            return Ok(path.clone());
        }
        let place = UnpackedPlace::of(path)?;
        if !place.is_there {
            output::note(&format!("unpacking to {}", place.folder.display()));
        }
        place.filled(path, &mut |_, _| {}, &Cancel::default())
    };
    paths.iter().map(folder).collect()
}

/// The session, which may be packed.
fn opened(path: &Path) -> Result<Session> {
    let folder = unpacked(&[path.to_owned()])?.pop();
    Ok(Session::open(folder.as_deref().unwrap_or(path))?)
}

fn repair_all(arguments: &RepairArguments) -> Result<()> {
    let cancel = cancel_on_interrupt()?;
    let session = Session::open(&arguments.session)?;
    let mut taken_out = 0;
    for folder in session.folders() {
        let mut progress = Progress::begin("repair")?;
        let mut tell = |index: usize, count: usize, id: &str| progress.sample(index, count, id);
        let repaired = repair(folder, &mut tell, &cancel);
        progress.end();
        let repaired = repaired?;
        for (sample, reason) in &repaired.taken_out {
            output::print(&format!("{sample}: {reason}\n"))?;
        }
        for stray in &repaired.strays {
            output::print(&format!("{stray}: no sample names it\n"))?;
        }
        let moved = repaired.quarantine.map_or_else(String::new, |quarantine| {
            format!("; moved to {}", quarantine.display())
        });
        output::print(&format!(
            "{} whole, {} to be captured again{moved}: {}\n",
            repaired.whole,
            repaired.taken_out.len(),
            folder.display()
        ))?;
        taken_out += repaired.taken_out.len();
    }
    if taken_out > 0 {
        output::note("kvlens: `kvlens capture --resume SESSION` captures what was taken out again");
    }
    Ok(())
}

fn merge_parts(arguments: &MergeArguments) -> Result<()> {
    let cancel = cancel_on_interrupt()?;
    let mut progress = Progress::begin("merge")?;
    let mut tell = |done: usize, count: usize| progress.sample(done.saturating_sub(1), count, "");
    let merged = merge(&arguments.sessions, &arguments.out, &mut tell, &cancel);
    progress.end();
    output::print(&format!(
        "{} in one session: {}\n",
        output::counted_samples(merged?),
        arguments.out.display()
    ))
}

fn print_info(arguments: &SessionArguments) -> Result<()> {
    let session = opened(&arguments.session)?;
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
        // what a GGUF file's header says stands for that file, where there is none beside it
        (true, Some(template)) if plan.model.to_string().ends_with(".gguf") => {
            format!(
                "through {}, or the GGUF file's header in its place",
                template.file
            )
        }
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
        ("keeps", kept_line(info)),
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

/// What is kept as it was asked for, and what each part takes.
fn kept_line(info: &SessionInfo<'_>) -> String {
    let parts = info.kept_bytes.parts().into_iter();
    let parts = parts
        .filter(|(_, bytes)| *bytes > 0)
        .map(|(name, bytes)| format!("{name} {}", readable_bytes(bytes as f64)));
    let parts: Vec<String> = parts.collect();
    let unreadable = match info.unreadable {
        0 => String::new(),
        1 => "; the file of 1 sample cannot be read".to_owned(),
        several => format!("; the files of {several} samples cannot be read"),
    };
    let rounded = match info.largest_rounding {
        Some(change) => format!("; 16 bits changed a token's importance by at most {change:.1e}"),
        None => String::new(),
    };
    let parts = parts.join(", ");
    format!("{} ({parts}){rounded}{unreadable}", info.keep)
}

fn print_check(arguments: &SessionArguments) -> Result<()> {
    let cancel = cancel_on_interrupt()?;
    let session = opened(&arguments.session)?;
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

fn print_shrunk(arguments: &ShrinkArguments) -> Result<()> {
    if arguments.keep.is_none() && arguments.numbers.is_none() {
        return Err(Failure::BadInput(
            "nothing was asked to be left out; give --keep, --numbers or both".to_owned(),
        )
        .into());
    }
    let cancel = cancel_on_interrupt()?;
    let session = Session::open(&arguments.session)?;
    let mut progress = Progress::begin("shrink")?;
    let asked = Shrink {
        keep: arguments.keep.unwrap_or(session.manifest().plan.keep()),
        numbers: arguments.numbers,
    };
    let told = shrink(
        &session,
        &arguments.out,
        asked,
        &mut |done, count| progress.sample(done, count, ""),
        &cancel,
    );
    progress.end();
    print_smaller(&told?, arguments.numbers, &arguments.out)
}

fn print_packed(arguments: &PackArguments) -> Result<()> {
    let cancel = cancel_on_interrupt()?;
    let session = Session::open(&arguments.session)?;
    let out = match &arguments.out {
        Some(out) => out.clone(),
        None => arguments.session.with_added_extension("zip"),
    };
    let held = session.manifest().plan.keep();
    let usual = match held.holds(Keep::Scores) {
        true => Keep::Scores,
        false => held,
    };
    let asked = Shrink {
        keep: arguments.keep.unwrap_or(usual),
        numbers: arguments.numbers,
    };
    let mut progress = Progress::begin("pack")?;
    let mut tell = |done, count| progress.sample(done, count, "");
    let told = pack(&session, &out, asked, &mut tell, &cancel);
    progress.end();
    print_smaller(&told?, arguments.numbers, &out)
}

fn print_unpacked(arguments: &UnpackArguments) -> Result<()> {
    let cancel = cancel_on_interrupt()?;
    let out = match &arguments.out {
        Some(out) => out.clone(),
        None => unpacked_name(&arguments.file)?,
    };
    let mut progress = Progress::begin("unpack")?;
    let mut tell = |done, count| progress.sample(done, count, "");
    let samples = unpack(&arguments.file, &out, &mut tell, &cancel);
    progress.end();
    let samples = output::counted_samples(samples?);
    output::print(&format!("{samples}: {}\n", out.display()))
}

fn print_smaller(told: &Shrunk, numbers: Option<HalfFormat>, out: &Path) -> Result<()> {
    let [before, after] = told.bytes.map(|bytes| readable_bytes(bytes as f64));
    let rounded = match numbers {
        Some(_) => format!(
            "; a token's importance changed by at most {:.1e}",
            told.largest_change
        ),
        None => String::new(),
    };
    output::print(&format!(
        "{}, {before} to {after}{rounded}: {}\n",
        output::counted_samples(told.samples),
        out.display()
    ))
}

fn print_json(value: &impl Serialize) -> Result<()> {
    let text = serde_json::to_string_pretty(value);
    output::print(&format!("{}\n", text.context("this has no JSON form")?))
}
