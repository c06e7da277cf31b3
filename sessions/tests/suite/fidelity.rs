//! Evicted caches against transformers with masks, and what must hold whatever the model.
//! `fixtures/make_fidelity_fixtures.py` says how the figures were made.

use std::collections::BTreeMap;

use kvlens_analysis::allocation::BudgetAllocation;
use kvlens_analysis::{ForcedKeep, Rankings, SideScoring};
use kvlens_sessions::fidelity::{Continuation, ContinuationPlan, FidelityTest};
use kvlens_sessions::model::{Evicted, Model};
use kvlens_sessions::{CancelFlag, RunControl, SessionError, evict};
use serde::Deserialize;

use crate::common::{
    decode, demo_model, demo_samples, fixtures, micro_model, micro_prompt, observe, prefill, window,
};

/// Of the larger figure or of 1; both sides compute logits in float32.
const TOLERANCE: f64 = 1e-4;

#[derive(Deserialize)]
struct Reference {
    tokens: usize,
    forced: Vec<u32>,
    answer: Vec<u32>,
    full: FullReference,
    own: EvictedReference,
    shared: EvictedReference,
}

#[derive(Deserialize)]
struct FullReference {
    answer_nll: f64,
}

#[derive(Deserialize)]
struct EvictedReference {
    kept: Vec<Vec<Vec<u32>>>,
    kl: Vec<f64>,
    agrees: Vec<bool>,
    answer_nll: f64,
    generated: Vec<u32>,
}

fn references() -> BTreeMap<String, Reference> {
    let text = std::fs::read(fixtures().join("fidelity.json")).unwrap();
    serde_json::from_slice(&text).unwrap()
}

fn begin<'m>(
    model: &'m Model,
    ids: &[u32],
    plan: ContinuationPlan,
) -> Result<FidelityTest<'m>, SessionError> {
    quietly(|control| FidelityTest::begin(model, ids, plan, control))
}

fn evicted(test: &mut FidelityTest<'_>, kept: Evicted) -> Result<Continuation, SessionError> {
    quietly(|control| test.evicted(kept, control))
}

fn quietly<T>(run: impl FnOnce(&mut RunControl<'_>) -> T) -> T {
    let cancel = CancelFlag::default();
    run(&mut RunControl {
        cancel: &cancel,
        on_tokens: &mut |_, _| {},
    })
}

fn close(found: f64, expected: f64) -> bool {
    (found - expected).abs() <= TOLERANCE * expected.abs().max(1.0)
}

#[test]
fn what_an_eviction_does_agrees_with_masked_transformers() {
    for (name, expected) in references() {
        let model = micro_model(&name);
        let ids = micro_prompt(&model);
        assert_eq!(ids.len(), expected.tokens, "{name}");
        let plan = ContinuationPlan {
            question_ids: Vec::new(),
            step_ids: expected.forced.clone(),
            answer_ids: expected.answer,
            most_tokens: expected.forced.len(),
            ignore_eos: true,
        };
        let mut test = begin(&model, &ids, plan).unwrap();
        assert_eq!(test.full().generated_ids, expected.forced, "{name}");
        let full_nll = test.full().answer_nll.unwrap();
        assert!(
            close(full_nll, expected.full.answer_nll),
            "{name}: {full_nll}"
        );
        for (label, expected) in [("own", expected.own), ("shared", expected.shared)] {
            let kept = Evicted::new(expected.kept, ids.len()).unwrap();
            let found = evicted(&mut test, kept).unwrap();
            let steps = test.compare(&found).unwrap();
            for (step, kl) in steps.iter().zip(&expected.kl) {
                assert!(close(step.kl, *kl), "{name}, {label}: {} for {kl}", step.kl);
            }
            let agrees: Vec<bool> = steps.iter().map(|step| step.agrees).collect();
            assert_eq!(agrees, expected.agrees, "{name}, {label}");
            let nll = found.answer_nll.unwrap();
            assert!(close(nll, expected.answer_nll), "{name}, {label}: {nll}");
            assert_eq!(found.generated_ids, expected.generated, "{name}, {label}");
        }
    }
}

/// The rankings of a window and a plan that follows the model's own generation.
fn ranked(model: &Model, ids: &[u32], label: &str) -> (Rankings, ForcedKeep, ContinuationPlan) {
    let (window, decode) = (window(label, model), decode(12));
    let mut prefilled = prefill(model, ids, &[&window, &decode]);
    let oracle = observe(&decode, model, &mut prefilled);
    let observation = observe(&window, model, &mut prefilled);
    let keys = prefilled.keys_for_scoring(model).unwrap();
    let forced_keep = observation.forced_keep();
    let importance = keys
        .importance(
            &observation,
            SideScoring::of(observation.scoring(), forced_keep),
        )
        .unwrap();
    let plan = ContinuationPlan {
        question_ids: Vec::new(),
        step_ids: oracle.token_ids().to_vec(),
        answer_ids: oracle.token_ids()[..5].to_vec(),
        most_tokens: 12,
        ignore_eos: true,
    };
    let rankings = Rankings::of(&importance, ForcedKeep::default()).unwrap();
    (rankings, forced_keep, plan)
}

fn at_budget(rankings: &Rankings, forced_keep: ForcedKeep, budget: usize) -> Evicted {
    let allocation = BudgetAllocation::uniform_of(
        rankings.layers(),
        rankings.heads(),
        rankings.prompt_tokens(),
        budget,
    );
    evict(rankings, forced_keep, &allocation.unwrap()).unwrap()
}

#[test]
fn evicting_nothing_changes_no_bit() {
    let demo_prompt = &demo_samples("demo:length=512,question=end,samples=1")[0].prompt;
    let demo = demo_model();
    let demo_ids = demo.encode_prompt(demo_prompt, None).unwrap().ids;
    let mut cases = vec![(demo, demo_ids)];
    for name in [
        "llama-gqa-untied",
        "mistral-swa64-untied",
        "qwen2-swa48-from-layer2",
    ] {
        let model = micro_model(name);
        let ids = micro_prompt(&model);
        cases.push((model, ids));
    }
    for (model, ids) in cases {
        let (rankings, forced_keep, plan) = ranked(&model, &ids, "last:8");
        let mut test = begin(&model, &ids, plan).unwrap();
        let kept = at_budget(&rankings, forced_keep, ids.len());
        let found = evicted(&mut test, kept).unwrap();
        let bits = |continuation: &Continuation| -> Vec<u32> {
            let logits = continuation.steps().iter().flatten();
            logits.map(|logit| logit.to_bits()).collect()
        };
        assert_eq!(bits(&found), bits(test.full()), "{model:?}");
        assert_eq!(&found, test.full(), "{model:?}");
        let steps = test.compare(&found).unwrap();
        assert!(steps.iter().all(|step| step.kl == 0.0 && step.agrees));
        // one token less is an eviction, so the test above can fail
        let kept = at_budget(&rankings, forced_keep, ids.len() - 1);
        assert_ne!(bits(&evicted(&mut test, kept).unwrap()), bits(test.full()));
    }
}

#[test]
fn the_full_cache_generates_what_the_decode_stage_did() {
    let model = demo_model();
    let prompt = &demo_samples("demo:length=512,question=start,samples=1")[0].prompt;
    let ids = model.encode_prompt(prompt, None).unwrap().ids;
    let (_, _, plan) = ranked(&model, &ids, "last:8");
    let expected = plan.step_ids.clone();
    // with other tokens forced, the generation does not follow them
    let misled = ContinuationPlan {
        question_ids: Vec::new(),
        step_ids: expected.iter().rev().copied().collect(),
        ..plan.clone()
    };
    for plan in [plan, misled] {
        let test = begin(&model, &ids, plan).unwrap();
        assert_eq!(test.full().generated_ids, expected);
    }
}

#[test]
fn keeping_no_token_of_the_prompt_leaves_what_is_fed() {
    for name in ["llama-gqa-untied", "mistral-swa64-untied"] {
        let model = micro_model(name);
        let ids = micro_prompt(&model);
        let (rankings, _, plan) = ranked(&model, &ids, "last:8");
        let mut test = begin(&model, &ids, plan).unwrap();
        let nothing = vec![vec![Vec::new(); rankings.heads()]; rankings.layers()];
        let kept = Evicted::new(nothing, ids.len()).unwrap();
        let found = evicted(&mut test, kept).unwrap();
        let steps = test.compare(&found).unwrap();
        assert!(
            steps.iter().all(|step| step.kl.is_finite()),
            "{name}: {steps:?}"
        );
        assert!(steps.iter().any(|step| step.kl > 0.0), "{name}: {steps:?}");
    }
}

#[test]
fn what_does_not_fit_the_prompt_or_the_model_is_refused() {
    let model = micro_model("llama-gqa-untied");
    let ids = micro_prompt(&model);
    let (rankings, forced_keep, plan) = ranked(&model, &ids, "last:8");
    let mut test = begin(&model, &ids, plan.clone()).unwrap();
    let other = Evicted::new(vec![vec![vec![0]; 4]; 3], 10).unwrap();
    let refused = evicted(&mut test, other).unwrap_err().to_string();
    assert!(refused.contains("10 tokens"), "{refused}");
    let heads = Evicted::new(vec![vec![vec![0]; 3]; 3], ids.len()).unwrap();
    let refused = evicted(&mut test, heads).unwrap_err().to_string();
    assert!(refused.contains("3 heads"), "{refused}");
    let foreign = BudgetAllocation::uniform_of(1, 2, ids.len(), 8).unwrap();
    assert!(evict(&rankings, forced_keep, &foreign).is_err());
    let nothing = ContinuationPlan {
        question_ids: Vec::new(),
        step_ids: Vec::new(),
        ..plan.clone()
    };
    let refused = begin(&model, &ids, nothing).err().unwrap().to_string();
    assert!(refused.contains("at least one token"), "{refused}");
    let endless = ContinuationPlan {
        most_tokens: usize::MAX / 2,
        ..plan
    };
    let refused = begin(&model, &ids, endless).err().unwrap().to_string();
    assert!(refused.contains("positions"), "{refused}");
}
