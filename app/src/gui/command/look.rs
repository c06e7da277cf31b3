//! What is looked at.

use std::collections::BTreeSet;

use egui::{Key, Modifiers};
use kvlens_analysis::profile::ProfileNumber;
use kvlens_analysis::{Budget, Compare, Metric};
use serde::{Deserialize, Serialize};
use strum::{EnumDiscriminants, EnumIter, IntoStaticStr};

use super::entry::{Entry, Menu, Offer};
use crate::gui::head_numbers::HeadNumber;
use crate::gui::question_choices::{
    DecodeCacheChoices, DriftChoices, DriftPart, EvidencePart, FidelityChoices, FidelityMetric,
    FidelityPlot, QueryPart,
};
use crate::gui::state::{
    CurvesOver, HeadAddress, HeadSort, HeatScale, MapKind, MapScope, SelectionChange, TokenHeat,
};
use crate::gui::views::scoring::{asking, question};
use crate::gui::views::{View, lacks_needed_tokens};
use crate::measurement::MeasureOptions;
use crate::measurement::decode_eviction::HorizonChoice;

/// A command about the choices that all views share; undo takes it back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, EnumDiscriminants)]
#[strum_discriminants(name(LookKind), derive(EnumIter, IntoStaticStr))]
pub enum LookCommand {
    /// Go back one step in what is looked at.
    Undo,
    /// Take the last undo back.
    Redo,
    /// Set the budget.
    SetBudget(Budget),
    /// Move the budget so many steps of the grid.
    StepBudget(i32),
    /// Show another metric.
    SetMetric(Metric),
    /// Show the curves layer by layer, or together.
    SetByLayer(bool),
    /// Let the curves be of the sample on show, of its group or of all samples.
    SetCurvesOver(CurvesOver),
    /// Change the selected heads.
    SelectHeads {
        /// The heads that were clicked or brushed.
        heads: Vec<HeadAddress>,
        /// What happens to the heads selected so far.
        change: SelectionChange,
    },
    /// Select heads by words, such as `needed>0.05, worst 10`.
    SelectHeadsBy(String),
    /// Sort the list of heads otherwise.
    SetHeadSort(HeadSort),
    /// Select every head.
    SelectAllHeads,
    /// Hold the others against this head, or against none.
    Pin(Option<HeadAddress>),
    /// Show something else in the map.
    SetMapKind(MapKind),
    /// Show the map of this sample, or of all; measures them again where that was stopped.
    SetMapScope(MapScope),
    /// Show another window in map and tokens.
    SetWindow(String),
    /// Subtract a window in the map, or none.
    SetMinus(Option<String>),
    /// Let the curves show what each window has more than this one, or no difference.
    SetBaseline(Option<String>),
    /// Hide or show a window's curve.
    ToggleWindow(String),
    /// Let the strongest colour of attention stand for so many times the 99th percentile of the weights.
    SetAttentionScale(f64),
    /// Show a decode step in the player, counted from 0.
    SetDecodeStep(usize),
    /// Go so many decode steps on in the player, or back if negative.
    StepDecode(i32),
    /// Hide the curves of these windows, and show the others.
    SetHiddenWindows(BTreeSet<String>),
    /// Colour the tokens otherwise.
    SetTokenHeat(TokenHeat),
    /// Scale the colours of the tokens otherwise.
    SetHeatScale(HeatScale),
    /// Score importance otherwise.
    SetMeasureOptions(MeasureOptions),
    /// Show another part of the drift.
    SetDrift(DriftChoices),
    /// Show the rankings of the decoding cache otherwise.
    SetDecodeCache(DecodeCacheChoices),
    /// Show the layers' queries before or after the rotary embedding.
    SetQueries(QueryPart),
    /// Let windows count as equally good that are so little apart over all samples, or none.
    SetMargin(Option<f64>),
    /// Show another number of the heads' profiles in map and scatter.
    SetProfile(ProfileNumber),
    /// Show what heads keep of the needed tokens, or what all of them lose.
    SetEvidence(EvidencePart),
    /// Change what the fidelity view shows and measures.
    SetFidelity(FidelityChoices),
    /// Bring a token into view.
    ScrollToToken(usize),
    /// Bring the first token that the answer needs into view.
    ScrollToNeeded,
}

/// Selections by words that the palette offers.
const SELECTIONS: [(&str, &str); 4] = [
    ("the ten worst", "worst 10"),
    ("the ten best", "best 10"),
    ("those that read what is needed", "needed>0.05"),
    (
        "those that read what is needed, and keep none of it",
        "needed>0.05, evidence_kept=0",
    ),
];

/// Budgets that the palette offers, in percent of the prompt.
const BUDGETS_PERCENT: [u8; 6] = [1, 2, 5, 10, 20, 50];

impl LookKind {
    /// What menus and palette offer of it.
    pub(super) fn offer(self, view: &View<'_>) -> Offer {
        let choices = &view.settings.choices;
        match self {
            Self::Undo => Offer::one(
                Entry::new("Undo", LookCommand::Undo)
                    .key(Modifiers::COMMAND, Key::Z)
                    .menu(Menu::Edit, 0)
                    .possible_if(view.can_undo),
            ),
            Self::Redo => Offer::one(
                Entry::new("Redo", LookCommand::Redo)
                    .key(Modifiers::COMMAND | Modifiers::SHIFT, Key::Z)
                    .menu(Menu::Edit, 0)
                    .possible_if(view.can_redo),
            ),
            Self::SetBudget => Offer::each(BUDGETS_PERCENT, |percent| {
                let budget = Budget::Fraction(f64::from(percent) / 100.0);
                Entry::new(format!("{percent} %"), LookCommand::SetBudget(budget)).of("Budget")
            }),
            Self::StepBudget => budget_steps(),
            Self::SetMetric => Offer::each(Metric::ALL, |metric| {
                Entry::new(metric.label(), LookCommand::SetMetric(metric)).of("Metric")
            }),
            Self::SetByLayer => {
                Offer::each([("by layer", true), ("together", false)], |(text, by)| {
                    Entry::new(text, LookCommand::SetByLayer(by)).of("Curves")
                })
            }
            Self::SetCurvesOver => Offer::each(CurvesOver::ALL, |over| {
                Entry::new(over.label(), LookCommand::SetCurvesOver(over)).of("Curves over")
            }),
            Self::SelectHeads => {
                Offer::Elsewhere("heads are clicked in the map or typed in the inspector")
            }
            Self::SelectHeadsBy => Offer::each(SELECTIONS, |(text, words)| {
                Entry::new(text, LookCommand::SelectHeadsBy(words.to_owned())).of("Select heads")
            }),
            Self::SetHeadSort => Offer::each(HeadNumber::all(), |by| {
                let sort = HeadSort {
                    by,
                    highest_first: true,
                };
                Entry::new(by.label(), LookCommand::SetHeadSort(sort)).of("Sort heads by")
            }),
            Self::SelectAllHeads => Offer::one(
                Entry::new("Select every head", LookCommand::SelectAllHeads)
                    .key(Modifiers::COMMAND, Key::A)
                    .menu(Menu::Edit, 1)
                    .possible_if(!choices.heads.is_empty()),
            ),
            Self::Pin => pins(view),
            Self::SetMapKind => Offer::each(MapKind::ALL, |kind| {
                let entry = Entry::new(kind.label(), LookCommand::SetMapKind(kind)).of("Map");
                match kind {
                    MapKind::Window => entry.key(Modifiers::NONE, Key::A),
                    MapKind::InB => entry.key(Modifiers::NONE, Key::B),
                    MapKind::Beside => entry.key(Modifiers::NONE, Key::D),
                    _ => entry,
                }
            }),
            Self::SetMapScope => Offer::each(
                [
                    ("Map of this sample", MapScope::Sample),
                    ("Map of all samples", MapScope::Session),
                ],
                |(text, scope)| Entry::new(text, LookCommand::SetMapScope(scope)),
            ),
            Self::SetWindow => windows(view, "Window", LookCommand::SetWindow),
            Self::SetMinus => {
                let nothing = Entry::new("nothing", LookCommand::SetMinus(None)).of("Minus");
                let some = windows(view, "Minus", |label| LookCommand::SetMinus(Some(label)));
                Offer::each(some.into_entries().into_iter().chain([nothing]), |entry| {
                    entry
                })
            }
            Self::SetBaseline => {
                let nothing =
                    Entry::new("nothing", LookCommand::SetBaseline(None)).of("Curves less");
                let some = windows(view, "Curves less", |label| {
                    LookCommand::SetBaseline(Some(label))
                });
                Offer::each(some.into_entries().into_iter().chain([nothing]), |entry| {
                    entry
                })
            }
            Self::ToggleWindow => windows(view, "Hide or show", LookCommand::ToggleWindow),
            Self::SetAttentionScale => Offer::each([0.25, 1.0, 4.0], |scale| {
                let text = format!("{scale} of the 99th percentile");
                Entry::new(text, LookCommand::SetAttentionScale(scale)).of("Attention scale")
            }),
            Self::SetDecodeStep => Offer::one(Entry::new(
                "First decode step",
                LookCommand::SetDecodeStep(0),
            )),
            Self::StepDecode => Offer::each(
                [
                    ("Decode step before", -1, Key::Comma),
                    ("Decode step after", 1, Key::Period),
                ],
                |(text, step, key)| {
                    Entry::new(text, LookCommand::StepDecode(step)).key(Modifiers::NONE, key)
                },
            ),
            Self::SetHiddenWindows => Offer::one(
                Entry::new(
                    "Show every window",
                    LookCommand::SetHiddenWindows(BTreeSet::new()),
                )
                .possible_if(!choices.hidden_windows.is_empty()),
            ),
            Self::SetTokenHeat => Offer::each(TokenHeat::ALL, |heat| {
                Entry::new(heat.label(), LookCommand::SetTokenHeat(heat)).of("Token colours")
            }),
            Self::SetHeatScale => Offer::each(HeatScale::ALL, |scale| {
                Entry::new(scale.label(), LookCommand::SetHeatScale(scale)).of("Token scale")
            }),
            Self::SetMeasureOptions => questions(choices.measure),
            Self::SetDrift => Offer::each(DriftPart::ALL, |part| {
                let drift = DriftChoices {
                    part,
                    ..choices.drift
                };
                Entry::new(part.label(), LookCommand::SetDrift(drift)).of("Drift")
            }),
            Self::SetDecodeCache => Offer::each(HorizonChoice::ALL, |horizon| {
                let cache = DecodeCacheChoices {
                    horizon,
                    ..choices.decode_cache
                };
                Entry::new(horizon.label(), LookCommand::SetDecodeCache(cache))
                    .of("Cache while decoding")
            }),
            Self::SetQueries => Offer::each(QueryPart::ALL, |part| {
                Entry::new(part.label(), LookCommand::SetQueries(part)).of("Query similarity")
            }),
            Self::SetMargin => Offer::each([None, Some(0.01), Some(0.02), Some(0.05)], |margin| {
                let text =
                    margin.map_or("no margin".to_owned(), |margin| format!("within {margin}"));
                Entry::new(text, LookCommand::SetMargin(margin)).of("Equally good")
            }),
            Self::SetProfile => Offer::each(ProfileNumber::ALL, |number| {
                Entry::new(number.label(), LookCommand::SetProfile(number)).of("Head profile")
            }),
            Self::SetEvidence => Offer::each(EvidencePart::ALL, |part| {
                Entry::new(part.label(), LookCommand::SetEvidence(part)).of("Needed tokens")
            }),
            Self::SetFidelity => fidelity(&choices.fidelity),
            Self::ScrollToToken => Offer::Elsewhere("a click in the strip names the token"),
            Self::ScrollToNeeded => Offer::one(
                Entry::new("Go to the first needed token", LookCommand::ScrollToNeeded)
                    .possible_if(view.shown().is_some() && !lacks_needed_tokens(view)),
            ),
        }
    }
}

/// The two questions, and the way back to the default.
fn questions(options: MeasureOptions) -> Offer {
    let both = [Compare::Queries, Compare::Methods].map(|compare| {
        let options = asking(compare, options);
        Entry::new(question(compare), LookCommand::SetMeasureOptions(options))
            .of("Compare")
            .help(compare.explain())
    });
    let usual = LookCommand::SetMeasureOptions(MeasureOptions::default());
    let reset = Entry::new("Reset the scoring", usual)
        .help("Compare queries under the default scoring; other ways to score are chosen in the view Scoring");
    Offer::each(both.into_iter().chain([reset]), |entry| entry)
}

fn budget_steps() -> Offer {
    Offer::each(
        [
            ("Budget one step down", -1, Key::ArrowLeft),
            ("Budget one step up", 1, Key::ArrowRight),
            ("Budget 16 steps down", -16, Key::OpenBracket),
            ("Budget 16 steps up", 16, Key::CloseBracket),
        ],
        |(text, step, key)| {
            Entry::new(text, LookCommand::StepBudget(step)).key(Modifiers::NONE, key)
        },
    )
}

fn pins(view: &View<'_>) -> Offer {
    let choices = &view.settings.choices;
    let pin = choices.primary_head().map(|head| {
        let text = format!("Pin head {}.{}", head.layer, head.head);
        Entry::new(text, LookCommand::Pin(Some(head)))
    });
    let unpin =
        Entry::new("Unpin the head", LookCommand::Pin(None)).possible_if(choices.pinned.is_some());
    Offer::each(pin.into_iter().chain([unpin]), |entry| entry)
}

fn windows(view: &View<'_>, group: &'static str, command: fn(String) -> LookCommand) -> Offer {
    let windows = view
        .shown()
        .map_or(&[][..], |(_, shown)| &shown.sample.windows);
    Offer::each(windows, |window| {
        Entry::new(window.label.clone(), command(window.label.clone())).of(group)
    })
}

fn fidelity(choices: &FidelityChoices) -> Offer {
    let metrics = FidelityMetric::ALL.map(|metric| {
        let choices = FidelityChoices {
            metric,
            ..choices.clone()
        };
        Entry::new(metric.label(), LookCommand::SetFidelity(choices)).of("Fidelity metric")
    });
    let plots = FidelityPlot::ALL.map(|plot| {
        let choices = FidelityChoices {
            plot,
            ..choices.clone()
        };
        Entry::new(plot.label(), LookCommand::SetFidelity(choices)).of("Fidelity")
    });
    Offer::each(metrics.into_iter().chain(plots), |entry| entry)
}
