//! How importance is scored: every choice can stay as the window's paper published it.

use egui::{ComboBox, DragValue, Grid, Ui};
use kvlens_analysis::{GroupReduction, KeySet, Pooling, RowReduction};

use super::{View, empty_hint};
use crate::gui::command::{Command, Commands};
use crate::measurement::MeasureOptions;

const POOLINGS: [Pooling; 7] = [
    Pooling::None,
    Pooling::Average { kernel: 5 },
    Pooling::Average { kernel: 7 },
    Pooling::Average { kernel: 13 },
    Pooling::Max { kernel: 5 },
    Pooling::Max { kernel: 7 },
    Pooling::Max { kernel: 13 },
];

/// Draws the view.
pub fn scoring_ui(ui: &mut Ui, view: &View<'_>, commands: &mut Commands) {
    let Some((_, shown)) = view.shown() else {
        empty_hint(ui, "Open a session to score it otherwise");
        return;
    };
    let mut options = view.settings.choices.measure;
    ui.weak("Applies to every window and to the oracle, without running the model again");
    Grid::new("scoring")
        .num_columns(2)
        .spacing([12.0, 4.0])
        .show(ui, |ui| {
            let overrides = &mut options.overrides;
            choice(
                ui,
                "Keys",
                &mut overrides.keys,
                &[KeySet::Causal, KeySet::Prompt],
            )
            .on_hover_text(
                "causal: as the model weighted them. prompt: each row renormalised over the prompt",
            );
            choice(
                ui,
                "Rows",
                &mut overrides.reduce,
                &[RowReduction::Mean, RowReduction::Sum, RowReduction::Max],
            )
            .on_hover_text("How the rows of the window become one score");
            choice(ui, "Pooling", &mut overrides.pool, &POOLINGS)
                .on_hover_text("Smooths the scores over neighbouring tokens");
            choice(
                ui,
                "Group",
                &mut overrides.group,
                &[
                    GroupReduction::None,
                    GroupReduction::Mean,
                    GroupReduction::Max,
                ],
            )
            .on_hover_text("How query heads that share keys and values become one ranking");
            number(ui, "Exempt sinks", &mut options.exempt.sinks)
                .on_hover_text("First tokens that no ranking contains");
            number(ui, "Exempt recent", &mut options.exempt.recent)
                .on_hover_text("Last tokens that no ranking contains");
        });
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
    if options != view.settings.choices.measure {
        commands.send(Command::SetMeasureOptions(options));
    }
}

fn choice<T: Copy + PartialEq + std::fmt::Display>(
    ui: &mut Ui,
    name: &str,
    current: &mut Option<T>,
    choices: &[T],
) -> egui::Response {
    let text = |choice: &Option<T>| choice.map_or("as published".to_owned(), |it| it.to_string());
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
