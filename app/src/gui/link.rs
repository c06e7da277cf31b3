//! What is shown, as one line to hand on: the script of [`super::workbench`], packed, behind `kvlens:`.
//!
//! A link may come from anybody, so it can only open sessions and look at them: what would write, run or leave is
//! refused.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use miniz_oxide::deflate::compress_to_vec_zlib;
use miniz_oxide::inflate::decompress_to_vec_zlib_with_limit;

use super::command::{Command, LayoutCommand, SessionCommand};
use crate::jobs::failure::Failure;
use crate::jobs::window::LINK_START;

/// The number of this way to pack, so that a later one can be told from it.
const VERSION: &str = "1:";

/// How hard links are compressed, 0..=10.
const COMPRESSION: u8 = 9;

/// Bytes that a link unpacks to at most; a script has some thousand.
const MOST_BYTES: usize = 1 << 20;

/// A script as a link.
///
/// # Errors
/// When a command cannot be written down.
pub fn link_of(script: &[Command]) -> Result<String> {
    let text = serde_json::to_vec(script).context("what is shown cannot be written down")?;
    let packed = URL_SAFE_NO_PAD.encode(compress_to_vec_zlib(&text, COMPRESSION));
    Ok(format!("{LINK_START}{VERSION}{packed}"))
}

/// Whether a text is a link, or a script as it is copied.
#[must_use]
pub fn is_state(text: &str) -> bool {
    let text = text.trim_start();
    text.starts_with(LINK_START) || text.starts_with("[{") || text.starts_with("[\n")
}

/// The commands of a link, or of a script that was copied as text. A mail may have broken the link into lines.
///
/// # Errors
/// A sentence for a text that is neither, is damaged, or asks for more than to look.
pub fn read_state(text: &str) -> Result<Vec<Command>> {
    let text = text.trim();
    let script = match text.strip_prefix(LINK_START) {
        Some(packed) => unpacked(packed)?,
        None => text.as_bytes().to_vec(),
    };
    let script: Vec<Command> = serde_json::from_slice(&script)
        .map_err(|error| refused(format!("what it says is no list of commands ({error})")))?;
    match script.iter().find(|command| !only_looks(command)) {
        Some(command) => Err(refused(format!(
            "it asks for {command:?}, and a link can only open sessions and look at them; play it as a script"
        ))),
        None => Ok(script),
    }
}

fn unpacked(packed: &str) -> Result<Vec<u8>> {
    let packed: String = packed.split_whitespace().collect();
    let packed = packed
        .strip_prefix(VERSION)
        .ok_or_else(|| refused("it is of a newer KVLens, or cut".to_owned()))?;
    let bytes = URL_SAFE_NO_PAD.decode(packed);
    let script = bytes
        .ok()
        .and_then(|bytes| decompress_to_vec_zlib_with_limit(&bytes, MOST_BYTES).ok());
    script.ok_or_else(|| refused("a part is missing or changed; copy it again, whole".to_owned()))
}

fn refused(reason: String) -> anyhow::Error {
    Failure::BadInput(format!("the link cannot be followed: {reason}")).into()
}

fn only_looks(command: &Command) -> bool {
    match command {
        Command::Look(_) => true,
        Command::Session(session) => matches!(
            session,
            SessionCommand::OpenSession(_)
                | SessionCommand::OpenBeside(_)
                | SessionCommand::SelectSample(_)
                | SessionCommand::SelectSampleBeside(_)
        ),
        Command::Layout(layout) => matches!(
            layout,
            LayoutCommand::ShowPane(_) | LayoutCommand::UsePreset(_)
        ),
        Command::Capture(_)
        | Command::Job(_)
        | Command::Export(_)
        | Command::Lesson(_)
        | Command::Program(_) => false,
    }
}

/// The same commands for this machine. A session that does not lie where the link says is looked for under its name
/// among those that are known here; else the one that is open stands for A, which is told.
pub fn placed_here(
    script: Vec<Command>,
    known: &[PathBuf],
    open: Option<&Path>,
) -> (Vec<Command>, Option<String>) {
    let mut told = None;
    let place = |path: PathBuf| {
        if path.exists() {
            return Some(path);
        }
        let same_name = |other: &&PathBuf| other.file_name() == path.file_name() && other.exists();
        known.iter().find(same_name).cloned()
    };
    let commands = script.into_iter().filter_map(|command| match command {
        Command::Session(SessionCommand::OpenSession(path)) => match (place(path.clone()), open) {
            (Some(here), _) => Some(SessionCommand::OpenSession(here).into()),
            (None, Some(open)) => {
                told = Some(format!(
                    "{} is not here: the link is shown on {}",
                    path.display(),
                    open.display()
                ));
                None
            }
            // opening it says what is wrong
            (None, None) => Some(SessionCommand::OpenSession(path).into()),
        },
        Command::Session(SessionCommand::OpenBeside(path)) => {
            let here = place(path.clone()).unwrap_or(path);
            Some(SessionCommand::OpenBeside(here).into())
        }
        other => Some(other),
    });
    let commands = commands.collect();
    (commands, told)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gui::command::{ExportCommand, LookCommand, ProgramCommand};
    use kvlens_analysis::Metric;

    fn script() -> Vec<Command> {
        vec![
            SessionCommand::OpenSession("/runs/a b.kvlens".into()).into(),
            SessionCommand::SelectSample(3).into(),
            LookCommand::SetMetric(Metric::Mass).into(),
            LayoutCommand::ShowPane(crate::gui::layout::Pane::TOKENS).into(),
        ]
    }

    #[test]
    fn a_link_is_one_short_word_and_comes_back_even_from_a_mail() {
        let link = link_of(&script()).unwrap();
        assert!(
            !link.contains(char::is_whitespace) && link.len() < 300,
            "{link}"
        );
        assert_eq!(read_state(&link).unwrap(), script());
        let (start, end) = link.split_at(link.len() / 2);
        assert_eq!(read_state(&format!(" {start}\n{end} ")).unwrap(), script());
        let text = serde_json::to_string_pretty(&script()).unwrap();
        assert!(is_state(&text) && is_state(&link) && !is_state("/runs/a.kvlens"));
        assert_eq!(read_state(&text).unwrap(), script());
    }

    #[test]
    fn a_link_cannot_write_run_or_leave() {
        for command in [
            Command::from(ProgramCommand::QuitNow),
            SessionCommand::SaveSessionAs("/etc/x".into()).into(),
            ExportCommand::SaveScript.into(),
        ] {
            let link = link_of(&[command]).unwrap();
            let sentence = read_state(&link).unwrap_err().to_string();
            assert!(
                sentence.contains("only open sessions and look"),
                "{sentence}"
            );
        }
    }

    #[test]
    fn no_damage_of_a_link_ends_the_program() {
        let link = link_of(&script()).unwrap();
        crate::damages::each_form_is_read_or_refused(&link, |bytes| {
            // what is no UTF-8 cannot be pasted
            read_state(&String::from_utf8_lossy(bytes))
                .map(drop)
                .map_err(|error| error.to_string())
        });
    }

    #[test]
    fn a_session_that_lies_elsewhere_is_found_by_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let here = folder.path().join("a b.kvlens");
        std::fs::create_dir(&here).unwrap();
        let (placed, told) = placed_here(script(), std::slice::from_ref(&here), None);
        assert_eq!(placed[0], SessionCommand::OpenSession(here.clone()).into());
        assert_eq!((placed.len(), told), (4, None));
        let open = Path::new("/other.kvlens");
        let (placed, told) = placed_here(script(), &[], Some(open));
        assert_eq!(placed[0], SessionCommand::SelectSample(3).into());
        assert!(told.unwrap().contains("is shown on /other.kvlens"));
        let (placed, told) = placed_here(script(), &[], None);
        assert_eq!(
            (placed, told),
            (script(), None),
            "opening it says what is wrong"
        );
    }
}
