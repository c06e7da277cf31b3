//! Stories of the dialog of recipes.

use std::path::Path;

use crate::common::{Bench, bench, inside, inside_mut, wait_for};
use egui_kittest::kittest::Queryable as _;
use kvlens::gui::command::{CaptureCommand, JobCommand};
use kvlens::gui::data::Severity;
use kvlens::gui::lanes::JobKey;
use kvlens::gui::recipes::RecipeSettings;
use kvlens::gui::state::Settings;
use kvlens::jobs::recipe::recipes;

const RECIPE: &str = r#"
title = "Mine"
summary = "the last rows by layer"
windows = ["last:8"]
data = ["facts:length=128,samples=2,seed=3"]
decode_tokens = 6
budgets = ["16"]

[[figures]]
name = "by-layer"
kind = "layer"
"#;

/// A window whose dialog of recipes is open, on a recipe of one's own.
fn opened<'a>(folder: &Path) -> Bench<'a> {
    let recipe = folder.join("mine.toml");
    std::fs::write(&recipe, RECIPE).unwrap();
    let page = "# {{ title }}\n{{ run }}\n{{ tables[\"by-layer\"] }}\n";
    std::fs::write(folder.join("mine.md"), page).unwrap();
    let settings = Settings {
        recipe: RecipeSettings {
            name: recipe.display().to_string(),
            ..RecipeSettings::default()
        },
        ..Settings::default()
    };
    let mut bench = bench(folder, settings);
    inside_mut(&mut bench).send(CaptureCommand::ToggleRecipes);
    bench.run_steps(3);
    bench
}

#[test]
fn a_recipe_is_run_and_its_page_and_session_are_offered() {
    let folder = tempfile::tempdir().unwrap();
    let mut bench = opened(folder.path());
    // each beside what it measures
    for (name, summary) in recipes() {
        let name = bench.get_by_label(name).rect();
        let summary = bench.get_by_label(&summary.unwrap()).rect();
        assert!(summary.left() > name.left() && name.y_range().contains(summary.center().y));
    }
    assert!(bench.query_by_label_contains("kvlens recipe").is_some());
    bench.get_by_label("Run the recipe").click();
    bench.run_steps(2);
    wait_for(&mut bench, "the page", |workbench| {
        workbench.data().recipe_page.is_some() && workbench.data().jobs.is_empty()
    });
    let page = inside(&bench).data().recipe_page.clone().unwrap();
    assert_eq!(page, folder.path().join("recipe-mine/page.md"));
    assert!(
        std::fs::read_to_string(&page)
            .unwrap()
            .contains("| last:8 | 0 |")
    );
    bench.run_steps(2);
    bench.get_by_label("Open the page").click();
    bench.run_steps(1);
    let opened = bench.output().platform_output.commands.iter().any(|command| {
        matches!(command, egui::OutputCommand::OpenUrl(url) if url.url.ends_with("page.md"))
    });
    assert!(opened);
    bench.get_by_label("Open its session").click();
    bench.run_steps(2);
    wait_for(&mut bench, "the session", crate::common::shows_a_sample);
}

#[test]
fn a_recipe_is_cancelled_and_gone_on_with_in_its_folder() {
    let folder = tempfile::tempdir().unwrap();
    let mut bench = opened(folder.path());
    let out = folder.path().join("typed");
    let settings = RecipeSettings {
        out: out.display().to_string(),
        ..inside(&bench).settings().recipe.clone()
    };
    inside_mut(&mut bench).send(CaptureCommand::EditRecipe(settings));
    inside_mut(&mut bench).send(CaptureCommand::RunRecipe);
    inside_mut(&mut bench).send(JobCommand::CancelJob(JobKey::Recipe));
    bench.run_steps(2);
    wait_for(&mut bench, "the end", |workbench| {
        workbench.data().jobs.is_empty()
    });
    assert!(inside(&bench).data().recipe_page.is_none());
    inside_mut(&mut bench).send(CaptureCommand::RunRecipe);
    bench.run_steps(2);
    wait_for(&mut bench, "the page", |workbench| {
        workbench.data().recipe_page.is_some()
    });
    let log = &inside(&bench).data().log;
    assert!(
        log.iter()
            .all(|message| message.severity != Severity::Error)
    );
}
