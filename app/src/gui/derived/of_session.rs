//! Which maps of layers by heads are wanted: of the sample on show or of all samples, of one window or of several.

use std::collections::BTreeSet;

use kvlens_analysis::Metric;
use kvlens_analysis::profile::ProfileNumber;

use super::maps::{self, HeadMap, WinnerMap};
use super::{Derived, Wanted};
use crate::gui::state::{MapKind, MapScope};
use crate::measurement::MeasuredWindow;

/// What maps show.
#[derive(Clone, PartialEq)]
pub(super) struct MapChoices {
    margin: Option<f64>,
    kind: MapKind,
    scope: MapScope,
    metric: Metric,
    profile: ProfileNumber,
    window: String,
    minus: Option<String>,
    hidden: BTreeSet<String>,
}

/// Maps of the kind that is chosen; the others are empty.
#[derive(Default)]
pub(super) struct Maps {
    window: Option<HeadMap>,
    side_by_side: Vec<HeadMap>,
    winner: Option<WinnerMap>,
}

/// Sample, maps over all samples, profile of the heads, budget, and the choices that maps hang on.
pub(super) type MapKey = (u64, u64, u64, usize, MapChoices);

impl Derived {
    pub(super) fn refresh_maps(
        &mut self,
        wanted: &Wanted<'_>,
        [window, minus]: [Option<&MeasuredWindow>; 2],
    ) {
        let Some(window) = window else { return };
        let Wanted {
            info,
            shown,
            choices,
            all,
            profile,
            ..
        } = *wanted;
        let scope = choices.shown_scope();
        let all = all.filter(|_| scope == MapScope::Session);
        let wanted = MapChoices {
            kind: choices.map_kind,
            scope,
            metric: choices.metric,
            margin: choices.margin,
            profile: choices.profile,
            window: window.label.clone(),
            minus: minus.map(|minus| minus.label.clone()),
            hidden: choices.hidden_windows.clone(),
        };
        let all_version = all.map_or(0, |(_, version)| version);
        let (at, budget) = (self.budget_index, self.budget_tokens());
        let profile = profile.filter(|_| choices.map_kind == MapKind::Profile);
        let profile_version = profile.map_or(0, |(_, version)| version);
        let key = (shown.version, all_version, profile_version, at, wanted);
        let visible: Vec<&MeasuredWindow> = shown
            .sample
            .windows
            .iter()
            .filter(|window| !choices.hidden_windows.contains(&window.label))
            .collect();
        // who has no numbers at this budget takes no part
        let known: Vec<&MeasuredWindow> = visible
            .iter()
            .copied()
            .filter(|window| window.at(budget).is_some())
            .collect();
        self.maps.at_once(key, |version| {
            let one = |window: &MeasuredWindow, minus: Option<&MeasuredWindow>| match scope {
                MapScope::Sample => Some(maps::sample_map(
                    info,
                    window,
                    minus,
                    choices.metric,
                    at,
                    version,
                )),
                MapScope::Session => {
                    let minus = minus.map(|minus| minus.label.as_str());
                    maps::session_map(all?.0, &window.label, minus, choices.margin, version)
                }
            };
            match choices.map_kind {
                MapKind::Window => Maps {
                    window: one(window, minus),
                    ..Maps::default()
                },
                MapKind::Beside | MapKind::InB => Maps {
                    window: one(window, None),
                    ..Maps::default()
                },
                MapKind::Needed => Maps {
                    window: Some(maps::needed_map(info, shown, version)),
                    ..Maps::default()
                },
                MapKind::Profile => Maps {
                    window: profile.map(|(profile, _)| {
                        maps::profile_map(info, profile, (choices.profile, budget), version)
                    }),
                    ..Maps::default()
                },
                MapKind::SideBySide => Maps {
                    side_by_side: visible
                        .iter()
                        .filter_map(|window| one(window, None))
                        .collect(),
                    ..Maps::default()
                },
                MapKind::Winner => Maps {
                    winner: match scope {
                        MapScope::Sample => {
                            maps::sample_winners(info, &known, choices.metric, at, version)
                        }
                        MapScope::Session => {
                            all.and_then(|(maps, _)| maps::session_winners(maps, &known, version))
                        }
                    },
                    ..Maps::default()
                },
            }
        });
    }

    /// Renews what holds this session against another.
    pub fn hold_against(&mut self, beside: &Self) {
        let (Some(main), Some(other)) = (self.maps.value(), beside.maps.value()) else {
            return;
        };
        let key = (self.maps.version(), beside.maps.version());
        self.between.at_once(key, |version| {
            maps::between(main.window.as_ref()?, other.window.as_ref()?, version)
        });
    }

    /// The map of the chosen window, minus the same of the session beside.
    #[must_use]
    pub fn map_between(&self) -> Option<&HeadMap> {
        self.between.value()?.as_ref()
    }

    /// The map of the chosen window, if that is what is shown.
    #[must_use]
    pub fn map(&self) -> Option<&HeadMap> {
        self.maps.value()?.window.as_ref()
    }

    /// The maps of all visible windows, if that is what is shown.
    #[must_use]
    pub fn side_by_side(&self) -> &[HeadMap] {
        self.maps.value().map_or(&[], |maps| &maps.side_by_side)
    }

    /// The map of winners, if that is what is shown.
    #[must_use]
    pub fn winner_map(&self) -> Option<&WinnerMap> {
        self.maps.value()?.winner.as_ref()
    }
}
