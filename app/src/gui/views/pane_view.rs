//! What a view is: its file holds one value of this trait and stands in the list [`VIEWS`].

use egui::Ui;

use super::View;
use crate::gui::command::Commands;
use crate::gui::export::ShownFigure;
use crate::gui::numbers::Table;
use crate::gui::state::Choices;

/// Reads what a view shows as a table; nothing where it shows no numbers now.
pub type ReadNumbers = fn(&View<'_>) -> Option<Table>;

/// The figure that is nearest to what a view shows.
pub type NearestFigure = fn(&Choices) -> ShownFigure;

/// What is made for a view while it is in sight, and only then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Need {
    /// Curves over the selected heads.
    Curves,
    /// Scores and ranks of the tokens, and what is kept of them.
    Tokens,
    /// Ranks of oracle and window against each other.
    RankAgreement,
    /// Curves over samples.
    OverSamples,
    /// Curves layer by layer.
    LayerCurves,
    /// The attention of one head.
    Attention,
    /// What stays in the cache of the head whose decoding is played.
    Player,
    /// Every number of every head.
    Heads,
    /// What every head is like.
    Profile,
    /// A number of the profile of every head against a metric.
    Scatter,
    /// What two windows find together.
    Complementarity,
    /// What becomes of the needed tokens at every budget.
    Evidence,
    /// Maps over all samples.
    SessionMaps,
    /// Recall over the decode steps.
    Drift,
    /// Recall by the place of a window.
    Places,
    /// Rankings of the cache while it decodes.
    DecodeCache,
    /// Cosines of the windows' queries.
    Queries,
    /// Means of what fidelity runs gave.
    Fidelity,
}

/// A view that can be docked.
pub trait PaneView: Sync {
    /// Its name in layouts and scripts, which must not change.
    fn name(&self) -> &'static str;

    /// Title of its tab, and its name in menus and palette.
    fn title(&self) -> &'static str;

    /// Its page of help, in Markdown; the links of its last section name terms of the glossary.
    fn help(&self) -> &'static str;

    /// What has to be made for it under these choices.
    fn needs(&self, _choices: &Choices) -> &'static [Need] {
        &[]
    }

    /// How much of a presentation's height it takes where it stands with another: a plot 1, and less what is scrolled.
    fn presented_share(&self) -> f32 {
        1.0
    }

    /// Draws it.
    fn ui(&self, ui: &mut Ui, view: &View<'_>, commands: &mut Commands);

    /// What reads its numbers, if it has some to copy.
    fn numbers(&self) -> Option<ReadNumbers> {
        None
    }

    /// What names its figure, if one can be exported.
    fn figure(&self) -> Option<NearestFigure> {
        None
    }
}
