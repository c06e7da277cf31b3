//! What the chosen window and each other one find of the decode stage's top tokens: a bar for each pair.

use egui::{Align2, Color32, FontId, Label, Rect, Role, Sense, Ui, WidgetInfo, pos2, vec2};

use super::head_map::window_ui;
use super::{NearestFigure, Need, PaneView, ReadNumbers, View, empty_hint, in_force_ui};
use crate::gui::command::{Commands, LookCommand};
use crate::gui::derived::{PairShares, WindowPairs};
use crate::gui::export::ShownFigure;
use crate::gui::layout::Pane;
use crate::gui::numbers::{Table, number};
use crate::gui::state::Choices;
use crate::gui::theme::Theme;
use crate::gui::widgets::copy_button::copy_button;
use crate::gui::widgets::together::phrase;
use crate::jobs::figure::KindChoice;

const BAR_HEIGHT: f32 = 22.0;
/// Side of the squares in the key of the colours.
const SWATCH: f32 = 14.0;
const NAME_WIDTH: f32 = 150.0;
/// Parts narrower than this have no number in them; the pointer tells it.
const NUMBER_WIDTH: f32 = 34.0;
const NARROW_NUMBER_WIDTH: f32 = 17.0;
/// What is left of a window's colour where it finds something alone.
const BORDER: f32 = 1.0;

impl Pane {
    /// What two windows find together.
    pub const COMPLEMENTARITY: Self = Self::of(&ComplementarityView);
}

struct ComplementarityView;

impl PaneView for ComplementarityView {
    fn name(&self) -> &'static str {
        "Complementarity"
    }

    fn title(&self) -> &'static str {
        "Complementarity"
    }

    fn help(&self) -> &'static str {
        include_str!("../../../help/views/complementarity.md")
    }

    fn needs(&self, _choices: &Choices) -> &'static [Need] {
        &[Need::Complementarity]
    }

    fn ui(&self, ui: &mut Ui, view: &View<'_>, commands: &mut Commands) {
        complementarity_ui(ui, view, commands);
    }

    fn numbers(&self) -> Option<ReadNumbers> {
        Some(numbers)
    }

    fn figure(&self) -> Option<NearestFigure> {
        Some(|_| ShownFigure::of_sample(KindChoice::Complementarity))
    }
}

/// What a part of a bar is.
#[derive(Clone, Copy, PartialEq)]
enum Part {
    Shared,
    FirstOnly,
    SecondOnly,
    Missed,
}

impl Part {
    const ALL: [Self; 4] = [
        Self::Shared,
        Self::FirstOnly,
        Self::SecondOnly,
        Self::Missed,
    ];

    fn of(self, pair: &PairShares) -> f64 {
        match self {
            Self::Shared => pair.shared,
            Self::FirstOnly => pair.first_only,
            Self::SecondOnly => pair.second_only,
            Self::Missed => pair.missed,
        }
    }

    fn words(self, first: &str, second: &str) -> String {
        match self {
            Self::Shared => "found by both".to_owned(),
            Self::FirstOnly => format!("{first} alone"),
            Self::SecondOnly => format!("{second} alone"),
            Self::Missed => "missed by both".to_owned(),
        }
    }
}

fn complementarity_ui(ui: &mut Ui, view: &View<'_>, commands: &mut Commands) {
    let Some((_, shown)) = view.shown() else {
        empty_hint(
            ui,
            "Run a capture or open a session to see what its windows find together",
        );
        return;
    };
    if shown.sample.windows.len() < 2 {
        empty_hint(ui, "A session of one window has nothing to hold beside it");
        return;
    }
    let windows = shown.sample.windows.iter();
    let labels: Vec<&str> = windows.map(|window| window.label.as_str()).collect();
    let pairs = view.derived.pairs();
    ui.horizontal_wrapped(|ui| {
        window_ui(ui, "First window of the pairs", view, &labels, commands);
        phrase(ui, "and each other window:");
        if let Some(pairs) = pairs {
            let heads = match pairs.heads {
                1 => "1 head".to_owned(),
                heads => format!("{heads} heads"),
            };
            let top = pairs.budget_tokens;
            phrase(
                ui,
                &format!("shares of the decode stage's top {top} tokens,"),
            );
            phrase(ui, &format!("mean of {heads}"));
            copy_button(ui, "Copy the pairs", Pane::COMPLEMENTARITY, commands);
        }
        in_force_ui(ui, view);
    });
    let Some(pairs) = pairs else {
        empty_hint(ui, "Comparing the windows");
        return;
    };
    key_ui(ui, view.theme, &pairs.first, color_of(view, &pairs.first));
    egui::ScrollArea::vertical()
        .id_salt("pairs of windows")
        .auto_shrink(false)
        .show(ui, |ui| {
            for pair in visible(view, pairs) {
                pair_ui(ui, view, &pairs.first, pair, commands);
            }
        });
}

fn visible<'a>(view: &'a View<'_>, pairs: &'a WindowPairs) -> impl Iterator<Item = &'a PairShares> {
    let hidden = &view.settings.choices.hidden_windows;
    let pairs = pairs.pairs.iter();
    pairs.filter(|pair| !hidden.contains(&pair.second))
}

fn color_of(view: &View<'_>, label: &str) -> Color32 {
    let mut windows = view.derived.windows().iter();
    let repeat = windows
        .find(|window| window.label == label)
        .map_or(0, |window| window.repeat);
    view.theme.series(label, repeat).color
}

/// What the parts of a bar are.
fn key_ui(ui: &mut Ui, theme: &Theme, first: &str, color: Color32) {
    ui.horizontal_wrapped(|ui| {
        for part in Part::ALL {
            match part {
                // each bar's second window has the colour of its name
                Part::SecondOnly => {
                    ui.add(Label::new("the other alone, in its colour").extend());
                }
                part => {
                    let fill = fill_of(part, theme, [color; 2]);
                    key_entry_ui(ui, theme, fill, &part.words(first, ""));
                }
            }
        }
    });
}

/// A piece of a bar and what it is: one widget, so that a row of them wraps between two, never within.
fn key_entry_ui(ui: &mut Ui, theme: &Theme, fill: Color32, words: &str) {
    let words = egui::WidgetText::from(words);
    let extend = Some(egui::TextWrapMode::Extend);
    let words = words.into_galley(ui, extend, f32::INFINITY, egui::TextStyle::Body);
    let size = vec2(SWATCH + 4.0 + words.size().x, words.size().y.max(SWATCH));
    let (rect, _) = ui.allocate_exact_size(size, Sense::hover());
    let swatch = Rect::from_center_size(
        rect.left_center() + vec2(SWATCH / 2.0, 0.0),
        vec2(SWATCH, SWATCH),
    );
    paint_part(ui, swatch, fill, theme);
    let at = rect.left_center() + vec2(SWATCH + 4.0, -words.size().y / 2.0);
    ui.painter().galley(at, words, ui.visuals().text_color());
}

fn fill_of(part: Part, theme: &Theme, [first, second]: [Color32; 2]) -> Color32 {
    match part {
        // no window is so bright, whatever its grey
        Part::Shared => theme.selection,
        Part::FirstOnly => first,
        Part::SecondOnly => second,
        Part::Missed => theme.paper,
    }
}

fn paint_part(ui: &Ui, rect: Rect, fill: Color32, theme: &Theme) {
    ui.painter().rect_filled(rect, 0.0, fill);
    let stroke = egui::Stroke::new(BORDER, theme.missing_value);
    let inside = egui::StrokeKind::Inside;
    ui.painter().rect_stroke(rect, 0.0, stroke, inside);
}

/// A bar of the pair's four shares; a click takes the other window for the map's difference.
fn pair_ui(ui: &mut Ui, view: &View<'_>, first: &str, pair: &PairShares, commands: &mut Commands) {
    let size = vec2(ui.available_width(), BAR_HEIGHT);
    let (rect, response) = ui.allocate_exact_size(size, Sense::click());
    let colors = [color_of(view, first), color_of(view, &pair.second)];
    let name = Rect::from_min_size(rect.min, vec2(NAME_WIDTH.min(0.4 * size.x), BAR_HEIGHT));
    let painter = ui.painter().with_clip_rect(name);
    let font = FontId::proportional(13.0);
    let at = pos2(name.left(), name.center().y);
    let color = view.theme.legible(colors[1]);
    painter.text(at, Align2::LEFT_CENTER, &pair.second, font, color);
    let bar = Rect::from_min_max(pos2(name.right() + 6.0, rect.top() + 2.0), rect.max);
    let mut left = bar.left();
    for part in Part::ALL {
        let share = part.of(pair);
        if share.is_nan() {
            continue;
        }
        let width = bar.width() * share as f32;
        let part_rect = Rect::from_min_size(pos2(left, bar.top()), vec2(width, bar.height()));
        let fill = fill_of(part, view.theme, colors);
        paint_part(ui, part_rect, fill, view.theme);
        if let Some((text, size)) = number_in(share, width) {
            ui.painter().text(
                part_rect.center(),
                Align2::CENTER_CENTER,
                text,
                FontId::proportional(size),
                Theme::text_on(fill),
            );
        }
        left += width;
    }
    let label = format!("{first} and {}", pair.second);
    response.widget_info(|| WidgetInfo::labeled(Role::Button, true, &label));
    if response.hovered() {
        commands.hover.window = Some(pair.second.clone());
    }
    if response.clicked() {
        commands.send(LookCommand::SetMinus(Some(pair.second.clone())));
    }
    response.on_hover_ui_at_pointer(|ui| {
        ui.strong(label);
        if pair.shared.is_nan() {
            ui.label("undefined: no selected head's layer ranks more tokens than the budget");
            return;
        }
        egui::Grid::new("shares of the pair")
            .num_columns(2)
            .show(ui, |ui| {
                for part in Part::ALL {
                    ui.label(part.words(first, &pair.second));
                    ui.monospace(format!("{:.3}", part.of(pair)));
                    ui.end_row();
                }
                ui.label("found by either");
                ui.monospace(format!("{:.3}", 1.0 - pair.missed));
                ui.end_row();
                ui.label("tokens of both selections");
                ui.monospace(format!("{:.0}", pair.union_tokens));
                ui.end_row();
            });
        ui.weak("Click lets the map subtract it");
    });
}

/// A share as a part of the bar has room for it, and the size of its letters; without the nought before the point where
/// there is little.
fn number_in(share: f64, width: f32) -> Option<(String, f32)> {
    let text = format!("{share:.2}");
    match width {
        roomy if roomy >= NUMBER_WIDTH => Some((text, 12.0)),
        narrow if narrow >= NARROW_NUMBER_WIDTH => {
            let text = text.strip_prefix('0').unwrap_or(&text).to_owned();
            Some((text, 10.0))
        }
        _ => None,
    }
}

/// A line for every pair.
fn numbers(view: &View<'_>) -> Option<Table> {
    let pairs = view.derived.pairs()?;
    let mut table = Table::new(&[
        "first",
        "second",
        "budget_tokens",
        "both",
        "first_only",
        "second_only",
        "neither",
        "union_tokens",
    ]);
    for pair in visible(view, pairs) {
        table.line(&[
            pairs.first.clone(),
            pair.second.clone(),
            pairs.budget_tokens.to_string(),
            number(pair.shared),
            number(pair.first_only),
            number(pair.second_only),
            number(pair.missed),
            number(pair.union_tokens),
        ]);
    }
    Some(table)
}
