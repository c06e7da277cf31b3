//! User stories, driven by accessible label through the code that the program draws with.

use crate::common::{
    Bench, bench, inside, inside_mut, inspector_number, opened, shows_a_sample, wait_for,
};
use egui::accesskit::Role;
use egui_kittest::kittest::Queryable as _;
use kvlens::gui::command::{LayoutCommand, LookCommand};
use kvlens::gui::state::{HeadAddress, Settings, ThemeChoice};
use kvlens_analysis::{Budget, Metric};

#[test]
fn the_budget_moves_every_number() {
    let folder = tempfile::tempdir().unwrap();
    let mut bench = opened(folder.path());
    let before = inside(&bench).derived().budget_tokens();
    let recall_before = inspector_number(&bench, "recall of last:32");

    let slider = bench
        .get_by_role_and_label(Role::Slider, "Budget in tokens")
        .rect();
    bench.drag_at(slider.center());
    bench.run_steps(2);
    bench.hover_at(slider.right_center() - egui::vec2(2.0, 0.0));
    bench.run_steps(2);
    bench.drop_at(slider.right_center() - egui::vec2(2.0, 0.0));
    bench.run_steps(3);

    let prompt_tokens = inside(&bench)
        .data()
        .shown()
        .unwrap()
        .sample
        .record
        .prompt_ids
        .len();
    assert!(inside(&bench).derived().budget_tokens() > before);
    assert_eq!(inside(&bench).derived().budget_tokens(), prompt_tokens);
    // every window holds all tokens there, so that nothing is compared
    assert!(bench.query_by_label("recall of last:32: –").is_some());
    assert!(recall_before < 1.0);

    // The same number that the analysis gives for the mean over all heads.
    inside_mut(&mut bench).send(LookCommand::SetBudget(Budget::Tokens(16)));
    bench.run_steps(2);
    let shown = inside(&bench).data().shown().unwrap().clone();
    let window = &shown.sample.windows[0].comparison;
    let index = window
        .budgets
        .iter()
        .position(|budget| *budget == 16)
        .unwrap();
    let expected = window.mean(Metric::Recall, index);
    let said = inspector_number(&bench, "recall of last:32");
    assert!(
        (said - expected).abs() <= 0.0005,
        "{said} is not {expected}"
    );
}

#[test]
fn keys_step_the_budget_and_the_sample() {
    let folder = tempfile::tempdir().unwrap();
    let mut bench = opened(folder.path());
    let budget = |bench: &Bench<'_>| inside(bench).derived().budget_tokens();
    let before = budget(&bench);
    bench.key_press(egui::Key::ArrowRight);
    bench.run_steps(2);
    assert_eq!(budget(&bench), before + 1);
    bench.key_press(egui::Key::OpenBracket);
    bench.run_steps(2);
    assert_eq!(budget(&bench), before - 15);
    bench.key_press(egui::Key::ArrowDown);
    bench.run_steps(2);
    wait_for(&mut bench, "the next sample", |workbench| {
        shows_a_sample(workbench)
            && workbench
                .data()
                .shown()
                .is_some_and(|shown| shown.index == 1)
    });
}

#[test]
fn the_typed_budget_is_taken_when_it_is_one() {
    let folder = tempfile::tempdir().unwrap();
    let mut bench = opened(folder.path());
    let type_budget = |bench: &mut Bench<'_>, text: &str| {
        bench
            .get_by_role_and_label(Role::TextInput, "Budget")
            .click();
        bench.run_steps(2);
        bench.key_press_modifiers(egui::Modifiers::COMMAND, egui::Key::A);
        bench.run_steps(1);
        bench.event(egui::Event::Text(text.to_owned()));
        bench.run_steps(2);
        bench.key_press(egui::Key::Enter);
        bench.run_steps(3);
    };
    type_budget(&mut bench, "64");
    assert_eq!(inside(&bench).settings().choices.budget, Budget::Tokens(64));
    assert_eq!(inside(&bench).derived().budget_tokens(), 64);
    type_budget(&mut bench, "many");
    assert_eq!(inside(&bench).settings().choices.budget, Budget::Tokens(64));
    type_budget(&mut bench, "5%");
    assert_eq!(
        inside(&bench).settings().choices.budget,
        Budget::Fraction(0.05)
    );
}

#[test]
fn selecting_a_head_in_the_map_changes_all_numbers() {
    let folder = tempfile::tempdir().unwrap();
    let mut bench = opened(folder.path());
    inside_mut(&mut bench).send(LookCommand::SetBudget(Budget::Tokens(16)));
    bench.run_steps(2);
    let all = inspector_number(&bench, "recall of last:32");

    let map = bench.get_by_label("Layer by head map").rect();
    // The map's cells begin right of the numbers of the layers, and layer 0 lies at the bottom.
    let top_left = map.min + egui::vec2(52.0, 10.0);
    bench.hover_at(top_left);
    bench.run_steps(1);
    bench.drag_at(top_left);
    bench.run_steps(1);
    bench.drop_at(top_left);
    bench.run_steps(3);

    let heads = inside(&bench).settings().choices.heads.clone();
    let info = inside(&bench).data().session.as_ref().unwrap().info.clone();
    assert!(!heads.is_empty());
    assert!(heads.contains(&HeadAddress {
        layer: info.layers - 1,
        head: 0
    }));
    let shown = inside(&bench).data().shown().unwrap().clone();
    let window = &shown.sample.windows[0].comparison;
    let index = window
        .budgets
        .iter()
        .position(|budget| *budget == 16)
        .unwrap();
    let expected = window.head(info.layers - 1, 0).curves.recall[index];
    let one = inspector_number(&bench, "recall of last:32");
    assert!((one - expected).abs() <= 0.0005, "{one} is not {expected}");
    assert_ne!(one, all);

    bench.get_by_role_and_label(Role::Button, "All").click();
    bench.run_steps(3);
    assert_eq!(inspector_number(&bench, "recall of last:32"), all);
}

#[test]
fn heads_can_be_typed_and_the_choice_undone() {
    let folder = tempfile::tempdir().unwrap();
    let mut bench = opened(folder.path());
    bench.run_steps(12);
    bench
        .get_by_role_and_label(Role::TextInput, "Heads")
        .click();
    bench.run_steps(2);
    bench.key_press_modifiers(egui::Modifiers::COMMAND, egui::Key::A);
    bench.run_steps(1);
    bench.event(egui::Event::Text("1.*, 0.2".to_owned()));
    bench.run_steps(2);
    bench.key_press(egui::Key::Enter);
    bench.run_steps(12);
    let heads = inside(&bench).settings().choices.heads.len();
    let query_heads = inside(&bench)
        .data()
        .session
        .as_ref()
        .unwrap()
        .info
        .query_heads;
    assert_eq!(heads, query_heads + 1);
    bench.key_press_modifiers(egui::Modifiers::COMMAND, egui::Key::Z);
    bench.run_steps(3);
    assert!(inside(&bench).settings().choices.heads.is_empty());
    bench.key_press_modifiers(
        egui::Modifiers::COMMAND | egui::Modifiers::SHIFT,
        egui::Key::Z,
    );
    bench.run_steps(3);
    assert_eq!(inside(&bench).settings().choices.heads.len(), heads);
}

#[test]
fn the_theme_is_switched_and_panes_come_back() {
    let folder = tempfile::tempdir().unwrap();
    let mut bench = opened(folder.path());
    inside_mut(&mut bench).send(LayoutCommand::SetTheme(ThemeChoice::Light));
    bench.run_steps(3);
    assert!(!bench.ctx.global_style().visuals.dark_mode);
    inside_mut(&mut bench).send(LayoutCommand::SetTheme(ThemeChoice::Dark));
    bench.run_steps(3);
    assert!(bench.ctx.global_style().visuals.dark_mode);

    bench.get_by_label("View").click();
    bench.run_steps(3);
    bench
        .get_by_role_and_label(Role::CheckBox, "Inspector")
        .click();
    bench.run_steps(3);
    assert!(bench.query_by_label_contains("recall of last:32").is_none());
    inside_mut(&mut bench).send(LayoutCommand::ResetLayout);
    bench.run_steps(3);
    assert!(bench.query_by_label_contains("recall of last:32").is_some());
}

#[test]
fn the_question_mark_lists_every_key() {
    let folder = tempfile::tempdir().unwrap();
    let mut bench = bench(folder.path(), Settings::default());
    bench.run_steps(2);
    bench.key_press(egui::Key::Questionmark);
    bench.run_steps(3);
    for entry in kvlens::gui::command::shortcuts() {
        let text = entry.full_text();
        assert!(bench.query_all_by_label(&text).count() > 0, "{text}");
    }
}
