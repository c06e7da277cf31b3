//! What is compared, how importance is scored, and what counts as the truth.

use std::fmt::Display;

use egui::{ComboBox, DragValue, Grid, RichText, Ui};
use kvlens_analysis::{
    Compare, GroupOrder, GroupReduction, KeptRecent, KeySet, Pooling, RowReduction, Scoring,
    StepRange,
};

use super::{PaneView, SCROLLED_SHARE, View, empty_hint};
use crate::gui::command::{Commands, LookCommand};
use crate::gui::data::Shown;
use crate::gui::forced::rule_text;
use crate::gui::layout::Pane;
use crate::gui::theme::Theme;
use crate::gui::widgets::segmented::segmented;
use crate::gui::widgets::typed::TypedField;
use crate::measurement::{MeasureOptions, MeasuredWindow, OracleDefinition};

const POOLINGS: [Pooling; 7] = [
    Pooling::None,
    Pooling::Average { kernel: 5 },
    Pooling::Average { kernel: 7 },
    Pooling::Average { kernel: 13 },
    Pooling::Max { kernel: 5 },
    Pooling::Max { kernel: 7 },
    Pooling::Max { kernel: 13 },
];

/// What stands where a window is scored as its paper says.
const PUBLISHED: &str = "as published";

const REDUCTIONS: [RowReduction; 3] = [RowReduction::Mean, RowReduction::Sum, RowReduction::Max];
const KEY_SETS: [KeySet; 2] = [KeySet::Causal, KeySet::Prompt];
const GROUPS: [GroupReduction; 4] = [
    GroupReduction::None,
    GroupReduction::Mean,
    GroupReduction::Max,
    GroupReduction::Layer,
];
const ORDERS: [GroupOrder; 2] = [GroupOrder::PoolFirst, GroupOrder::GroupFirst];
const KEYS_HELP: &str =
    "causal: as the model weighted them. prompt: each row renormalised over the prompt";

impl Pane {
    /// How importance is scored.
    pub const SCORING: Self = Self::of(&ScoringView);
}

struct ScoringView;

impl PaneView for ScoringView {
    fn name(&self) -> &'static str {
        "Scoring"
    }

    fn title(&self) -> &'static str {
        "Scoring"
    }

    fn help(&self) -> &'static str {
        include_str!("../../../help/views/scoring.md")
    }

    fn presented_share(&self) -> f32 {
        SCROLLED_SHARE
    }

    fn ui(&self, ui: &mut Ui, view: &View<'_>, commands: &mut Commands) {
        scoring_ui(ui, view, commands);
    }
}

/// The question that a comparison answers.
#[must_use]
pub fn question(compare: Compare) -> &'static str {
    match compare {
        Compare::Queries => "Which queries foresee?",
        Compare::Methods => "Which method keeps?",
    }
}

/// The same options for the other question: what only the other one knows is let go.
#[must_use]
pub fn asking(compare: Compare, options: MeasureOptions) -> MeasureOptions {
    let mut options = MeasureOptions { compare, ..options };
    if compare == Compare::Queries {
        options.oracle = OracleDefinition {
            steps: options.oracle.steps,
            ..OracleDefinition::default()
        };
    }
    options
}

fn scoring_ui(ui: &mut Ui, view: &View<'_>, commands: &mut Commands) {
    let Some((_, shown)) = view.shown() else {
        empty_hint(ui, "Open a session to score it otherwise");
        return;
    };
    let mut options = view.settings.choices.measure;
    egui::ScrollArea::vertical()
        .id_salt("scoring")
        .auto_shrink([false, true])
        .show(ui, |ui| {
            question_ui(ui, &mut options);
            match options.compare {
                Compare::Queries => {
                    heading(
                        ui,
                        "One scoring",
                        "Of every window and of the decode stage alike",
                    );
                    grid(ui, "scoring", |ui| common_scoring(ui, &mut options));
                }
                Compare::Methods => {
                    heading(
                        ui,
                        "Scoring of the windows",
                        "Each window's own, but for what is chosen here",
                    );
                    grid(ui, "scoring", |ui| published_scoring(ui, &mut options));
                }
            }
            heading(
                ui,
                "Truth",
                "The attention of the decode stage that every window is held against",
            );
            grid(ui, "truth", |ui| truth_ui(ui, &mut options, view.theme));
            heading(
                ui,
                "Eviction",
                "What stays in the cache whatever the scores say",
            );
            grid(ui, "eviction", |ui| eviction(ui, &mut options, view.theme));
            heading(
                ui,
                "Windows",
                "What 'as published' means for each: its scoring where methods are compared, and what its eviction rule \
                 keeps whatever the scores say",
            );
            windows_ui(ui, shown);
            let changed = options != MeasureOptions::default();
            if ui
                .add_enabled(changed, egui::Button::new("Reset"))
                .on_hover_text("Compare queries under the default scoring")
                .clicked()
            {
                options = MeasureOptions::default();
            }
            if options != shown.options && !view.data.jobs.is_empty() {
                ui.weak("Measuring again…");
            }
        });
    if options != view.settings.choices.measure {
        commands.send(LookCommand::SetMeasureOptions(options));
    }
}

fn question_ui(ui: &mut Ui, options: &mut MeasureOptions) {
    let both = [Compare::Queries, Compare::Methods];
    let asked = segmented(ui, options.compare, &both, question, |button, compare| {
        button.on_hover_text(compare.explain())
    });
    if let Some(compare) = asked {
        *options = asking(compare, *options);
    }
    ui.add(egui::Label::new(RichText::new(options.compare.explain()).weak()).wrap());
}

fn heading(ui: &mut Ui, text: &str, help: &str) {
    ui.add_space(6.0);
    ui.strong(text).on_hover_text(help);
}

fn grid(ui: &mut Ui, name: &str, rows: impl FnOnce(&mut Ui)) {
    Grid::new(name)
        .num_columns(2)
        .min_col_width(96.0)
        .spacing([12.0, 4.0])
        .show(ui, rows);
}

/// Where queries are compared there is one scoring, and no part of it stays open.
fn common_scoring(ui: &mut Ui, options: &mut MeasureOptions) {
    let usual = Scoring::for_queries();
    let MeasureOptions { overrides, .. } = options;
    one_of(ui, "Keys", usual.keys, &mut overrides.keys, &KEY_SETS).on_hover_text(KEYS_HELP);
    one_of(ui, "Rows", usual.reduce, &mut overrides.reduce, &REDUCTIONS).on_hover_text(ROWS_HELP);
    one_of(ui, "Pooling", usual.pool, &mut overrides.pool, &POOLINGS).on_hover_text(POOLING_HELP);
    one_of(ui, "Group", usual.group, &mut overrides.group, &GROUPS).on_hover_text(GROUP_HELP);
    let order = usual.group_order;
    one_of(ui, "Order", order, &mut overrides.group_order, &ORDERS).on_hover_text(ORDER_HELP);
}

/// Where methods are compared every part stays as each window was published, unless it is chosen.
fn published_scoring(ui: &mut Ui, options: &mut MeasureOptions) {
    let MeasureOptions { overrides, .. } = options;
    or_published(ui, "Keys", PUBLISHED, &mut overrides.keys, &KEY_SETS).on_hover_text(KEYS_HELP);
    or_published(ui, "Rows", PUBLISHED, &mut overrides.reduce, &REDUCTIONS)
        .on_hover_text(ROWS_HELP);
    or_published(ui, "Pooling", PUBLISHED, &mut overrides.pool, &POOLINGS)
        .on_hover_text(POOLING_HELP);
    or_published(ui, "Group", PUBLISHED, &mut overrides.group, &GROUPS).on_hover_text(GROUP_HELP);
    or_published(ui, "Order", PUBLISHED, &mut overrides.group_order, &ORDERS)
        .on_hover_text(ORDER_HELP);
}

const ROWS_HELP: &str = "How the rows of a window become one score";
const POOLING_HELP: &str = "Smooths the scores over neighbouring tokens";
const GROUP_HELP: &str =
    "How query heads that share keys and values, or all of a layer, become one ranking";
const ORDER_HELP: &str = "Where heads are grouped: pool every query head and then reduce the group (kvpress), or \
                          reduce the group and then pool (AdaKV)";

/// How each window is scored, and what its eviction rule keeps: what 'as published' is, but for what was chosen.
fn windows_ui(ui: &mut Ui, shown: &Shown) {
    let titles = ["window", "rows", "keys", "pooling", "group", "always keeps"];
    let is_by_window = shown.options.compare == Compare::Methods;
    Grid::new("scorings of the windows")
        .striped(true)
        .spacing([10.0, 2.0])
        .show(ui, |ui| {
            let told = |index: usize| is_by_window || index == 0 || index == 5;
            for (_, title) in titles.iter().enumerate().filter(|(index, _)| told(*index)) {
                ui.weak(*title);
            }
            ui.end_row();
            for window in &shown.sample.windows {
                let cells = window_cells(window);
                for (_, cell) in cells.iter().enumerate().filter(|(index, _)| told(*index)) {
                    ui.label(cell);
                }
                ui.end_row();
            }
        });
}

fn window_cells(window: &MeasuredWindow) -> [String; 6] {
    let Scoring {
        keys,
        reduce,
        pool,
        group,
        group_order,
        weight,
    } = window.scoring.scoring;
    let rows = match weight.is_none() {
        true => reduce.to_string(),
        false => format!("{reduce}, times {weight}"),
    };
    let group = match group {
        GroupReduction::None => "–".to_owned(),
        group => format!("{group}, {group_order}"),
    };
    let pool = match pool {
        Pooling::None => "unpooled".to_owned(),
        pool => pool.to_string(),
    };
    let keeps = rule_text(window);
    let label = window.label.clone();
    [label, rows, keys.to_string(), pool, group, keeps]
}

fn truth_ui(ui: &mut Ui, options: &mut MeasureOptions, theme: &Theme) {
    let oracle = &mut options.oracle;
    let name = ui.label("Decode steps");
    let steps = TypedField {
        id: "oracle steps draft",
        label: name.id,
        current: oracle.steps.to_string(),
        hint: "all",
        help: "all, a number such as 8 for the first steps, or a range such as 5-8, counted from 1",
        width: 92.0,
        error: theme.error,
    };
    let typed = steps.show(ui, |text| {
        text.parse::<StepRange>().map_err(|error| error.to_string())
    });
    oracle.steps = typed.unwrap_or(oracle.steps);
    ui.end_row();
    if options.compare == Compare::Methods {
        let raw = Scoring::default();
        let (rows, keys) = (&mut oracle.reduce, &mut oracle.keys);
        one_of(ui, "Truth rows", raw.reduce, rows, &REDUCTIONS)
            .on_hover_text("How the decode steps become one score");
        one_of(ui, "Truth keys", raw.keys, keys, &KEY_SETS).on_hover_text(KEYS_HELP);
    }
    number(ui, "Exempt sinks", &mut options.exempt.sinks)
        .on_hover_text("First tokens that no ranking contains, on either side");
    number(ui, "Exempt recent", &mut options.exempt.recent)
        .on_hover_text("Last tokens that no ranking contains, on either side");
}

fn eviction(ui: &mut Ui, options: &mut MeasureOptions, theme: &Theme) {
    let name = ui.label("Keep recent");
    let recent = TypedField {
        id: "keep recent draft",
        label: name.id,
        current: options
            .keep_recent
            .map_or(PUBLISHED.to_owned(), |recent| recent.to_string()),
        hint: PUBLISHED,
        help: "Most recent tokens that every window keeps: so many, or a share of the budget such as 50% (H2O's \
               split); as published when empty. Counts in kept recall, hit rate, evidence kept and fidelity",
        width: 92.0,
        error: theme.error,
    };
    let typed = recent.show(ui, |text| match text.trim() {
        "" | PUBLISHED => Ok(None),
        text => text
            .parse::<KeptRecent>()
            .map(Some)
            .map_err(|error| error.to_string()),
    });
    options.keep_recent = typed.unwrap_or(options.keep_recent);
    ui.end_row();
}

/// A part that always has a value; the usual one is no choice.
fn one_of<T: Copy + PartialEq + Display>(
    ui: &mut Ui,
    name: &str,
    usual: T,
    current: &mut Option<T>,
    choices: &[T],
) -> egui::Response {
    let mut value = current.unwrap_or(usual);
    let response = combo(ui, name, &value.to_string(), |ui| {
        for choice in choices {
            let text = match *choice == usual {
                true => format!("{choice} (default)"),
                false => choice.to_string(),
            };
            ui.selectable_value(&mut value, *choice, text);
        }
    });
    *current = Some(value).filter(|value| *value != usual);
    response
}

/// A part that can stay open.
fn or_published<T: Copy + PartialEq + Display>(
    ui: &mut Ui,
    name: &str,
    unchosen: &str,
    current: &mut Option<T>,
    choices: &[T],
) -> egui::Response {
    let text = |choice: &Option<T>| choice.map_or(unchosen.to_owned(), |it| it.to_string());
    let selected = text(current);
    combo(ui, name, &selected, |ui| {
        ui.selectable_value(current, None, text(&None));
        for choice in choices {
            ui.selectable_value(current, Some(*choice), choice.to_string());
        }
    })
}

fn combo(ui: &mut Ui, name: &str, selected: &str, choices: impl FnOnce(&mut Ui)) -> egui::Response {
    ui.label(name);
    let response = ComboBox::from_id_salt(name)
        .selected_text(selected)
        .show_ui(ui, choices)
        .response;
    response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::ComboBox, true, name));
    ui.end_row();
    response
}

fn number(ui: &mut Ui, name: &str, value: &mut usize) -> egui::Response {
    let label = ui.label(name);
    // A keyboard edit counts when it is finished: half-typed numbers would be measured too.
    let response = ui
        .add(
            DragValue::new(value)
                .range(0..=4096)
                .update_while_editing(false),
        )
        .labelled_by(label.id);
    ui.end_row();
    response
}
