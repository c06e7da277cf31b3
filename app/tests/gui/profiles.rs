//! Stories of what heads are like, of what two windows find together, and of the needed tokens, at a real model's size.

use std::sync::Arc;

use crate::common::{Bench, copied, inside, inside_mut, send, wait_for};
use crate::retrieval::{HEADS, LAYERS, TOKENS, loses, opened, reads};
use egui_kittest::kittest::Queryable as _;
use kvlens::gui::command::{ExportCommand, LayoutCommand, LookCommand};
use kvlens::gui::head_numbers::HeadNumber;
use kvlens::gui::lanes::Event;
use kvlens::gui::layout::Pane;
use kvlens::gui::question_choices::EvidencePart;
use kvlens::gui::questions::profile::ProfileAnswer;
use kvlens::gui::questions::{Answer, CurvesKey};
use kvlens::gui::state::{HeadAddress, MapKind};
use kvlens::gui::workbench::Workbench;
use kvlens::measurement::profiles::SampleHeads;
use kvlens_analysis::complementarity::complementarity;
use kvlens_analysis::profile::{Neighbours, ProfileNumber, head_profiles};
use kvlens_analysis::{Budget, ForcedKeep};

/// Answers what the lane would of a session that is on no disk: profiles without single steps.
fn profiled<'a>() -> Bench<'a> {
    let mut bench = opened();
    let shown = inside(&bench).data().shown().unwrap().clone();
    let (mass, evidence) = (
        &shown.sample.decode_mass,
        &shown.sample.record.evidence_tokens,
    );
    let budgets: Vec<usize> = (1..=TOKENS).collect();
    let neighbours = Neighbours::of(mass, ForcedKeep::default(), 3, &budgets, &[]).unwrap();
    let answer = ProfileAnswer {
        key: CurvesKey {
            shown_version: shown.version,
            width: 0,
            budgets,
        },
        heads_per_layer: HEADS,
        heads: SampleHeads {
            heads: head_profiles(mass, evidence),
            neighbours,
        },
    };
    inside_mut(&mut bench).receive(Event::Answered(Answer::Profile(Arc::new(answer))));
    bench.run_steps(3);
    bench
}

/// With the question at the start the last window loses what ten retrieval heads read; in the scatter they lie at the
/// lower right, and words choose them.
#[test]
fn one_look_tells_which_heads_the_last_window_fails_on_and_what_they_are() {
    let mut bench = profiled();
    send(&mut bench, LookCommand::SetBudget(Budget::Tokens(40)));
    send(&mut bench, LookCommand::SetWindow("last:32".to_owned()));
    send(
        &mut bench,
        LookCommand::SetProfile(ProfileNumber::EvidenceShare),
    );
    send(&mut bench, LayoutCommand::ShowPane(Pane::PROFILE));
    wait_for(&mut bench, "the scatter", Workbench::is_idle);
    let scatter = inside(&bench).derived().scatter().unwrap().clone();
    assert_eq!(scatter.heads.len(), LAYERS * HEADS);
    for (head, x) in scatter.heads.iter().zip(&scatter.xs) {
        let index = head.layer * HEADS + head.head;
        assert_eq!(*x > 0.5, reads(index), "{head:?}: {x}");
    }
    let fails = scatter.heads.iter().zip(scatter.xs.iter().zip(&scatter.ys));
    let fails = fails.filter(|(_, (x, y))| **x > 0.5 && **y < 0.6);
    let fails: Vec<usize> = fails
        .map(|(head, _)| head.layer * HEADS + head.head)
        .collect();
    let expected: Vec<usize> = (0..LAYERS * HEADS).filter(|it| loses(*it)).collect();
    assert_eq!(fails, expected);
    assert!(bench.query_by_label_contains("Spearman").is_some());
    send(
        &mut bench,
        LookCommand::SelectHeadsBy("evidence_share>0.5, recall<0.6".to_owned()),
    );
    let chosen = inside(&bench).settings().choices.heads.iter();
    let chosen: Vec<usize> = chosen.map(|head| head.layer * HEADS + head.head).collect();
    assert_eq!(chosen, expected);
}

/// The marks by ranks, and Spearman's definition by Pearson of them.
#[test]
fn the_correlation_is_spearmans_of_the_marks() {
    let mut bench = profiled();
    send(&mut bench, LookCommand::SetBudget(Budget::Tokens(40)));
    send(&mut bench, LayoutCommand::ShowPane(Pane::PROFILE));
    send(&mut bench, LookCommand::SetProfile(ProfileNumber::Entropy));
    wait_for(&mut bench, "the scatter", Workbench::is_idle);
    let scatter = inside(&bench).derived().scatter().unwrap();
    let ranks = |values: &[f64]| -> Vec<f64> {
        let values: Vec<f32> = values.iter().map(|value| *value as f32).collect();
        let rank = |value: &f32| {
            let below = values.iter().filter(|other| *other < value).count() as f64;
            let same = values.iter().filter(|other| *other == value).count() as f64;
            below + 0.5 * (same + 1.0)
        };
        values.iter().map(rank).collect()
    };
    let (xs, ys) = (ranks(&scatter.xs), ranks(&scatter.ys));
    let middle = 0.5 * (xs.len() as f64 + 1.0);
    let product = |a: &[f64], b: &[f64]| -> f64 {
        a.iter()
            .zip(b)
            .map(|(a, b)| (a - middle) * (b - middle))
            .sum()
    };
    let expected = product(&xs, &ys) / (product(&xs, &xs) * product(&ys, &ys)).sqrt();
    let same = scatter.spearman.is_nan() && expected.is_nan();
    assert!(
        same || (scatter.spearman - expected).abs() < 1e-9,
        "{} {expected}",
        scatter.spearman
    );
}

#[test]
fn the_map_shows_every_number_of_a_profile() {
    let mut bench = profiled();
    send(&mut bench, LookCommand::SetBudget(Budget::Tokens(40)));
    send(&mut bench, LayoutCommand::ShowPane(Pane::HEAD_MAP));
    send(&mut bench, LookCommand::SetMapKind(MapKind::Profile));
    for number in ProfileNumber::ALL {
        send(&mut bench, LookCommand::SetProfile(number));
        let map = inside(&bench).derived().map().unwrap();
        assert_eq!(map.number, HeadNumber::Profile(number));
        let answer = inside(&bench).data().answers.profile.value().unwrap();
        let expected = answer.column(number, 40);
        let same = |(a, b): (&f64, &f64)| a == b || (a.is_nan() && b.is_nan());
        assert!(map.values.iter().zip(&expected).all(same), "{number}");
    }
    let map = inside(&bench).derived().map().unwrap();
    assert!(map.values.iter().all(|overlap| !overlap.is_nan()));
    send(&mut bench, LookCommand::SetProfile(ProfileNumber::NextStep));
    let map = inside(&bench).derived().map().unwrap();
    assert!(
        map.values.iter().all(|overlap| overlap.is_nan()),
        "no steps"
    );
}

#[test]
fn numbers_that_nobody_measured_are_told_and_choose_no_head() {
    let mut bench = opened();
    send(
        &mut bench,
        LookCommand::SelectHeadsBy("sink_share>0.5".to_owned()),
    );
    let log = &inside(&bench).data().log;
    let last = &log.last().unwrap().text;
    assert!(last.contains("open the view Head profile"), "{last}");
    assert!(inside(&bench).settings().choices.heads.is_empty());
}

#[test]
fn a_pair_of_windows_splits_the_top_tokens_as_the_table_does() {
    let mut bench = opened();
    send(&mut bench, LookCommand::SetBudget(Budget::Tokens(40)));
    send(&mut bench, LookCommand::SetWindow("last:32".to_owned()));
    let heads = vec![
        HeadAddress { layer: 0, head: 3 },
        HeadAddress { layer: 5, head: 1 },
    ];
    send(
        &mut bench,
        LookCommand::SelectHeads {
            heads: heads.clone(),
            change: kvlens::gui::state::SelectionChange::Replace,
        },
    );
    send(&mut bench, LayoutCommand::ShowPane(Pane::COMPLEMENTARITY));
    wait_for(&mut bench, "the pairs", |workbench| {
        workbench.is_idle() && workbench.derived().pairs().is_some()
    });
    let sample = &inside(&bench).data().shown().unwrap().sample;
    let side = |label: &str| {
        let mut windows = sample.windows.iter();
        let window = windows.find(|window| window.label == label).unwrap();
        &window.ranked.rankings
    };
    let truth = &sample.truth.rankings;
    let split = complementarity(truth, side("last:32"), side("laq:n=8"), &[40]).unwrap();
    let mean = |share: fn(&kvlens_analysis::complementarity::Complementarity) -> f64| {
        let shares = heads
            .iter()
            .map(|it| share(&split[it.layer * HEADS + it.head][0]));
        shares.sum::<f64>() / heads.len() as f64
    };
    let pairs = inside(&bench).derived().pairs().unwrap();
    assert_eq!((pairs.first.as_str(), pairs.heads), ("last:32", 2));
    let pair = &pairs.pairs[0];
    assert_eq!(pair.second, "laq:n=8");
    assert_eq!(pair.shared, mean(|it| it.both));
    assert_eq!(pair.first_only, mean(|it| it.first_only));
    assert_eq!(pair.second_only, mean(|it| it.second_only));
    assert_eq!(pair.missed, mean(|it| it.neither));
    let sum = pair.shared + pair.first_only + pair.second_only + pair.missed;
    assert!((sum - 1.0).abs() < 1e-12);
    bench.get_by_label("last:32 and laq:n=8").click();
    bench.run_steps(3);
    let minus = inside(&bench).settings().choices.minus.clone();
    assert_eq!(minus.as_deref(), Some("laq:n=8"));
    inside_mut(&mut bench).send(ExportCommand::CopyNumbers(Pane::COMPLEMENTARITY));
    bench.step();
    assert!(copied(&bench).contains("last:32\tlaq:n=8\t40\t"));
}

/// With the question at the start the last 32 tokens are all that `last:32` keeps of a budget of 32, everywhere.
#[test]
fn what_no_head_keeps_is_lost_everywhere() {
    let mut bench = opened();
    send(&mut bench, LayoutCommand::ShowPane(Pane::EVIDENCE));
    send(
        &mut bench,
        LookCommand::SetEvidence(EvidencePart::LostEverywhere),
    );
    wait_for(&mut bench, "the needed tokens", |workbench| {
        workbench.is_idle() && workbench.derived().evidence_curves().is_some()
    });
    let curves = inside(&bench).derived().evidence_curves().unwrap();
    assert_eq!(curves.needed_tokens, 19);
    let at = |label: &str, budget: usize| {
        let place = curves.budgets.iter().position(|known| *known == budget);
        let mut all = curves.curves.iter();
        let curve = all.find(|curve| curve.label == label).unwrap();
        let place = place.unwrap();
        (curve.kept[place], curve.lost_everywhere[place])
    };
    assert_eq!(at("last:32", 32), (0.0, 1.0));
    let (kept, lost) = at("last:32", 64);
    // 25 heads of 270 keep all of them beside the forced 32
    let rest = kept - 25.0 / 270.0;
    assert!(lost == 0.0 && rest >= 0.0, "{kept} {lost}");
    assert_eq!(at("decode", 32).1, 0.0);
}
