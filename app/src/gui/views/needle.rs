//! Needle grids over all samples, by length and depth: the score of the answers, and a row of maps for each window.

use std::collections::HashMap;

use egui::{Id, Label, RichText, ScrollArea, Ui, Vec2, vec2};
use kvlens_analysis::needle::NeedlePlace;

use super::question_state::job_error_ui;
use super::{NearestFigure, Need, PaneView, ReadNumbers, View, empty_hint};
use crate::gui::command::{Commands, LookCommand};
use crate::gui::data::SampleRow;
use crate::gui::export::ShownFigure;
use crate::gui::lanes::JobKey;
use crate::gui::layout::Pane;
use crate::gui::needle_maps::{NeedleMaps, NeedleWindow};
use crate::gui::numbers::{Table, budget_words};
use crate::gui::questions::fidelity::{EvictedSession, FidelityPoint};
use crate::gui::session_maps::{GatheredKey, SessionMaps};
use crate::gui::state::{Choices, MapScope};
use crate::gui::theme::ColorMap;
use crate::gui::widgets::matrix::{Cell, Cells, Marks, Matrix};
use crate::gui::widgets::together::phrase;
use crate::jobs::figure::KindChoice;

/// Widths and heights of a map with its axes, the least and the most.
const WIDTHS: [f32; 2] = [150.0, 380.0];
const HEIGHTS: [f32; 2] = [104.0, 230.0];
/// Height of a map by its width.
const ASPECT: f32 = 0.62;

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
    let Some((session, _)) = view.shown() else {
        empty_hint(
            ui,
            "Run a capture of a grid such as niah:length=256|512,depth=0..1/5, or open its session",
        );
        return;
    };
    match known_of(&session.info.samples) {
        Known::NoGrid => no_grid_ui(ui),
        Known::NotYet => empty_hint(ui, "Reading the samples"),
        Known::Grid(places) => match maps(view) {
            Some(maps) => maps_ui(ui, view, maps),
            None => unmeasured_ui(ui, view, &places, commands),
        },
    }
}

/// What is said where no prompt has a place in a grid, and a command that captures one.
const NO_GRID: &str = "No prompt of this session has a length and a needle's depth that were asked for, so there is no grid. \
    Such prompts come from a capture like this:";
const A_GRID: &str = "kvlens capture --model MODEL --data niah:length=1k..8k/4,depth=0..1/5,samples=4 --out needles.kvlens";

fn no_grid_ui(ui: &mut Ui) {
    ui.vertical_centered(|ui| {
        ui.add_space(0.3 * ui.available_height());
        ui.weak(NO_GRID);
        ui.add(
            Label::new(RichText::new(A_GRID).monospace())
                .wrap()
                .selectable(true),
        );
        if ui.small_button("Copy").clicked() {
            ui.ctx().copy_text(A_GRID.to_owned());
        }
    });
}

/// What the samples' files say of a grid, before anything is measured.
#[derive(Debug, PartialEq)]
enum Known {
    /// Not all were read, and none of the others has a place.
    NotYet,
    /// None has a place.
    NoGrid,
    /// These have one.
    Grid(Vec<NeedlePlace>),
}

fn known_of(samples: &[SampleRow]) -> Known {
    let details = || samples.iter().filter_map(|sample| sample.details.as_ref());
    let places: Vec<NeedlePlace> = details().filter_map(|details| details.needle).collect();
    // a file that is missing or damaged says nothing, however long one waits
    let is_read = |sample: &SampleRow| sample.details.is_some() || sample.unreadable.is_some();
    match (places.is_empty(), samples.iter().all(is_read)) {
        (false, _) => Known::Grid(places),
        (true, false) => Known::NotYet,
        (true, true) => Known::NoGrid,
    }
}

/// How large the grid is, and the way to its numbers.
fn unmeasured_ui(ui: &mut Ui, view: &View<'_>, places: &[NeedlePlace], commands: &mut Commands) {
    if view.data.is_comparing_samples() {
        empty_hint(ui, "Measuring the samples");
        return;
    }
    job_error_ui(ui, view, &JobKey::CompareSamples);
    ui.horizontal_wrapped(|ui| {
        phrase(ui, &format!("{}: not measured yet", grid_words(places)));
        if ui.button("Measure all samples").clicked() {
            commands.send(LookCommand::SetMapScope(MapScope::Session));
        }
    });
}

/// A grid in words.
fn grid_words(places: &[NeedlePlace]) -> String {
    let different = |value: fn(&NeedlePlace) -> u64| {
        let mut values: Vec<u64> = places.iter().map(value).collect();
        values.sort_unstable();
        values.dedup();
        values.len()
    };
    let counted = |count: usize, one: &str| match count {
        1 => format!("1 {one}"),
        count => format!("{count} {one}s"),
    };
    format!(
        "{} of {} and {}",
        counted(places.len(), "prompt"),
        counted(different(|place| place.length as u64), "length"),
        counted(different(|place| place.depth.to_bits()), "depth"),
    )
}

fn maps_ui(ui: &mut Ui, view: &View<'_>, maps: &SessionMaps) {
    let scores = evicted_scores(view);
    ui.horizontal_wrapped(|ui| {
        let budget = budget_words(maps.key.gathered.budget);
        let of = format!(
            "Over {} of {} samples, at {budget}",
            maps.samples, maps.total
        );
        phrase(ui, &of);
        if scores.is_empty() {
            phrase(ui, "scores are of the full cache").on_hover_text(
                "Fidelity over all samples at this budget adds those after eviction",
            );
        }
    });
    ScrollArea::vertical()
        .id_salt("needle grids")
        .auto_shrink(false)
        .show(ui, |ui| {
            for grid in &maps.needles {
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

/// A row of the full cache, and one of each visible window.
fn grid_ui(ui: &mut Ui, view: &View<'_>, grid: &NeedleMaps, scores: &EvictedScores<'_>) {
    let score_of = |id: &str, window: &str| scores.get(&(id, window)).copied();
    let hidden = &view.settings.choices.hidden_windows;
    let windows = grid.windows.iter();
    let rows: Vec<(&NeedleWindow, Option<Vec<f64>>)> = windows
        .filter(|window| !hidden.contains(&window.label))
        .map(|window| (window, grid.scores_after(&window.label, score_of)))
        .collect();
    let has_scores = rows.iter().any(|(_, after)| after.is_some());
    let size = map_size(ui, if has_scores { 3 } else { 2 });
    ui.strong(&grid.name);
    let full = [(SCORE, grid.score.as_slice())];
    row_ui(ui, view, grid, ("full cache", size), &full);
    for (window, after) in &rows {
        let kept = (EVIDENCE_KEPT, window.evidence_kept.as_slice());
        let recall = (RECALL, window.recall.as_slice());
        let after = after.as_deref().map(|after| (SCORE, after));
        let maps: Vec<Quantity<'_>> = [kept, recall].into_iter().chain(after).collect();
        row_ui(ui, view, grid, (&window.label, size), &maps);
    }
}

/// The quantities of the maps.
const SCORE: &str = "score";
const EVIDENCE_KEPT: &str = "evidence kept";
const RECALL: &str = "recall";

/// A name, and its numbers in every cell.
type Quantity<'a> = (&'static str, &'a [f64]);

/// So large that so many maps stand side by side, and one of them is seen whole.
fn map_size(ui: &Ui, columns: usize) -> Vec2 {
    let gap = ui.spacing().item_spacing.x;
    let width = ui.available_width() / columns as f32 - gap;
    let width = width.clamp(WIDTHS[0], WIDTHS[1]);
    let line = ui.text_style_height(&egui::TextStyle::Body) + ui.spacing().item_spacing.y;
    let room = ui.clip_rect().height() - 2.0 * line - ui.spacing().item_spacing.y;
    let height = (ASPECT * width).min(room).clamp(HEIGHTS[0], HEIGHTS[1]);
    vec2(width, height)
}

/// The maps of a window, or of the full cache, under its name.
fn row_ui(
    ui: &mut Ui,
    view: &View<'_>,
    grid: &NeedleMaps,
    (label, size): (&str, Vec2),
    maps: &[Quantity<'_>],
) {
    let mut windows = view.derived.windows().iter();
    let window = windows.find(|window| window.label == label);
    let color = window.map_or(ui.visuals().text_color(), |window| {
        let style = view.theme.series(&window.label, window.repeat);
        view.theme.legible(style.color)
    });
    ui.add(Label::new(RichText::new(label).color(color)).truncate());
    ui.horizontal(|ui| {
        for map in maps {
            map_ui(ui, view, grid, (label, size), *map);
        }
    });
}

fn map_ui(
    ui: &mut Ui,
    view: &View<'_>,
    grid: &NeedleMaps,
    (label, size): (&str, Vec2),
    (quantity, values): Quantity<'_>,
) {
    let columns = grid.lengths.len();
    let at = |(row, column): Cell| values.get(row * columns + column).copied();
    let is_undefined = |cell: Cell| at(cell).is_none_or(f64::is_nan);
    let matrix = Matrix {
        id: Id::unique(("needle map", &grid.name, label, quantity)),
        name: format!("Length by depth map of {label}: {quantity}"),
        rows: grid.depths.len(),
        columns,
        cells: Cells::Values {
            values,
            map: ColorMap::Sequential,
            bar: Some(quantity),
            highest: 1.0,
        },
        // both only grow, so the sum tells any change of either
        version: view.data.answers.maps.version() + view.data.answers.fidelity.version(),
        axes: Some(["Depth", "Length in tokens"]),
        ticks: [
            &|row| {
                grid.depths
                    .get(row)
                    .map_or(String::new(), |it| depth_text(*it))
            },
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
    let answer = matrix.show_sized(ui, view.theme, size);
    if let Some(cell) = answer.hovered {
        let words = hover_words(grid, cell, at(cell));
        answer.response.on_hover_text_at_pointer(words);
    }
}

/// A depth with no more digits than fit beside a map.
fn depth_text(depth: f64) -> String {
    let text = format!("{depth:.2}");
    let short = text.trim_end_matches('0').trim_end_matches('.');
    short.to_owned()
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
    use crate::gui::data::SampleDetails;

    fn sample(details: Option<Option<(usize, f64)>>) -> SampleRow {
        SampleRow {
            id: "a".to_owned(),
            prompt_tokens: 1,
            decode_tokens: 1,
            details: details.map(|place| SampleDetails {
                task: "niah".to_owned(),
                question_place: String::new(),
                score: None,
                needle: place.map(|(length, depth)| NeedlePlace { length, depth }),
            }),
            unreadable: None,
        }
    }

    #[test]
    fn whether_there_is_a_grid_is_known_from_the_samples_files() {
        let (unread, without) = (sample(None), sample(Some(None)));
        let with = |length, depth| sample(Some(Some((length, depth))));
        assert_eq!(known_of(&[unread.clone(), without.clone()]), Known::NotYet);
        assert_eq!(known_of(&[without.clone(), without.clone()]), Known::NoGrid);
        let damaged = SampleRow {
            unreadable: Some("the file is missing".to_owned()),
            ..unread.clone()
        };
        assert_eq!(known_of(&[damaged, without.clone()]), Known::NoGrid);
        let samples = [
            unread,
            without,
            with(256, 0.0),
            with(512, 0.0),
            with(512, 1.0),
        ];
        let Known::Grid(places) = known_of(&samples) else {
            panic!("three samples have a place");
        };
        assert_eq!(grid_words(&places), "3 prompts of 2 lengths and 2 depths");
        assert_eq!(grid_words(&places[..1]), "1 prompt of 1 length and 1 depth");
    }

    #[test]
    fn depths_fit_beside_a_map() {
        assert_eq!(
            [0.0, 0.5, 1.0, 1.0 / 3.0].map(depth_text),
            ["0", "0.5", "1", "0.33"]
        );
    }

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
