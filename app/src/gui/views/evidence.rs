//! What becomes of the needed tokens at every budget: what a head keeps of them, and what no head keeps.

use egui::{Response, Ui};
use egui_plot::{LineStyle, MarkerShape};
use kvlens_sessions::windows::DECODE_LABEL;

use super::front::Front;
use super::legend::{Legend, Name};
use super::recall::{budget_axis, octave_of};
use super::{NO_NEEDED_TOKENS, NearestFigure, Need, PaneView, ReadNumbers, View, empty_hint};
use crate::gui::command::{Commands, LookCommand};
use crate::gui::derived::{EvidenceCurve, EvidenceCurves};
use crate::gui::export::ShownFigure;
use crate::gui::layout::Pane;
use crate::gui::numbers::{Table, number};
use crate::gui::question_choices::EvidencePart;
use crate::gui::state::Choices;
use crate::gui::theme::{SeriesStyle, Theme};
use crate::gui::widgets::copy_button::copy_button;
use crate::gui::widgets::line_plot::{Drawn, LinePlot, PlotAxis, PlotCurve, PlotText, height_left};
use crate::gui::widgets::segmented::segmented;
use crate::jobs::figure::KindChoice;

/// The line that windows are held against.
const DECODE_STAGE: &str = "decode stage";

impl Pane {
    /// What becomes of the needed tokens.
    pub const EVIDENCE: Self = Self::of(&EvidenceView);
}

struct EvidenceView;

impl PaneView for EvidenceView {
    fn name(&self) -> &'static str {
        "Evidence"
    }

    fn title(&self) -> &'static str {
        "Needed tokens"
    }

    fn help(&self) -> &'static str {
        include_str!("../../../help/views/evidence.md")
    }

    fn needs(&self, _choices: &Choices) -> &'static [Need] {
        &[Need::Evidence]
    }

    fn ui(&self, ui: &mut Ui, view: &View<'_>, commands: &mut Commands) {
        evidence_ui(ui, view, commands);
    }

    fn numbers(&self) -> Option<ReadNumbers> {
        Some(numbers)
    }

    fn figure(&self) -> Option<NearestFigure> {
        Some(|_| ShownFigure::of_sample(KindChoice::Evidence))
    }
}

fn evidence_ui(ui: &mut Ui, view: &View<'_>, commands: &mut Commands) {
    if view.shown().is_none() {
        empty_hint(
            ui,
            "Open a session to see what its windows keep of the tokens that the answer needs",
        );
        return;
    }
    let Some(curves) = view.derived.evidence_curves() else {
        empty_hint(ui, "Counting the needed tokens");
        return;
    };
    if curves.curves.is_empty() {
        empty_hint(ui, NO_NEEDED_TOKENS);
        return;
    }
    let legend = Legend {
        plot: "the needed tokens",
        names: names(view),
        says_what_is_in_force: true,
    };
    legend.show(ui, view, commands, |ui, commands| {
        let describe =
            |response: Response, part: EvidencePart| response.on_hover_text(explain(part));
        let current = view.settings.choices.evidence;
        let picked = segmented(
            ui,
            current,
            &EvidencePart::ALL,
            EvidencePart::label,
            describe,
        );
        if let Some(part) = picked {
            commands.send(LookCommand::SetEvidence(part));
        }
        ui.weak(format!("{} needed tokens", curves.needed_tokens));
        copy_button(ui, "Copy the needed tokens", Pane::EVIDENCE, commands);
    });
    plot_ui(ui, view, curves);
}

fn names(view: &View<'_>) -> Vec<Name> {
    let help = "What a cache by the decode stage's own attention keeps";
    let decode = Name::of_line(DECODE_STAGE, decode_style(view.theme), help);
    let help = "Click to hide or show the curve in every view";
    let windows = view.derived.windows().iter();
    let windows = windows.map(|window| Name::of_window(view, window, "", help));
    std::iter::once(decode).chain(windows).collect()
}

fn explain(part: EvidencePart) -> &'static str {
    match part {
        EvidencePart::Kept => {
            "Share of the needed tokens that a head keeps by the window's rule, in the mean over all heads of all layers"
        }
        EvidencePart::LostEverywhere => {
            "Share of the needed tokens that no head of any layer keeps: they are gone for good, the global eviction ratio"
        }
    }
}

fn decode_style(theme: &Theme) -> SeriesStyle {
    SeriesStyle {
        color: theme.oracle,
        line: LineStyle::Solid,
        marker: Some(MarkerShape::Circle),
    }
}

fn shown(curve: &EvidenceCurve, part: EvidencePart) -> &[f64] {
    match part {
        EvidencePart::Kept => &curve.kept,
        EvidencePart::LostEverywhere => &curve.lost_everywhere,
    }
}

fn plot_ui(ui: &mut Ui, view: &View<'_>, curves: &EvidenceCurves) {
    let Some(&largest) = curves.budgets.last() else {
        return;
    };
    let part = view.settings.choices.evidence;
    let octaves: Vec<f64> = curves.budgets.iter().map(|it| octave_of(*it)).collect();
    let front = Front::of(view);
    let drawn = curves.curves.iter().filter_map(|curve| {
        let is_decode = curve.label == DECODE_LABEL;
        let (style, width) = match is_decode {
            true => (decode_style(view.theme), 1.2),
            false => {
                let style = front.style(&curve.label, window_style(view, &curve.label)?);
                (style, front.width(&curve.label))
            }
        };
        let values = shown(curve, part);
        let known = values.iter().filter(|value| value.is_finite()).count();
        Some(PlotCurve {
            name: match is_decode {
                true => DECODE_STAGE.to_owned(),
                false => curve.label.clone(),
            },
            style,
            xs: octaves.clone(),
            ys: values.to_vec(),
            band: None,
            drawn: Drawn::Line {
                width,
                markers: !is_decode || known < 3,
            },
        })
    });
    let y = PlotAxis::shares(match part {
        EvidencePart::Kept => "share kept by a head",
        EvidencePart::LostEverywhere => "share lost at every head",
    });
    let mut drawn: Vec<PlotCurve> = drawn.collect();
    front.arrange(&mut drawn);
    let (x, tokens) = (budget_axis(largest), view.derived.budget_tokens());
    let plot = LinePlot {
        curves: drawn,
        moves: true,
        tells_all: true,
        vertical: Some(octave_of(tokens)),
        texts: vec![PlotText::at_vertical(
            &tokens.to_string(),
            octave_of(tokens),
            [&x, &y],
            view.theme.selection,
        )],
        ..LinePlot::new("Needed tokens over the budget", height_left(ui), x, y)
    };
    plot.show(ui, view.theme);
}

/// None of a window that is hidden.
fn window_style(view: &View<'_>, label: &str) -> Option<SeriesStyle> {
    let hidden = &view.settings.choices.hidden_windows;
    let mut windows = view.derived.windows().iter();
    let window = windows.find(|window| window.label == label)?;
    let style = view.theme.series(label, window.repeat);
    (!hidden.contains(label)).then_some(style)
}

/// A line for every side and budget.
fn numbers(view: &View<'_>) -> Option<Table> {
    let curves = view.derived.evidence_curves()?;
    let mut table = Table::new(&["window", "budget_tokens", "kept", "lost_everywhere"]);
    for curve in &curves.curves {
        let points = curve.kept.iter().zip(&curve.lost_everywhere);
        for (budget, (kept, lost)) in curves.budgets.iter().zip(points) {
            table.line(&[
                curve.label.clone(),
                budget.to_string(),
                number(*kept),
                number(*lost),
            ]);
        }
    }
    Some(table)
}
