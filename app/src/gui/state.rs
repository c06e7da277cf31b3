//! What the workbench remembers: plain data that can be saved, loaded and compared.
//!
//! Apart from it stand the data that were loaded or computed ([`super::data`]) and the values that
//! follow from both ([`super::derived`]). Nothing here knows egui's widgets or the model.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use kvlens_analysis::profile::ProfileNumber;
use kvlens_analysis::{Budget, Metric};
use serde::{Deserialize, Serialize};

use super::capture_settings::CaptureSettings;
use super::export::ExportSettings;
use super::head_numbers::HeadNumber;
use super::question_choices::{
    DecodeCacheChoices, DriftChoices, EvidencePart, FidelityChoices, QueryPart,
};
use super::recipes::RecipeSettings;
use crate::measurement::MeasureOptions;

/// How many entries the lists of recent sessions and models keep.
const RECENT_SESSIONS: usize = 10;

/// One query head of the model. Windows that score per key/value head or per layer are looked up by
/// the query heads that they stand for, so that one selection serves all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct HeadAddress {
    /// Layer, counted from the embedding.
    pub layer: usize,
    /// Query head within the layer.
    pub head: usize,
}

/// What a click on heads does to the selection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SelectionChange {
    /// The heads become the selection.
    Replace,
    /// The heads join the selection.
    Add,
    /// The heads join, or leave if all of them were in.
    Toggle,
}

/// What the map of layers by heads shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum MapKind {
    /// One window, or its difference to another.
    #[default]
    Window,
    /// Every visible window in a map of its own.
    SideBySide,
    /// The window that is best in each head.
    Winner,
    /// One window minus the same of the session beside.
    Beside,
    /// One window of the session beside.
    InB,
    /// The decode stage's attention on the tokens that the answer needs, whatever the window.
    Needed,
    /// What every head is like, whatever the window.
    Profile,
}

impl MapKind {
    /// Every choice in the order of the chooser.
    pub const ALL: [Self; 7] = [
        Self::Window,
        Self::SideBySide,
        Self::Winner,
        Self::Beside,
        Self::InB,
        Self::Needed,
        Self::Profile,
    ];

    /// Text of the chooser.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Window => "One window",
            Self::SideBySide => "Side by side",
            Self::Winner => "Winner",
            Self::Beside => "A − B",
            Self::InB => "B",
            Self::Needed => "Attention on needed",
            Self::Profile => "Head profile",
        }
    }
}

/// The order of the list of heads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeadSort {
    /// What they are sorted by.
    pub by: HeadNumber,
    /// Whether the highest number comes first.
    pub highest_first: bool,
}

impl Default for HeadSort {
    fn default() -> Self {
        Self {
            by: HeadNumber::NeededAttention,
            highest_first: true,
        }
    }
}

/// What the map of layers by heads is over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum MapScope {
    /// The sample on show.
    #[default]
    Sample,
    /// All finished samples of the session.
    Session,
}

/// What the curves over the budget are over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum CurvesOver {
    /// The heads of the sample on show.
    #[default]
    Sample,
    /// The samples with the task and the place of the question of the one on show.
    Group,
    /// All finished samples of the session.
    Session,
}

impl CurvesOver {
    /// Every choice in the order of the chooser.
    pub const ALL: [Self; 3] = [Self::Sample, Self::Group, Self::Session];

    /// Text of the chooser.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Sample => "This sample",
            Self::Group => "Its group",
            Self::Session => "Whole session",
        }
    }
}

/// What colours the tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum TokenHeat {
    /// Importance by the decode stage.
    #[default]
    Oracle,
    /// Importance by the chosen window.
    Window,
    /// Oracle minus window, on the same scale.
    Difference,
}

impl TokenHeat {
    /// Every choice in the order of the chooser.
    pub const ALL: [Self; 3] = [Self::Oracle, Self::Window, Self::Difference];

    /// Text of the chooser.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Oracle => "Oracle",
            Self::Window => "Window",
            Self::Difference => "Oracle − window",
        }
    }
}

/// How importance becomes a colour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum HeatScale {
    /// 1 for the best token, falling with the logarithm of the rank: the same scale as the budget's.
    #[default]
    LogRank,
    /// Square root of the share of the largest importance.
    SquareRoot,
}

impl HeatScale {
    /// Every choice in the order of the chooser.
    pub const ALL: [Self; 2] = [Self::LogRank, Self::SquareRoot];

    /// Text of the chooser.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::LogRank => "Log rank",
            Self::SquareRoot => "Square root",
        }
    }
}

/// Light, dark, or what the desktop says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum ThemeChoice {
    /// What the desktop says.
    #[default]
    System,
    /// Dark.
    Dark,
    /// Light.
    Light,
}

impl ThemeChoice {
    /// Every choice in the order of the menu.
    pub const ALL: [Self; 3] = [Self::System, Self::Dark, Self::Light];

    /// Text of the menu.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::System => "Follow the system",
            Self::Dark => "Dark",
            Self::Light => "Light",
        }
    }
}

/// What is looked at: the choices that every view shares, and that undo goes back over.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Choices {
    /// Tokens that a head may keep, as it was asked for.
    pub budget: Budget,
    /// What curves and map show.
    pub metric: Metric,
    /// Selected heads; empty means all of them.
    pub heads: BTreeSet<HeadAddress>,
    /// The selected head that was clicked last; views of one head show it.
    pub primary: Option<HeadAddress>,
    /// A head that the others are held against.
    pub pinned: Option<HeadAddress>,
    /// What the map shows.
    pub map_kind: MapKind,
    /// What the map is over.
    pub map_scope: MapScope,
    /// The order of the list of heads.
    pub head_sort: HeadSort,
    /// Label of the window that map and tokens show; the session's first if it has no such window.
    pub window: Option<String>,
    /// Label of the window that the map subtracts.
    pub minus: Option<String>,
    /// Whether the curves stand layer by layer.
    pub by_layer: bool,
    /// What the curves are over where they stand together.
    pub curves_over: CurvesOver,
    /// Label of the window that the curves subtract.
    pub baseline: Option<String>,
    /// Labels of windows whose curves are hidden.
    pub hidden_windows: BTreeSet<String>,
    /// What the strongest colour of attention stands for, as a multiple of the 99th percentile of the weights.
    pub attention_scale: f64,
    /// The decode step that the player shows, from 0.
    pub decode_step: usize,
    /// What colours the tokens.
    pub token_heat: TokenHeat,
    /// How importance becomes a colour.
    pub heat_scale: HeatScale,
    /// How importance is scored, where that differs from the windows' published scoring.
    pub measure: MeasureOptions,
    /// What the drift view shows.
    pub drift: DriftChoices,
    /// What the view of the decoding cache shows.
    pub decode_cache: DecodeCacheChoices,
    /// Which queries the view of query similarity profiles.
    pub queries: QueryPart,
    /// How far apart windows may be over all samples to count as equally good, if they may at all.
    pub margin: Option<f64>,
    /// Which number of the heads' profiles map and scatter show.
    pub profile: ProfileNumber,
    /// What the view of needed tokens shows.
    pub evidence: EvidencePart,
    /// What the fidelity view shows and measures.
    pub fidelity: FidelityChoices,
}

impl Default for Choices {
    fn default() -> Self {
        Self {
            budget: Budget::Fraction(0.1),
            metric: Metric::Recall,
            heads: BTreeSet::new(),
            primary: None,
            pinned: None,
            map_kind: MapKind::default(),
            map_scope: MapScope::default(),
            head_sort: HeadSort::default(),
            window: None,
            minus: None,
            by_layer: false,
            curves_over: CurvesOver::default(),
            baseline: None,
            hidden_windows: BTreeSet::new(),
            attention_scale: 1.0,
            decode_step: 0,
            token_heat: TokenHeat::default(),
            heat_scale: HeatScale::default(),
            measure: MeasureOptions::default(),
            drift: DriftChoices::default(),
            decode_cache: DecodeCacheChoices::default(),
            queries: QueryPart::default(),
            margin: Some(0.02),
            profile: ProfileNumber::default(),
            evidence: EvidencePart::default(),
            fidelity: FidelityChoices::default(),
        }
    }
}

impl Choices {
    /// Changes the selected heads.
    pub fn select(&mut self, heads: &[HeadAddress], change: SelectionChange) {
        let all_in = heads.iter().all(|head| self.heads.contains(head));
        match change {
            SelectionChange::Replace => self.heads = heads.iter().copied().collect(),
            SelectionChange::Toggle if all_in => {
                for head in heads {
                    self.heads.remove(head);
                }
            }
            SelectionChange::Add | SelectionChange::Toggle => self.heads.extend(heads),
        }
        self.primary = heads.first().copied();
    }

    /// What the curves on show are over: layer by layer they are of one sample.
    #[must_use]
    pub fn shown_curves_over(&self) -> CurvesOver {
        match self.by_layer {
            true => CurvesOver::Sample,
            false => self.curves_over,
        }
    }

    /// What the map on show is over: that of two sessions, and attention itself, are of one sample.
    #[must_use]
    pub fn shown_scope(&self) -> MapScope {
        match self.map_kind {
            MapKind::Beside | MapKind::InB | MapKind::Needed | MapKind::Profile => MapScope::Sample,
            MapKind::Window | MapKind::SideBySide | MapKind::Winner => self.map_scope,
        }
    }

    /// What needs a second session goes with it.
    pub fn leave_beside(&mut self) {
        if matches!(self.map_kind, MapKind::Beside | MapKind::InB) {
            self.map_kind = MapKind::Window;
        }
    }

    /// The head that views of one head show: the one that was clicked last, or the first selected one.
    #[must_use]
    pub fn primary_head(&self) -> Option<HeadAddress> {
        let clicked = self.primary.filter(|head| self.heads.contains(head));
        clicked.or_else(|| self.heads.first().copied())
    }
}

/// Everything that is kept between two runs of the program, apart from the layout of the panes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Settings {
    /// What is looked at.
    pub choices: Choices,
    /// What the next capture will do.
    pub capture: CaptureSettings,
    /// What the next exported figure is.
    pub export: ExportSettings,
    /// Which recipe is run next.
    pub recipe: RecipeSettings,
    /// Light or dark.
    pub theme: ThemeChoice,
    /// Sessions that were opened, the latest first.
    pub recent: Vec<PathBuf>,
    /// Models that were captured with, as they were typed, the latest first.
    pub recent_models: Vec<String>,
    /// Whether the capture panel is folded away.
    pub hide_capture: bool,
}

impl Settings {
    /// Puts a session at the head of the list of recent ones.
    pub fn remember(&mut self, session: &Path) {
        self.recent.retain(|known| known != session);
        self.recent.insert(0, session.to_owned());
        self.recent.truncate(RECENT_SESSIONS);
    }

    /// Puts a model at the head of the list of recent ones.
    pub fn remember_model(&mut self, model: &str) {
        self.recent_models.retain(|known| known != model);
        self.recent_models.insert(0, model.to_owned());
        self.recent_models.truncate(RECENT_SESSIONS);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(layer: usize, head: usize) -> HeadAddress {
        HeadAddress { layer, head }
    }

    #[test]
    fn what_needs_a_second_session_goes_with_it() {
        for kind in MapKind::ALL {
            let mut choices = Choices {
                map_kind: kind,
                ..Choices::default()
            };
            choices.leave_beside();
            let expected = match kind {
                MapKind::Beside | MapKind::InB => MapKind::Window,
                kind => kind,
            };
            assert_eq!(choices.map_kind, expected);
        }
    }

    #[test]
    fn toggling_removes_heads_only_when_all_of_them_were_in() {
        let mut choices = Choices::default();
        choices.select(&[head(0, 0)], SelectionChange::Replace);
        choices.select(&[head(0, 0), head(0, 1)], SelectionChange::Toggle);
        assert_eq!(choices.heads, [head(0, 0), head(0, 1)].into());
        choices.select(&[head(0, 1)], SelectionChange::Toggle);
        assert_eq!(choices.heads, [head(0, 0)].into());
        choices.select(&[head(2, 3)], SelectionChange::Add);
        assert_eq!(choices.heads, [head(0, 0), head(2, 3)].into());
        choices.select(&[head(1, 1)], SelectionChange::Replace);
        assert_eq!(choices.heads, [head(1, 1)].into());
    }

    #[test]
    fn recent_sessions_are_distinct_and_the_latest_comes_first() {
        let mut settings = Settings::default();
        for index in 0..14 {
            settings.remember(Path::new(&format!("{}.kvlens", index % 12)));
        }
        assert_eq!(settings.recent.len(), RECENT_SESSIONS);
        assert_eq!(settings.recent[0], Path::new("1.kvlens"));
        assert_eq!(settings.recent[1], Path::new("0.kvlens"));
        assert_eq!(settings.recent[2], Path::new("11.kvlens"));
    }

    #[test]
    fn a_model_that_is_used_again_comes_first_again() {
        let mut settings = Settings::default();
        for model in ["demo", "org/name", "demo"] {
            settings.remember_model(model);
        }
        assert_eq!(settings.recent_models, ["demo", "org/name"]);
    }
}
