//! The docked panes and where they stand at first.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};

use egui_tiles::{Container, Linear, LinearDir, Tile, TileId, Tiles, Tree};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::views::{PaneView, VIEWS};

/// A view that can be docked. Layouts, scripts and settings write it as its name.
///
/// Each view's file adds its constant, such as [`Pane::RECALL`].
#[derive(Clone, Copy)]
pub struct Pane(&'static dyn PaneView);

impl Pane {
    /// The pane of a view.
    pub(in crate::gui) const fn of(view: &'static dyn PaneView) -> Self {
        Self(view)
    }

    /// Every pane in the order of the menu.
    pub fn all() -> impl Iterator<Item = Self> {
        VIEWS.iter().copied()
    }

    /// The pane of a name, if there is such a view.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::all().find(|pane| pane.name() == name)
    }

    /// What draws it.
    pub(in crate::gui) fn view(self) -> &'static dyn PaneView {
        self.0
    }

    /// Its name in layouts and scripts.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.0.name()
    }

    /// Title of the tab.
    #[must_use]
    pub fn title(self) -> &'static str {
        self.0.title()
    }
}

impl fmt::Debug for Pane {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

impl PartialEq for Pane {
    fn eq(&self, other: &Self) -> bool {
        self.name() == other.name()
    }
}

impl Eq for Pane {}

impl PartialOrd for Pane {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Pane {
    fn cmp(&self, other: &Self) -> Ordering {
        self.name().cmp(other.name())
    }
}

impl Hash for Pane {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name().hash(state);
    }
}

impl Serialize for Pane {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for Pane {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        Self::named(&name).ok_or_else(|| {
            let known: Vec<&str> = Self::all().map(Self::name).collect();
            D::Error::custom(format!(
                "no view is called {name:?}; there are {}",
                known.join(", ")
            ))
        })
    }
}

/// The panes in their places; serialised with the settings.
#[derive(Clone, Serialize, Deserialize)]
pub struct Layout {
    tree: Tree<Pane>,
    /// The pane that was last brought to the front.
    #[serde(skip)]
    front: Option<Pane>,
    /// A pane whose tab is still to be scrolled into sight.
    #[serde(skip)]
    pub(in crate::gui) unseen: Option<Pane>,
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
        let mut layout = Self {
            tree: Tree::new(egui::Id::unique("kvlens panes"), root, tiles),
            front: None,
            unseen: None,
        };
        for pane in Pane::all() {
            layout.add(pane);
        }
        layout
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

    /// The panes in front of their tabs.
    #[must_use]
    pub fn visible(&self) -> Vec<Pane> {
        let tiles = self.tree.active_tiles();
        let pane = |id: &TileId| match self.tree.tiles.get(*id) {
            Some(Tile::Pane(pane)) => Some(*pane),
            _ => None,
        };
        tiles.iter().filter_map(pane).collect()
    }

    /// The panes in front of their tabs, first the one that was last brought there.
    #[must_use]
    pub fn latest_first(&self) -> Vec<Pane> {
        let mut panes = self.visible();
        panes.sort_by_key(|pane| Some(*pane) != self.front);
        panes
    }

    /// Closes a pane, or brings it back as a tab beside the others.
    pub fn toggle(&mut self, pane: Pane) {
        if let Some(tile) = self.tree.tiles.find_pane(&pane) {
            self.tree.remove_recursively(tile);
        } else {
            self.show(pane);
        }
    }

    /// Puts a pane behind the tabs of others, unless it is somewhere.
    fn add(&mut self, pane: Pane) {
        if self.has(pane) {
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
    }

    /// Brings the tab of a pane to the front, and back if it was closed.
    pub fn show(&mut self, pane: Pane) {
        self.add(pane);
        self.front = Some(pane);
        self.unseen = Some(pane);
        self.tree
            .make_active(|_, tile| matches!(tile, Tile::Pane(shown) if *shown == pane));
    }
}

/// Curves and map above the tokens; numbers and tables at the right.
fn explore(tiles: &mut Tiles<Pane>) -> TileId {
    let recall = tabs(
        tiles,
        &[
            Pane::RECALL,
            Pane::RANK_AGREEMENT,
            Pane::COMPLEMENTARITY,
            Pane::COST,
        ],
    );
    let map = tabs(
        tiles,
        &[
            Pane::HEAD_MAP,
            Pane::HEADS,
            Pane::PROFILE,
            Pane::ATTENTION,
            Pane::NEEDLE,
        ],
    );
    let tokens = tabs(
        tiles,
        &[
            Pane::TOKENS,
            Pane::PLAYER,
            Pane::DRIFT,
            Pane::DECODE_CACHE,
            Pane::QUERIES,
            Pane::FIDELITY,
            Pane::EVIDENCE,
        ],
    );
    let inspector = tabs(tiles, &[Pane::INSPECTOR]);
    let tables = tabs(tiles, &[Pane::SAMPLES, Pane::SCORING, Pane::LOG]);
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
    let recall = tabs(tiles, &[Pane::RECALL]);
    let map = tabs(
        tiles,
        &[Pane::HEAD_MAP, Pane::HEADS, Pane::PROFILE, Pane::NEEDLE],
    );
    let ranks = tabs(
        tiles,
        &[
            Pane::RANK_AGREEMENT,
            Pane::COMPLEMENTARITY,
            Pane::DRIFT,
            Pane::DECODE_CACHE,
            Pane::QUERIES,
            Pane::ATTENTION,
        ],
    );
    let cost = tabs(
        tiles,
        &[Pane::COST, Pane::FIDELITY, Pane::EVIDENCE, Pane::INSPECTOR],
    );
    let below = tabs(
        tiles,
        &[
            Pane::SAMPLES,
            Pane::TOKENS,
            Pane::PLAYER,
            Pane::SCORING,
            Pane::LOG,
        ],
    );
    let upper = split(tiles, LinearDir::Horizontal, &[(recall, 1.2), (map, 1.0)]);
    let lower = split(tiles, LinearDir::Horizontal, &[(ranks, 1.0), (cost, 1.0)]);
    split(
        tiles,
        LinearDir::Vertical,
        &[(upper, 1.2), (lower, 1.0), (below, 0.6)],
    )
}

/// The text over the whole width, one plot beside it. The numbers are behind the samples, where they give away no
/// answer to what a lesson asks.
fn teach(tiles: &mut Tiles<Pane>) -> TileId {
    let tokens = tabs(
        tiles,
        &[
            Pane::TOKENS,
            Pane::PLAYER,
            Pane::DRIFT,
            Pane::DECODE_CACHE,
            Pane::QUERIES,
            Pane::FIDELITY,
            Pane::COST,
            Pane::EVIDENCE,
        ],
    );
    let plot = tabs(
        tiles,
        &[
            Pane::RECALL,
            Pane::ATTENTION,
            Pane::HEAD_MAP,
            Pane::HEADS,
            Pane::PROFILE,
            Pane::NEEDLE,
            Pane::RANK_AGREEMENT,
            Pane::COMPLEMENTARITY,
        ],
    );
    let numbers = tabs(
        tiles,
        &[Pane::SAMPLES, Pane::INSPECTOR, Pane::SCORING, Pane::LOG],
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
            for pane in Pane::all() {
                assert!(layout.has(pane), "{preset:?} lacks {pane:?}");
                layout.toggle(pane);
                assert!(!layout.has(pane));
            }
            for pane in Pane::all() {
                layout.toggle(pane);
                assert!(layout.has(pane));
            }
        }
    }

    #[test]
    fn the_view_that_was_last_brought_to_the_front_comes_first() {
        let mut layout = Layout::default();
        assert_eq!(layout.latest_first(), layout.visible());
        layout.show(Pane::DRIFT);
        let shown = layout.latest_first();
        assert_eq!(shown.first(), Some(&Pane::DRIFT));
        assert_eq!(shown.len(), layout.visible().len());
        // another tab in its place
        layout.show(Pane::TOKENS);
        assert_eq!(layout.latest_first().first(), Some(&Pane::TOKENS));
        assert!(!layout.latest_first().contains(&Pane::DRIFT));
    }

    #[test]
    fn a_layout_survives_being_written_down() {
        let mut layout = Layout::default();
        layout.toggle(Pane::LOG);
        let text = serde_json::to_string(&layout).unwrap();
        let read: Layout = serde_json::from_str(&text).unwrap();
        assert!(!read.has(Pane::LOG));
        assert!(read.has(Pane::TOKENS));
    }
}
