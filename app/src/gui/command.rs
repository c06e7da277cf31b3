//! Everything that can be asked of the workbench, as plain data.
//!
//! Views never change the state; they send commands, and the workbench applies them all between
//! two frames. Menus, keys and tests send the same commands as a click.

use std::path::PathBuf;

use egui::{Key, KeyboardShortcut, Modifiers};
use kvlens_analysis::{Budget, Metric};
use serde::{Deserialize, Serialize};

use super::capture_settings::CaptureSettings;
use super::export::ExportSettings;
use super::lanes::JobKey;
use super::layout::{Pane, Preset};
use super::question_choices::{DriftChoices, FidelityChoices, QueryPart};
use super::questions::QuestionKind;
use super::state::{
    HeadAddress, HeatScale, MapKind, MapScope, SelectionChange, ThemeChoice, TokenHeat,
};
use crate::jobs::figure::FigureRequest;
use crate::measurement::MeasureOptions;

/// One thing to do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Command {
    /// Ask for a session folder.
    AskForSession,
    /// Open a session folder.
    OpenSession(PathBuf),
    /// Open a session, or the same once more, to hold the open one against.
    OpenBeside(PathBuf),
    /// Close that one.
    CloseBeside,
    /// Let the two sessions change places.
    SwapSessions,
    /// Ask where to save the open session.
    AskForCopy,
    /// Save a copy of the open session.
    SaveSessionAs(PathBuf),
    /// Forget the sessions that were opened.
    ClearRecent,
    /// Ask for the folder of a checkpoint.
    AskForModel,
    /// Ask for a file of prompts.
    AskForPrompts,
    /// Change the fields of the capture panel.
    EditCapture(CaptureSettings),
    /// Capture the built-in prompts with the built-in model.
    RunDemo,
    /// Capture what the panel says.
    RunCapture,
    /// Go on with the capture that was cancelled or failed last.
    ResumeCapture,
    /// Stop every job; asks first where work would be lost.
    CancelJobs,
    /// Stop one job; asks first where work would be lost.
    CancelJob(JobKey),
    /// Stop the capture without asking.
    StopCapture,
    /// Let go on what was asked about.
    KeepRunning,
    /// Show another sample, by its number among the finished ones.
    SelectSample(usize),
    /// Show another sample of the session beside.
    SelectSampleBeside(usize),
    /// Show the sample so many places further down, or up if negative.
    StepSample(i32),
    /// Set the budget.
    SetBudget(Budget),
    /// Move the budget so many steps of the grid.
    StepBudget(i32),
    /// Show another metric.
    SetMetric(Metric),
    /// Show the curves layer by layer, or together.
    SetByLayer(bool),
    /// Change the selected heads.
    SelectHeads {
        /// The heads that were clicked or brushed.
        heads: Vec<HeadAddress>,
        /// What happens to the heads selected so far.
        change: SelectionChange,
    },
    /// Select every head.
    SelectAllHeads,
    /// Hold the others against this head, or against none.
    Pin(Option<HeadAddress>),
    /// Show something else in the map.
    SetMapKind(MapKind),
    /// Show the map of this sample, or of all; measures them again where that was stopped.
    SetMapScope(MapScope),
    /// Show another window in map and tokens.
    SetWindow(String),
    /// Subtract a window in the map, or none.
    SetMinus(Option<String>),
    /// Hide or show a window's curve.
    ToggleWindow(String),
    /// Colour the tokens otherwise.
    SetTokenHeat(TokenHeat),
    /// Scale the colours of the tokens otherwise.
    SetHeatScale(HeatScale),
    /// Score importance otherwise.
    SetMeasureOptions(MeasureOptions),
    /// Show another part of the drift.
    SetDrift(DriftChoices),
    /// Show the layers' queries before or after the rotary embedding.
    SetQueries(QueryPart),
    /// Change what the fidelity view shows and measures.
    SetFidelity(FidelityChoices),
    /// Have a question answered, again if it was cancelled.
    Ask(QuestionKind),
    /// Bring a token into view.
    ScrollToToken(usize),
    /// Open the export dialog, for what a view shows, or close it.
    ToggleExport(Option<Pane>),
    /// Change the fields of the export dialog.
    EditExport(ExportSettings),
    /// Ask where to write the figure.
    AskForExport,
    /// Make a figure.
    Export(Box<FigureRequest>),
    /// Copy what a view shows as a table of text.
    CopyNumbers(Pane),
    /// Copy a picture of a view.
    CopyPicture(Pane),
    /// Save a picture of a view beside the session.
    SavePicture(Pane),
    /// Light or dark.
    SetTheme(ThemeChoice),
    /// Show or fold away the capture panel.
    ToggleCapturePanel,
    /// Show or close a pane.
    TogglePane(Pane),
    /// Bring a pane to the front.
    ShowPane(Pane),
    /// Put every pane back into its place.
    ResetLayout,
    /// Put the panes where a kind of work wants them.
    UsePreset(Preset),
    /// Empty the log.
    ClearLog,
    /// Show or close the list of shortcuts.
    ToggleShortcuts,
    /// Show or close the help of a view; the glossary without one.
    ToggleHelp(Option<Pane>),
    /// Show or close the command palette.
    TogglePalette,
    /// Begin a tour, by its number in the menu.
    StartLesson(usize),
    /// Go so many steps on in it, or set the views of the same step again.
    StepLesson(i32),
    /// End it.
    CloseLesson,
    /// Go back one step in what is looked at.
    Undo,
    /// Take the last undo back.
    Redo,
    /// Leave the program; asks first where work would be lost.
    Quit,
    /// Leave the program without asking.
    QuitNow,
}

/// A key, what it does, and the words for the list of shortcuts.
pub struct Shortcut {
    /// The key with its modifiers.
    pub keys: KeyboardShortcut,
    /// What it does.
    pub command: Command,
    /// The words.
    pub text: &'static str,
}

/// Every key, in the order of the list.
#[must_use]
pub fn shortcuts() -> Vec<Shortcut> {
    let key = |modifiers, key, command, text| Shortcut {
        keys: KeyboardShortcut::new(modifiers, key),
        command,
        text,
    };
    let shift_command = Modifiers::COMMAND | Modifiers::SHIFT;
    vec![
        key(
            Modifiers::COMMAND,
            Key::O,
            Command::AskForSession,
            "Open a session",
        ),
        key(
            Modifiers::COMMAND,
            Key::S,
            Command::AskForCopy,
            "Save the session as",
        ),
        key(
            Modifiers::COMMAND,
            Key::E,
            Command::ToggleExport(None),
            "Export a figure",
        ),
        key(
            Modifiers::COMMAND,
            Key::Enter,
            Command::RunCapture,
            "Run the capture",
        ),
        key(
            Modifiers::NONE,
            Key::Escape,
            Command::CancelJobs,
            "Cancel what runs",
        ),
        key(
            Modifiers::NONE,
            Key::ArrowLeft,
            Command::StepBudget(-1),
            "Budget one step down",
        ),
        key(
            Modifiers::NONE,
            Key::ArrowRight,
            Command::StepBudget(1),
            "Budget one step up",
        ),
        key(
            Modifiers::NONE,
            Key::OpenBracket,
            Command::StepBudget(-16),
            "Budget 16 steps down",
        ),
        key(
            Modifiers::NONE,
            Key::CloseBracket,
            Command::StepBudget(16),
            "Budget 16 steps up",
        ),
        key(
            Modifiers::NONE,
            Key::ArrowUp,
            Command::StepSample(-1),
            "Sample before",
        ),
        key(
            Modifiers::NONE,
            Key::ArrowDown,
            Command::StepSample(1),
            "Sample after",
        ),
        key(
            Modifiers::COMMAND,
            Key::A,
            Command::SelectAllHeads,
            "Select every head",
        ),
        key(
            Modifiers::COMMAND,
            Key::K,
            Command::TogglePalette,
            "Command palette",
        ),
        key(
            Modifiers::COMMAND,
            Key::P,
            Command::TogglePalette,
            "Command palette",
        ),
        key(shift_command, Key::Z, Command::Redo, "Redo"),
        key(Modifiers::COMMAND, Key::Z, Command::Undo, "Undo"),
        key(
            Modifiers::COMMAND,
            Key::B,
            Command::ToggleCapturePanel,
            "Show or fold the capture panel",
        ),
        key(
            Modifiers::NONE,
            Key::Questionmark,
            Command::ToggleShortcuts,
            "This list",
        ),
        key(Modifiers::COMMAND, Key::Q, Command::Quit, "Quit"),
    ]
}

/// The shortcut's keys for a menu entry that sends `command`.
#[must_use]
pub fn shortcut_text(command: &Command, context: &egui::Context) -> String {
    shortcuts()
        .iter()
        .find(|shortcut| shortcut.command == *command)
        .map_or_else(String::new, |shortcut| {
            context.format_shortcut(&shortcut.keys)
        })
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
    pub fn send(&mut self, command: Command) {
        self.queue.push(command);
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
        let all = shortcuts();
        for (index, shortcut) in all.iter().enumerate() {
            assert!(
                all.iter()
                    .skip(index + 1)
                    .all(|other| other.keys != shortcut.keys),
                "{} has another use",
                shortcut.text
            );
        }
    }

    #[test]
    fn commands_survive_being_written_down() {
        for shortcut in shortcuts() {
            let text = serde_json::to_string(&shortcut.command).unwrap();
            let read: Command = serde_json::from_str(&text).unwrap();
            assert_eq!(read, shortcut.command);
        }
    }
}
