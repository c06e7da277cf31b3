//! Makes what the views in sight need, before they are drawn.

use std::collections::BTreeSet;

use super::Workbench;
use super::look::Look;
use crate::gui::data::{OpenedSession, Severity, Shown};
use crate::gui::derived::{Derived, Wanted};
use crate::gui::session_maps::GatheredKey;
use crate::gui::state::Choices;
use crate::gui::views::Need;

impl Workbench {
    pub(super) fn refresh(&mut self, context: &egui::Context) -> Look {
        let time = context.input(|input| input.time);
        let look = self.look();
        self.undoer.feed_state(time, &look);
        let needs = self.needs();
        self.pool.begin_frame();
        self.derive(&needs);
        for words in self.pool.take_faults() {
            let text = format!(
                "A value could not be computed, which is a fault of the program; what it shows is missing ({words})"
            );
            self.note(Severity::Error, text);
        }
        self.refresh_questions(&needs);
        look
    }

    /// Renews what follows from the samples on show and the choices.
    fn derive(&mut self, needs: &BTreeSet<Need>) {
        let Some((session, shown)) = with_sample(self.data.session.as_ref()) else {
            return;
        };
        // maps of an earlier budget or scoring look the same, but are not what stands above them
        let maps = &self.data.answers.maps;
        let gathered = GatheredKey::of(session, &self.settings.choices);
        let all = maps
            .held()
            .filter(|(key, _)| key.gathered.is_shown_for(&gathered));
        let profile = &self.data.answers.profile;
        let profile_version = profile.version();
        let profile = profile.value().filter(|it| it.is_of(shown.version));
        let main = Wanted {
            info: &session.info,
            shown,
            choices: &self.settings.choices,
            all: all.map(|(_, found)| (&**found, maps.version())),
            profile: profile.map(|profile| (&**profile, profile_version)),
            needs,
        };
        self.derived.refresh(&self.pool, &main);
        match with_sample(self.data.beside.as_ref()) {
            Some((other, shown_beside)) => {
                // without a choice each would show its own first window, and the two be no pair
                let choices = Choices {
                    window: self.derived.window.clone(),
                    ..self.settings.choices.clone()
                };
                let beside = Wanted {
                    info: &other.info,
                    shown: shown_beside,
                    choices: &choices,
                    all: None,
                    profile: None,
                    ..main
                };
                self.derived_beside.refresh(&self.pool, &beside);
                self.derived.hold_against(&self.derived_beside);
            }
            // what is on its way for it is not waited for
            None => self.derived_beside = Derived::default(),
        }
        self.derived.point_at(shown, &session.info, &self.hover);
    }

    /// What has to be made for the views in sight, for a lesson's numbers, and for a table to be copied.
    fn needs(&self) -> BTreeSet<Need> {
        let choices = &self.settings.choices;
        let panes = self.layout.visible().into_iter();
        let panes = panes.chain(self.numbers_wanted.map(|(pane, _)| pane));
        let mut needs: BTreeSet<Need> = panes
            .flat_map(|pane| pane.view().needs(choices))
            .copied()
            .collect();
        if self.lesson.is_some() {
            needs.extend([Need::Curves, Need::Tokens]);
        }
        needs
    }
}

/// A session with a sample on show.
fn with_sample(session: Option<&OpenedSession>) -> Option<(&OpenedSession, &Shown)> {
    let session = session?;
    Some((session, session.shown.as_ref()?))
}
