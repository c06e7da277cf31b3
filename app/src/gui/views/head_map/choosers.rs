//! What stands above the map: what it shows, of which windows, over which samples.

use egui::{ComboBox, Ui};

use crate::gui::command::{Commands, LookCommand};
use crate::gui::state::{MapKind, MapScope};
use crate::gui::views::profile::number_ui;
use crate::gui::views::{View, in_force_ui};
use crate::gui::widgets::together::{phrase, text_width, together};
use crate::gui::widgets::toggle::toggle;
use crate::gui::widgets::typed::TypedField;

const EQUAL_WITHIN: &str = "Equal within";
const MARGIN_WIDTH: f32 = 44.0;

/// Draws the choosers that fit the kind of map.
pub(super) fn choosers_ui(ui: &mut Ui, view: &View<'_>, labels: &[&str], commands: &mut Commands) {
    let choices = &view.settings.choices;
    ui.horizontal_wrapped(|ui| {
        kind_ui(ui, choices.map_kind, commands);
        if matches!(choices.map_kind, MapKind::Beside | MapKind::InB) {
            window_ui(ui, "Window", view, labels, commands);
            in_force_ui(ui, view);
            return;
        }
        if choices.map_kind == MapKind::Needed {
            return;
        }
        if choices.map_kind == MapKind::Profile {
            number_ui(ui, "Number of the map", view, commands);
            in_force_ui(ui, view);
            return;
        }
        let mut all = choices.map_scope == MapScope::Session;
        let all_samples = toggle(ui, &mut all, "All samples")
            .on_hover_text(
                "Mean over all finished samples instead of the prompt on show; differences and wins that could be \
                 chance are struck through",
            );
        if all_samples.clicked() {
            commands.send(LookCommand::SetMapScope(match all {
                true => MapScope::Session,
                false => MapScope::Sample,
            }));
        }
        if choices.map_kind == MapKind::Window {
            window_ui(ui, "Window", view, labels, commands);
            if labels.len() > 1 {
                minus_ui(ui, view, labels, commands);
            }
        }
        // other maps have it at their colour bar
        if choices.map_kind == MapKind::Winner {
            phrase(ui, choices.metric.label());
        }
        let is_tested = choices.map_kind == MapKind::Winner || view.derived.minus.is_some();
        if choices.shown_scope() == MapScope::Session && is_tested {
            margin_ui(ui, view, commands);
        }
        in_force_ui(ui, view);
    });
}

/// How far apart windows may be over the samples to count as equally good.
fn margin_ui(ui: &mut Ui, view: &View<'_>, commands: &mut Commands) {
    let width = text_width(ui, EQUAL_WITHIN) + MARGIN_WIDTH + 2.0 * ui.spacing().item_spacing.x;
    together(ui, width, |ui| margin_field_ui(ui, view, commands));
}

fn margin_field_ui(ui: &mut Ui, view: &View<'_>, commands: &mut Commands) {
    let name = ui.label(EQUAL_WITHIN);
    let margin = view.settings.choices.margin;
    let field = TypedField {
        id: "margin of equivalence",
        label: name.id,
        current: margin.map_or(String::new(), |margin| margin.to_string()),
        hint: "nothing",
        help: "So much of the metric, such as 0.02: where the whole paired 95 % interval lies within it, the windows are \
               shown to be as good as each other and carry an equals sign",
        width: MARGIN_WIDTH,
        error: view.theme.error,
    };
    if let Some(margin) = field.show(ui, read_margin)
        && margin != view.settings.choices.margin
    {
        commands.send(LookCommand::SetMargin(margin));
    }
}

/// Nothing, or a number above zero.
fn read_margin(text: &str) -> Result<Option<f64>, String> {
    let wrong =
        || format!("'{text}' is no margin; write a number above zero such as 0.02, or nothing");
    match text.trim() {
        "" => Ok(None),
        text => {
            let margin = text
                .parse()
                .ok()
                .filter(|margin: &f64| *margin > 0.0 && margin.is_finite());
            margin.map(Some).ok_or_else(wrong)
        }
    }
}

fn explain_kind(kind: MapKind) -> &'static str {
    match kind {
        MapKind::Window => "One window, or its difference to another",
        MapKind::SideBySide => "Every visible window in a map of its own, on one scale",
        MapKind::Winner => "The visible window that is best in each head",
        MapKind::Beside => "One window minus the same of the session beside",
        MapKind::InB => "One window of the session beside",
        MapKind::Needed => {
            "Attention of the decode stage on the tokens that the answer needs, in the mean over its steps: heads with \
             much of it read the answer off the prompt"
        }
        MapKind::Profile => {
            "What every head is like, whatever the window: where its attention falls, on how many tokens, and what it \
             shares with the next step, the layer below and its group"
        }
    }
}

fn kind_ui(ui: &mut Ui, current: MapKind, commands: &mut Commands) {
    ComboBox::from_id_salt("map kind")
        .selected_text(current.label())
        .width(96.0)
        .show_ui(ui, |ui| {
            for kind in MapKind::ALL {
                let choice = ui
                    .selectable_label(kind == current, kind.label())
                    .on_hover_text(explain_kind(kind));
                if choice.clicked() {
                    commands.send(LookCommand::SetMapKind(kind));
                }
            }
        })
        .response
        .on_hover_text(explain_kind(current))
        .widget_info(|| egui::WidgetInfo::labeled(egui::Role::ComboBox, true, "Kind of map"));
}

/// The chooser of the window that map and tokens share.
pub fn window_ui(
    ui: &mut Ui,
    name: &str,
    view: &View<'_>,
    labels: &[&str],
    commands: &mut Commands,
) {
    let current = view.derived.window.as_deref().unwrap_or("");
    let observation = view.derived.observation.as_deref().unwrap_or(current);
    if observation != current {
        ui.weak(observation).on_hover_text(
            "The window looked ahead anew for each budget; ranks, tokens and attention are those of the nearest one",
        );
    }
    ComboBox::from_id_salt(("window", name))
        .selected_text(current)
        .show_ui(ui, |ui| {
            for label in labels {
                if ui.selectable_label(*label == current, *label).clicked() {
                    commands.send(LookCommand::SetWindow((*label).to_owned()));
                }
            }
        })
        .response
        .on_hover_text("The window that map and tokens show")
        .widget_info(|| egui::WidgetInfo::labeled(egui::Role::ComboBox, true, name));
}

fn minus_ui(ui: &mut Ui, view: &View<'_>, labels: &[&str], commands: &mut Commands) {
    let current = view.derived.minus.as_deref();
    let text = current.map_or("minus nothing".to_owned(), |label| format!("minus {label}"));
    ComboBox::from_id_salt("minus")
        .selected_text(text)
        .show_ui(ui, |ui| {
            if ui.selectable_label(current.is_none(), "nothing").clicked() {
                commands.send(LookCommand::SetMinus(None));
            }
            let others = labels
                .iter()
                .filter(|label| Some(**label) != view.derived.window.as_deref());
            for label in others {
                if ui
                    .selectable_label(current == Some(*label), *label)
                    .clicked()
                {
                    commands.send(LookCommand::SetMinus(Some((*label).to_owned())));
                }
            }
        })
        .response
        .on_hover_text("Show the difference to another window")
        .widget_info(|| egui::WidgetInfo::labeled(egui::Role::ComboBox, true, "Minus window"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_margin_is_a_number_above_zero_or_nothing() {
        assert_eq!(read_margin(" 0.02 "), Ok(Some(0.02)));
        assert_eq!(read_margin(""), Ok(None));
        for wrong in ["0", "-0.1", "two", "inf", "NaN"] {
            assert!(read_margin(wrong).unwrap_err().contains(wrong));
        }
    }
}
