//! A story at a real model's size: the heads that read what is needed, and on which a window keeps none of it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::common::{Bench, bench, copied, inside, inside_mut, send, wait_for};
use egui_kittest::kittest::Queryable as _;
use kvlens::gui::command::{Command, ExportCommand, LayoutCommand, LookCommand};
use kvlens::gui::data::{SampleRow, SessionInfo, Slot};
use kvlens::gui::derived::budget_grid;
use kvlens::gui::head_numbers::HeadNumber;
use kvlens::gui::lanes::Event;
use kvlens::gui::layout::Pane;
use kvlens::gui::state::{HeadAddress, HeadSort, MapKind, Settings};
use kvlens::gui::workbench::Workbench;
use kvlens::measurement::{MeasureOptions, MeasuredSample, MeasuredWindow, Ranked};
use kvlens_analysis::{
    Budget, ComparisonInput, ForcedKeep, HeadKind, Importance, Metric, Rankings, compare,
};
use kvlens_sessions::{Cost, LayerRange, ScoreKind};

pub const LAYERS: usize = 30;
pub const HEADS: usize = 9;
pub const TOKENS: usize = 1260;
const NEEDED: std::ops::Range<usize> = 400..419;

/// Every seventh head reads what is needed: 35 of them.
pub fn reads(index: usize) -> bool {
    index % 7 == 3 && index < 245
}

/// Ten of these are those whose needed tokens the first window loses with the question at the start.
pub fn loses(index: usize) -> bool {
    reads(index) && index % 21 == 3 && index < 210
}

fn ranked(score: impl Fn(usize, usize) -> f32) -> Ranked {
    let heads = LAYERS * HEADS;
    let scores = (0..heads * TOKENS).map(|place| score(place / TOKENS, place % TOKENS));
    let (shares, first) = (vec![1.0; heads], vec![0; LAYERS]);
    let kind = HeadKind::Query;
    let importance =
        Importance::new(LAYERS, HEADS, kind, TOKENS, scores.collect(), shares, first).unwrap();
    Ranked {
        rankings: Arc::new(Rankings::of(&importance, ForcedKeep::default()).unwrap()),
        importance: Arc::new(importance),
    }
}

/// What every head gives tokens that nobody asked for: little, and never twice the same.
fn little(token: usize) -> f32 {
    1e-4 * ((token * 7919) % TOKENS) as f32 / TOKENS as f32 + 1e-6
}

fn sample(question_place: &str) -> MeasuredSample {
    let truth = ranked(|head, token| match reads(head) && NEEDED.contains(&token) {
        true => 0.02,
        false => little(token),
    });
    let is_at_start = question_place == "start";
    let last = ranked(|head, token| match NEEDED.contains(&token) {
        true if is_at_start && (loses(head) || !reads(head)) => 0.0,
        true => 0.02,
        false => little(token),
    });
    let record = serde_json::json!({
        "id": question_place, "dataset": "made up", "task": "facts", "prompt": "", "answer": null, "values": [],
        "generated": "", "score": null, "question_place": question_place, "prompt_ids": vec![0; TOKENS],
        "token_texts": vec![" word"; TOKENS], "generated_ids": vec![0; 8], "evidence_tokens": [NEEDED],
        "seconds": 0.0,
    });
    let side = MeasureOptions::default().truth_scoring();
    let budgets = budget_grid(TOKENS).unwrap();
    let of = |own: &Ranked, keep: ForcedKeep| {
        let evidence = [NEEDED];
        compare(ComparisonInput {
            truth: &truth.rankings,
            window: &own.rankings,
            decode_mass: &truth.importance,
            keep_rule: keep.into(),
            evidence: &evidence,
            budgets: budgets.tokens(),
        })
        .unwrap()
    };
    let window = |label: &str, own: &Ranked, recent: usize| {
        let keep = ForcedKeep { sinks: 0, recent };
        MeasuredWindow {
            label: label.to_owned(),
            scoring: side,
            keep_rule: keep.into(),
            comparison: of(own, keep),
            ranked: own.clone(),
            ceiling: None,
            ceiling_ranked: None,
            score_kind: ScoreKind::Attention,
            cost: Cost::default(),
            at_budgets: Vec::new(),
        }
    };
    MeasuredSample {
        record: serde_json::from_value(record).unwrap(),
        layers: LayerRange::all(truth.importance.layers()),
        compare: MeasureOptions::default().compare,
        decode: of(&truth, ForcedKeep::default()),
        windows: vec![window("laq:n=8", &truth, 0), window("last:32", &last, 32)],
        decode_mass: Arc::clone(&truth.importance),
        truth: truth.clone(),
    }
}

pub fn opened<'a>() -> Bench<'a> {
    let mut bench = bench(Path::new("nowhere"), Settings::default());
    let workbench = inside_mut(&mut bench);
    workbench.set_patience(Duration::from_millis(2));
    let row = |id: &str| SampleRow {
        id: id.to_owned(),
        prompt_tokens: TOKENS,
        decode_tokens: 8,
        details: None,
        unreadable: None,
    };
    let path = PathBuf::from("retrieval.kvlens");
    workbench.receive(Event::SessionOpened {
        slot: Slot::Main,
        info: SessionInfo {
            path: path.clone(),
            name: "retrieval".to_owned(),
            model: "made up".to_owned(),
            device: "none".to_owned(),
            layers: LAYERS,
            query_heads: HEADS,
            kv_heads: HEADS,
            samples: vec![row("end"), row("start")],
            failed: Vec::new(),
            pending: 0,
            plan: None,
        },
    });
    for (index, place) in ["end", "start"].into_iter().enumerate() {
        workbench.receive(Event::SampleMeasured {
            slot: Slot::Main,
            path: path.clone(),
            index,
            options: MeasureOptions::default(),
            sample: Arc::new(sample(place)),
        });
    }
    wait_for(&mut bench, "the curves", Workbench::is_idle);
    bench
}

#[test]
fn the_heads_that_lose_what_they_read_are_found_in_under_ten_commands() {
    let mut bench = opened();
    let script: Vec<Command> = serde_json::from_str(
        r#"[{"ShowPane": "Heads"}, {"SetWindow": "last:32"}, {"SetBudget": "10%"},
            {"SelectHeadsBy": "needed>0.05, evidence_kept=0"}]"#,
    )
    .unwrap();
    // with the opening of the session and the choice of the sample, which were done above
    assert!(script.len() + 2 < 10);
    inside_mut(&mut bench).play(script);
    wait_for(&mut bench, "the script", Workbench::is_idle);
    let chosen: Vec<HeadAddress> = inside(&bench)
        .settings()
        .choices
        .heads
        .iter()
        .copied()
        .collect();
    let expected: Vec<HeadAddress> = (0..LAYERS * HEADS)
        .filter(|index| loses(*index))
        .map(|index| HeadAddress {
            layer: index / HEADS,
            head: index % HEADS,
        })
        .collect();
    assert_eq!(expected.len(), 10);
    assert_eq!(chosen, expected);
    let evidence = inside(&bench).derived().evidence();
    assert_eq!(
        (evidence.needed, evidence.oracle, evidence.window),
        (19, 19, 0)
    );

    // the list, the way back, and a selection that nothing meets
    inside_mut(&mut bench).send(ExportCommand::CopyNumbers(Pane::HEADS));
    bench.step();
    let table = copied(&bench);
    let lines: Vec<Vec<&str>> = table
        .lines()
        .map(|line| line.split('\t').collect())
        .collect();
    assert_eq!(lines.len(), 1 + LAYERS * HEADS);
    let column = |name: &str| lines[0].iter().position(|known| *known == name).unwrap();
    let (needed, selected) = (column("needed"), column("selected"));
    for line in &lines[1..36] {
        let value: f64 = line[needed].parse().unwrap();
        assert!(
            (value - 0.38).abs() < 1e-5,
            "those that read come first: {value}"
        );
    }
    assert!(lines[36][needed].parse::<f64>().unwrap() < 0.05);
    assert_eq!(
        lines.iter().filter(|line| line[selected] == "true").count(),
        10
    );
    send(
        &mut bench,
        LookCommand::SelectHeadsBy("recall>2".to_owned()),
    );
    assert_eq!(inside(&bench).settings().choices.heads.len(), 10);
    let log = &inside(&bench).data().log;
    assert!(log.last().unwrap().text.contains("the selection stays"));
    send(
        &mut bench,
        LookCommand::SelectHeadsBy("highest 35 by needed".to_owned()),
    );
    assert_eq!(inside(&bench).settings().choices.heads.len(), 35);
    send(&mut bench, LookCommand::SelectHeadsBy("all".to_owned()));
    assert!(inside(&bench).settings().choices.heads.is_empty());
}

#[test]
fn the_map_shows_attention_on_needed_tokens_whatever_the_window() {
    let mut bench = opened();
    send(&mut bench, LayoutCommand::ShowPane(Pane::HEAD_MAP));
    send(&mut bench, LookCommand::SetMapKind(MapKind::Needed));
    let map = inside(&bench).derived().map().unwrap();
    assert_eq!(map.number, HeadNumber::NeededAttention);
    let strong = map.values.iter().filter(|value| **value > 0.05).count();
    assert_eq!(strong, 35);
    assert!((map.highest - 0.38).abs() < 1e-5, "{}", map.highest);
    assert!(bench.query_by_label("Layer by head map").is_some());
}

#[test]
fn a_click_sorts_the_list_and_a_row_selects_its_head() {
    let mut bench = opened();
    send(&mut bench, LayoutCommand::ShowPane(Pane::HEADS));
    send(&mut bench, LookCommand::SetWindow("last:32".to_owned()));
    bench.get_by_label("Sort heads by recall").click();
    bench.run_steps(3);
    let sort = inside(&bench).settings().choices.head_sort;
    let by = HeadNumber::Metric(Metric::Recall);
    assert_eq!(
        sort,
        HeadSort {
            by,
            highest_first: true
        }
    );
    bench.get_by_label("Sort heads by recall").click();
    bench.run_steps(3);
    assert!(!inside(&bench).settings().choices.head_sort.highest_first);
}

#[test]
fn hits_that_no_ranking_earned_are_told_where_the_hit_rate_stands() {
    let mut bench = opened();
    send(&mut bench, LookCommand::SetBudget(Budget::Tokens(10)));
    send(&mut bench, LookCommand::SetMetric(Metric::HitRate));
    wait_for(&mut bench, "the curves", Workbench::is_idle);
    let legend = bench.query_all_by_label_contains("Curve last:32").count();
    assert_eq!(legend, 1);
    // the rule keeps the last 32, so all of ten
    let bands = inside(&bench).derived().bands();
    let last = bands.iter().find(|bands| bands.label == "last:32").unwrap();
    let at = inside(&bench).derived().budget_index;
    assert_eq!(last.band(Metric::HitRate).unwrap().mean[at], 1.0);
    assert_eq!(last.band(Metric::EvidenceKept).unwrap().mean[at], 0.0);
    send(&mut bench, LayoutCommand::ShowPane(Pane::INSPECTOR));
    assert!(bench.query_by_label("forced").is_some());
}
