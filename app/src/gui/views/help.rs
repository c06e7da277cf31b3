//! Help: what a view shows and how to read it, and the glossary.

use egui::{RichText, ScrollArea, Ui, Window};

use crate::gui::command::{Command, Commands};
use crate::gui::glossary::TERMS;
use crate::gui::layout::Pane;

/// What help is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HelpPage {
    /// Of a view.
    Pane(Pane),
    /// Every term.
    Glossary,
}

/// What there is to say of a view.
struct PaneHelp {
    shows: &'static str,
    reading: &'static str,
    gestures: &'static str,
    /// Names in the glossary.
    terms: &'static [&'static str],
}

fn help_of(pane: Pane) -> PaneHelp {
    match pane {
        Pane::Recall => PaneHelp {
            shows: "A metric of every window against the decode stage, at every budget; the mean over the selected heads, the band their middle 80 %.",
            reading: "Higher is better. Where a curve meets the grey one, the window is no better than chance. The vertical line is the budget of all views.",
            gestures: "Click or drag sets the budget; a click on a name hides its curve; the chooser takes another metric.",
            terms: &["recall", "hit rate", "jaccard", "retained mass", "budget"],
        },
        Pane::HeadMap => PaneHelp {
            shows: "The metric at the budget for every layer and head: of one window, of all side by side, the difference of two windows, which window wins, or this session less the one beside it (A − B).",
            reading: "Layer 0 lies at the bottom. In a difference, blue is where the first window is better. Winners have the window's colour, fuller with the margin. Over all samples, what is struck through is not resolved: the paired 95 % interval of the difference spans zero, or its p-value, corrected over the map (Benjamini and Hochberg), is above 0.05.",
            gestures: "Click a head, drag over a block; with Ctrl or Shift they join the selection. All other views follow it. A right-click pins a head, so that its curve and numbers stay while others are selected.",
            terms: &["recall", "query head, key/value head"],
        },
        Pane::Attention => PaneHelp {
            shows: "Attention of the first selected head: decode steps above, the window's rows below, prompt tokens from left to right.",
            reading: "Dark columns are tokens that many rows attend to. A window foresees the decode stage where its columns stand under the same tokens. The colour is the square root of the weight.",
            gestures: "Hover for row, token and weight; a click brings the token into the text.",
            terms: &["decode stage", "observation window", "needed tokens"],
        },
        Pane::RankAgreement => PaneHelp {
            shows: "Of the tokens that the decode stage ranks here, where the window ranks them, over the selected heads.",
            reading: "The diagonal is agreement. What lies right of it in the lowest rows are the important tokens that the window misses.",
            gestures: "Hover for ranks and share.",
            terms: &["ranking", "oracle", "importance"],
        },
        Pane::Drift => PaneHelp {
            shows: "How long windows foresee: recall of single decode steps, or of the decode stage up to a step; and recall of W queries in a row by the place where they sit in prompt and generation.",
            reading: "A falling curve is a window that foresees the beginning of the answer better than its end. By place, the vertical line is the prompt's last token: left of it the dashed curve bounds what the queries can see; right of it the queries belong to the oracle, so recall is a bound and no forecast.",
            gestures: "The chooser takes steps, horizons or places; a click on a name hides its curve; a click into the places brings that token into the text.",
            terms: &["drift", "recall by place", "recall", "budget"],
        },
        Pane::Queries => PaneHelp {
            shows: "Cosine of each window's queries with those of the decode stage, the first with the first and so on, before and after the rotary embedding; a profile over the layers below or beside it.",
            reading: "Before RoPE only content counts, after it position as well: a window whose queries stand at the decode stage's positions (gap 0) loses little by the rotation. The interventions change one of the two alone.",
            gestures: "The chooser takes the profile before or after RoPE; hover a number for the middle 80 % of the heads; the button runs the model for the interventions.",
            terms: &["query similarity", "interventions", "DapQ", "decode stage"],
        },
        Pane::Fidelity => PaneHelp {
            shows: "What happens to the output when the cache keeps what each window ranks first: the model is run again on the full and on the evicted cache, with the same tokens.",
            reading: "The grey curve is the oracle: what the best ranking would keep. A window is good where its curve meets it at a small budget. Against recall, points on one falling line say that recall foretells the damage.",
            gestures: "Choose samples and budgets and press the button; results come window by window and stay while the session is open. Cancel keeps what is done. Only shown windows are measured.",
            terms: &[
                "fidelity",
                "top-1 agreement",
                "answer likelihood",
                "task score",
                "budget",
                "recall",
            ],
        },
        Pane::Cost => PaneHelp {
            shows: "What each window costs beyond prefill and decoding, and what it reaches for it at the budget.",
            reading: "In the plot, up and left is better.",
            gestures: "The budget bar and the metric chooser move the points.",
            terms: &["recall", "LAQ, LAQ++", "DapQ", "Judge Q", "LookaheadKV"],
        },
        Pane::Tokens => PaneHelp {
            shows: "The prompt as text: colour is the importance by the decode stage, by the window, or the difference.",
            reading: "Underlined tokens are what the window's eviction rule keeps: those that it keeps whatever the score, then the best of the others. Dotted ones the same rule would keep by the oracle's scores and misses by the window's; framed ones hold what the answer needs.",
            gestures: "Hover for both ranks; click or drag in the strip to move through the prompt.",
            terms: &["importance", "pooling", "needed tokens"],
        },
        Pane::Inspector => PaneHelp {
            shows: "Every metric at the budget for the selected heads, the needed tokens that survive, and the answer.",
            reading: "Hover a number for the middle 80 % of the heads.",
            gestures: "Type heads as 3.5, 2.*, or all. A pinned head is let go with Unpin.",
            terms: &["recall", "hit rate", "jaccard", "retained mass"],
        },
        Pane::Samples => PaneHelp {
            shows: "The finished prompts of the session.",
            reading: "T prompt tokens, S decode tokens; the score is the share of the task that the answer got right.",
            gestures: "Click a row, or step with the arrow keys.",
            terms: &["decode stage"],
        },
        Pane::Scoring => PaneHelp {
            shows: "How attention becomes importance and what the oracle is made of, where that shall differ from what each window was published with.",
            reading: "A change measures the sample again; the model does not run.",
            gestures: "Undo takes a change back.",
            terms: &[
                "importance",
                "pooling",
                "forced-keep tokens",
                "query head, key/value head",
            ],
        },
        Pane::Log => PaneHelp {
            shows: "Everything that was said since the start.",
            reading: "Errors say what is wrong and what to do.",
            gestures: "",
            terms: &[],
        },
    }
}

/// Draws the open page in a window of its own.
pub fn help_ui(ui: &Ui, page: HelpPage, commands: &mut Commands) {
    let mut open = true;
    let title = match page {
        HelpPage::Pane(pane) => format!("Help: {}", pane.title()),
        HelpPage::Glossary => "Glossary".to_owned(),
    };
    Window::new(title)
        .open(&mut open)
        .collapsible(false)
        .default_width(440.0)
        .default_height(420.0)
        .anchor(egui::Align2::CENTER_CENTER, egui::Vec2::ZERO)
        .show(ui.ctx(), |ui| {
            ScrollArea::vertical()
                .max_height(480.0)
                .show(ui, |ui| match page {
                    HelpPage::Pane(pane) => pane_ui(ui, pane),
                    HelpPage::Glossary => TERMS.iter().for_each(|term| term_ui(ui, term.name)),
                });
        });
    if !open {
        commands.send(Command::ToggleHelp(page_of(page)));
    }
}

/// The pane of a page; none for the glossary.
fn page_of(page: HelpPage) -> Option<Pane> {
    match page {
        HelpPage::Pane(pane) => Some(pane),
        HelpPage::Glossary => None,
    }
}

fn pane_ui(ui: &mut Ui, pane: Pane) {
    let help = help_of(pane);
    for (title, text) in [
        ("What it shows", help.shows),
        ("How to read it", help.reading),
        ("What one can do", help.gestures),
    ] {
        if !text.is_empty() {
            ui.strong(title);
            ui.label(text);
            ui.add_space(6.0);
        }
    }
    if !help.terms.is_empty() {
        ui.separator();
        help.terms.iter().for_each(|name| term_ui(ui, name));
    }
}

fn term_ui(ui: &mut Ui, name: &str) {
    let Some(term) = TERMS.iter().find(|term| term.name == name) else {
        return;
    };
    ui.strong(term.name);
    ui.label(term.text);
    if !term.formula.is_empty() {
        ui.monospace(term.formula);
    }
    if !term.source.is_empty() {
        ui.label(RichText::new(term.source).weak().small());
    }
    ui.add_space(6.0);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_view_is_explained_with_terms_that_there_are() {
        for pane in Pane::ALL {
            let help = help_of(pane);
            assert!(
                !help.shows.is_empty() && !help.reading.is_empty(),
                "{pane:?}"
            );
            for name in help.terms {
                assert!(TERMS.iter().any(|term| term.name == *name), "{name}");
            }
        }
    }

    #[test]
    fn no_term_is_there_twice() {
        for (index, term) in TERMS.iter().enumerate() {
            assert!(
                TERMS
                    .iter()
                    .skip(index + 1)
                    .all(|other| other.name != term.name)
            );
        }
    }
}
