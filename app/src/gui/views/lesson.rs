//! The panel of a tour: what the step says, what to try, and where to go on.

use egui::{Button, ProgressBar, RichText, ScrollArea, TextStyle, Ui};

use super::View;
use crate::gui::command::{Commands, LessonCommand};
use crate::gui::lessons::{OpenLesson, Prediction, Step, filled, fits};
use crate::gui::widgets::markdown::markdown;

/// Draws the panel.
pub fn lesson_ui(ui: &mut Ui, view: &View<'_>, place: &OpenLesson, commands: &mut Commands) {
    let lesson = &place.lesson;
    let Some(step) = lesson.steps.get(place.step) else {
        return;
    };
    ui.add_space(4.0);
    // the button first, so that a long title wraps beside it
    ui.with_layout(egui::Layout::right_to_left(egui::Align::TOP), |ui| {
        let close = ui.small_button("✖").on_hover_text("End the lesson");
        close.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Button, true, "End the lesson"));
        if close.clicked() {
            commands.send(LessonCommand::CloseLesson);
        }
        ui.with_layout(egui::Layout::top_down(egui::Align::LEFT), |ui| {
            ui.add(egui::Label::new(RichText::new(&lesson.title).heading()).wrap());
        });
    });
    ui.weak(&lesson.aim);
    let count = lesson.steps.len();
    let share = (place.step + 1) as f32 / count as f32;
    ui.add(ProgressBar::new(share).desired_height(4.0));
    ui.add_space(8.0);
    let foot = 62.0;
    ScrollArea::vertical()
        .id_salt("lesson")
        .max_height((ui.available_height() - foot).max(60.0))
        .auto_shrink(false)
        .show(ui, |ui| {
            ui.label(
                RichText::new(format!("{}. {}", place.step + 1, step.title))
                    .strong()
                    .size(16.0),
            );
            ui.add_space(4.0);
            if let Some(body) = ui.style_mut().text_styles.get_mut(&TextStyle::Body) {
                body.size = 14.0;
            }
            if !fits(lesson, view.data) {
                ui.weak("The built-in model is captured first; this takes a few seconds");
                ui.spinner();
            } else if let Some(prediction) = place.asks() {
                prediction_ui(ui, prediction, commands);
            } else if !view.is_lesson_set {
                ui.spinner();
            } else {
                verdict_ui(ui, view, place, step);
                step_ui(ui, view, step);
            }
        });
    ui.weak(format!("Step {} of {count}", place.step + 1));
    ui.horizontal(|ui| {
        let mut go = |ui: &mut Ui, text: &str, steps: i32| {
            let possible = place.moved(steps).is_some() || steps > 0 && place.asks().is_some();
            if ui.add_enabled(possible, Button::new(text)).clicked() {
                commands.send(LessonCommand::StepLesson(steps));
            }
        };
        go(ui, "Back", -1);
        go(ui, "Show again", 0);
        match place.next_lesson() {
            Some(next) if place.step + 1 == count && place.asks().is_none() => {
                let button = ui.button("Next lesson").on_hover_text(&next.title);
                if button.clicked() {
                    commands.send(LessonCommand::StepLesson(1));
                }
            }
            _ => go(ui, "Next", 1),
        }
    });
}

/// What is asked before the step is shown.
fn prediction_ui(ui: &mut Ui, prediction: &Prediction, commands: &mut Commands) {
    markdown(ui, &prediction.question);
    ui.add_space(6.0);
    for (number, choice) in prediction.choices.iter().enumerate() {
        let button = Button::new(choice).wrap();
        if ui.add(button).clicked() {
            commands.send(LessonCommand::Predict(Some(number)));
        }
    }
    ui.add_space(6.0);
    if ui
        .button("Show it")
        .on_hover_text("Without a guess")
        .clicked()
    {
        commands.send(LessonCommand::Predict(None));
    }
}

/// Whether the prediction was right.
fn verdict_ui(ui: &mut Ui, view: &View<'_>, place: &OpenLesson, step: &Step) {
    let predicted = place.predicted.get(&place.step).copied().flatten();
    let (Some(prediction), Some(predicted)) = (&step.prediction, predicted) else {
        return;
    };
    let Some(choice) = prediction.choices.get(predicted) else {
        return;
    };
    let (word, color) = match predicted == prediction.right {
        true => ("right", view.theme.success),
        false => ("not so", view.theme.error),
    };
    ui.colored_label(color, format!("You said “{choice}”: {word}."));
    ui.add_space(4.0);
}

fn step_ui(ui: &mut Ui, view: &View<'_>, step: &Step) {
    let fill = |text: &str| filled(text, view.derived, &view.settings.choices);
    markdown(ui, &fill(&step.text));
    if !step.try_it.is_empty() {
        ui.add_space(10.0);
        ui.label(RichText::new("Try it").strong());
        markdown(ui, &fill(&step.try_it));
    }
}
