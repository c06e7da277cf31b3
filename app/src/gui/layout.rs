//! The docked panes and where they stand at first.

use egui_tiles::{Container, Linear, LinearDir, Tile, TileId, Tiles, Tree};
use serde::{Deserialize, Serialize};

/// The views that can be docked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Pane {
    /// Curves over the budget.
    Recall,
    /// Layers by heads.
    HeadMap,
    /// Decode steps and window rows by prompt tokens.
    Attention,
    /// The oracle's rank against the window's.
    RankAgreement,
    /// Recall over decode steps, and by the place of a window.
    Drift,
    /// Windows' queries against those of the decode stage.
    Queries,
    /// What eviction does to the output.
    Fidelity,
    /// What each window costs.
    Cost,
    /// The prompt as text.
    Tokens,
    /// Numbers of the selection.
    Inspector,
    /// The session's samples.
    Samples,
    /// How importance is scored.
    Scoring,
    /// Messages.
    Log,
}

impl Pane {
    /// Every pane in the order of the menu.
    pub const ALL: [Self; 13] = [
        Self::Recall,
        Self::HeadMap,
        Self::Attention,
        Self::RankAgreement,
        Self::Drift,
        Self::Queries,
        Self::Fidelity,
        Self::Cost,
        Self::Tokens,
        Self::Inspector,
        Self::Samples,
        Self::Scoring,
        Self::Log,
    ];

    /// Title of the tab.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::Recall => "Recall vs budget",
            Self::HeadMap => "Layer × head map",
            Self::Attention => "Attention",
            Self::RankAgreement => "Rank agreement",
            Self::Drift => "Drift",
            Self::Queries => "Query similarity",
            Self::Fidelity => "Fidelity",
            Self::Cost => "Cost",
            Self::Tokens => "Tokens",
            Self::Inspector => "Inspector",
            Self::Samples => "Samples",
            Self::Scoring => "Scoring",
            Self::Log => "Log",
        }
    }
}

/// The panes in their places; serialised with the settings.
#[derive(Clone, Serialize, Deserialize)]
pub struct Layout {
    tree: Tree<Pane>,
}

/// Places of the panes for a kind of work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Preset {
    /// Everything at hand.
    Explore,
    /// Curves and maps large.
    Compare,
    /// The text large, for a class.
    Teach,
}

impl Preset {
    /// Every preset in the order of the menu.
    pub const ALL: [Self; 3] = [Self::Explore, Self::Compare, Self::Teach];

    /// Text of the menu.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::Explore => "Explore",
            Self::Compare => "Compare",
            Self::Teach => "Teach",
        }
    }
}

impl Default for Layout {
    fn default() -> Self {
        Self::of(Preset::Explore)
    }
}

impl Layout {
    /// The places of a preset.
    #[must_use]
    pub fn of(preset: Preset) -> Self {
        let mut tiles = Tiles::default();
        let root = match preset {
            Preset::Explore => explore(&mut tiles),
            Preset::Compare => compare(&mut tiles),
            Preset::Teach => teach(&mut tiles),
        };
        Self {
            tree: Tree::new(egui::Id::unique("kvlens panes"), root, tiles),
        }
    }

    /// The tree to draw.
    pub fn tree_mut(&mut self) -> &mut Tree<Pane> {
        &mut self.tree
    }

    /// Whether a pane is anywhere in the layout.
    #[must_use]
    pub fn has(&self, pane: Pane) -> bool {
        self.tree.tiles.find_pane(&pane).is_some()
    }

    /// Whether a pane is in front of its tabs.
    #[must_use]
    pub fn is_visible(&self, pane: Pane) -> bool {
        let is_it = |id: &TileId| matches!(self.tree.tiles.get(*id), Some(Tile::Pane(found)) if *found == pane);
        self.tree.active_tiles().iter().any(is_it)
    }

    /// Closes a pane, or brings it back as a tab beside the others.
    pub fn toggle(&mut self, pane: Pane) {
        if let Some(tile) = self.tree.tiles.find_pane(&pane) {
            self.tree.remove_recursively(tile);
            return;
        }
        let tile = self.tree.tiles.insert_pane(pane);
        let place = self
            .tree
            .tiles
            .iter()
            .filter(|(_, tile)| matches!(tile, Tile::Container(Container::Tabs(_))))
            .map(|(id, _)| *id)
            .max_by_key(|id| id.0);
        match (place, self.tree.root) {
            (Some(tabs), _) => self
                .tree
                .move_tile_to_container(tile, tabs, usize::MAX, false),
            (None, Some(root)) => {
                self.tree.root = Some(self.tree.tiles.insert_tab_tile(vec![root, tile]));
            }
            (None, None) => self.tree.root = Some(self.tree.tiles.insert_tab_tile(vec![tile])),
        }
        self.show(pane);
    }

    /// Brings the tab of a pane to the front, and back if it was closed.
    pub fn show(&mut self, pane: Pane) {
        if !self.has(pane) {
            self.toggle(pane);
        }
        self.tree
            .make_active(|_, tile| matches!(tile, Tile::Pane(shown) if *shown == pane));
    }
}

/// Curves and map above the tokens; numbers and tables at the right.
fn explore(tiles: &mut Tiles<Pane>) -> TileId {
    let recall = tabs(tiles, &[Pane::Recall, Pane::RankAgreement, Pane::Cost]);
    let map = tabs(tiles, &[Pane::HeadMap, Pane::Attention]);
    let tokens = tabs(
        tiles,
        &[Pane::Tokens, Pane::Drift, Pane::Queries, Pane::Fidelity],
    );
    let inspector = tabs(tiles, &[Pane::Inspector]);
    let tables = tabs(tiles, &[Pane::Samples, Pane::Scoring, Pane::Log]);
    let plots = split(tiles, LinearDir::Horizontal, &[(recall, 1.0), (map, 1.0)]);
    let centre = split(tiles, LinearDir::Vertical, &[(plots, 1.1), (tokens, 1.0)]);
    let right = split(
        tiles,
        LinearDir::Vertical,
        &[(inspector, 1.35), (tables, 1.0)],
    );
    split(tiles, LinearDir::Horizontal, &[(centre, 2.0), (right, 1.0)])
}

/// Four plots at once, everything else in tabs below.
fn compare(tiles: &mut Tiles<Pane>) -> TileId {
    let recall = tabs(tiles, &[Pane::Recall]);
    let map = tabs(tiles, &[Pane::HeadMap]);
    let ranks = tabs(
        tiles,
        &[
            Pane::RankAgreement,
            Pane::Drift,
            Pane::Queries,
            Pane::Attention,
        ],
    );
    let cost = tabs(tiles, &[Pane::Cost, Pane::Fidelity, Pane::Inspector]);
    let below = tabs(
        tiles,
        &[Pane::Samples, Pane::Tokens, Pane::Scoring, Pane::Log],
    );
    let upper = split(tiles, LinearDir::Horizontal, &[(recall, 1.2), (map, 1.0)]);
    let lower = split(tiles, LinearDir::Horizontal, &[(ranks, 1.0), (cost, 1.0)]);
    split(
        tiles,
        LinearDir::Vertical,
        &[(upper, 1.2), (lower, 1.0), (below, 0.6)],
    )
}

/// The text over the whole width, one plot beside it.
fn teach(tiles: &mut Tiles<Pane>) -> TileId {
    let tokens = tabs(
        tiles,
        &[Pane::Tokens, Pane::Drift, Pane::Queries, Pane::Fidelity],
    );
    let plot = tabs(
        tiles,
        &[
            Pane::Recall,
            Pane::Attention,
            Pane::HeadMap,
            Pane::RankAgreement,
        ],
    );
    let numbers = tabs(
        tiles,
        &[
            Pane::Inspector,
            Pane::Samples,
            Pane::Cost,
            Pane::Scoring,
            Pane::Log,
        ],
    );
    let right = split(tiles, LinearDir::Vertical, &[(plot, 1.4), (numbers, 1.0)]);
    split(tiles, LinearDir::Horizontal, &[(tokens, 1.5), (right, 1.0)])
}

fn tabs(tiles: &mut Tiles<Pane>, panes: &[Pane]) -> TileId {
    let children = panes.iter().map(|pane| tiles.insert_pane(*pane)).collect();
    tiles.insert_tab_tile(children)
}

fn split(tiles: &mut Tiles<Pane>, direction: LinearDir, parts: &[(TileId, f32)]) -> TileId {
    let mut linear = Linear::new(direction, parts.iter().map(|(tile, _)| *tile).collect());
    for (tile, share) in parts {
        linear.shares.set_share(*tile, *share);
    }
    tiles.insert_new(Tile::Container(Container::Linear(linear)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pane_can_be_closed_and_comes_back_in_every_preset() {
        for preset in Preset::ALL {
            let mut layout = Layout::of(preset);
            for pane in Pane::ALL {
                assert!(layout.has(pane), "{preset:?} lacks {pane:?}");
                layout.toggle(pane);
                assert!(!layout.has(pane));
            }
            for pane in Pane::ALL {
                layout.toggle(pane);
                assert!(layout.has(pane));
            }
        }
    }

    #[test]
    fn a_layout_survives_being_written_down() {
        let mut layout = Layout::default();
        layout.toggle(Pane::Log);
        let text = serde_json::to_string(&layout).unwrap();
        let read: Layout = serde_json::from_str(&text).unwrap();
        assert!(!read.has(Pane::Log));
        assert!(read.has(Pane::Tokens));
    }
}
