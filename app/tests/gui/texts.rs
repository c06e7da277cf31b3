//! Stories of prompts that are not like the others: without needed tokens, and with letters of several tokens.

use std::path::Path;

use crate::common::{
    Bench, bench, copied, fixture, inside, inside_mut, send, shows_a_sample, wait_for,
};
use egui::accesskit::Toggled;
use egui_kittest::kittest::{NodeT as _, Queryable as _};
use kvlens::gui::capture_settings::{CaptureSettings, PromptSource};
use kvlens::gui::command::{CaptureCommand, ExportCommand, LayoutCommand, LookCommand};
use kvlens::gui::layout::Pane;
use kvlens::gui::state::{MapKind, Settings};
use kvlens::gui::workbench::Workbench;
use kvlens_analysis::Metric;

const NO_NEEDED: &str = "The data do not say which tokens the answer to this prompt needs";

/// How often the window says that nothing is known of needed tokens.
fn said(bench: &Bench<'_>) -> usize {
    bench.query_all_by_label(NO_NEEDED).count()
}

#[test]
fn a_prompt_without_known_needed_tokens_says_so_wherever_they_are_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let mut bench = bench(folder.path(), Settings::default());
    bench.run_steps(2);
    inside_mut(&mut bench).send(CaptureCommand::EditCapture(Box::new(CaptureSettings {
        source: PromptSource::Text,
        text: "The code of Karin is yellow. The code of Franz is red.".to_owned(),
        windows: vec!["last:2".to_owned()],
        ..CaptureSettings::default()
    })));
    inside_mut(&mut bench).send(CaptureCommand::RunCapture);
    wait_for(&mut bench, "the prompt", shows_a_sample);
    wait_for(&mut bench, "its numbers", Workbench::is_idle);
    assert_eq!(said(&bench), 0, "nobody asked");
    assert!(bench.query_by_label("needed").is_none(), "no key of frames");
    // what windows keep of them: in the curves and, as one chooser serves both, in the map
    send(&mut bench, LookCommand::SetMetric(Metric::EvidenceKept));
    wait_for(&mut bench, "the curves", Workbench::is_idle);
    assert_eq!(said(&bench), 2, "in curves and map");
    assert!(bench.query_by_label("Curves over the budget").is_none());
    send(&mut bench, LookCommand::SetMetric(Metric::Recall));
    wait_for(&mut bench, "the curves", Workbench::is_idle);
    assert_eq!(said(&bench), 0);
    assert!(bench.query_by_label("Curves over the budget").is_some());
    // attention on them
    send(&mut bench, LookCommand::SetMapKind(MapKind::Needed));
    assert_eq!(said(&bench), 1, "in the map");
    send(&mut bench, LookCommand::SetMapKind(MapKind::Window));
    // their own view
    send(&mut bench, LayoutCommand::ShowPane(Pane::EVIDENCE));
    wait_for(&mut bench, "the count", Workbench::is_idle);
    assert_eq!(said(&bench), 1, "in the view of needed tokens");
    // the list of heads goes by something that they have, and marks it
    send(&mut bench, LayoutCommand::ShowPane(Pane::HEADS));
    wait_for(&mut bench, "the list", Workbench::is_idle);
    let by_recall = bench.get_by_label("Sort heads by recall");
    assert_eq!(by_recall.accesskit_node().toggled(), Some(Toggled::True));
}

/// The kept sample with a letter of three tokens as its second word.
fn with_a_cut_letter<'a>() -> Bench<'a> {
    let mut bench = bench(Path::new("nowhere"), Settings::default());
    let (info, mut sample) = fixture::read();
    let texts = &mut sample.record.token_texts;
    texts[1] = "\u{20ac}".to_owned();
    texts[2].clear();
    texts[3].clear();
    sample.record.evidence_tokens = std::iter::once(1..4).collect();
    fixture::show_measured(inside_mut(&mut bench), info, sample);
    wait_for(&mut bench, "the text", Workbench::is_idle);
    bench
}

#[test]
fn a_letter_of_several_tokens_is_drawn_once_and_tells_of_all_of_them() {
    let mut bench = with_a_cut_letter();
    send(&mut bench, LayoutCommand::ShowPane(Pane::TOKENS));
    bench.run_steps(3);
    let text = bench.get_by_label("Text of the prompt").rect();
    let told = "3 tokens make up what is shown, to position 3; the numbers are of the first";
    // it stands behind the first token, in letters of one width
    let style = egui::TextStyle::Monospace;
    let font = style.resolve(&bench.ctx.global_style());
    let letter = bench.ctx.fonts_mut(|fonts| fonts.glyph_width(&font, 'x'));
    let shown = inside(&bench).data().shown().unwrap();
    let before = shown.sample.record.token_texts[0].chars().count();
    let right = letter * (before as f32 + 0.5);
    bench.hover_at(text.left_top() + egui::vec2(right, 8.0));
    bench.run_steps(60);
    assert!(bench.query_by_label(told).is_some());
    assert!(bench.query_by_label_contains("position 1 of").is_some());
    // the table has a line for each token, and the letter in one
    inside_mut(&mut bench).send(ExportCommand::CopyNumbers(Pane::TOKENS));
    bench.step();
    let table = copied(&bench);
    let lines: Vec<Vec<&str>> = table.lines().map(|it| it.split('\t').collect()).collect();
    let shown = inside(&bench).data().shown().unwrap();
    let tokens = shown.sample.record.prompt_ids.len();
    assert_eq!(lines.len(), 1 + tokens);
    let column = |name: &str| lines[0].iter().position(|it| *it == name).unwrap();
    let texts: Vec<&str> = lines[1..6].iter().map(|it| it[column("text")]).collect();
    assert_eq!(texts[1..4], ["\u{20ac}", "", ""]);
    let needed: Vec<&str> = lines[1..6].iter().map(|it| it[column("needed")]).collect();
    assert_eq!(needed, ["false", "true", "true", "true", "false"]);
}
