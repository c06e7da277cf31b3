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
    pub const ALL: [Self; 7] = [
        Self::Recall,
        Self::HeadMap,
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

impl Default for Layout {
    /// Curves and map above the tokens; numbers and tables at the right.
    fn default() -> Self {
        let mut tiles = Tiles::default();
        let recall = tabs(&mut tiles, &[Pane::Recall]);
        let map = tabs(&mut tiles, &[Pane::HeadMap]);
        let tokens = tabs(&mut tiles, &[Pane::Tokens]);
        let inspector = tabs(&mut tiles, &[Pane::Inspector]);
        let tables = tabs(&mut tiles, &[Pane::Samples, Pane::Scoring, Pane::Log]);
        let plots = split(
            &mut tiles,
            LinearDir::Horizontal,
            &[(recall, 1.0), (map, 1.0)],
        );
        let centre = split(
            &mut tiles,
            LinearDir::Vertical,
            &[(plots, 1.1), (tokens, 1.0)],
        );
        let right = split(
            &mut tiles,
            LinearDir::Vertical,
            &[(inspector, 1.35), (tables, 1.0)],
        );
        let root = split(
            &mut tiles,
            LinearDir::Horizontal,
            &[(centre, 2.0), (right, 1.0)],
        );
        Self {
            tree: Tree::new(egui::Id::unique("kvlens panes"), root, tiles),
        }
    }
}

impl Layout {
    /// The tree to draw.
    pub fn tree_mut(&mut self) -> &mut Tree<Pane> {
        &mut self.tree
    }

    /// Whether a pane is anywhere in the layout.
    #[must_use]
    pub fn has(&self, pane: Pane) -> bool {
        self.tree.tiles.find_pane(&pane).is_some()
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

    /// Brings the tab of a pane to the front.
    pub fn show(&mut self, pane: Pane) {
        self.tree
            .make_active(|_, tile| matches!(tile, Tile::Pane(shown) if *shown == pane));
    }
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
    fn every_pane_can_be_closed_and_comes_back() {
        let mut layout = Layout::default();
        for pane in Pane::ALL {
            assert!(layout.has(pane));
            layout.toggle(pane);
            assert!(!layout.has(pane));
        }
        for pane in Pane::ALL {
            layout.toggle(pane);
            assert!(layout.has(pane));
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
