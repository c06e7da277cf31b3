//! Asks the lanes for the attention and the maps that the views in sight lack.

use super::Workbench;
use crate::gui::attention_picture::AttentionKey;
use crate::gui::lanes::{JobKey, ReadRequest};
use crate::gui::session_maps::{GatheredKey, SessionMapsKey};
use crate::gui::state::{MapKind, MapScope};

impl Workbench {
    /// Asks for the attention of the primary head, unless it is there or asked for.
    pub(super) fn read_attention(&mut self) {
        let Some(key) = self.wanted_attention() else {
            return;
        };
        let is_here = self.data.attention.as_ref().is_some_and(|it| it.key == key);
        if !is_here && self.asked_attention.as_ref() != Some(&key) {
            self.asked_attention = Some(key.clone());
            self.ask(ReadRequest::Attention(key));
        }
    }

    fn wanted_attention(&self) -> Option<AttentionKey> {
        let session = self.data.session.as_ref()?;
        Some(AttentionKey {
            path: session.info.path.clone(),
            index: session.shown.as_ref()?.index,
            head: self.settings.choices.primary_head()?,
            window: self.derived.window.clone()?,
        })
    }

    /// Asks for maps over all samples, unless they are there, asked for, or not wanted.
    pub(super) fn compare_samples(&mut self) {
        let Some(key) = self.wanted_maps() else {
            return;
        };
        if self.asked_maps.as_ref() == Some(&key) {
            return;
        }
        self.asked_maps = Some(key.clone());
        let failures = &mut self.data.answers.failures;
        failures.remove(&JobKey::CompareSamples);
        self.ask(ReadRequest::CompareSamples(Box::new(key)));
    }

    fn wanted_maps(&self) -> Option<SessionMapsKey> {
        let choices = &self.settings.choices;
        let session = self.data.session.as_ref()?;
        let sample = &session.shown.as_ref()?.sample;
        if choices.map_scope != MapScope::Session {
            return None;
        }
        let window = self.derived.window.clone()?;
        let minus = self.derived.minus.clone();
        let labels = sample.windows.iter().map(|window| window.label.clone());
        Some(SessionMapsKey {
            gathered: GatheredKey::of(&session.info.path, choices),
            windows: labels
                .filter(|label| !choices.hidden_windows.contains(label))
                .collect(),
            pair: minus
                .filter(|_| choices.map_kind == MapKind::Window)
                .map(|minus| [window, minus]),
        })
    }
}
