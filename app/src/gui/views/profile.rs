//! What the heads are like against what a window does in them: a mark for each head.

use egui::{ComboBox, Ui};
use egui_plot::{LineStyle, MarkerShape};
use kvlens_analysis::Metric;
use kvlens_analysis::profile::ProfileNumber;

use super::head_map::window_ui;
use super::question_state::{ask_ui, error_ui, job_of};
use super::{NearestFigure, Need, PaneView, ReadNumbers, View, empty_hint, in_force_ui};
use crate::gui::command::{Commands, LookCommand};
use crate::gui::derived::Scatter;
use crate::gui::export::ShownFigure;
use crate::gui::head_numbers::HeadNumber;
use crate::gui::layout::Pane;
use crate::gui::numbers::{Table, number, signed};
use crate::gui::questions::QuestionKind;
use crate::gui::state::{Choices, HeadAddress, SelectionChange};
use crate::gui::theme::SeriesStyle;
use crate::gui::widgets::copy_button::copy_button;
use crate::gui::widgets::line_plot::{
    AxisNumbers, Drawn, LinePlot, PlotAnswer, PlotAxis, PlotCurve, height_left,
};
use crate::jobs::figure::KindChoice;

const MARK: Drawn = Drawn::Dots { radius: 3.0 };
const SELECTED_MARK: Drawn = Drawn::Dots { radius: 5.0 };
/// Around the head that the pointer is on, here or in another view.
const RING: Drawn = Drawn::Dots { radius: 8.0 };

impl Pane {
    /// Profiles of the heads against a metric.
    pub const PROFILE: Self = Self::of(&ProfileView);
}

struct ProfileView;

impl PaneView for ProfileView {
    fn name(&self) -> &'static str {
        "Profile"
    }

    fn title(&self) -> &'static str {
        "Head profile"
    }

    fn help(&self) -> &'static str {
        include_str!("../../../help/views/profile.md")
    }

    fn needs(&self, _choices: &Choices) -> &'static [Need] {
        &[Need::Profile, Need::Scatter]
    }

    fn ui(&self, ui: &mut Ui, view: &View<'_>, commands: &mut Commands) {
        profile_ui(ui, view, commands);
    }

    fn numbers(&self) -> Option<ReadNumbers> {
        Some(numbers)
    }

    fn figure(&self) -> Option<NearestFigure> {
        Some(|_| ShownFigure::of_sample(KindChoice::Profile))
    }
}

fn profile_ui(ui: &mut Ui, view: &View<'_>, commands: &mut Commands) {
    let Some((_, shown)) = view.shown() else {
        empty_hint(ui, "Open a session to see what its heads are like");
        return;
    };
    let windows = shown.sample.windows.iter();
    let labels: Vec<&str> = windows.map(|window| window.label.as_str()).collect();
    let scatter = view.derived.scatter();
    ui.horizontal_wrapped(|ui| {
        number_ui(ui, "Number of the scatter", view, commands);
        ui.weak(format!("against {} of", view.settings.choices.metric.label()));
        window_ui(ui, "Window of the scatter", view, &labels, commands);
        if let Some(scatter) = scatter {
            let text = egui::RichText::new(correlation(scatter)).strong();
            ui.add(egui::Label::new(text).extend()).on_hover_text(
                "Spearman's rank correlation over the heads of this sample: 1 where both order the heads alike, −1 where \
                 they order them the other way round. Heads of one model are no independent draws, so no interval is told",
            );
            copy_button(ui, "Copy the profiles", Pane::PROFILE, commands);
        }
        in_force_ui(ui, view);
    });
    match scatter {
        Some(scatter) => plot_ui(ui, view, scatter, commands),
        None => profile_state_ui(ui, view, commands),
    }
}

/// What stands where the heads have no profile yet.
pub fn profile_state_ui(ui: &mut Ui, view: &View<'_>, commands: &mut Commands) {
    let kind = QuestionKind::Profile;
    error_ui(ui, view, kind);
    ask_ui(ui, job_of(view, kind), kind, commands);
}

fn correlation(scatter: &Scatter) -> String {
    let heads = scatter.heads.len();
    match scatter.spearman.is_nan() {
        true => format!("{heads} heads"),
        false => {
            let correlation = signed(scatter.spearman, 2);
            format!("Spearman {correlation} over {heads} heads")
        }
    }
}

/// The chooser of the number that map and scatter share.
pub fn number_ui(ui: &mut Ui, name: &str, view: &View<'_>, commands: &mut Commands) {
    let current = view.settings.choices.profile;
    ComboBox::from_id_salt(("profile", name))
        .selected_text(current.label())
        .width(190.0)
        .show_ui(ui, |ui| {
            for number in ProfileNumber::ALL {
                let choice = ui
                    .selectable_label(number == current, number.label())
                    .on_hover_text(explain(number));
                if choice.clicked() {
                    commands.send(LookCommand::SetProfile(number));
                }
            }
        })
        .response
        .on_hover_text(explain(current))
        .widget_info(|| egui::WidgetInfo::labeled(egui::Role::ComboBox, true, name));
}

/// One sentence per number.
#[must_use]
pub fn explain(number: ProfileNumber) -> &'static str {
    match number {
        ProfileNumber::PromptShare => {
            "Attention of the decode steps that falls on the prompt; the rest is on generated tokens"
        }
        ProfileNumber::Entropy => {
            "Entropy of the attention on the prompt: 0 where it is all on one token"
        }
        ProfileNumber::EffectiveTokens => "As many equal tokens have the head's entropy",
        ProfileNumber::TokensFor50 => {
            "The fewest tokens that hold half of the head's attention on the prompt"
        }
        ProfileNumber::TokensFor90 => {
            "The fewest tokens that hold 90 % of the head's attention on the prompt"
        }
        ProfileNumber::TokensFor99 => {
            "The fewest tokens that hold 99 % of the head's attention on the prompt"
        }
        ProfileNumber::SinkShare => {
            "Share of the attention on the prompt that falls on its first 4 tokens: a sink"
        }
        ProfileNumber::RecentShare => {
            "Share of the attention on the prompt that falls on its last 32 tokens: a streaming head, with the sinks"
        }
        ProfileNumber::EvidenceShare => {
            "Share of the attention on the prompt that falls on the tokens that the answer needs: a retrieval head"
        }
        ProfileNumber::NextStep => {
            "Of the top tokens of a decode step at the budget, the share that the step before has as well"
        }
        ProfileNumber::StepsBefore => {
            "Of the top tokens of a decode step at the budget, the share that the mean over all steps before has as well"
        }
        ProfileNumber::LayerBelow => {
            "Of the head's top tokens at the budget, the share that the mean over the layer below has as well"
        }
        ProfileNumber::Group => {
            "Of the head's top tokens at the budget, the share that another query head of its key/value head has as well"
        }
    }
}

/// A column's name in the list of heads.
#[must_use]
pub fn short(number: ProfileNumber) -> &'static str {
    match number {
        ProfileNumber::PromptShare => "prompt",
        ProfileNumber::Entropy => "entropy",
        ProfileNumber::EffectiveTokens => "tokens",
        ProfileNumber::TokensFor50 => "50 %",
        ProfileNumber::TokensFor90 => "90 %",
        ProfileNumber::TokensFor99 => "99 %",
        ProfileNumber::SinkShare => "sinks",
        ProfileNumber::RecentShare => "recent",
        ProfileNumber::EvidenceShare => "needs",
        ProfileNumber::NextStep => "step",
        ProfileNumber::StepsBefore => "so far",
        ProfileNumber::LayerBelow => "below",
        ProfileNumber::Group => "group",
    }
}

/// Where a head stands on the axis.
fn place(number: ProfileNumber, x: f64) -> f64 {
    match number.is_count() {
        true => x.max(1.0).log2(),
        false => x,
    }
}

fn x_axis(scatter: &Scatter, budget: usize) -> PlotAxis {
    let number = scatter.number;
    let places = scatter.xs.iter().map(|x| place(number, *x));
    let highest = places.fold(0.0, f64::max);
    let label = match number.is_overlap() {
        true => format!("{} at {budget} tokens", number.label()),
        false => number.label().to_owned(),
    };
    if number.is_share() && highest > 0.5 {
        return PlotAxis::shares(label);
    }
    PlotAxis {
        label,
        low: 0.0,
        high: highest.max(1e-3),
        numbers: match number.is_count() {
            true => AxisNumbers::Octaves,
            false => AxisNumbers::Any,
        },
        whole: None,
    }
}

fn plot_ui(ui: &mut Ui, view: &View<'_>, scatter: &Scatter, commands: &mut Commands) {
    let metric = scatter.metric;
    let highest = scatter.ys.iter().copied().fold(1.0, f64::max);
    let y = match metric {
        Metric::OutputError if highest > 1.0 => PlotAxis {
            high: highest,
            ..PlotAxis::shares(metric.label())
        },
        _ => PlotAxis::shares(metric.label()),
    };
    let points: Vec<[f64; 2]> = scatter
        .xs
        .iter()
        .zip(&scatter.ys)
        .map(|(x, y)| [place(scatter.number, *x), *y])
        .collect();
    let x = x_axis(scatter, view.derived.budget_tokens());
    let plot = LinePlot {
        curves: marks(view, scatter, &points),
        moves: true,
        ..LinePlot::new("Profile of the heads", height_left(ui), x, y)
    };
    let answer = plot.show(ui, view.theme);
    let on = answer.nearest(points.iter().copied());
    let on = on.and_then(|index| Some((index, *scatter.heads.get(index)?)));
    answer_ui(answer, view, scatter, on, commands);
}

/// All heads, then those that are selected, then the one that the pointer is on.
fn marks(view: &View<'_>, scatter: &Scatter, points: &[[f64; 2]]) -> Vec<PlotCurve> {
    let window = view.derived.window.as_deref().unwrap_or_default();
    let mut windows = view.derived.windows().iter();
    let repeat = windows
        .find(|known| known.label == window)
        .map_or(0, |known| known.repeat);
    let series = view.theme.series(window, repeat);
    let chosen = &view.settings.choices.heads;
    let pointed = view.hover.head;
    let mark = |is_in: &dyn Fn(HeadAddress) -> bool, style: SeriesStyle, drawn: Drawn| {
        let heads = scatter.heads.iter().zip(points);
        let shown = heads.filter(|(head, _)| queries(scatter, **head).any(is_in));
        let (xs, ys) = shown.map(|(_, [x, y])| (*x, *y)).unzip();
        PlotCurve {
            name: String::new(),
            style,
            xs,
            ys,
            band: None,
            drawn,
        }
    };
    let faint = SeriesStyle {
        color: series.color.gamma_multiply(match chosen.is_empty() {
            true => 0.8,
            false => 0.45,
        }),
        marker: Some(MarkerShape::Circle),
        ..series
    };
    let ring = SeriesStyle {
        color: view.theme.selection.gamma_multiply(0.5),
        line: LineStyle::Solid,
        marker: Some(MarkerShape::Circle),
    };
    let selected = SeriesStyle {
        color: view.theme.selection,
        ..faint
    };
    vec![
        mark(&|head| Some(head) == pointed, ring, RING),
        mark(&|_| true, faint, MARK),
        mark(&|head| chosen.contains(&head), selected, SELECTED_MARK),
    ]
}

/// The query heads that a mark stands for.
fn queries(scatter: &Scatter, head: HeadAddress) -> impl Iterator<Item = HeadAddress> {
    let heads = head.head..head.head + scatter.query_heads_per_mark.max(1);
    heads.map(move |query| HeadAddress {
        head: query,
        ..head
    })
}

/// What the pointer and a click do on a mark.
fn answer_ui(
    answer: PlotAnswer,
    view: &View<'_>,
    scatter: &Scatter,
    on: Option<(usize, HeadAddress)>,
    commands: &mut Commands,
) {
    let Some((index, head)) = on else { return };
    commands.hover.head = Some(head);
    if answer.response.clicked() {
        let modifiers = answer.response.ctx.input(|input| input.modifiers);
        let change = match modifiers.command || modifiers.shift {
            true => SelectionChange::Toggle,
            false => SelectionChange::Replace,
        };
        let heads = queries(scatter, head).collect();
        commands.send(LookCommand::SelectHeads { heads, change });
    }
    if answer.response.secondary_clicked() {
        let is_it = view.settings.choices.pinned == Some(head);
        commands.send(LookCommand::Pin(Some(head).filter(|_| !is_it)));
    }
    let at = |values: &[f64]| values.get(index).copied().unwrap_or(f64::NAN);
    answer.response.on_hover_ui_at_pointer(|ui| {
        ui.strong(format!("Layer {}, head {}", head.layer, head.head));
        ui.label(format!(
            "{}: {:.3}",
            scatter.number.label(),
            at(&scatter.xs)
        ));
        let window = view.derived.window.as_deref().unwrap_or_default();
        let metric = scatter.metric.label();
        ui.label(format!("{metric} of {window}: {:.3}", at(&scatter.ys)));
        ui.weak("Click selects, right-click pins");
    });
}

/// A line for every mark.
fn numbers(view: &View<'_>) -> Option<Table> {
    let scatter = view.derived.scatter()?;
    let (x, y) = (
        HeadNumber::Profile(scatter.number),
        HeadNumber::Metric(scatter.metric),
    );
    let mut table = Table::new(&["layer", "head", "window", x.name(), y.name()]);
    let window = view.derived.window.clone().unwrap_or_default();
    for (head, (x, y)) in scatter.heads.iter().zip(scatter.xs.iter().zip(&scatter.ys)) {
        table.line(&[
            head.layer.to_string(),
            head.head.to_string(),
            window.clone(),
            number(*x),
            number(*y),
        ]);
    }
    Some(table)
}
