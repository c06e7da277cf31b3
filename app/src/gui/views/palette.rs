//! The command palette: every command by its words, found by typing some of them.

use egui::{Align2, Key, ScrollArea, TextEdit, Ui, Window, vec2};
use kvlens_analysis::{Budget, Metric};
use nucleo_matcher::pattern::{CaseMatching, Normalization, Pattern};
use nucleo_matcher::{Config, Matcher, Utf32Str};

use super::View;
use super::shortcuts::keys_text;
use crate::gui::command::{Command, Commands, shortcuts};
use crate::gui::layout::{Pane, Preset};
use crate::gui::lessons::lessons;
use crate::gui::question_choices::{
    DriftChoices, DriftPart, FidelityChoices, FidelityMetric, FidelityPlot, QueryPart,
};
use crate::gui::questions::QuestionKind;
use crate::gui::state::{HeatScale, MapKind, MapScope, ThemeChoice, TokenHeat};

/// What was typed, and which line is chosen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PaletteState {
    query: String,
    chosen: usize,
}

/// A command with its words.
#[derive(Clone, Debug, PartialEq)]
struct Entry {
    text: String,
    command: Command,
}

/// Budgets that the palette offers, in percent of the prompt.
const BUDGETS_PERCENT: [u8; 6] = [1, 2, 5, 10, 20, 50];

/// Draws the palette over everything else.
pub fn palette_ui(ui: &Ui, view: &View<'_>, state: &mut PaletteState, commands: &mut Commands) {
    let found = matching(&state.query, entries(view));
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
                for (index, entry) in found.iter().enumerate() {
                    if entry_ui(ui, entry, index == state.chosen, up || down) {
                        picked = Some(index);
                    }
                }
            });
        });
    if let Some(entry) = picked.and_then(|index| found.get(index)) {
        commands.send(entry.command.clone());
    }
    if picked.is_some() || escape {
        commands.send(Command::TogglePalette);
    }
}

/// One line; says whether it was clicked.
fn entry_ui(ui: &mut Ui, entry: &Entry, is_chosen: bool, moved: bool) -> bool {
    ui.set_min_width(ui.available_width());
    let mut known = shortcuts().into_iter();
    let keys = known
        .find(|shortcut| shortcut.command == entry.command)
        .map_or_else(String::new, |shortcut| keys_text(&shortcut.keys));
    let button = egui::Button::selectable(is_chosen, &entry.text).shortcut_text(keys);
    let line = ui.add_sized(vec2(ui.available_width(), 20.0), button);
    if is_chosen && moved {
        line.scroll_to_me(None);
    }
    line.clicked()
}

/// Everything that can be asked for now, in the order of the menus.
fn entries(view: &View<'_>) -> Vec<Entry> {
    let mut entries = Vec::new();
    let mut add = |text: String, command: Command| entries.push(Entry { text, command });
    for shortcut in shortcuts() {
        if shortcut.command != Command::TogglePalette {
            add(shortcut.text.to_owned(), shortcut.command);
        }
    }
    for kind in MapKind::ALL {
        let text = format!("Map: {}", kind.label());
        add(text, Command::SetMapKind(kind));
    }
    let (this, all) = (MapScope::Sample, MapScope::Session);
    for (text, scope) in [("Map of this sample", this), ("Map of all samples", all)] {
        add(text.to_owned(), Command::SetMapScope(scope));
    }
    let primary = view.settings.choices.primary_head();
    if let Some(head) = primary {
        let text = format!("Pin head {}.{}", head.layer, head.head);
        add(text, Command::Pin(Some(head)));
    }
    if view.settings.choices.pinned.is_some() {
        add("Unpin the head".to_owned(), Command::Pin(None));
    }
    if view.data.beside.is_some() {
        add("Swap A and B".to_owned(), Command::SwapSessions);
        add("Close B".to_owned(), Command::CloseBeside);
    }
    for pane in Pane::all().filter(|pane| pane.view().numbers().is_some()) {
        let text = format!("Copy numbers of {}", pane.title());
        add(text, Command::CopyNumbers(pane));
    }
    for (number, lesson) in lessons().iter().enumerate() {
        let text = format!("Lesson: {}", lesson.title);
        add(text, Command::StartLesson(number));
    }
    add("Run the demo".to_owned(), Command::RunDemo);
    for preset in Preset::ALL {
        let text = format!("Layout: {}", preset.title());
        add(text, Command::UsePreset(preset));
    }
    for pane in Pane::all() {
        add(format!("Show {}", pane.title()), Command::ShowPane(pane));
        if view.panes.contains(&pane) {
            add(format!("Close {}", pane.title()), Command::TogglePane(pane));
        }
    }
    add("Glossary".to_owned(), Command::ToggleHelp(None));
    for pane in Pane::all() {
        let text = format!("Help: {}", pane.title());
        add(text, Command::ToggleHelp(Some(pane)));
    }
    for metric in Metric::ALL {
        let text = format!("Metric: {}", metric.label());
        add(text, Command::SetMetric(metric));
    }
    add("Curves: by layer".to_owned(), Command::SetByLayer(true));
    add("Curves: together".to_owned(), Command::SetByLayer(false));
    for percent in BUDGETS_PERCENT {
        let budget = Budget::Fraction(f64::from(percent) / 100.0);
        add(format!("Budget: {percent} %"), Command::SetBudget(budget));
    }
    for part in DriftPart::ALL {
        let drift = DriftChoices {
            part,
            ..view.settings.choices.drift
        };
        add(format!("Drift: {}", part.label()), Command::SetDrift(drift));
    }
    for part in QueryPart::ALL {
        let text = format!("Query similarity: {}", part.label());
        add(text, Command::SetQueries(part));
    }
    for metric in FidelityMetric::ALL {
        let fidelity = FidelityChoices {
            metric,
            ..view.settings.choices.fidelity.clone()
        };
        let text = format!("Fidelity metric: {}", metric.label());
        add(text, Command::SetFidelity(fidelity));
    }
    for plot in FidelityPlot::ALL {
        let fidelity = FidelityChoices {
            plot,
            ..view.settings.choices.fidelity.clone()
        };
        let text = format!("Fidelity: {}", plot.label());
        add(text, Command::SetFidelity(fidelity));
    }
    for heat in TokenHeat::ALL {
        let text = format!("Token colours: {}", heat.label());
        add(text, Command::SetTokenHeat(heat));
    }
    for scale in HeatScale::ALL {
        let text = format!("Token scale: {}", scale.label());
        add(text, Command::SetHeatScale(scale));
    }
    for theme in ThemeChoice::ALL {
        add(
            format!("Theme: {}", theme.label()),
            Command::SetTheme(theme),
        );
    }
    for path in &view.settings.recent {
        let text = format!("Open {}", path.display());
        add(text, Command::OpenSession(path.clone()));
    }
    if let Some((session, shown)) = view.shown() {
        for (text, kind) in [
            ("Measure fidelity", QuestionKind::Fidelity),
            ("Run the interventions", QuestionKind::Interventions),
        ] {
            add(text.to_owned(), Command::Ask(kind));
        }
        for window in &shown.sample.windows {
            let label = window.label.clone();
            add(
                format!("Window: {label}"),
                Command::SetWindow(label.clone()),
            );
            add(format!("Minus: {label}"), Command::SetMinus(Some(label)));
        }
        add("Minus: nothing".to_owned(), Command::SetMinus(None));
        for (index, sample) in session.info.samples.iter().enumerate() {
            add(
                format!("Sample: {}", sample.id),
                Command::SelectSample(index),
            );
        }
    }
    entries
}

/// The entries that hold the typed letters in their order, the best first; all of them when nothing is typed.
fn matching(query: &str, entries: Vec<Entry>) -> Vec<Entry> {
    let pattern = Pattern::parse(query, CaseMatching::Ignore, Normalization::Smart);
    let mut matcher = Matcher::new(Config::DEFAULT);
    let mut letters = Vec::new();
    let mut scored: Vec<(u32, Entry)> = entries
        .into_iter()
        .filter_map(|entry| {
            let text = Utf32Str::new(&entry.text, &mut letters);
            Some((pattern.score(text, &mut matcher)?, entry))
        })
        .collect();
    // stable: equally good ones stay in the menus' order
    scored.sort_by_key(|(score, _)| std::cmp::Reverse(*score));
    scored.into_iter().map(|(_, entry)| entry).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(query: &str) -> Vec<String> {
        let entry = |text: &str| Entry {
            text: text.to_owned(),
            command: Command::Quit,
        };
        let entries = ["Budget: 5 %", "Metric: recall", "Show Log", "Undo"].map(entry);
        let found = matching(query, entries.to_vec());
        found.into_iter().map(|entry| entry.text).collect()
    }

    #[test]
    fn letters_in_their_order_find_a_command() {
        assert_eq!(found("")[0], "Budget: 5 %");
        assert_eq!(found("").len(), 4);
        assert_eq!(found("mrec"), ["Metric: recall"]);
        assert_eq!(found("LOG"), ["Show Log"]);
        assert!(found("xyz").is_empty());
    }
}
