//! The view of the cache while it decodes: what it shows, and what a session lacks.

use crate::common::{captured_as, copied, inside, opened_at, send, session, wait_for};
use egui_kittest::kittest::Queryable as _;
use kvlens::gui::command::LookCommand;
use kvlens::gui::data::Severity;
use kvlens::gui::layout::Pane;
use kvlens::gui::question_choices::{DecodeCacheChoices, DecodeCacheMetric};
use kvlens::gui::state::{HeadAddress, SelectionChange};
use kvlens::measurement::decode_eviction::{DecodeRankings, HorizonChoice, decode_evictions};
use kvlens_analysis::Budget;
use kvlens_sessions::{Keep, Session};

#[test]
fn rankings_of_a_head_are_those_of_the_tables() {
    let (_kept, path) = captured_as("demo:length=512,samples=1", &["last:8"], |plan| {
        plan.keep = Some(Keep::KeysAndDecode);
        plan.decode.ignore_eos = true;
    });
    let folder = tempfile::tempdir().unwrap();
    let mut bench = opened_at(folder.path(), &path, Pane::DECODE_CACHE);
    let choices = DecodeCacheChoices {
        every: 4,
        horizon: HorizonChoice::Rest,
        metric: DecodeCacheMetric::Mass,
    };
    send(&mut bench, LookCommand::SetDecodeCache(choices));
    send(&mut bench, LookCommand::SetBudget(Budget::Tokens(40)));
    send(
        &mut bench,
        LookCommand::SelectHeads {
            heads: vec![HeadAddress { layer: 2, head: 3 }],
            change: SelectionChange::Replace,
        },
    );
    wait_for(&mut bench, "the rankings", |workbench| {
        let found = workbench.derived().decode_cache();
        found.is_some_and(|curves| {
            curves.choices == choices && curves.budget_tokens == 40 && curves.curves[0].heads == 1
        })
    });
    let captured = Session::open(&path).unwrap().load_sample(0).unwrap();
    let asked = DecodeRankings::usual(4);
    let expected = decode_evictions(&captured, &asked, &[Budget::Tokens(40)], &mut |_, _| Ok(()));
    let expected = expected.unwrap();
    let head = &expected.by_head[2 * expected.heads + 3];
    let curves = inside(&bench).derived().decode_cache().unwrap();
    assert_eq!(curves.steps, [4, 8, 12, 16, 20]);
    // no window adds up the attention of the prompt
    assert_eq!(curves.curves.len(), 6);
    for (index, curve) in curves.curves.iter().enumerate() {
        let rest = head.iter().map(|step| step.horizons.last().unwrap());
        let mass: Vec<f64> = rest.map(|held| held.kept[index][0].mass).collect();
        assert_eq!(curve.band.mean, mass, "{}", curve.label);
    }
    let first = format!(
        "last:1\t40\t4\trest\t4\t{}\t",
        curves.curves[0].band.mean[0]
    );

    bench.get_by_label("Copy the rankings").click();
    bench.run_steps(2);
    let text = copied(&bench);
    assert!(text.starts_with("ranking\tbudget_tokens\tevery\thorizon\tstep\tmass\tlow\thigh\n"));
    assert!(text.contains(&first), "{first}: {text}");

    // the stage of 24 steps has none behind
    let longer = DecodeCacheChoices {
        every: 32,
        ..choices
    };
    send(&mut bench, LookCommand::SetDecodeCache(longer));
    wait_for(&mut bench, "the sentence", |workbench| {
        let found = workbench.derived().decode_cache();
        found.is_some_and(|curves| curves.choices.every == 32)
    });
    assert!(
        bench
            .query_by_label_contains("has 24 steps, too few")
            .is_some()
    );
}

#[test]
fn a_session_without_keys_of_generated_tokens_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let mut bench = opened_at(folder.path(), session(), Pane::DECODE_CACHE);
    wait_for(&mut bench, "the sentence", |workbench| {
        let found = workbench.derived().decode_cache();
        found.is_some_and(|curves| curves.lacking.is_some())
    });
    bench.run_steps(2);
    let said = bench.query_by_label_contains("--keep keys,decode");
    assert!(said.is_some());
    let log = &inside(&bench).data().log;
    let error = log.iter().find(|line| line.severity == Severity::Error);
    assert_eq!(error, None, "it is no fault");
}
