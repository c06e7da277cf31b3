//! What is open: session, model, device, sample; and what runs.

use egui::{ComboBox, RichText, Ui};

use super::View;
use super::running::jobs_ui;
use crate::gui::command::{Commands, ExportCommand, LayoutCommand, LookCommand, SessionCommand};
use crate::gui::data::OpenedSession;
use crate::gui::in_force::chosen;
use crate::gui::layout::Pane;

/// Draws the bar.
pub fn top_bar_ui(ui: &mut Ui, view: &View<'_>, commands: &mut Commands) {
    ui.horizontal(|ui| {
        match &view.data.session {
            None => {
                ui.weak("No session is open");
            }
            Some(session) => session_ui(ui, session, commands),
        }
        chips_ui(ui, view, commands);
        if let Some(beside) = &view.data.beside {
            ui.separator();
            beside_ui(ui, beside, commands);
        }
        ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), |ui| {
            jobs_ui(ui, view, commands);
        });
    });
}

fn session_ui(ui: &mut Ui, session: &OpenedSession, commands: &mut Commands) {
    let info = &session.info;
    ui.strong(&info.name)
        .on_hover_text(info.path.display().to_string());
    ui.separator();
    ui.weak("model");
    ui.label(&info.model).on_hover_text(format!(
        "{} layers, {} query heads, {} key/value heads",
        info.layers, info.query_heads, info.kv_heads
    ));
    ui.weak(&info.device);
    ui.separator();
    let Some(shown) = &session.shown else {
        ui.weak("no finished sample");
        return;
    };
    ui.label("Sample");
    let last = info.samples.len().saturating_sub(1);
    step_button(ui, "◀", "Sample before", shown.index > 0, -1, commands);
    sample_box(
        ui,
        session,
        "Sample",
        shown.index,
        SessionCommand::SelectSample,
        commands,
    );
    step_button(ui, "▶", "Sample after", shown.index < last, 1, commands);
    ui.weak(format!("{} of {}", shown.index + 1, last + 1));
    let link = ui.small_button("Link").on_hover_text(
        "Copy a link to what is shown (Ctrl+L): paste it into a window, or run kvlens open LINK",
    );
    link.widget_info(|| {
        egui::WidgetInfo::labeled(egui::Role::Button, true, "Copy a link to what is shown")
    });
    if link.clicked() {
        commands.send(ExportCommand::CopyLink);
    }
}

/// What is in force where that is not the default, each with the way to change it and the way back.
fn chips_ui(ui: &mut Ui, view: &View<'_>, commands: &mut Commands) {
    let options = view.settings.choices.measure;
    if view.data.session.is_none() {
        return;
    }
    for chosen in chosen(&options) {
        ui.separator();
        let text = RichText::new(&chosen.text).color(view.theme.warning);
        let help = format!("The {}: {}", chosen.topic, options.compared());
        let chip = ui.button(text).on_hover_text(help);
        if chip.clicked() {
            commands.send(LayoutCommand::ShowPane(Pane::SCORING));
        }
        let name = format!("Reset the {}", chosen.topic);
        let reset = ui.small_button("✖").on_hover_text(&name);
        reset.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Button, true, &name));
        if reset.clicked() {
            commands.send(LookCommand::SetMeasureOptions(chosen.without));
        }
    }
}

/// The session that the open one is held against.
fn beside_ui(ui: &mut Ui, beside: &OpenedSession, commands: &mut Commands) {
    ui.strong(format!("B: {}", beside.info.name))
        .on_hover_text(beside.info.path.display().to_string());
    if let Some(shown) = &beside.shown {
        let select = SessionCommand::SelectSampleBeside;
        sample_box(ui, beside, "Sample of B", shown.index, select, commands);
    }
    let mut button = |text: &str, name: &str, command: SessionCommand| {
        let button = ui.small_button(text).on_hover_text(name);
        button.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Button, true, name));
        if button.clicked() {
            commands.send(command);
        }
    };
    button("swap", "Swap A and B", SessionCommand::SwapSessions);
    button("✖", "Close B", SessionCommand::CloseBeside);
}

fn sample_box(
    ui: &mut Ui,
    session: &OpenedSession,
    name: &str,
    shown: usize,
    select: fn(usize) -> SessionCommand,
    commands: &mut Commands,
) {
    let samples = &session.info.samples;
    let current = samples.get(shown).map_or("", |sample| sample.id.as_str());
    ComboBox::from_id_salt(name)
        .selected_text(current)
        .width(150.0)
        .show_ui(ui, |ui| {
            for (index, sample) in samples.iter().enumerate() {
                if ui.selectable_label(index == shown, &sample.id).clicked() {
                    commands.send(select(index));
                }
            }
        })
        .response
        .widget_info(|| egui::WidgetInfo::labeled(egui::Role::ComboBox, true, name));
}

fn step_button(
    ui: &mut Ui,
    sign: &str,
    name: &str,
    enabled: bool,
    step: i32,
    commands: &mut Commands,
) {
    let button = ui
        .add_enabled(enabled, egui::Button::new(sign).small())
        .on_hover_text(name);
    button.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Button, enabled, name));
    if button.clicked() {
        commands.send(SessionCommand::StepSample(step));
    }
}
