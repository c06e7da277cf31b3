//! What is shown, as the commands that lead back to it.

use std::path::Path;

use super::Workbench;
use crate::gui::command::{Command, LayoutCommand, LookCommand, SessionCommand};
use crate::gui::layout::{Layout, Pane, Preset};
use crate::gui::state::{Choices, SelectionChange};

impl Workbench {
    /// A script of what is shown: a command a line.
    pub(super) fn script_of_now(&self) -> String {
        let script = self.commands_of_now();
        let lines = script
            .iter()
            .filter_map(|command| serde_json::to_string(command).ok());
        let lines: Vec<String> = lines.map(|line| format!("  {line}")).collect();
        format!("[\n{}\n]\n", lines.join(",\n"))
    }

    /// The commands that lead back to what is shown.
    pub(super) fn commands_of_now(&self) -> Vec<Command> {
        let mut script = Vec::new();
        for (session, open, select) in [
            (
                self.data.session.as_ref(),
                SessionCommand::OpenSession as fn(_) -> _,
                SessionCommand::SelectSample as fn(_) -> _,
            ),
            (
                self.data.beside.as_ref(),
                SessionCommand::OpenBeside,
                SessionCommand::SelectSampleBeside,
            ),
        ] {
            let Some(session) = session else { continue };
            script.push(Command::from(open(absolute(&session.info.path))));
            let index = session.shown.as_ref().map(|shown| shown.index);
            script.extend(index.map(|index| Command::from(select(index))));
        }
        script.extend(
            look_of(&self.settings.choices)
                .into_iter()
                .map(Command::from),
        );
        let panes = self.layout.visible();
        let preset = preset_with(&panes);
        script.extend(preset.map(|preset| LayoutCommand::UsePreset(preset).into()));
        let panes = panes.into_iter();
        script.extend(panes.map(|pane| LayoutCommand::ShowPane(pane).into()));
        script
    }
}

/// The preset in which exactly these panes are in front, once they were brought there.
fn preset_with(panes: &[Pane]) -> Option<Preset> {
    Preset::ALL.into_iter().find(|preset| {
        let mut layout = Layout::of(*preset);
        for pane in panes {
            layout.show(*pane);
        }
        layout.visible() == panes
    })
}

fn absolute(path: &Path) -> std::path::PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

/// The commands that make these choices, whatever was chosen before.
fn look_of(choices: &Choices) -> Vec<LookCommand> {
    let mut look = vec![
        LookCommand::SetMeasureOptions(choices.measure),
        LookCommand::SetBudget(choices.budget),
        LookCommand::SetMetric(choices.metric),
        LookCommand::SetByLayer(choices.by_layer),
        LookCommand::SetMapKind(choices.map_kind),
        LookCommand::SetMapScope(choices.map_scope),
        LookCommand::SetMinus(choices.minus.clone()),
        LookCommand::SetBaseline(choices.baseline.clone()),
        LookCommand::SetHeadSort(choices.head_sort),
        LookCommand::SetAttentionScale(choices.attention_scale),
        LookCommand::SetDecodeStep(choices.decode_step),
        LookCommand::SetTokenHeat(choices.token_heat),
        LookCommand::SetHeatScale(choices.heat_scale),
        LookCommand::SetDrift(choices.drift),
        LookCommand::SetDecodeCache(choices.decode_cache),
        LookCommand::SetQueries(choices.queries),
        LookCommand::SetFidelity(choices.fidelity.clone()),
        LookCommand::SetHiddenWindows(choices.hidden_windows.clone()),
        LookCommand::Pin(choices.pinned),
    ];
    look.extend(choices.window.clone().map(LookCommand::SetWindow));
    // the one that was clicked last comes first
    let primary = choices.primary_head();
    let others = choices
        .heads
        .iter()
        .copied()
        .filter(|head| Some(*head) != primary);
    look.push(LookCommand::SelectHeads {
        heads: primary.into_iter().chain(others).collect(),
        change: SelectionChange::Replace,
    });
    look
}
