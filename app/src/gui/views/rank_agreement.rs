//! The oracle's rank against the window's: on the diagonal where they agree.

use egui::{Id, Ui};

use super::head_map::window_ui;
use super::{NearestFigure, Need, PaneView, ReadNumbers, View, empty_hint, in_force_ui};
use crate::gui::command::Commands;
use crate::gui::derived::RankAgreement;
use crate::gui::export::ShownFigure;
use crate::gui::layout::Pane;
use crate::gui::numbers::Table;
use crate::gui::state::Choices;
use crate::gui::theme::ColorMap;
use crate::gui::widgets::matrix::{Cell, Cells, Marks, Matrix};
use crate::jobs::figure::KindChoice;

impl Pane {
    /// The oracle's rank against the window's.
    pub const RANK_AGREEMENT: Self = Self::of(&RankAgreementView);
}

struct RankAgreementView;

impl PaneView for RankAgreementView {
    fn name(&self) -> &'static str {
        "RankAgreement"
    }

    fn title(&self) -> &'static str {
        "Rank agreement"
    }

    fn help(&self) -> &'static str {
        include_str!("../../../help/views/rank_agreement.md")
    }

    fn needs(&self, _choices: &Choices) -> &'static [Need] {
        &[Need::RankAgreement]
    }

    fn ui(&self, ui: &mut Ui, view: &View<'_>, commands: &mut Commands) {
        rank_agreement_ui(ui, view, commands);
    }

    fn numbers(&self) -> Option<ReadNumbers> {
        Some(numbers)
    }

    fn figure(&self) -> Option<NearestFigure> {
        Some(|_| ShownFigure::of_sample(KindChoice::RankDensity))
    }
}

fn rank_agreement_ui(ui: &mut Ui, view: &View<'_>, commands: &mut Commands) {
    let (Some((_, shown)), Some(ranks)) = (view.shown(), view.derived.rank_agreement()) else {
        let hint = match view.shown() {
            Some(_) => "Ranking the tokens",
            None => "Run a capture or open a session to see its ranks",
        };
        empty_hint(ui, hint);
        return;
    };
    let windows = shown.sample.windows.iter();
    let labels: Vec<&str> = windows.map(|window| window.label.as_str()).collect();
    ui.horizontal_wrapped(|ui| {
        window_ui(ui, "Window of the ranks", view, &labels, commands);
        let heads = match ranks.heads {
            1 => "1 head".to_owned(),
            heads => format!("{heads} heads"),
        };
        ui.weak(heads).on_hover_text(
            "Of the tokens that the decode stage ranks in a row, the share that the window ranks in a column. \
             Rank 1 is the most important token; both axes are logarithmic. The diagonal is agreement; \
             what lies right of it, the window ranks too low",
        );
        in_force_ui(ui, view);
    });
    let first_rank = |bin: usize| (ranks.density.ranks(bin).start + 1).to_string();
    let answer = Matrix {
        id: Id::unique("rank agreement"),
        name: "Rank agreement".to_owned(),
        rows: ranks.density.bins(),
        columns: ranks.density.bins(),
        cells: Cells::Values {
            values: &ranks.shares,
            map: ColorMap::Sequential,
            bar: Some("share of the row's tokens"),
            highest: 1.0,
        },
        version: ranks.version,
        axes: Some(["Rank by the decode stage", "Rank by the window"]),
        ticks: [&first_rank; 2],
        diagonal: true,
        marks: Marks::default(),
    }
    .show(ui, view.theme);
    if let Some(cell) = answer.hovered {
        answer
            .response
            .on_hover_ui_at_pointer(|ui| hover_ui(ui, ranks, cell));
    }
}

fn hover_ui(ui: &mut Ui, ranks: &RankAgreement, (row, column): Cell) {
    let text = |bin: usize| {
        let range = ranks.density.ranks(bin);
        match range.len() {
            1 => format!("{}", range.end),
            _ => format!("{} to {}", range.start + 1, range.end),
        }
    };
    ui.label(format!("Decode stage: rank {}", text(row)));
    ui.label(format!("Window: rank {}", text(column)));
    let share = ranks.shares.get(row * ranks.density.bins() + column);
    if let Some(share) = share.filter(|share| share.is_finite()) {
        ui.monospace(format!("{:.1} % of these tokens", 100.0 * share));
    }
}

/// The share of every pair of rank bins.
fn numbers(view: &View<'_>) -> Option<Table> {
    let ranks = view.derived.rank_agreement()?;
    let bins = ranks.density.bins();
    let mut table = Table::new(&[
        "decode_first_rank",
        "decode_last_rank",
        "window_first_rank",
        "window_last_rank",
        "share",
    ]);
    for (index, share) in ranks.shares.iter().enumerate() {
        let (row, column) = (
            ranks.density.ranks(index / bins),
            ranks.density.ranks(index % bins),
        );
        table.line(&[
            (row.start + 1).to_string(),
            row.end.to_string(),
            (column.start + 1).to_string(),
            column.end.to_string(),
            share.to_string(),
        ]);
    }
    Some(table)
}
