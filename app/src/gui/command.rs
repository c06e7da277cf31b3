//! Everything that can be asked of the workbench, as plain data.
//!
//! Views never change the state; they send commands, and the workbench applies them all between two frames. Menus,
//! keys, palette, scripts and tests send the same commands as a click. A command stands in the file of its topic
//! together with its words; menus, palette and the list of keys are made from them.

mod capture;
mod entry;
mod export;
mod job;
mod layout;
mod lesson;
mod look;
mod program;
mod session;

use std::sync::OnceLock;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use strum::IntoEnumIterator as _;

use super::state::HeadAddress;
use super::views::View;
pub use capture::CaptureCommand;
pub use entry::{Action, Entry, Mark, Menu, Offer, Place};
pub use export::ExportCommand;
pub(in crate::gui) use export::export_entries;
pub use job::JobCommand;
pub use layout::LayoutCommand;
pub use lesson::LessonCommand;
pub use look::LookCommand;
pub use program::ProgramCommand;
pub use session::SessionCommand;

/// Makes [`Command`] of the topics. Scripts name a command without its topic: `"SelectAllHeads"` or
/// `{"SetMetric": "mass"}`.
macro_rules! topics {
    ($($(#[$doc:meta])* $topic:ident($command:ty, $kind:ty),)*) => {
        /// One thing to do.
        #[derive(Clone, Debug, PartialEq, Serialize)]
        #[serde(untagged)]
        pub enum Command {
            $($(#[$doc])* $topic($command),)*
        }

        $(impl From<$command> for Command {
            fn from(command: $command) -> Self {
                Self::$topic(command)
            }
        })*

        /// Every kind of command by its name in scripts, with what is offered of it.
        pub(in crate::gui) fn offers(view: &View<'_>) -> Vec<(&'static str, Offer)> {
            let mut offers = Vec::new();
            $(offers.extend(<$kind>::iter().map(|kind| (kind.into(), kind.offer(view))));)*
            offers
        }

        /// The command of a topic that has such a name; nothing if none has.
        fn read(name: &str, value: Value) -> Option<serde_json::Result<Command>> {
            $(if <$kind>::iter().any(|kind| <&str>::from(kind) == name) {
                return Some(serde_json::from_value(value).map(Command::$topic));
            })*
            None
        }
    };
}

topics! {
    /// What is open, and which of its samples is on show.
    Session(SessionCommand, session::SessionKind),
    /// The next capture.
    Capture(CaptureCommand, capture::CaptureKind),
    /// What runs.
    Job(JobCommand, job::JobCommandKind),
    /// What is looked at.
    Look(LookCommand, look::LookKind),
    /// What is taken away: figures, numbers and pictures.
    Export(ExportCommand, export::ExportKind),
    /// Where the views stand, and in which colours.
    Layout(LayoutCommand, layout::LayoutKind),
    /// Lessons.
    Lesson(LessonCommand, lesson::LessonKind),
    /// Help, log and the program itself.
    Program(ProgramCommand, program::ProgramKind),
}

impl<'de> Deserialize<'de> for Command {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        let name = match &value {
            Value::String(name) => Some(name.clone()),
            Value::Object(fields) if fields.len() == 1 => fields.keys().next().cloned(),
            _ => None,
        };
        let name = name.ok_or_else(|| {
            D::Error::custom(format!(
                "{value} is neither a command's name nor one with what it takes"
            ))
        })?;
        match read(&name, value) {
            Some(command) => command.map_err(|error| D::Error::custom(format!("{name}: {error}"))),
            None => Err(D::Error::custom(format!("no command is called {name:?}"))),
        }
    }
}

/// Every entry that has keys, in the order of the topics. Keys do not hang on what is open.
#[must_use]
pub fn shortcuts() -> &'static [Entry] {
    static SHORTCUTS: OnceLock<Vec<Entry>> = OnceLock::new();
    SHORTCUTS.get_or_init(|| {
        View::with_nothing_open(|view| {
            let mut entries = entries(view);
            entries.retain(|entry| !entry.keys.is_empty());
            entries
        })
    })
}

/// Every entry that is offered, in the order of the topics.
pub(in crate::gui) fn entries(view: &View<'_>) -> Vec<Entry> {
    let offers = offers(view).into_iter();
    offers.flat_map(|(_, offer)| offer.into_entries()).collect()
}

/// What the pointer is on; every view lets it glow.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hover {
    /// A head.
    pub head: Option<HeadAddress>,
    /// A prompt token.
    pub token: Option<usize>,
    /// Label of a window.
    pub window: Option<String>,
}

/// The queue that views send into.
#[derive(Debug, Default)]
pub struct Commands {
    queue: Vec<Command>,
    /// What the pointer is on in this frame.
    pub hover: Hover,
}

impl Commands {
    /// Asks for something, to be done before the next frame.
    pub fn send(&mut self, command: impl Into<Command>) {
        self.queue.push(command.into());
    }

    /// Takes what was asked for, in order.
    pub fn take(&mut self) -> Vec<Command> {
        std::mem::take(&mut self.queue)
    }

    /// Whether nothing was asked for.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_key_does_two_things() {
        let all: Vec<_> = shortcuts().iter().flat_map(|entry| &entry.keys).collect();
        for (index, keys) in all.iter().enumerate() {
            assert!(
                all.iter().skip(index + 1).all(|other| other != keys),
                "{keys:?}"
            );
        }
        assert!(all.len() >= 19);
    }

    #[test]
    fn no_two_topics_have_a_command_of_the_same_name() {
        let names: Vec<_> = View::with_nothing_open(|view| {
            offers(view).into_iter().map(|(name, _)| name).collect()
        });
        for (index, name) in names.iter().enumerate() {
            assert!(!names[..index].contains(name), "{name}");
        }
    }

    /// Of these there is one entry for each sample, window or job, so none while nothing is open and nothing runs.
    const ONE_FOR_EACH: [&str; 5] = [
        "CancelJob",
        "SelectSample",
        "SelectSampleBeside",
        "SetWindow",
        "ToggleWindow",
    ];

    #[test]
    fn every_kind_is_offered_or_says_where_it_is_asked_for() {
        View::with_nothing_open(|view| {
            for (name, offer) in offers(view) {
                match offer {
                    Offer::Elsewhere(reason) => assert!(reason.len() > 10, "{name}"),
                    Offer::Entries(entries) => {
                        let is_empty = ONE_FOR_EACH.contains(&name);
                        assert_eq!(entries.is_empty(), is_empty, "{name}");
                    }
                }
            }
        });
    }

    #[test]
    fn commands_survive_being_written_down() {
        let entries = View::with_nothing_open(entries);
        assert!(entries.len() > 100);
        for entry in entries {
            let Action::Send(command) = entry.action else {
                continue;
            };
            let text = serde_json::to_string(&command).unwrap();
            let read: Command = serde_json::from_str(&text).unwrap();
            assert_eq!(read, command, "{text}");
        }
    }

    #[test]
    fn a_script_names_commands_without_their_topic() {
        let script = r#"[{"SetWindow": "laq++"}, {"SetMetric": "mass"}, {"UsePreset": "Compare"},
            {"ShowPane": "Attention"}, "SelectAllHeads", {"SetBudget": "5%"}, {"Pin": null}]"#;
        let read: Vec<Command> = serde_json::from_str(script).unwrap();
        assert_eq!(read[0], LookCommand::SetWindow("laq++".to_owned()).into());
        assert_eq!(
            read[3],
            LayoutCommand::ShowPane(super::super::layout::Pane::ATTENTION).into()
        );
        assert_eq!(read[6], LookCommand::Pin(None).into());
        assert_eq!(
            serde_json::to_string(&read[1]).unwrap(),
            r#"{"SetMetric":"mass"}"#
        );
    }

    #[test]
    fn a_wrong_script_is_told_what_is_wrong() {
        let error = |text: &str| {
            serde_json::from_str::<Command>(text)
                .unwrap_err()
                .to_string()
        };
        assert!(error(r#""SelectAllHeds""#).contains("no command is called \"SelectAllHeds\""));
        assert!(error(r#"{"ShowPane": "Atention"}"#).contains("no view is called \"Atention\""));
        assert!(error(r#"{"SetMetric": "mas"}"#).starts_with("SetMetric: "));
        assert!(error("7").contains("neither"));
    }
}
