//! The views: functions from what is known to pixels, which answer with commands.
//!
//! A view reads, never writes, and computes nothing that the analysis crate could.

pub mod attention;
pub mod browser;
pub mod budget_bar;
pub mod capture;
pub mod complementarity;
pub mod cost;
pub mod decode_cache;
pub mod drift;
pub mod evidence;
pub mod export;
pub mod fidelity;
pub mod front;
pub mod head_map;
pub mod heads;
pub mod help;
pub mod inspector;
pub mod legend;
pub mod lesson;
pub mod log;
pub mod menu;
pub mod needle;
pub mod palette;
pub mod pane_view;
pub mod player;
pub mod profile;
mod prompt_picker;
pub mod queries;
pub mod question_state;
pub mod rank_agreement;
pub mod recall;
pub mod recall_layers;
pub mod recipes;
pub mod running;
pub mod samples;
pub mod scoring;
pub mod shortcuts;
mod task_options;
pub mod token_rows;
pub mod tokens;
pub mod top_bar;
pub mod welcome;

use std::collections::BTreeSet;

use egui::Ui;

use super::command::Hover;
use super::data::{Data, OpenedSession, Shown};
use super::derived::Derived;
use super::in_force::in_force;
use super::layout::Pane;
use super::lessons::OpenLesson;
use super::state::Settings;
use super::theme::Theme;
use super::widgets::together::phrase;
pub use pane_view::{NearestFigure, Need, PaneView, ReadNumbers};

/// Every view in the order of the menus.
pub const VIEWS: &[Pane] = &[
    Pane::RECALL,
    Pane::HEAD_MAP,
    Pane::HEADS,
    Pane::PROFILE,
    Pane::ATTENTION,
    Pane::RANK_AGREEMENT,
    Pane::COMPLEMENTARITY,
    Pane::DRIFT,
    Pane::DECODE_CACHE,
    Pane::QUERIES,
    Pane::FIDELITY,
    Pane::COST,
    Pane::NEEDLE,
    Pane::EVIDENCE,
    Pane::TOKENS,
    Pane::PLAYER,
    Pane::INSPECTOR,
    Pane::SAMPLES,
    Pane::SCORING,
    Pane::LOG,
];

/// Everything that a view may read.
pub struct View<'a> {
    /// What is looked at, and what the next capture will do.
    pub settings: &'a Settings,
    /// What was loaded.
    pub data: &'a Data,
    /// What follows from both.
    pub derived: &'a Derived,
    /// The same of the session beside, if one is open.
    pub beside: Option<&'a Derived>,
    /// Colours.
    pub theme: &'a Theme,
    /// Panes that are in the layout.
    pub panes: &'a BTreeSet<Pane>,
    /// What the pointer was on in the frame before.
    pub hover: &'a Hover,
    /// A token that the text has to bring into view now.
    pub scroll_to: Option<usize>,
    /// The lesson that is given.
    pub lesson: Option<&'a OpenLesson>,
    /// Whether the views show what its step wants.
    pub is_lesson_set: bool,
    /// Whether undo has somewhere to go.
    pub can_undo: bool,
    /// Whether redo has somewhere to go.
    pub can_redo: bool,
}

impl View<'_> {
    /// What `read` finds while nothing is open and nothing was chosen.
    pub fn with_nothing_open<T>(read: impl FnOnce(&View<'_>) -> T) -> T {
        read(&View {
            settings: &Settings::default(),
            data: &Data::default(),
            derived: &Derived::default(),
            beside: None,
            theme: Theme::of(&egui::Visuals::dark()),
            panes: &BTreeSet::new(),
            hover: &Hover::default(),
            scroll_to: None,
            lesson: None,
            is_lesson_set: false,
            can_undo: false,
            can_redo: false,
        })
    }

    /// The open session with a sample on show; what most views need before they can draw.
    #[must_use]
    pub fn shown(&self) -> Option<(&OpenedSession, &Shown)> {
        let session = self.data.session.as_ref()?;
        Some((session, session.shown.as_ref()?))
    }
}

/// What a table or a form takes of a presentation's height beside a plot.
const SCROLLED_SHARE: f32 = 0.5;

/// What the numbers of a view were measured by; what it means on hovering.
pub fn in_force_ui(ui: &mut Ui, view: &View<'_>) {
    if let Some((_, shown)) = view.shown() {
        phrase(ui, &in_force(&shown.options)).on_hover_text(shown.options.compared());
    }
}

/// What stands where a view has nothing to draw: one sentence that says the next step.
pub fn empty_hint(ui: &mut Ui, text: &str) {
    let room = ui.available_size();
    let font = egui::TextStyle::Body.resolve(ui.style());
    let color = ui.visuals().weak_text_color();
    let lines = ui.painter().layout(text.to_owned(), font, color, room.x);
    ui.vertical_centered(|ui| {
        ui.add_space(((room.y - lines.size().y) / 2.0).max(0.0));
        ui.weak(text);
    });
}

/// What is said where needed tokens are asked for and the prompt on show has none.
const NO_NEEDED_TOKENS: &str = "The data do not say which tokens the answer to this prompt needs";

/// Whether the prompt on show has no needed tokens, so that there is no number of them.
pub fn lacks_needed_tokens(view: &View<'_>) -> bool {
    let shown = view.shown();
    shown.is_some_and(|(_, shown)| shown.sample.record.evidence_tokens.is_empty())
}

/// The sample on show, if there is one with windows; else the hint, or what the session lacks.
fn shown_with_windows<'a>(ui: &mut Ui, view: &'a View<'_>, hint: &str) -> Option<&'a Shown> {
    let text = match view.shown() {
        None => hint,
        Some((_, shown)) if shown.sample.windows.is_empty() => {
            "This session has no windows; capture with --windows"
        }
        Some((_, shown)) => return Some(shown),
    };
    empty_hint(ui, text);
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gui::question_choices::DriftPart;
    use crate::gui::state::{Choices, MapKind, MapScope};
    use crate::jobs::figure::KindChoice;

    #[test]
    fn no_two_views_have_a_name_or_a_title_in_common() {
        for (index, pane) in VIEWS.iter().enumerate() {
            for other in VIEWS.iter().skip(index + 1) {
                assert_ne!(pane.name(), other.name());
                assert_ne!(pane.title(), other.title());
            }
            assert_eq!(Pane::named(pane.name()), Some(*pane));
        }
    }

    #[test]
    fn the_figure_is_of_the_part_that_the_view_shows() {
        let mut choices = Choices::default();
        let nearest = Pane::DRIFT.view().figure().unwrap();
        for (part, kind) in [
            (DriftPart::Steps, KindChoice::DecodeStep),
            (DriftPart::Horizons, KindChoice::Horizon),
            (DriftPart::Places, KindChoice::Place),
        ] {
            choices.drift.part = part;
            assert_eq!(nearest(&choices).kind, kind);
        }
        let map = Pane::HEAD_MAP.view().figure().unwrap();
        assert!(!map(&choices).all_samples);
        choices.map_scope = MapScope::Session;
        assert!(map(&choices).all_samples);
        choices.map_kind = MapKind::Beside;
        assert!(!map(&choices).all_samples, "of one sample in each session");
        assert!(Pane::LOG.view().figure().is_none());
    }

    #[test]
    fn every_view_has_a_figure_or_its_help_says_why_it_has_none() {
        for pane in VIEWS {
            let says_none = pane
                .view()
                .help()
                .contains("There is no figure to export: ");
            let has_figure = pane.view().figure().is_some();
            assert!(has_figure != says_none, "{}", pane.name());
        }
    }

    #[test]
    fn only_what_is_shown_is_asked_for() {
        let mut choices = Choices::default();
        let needs = |pane: Pane, choices: &Choices| pane.view().needs(choices).to_vec();
        assert_eq!(needs(Pane::RECALL, &choices), [Need::Curves]);
        choices.by_layer = true;
        let layers = [Need::Curves, Need::LayerCurves];
        assert_eq!(needs(Pane::RECALL, &choices), layers);
        choices.drift.part = DriftPart::Places;
        assert_eq!(needs(Pane::DRIFT, &choices), [Need::Places]);
        assert_eq!(needs(Pane::LOG, &choices), []);
    }
}
