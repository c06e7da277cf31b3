//! File dialogs of the desktop, each on a thread of its own so that no frame waits for them.
//!
//! Many remote machines have no dialog to offer. The library then answers as if the dialog had been
//! closed: where an answer comes at once, the window asks itself ([`super::views::browser`]). Every path can be typed
//! as well.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded};

/// What a path is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// A session to open.
    Session,
    /// A session to hold the open one against.
    Beside,
    /// Where to save the open session.
    Copy,
    /// The folder of a checkpoint.
    Model,
    /// A file of prompts.
    Prompts,
    /// The file of a lesson.
    Lesson,
    /// Where to write a figure.
    Export,
}

/// What came of a dialog.
pub enum Answer {
    /// A path was chosen.
    Chosen(Purpose, PathBuf),
    /// The dialog never showed: the window's own has to ask. With the name to save under.
    Unavailable(Purpose, String),
    /// The dialog was closed.
    Closed,
}

/// A person needs longer than this to close a dialog.
const TOO_FAST: Duration = Duration::from_millis(250);

/// The open dialogs.
pub struct Dialogs {
    sender: Sender<Answer>,
    receiver: Receiver<Answer>,
    open: usize,
}

impl Default for Dialogs {
    fn default() -> Self {
        let (sender, receiver) = bounded(4);
        Self {
            sender,
            receiver,
            open: 0,
        }
    }
}

impl Dialogs {
    /// Opens a dialog unless one is open; `suggestion` is the name to save under.
    pub fn ask(&mut self, purpose: Purpose, suggestion: &str, context: &egui::Context) {
        if self.open > 0 {
            return;
        }
        let sender = self.sender.clone();
        let context = context.clone();
        let suggestion = suggestion.to_owned();
        let unshown = suggestion.clone();
        let spawned = std::thread::Builder::new()
            .name("kvlens-dialog".to_owned())
            .spawn(move || {
                // No receiver means that the program is about to end.
                let _ = sender.send(show(purpose, &suggestion));
                context.request_repaint();
            });
        match spawned {
            Ok(_) => self.open += 1,
            Err(_) => {
                // The channel holds more answers than dialogs can be open.
                let _ = self.sender.try_send(Answer::Unavailable(purpose, unshown));
            }
        }
    }

    /// The next answer, if there is one.
    pub fn poll(&mut self) -> Option<Answer> {
        let answer = self.receiver.try_recv().ok()?;
        self.open = self.open.saturating_sub(1);
        Some(answer)
    }
}

fn show(purpose: Purpose, suggestion: &str) -> Answer {
    let began = Instant::now();
    let dialog = rfd::FileDialog::new();
    let chosen = match purpose {
        Purpose::Session => dialog.set_title("Open a session folder").pick_folder(),
        Purpose::Beside => dialog
            .set_title("Open a session folder beside the open one")
            .pick_folder(),
        Purpose::Model => dialog.set_title("Choose a checkpoint folder").pick_folder(),
        Purpose::Copy => dialog
            .set_title("Save the session as")
            .set_file_name(suggestion)
            .save_file(),
        Purpose::Export => dialog
            .set_title("Export the figure as")
            .set_file_name(suggestion)
            .save_file(),
        Purpose::Lesson => dialog
            .set_title("Open a lesson")
            .add_filter("Lessons", &["md"])
            .pick_file(),
        Purpose::Prompts => dialog
            .set_title("Choose a file of prompts")
            .add_filter("Prompts", &["txt", "jsonl", "json", "parquet"])
            .pick_file(),
    };
    match chosen {
        Some(path) => Answer::Chosen(purpose, path),
        None if began.elapsed() < TOO_FAST => Answer::Unavailable(purpose, suggestion.to_owned()),
        None => Answer::Closed,
    }
}
