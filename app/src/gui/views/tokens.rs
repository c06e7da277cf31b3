//! The prompt as text: heat behind the tokens, marks under them, and a strip of all of it.

mod marks;
mod strip;
mod text;

use egui::{RichText, Ui};

use super::head_map::window_ui;
use super::{View, empty_hint};
use crate::gui::command::{Command, Commands};
use crate::gui::state::{HeatScale, TokenHeat};
use crate::gui::theme::{ColorMap, Theme};
use crate::gui::widgets::segmented::segmented;

/// Draws the view.
pub fn tokens_ui(ui: &mut Ui, view: &View<'_>, commands: &mut Commands) {
    if view.shown().is_none() || view.derived.tokens().is_none() {
        empty_hint(ui, "Run a capture or open a session to read its prompt");
        return;
    }
    choosers_ui(ui, view, commands);
    strip::strip_ui(ui, view, commands);
    text::text_ui(ui, view);
}

fn choosers_ui(ui: &mut Ui, view: &View<'_>, commands: &mut Commands) {
    let choices = &view.settings.choices;
    ui.horizontal_wrapped(|ui| {
        let heat = segmented(
            ui,
            choices.token_heat,
            &TokenHeat::ALL,
            TokenHeat::label,
            |button, heat| button.on_hover_text(explain_heat(heat)),
        );
        if let Some(heat) = heat {
            commands.send(Command::SetTokenHeat(heat));
        }
        ui.separator();
        let labels: Vec<&str> = view.shown().map_or_else(Vec::new, |(_, shown)| {
            let windows = shown.sample.windows.iter();
            windows.map(|window| window.label.as_str()).collect()
        });
        window_ui(ui, "Window of the tokens", view, &labels, commands);
        ui.separator();
        let scale = segmented(
            ui,
            choices.heat_scale,
            &HeatScale::ALL,
            HeatScale::label,
            |button, scale| button.on_hover_text(explain_scale(scale)),
        );
        if let Some(scale) = scale {
            commands.send(Command::SetHeatScale(scale));
        }
        ui.separator();
        legend_ui(ui, view);
    });
}

fn explain_heat(heat: TokenHeat) -> &'static str {
    match heat {
        TokenHeat::Oracle => "Importance by the decode stage, mean over the selected heads",
        TokenHeat::Window => "Importance by the chosen window, mean over the selected heads",
        TokenHeat::Difference => {
            "Blue: the oracle ranks it higher. Red: the window ranks it higher"
        }
    }
}

fn explain_scale(scale: HeatScale) -> &'static str {
    match scale {
        HeatScale::LogRank => "1 − ln(rank) / ln(tokens): the best token is 1, the worst 0",
        HeatScale::SquareRoot => "Square root of importance / largest importance",
    }
}

/// What the marks mean, drawn the way they look in the text.
fn legend_ui(ui: &mut Ui, view: &View<'_>) {
    let theme = view.theme;
    let window = view.derived.window.as_deref().unwrap_or("the window");
    let entry = |ui: &mut Ui, text: &str, mark: marks::Mark, help: String| {
        let label = ui.label(RichText::new(text).small()).on_hover_text(help);
        marks::paint(ui.painter(), label.rect, mark, theme);
    };
    let budget = view.derived.budget_tokens();
    entry(
        ui,
        "kept",
        marks::Mark::Kept,
        format!("Among the best {budget} tokens of {window}"),
    );
    entry(
        ui,
        "missed",
        marks::Mark::Missed,
        format!("Among the oracle's best {budget} tokens, but not among those of {window}"),
    );
    entry(
        ui,
        "needed",
        marks::Mark::Evidence,
        "Holds what the answer needs".to_owned(),
    );
}

/// The colour of a token's heat.
fn heat_color(theme: &Theme, value: f32, difference: bool) -> egui::Color32 {
    let map = if difference {
        ColorMap::Diverging
    } else {
        ColorMap::Heat
    };
    theme.map(map, value)
}
