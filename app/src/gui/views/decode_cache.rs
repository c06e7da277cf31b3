//! The cache while it decodes: how well prompt and generated tokens are ranked for what later steps attend to.

use egui::{ComboBox, Response, Ui};

use super::front::Front;
use super::legend::{Legend, Name};
use super::question_state::{ask_ui, error_ui, job_of};
use super::{NearestFigure, Need, PaneView, ReadNumbers, View, empty_hint, shown_with_windows};
use crate::gui::command::{Commands, LookCommand};
use crate::gui::derived::decode_cache::DecodeCacheCurves;
use crate::gui::export::ShownFigure;
use crate::gui::layout::Pane;
use crate::gui::numbers::Table;
use crate::gui::question_choices::{DecodeCacheChoices, DecodeCacheMetric};
use crate::gui::questions::QuestionKind;
use crate::gui::state::Choices;
use crate::gui::theme::SeriesStyle;
use crate::gui::widgets::copy_button::copy_button;
use crate::gui::widgets::line_plot::{
    AxisNumbers, Drawn, LinePlot, PlotAxis, PlotCurve, height_left,
};
use crate::gui::widgets::segmented::segmented;
use crate::jobs::figure::KindChoice;
use crate::measurement::decode_eviction::HorizonChoice;

/// Steps from one ranking to the next.
const INTERVALS: [usize; 8] = [1, 2, 4, 8, 16, 32, 64, 128];

impl Pane {
    /// Rankings of the cache while it decodes.
    pub const DECODE_CACHE: Self = Self::of(&DecodeCacheView);
}

struct DecodeCacheView;

impl PaneView for DecodeCacheView {
    fn name(&self) -> &'static str {
        "DecodeCache"
    }

    fn title(&self) -> &'static str {
        "Cache while decoding"
    }

    fn help(&self) -> &'static str {
        include_str!("../../../help/views/decode_cache.md")
    }

    fn needs(&self, _choices: &Choices) -> &'static [Need] {
        &[Need::DecodeCache]
    }

    fn ui(&self, ui: &mut Ui, view: &View<'_>, commands: &mut Commands) {
        decode_cache_ui(ui, view, commands);
    }

    fn numbers(&self) -> Option<ReadNumbers> {
        Some(numbers)
    }

    fn figure(&self) -> Option<NearestFigure> {
        Some(|_| ShownFigure::of_sample(KindChoice::DecodeEviction))
    }
}

fn decode_cache_ui(ui: &mut Ui, view: &View<'_>, commands: &mut Commands) {
    let hint =
        "Run a capture or open a session to see how well its cache is ranked while it decodes";
    let Some(shown) = shown_with_windows(ui, view, hint) else {
        return;
    };
    let legend = Legend {
        plot: "the rankings",
        names: names(view),
        says_what_is_in_force: false,
    };
    legend.show(ui, view, commands, |ui, commands| {
        choosers_ui(ui, view, commands);
        if view.derived.decode_cache().is_some() {
            copy_button(ui, "Copy the rankings", Pane::DECODE_CACHE, commands);
        }
    });
    let kind = QuestionKind::DecodeCache;
    let every = view.settings.choices.decode_cache.every;
    let curves = view.derived.decode_cache();
    let of_sample = curves
        .filter(|curves| curves.shown_version == shown.version && curves.choices.every == every);
    if of_sample.is_none() {
        error_ui(ui, view, kind);
        ask_ui(ui, job_of(view, kind), kind, commands);
    }
    let Some(curves) = curves else { return };
    if curves.steps.is_empty() {
        if of_sample.is_some() {
            let sentence = curves.lacking.clone();
            let sentence = sentence.map(|sentence| capitalised(&sentence));
            empty_hint(ui, &sentence.unwrap_or_else(|| too_short(curves)));
        }
        return;
    }
    let is_of_budget = curves.budget_tokens == view.derived.budget_tokens();
    plot(
        curves,
        view,
        of_sample.is_none() || !is_of_budget,
        height_left(ui),
    )
    .show(ui, view.theme);
}

/// An error that stands alone is a sentence.
fn capitalised(sentence: &str) -> String {
    let mut letters = sentence.chars();
    let first = letters.next().map(|first| first.to_uppercase());
    first.into_iter().flatten().chain(letters).collect()
}

fn too_short(curves: &DecodeCacheCurves) -> String {
    format!(
        "The decode stage has {} steps, too few for a ranking every {} steps that is held against such later ones: choose a \
         shorter interval or another horizon, or capture with a larger --decode",
        curves.decode_steps, curves.choices.every
    )
}

fn choosers_ui(ui: &mut Ui, view: &View<'_>, commands: &mut Commands) {
    let choices = view.settings.choices.decode_cache;
    let help =
        |response: Response, metric: DecodeCacheMetric| response.on_hover_text(metric.explain());
    let picked = segmented(
        ui,
        choices.metric,
        &DecodeCacheMetric::ALL,
        DecodeCacheMetric::label,
        help,
    );
    if let Some(metric) = picked {
        commands.send(LookCommand::SetDecodeCache(DecodeCacheChoices {
            metric,
            ..choices
        }));
    }
    let help =
        |response: Response, horizon: HorizonChoice| response.on_hover_text(horizon.explain());
    let picked = segmented(
        ui,
        choices.horizon,
        &HorizonChoice::ALL,
        HorizonChoice::label,
        help,
    );
    if let Some(horizon) = picked {
        commands.send(LookCommand::SetDecodeCache(DecodeCacheChoices {
            horizon,
            ..choices
        }));
    }
    ComboBox::from_id_salt("steps from one ranking to the next")
        .selected_text(format!("every {}", choices.every))
        .width(84.0)
        .show_ui(ui, |ui| {
            for every in INTERVALS {
                let chosen = every == choices.every;
                if ui.selectable_label(chosen, every.to_string()).clicked() {
                    commands.send(LookCommand::SetDecodeCache(DecodeCacheChoices {
                        every,
                        ..choices
                    }));
                }
            }
        })
        .response
        .on_hover_text("Decode steps from one ranking of the cache to the next")
        .widget_info(|| {
            egui::WidgetInfo::labeled(egui::Role::ComboBox, true, "Decode steps between rankings")
        });
}

fn names(view: &View<'_>) -> Vec<Name> {
    let Some(curves) = view.derived.decode_cache() else {
        return Vec::new();
    };
    let rankings = curves.curves.iter().map(|curve| {
        let style = view.theme.series(&curve.label, curve.repeat);
        Name::of_line(&curve.label, style, explain(&curve.label))
    });
    let most = curves.most.as_ref().map(|_| {
        let help = "What the tokens hold that later steps themselves attend to most: no ranking holds more";
        Name::of_line("most", most_style(view), help)
    });
    rankings.chain(most).collect()
}

/// What a ranking goes by.
fn explain(ranking: &str) -> &'static str {
    match ranking {
        "accumulated" => "Attention added up over the decode steps so far",
        "h2o" => "The same with the attention of all rows of the prompt",
        "knorm" => "Short keys first",
        "streaming" => "The first 4 tokens, then the most recent ones",
        "random" => "Chance, drawn once for each token",
        _ => "Attention of the last decode steps, as many as the number says",
    }
}

fn plot<'a>(curves: &DecodeCacheCurves, view: &View<'_>, faded: bool, height: f32) -> LinePlot<'a> {
    let xs: Vec<f64> = curves.steps.iter().map(|step| *step as f64).collect();
    let labels = curves.curves.iter().map(|curve| curve.label.as_str());
    let front = Front::of(view).among(labels.chain(["most"]));
    let most = curves.most.iter().map(|most| PlotCurve {
        name: "most".to_owned(),
        style: front.style("most", most_style(view)),
        xs: xs.clone(),
        ys: most.clone(),
        band: None,
        drawn: Drawn::CURVE,
    });
    let rankings = curves.curves.iter().map(|curve| PlotCurve {
        name: curve.label.clone(),
        style: front.style(&curve.label, view.theme.series(&curve.label, curve.repeat)),
        xs: xs.clone(),
        ys: curve.band.mean.clone(),
        band: Some((curve.band.low.clone(), curve.band.high.clone())),
        drawn: Drawn::Line {
            width: front.width(&curve.label),
            markers: true,
        },
    });
    let mut drawn: Vec<PlotCurve> = most.chain(rankings).collect();
    front.arrange(&mut drawn);
    LinePlot {
        curves: drawn,
        tells_all: true,
        faded,
        ..LinePlot::new(
            "Rankings of the cache over the decode steps",
            height,
            PlotAxis {
                label: "Decode steps when the cache is ranked".to_owned(),
                low: 0.0,
                high: curves.decode_steps as f64,
                numbers: AxisNumbers::Whole,
                whole: None,
            },
            PlotAxis::shares(format!(
                "{} at {}",
                curves.choices.metric.axis(),
                curves.budget_tokens
            )),
        )
    }
}

fn most_style(view: &View<'_>) -> SeriesStyle {
    SeriesStyle {
        color: view.theme.oracle,
        line: egui_plot::LineStyle::Dashed { length: 6.0 },
        marker: Some(egui_plot::MarkerShape::Diamond),
    }
}

/// The curves, unless they are of an earlier sample.
fn numbers(view: &View<'_>) -> Option<Table> {
    let (_, shown) = view.shown()?;
    let curves = view.derived.decode_cache()?;
    if curves.shown_version != shown.version {
        return None;
    }
    let DecodeCacheChoices {
        every,
        horizon,
        metric,
    } = curves.choices;
    let mut table = Table::new(&[
        "ranking",
        "budget_tokens",
        "every",
        "horizon",
        "step",
        metric.axis(),
        "low",
        "high",
    ]);
    for curve in &curves.curves {
        let band = &curve.band;
        let values = band.mean.iter().zip(&band.low).zip(&band.high);
        for (step, ((mean, low), high)) in curves.steps.iter().zip(values) {
            table.line(&[
                curve.label.clone(),
                curves.budget_tokens.to_string(),
                every.to_string(),
                horizon.horizon(every).to_string(),
                step.to_string(),
                mean.to_string(),
                low.to_string(),
                high.to_string(),
            ]);
        }
    }
    Some(table)
}
