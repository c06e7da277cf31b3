//! The export dialog: a figure of the session, its numbers, and the command that makes both again.

use egui::{Align2, ComboBox, DragValue, Grid, RichText, Ui, Window};

mod preview;

use super::View;
use crate::gui::command::{Commands, ExportCommand};
use crate::gui::data::OpenedSession;
use crate::gui::export::{ExportFormat, ExportSettings, FigureOf, block_of};
use crate::gui::heads_text::heads_text;
use crate::gui::in_force::in_force;
use crate::gui::state::Choices;
use crate::gui::widgets::command_line::command_line_ui;
use crate::gui::widgets::first_focus::focus_when_opened;
use crate::gui::widgets::path_field::path_field;
use crate::gui::widgets::segmented::segmented;
use crate::jobs::figure::{KindChoice, WidthChoice, command_line};

/// Draws the dialog.
pub fn export_ui(ui: &Ui, view: &View<'_>, commands: &mut Commands) {
    let mut open = true;
    Window::new("Export a figure")
        .open(&mut open)
        .collapsible(false)
        .resizable(false)
        .default_width(460.0)
        .anchor(Align2::CENTER_CENTER, egui::Vec2::ZERO)
        .show(ui.ctx(), |ui| match &view.data.session {
            Some(session) => fields_ui(ui, view, session, commands),
            None => {
                ui.weak("Open a session to export its figures");
            }
        });
    if !open {
        commands.send(ExportCommand::ToggleExport(None));
    }
}

fn fields_ui(ui: &mut Ui, view: &View<'_>, session: &OpenedSession, commands: &mut Commands) {
    let mut settings = view.settings.export.clone();
    Grid::new("export")
        .num_columns(2)
        .spacing([12.0, 6.0])
        .show(ui, |ui| {
            ui.label("Figure");
            kind_ui(ui, &mut settings.kind);
            ui.end_row();
            if session.info.samples.len() > 1 && !settings.kind.is_of_one_head() {
                ui.label("Of");
                let name = |all: bool| if all { "All samples" } else { "This sample" };
                let chosen = segmented(ui, settings.all_samples, &[false, true], name, |it, _| it);
                settings.all_samples = chosen.unwrap_or(settings.all_samples);
                ui.end_row();
            }
            ui.label("Format");
            let formats = &ExportFormat::ALL;
            let chosen = segmented(
                ui,
                settings.format,
                formats,
                ExportFormat::ending,
                |it, _| it,
            );
            settings.format = chosen.unwrap_or(settings.format);
            ui.end_row();
            ui.label("Width");
            width_ui(ui, &mut settings);
            ui.end_row();
            let name = ui.label("Text");
            let points = DragValue::new(&mut settings.font_size)
                .range(4.0..=24.0)
                .speed(0.25)
                .suffix(" pt");
            ui.add(points).labelled_by(name.id);
            ui.end_row();
            let name = ui.label("File");
            ui.horizontal(|ui| {
                let suggested = settings.path(&session.info.path).display().to_string();
                path_field(ui, "figure", &mut settings.out, &suggested, 270.0).labelled_by(name.id);
                if ui.button("Browse…").clicked() {
                    commands.send(ExportCommand::AskForExport);
                }
            });
            ui.end_row();
        });
    scope_ui(ui, view, session);
    command_ui(ui, view, session, &settings, commands);
    if settings != view.settings.export {
        commands.send(ExportCommand::EditExport(settings));
    }
}

/// Widths of papers and slides, each with the text that it wants.
fn width_ui(ui: &mut Ui, settings: &mut ExportSettings) {
    ComboBox::from_id_salt("width of the figure")
        .width(270.0)
        .selected_text(settings.width.summary())
        .show_ui(ui, |ui| {
            for width in WidthChoice::ALL {
                let is_chosen = settings.width == width;
                if ui.selectable_label(is_chosen, width.summary()).clicked() && !is_chosen {
                    settings.width = width;
                    settings.font_size = width.font_size();
                }
            }
        })
        .response
        .widget_info(|| {
            egui::WidgetInfo::labeled(egui::Role::ComboBox, true, "Width of the figure")
        });
}

fn kind_ui(ui: &mut Ui, kind: &mut KindChoice) {
    ui.vertical(|ui| {
        ComboBox::from_id_salt("kind of figure")
            .selected_text(kind.name())
            .width(180.0)
            .show_ui(ui, |ui| {
                for choice in KindChoice::ALL.iter().copied() {
                    ui.selectable_value(kind, choice, choice.name())
                        .on_hover_text(choice.summary());
                }
            })
            .response
            .widget_info(|| {
                egui::WidgetInfo::labeled(egui::Role::ComboBox, true, "Kind of figure")
            });
        ui.add(egui::Label::new(RichText::new(kind.summary()).weak()).wrap());
    });
}

/// What the figure takes from the views.
fn scope_ui(ui: &mut Ui, view: &View<'_>, session: &OpenedSession) {
    let choices = &view.settings.choices;
    let samples = session.info.samples.len();
    let sample = view
        .data
        .shown()
        .map(|shown| shown.sample.record.id.as_str());
    let kind = view.settings.export.kind;
    let is_of_all = view.settings.export.all_samples && !kind.is_of_one_head();
    let drawn = match is_of_all && samples > 1 {
        true => format!(
            "Mean over all {samples} samples of the session; tasks and places of the question stand apart"
        ),
        false => format!(
            "Of the sample {} alone, so without intervals over samples",
            sample.unwrap_or("on show")
        ),
    };
    ui.add(egui::Label::new(RichText::new(drawn).weak()).wrap());
    let windows = match view.settings.export.is_of_one_window(choices) {
        true => format!(
            "With the window of its view, {}",
            view.derived.window.as_deref().unwrap_or("the first")
        ),
        false => "With the visible windows".to_owned(),
    };
    let text = format!(
        "{windows}, the budget and the metric of the views; {}",
        in_force(&choices.measure)
    );
    ui.add(egui::Label::new(RichText::new(text).weak()).wrap());
    let all = session.info.layers * session.info.query_heads;
    let heads = match choices.heads.len() {
        0 => format!("All {all} query heads"),
        some => format!(
            "{some} of {all} query heads: {}",
            heads_text(&choices.heads)
        ),
    };
    let heads = RichText::new(heads).weak();
    ui.add(egui::Label::new(heads).truncate())
        .on_hover_text("The heads that the views have selected; maps show every head");
    if let Some(text) = heads_warning(kind, choices) {
        ui.label(RichText::new(text).color(view.theme.warning));
    }
}

/// What the figure cannot take of the selected heads.
fn heads_warning(kind: KindChoice, choices: &Choices) -> Option<&'static str> {
    match kind.is_of_one_head() {
        true => choices
            .primary_head()
            .is_none()
            .then_some("The figure is of one head; click one in the map"),
        false => block_of(&choices.heads).is_none().then_some(
            "The selected heads are no block of layers and heads; the figure takes all heads",
        ),
    }
}

fn command_ui(
    ui: &mut Ui,
    view: &View<'_>,
    session: &OpenedSession,
    settings: &ExportSettings,
    commands: &mut Commands,
) {
    // of the sample itself: its curves may still be on their way
    let sample = session.shown.as_ref();
    let windows = sample.map_or(&[][..], |shown| &shown.sample.windows);
    let windows: Vec<(&str, Vec<&str>)> = windows
        .iter()
        .map(|window| {
            let observed = window.observations();
            let observed = observed.map(|window| window.label.as_str());
            (window.label.as_str(), observed.collect())
        })
        .collect();
    let of = FigureOf {
        session: &session.info.path,
        sample: sample
            .filter(|_| session.info.samples.len() > 1)
            .map(|shown| shown.sample.record.id.as_str()),
        windows: &windows,
        window: view.derived.window.as_deref(),
        observation: view.derived.observation.as_deref(),
    };
    let request = settings.request(&of, &view.settings.choices);
    let line = command_line(&request.words());
    // what was evicted in the window lies in no session
    if request.kind.is_of_sessions() {
        preview::preview_ui(ui, view, &request, commands);
    }
    ui.separator();
    command_line_ui(ui, &line);
    let has_head = !request.kind.is_of_one_head() || view.settings.choices.primary_head().is_some();
    ui.horizontal(|ui| {
        let export = ui
            .add_enabled(view.shown().is_some() && has_head, egui::Button::new("Export"))
            .on_hover_text(
                "Writes the picture, its numbers (.parquet), its caption (.txt) and how to make them again (.json)",
            );
        focus_when_opened(&export);
        if export.clicked() {
            commands.send(ExportCommand::Export(Box::new(request)));
        }
    });
}
