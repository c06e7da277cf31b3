//! How importance is scored: every choice can stay as the window's paper published it.

use egui::{ComboBox, DragValue, Grid, Ui};
use kvlens_analysis::{GroupReduction, KeptRecent, KeySet, Pooling, RowReduction, StepRange};

use super::{PaneView, View, empty_hint};
use crate::gui::command::{Commands, LookCommand};
use crate::gui::layout::Pane;
use crate::gui::theme::Theme;
use crate::gui::widgets::typed::TypedField;
use crate::measurement::{MeasureOptions, OracleDefinition};

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

/// What stands where the oracle is scored as the windows are.
const AS_ABOVE: &str = "as above";

const REDUCTIONS: [RowReduction; 3] = [RowReduction::Mean, RowReduction::Sum, RowReduction::Max];
const KEY_SETS: [KeySet; 2] = [KeySet::Causal, KeySet::Prompt];
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

    fn ui(&self, ui: &mut Ui, view: &View<'_>, commands: &mut Commands) {
        scoring_ui(ui, view, commands);
    }
}

fn scoring_ui(ui: &mut Ui, view: &View<'_>, commands: &mut Commands) {
    let Some((_, shown)) = view.shown() else {
        empty_hint(ui, "Open a session to score it otherwise");
        return;
    };
    let mut options = view.settings.choices.measure;
    egui::ScrollArea::vertical()
        .id_salt("scoring")
        .show(ui, |ui| {
            ui.weak("Applies to every window and to the oracle, without running the model again");
            grid(ui, "scoring", |ui| scoring_of_all(ui, &mut options));
            ui.add_space(6.0);
            ui.strong("Oracle").on_hover_text(
                "The attention of the decode stage that every window is held against",
            );
            grid(ui, "oracle", |ui| {
                oracle(ui, &mut options.oracle, view.theme)
            });
            ui.add_space(6.0);
            ui.strong("Eviction")
                .on_hover_text("What stays in the cache whatever the scores say");
            grid(ui, "eviction", |ui| eviction(ui, &mut options, view.theme));
            let changed = options != MeasureOptions::default();
            if ui
                .add_enabled(changed, egui::Button::new("As published"))
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

fn grid(ui: &mut Ui, name: &str, rows: impl FnOnce(&mut Ui)) {
    Grid::new(name)
        .num_columns(2)
        .min_col_width(96.0)
        .spacing([12.0, 4.0])
        .show(ui, rows);
}

fn scoring_of_all(ui: &mut Ui, options: &mut MeasureOptions) {
    let overrides = &mut options.overrides;
    choice(ui, "Keys", PUBLISHED, &mut overrides.keys, &KEY_SETS).on_hover_text(KEYS_HELP);
    choice(ui, "Rows", PUBLISHED, &mut overrides.reduce, &REDUCTIONS)
        .on_hover_text("How the rows of the window become one score");
    choice(ui, "Pooling", PUBLISHED, &mut overrides.pool, &POOLINGS)
        .on_hover_text("Smooths the scores over neighbouring tokens");
    choice(
        ui,
        "Group",
        PUBLISHED,
        &mut overrides.group,
        &[
            GroupReduction::None,
            GroupReduction::Mean,
            GroupReduction::Max,
            GroupReduction::Layer,
        ],
    )
    .on_hover_text(
        "How query heads that share keys and values, or all of a layer, become one ranking",
    );
    number(ui, "Exempt sinks", &mut options.exempt.sinks)
        .on_hover_text("First tokens that no ranking contains");
    number(ui, "Exempt recent", &mut options.exempt.recent)
        .on_hover_text("Last tokens that no ranking contains");
}

fn oracle(ui: &mut Ui, oracle: &mut OracleDefinition, theme: &Theme) {
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
    choice(ui, "Oracle rows", AS_ABOVE, &mut oracle.reduce, &REDUCTIONS)
        .on_hover_text("How the decode steps become one score; the mean unless chosen above");
    choice(ui, "Oracle keys", AS_ABOVE, &mut oracle.keys, &KEY_SETS).on_hover_text(KEYS_HELP);
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
               split); as published when empty. Counts in hit rate and fidelity",
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

fn choice<T: Copy + PartialEq + std::fmt::Display>(
    ui: &mut Ui,
    name: &str,
    unchosen: &str,
    current: &mut Option<T>,
    choices: &[T],
) -> egui::Response {
    let text = |choice: &Option<T>| choice.map_or(unchosen.to_owned(), |it| it.to_string());
    ui.label(name);
    let response = ComboBox::from_id_salt(name)
        .selected_text(text(current))
        .show_ui(ui, |ui| {
            ui.selectable_value(current, None, text(&None));
            for choice in choices {
                ui.selectable_value(current, Some(*choice), choice.to_string());
            }
        })
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
