//! Which window is best in each head, in the windows' own colours.

use egui::{Color32, Id, Ui};

use kvlens_analysis::statistics::HeadWinner;

use super::{answer_ui, is_selected, marks, undefined_text};
use crate::gui::command::Commands;
use crate::gui::derived::{WinnerMap, is_tie};
use crate::gui::numbers::signed;
use crate::gui::views::View;
use crate::gui::views::legend::entry;
use crate::gui::widgets::matrix::{Cell, Cells, Marks, Matrix};

/// A margin of this much has the full colour.
const FULL_MARGIN: f64 = 0.2;
/// What is left of the colour at no margin.
const FAINTEST: f64 = 0.35;

/// Draws the map with its legend.
pub(super) fn winner_ui(ui: &mut Ui, view: &View<'_>, map: &WinnerMap, commands: &mut Commands) {
    legend_ui(ui, view, map, commands);
    let colors = colors(view, map);
    let struck = |(layer, head): Cell| {
        let winner = map.winner(layer, head);
        map.tested && winner.is_some_and(|winner| !winner.resolved)
    };
    let margin = view.settings.choices.margin;
    let equal = |(layer, head): Cell| {
        let winner = map.winner(layer, head).filter(|_| map.tested);
        winner
            .zip(margin)
            .is_some_and(|(winner, margin)| winner.is_equivalent(margin))
    };
    let hatched = |(layer, head): Cell| map.winner(layer, head).is_none();
    let selected = |cell: Cell| is_selected(view, 1, cell);
    let matrix = Matrix {
        id: Id::unique("winner map"),
        name: "Winner in every head".to_owned(),
        rows: map.layers,
        columns: map.heads,
        cells: Cells::Colors(&colors),
        version: map.version,
        axes: Some(["Layer", "Head"]),
        ticks: [&|number| number.to_string(); 2],
        diagonal: false,
        marks: Marks {
            hatched: &hatched,
            equal: &equal,
            ..marks(view, 1, &selected, &struck)
        },
    };
    let answer = matrix.show(ui, view.theme);
    answer_ui(&answer, view, 1, commands);
    if let Some(cell) = answer.hovered {
        answer.response.on_hover_ui_at_pointer(|ui| {
            hover_ui(ui, view, map, cell);
        });
    }
}

/// The windows that win somewhere, with the number of heads.
fn legend_ui(ui: &mut Ui, view: &View<'_>, map: &WinnerMap, commands: &mut Commands) {
    ui.horizontal_wrapped(|ui| {
        for (place, label) in map.windows.iter().enumerate() {
            let wins = map.wins(place);
            let known = view.derived.windows().iter();
            let Some(window) = known
                .filter(|_| wins > 0)
                .find(|window| window.label == *label)
            else {
                continue;
            };
            let style = view.theme.series(label, window.repeat);
            let text = egui::RichText::new(format!("{label} {wins}"))
                .color(view.theme.legible(style.color));
            let name = entry(ui, &style, text).on_hover_text("Heads in which this window is best");
            if name.hovered() {
                commands.hover.window = Some(label.clone());
            }
        }
        let ties = map
            .winners
            .iter()
            .flatten()
            .filter(|winner| is_tie(winner))
            .count();
        if ties > 0 {
            ui.weak(format!("tied {ties}"))
                .on_hover_text("Heads in which the best two are equal; grey");
        }
        if map.tested {
            unresolved_ui(ui, view, map);
        }
    });
}

/// In how many heads the samples do not tell the best two apart, and in how many they are shown to be equal.
fn unresolved_ui(ui: &mut Ui, view: &View<'_>, map: &WinnerMap) {
    let margin = view.settings.choices.margin;
    let winners = || map.winners.iter().flatten();
    let is_equal = |winner: &HeadWinner| margin.is_some_and(|margin| winner.is_equivalent(margin));
    let equal = winners().filter(|winner| is_equal(winner)).count();
    let open = winners().filter(|winner| !winner.resolved && !is_equal(winner));
    let equal = margin.map_or(String::new(), |margin| {
        format!("{equal} equal within {margin}, ")
    });
    let all = winners().count();
    ui.weak(format!("{equal}{} of {all} not resolved", open.count()))
        .on_hover_text(
            "Struck through: the samples do not tell the best two apart. The colour is fuller the more the best leads",
        );
}

fn colors(view: &View<'_>, map: &WinnerMap) -> Vec<Color32> {
    let series: Vec<Color32> = map
        .windows
        .iter()
        .map(|label| {
            let bands = view.derived.windows();
            let window = bands.iter().find(|window| window.label == *label);
            let repeat = window.map_or(0, |window| window.repeat);
            view.theme.series(label, repeat).color
        })
        .collect();
    map.winners
        .iter()
        .map(|winner| {
            let Some(winner) = winner.as_ref().filter(|winner| !is_tie(winner)) else {
                return view.theme.missing_value;
            };
            let share = FAINTEST + (1.0 - FAINTEST) * (winner.margin / FULL_MARGIN).min(1.0);
            let full = series.get(winner.winner).copied();
            let full = full.unwrap_or(view.theme.missing_value);
            view.theme.paper.lerp_to_gamma(full, share as f32)
        })
        .collect()
}

fn hover_ui(ui: &mut Ui, view: &View<'_>, map: &WinnerMap, (layer, head): Cell) {
    ui.strong(format!("Layer {layer}, head {head}"));
    let Some(winner) = map.winner(layer, head) else {
        ui.label(undefined_text(view, &map.rankable_tokens, layer));
        return;
    };
    let label = |place: usize| map.windows.get(place).map_or("", String::as_str);
    let metric = view.settings.choices.metric.label();
    ui.label(format!(
        "{} · {metric} {:.3}",
        label(winner.winner),
        winner.mean
    ));
    if let Some(second) = winner.runner_up {
        ui.label(format!(
            "{} over {}",
            signed(winner.margin, 3),
            label(second)
        ));
    }
    if let Some(interval) = winner.interval {
        ui.weak(format!(
            "95 % from {} to {}",
            signed(interval.low, 3),
            signed(interval.high, 3)
        ));
    }
    match view.settings.choices.margin {
        Some(margin) if map.tested && winner.is_equivalent(margin) => {
            ui.label(format!("the runner-up is as good within {margin}"));
        }
        _ if map.tested && !winner.resolved => {
            ui.label("not resolved over the samples");
        }
        _ => {}
    }
}
