//! The command palette: every command by its words, found by typing some of them.

use egui::{Align2, Key, ScrollArea, TextEdit, Ui, Window, vec2};
use nucleo_matcher::pattern::{CaseMatching, Normalization, Pattern};
use nucleo_matcher::{Config, Matcher, Utf32Str};

use super::View;
use super::shortcuts::keys_text;
use crate::gui::command::{Action, Command, Commands, ProgramCommand, entries};

/// What was typed, and which line is chosen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PaletteState {
    query: String,
    chosen: usize,
}

/// A command with its words and its first key.
#[derive(Clone, Debug, PartialEq)]
struct Line {
    text: String,
    keys: String,
    command: Command,
}

/// Draws the palette over everything else.
pub fn palette_ui(ui: &Ui, view: &View<'_>, state: &mut PaletteState, commands: &mut Commands) {
    let found = matching(&state.query, lines(view));
    let last = found.len().saturating_sub(1);
    let (up, down, enter, escape) = ui.ctx().input_mut(|input| {
        let mut pressed = |key| input.consume_key(egui::Modifiers::NONE, key);
        (
            pressed(Key::ArrowUp),
            pressed(Key::ArrowDown),
            pressed(Key::Enter),
            pressed(Key::Escape),
        )
    });
    if up {
        state.chosen = state.chosen.saturating_sub(1);
    }
    if down {
        state.chosen += 1;
    }
    state.chosen = state.chosen.min(last);
    let mut picked = enter.then_some(state.chosen);
    Window::new("Command palette")
        .title_bar(false)
        .resizable(false)
        .anchor(Align2::CENTER_TOP, vec2(0.0, 60.0))
        .fixed_size(vec2(480.0, 360.0))
        .show(ui.ctx(), |ui| {
            let field = TextEdit::singleline(&mut state.query)
                .hint_text("Type a command")
                .desired_width(f32::INFINITY);
            let field = ui.add(field);
            field.request_focus();
            if field.changed() {
                state.chosen = 0;
            }
            field.widget_info(|| {
                egui::WidgetInfo::labeled(egui::Role::TextInput, true, "Type a command")
            });
            ui.separator();
            if found.is_empty() {
                ui.weak("No command has these letters");
            }
            ScrollArea::vertical().max_height(310.0).show(ui, |ui| {
                for (index, line) in found.iter().enumerate() {
                    if line_ui(ui, line, index == state.chosen, up || down) {
                        picked = Some(index);
                    }
                }
            });
        });
    if let Some(line) = picked.and_then(|index| found.get(index)) {
        commands.send(line.command.clone());
    }
    if picked.is_some() || escape {
        commands.send(ProgramCommand::TogglePalette);
    }
}

/// One line; says whether it was clicked.
fn line_ui(ui: &mut Ui, line: &Line, is_chosen: bool, moved: bool) -> bool {
    ui.set_min_width(ui.available_width());
    let button = egui::Button::selectable(is_chosen, &line.text).shortcut_text(&line.keys);
    let drawn = ui.add_sized(vec2(ui.available_width(), 20.0), button);
    if is_chosen && moved {
        drawn.scroll_to_me(None);
    }
    drawn.clicked()
}

/// Everything that can be asked for now, in the order of the topics. The palette closes itself.
fn lines(view: &View<'_>) -> Vec<Line> {
    let possible = entries(view).into_iter();
    let possible = possible.filter(|entry| entry.is_possible && entry.is_in_palette);
    let lines = possible.filter_map(|entry| match entry.action {
        Action::Send(ref command) => Some(Line {
            text: entry.full_text(),
            keys: entry.keys.first().map_or_else(String::new, keys_text),
            command: command.clone(),
        }),
        Action::TypePath { .. } => None,
    });
    let palette = Command::from(ProgramCommand::TogglePalette);
    lines.filter(|line| line.command != palette).collect()
}

/// The lines that hold the typed letters in their order, those first in which the typed words stand as they are, and of
/// each the best first; all of them when nothing is typed.
fn matching(query: &str, lines: Vec<Line>) -> Vec<Line> {
    let pattern = Pattern::parse(query, CaseMatching::Ignore, Normalization::Smart);
    let mut matcher = Matcher::new(Config::DEFAULT);
    let mut letters = Vec::new();
    let words: Vec<String> = query.split_whitespace().map(str::to_lowercase).collect();
    let has_words = |text: &str| {
        let text = text.to_lowercase();
        words.iter().all(|word| text.contains(word))
    };
    let mut scored: Vec<((bool, u32), Line)> = lines
        .into_iter()
        .filter_map(|line| {
            let text = Utf32Str::new(&line.text, &mut letters);
            let score = pattern.score(text, &mut matcher)?;
            Some(((has_words(&line.text), score), line))
        })
        .collect();
    // stable: equally good ones stay in the menus' order
    scored.sort_by_key(|(score, _)| std::cmp::Reverse(*score));
    scored.into_iter().map(|(_, line)| line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(query: &str) -> Vec<String> {
        let line = |text: &str| Line {
            text: text.to_owned(),
            keys: String::new(),
            command: ProgramCommand::Quit.into(),
        };
        let lines = [
            "Budget: 5 %",
            "Metric: recall",
            "Show: Log",
            "Undo",
            "Show: Directions",
            "Run Each Task",
        ]
        .map(line);
        let found = matching(query, lines.to_vec());
        found.into_iter().map(|line| line.text).collect()
    }

    #[test]
    fn letters_in_their_order_find_a_command() {
        assert_eq!(found("")[0], "Budget: 5 %");
        assert_eq!(found("").len(), 6);
        assert_eq!(found("mrec"), ["Metric: recall"]);
        assert_eq!(found("LOG"), ["Show: Log"]);
        assert!(found("xyz").is_empty());
    }

    #[test]
    fn words_as_they_are_typed_go_before_letters_here_and_there() {
        assert_eq!(found("ct"), ["Show: Directions", "Run Each Task"]);
    }
}
