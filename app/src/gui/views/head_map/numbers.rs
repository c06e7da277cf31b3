//! The cells of the maps as a table.

use crate::gui::derived::HeadMap;
use crate::gui::numbers::{Table, number, optional};
use crate::gui::state::MapKind;
use crate::gui::views::View;

/// A line for every cell of what is shown.
pub(super) fn numbers(view: &View<'_>) -> Option<Table> {
    view.shown()?;
    let derived = view.derived;
    match view.settings.choices.map_kind {
        MapKind::Window | MapKind::Needed | MapKind::Profile => Some(cells(&[derived.map()?])),
        MapKind::InB => Some(cells(&[view.beside?.map()?])),
        MapKind::Beside => Some(cells(&[derived.map_between()?])),
        MapKind::SideBySide => Some(cells(&derived.side_by_side().iter().collect::<Vec<_>>())),
        MapKind::Winner => {
            let map = derived.winner_map()?;
            let header = [
                "layer",
                "head",
                "winner",
                "mean",
                "margin",
                "resolved",
                "equivalent",
            ];
            let margin = view.settings.choices.margin;
            let mut table = Table::new(&header);
            for (index, winner) in map.winners.iter().enumerate() {
                let winner = winner.as_ref();
                let label = winner.and_then(|winner| map.windows.get(winner.winner));
                table.line(&[
                    (index / map.heads).to_string(),
                    (index % map.heads).to_string(),
                    optional(label),
                    optional(winner.map(|winner| winner.mean)),
                    optional(winner.map(|winner| winner.margin)),
                    optional(winner.filter(|_| map.tested).map(|winner| winner.resolved)),
                    optional(
                        winner
                            .filter(|_| map.tested)
                            .zip(margin)
                            .map(|(winner, margin)| winner.is_equivalent(margin)),
                    ),
                ]);
            }
            Some(table)
        }
    }
}

fn cells(maps: &[&HeadMap]) -> Table {
    let mut table = Table::new(&[
        "map",
        "layer",
        "head",
        "value",
        "ceiling",
        "resolved",
        "equivalent",
    ]);
    for map in maps {
        for (index, value) in map.values.iter().enumerate() {
            let unresolved = map.unresolved.get(index);
            table.line(&[
                map.title.clone(),
                (index / map.heads.max(1)).to_string(),
                (index % map.heads.max(1)).to_string(),
                number(*value),
                map.ceilings
                    .get(index)
                    .map_or(String::new(), |value| number(*value)),
                unresolved.map_or(String::new(), |unresolved| (!unresolved).to_string()),
                optional(map.equivalent.get(index)),
            ]);
        }
    }
    table
}
