//! The metric at the budget for every head: layers upwards, heads to the right.

mod choosers;
mod numbers;
mod side_by_side;
mod winner;

use egui::{Id, Ui};
use kvlens_analysis::Metric;

use super::profile::profile_state_ui;
use super::question_state::{job_error_ui, left_out_ui};
use super::{
    NO_NEEDED_TOKENS, NearestFigure, Need, PaneView, ReadNumbers, View, empty_hint,
    lacks_needed_tokens,
};
use crate::gui::command::{Commands, LookCommand};
use crate::gui::derived::{Derived, HeadMap};
use crate::gui::export::ShownFigure;
use crate::gui::forced::forced_text;
use crate::gui::head_numbers::HeadNumber;
use crate::gui::lanes::JobKey;
use crate::gui::layout::Pane;
use crate::gui::numbers::signed;
use crate::gui::session_maps::{GatheredKey, SessionMaps};
use crate::gui::state::Choices;
use crate::gui::state::{HeadAddress, MapKind, MapScope, SelectionChange};
use crate::gui::theme::ColorMap;
use crate::gui::widgets::matrix::{Cell, Cells, Marks, Matrix, MatrixResponse};
use crate::jobs::figure::KindChoice;
pub use choosers::window_ui;

impl Pane {
    /// Layers by heads.
    pub const HEAD_MAP: Self = Self::of(&HeadMapView);
}

struct HeadMapView;

impl PaneView for HeadMapView {
    fn name(&self) -> &'static str {
        "HeadMap"
    }

    fn title(&self) -> &'static str {
        "Layer × head map"
    }

    fn help(&self) -> &'static str {
        include_str!("../../../help/views/head_map.md")
    }

    fn needs(&self, choices: &Choices) -> &'static [Need] {
        match choices.map_kind {
            MapKind::Profile => &[Need::SessionMaps, Need::Profile],
            _ => &[Need::SessionMaps],
        }
    }

    fn ui(&self, ui: &mut Ui, view: &View<'_>, commands: &mut Commands) {
        head_map_ui(ui, view, commands);
    }

    fn numbers(&self) -> Option<ReadNumbers> {
        Some(numbers::numbers)
    }

    fn figure(&self) -> Option<NearestFigure> {
        Some(|choices| ShownFigure {
            kind: match (choices.map_kind, &choices.minus) {
                (MapKind::Winner, _) => KindChoice::Winner,
                (MapKind::Window, Some(_)) => KindChoice::HeadDifference,
                (MapKind::Profile, _) => KindChoice::Profile,
                _ => KindChoice::HeadMap,
            },
            all_samples: choices.shown_scope() == MapScope::Session,
        })
    }
}

fn head_map_ui(ui: &mut Ui, view: &View<'_>, commands: &mut Commands) {
    let Some((_, shown)) = view.shown() else {
        empty_hint(ui, "Run a capture or open a session to see its heads");
        return;
    };
    let windows = shown.sample.windows.iter();
    let labels: Vec<&str> = windows.map(|window| window.label.as_str()).collect();
    choosers::choosers_ui(ui, view, &labels, commands);
    if view.settings.choices.shown_scope() == MapScope::Session {
        ui.horizontal_wrapped(|ui| {
            scope_ui(ui, view, commands);
            if let Some(map) = view.derived.map() {
                verdicts_ui(ui, view, map);
            }
        });
    }
    let choices = &view.settings.choices;
    let is_of_needed = match choices.map_kind {
        MapKind::Needed => true,
        MapKind::Profile | MapKind::Beside | MapKind::InB => false,
        _ => choices.metric == Metric::EvidenceKept && choices.shown_scope() == MapScope::Sample,
    };
    if is_of_needed && lacks_needed_tokens(view) {
        empty_hint(ui, NO_NEEDED_TOKENS);
        return;
    }
    match view.settings.choices.map_kind {
        MapKind::Window | MapKind::Needed => match view.derived.map() {
            Some(map) => map_ui(ui, view, map, commands),
            None => missing_ui(ui, view),
        },
        MapKind::Profile => match view.derived.map() {
            Some(map) => map_ui(ui, view, map, commands),
            None => profile_state_ui(ui, view, commands),
        },
        MapKind::Beside => beside_ui(ui, view, commands),
        MapKind::InB => match view.beside.map(Derived::map) {
            None => empty_hint(ui, OPEN_BESIDE),
            Some(None) => missing_ui(ui, view),
            Some(Some(map)) => map_ui(ui, view, map, commands),
        },
        MapKind::SideBySide => side_by_side::side_by_side_ui(ui, view, commands),
        MapKind::Winner => match view.derived.winner_map() {
            Some(map) => winner::winner_ui(ui, view, map, commands),
            None => missing_ui(ui, view),
        },
    }
}

const OPEN_BESIDE: &str = "Open a second session with File > Open beside";

/// One window in A minus the same in B.
fn beside_ui(ui: &mut Ui, view: &View<'_>, commands: &mut Commands) {
    match (view.beside, view.derived.map_between()) {
        (None, _) => empty_hint(ui, OPEN_BESIDE),
        (Some(_), None) => empty_hint(
            ui,
            "The session beside has no such window, or a model of another shape",
        ),
        (Some(_), Some(map)) => map_ui(ui, view, map, commands),
    }
}

/// What stands where there is no map: why, and what to do.
fn missing_ui(ui: &mut Ui, view: &View<'_>) {
    let choices = &view.settings.choices;
    let hidden = &choices.hidden_windows;
    let mut windows = view.derived.windows().iter();
    let is_of_visible = choices.map_kind != MapKind::Window;
    let hint = if is_of_visible && windows.all(|window| hidden.contains(&window.label)) {
        "Every window is hidden; click one in the legend of the curves"
    } else if choices.map_scope == MapScope::Sample || view.data.is_comparing_samples() {
        "Measuring the samples"
    } else {
        "Not all samples are measured at this budget and scoring"
    };
    empty_hint(ui, hint);
}

/// How many samples a map over all of them is of, and a way to the rest if their measurement was stopped.
fn scope_ui(ui: &mut Ui, view: &View<'_>, commands: &mut Commands) {
    let choices = &view.settings.choices;
    let Some((session, _)) = view.shown() else {
        return;
    };
    let wanted = GatheredKey::of(session, choices);
    let maps = view.data.answers.maps.value();
    let maps = maps.filter(|maps| maps.key.gathered.is_shown_for(&wanted));
    if let Some(maps) = maps {
        samples_ui(ui, maps);
        left_out_ui(ui, view, &maps.left_out);
    }
    if view.data.is_comparing_samples() || maps.is_some_and(|maps| maps.is_complete()) {
        return;
    }
    job_error_ui(ui, view, &JobKey::CompareSamples);
    if ui.button("Measure all samples").clicked() {
        commands.send(LookCommand::SetMapScope(MapScope::Session));
    }
}

fn samples_ui(ui: &mut Ui, maps: &SessionMaps) {
    let mut text = match maps.is_complete() {
        true if maps.documents < maps.samples => {
            format!("{} samples of {} documents", maps.samples, maps.documents)
        }
        true => format!("{} samples", maps.samples),
        false => format!("{} of {} samples so far", maps.samples, maps.total),
    };
    if maps.skipped > 0 {
        text += &format!(", {} skipped", maps.skipped);
    }
    ui.weak(text).on_hover_text(
        "Means over samples, of which those of one document, asked the same in several places, count once by their mean. \
         What is struck through is not resolved: its paired 95 % interval spans zero, or its \
         p-value, corrected over the map by Benjamini and Hochberg, is above 0.05. Fewer than six samples resolve \
         nothing. Prompts shorter than the budget are skipped",
    );
}

fn map_ui(ui: &mut Ui, view: &View<'_>, map: &HeadMap, commands: &mut Commands) {
    let per_cell = map.query_heads_per_cell;
    let selected = |cell: Cell| is_selected(view, per_cell, cell);
    let struck = |(layer, head): Cell| map.unresolved.get(layer * map.heads + head) == Some(&true);
    let equal = |(layer, head): Cell| map.equivalent.get(layer * map.heads + head) == Some(&true);
    let quantity = match map.difference {
        true => format!("difference in {}", map.number.label()),
        false => map.number.label().to_owned(),
    };
    let matrix = Matrix {
        id: Id::unique("head map"),
        name: "Layer by head map".to_owned(),
        rows: map.layers,
        columns: map.heads,
        cells: Cells::Values {
            values: &map.values,
            map: if map.difference {
                ColorMap::Diverging
            } else {
                ColorMap::Sequential
            },
            bar: Some(&quantity),
            highest: map.highest,
        },
        version: map.version,
        axes: Some(["Layer", column_axis(per_cell)]),
        ticks: [&|number| number.to_string(); 2],
        diagonal: false,
        marks: Marks {
            hatched: &|cell| map.is_undefined(cell),
            equal: &equal,
            ..marks(view, per_cell, &selected, &struck)
        },
    };
    let answer = matrix.show(ui, view.theme);
    answer_ui(&answer, view, per_cell, commands);
    if let Some(cell) = answer.hovered {
        answer.response.on_hover_ui_at_pointer(|ui| {
            hover_ui(ui, view, map, cell);
        });
    }
}

/// How many heads a difference over samples speaks for the first window, for the second, for neither, or says nothing of.
fn verdicts_ui(ui: &mut Ui, view: &View<'_>, map: &HeadMap) {
    if map.unresolved.is_empty() {
        return;
    }
    let heads = map.values.iter().zip(&map.unresolved).enumerate();
    let (mut first, mut second, mut equal, mut open) = (0, 0, 0, 0);
    for (index, (value, unresolved)) in heads.filter(|(_, (value, _))| !value.is_nan()) {
        match map.equivalent.get(index) {
            Some(true) => equal += 1,
            _ if *unresolved => open += 1,
            _ if *value > 0.0 => first += 1,
            _ => second += 1,
        }
    }
    let equal = view
        .settings
        .choices
        .margin
        .map_or(String::new(), |margin| {
            format!("{equal} equal within {margin}, ")
        });
    ui.weak(format!(
        "{first} heads above, {second} below, {equal}{open} not resolved"
    ))
    .on_hover_text(
        "Equals sign: the whole paired 95 % interval lies within the margin, so the windows are as good as each other \
         there. Struck through: the samples do not tell",
    );
}

fn column_axis(query_heads_per_cell: usize) -> &'static str {
    if query_heads_per_cell > 1 {
        "Key/value head"
    } else {
        "Head"
    }
}

fn is_selected(view: &View<'_>, query_heads_per_cell: usize, cell: Cell) -> bool {
    let chosen = &view.settings.choices.heads;
    let mut heads = addresses(query_heads_per_cell, cell).into_iter();
    heads.any(|head| chosen.contains(&head))
}

/// Selection, pin and what another view points at, as cells of this map.
fn marks<'a>(
    view: &View<'_>,
    query_heads_per_cell: usize,
    selected: &'a dyn Fn(Cell) -> bool,
    struck: &'a dyn Fn(Cell) -> bool,
) -> Marks<'a> {
    let cell = |head: HeadAddress| (head.layer, head.head / query_heads_per_cell.max(1));
    Marks {
        selected,
        struck,
        equal: &|_| false,
        hatched: &|_| false,
        pinned: view.settings.choices.pinned.map(cell),
        glowing: view.hover.head.map(cell),
    }
}

/// What a click, a brush or the pointer does, in every kind of map.
fn answer_ui(
    answer: &MatrixResponse,
    view: &View<'_>,
    query_heads_per_cell: usize,
    commands: &mut Commands,
) {
    if let Some((cells, modifiers)) = &answer.picked {
        let heads = cells
            .iter()
            .flat_map(|cell| addresses(query_heads_per_cell, *cell))
            .collect();
        let adds = modifiers.command || modifiers.shift;
        let change = match (adds, cells.len()) {
            (false, _) => SelectionChange::Replace,
            (true, 1) if answer.response.clicked() => SelectionChange::Toggle,
            (true, _) => SelectionChange::Add,
        };
        commands.send(LookCommand::SelectHeads { heads, change });
    }
    let first_of = |cell: Cell| addresses(query_heads_per_cell, cell).first().copied();
    if let Some(cell) = answer.pinned {
        let head = first_of(cell);
        let is_it = view.settings.choices.pinned == head;
        commands.send(LookCommand::Pin(head.filter(|_| !is_it)));
    }
    if let Some(cell) = answer.hovered {
        commands.hover.head = first_of(cell);
    }
}

fn hover_ui(ui: &mut Ui, view: &View<'_>, map: &HeadMap, cell: Cell) {
    let (layer, head) = cell;
    let index = layer * map.heads + head;
    ui.strong(format!("Layer {layer}, head {head}"));
    ui.label(format!("{} · {}", map.title, map.number.label()));
    let value = map.values.get(index).copied();
    match value {
        Some(value) if value.is_finite() => {
            let text = match (map.difference, map.ceilings.get(index)) {
                (true, _) => signed(value, 3),
                (false, Some(ceiling)) => format!("{value:.3} of {ceiling:.3}"),
                (false, None) => format!("{value:.3}"),
            };
            ui.monospace(text);
        }
        _ if matches!(map.number, HeadNumber::Profile(_)) => {
            ui.label("undefined: the head has no such neighbour, or too little to tell it by");
        }
        _ if map.number == HeadNumber::NeededAttention => {
            ui.label("undefined: which tokens the answer needs is not known");
        }
        _ => {
            ui.label(undefined_text(view, &map.rankable_tokens, layer));
        }
    }
    forced_ui(ui, view, map);
    match (view.settings.choices.margin, map.equivalent.get(index)) {
        (Some(margin), Some(true)) => {
            ui.label(format!("as good as each other within {margin}"));
        }
        _ if map.unresolved.get(index) == Some(&true) => {
            ui.label("not resolved over the samples");
        }
        _ => {}
    }
    ui.weak("Click selects, right-click pins");
}

/// How much of a hit rate is no merit of the window.
fn forced_ui(ui: &mut Ui, view: &View<'_>, map: &HeadMap) {
    let windows = view
        .shown()
        .map_or(&[][..], |(_, shown)| &shown.sample.windows);
    let window = windows.iter().find(|window| window.label == map.title);
    if let Some(window) = window.filter(|_| map.number == HeadNumber::Metric(Metric::HitRate)) {
        ui.label(forced_text(window, view.derived.budget_tokens()));
    }
}

/// Why a cell of a layer has no number.
fn undefined_text(view: &View<'_>, rankable_tokens: &[usize], layer: usize) -> String {
    let budget = view.derived.budget_tokens();
    if let Some(words) = unknown_budget(view, budget) {
        return words;
    }
    match rankable_tokens.get(layer) {
        Some(tokens) if budget >= *tokens => {
            format!("undefined: the layer sees only {tokens} tokens")
        }
        Some(_) => "undefined: the layer sees none of the needed tokens".to_owned(),
        None => "undefined in at least one of the samples".to_owned(),
    }
}

/// Why the chosen window knows nothing of a budget, if it does not.
fn unknown_budget(view: &View<'_>, budget: usize) -> Option<String> {
    let (_, shown) = view.shown()?;
    let label = view.derived.window.as_ref()?;
    let window = shown
        .sample
        .windows
        .iter()
        .find(|window| window.label == *label)?;
    let known: Vec<String> = window
        .at_budgets
        .iter()
        .map(|(tokens, _)| tokens.to_string())
        .collect();
    window.at(budget).is_none().then(|| {
        format!(
            "undefined: {label} looked ahead for {} tokens alone",
            known.join(", ")
        )
    })
}

/// The query heads that a cell stands for.
fn addresses(query_heads_per_cell: usize, (layer, head): Cell) -> Vec<HeadAddress> {
    let share = query_heads_per_cell.max(1);
    (head * share..(head + 1) * share)
        .map(|head| HeadAddress { layer, head })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shared_head_stands_for_its_query_heads() {
        let heads: Vec<usize> = addresses(4, (1, 1)).iter().map(|head| head.head).collect();
        assert_eq!(heads, [4, 5, 6, 7]);
    }
}
