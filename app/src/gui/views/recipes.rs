//! The dialog of recipes: a paper's table on the model of the capture panel, and the command that makes it.

use std::path::Path;

use egui::{Align2, Grid, OpenUrl, RichText, Ui, Window};

use super::View;
use crate::gui::command::{CaptureCommand, Commands, SessionCommand};
use crate::gui::lanes::JobKey;
use crate::gui::recipes::RecipeSettings;
use crate::gui::widgets::command_line::command_line_ui;
use crate::gui::widgets::path_field::path_field;
use crate::gui::widgets::segmented::segmented;
use crate::jobs::recipe::recipes;

/// Draws the dialog.
pub fn recipes_ui(ui: &Ui, view: &View<'_>, sessions_folder: &Path, commands: &mut Commands) {
    let mut open = true;
    Window::new("Recipes of papers")
        .open(&mut open)
        .collapsible(false)
        .resizable(false)
        .default_width(640.0)
        .anchor(Align2::CENTER_CENTER, egui::Vec2::ZERO)
        .show(ui.ctx(), |ui| {
            let mut settings = view.settings.recipe.clone();
            choices_ui(ui, view, sessions_folder, &mut settings);
            run_ui(ui, view, sessions_folder, &settings, commands);
            page_ui(ui, view, commands);
            if settings != view.settings.recipe {
                commands.send(CaptureCommand::EditRecipe(settings));
            }
        });
    if !open {
        commands.send(CaptureCommand::ToggleRecipes);
    }
}

fn choices_ui(ui: &mut Ui, view: &View<'_>, sessions_folder: &Path, settings: &mut RecipeSettings) {
    ui.add(
        egui::Label::new(
            RichText::new(
                "Captures, measures, draws, and writes a page that holds what a paper published beside what is measured \
                 here, and says what can be concluded.",
            )
            .weak(),
        )
        .wrap(),
    );
    Grid::new("recipes of papers")
        .num_columns(2)
        .spacing([16.0, 4.0])
        .show(ui, |ui| {
            for (name, summary) in recipes() {
                ui.radio_value(&mut settings.name, name.to_owned(), name);
                match summary {
                    Ok(summary) => ui.weak(summary),
                    Err(error) => {
                        ui.label(RichText::new(format!("{error:#}")).color(view.theme.error))
                    }
                };
                ui.end_row();
            }
        });
    ui.add_space(4.0);
    Grid::new("recipe")
        .num_columns(2)
        .spacing([12.0, 6.0])
        .show(ui, |ui| {
            ui.label("Model");
            ui.label(view.settings.capture.model.as_str())
                .on_hover_text("The model of the capture panel, with its device and number type");
            ui.end_row();
            ui.label("Prompts");
            let name = |own: bool| {
                if own {
                    "Of the capture panel"
                } else {
                    "The recipe's own"
                }
            };
            let chosen = segmented(ui, settings.own_prompts, &[false, true], name, |it, _| it);
            settings.own_prompts = chosen.unwrap_or(settings.own_prompts);
            ui.end_row();
            let label = ui.label("Folder");
            let suggested = settings.suggested(sessions_folder).display().to_string();
            path_field(ui, "recipe", &mut settings.out, &suggested, 340.0).labelled_by(label.id);
            ui.end_row();
        });
}

/// The command, and the buttons that run or copy it.
fn run_ui(
    ui: &mut Ui,
    view: &View<'_>,
    sessions_folder: &Path,
    settings: &RecipeSettings,
    commands: &mut Commands,
) {
    let request = settings.request(&view.settings.capture, sessions_folder);
    let line = match &request {
        Ok(request) => request.command(),
        Err(error) => {
            ui.label(RichText::new(format!("{error:#}")).color(view.theme.warning));
            return;
        }
    };
    ui.separator();
    command_line_ui(ui, &line);
    let is_free = view.data.job(&JobKey::Recipe).is_none() && view.data.capture_job().is_none();
    ui.horizontal(|ui| {
        let run = ui
            .add_enabled(is_free, egui::Button::new("Run the recipe"))
            .on_hover_text("Seconds on the built-in model; the job at the top can be cancelled");
        if run.clicked() {
            commands.send(CaptureCommand::RunRecipe);
        }
    });
}

/// What to do with the page that was written last.
fn page_ui(ui: &mut Ui, view: &View<'_>, commands: &mut Commands) {
    let Some(page) = &view.data.recipe_page else {
        return;
    };
    ui.separator();
    ui.add(egui::Label::new(format!("Page written: {}", page.display())).wrap());
    ui.horizontal(|ui| {
        let open = |path: &Path| OpenUrl::new_tab(format!("file://{}", path.display()));
        if ui.button("Open the page").clicked() {
            ui.ctx().open_url(open(page));
        }
        let Some(folder) = page.parent() else { return };
        if ui.button("Open the folder").clicked() {
            ui.ctx().open_url(open(folder));
        }
        if ui.button("Open its session").clicked() {
            let session = folder.join("session.kvlens");
            commands.send(SessionCommand::OpenSession(session));
        }
    });
}
