//! Needle grids over all samples: score, what each window keeps of the needle, and recall, by length and depth.

use std::collections::HashMap;

use egui::{Id, RichText, ScrollArea, Ui, Vec2, vec2};

use super::{NearestFigure, Need, PaneView, ReadNumbers, View, empty_hint};
use crate::gui::command::{Commands, LookCommand};
use crate::gui::export::ShownFigure;
use crate::gui::layout::Pane;
use crate::gui::needle_maps::{NeedleMaps, NeedleWindow};
use crate::gui::numbers::Table;
use crate::gui::questions::fidelity::{EvictedSession, FidelityPoint};
use crate::gui::session_maps::{GatheredKey, SessionMaps};
use crate::gui::state::{Choices, MapScope};
use crate::gui::theme::ColorMap;
use crate::gui::widgets::matrix::{Cell, Cells, Marks, Matrix};
use crate::jobs::figure::KindChoice;

const TITLE_HEIGHT: f32 = 20.0;
/// A map with its axes.
const SIZE: Vec2 = vec2(210.0, 150.0);

impl Pane {
    /// Maps of length by depth.
    pub const NEEDLE: Self = Self::of(&NeedleView);
}

struct NeedleView;

impl PaneView for NeedleView {
    fn name(&self) -> &'static str {
        "Needle"
    }

    fn title(&self) -> &'static str {
        "Needle grid"
    }

    fn help(&self) -> &'static str {
        include_str!("../../../help/views/needle.md")
    }

    fn needs(&self, _choices: &Choices) -> &'static [Need] {
        &[Need::SessionMaps]
    }

    fn ui(&self, ui: &mut Ui, view: &View<'_>, commands: &mut Commands) {
        needle_ui(ui, view, commands);
    }

    fn numbers(&self) -> Option<ReadNumbers> {
        Some(numbers)
    }

    fn figure(&self) -> Option<NearestFigure> {
        Some(|_| ShownFigure {
            kind: KindChoice::Needle,
            all_samples: true,
        })
    }
}

/// The maps of the open session at the budget that is chosen, as far as they were measured.
fn maps<'a>(view: &'a View<'_>) -> Option<&'a SessionMaps> {
    let (session, _) = view.shown()?;
    let wanted = GatheredKey::of(session, &view.settings.choices);
    let maps = view.data.answers.maps.value()?;
    maps.key.gathered.is_shown_for(&wanted).then_some(maps)
}

fn needle_ui(ui: &mut Ui, view: &View<'_>, commands: &mut Commands) {
    if view.shown().is_none() {
        empty_hint(
            ui,
            "Run a capture of a grid such as niah:length=256|512,depth=0..1/5, or open its session",
        );
        return;
    }
    let Some(maps) = maps(view) else {
        if view.settings.choices.map_scope == MapScope::Session {
            empty_hint(ui, "Measuring the samples");
        } else {
            ui.horizontal(|ui| {
                ui.weak("Not measured yet");
                if ui.button("Measure all samples").clicked() {
                    commands.send(LookCommand::SetMapScope(MapScope::Session));
                }
            });
        }
        return;
    };
    if maps.needles.is_empty() {
        empty_hint(
            ui,
            "No sample of this session has a length and a depth that were asked for",
        );
        return;
    }
    ui.weak(format!(
        "Over {} of {} samples, at {}",
        maps.samples, maps.total, maps.key.gathered.budget
    ));
    ScrollArea::vertical()
        .id_salt("needle grids")
        .auto_shrink(false)
        .show(ui, |ui| {
            let scores = evicted_scores(view);
            if scores.is_empty() {
                ui.weak("Scores are of the full cache; Fidelity over all samples at this budget adds those after eviction");
            }
            for grid in &maps.needles {
                ui.strong(&grid.name);
                grid_ui(ui, view, grid, &scores);
            }
        });
}

/// Task scores after eviction at the budget of the maps, by id of the sample and window.
type EvictedScores<'a> = HashMap<(&'a str, &'a str), f64>;

fn evicted_scores<'a>(view: &'a View<'_>) -> EvictedScores<'a> {
    let Some((session, _)) = view.shown() else {
        return EvictedScores::new();
    };
    let of = EvictedSession::of(session);
    let held = view.data.answers.fidelity.held();
    let results = held.filter(|(held, _)| Some(*held) == of.as_ref());
    let points = results
        .into_iter()
        .flat_map(|(_, results)| results.points.iter());
    let budget = view.settings.choices.budget;
    let at_budget = points.filter(|point| point.budget == budget);
    let score = |point: &'a FidelityPoint| {
        let id = &session.info.samples.get(point.index)?.id;
        Some(((id.as_str(), point.label.as_str()), point.figures.score?))
    };
    at_budget.filter_map(score).collect()
}

/// The maps of a grid in rows of as many as there is room for.
fn grid_ui(ui: &mut Ui, view: &View<'_>, grid: &NeedleMaps, scores: &EvictedScores<'_>) {
    let score_of = |id: &str, window: &str| scores.get(&(id, window)).copied();
    let labels = grid.windows.iter().map(|window| window.label.as_str());
    let after: Vec<(String, Vec<f64>)> = labels
        .filter_map(|label| {
            let map = grid.scores_after(label, score_of)?;
            Some((format!("{label}: score after eviction"), map))
        })
        .collect();
    let mut maps: Vec<(String, &[f64])> = vec![("score of the answers".to_owned(), &grid.score)];
    let evicted = after
        .iter()
        .map(|(title, map)| (title.clone(), map.as_slice()));
    maps.extend(evicted);
    for NeedleWindow {
        label,
        evidence_kept,
        recall,
    } in &grid.windows
    {
        maps.push((format!("{label}: evidence kept"), evidence_kept));
        maps.push((format!("{label}: recall"), recall));
    }
    let gap = ui.spacing().item_spacing.x;
    let columns = ((ui.available_width() + gap) / (SIZE.x + gap)) as usize;
    for row in maps.chunks(columns.max(1)) {
        ui.horizontal(|ui| {
            for (title, values) in row {
                map_ui(ui, view, grid, title, values);
            }
        });
    }
}

fn map_ui(ui: &mut Ui, view: &View<'_>, grid: &NeedleMaps, title: &str, values: &[f64]) {
    ui.vertical(|ui| {
        ui.set_width(SIZE.x);
        let text = egui::Label::new(RichText::new(title)).truncate();
        ui.add_sized(vec2(SIZE.x, TITLE_HEIGHT), text);
        let columns = grid.lengths.len();
        let at = |(row, column): Cell| values.get(row * columns + column).copied();
        let is_undefined = |cell: Cell| at(cell).is_none_or(f64::is_nan);
        let matrix = Matrix {
            id: Id::unique(("needle map", &grid.name, title)),
            name: format!("Length by depth map of {title}"),
            rows: grid.depths.len(),
            columns,
            cells: Cells::Values {
                values,
                map: ColorMap::Sequential,
                color_bar: true,
                highest: 1.0,
            },
            // both only grow, so the sum tells any change of either
            version: view.data.answers.maps.version() + view.data.answers.fidelity.version(),
            axes: Some(["Depth", "Tokens"]),
            ticks: [
                &|row| grid.depths.get(row).map_or(String::new(), f64::to_string),
                &|column| {
                    grid.lengths
                        .get(column)
                        .map_or(String::new(), usize::to_string)
                },
            ],
            diagonal: false,
            marks: Marks {
                hatched: &is_undefined,
                ..Marks::default()
            },
        };
        let answer = matrix.show_sized(ui, view.theme, SIZE);
        if let Some(cell) = answer.hovered {
            let words = hover_words(grid, cell, at(cell));
            answer.response.on_hover_text_at_pointer(words);
        }
    });
}

fn hover_words(grid: &NeedleMaps, (row, column): Cell, value: Option<f64>) -> String {
    let length = grid.lengths.get(column).copied().unwrap_or_default();
    let depth = grid.depths.get(row).copied().unwrap_or_default();
    match value.filter(|value| !value.is_nan()) {
        Some(value) => format!("{length} tokens, depth {depth}: {value:.3}"),
        None => format!("{length} tokens, depth {depth}: undefined"),
    }
}

/// A line for each cell and window.
fn numbers(view: &View<'_>) -> Option<Table> {
    let maps = maps(view)?;
    let mut table = Table::new(&[
        "task",
        "window",
        "length",
        "depth",
        "score",
        "score_after_eviction",
        "evidence_kept",
        "recall",
    ]);
    let scores = evicted_scores(view);
    let score_of = |id: &str, window: &str| scores.get(&(id, window)).copied();
    for grid in &maps.needles {
        for window in &grid.windows {
            let after = grid
                .scores_after(&window.label, score_of)
                .unwrap_or_default();
            for (row, depth) in grid.depths.iter().enumerate() {
                for (column, length) in grid.lengths.iter().enumerate() {
                    let at = |values: &[f64]| {
                        let value = values.get(row * grid.lengths.len() + column);
                        value
                            .filter(|value| !value.is_nan())
                            .map_or(String::new(), f64::to_string)
                    };
                    table.line(&[
                        grid.name.clone(),
                        window.label.clone(),
                        length.to_string(),
                        depth.to_string(),
                        at(&grid.score),
                        at(&after),
                        at(&window.evidence_kept),
                        at(&window.recall),
                    ]);
                }
            }
        }
    }
    Some(table)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_is_told_with_its_length_and_depth() {
        let grid = NeedleMaps {
            name: "niah".to_owned(),
            lengths: vec![512, 1024],
            depths: vec![1.0, 0.0],
            score: Vec::new(),
            windows: Vec::new(),
            samples: Vec::new(),
        };
        assert_eq!(
            hover_words(&grid, (1, 0), Some(0.5)),
            "512 tokens, depth 0: 0.500"
        );
        assert_eq!(
            hover_words(&grid, (0, 1), Some(f64::NAN)),
            "1024 tokens, depth 1: undefined"
        );
    }
}
