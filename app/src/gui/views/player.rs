//! Decoding, step by step: a row of attention on the prompt, and the cache that is left of it.

mod answer;
mod cache;

use egui::Ui;

use super::attention::{head_text, picture_of, waiting_ui};
use super::head_map::window_ui;
use super::{Need, PaneView, ReadNumbers, View, empty_hint};
use crate::gui::attention_picture::AttentionPicture;
use crate::gui::command::{Commands, LookCommand};
use crate::gui::data::Shown;
use crate::gui::layout::Pane;
use crate::gui::numbers::{Table, number};
use crate::gui::state::Choices;
use crate::gui::widgets::toggle::toggle;

/// How long a step stays while the player runs, in seconds.
const SECONDS_PER_STEP: f64 = 0.8;

impl Pane {
    /// The decode player.
    pub const PLAYER: Self = Self::of(&PlayerView);
}

struct PlayerView;

impl PaneView for PlayerView {
    fn name(&self) -> &'static str {
        "Player"
    }

    fn title(&self) -> &'static str {
        "Decode player"
    }

    fn help(&self) -> &'static str {
        include_str!("../../../help/views/player.md")
    }

    fn needs(&self, _choices: &Choices) -> &'static [Need] {
        &[Need::Attention, Need::Tokens, Need::Player]
    }

    fn ui(&self, ui: &mut Ui, view: &View<'_>, commands: &mut Commands) {
        player_ui(ui, view, commands);
    }

    fn numbers(&self) -> Option<ReadNumbers> {
        Some(numbers)
    }
}

fn player_ui(ui: &mut Ui, view: &View<'_>, commands: &mut Commands) {
    let Some((_, shown)) = view.shown() else {
        empty_hint(ui, "Run a capture or open a session to see it decode");
        return;
    };
    let windows = shown.sample.windows.iter();
    let labels: Vec<&str> = windows.map(|window| window.label.as_str()).collect();
    let picture = picture_of(view);
    let steps = picture.map_or(0, |picture| picture.decode.positions.len());
    ui.horizontal_wrapped(|ui| {
        window_ui(ui, "Window of the player", view, &labels, commands);
        ui.weak(head_text(view));
        steps_ui(ui, view, steps, commands);
    });
    let (Some(picture), Some(kept)) = (picture, view.derived.kept_for_player()) else {
        waiting_ui(ui, view);
        return;
    };
    let step = shown_step(view, steps);
    answer::answer_ui(ui, &picture.decode.texts, step, commands);
    let record = &shown.sample.record;
    if record.generated_texts.is_empty() {
        answer::lacking_ui(ui, record, &picture.decode.texts);
    }
    sentence_ui(ui, view, picture, step, kept);
    cache::cache_ui(ui, view, picture, step, kept, commands);
}

/// The step on show: the last one of a shorter answer.
fn shown_step(view: &View<'_>, steps: usize) -> usize {
    view.settings
        .choices
        .decode_step
        .min(steps.saturating_sub(1))
}

/// Buttons to go step by step, and to let it run.
fn steps_ui(ui: &mut Ui, view: &View<'_>, steps: usize, commands: &mut Commands) {
    let step = shown_step(view, steps);
    let mut button = |ui: &mut Ui, text: &str, name: &str, is_possible: bool, to: usize| {
        let button = ui
            .add_enabled(is_possible, egui::Button::new(text).small())
            .on_hover_text(name);
        button.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Button, is_possible, name));
        if button.clicked() {
            commands.send(LookCommand::SetDecodeStep(to));
        }
    };
    button(ui, "⏮", "First step", step > 0, 0);
    button(
        ui,
        "◀",
        "Step before (comma)",
        step > 0,
        step.saturating_sub(1),
    );
    ui.strong(format!("step {} of {steps}", step + 1));
    button(
        ui,
        "▶",
        "Step after (full stop)",
        step + 1 < steps,
        step + 1,
    );
    let since: Option<f64> = ui.data(|data| data.get_temp(clock_id()));
    let mut runs = since.is_some();
    if toggle(ui, &mut runs, "Play").changed() {
        let now = ui.input(|input| input.time);
        set_clock(ui, runs.then_some(now));
        // from the end it begins anew
        if runs && step + 1 >= steps {
            commands.send(LookCommand::SetDecodeStep(0));
        }
    } else if let Some(since) = since {
        let now = ui.input(|input| input.time);
        if now - since >= SECONDS_PER_STEP {
            set_clock(ui, (step + 1 < steps).then_some(now));
            commands.send(LookCommand::StepDecode(1));
        }
        ui.ctx()
            .request_repaint_after(std::time::Duration::from_millis(100));
    }
}

fn clock_id() -> egui::Id {
    egui::Id::unique("the player stays at this step since")
}

/// Since when the player stays at its step; nothing while it does not run.
fn set_clock(ui: &Ui, since: Option<f64>) {
    ui.data_mut(|data| {
        data.remove::<f64>(clock_id());
        if let Some(since) = since {
            data.insert_temp(clock_id(), since);
        }
    });
}

/// Where the attention of a step goes.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct StepMass {
    kept: f64,
    evicted: f64,
    needed: f64,
    needed_kept: f64,
}

/// The row of a step, token by token; where several tokens share a column it counts once, on the first of them.
fn step_mass(picture: &AttentionPicture, step: usize, kept: &[bool], shown: &Shown) -> StepMass {
    let mut mass = StepMass::default();
    let evidence = &shown.sample.record.evidence_tokens;
    for (column, weight) in picture.row(&picture.decode, step).iter().enumerate() {
        let token = picture.tokens_of(column).start;
        let weight = f64::from(*weight);
        let is_kept = kept.get(token) == Some(&true);
        let is_needed = evidence.iter().any(|span| span.contains(&token));
        match is_kept {
            true => mass.kept += weight,
            false => mass.evicted += weight,
        }
        if is_needed {
            mass.needed += weight;
            mass.needed_kept += if is_kept { weight } else { 0.0 };
        }
    }
    mass
}

fn sentence_ui(
    ui: &mut Ui,
    view: &View<'_>,
    picture: &AttentionPicture,
    step: usize,
    kept: &[bool],
) {
    let Some((_, shown)) = view.shown() else {
        return;
    };
    let mass = step_mass(picture, step, kept, shown);
    let cached = kept.iter().filter(|kept| **kept).count();
    let position = picture.decode.positions.get(step).copied().unwrap_or(0);
    let word = picture.decode.texts.get(step).map_or("", String::as_str);
    let percent = |share: f64| format!("{:.0} %", 100.0 * share);
    ui.horizontal_wrapped(|ui| {
        let word = match word {
            "" => String::new(),
            word => format!(" {word:?}"),
        };
        ui.label(format!(
            "Position {position}{word} looks at the prompt with {} of its attention: {} on the {cached} tokens that \
             stay, {} on those that are gone.",
            percent(mass.kept + mass.evicted),
            percent(mass.kept),
            percent(mass.evicted),
        ));
        if mass.needed > 0.0 {
            let text = format!(
                "On needed tokens {}, of which {} stay.",
                percent(mass.needed),
                percent(mass.needed_kept / mass.needed)
            );
            ui.label(egui::RichText::new(text).color(view.theme.evidence));
        }
        let generated = match step {
            0 => "1 generated one".to_owned(),
            step => format!("{} generated ones", step + 1),
        };
        ui.weak(format!(
            "The cache holds {cached} of {} prompt tokens and {generated}.",
            kept.len()
        ));
    });
}

/// Every step with where its attention goes.
fn numbers(view: &View<'_>) -> Option<Table> {
    let (_, shown) = view.shown()?;
    let (picture, kept) = (picture_of(view)?, view.derived.kept_for_player()?);
    let mut table = Table::new(&[
        "step",
        "position",
        "token",
        "attention_on_kept",
        "attention_on_evicted",
        "attention_on_needed",
        "attention_on_needed_kept",
    ]);
    for (step, position) in picture.decode.positions.iter().enumerate() {
        let mass = step_mass(picture, step, kept, shown);
        table.line(&[
            (step + 1).to_string(),
            position.to_string(),
            picture.decode.texts.get(step).cloned().unwrap_or_default(),
            number(mass.kept),
            number(mass.evicted),
            number(mass.needed),
            number(mass.needed_kept),
        ]);
    }
    Some(table)
}
