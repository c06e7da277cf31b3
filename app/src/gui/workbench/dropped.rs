//! What a dropped file or folder is for.

use std::path::Path;

use kvlens_sessions::is_packed;

use crate::gui::capture_settings::{CaptureSettings, PromptSource};
use crate::gui::command::{CaptureCommand, Command, SessionCommand};

/// Whether a file has prompts, by its name.
pub(super) fn has_prompts(path: &Path) -> bool {
    let ending = path.extension().and_then(|ending| ending.to_str());
    let ending = ending.map(str::to_ascii_lowercase);
    matches!(
        ending.as_deref(),
        Some("txt" | "jsonl" | "ndjson" | "json" | "parquet")
    )
}

/// The command for a path: a session is opened, a checkpoint becomes the model of the next capture, a file of texts or
/// rows its prompts. Nothing for anything else.
pub(super) fn dropped_command(path: &Path, capture: &CaptureSettings) -> Option<Command> {
    let ending = path.extension().and_then(|ending| ending.to_str());
    let ending = ending.map(str::to_ascii_lowercase);
    let text = path.display().to_string();
    let edited = |capture| CaptureCommand::EditCapture(Box::new(capture)).into();
    let is_checkpoint = path.join("config.json").is_file() || ending.as_deref() == Some("gguf");
    match ending.as_deref() {
        _ if has_prompts(path) => Some(edited(CaptureSettings {
            source: PromptSource::File,
            data: text,
            ..capture.clone()
        })),
        _ if is_checkpoint => Some(edited(CaptureSettings {
            model: text,
            ..capture.clone()
        })),
        // a damaged session is a session too: opening it says what is wrong with it
        _ if path.is_dir() || is_packed(path) => {
            Some(SessionCommand::OpenSession(path.to_owned()).into())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_dropped_goes_where_it_belongs() {
        let folder = tempfile::tempdir().unwrap();
        let make = |name: &str, file: &str| {
            let path = folder.path().join(name);
            std::fs::create_dir(&path).unwrap();
            std::fs::write(path.join(file), "{}").unwrap();
            path
        };
        let capture = CaptureSettings::default();
        let of = |path: &Path| dropped_command(path, &capture);
        let session = make("run.kvlens", "manifest.json");
        let opened = SessionCommand::OpenSession(session.clone());
        assert_eq!(of(&session), Some(opened.into()));
        let packed = folder.path().join("run.kvlens.zip");
        std::fs::write(&packed, b"PK\x03\x04").unwrap();
        assert_eq!(
            of(&packed),
            Some(SessionCommand::OpenSession(packed.clone()).into())
        );
        let checkpoint = make("llama", "config.json");
        let Some(Command::Capture(CaptureCommand::EditCapture(edited))) = of(&checkpoint) else {
            panic!("a checkpoint is a model");
        };
        assert_eq!(edited.model, checkpoint.display().to_string());
        assert_eq!(edited.data, capture.data);
        let Some(Command::Capture(CaptureCommand::EditCapture(edited))) =
            of(Path::new("my prompts.PARQUET"))
        else {
            panic!("a text file has prompts");
        };
        assert_eq!(edited.source, PromptSource::File);
        assert_eq!(edited.data, "my prompts.PARQUET");
        assert_eq!(of(Path::new("holiday.jpg")), None);
    }
}
