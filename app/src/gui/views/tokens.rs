//! The prompt as text: heat behind the tokens, marks under them, and a strip of all of it.

pub(super) mod marks;
mod numbers;
mod strip;
mod text;

use egui::{RichText, Ui};

use super::head_map::window_ui;
use super::{
    NearestFigure, Need, PaneView, ReadNumbers, View, empty_hint, in_force_ui, lacks_needed_tokens,
};
use crate::gui::command::{Commands, LookCommand};
use crate::gui::export::ShownFigure;
use crate::gui::layout::Pane;
use crate::gui::state::Choices;
use crate::gui::state::{HeatScale, TokenHeat};
use crate::gui::theme::{ColorMap, Theme};
use crate::gui::widgets::segmented::segmented;
use crate::gui::widgets::together::{text_width, together};
use crate::jobs::figure::KindChoice;

impl Pane {
    /// The prompt as text.
    pub const TOKENS: Self = Self::of(&TokensView);
}

struct TokensView;

impl PaneView for TokensView {
    fn name(&self) -> &'static str {
        "Tokens"
    }

    fn title(&self) -> &'static str {
        "Tokens"
    }

    fn help(&self) -> &'static str {
        include_str!("../../../help/views/tokens.md")
    }

    fn needs(&self, _choices: &Choices) -> &'static [Need] {
        &[Need::Tokens]
    }

    fn ui(&self, ui: &mut Ui, view: &View<'_>, commands: &mut Commands) {
        tokens_ui(ui, view, commands);
    }

    fn numbers(&self) -> Option<ReadNumbers> {
        Some(numbers::numbers)
    }

    fn figure(&self) -> Option<NearestFigure> {
        Some(|_| ShownFigure::of_sample(KindChoice::Tokens))
    }
}

/// The token where one reads: a third below the upper edge, where one that is asked for is brought to.
#[must_use]
pub fn place_of_reading(context: &egui::Context) -> Option<usize> {
    let (first, last): (usize, usize) = context.data(|data| data.get_temp(strip::sight_id()))?;
    Some(first + last.saturating_sub(first) / 3)
}

/// Names of two of the marks.
const MISSED: &str = "missed";
const NEEDED: &str = "needed";

fn tokens_ui(ui: &mut Ui, view: &View<'_>, commands: &mut Commands) {
    if view.shown().is_none() || view.derived.tokens().is_none() {
        let hint = match view.shown() {
            Some(_) => "Ranking the tokens",
            None => "Run a capture or open a session to read its prompt",
        };
        empty_hint(ui, hint);
        return;
    }
    choosers_ui(ui, view, commands);
    legend_ui(ui, view);
    strip::strip_ui(ui, view, commands);
    text::text_ui(ui, view, commands);
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
            commands.send(LookCommand::SetTokenHeat(heat));
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
            commands.send(LookCommand::SetHeatScale(scale));
        }
        in_force_ui(ui, view);
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

/// What is shown, and what the marks mean, drawn the way they look in the text.
fn legend_ui(ui: &mut Ui, view: &View<'_>) {
    let window = view.derived.window.as_deref().unwrap_or("the window");
    let budget = view.derived.budget_tokens();
    // what does not fit beside the others goes to a row of its own, whole
    ui.horizontal_wrapped(|ui| {
        let heads = view.derived.tokens().map_or(0, |tokens| tokens.heads);
        let over = if heads == 1 {
            "one head".to_owned()
        } else {
            format!("mean of {heads} heads")
        };
        let over = RichText::new(format!("At {budget} tokens, {over}")).weak();
        ui.add(egui::Label::new(over).extend())
            .on_hover_text("Importance over the selected heads");
        key_ui(ui, view);
        let kept = format!("kept by {window}");
        let gap = ui.spacing().item_spacing.x;
        let mut marks = vec![kept.as_str(), MISSED];
        if !lacks_needed_tokens(view) {
            marks.push(NEEDED);
        }
        let widths = marks.iter().map(|text| text_width(ui, text) + gap);
        let width = widths.sum();
        together(ui, width, |ui| marks_ui(ui, view, &kept));
    });
}

/// The marks of tokens, drawn the way they look in the text.
fn marks_ui(ui: &mut Ui, view: &View<'_>, kept: &str) {
    let window = view.derived.window.as_deref().unwrap_or("the window");
    let budget = view.derived.budget_tokens();
    entry_ui(
        ui,
        view.theme,
        kept,
        marks::Mark::Kept,
        &format!(
            "Stays in a cache of {budget} tokens: what the rule of {window} keeps whatever the score, then the best of \
             the others"
        ),
    );
    entry_ui(
        ui,
        view.theme,
        MISSED,
        marks::Mark::Missed,
        &format!(
            "Would stay by the oracle's scores under the same rule, but not by those of {window}"
        ),
    );
    if !lacks_needed_tokens(view) {
        entry_ui(
            ui,
            view.theme,
            NEEDED,
            marks::Mark::Evidence,
            "Holds what the answer needs",
        );
    }
}

/// What the colours behind the tokens mean, from one end to the other.
fn key_ui(ui: &mut Ui, view: &View<'_>) {
    let Some(shade) = view.derived.shade() else {
        return;
    };
    let choices = &view.settings.choices;
    let (low, ends) = match (shade.difference, choices.heat_scale) {
        (true, _) => (-1.0, ["window", "oracle"]),
        (false, HeatScale::LogRank) => (0.0, ["ranked last", "ranked first"]),
        (false, HeatScale::SquareRoot) => (0.0, ["0", "largest"]),
    };
    ui.weak(ends[0]);
    let size = egui::vec2(64.0, 10.0);
    let (rect, response) = ui.allocate_exact_size(size, egui::Sense::hover());
    let steps = 32;
    for step in 0..steps {
        let share = (step as f32 + 0.5) / steps as f32;
        let color = heat_color(view.theme, low + (1.0 - low) * share, shade.difference);
        let left = rect.left() + rect.width() * step as f32 / steps as f32;
        let part = egui::Rect::from_min_size(
            egui::pos2(left, rect.top()),
            egui::vec2(rect.width() / steps as f32 + 0.5, rect.height()),
        );
        ui.painter().rect_filled(part, 0.0, color);
    }
    response
        .on_hover_text(explain_scale(choices.heat_scale))
        .widget_info(|| egui::WidgetInfo::labeled(egui::Role::Label, true, "Key of the colours"));
    ui.weak(ends[1]);
}

fn entry_ui(ui: &mut Ui, theme: &Theme, text: &str, mark: marks::Mark, help: &str) {
    let label = ui.add(egui::Label::new(text).extend()).on_hover_text(help);
    marks::paint(
        ui.painter(),
        label.rect.expand2(egui::vec2(2.0, 1.0)),
        mark,
        theme,
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
