//! Truths of the windows that hold whatever the weights are, on the built-in model.

use candle_core::Tensor;
use kvlens_analysis::Rankings;
use kvlens_analysis::SideScoring;
use kvlens_sessions::model::Model;
use kvlens_sessions::windows::parse_window;
use kvlens_sessions::{
    CancelFlag, Needs, Observation, Prefilled, RunControl, ScoreKind, SessionError,
};

use crate::common::{
    decode, demo_model, demo_samples, key_values, largest_difference, micro_model, micro_prompt,
    observe, prefill, prefill_for, rows, values, window,
};

/// For the same arithmetic in blocks of other shapes, of the largest number compared or of 1.
const TOLERANCE: f32 = 1e-5;

/// How far apart queries may be: rounding grows with their size.
fn query_tolerance(observation: &Observation) -> f32 {
    let queries = values(queries(observation));
    TOLERANCE
        * queries
            .iter()
            .fold(1.0_f32, |most, value| most.max(value.abs()))
}

const STEPS: usize = 8;

fn prompt_ids(model: &Model) -> Vec<u32> {
    let prompt = &demo_samples("demo:length=512,question=end,samples=1")[0].prompt;
    model.encode_prompt(prompt, None).unwrap().ids
}

/// The decode stage, then each of these windows, on one prefill.
fn observed(model: &Model, labels: &[&str]) -> (Prefilled, Observation, Vec<Observation>) {
    let decode = decode(STEPS);
    let windows: Vec<_> = labels.iter().map(|label| window(label, model)).collect();
    let mut all: Vec<&kvlens_sessions::windows::ReadyWindow> = vec![&decode];
    all.extend(&windows);
    let mut prefilled = prefill(model, &prompt_ids(model), &all);
    let oracle = observe(&decode, model, &mut prefilled);
    let observations = windows
        .iter()
        .map(|window| observe(window, model, &mut prefilled))
        .collect();
    (prefilled, oracle, observations)
}

fn queries(observation: &Observation) -> &Tensor {
    rows(observation).queries()
}

fn scores(model: &Model, prefilled: &Prefilled, observation: &Observation) -> Vec<f32> {
    let keys = prefilled.keys_for_scoring(model).unwrap();
    let importance = keys
        .importance(
            observation,
            SideScoring::of(observation.scoring(), observation.forced_keep()),
        )
        .unwrap();
    let heads = (0..importance.layers())
        .flat_map(|layer| (0..importance.heads()).map(move |head| (layer, head)));
    heads
        .flat_map(|(layer, head)| importance.head(layer, head).to_vec())
        .collect()
}

#[test]
fn without_eviction_the_lookahead_is_the_decode_stage() {
    let model = demo_model();
    for label in ["laq:n=8,budget=100%", "laq:n=8,budget=100%,heads=kv"] {
        let (prefilled, oracle, ahead) = observed(&model, &[label]);
        assert_eq!(ahead[0].token_ids(), oracle.token_ids());
        assert_eq!(rows(&ahead[0]).positions(), rows(&oracle).positions());
        let difference = largest_difference(&values(queries(&ahead[0])), &values(queries(&oracle)));
        assert!(
            difference <= query_tolerance(&oracle),
            "{label}: queries differ by {difference}"
        );
        // its log-sum-exps count its own keys as decoding does, so the attention is that of decoding too
        let keys = prefilled.keys_for_scoring(&model).unwrap();
        for layer in 0..model.config().layers {
            let of = |observation| keys.attention_rows(rows(observation), layer, 0).unwrap();
            let difference = largest_difference(&of(&ahead[0]).concat(), &of(&oracle).concat());
            assert!(
                difference <= TOLERANCE,
                "{label}: weights differ by {difference}"
            );
        }
    }
}

/// The same where layers see a sliding window and rows count back over an evicted cache, normalise queries,
/// or stretch positions.
#[test]
fn without_eviction_the_lookahead_is_the_decode_stage_in_every_family() {
    for name in [
        "llama-gqa-tied-rope3",
        "mistral-swa64-untied",
        "qwen2-swa48-from-layer2",
        "qwen3-qknorm-tied",
    ] {
        let model = micro_model(name);
        let (decode, laq) = (decode(4), window("laq:n=4,budget=100%", &model));
        let ids = micro_prompt(&model);
        let mut prefilled = prefill(&model, &ids, &[&decode, &laq]);
        let oracle = observe(&decode, &model, &mut prefilled);
        let ahead = observe(&laq, &model, &mut prefilled);
        assert_eq!(ahead.token_ids(), oracle.token_ids(), "{name}");
        let difference = largest_difference(&values(queries(&ahead)), &values(queries(&oracle)));
        assert!(
            difference <= query_tolerance(&oracle),
            "{name}: queries differ by {difference}"
        );
        let of = |observation| values(rows(observation).log_sum_exp());
        let difference = largest_difference(&of(&ahead), &of(&oracle));
        assert!(
            difference <= TOLERANCE,
            "{name}: log-sum-exps differ by {difference}"
        );
    }
}

#[test]
fn at_any_budget_the_first_lookahead_query_of_layer_0_is_the_true_one() {
    let model = demo_model();
    let labels = [
        "laq:budget=1",
        "laq:budget=5%",
        "laq:budget=20%,heads=kv",
        "laq:budget=10%,method=h2o",
        "laq:budget=10%,method=streaming",
    ];
    let (_, oracle, ahead) = observed(&model, &labels);
    let first = |observation: &Observation, layer: usize| {
        let query = queries(observation).narrow(0, layer, 1).unwrap();
        values(&query.narrow(2, 0, 1).unwrap())
    };
    let last_layer = model.config().layers - 1;
    for (label, ahead) in labels.iter().zip(&ahead) {
        assert_eq!(ahead.token_ids()[0], oracle.token_ids()[0], "{label}");
        assert_eq!(first(ahead, 0), first(&oracle, 0), "{label}");
        assert_ne!(
            first(ahead, last_layer),
            first(&oracle, last_layer),
            "{label}"
        );
    }
}

#[test]
fn pseudo_tokens_with_the_content_of_the_decode_stage_are_the_decode_stage() {
    let model = demo_model();
    let labels = [
        "dapq:n=8,content=decode",
        "dapq:n=8,content=decode,shift=5",
        "dapq:n=8,content=last",
    ];
    let (_, oracle, dapq) = observed(&model, &labels);
    let difference = |index: usize| {
        largest_difference(&values(queries(&dapq[index])), &values(queries(&oracle)))
    };
    assert_eq!(dapq[0].token_ids(), oracle.token_ids());
    assert!(
        difference(0) <= query_tolerance(&oracle),
        "queries differ by {}",
        difference(0)
    );
    let sums = largest_difference(
        &values(rows(&dapq[0]).log_sum_exp()),
        &values(rows(&oracle).log_sum_exp()),
    );
    assert!(sums <= 1e-4, "log-sum-exps differ by {sums}");
    // position alone and content alone make other queries
    assert_eq!(dapq[1].token_ids(), oracle.token_ids());
    assert_eq!(
        rows(&dapq[1]).positions()[0],
        rows(&oracle).positions()[0] + 5
    );
    assert_eq!(rows(&dapq[2]).positions(), rows(&oracle).positions());
    assert!(difference(1) > 0.1 && difference(2) > 0.1);
}

#[test]
fn no_window_touches_the_prompt() {
    let model = demo_model();
    let labels = [
        "laq",
        "laq++",
        "dapq",
        "draft:n=8",
        "tova",
        "h2o",
        "streaming",
        "expected",
        "knorm",
        "random",
        "union:of=last:8+laq",
        "judge-q",
        "lookahead-kv",
    ];
    let windows: Vec<_> = labels.iter().map(|label| window(label, &model)).collect();
    let all: Vec<_> = windows.iter().collect();
    let decode = decode(STEPS);
    let mut with_decode = all.clone();
    with_decode.push(&decode);
    let mut prefilled = prefill(&model, &prompt_ids(&model), &with_decode);
    let before = key_values(&prefilled.keys_for_scoring(&model).unwrap());
    let alone = values(queries(&observe(&decode, &model, &mut prefilled)));
    let logits = values(prefilled.last_logits());
    for window in &all {
        observe(window, &model, &mut prefilled);
        let keys = prefilled.keys_for_scoring(&model).unwrap();
        assert_eq!(key_values(&keys), before, "{}", window.label());
        let after = values(queries(&observe(&decode, &model, &mut prefilled)));
        assert_eq!(after, alone, "decoding after {}", window.label());
    }
    assert_eq!(values(prefilled.last_logits()), logits);
    // and what a window sees does not depend on what else the pass over the prompt kept
    let plain = prefill(&model, &prompt_ids(&model), &[&decode]);
    assert_eq!(values(plain.last_logits()), logits);
    assert_eq!(key_values(&plain.keys_for_scoring(&model).unwrap()), before);
}

#[test]
fn laq_plus_plus_is_the_union_of_laq_and_the_last_window() {
    let model = demo_model();
    let labels = ["laq++:w=8,n=4", "union:of=last:8+laq:n=4"];
    let (prefilled, _, both) = observed(&model, &labels);
    let (plus, union) = (&both[0], &both[1]);
    assert_eq!(plus.token_ids(), union.token_ids());
    assert_eq!(rows(plus).visible_keys(), rows(union).visible_keys());
    assert_eq!(values(queries(plus)), values(queries(union)));
    assert_eq!(plus.forced_keep(), union.forced_keep());
    // a union takes its first member's scoring, which sums over all keys; laq++ over the prompt's
    let keys = prefilled.keys_for_scoring(&model).unwrap();
    let of = |observation| {
        let scored = keys.importance(
            observation,
            SideScoring::of(plus.scoring(), plus.forced_keep()),
        );
        scored.unwrap().head(1, 1).to_vec()
    };
    assert_eq!(of(plus), of(union));
    let first_named = observed(&model, &["union:of=laq:n=4+last:8"]).2;
    assert_eq!(first_named[0].scoring(), plus.scoring());
}

#[test]
fn the_union_that_begins_with_laq_scores_as_laq_plus_plus() {
    let model = demo_model();
    let labels = ["laq++:w=8,n=4", "union:of=laq:n=4+last:8"];
    let (prefilled, _, both) = observed(&model, &labels);
    let (plus, union) = (&both[0], &both[1]);
    assert_eq!(plus.scoring(), union.scoring());
    assert_eq!(plus.forced_keep(), union.forced_keep());
    let keys = prefilled.keys_for_scoring(&model).unwrap();
    let of = |observation: &Observation| {
        let scored = keys.importance(
            observation,
            SideScoring::of(observation.scoring(), observation.forced_keep()),
        );
        scored.unwrap().head(1, 1).to_vec()
    };
    // the same rows in another order
    assert!(largest_difference(&of(plus), &of(union)) < 1e-5);
}

#[test]
fn rows_stand_in_the_prompt_by_their_positions() {
    let model = demo_model();
    let labels = ["laq++:w=8,n=4,mask=as-released", "last:8"];
    let (prefilled, _, both) = observed(&model, &labels);
    // under the released mask all twelve rows see no more than the prompt
    let tokens = prefilled.prompt_tokens();
    assert_eq!(both[0].rows_in_prompt(tokens), 8);
    assert_eq!(both[1].rows_in_prompt(tokens), 8);
}

#[test]
fn more_rows_than_the_prompt_has_are_refused() {
    let model = demo_model();
    let needs = Needs {
        last_rows: 50,
        ..Needs::default()
    };
    let prefilled = prefill_for(&model, &[5, 6, 7], &needs);
    assert!(prefilled.last_rows(3).is_ok());
    let refused = prefilled.last_rows(4).unwrap_err();
    assert!(
        matches!(refused, SessionError::Internal { .. }),
        "{refused}"
    );
}

#[test]
fn a_union_by_rank_holds_the_top_of_every_member() {
    let model = demo_model();
    let labels = ["tova", "h2o", "union:by=best-rank,of=tova+h2o"];
    let (prefilled, _, all) = observed(&model, &labels);
    assert_eq!(all[2].score_kind(), ScoreKind::Rank);
    let keys = prefilled.keys_for_scoring(&model).unwrap();
    let [tova, h2o, union] = [0, 1, 2].map(|index: usize| {
        let window = &all[index];
        let scored = keys.importance(
            window,
            SideScoring::of(window.scoring(), window.forced_keep()),
        );
        Rankings::of(&scored.unwrap(), Default::default()).unwrap()
    });
    for (layer, head) in [(0, 0), (2, 3), (3, 1)] {
        let top: Vec<u32> = union.order(layer, head)[..20].to_vec();
        for member in [&tova, &h2o] {
            for token in &member.order(layer, head)[..10] {
                assert!(
                    top.contains(token),
                    "layer {layer}, head {head}, token {token}"
                );
            }
        }
    }
}

/// A window that scores tokens which no decode step sees (here by the norm of their keys) is not pushed out of the union
/// by them.
#[test]
fn a_union_by_rank_deals_out_what_the_decode_stage_sees() {
    let model = micro_model("mistral-swa64-untied");
    let labels = ["tova", "knorm", "union:by=best-rank,of=tova+knorm"];
    let windows: Vec<_> = labels.iter().map(|label| window(label, &model)).collect();
    let references: Vec<_> = windows.iter().collect();
    let ids = micro_prompt(&model).repeat(4);
    let mut prefilled = prefill(&model, &ids, &references);
    let all: Vec<_> = references
        .iter()
        .map(|window| observe(window, &model, &mut prefilled))
        .collect();
    let keys = prefilled.keys_for_scoring(&model).unwrap();
    let visible_top = |window: &Observation, layer: usize, head: usize, count: usize| {
        let scored = keys.importance(window, window.published_side());
        let rankings = Rankings::of(&scored.unwrap(), Default::default()).unwrap();
        let order = rankings.order(layer, head).to_vec();
        let first = keys.first_visible()[layer] as u32;
        assert!(first > 400, "the layer has no sliding window");
        let visible = order.into_iter().filter(|&token| token >= first);
        visible.take(count).collect::<Vec<u32>>()
    };
    for (layer, head) in [(0, 0), (1, 3)] {
        let top = visible_top(&all[2], layer, head, 16);
        for member in &all[..2] {
            for token in visible_top(member, layer, head, 8) {
                assert!(top.contains(&token), "{}: token {token}", member.label());
            }
        }
    }
}

#[test]
fn a_union_by_rows_takes_rows_only() {
    for member in ["tova", "h2o", "expected", "streaming", "knorm", "random"] {
        let label = format!("union:of=last:8+{member}");
        let error = parse_window(&label.parse().unwrap()).err().unwrap();
        assert!(error.to_string().contains("by=best-rank"), "{error}");
    }
}

#[test]
fn a_draft_on_a_full_cache_or_by_the_model_itself_is_the_decode_stage() {
    let model = demo_model();
    let labels = [
        "draft:n=8,w=0,budget=100%",
        "draft:n=8,w=0,model=demo",
        "draft:n=8,w=4,model=demo",
    ];
    let (prefilled, oracle, drafts) = observed(&model, &labels);
    for draft in &drafts[..2] {
        assert_eq!(draft.token_ids(), oracle.token_ids());
        let difference = largest_difference(&values(queries(draft)), &values(queries(&oracle)));
        assert!(
            difference <= query_tolerance(&oracle),
            "{}: {difference}",
            draft.label()
        );
    }
    let with_prompt_rows = queries(&drafts[2]).narrow(2, 4, 8).unwrap();
    assert_eq!(values(&with_prompt_rows), values(queries(&drafts[1])));
    let tokens = prefilled.prompt_tokens();
    // the draft itself, and the model's own pass over it
    assert_eq!(drafts[0].cost().extra_tokens, 16);
    assert_eq!(drafts[1].cost().extra_tokens, tokens + 16);
}

#[test]
fn a_drafting_model_must_speak_the_same_tokens() {
    let model = demo_model();
    let path = crate::common::fixtures().join("llama-gqa-untied");
    let label = format!("draft:model={}", path.display());
    let draft = kvlens_sessions::windows::parse_window(&label.parse().unwrap()).unwrap();
    let error = draft.ready(&model).err().unwrap().to_string();
    assert!(error.contains("another vocabulary"), "{error}");
}

#[test]
fn chance_repeats_with_its_seed_and_changes_with_seed_and_prompt() {
    let model = demo_model();
    let labels = [
        "random",
        "random:seed=0",
        "random:seed=1",
        "dapq:content=random",
    ];
    let (prefilled, _, all) = observed(&model, &labels);
    let drawn = |index: usize| scores(&model, &prefilled, &all[index]);
    assert_eq!(drawn(0), drawn(1));
    assert_ne!(drawn(0), drawn(2));
    assert_eq!(all[0].score_kind(), ScoreKind::Random);
    let other = prefill(&model, &[1, 2, 3], &[]).prompt_tokens();
    assert_eq!(other, 3);
    let mut shorter = prefill(&model, &prompt_ids(&model)[..40], &[]);
    let random = observe(&window("random", &model), &model, &mut shorter);
    assert_ne!(scores(&model, &shorter, &random)[..40], drawn(0)[..40]);
    assert_eq!(all[3].token_ids().len(), 32);
}

/// The shares that the rows of a window pay sum to the rows; H2O's columns to T for every head.
#[test]
fn accumulated_attention_adds_up_to_one_for_every_row() {
    let model = demo_model();
    let (prefilled, _, all) = observed(&model, &["h2o", "tova"]);
    let tokens = prefilled.prompt_tokens();
    for (index, rows) in [(0, tokens as f64), (1, 1.0)] {
        for head in scores(&model, &prefilled, &all[index]).chunks_exact(tokens) {
            let sum: f64 = head.iter().map(|&score| f64::from(score)).sum();
            assert!(
                (sum - rows).abs() < 1e-4 * rows,
                "{sum} where {rows} rows paid 1"
            );
        }
    }
}

/// Over a prompt of several prefill chunks the sums are those of a window of all its rows.
#[test]
fn accumulated_attention_goes_on_over_chunks() {
    let model = demo_model();
    let prompt = &demo_samples("demo:length=1024,question=end,samples=1")[0].prompt;
    let ids = model.encode_prompt(prompt, None).unwrap().ids;
    assert!(ids.len() > 512);
    let (h2o, all_rows) = (
        window("h2o", &model),
        window(&format!("last:{}", ids.len()), &model),
    );
    let mut prefilled = prefill(&model, &ids, &[&h2o, &all_rows]);
    let sums = observe(&h2o, &model, &mut prefilled);
    let all_rows = observe(&all_rows, &model, &mut prefilled);
    let keys = prefilled.keys_for_scoring(&model).unwrap();
    let plain = |observation| {
        keys.importance(
            observation,
            SideScoring::of(sums.scoring(), Default::default()),
        )
    };
    let (sums, expected) = (plain(&sums).unwrap(), plain(&all_rows).unwrap());
    for (layer, head) in [(0, 0), (1, 3), (3, 2)] {
        let difference = largest_difference(sums.head(layer, head), expected.head(layer, head));
        let largest = expected
            .head(layer, head)
            .iter()
            .fold(0.0_f32, |a, &b| a.max(b));
        assert!(
            difference <= TOLERANCE * largest,
            "layer {layer}: {difference} of {largest}"
        );
    }
}

#[test]
fn a_short_prompt_is_observed_by_every_window() {
    let model = demo_model();
    let ids = model
        .encode_prompt("Nobody was in a hurry.", None)
        .unwrap()
        .ids;
    assert!(ids.len() < 16);
    let decode = decode(3);
    let kinds = kvlens_sessions::windows::registered().iter();
    for kind in kinds.filter(|kind| kind.in_all) {
        for tokens in [1, 2, 4, 5, ids.len()] {
            let window = window(kind.name, &model);
            let mut prefilled = prefill(&model, &ids[..tokens], &[&decode, &window]);
            observe(&decode, &model, &mut prefilled);
            let observation = observe(&window, &model, &mut prefilled);
            let scores = scores(&model, &prefilled, &observation);
            assert!(
                scores.iter().all(|score| score.is_finite()),
                "{}, {tokens} tokens",
                kind.name
            );
        }
    }
}

#[test]
fn costs_follow_from_the_shapes() {
    let model = demo_model();
    let labels = [
        "last:32",
        "laq:n=4,budget=64",
        "dapq:n=16",
        "streaming",
        "h2o",
    ];
    let (prefilled, _, all) = observed(&model, &labels);
    let (config, tokens) = (model.config(), prefilled.prompt_tokens());
    let extra: Vec<usize> = all
        .iter()
        .map(|window| window.cost().extra_tokens)
        .collect();
    assert_eq!(extra, [0, 4, 16, 0, 0]);
    assert_eq!(all[0].cost().flops, config.scoring_flops(32, tokens));
    let laq = config.scoring_flops(32, tokens)
        + config.forward_flops(4, 64, 3)
        + config.scoring_flops(4, tokens);
    assert_eq!(all[1].cost().flops, laq);
    // keys and values of 64 kept and 4 decoded tokens for each of the H query heads, in f32
    let cache = 2 * config.layers * config.query_heads * config.head_dim * 68 * 4;
    let rows_of_laq = config.layers * config.query_heads * 4 * (config.head_dim + 1) * 4;
    assert_eq!(all[1].cost().peak_bytes, cache + rows_of_laq);
    assert_eq!(all[3].cost().flops, 0.0);
    assert_eq!(all[4].cost().rows, tokens);
}

/// On a long prompt scoring is the longest part of a window that looks at no new token.
#[test]
fn a_raised_flag_ends_the_scoring_of_every_window_that_scores() {
    let model = demo_model();
    let labels = [
        "tova",
        "knorm",
        "expected",
        "union:by=best-rank,of=last:8+h2o",
        "laq",
        "draft",
    ];
    let windows: Vec<_> = labels.iter().map(|label| window(label, &model)).collect();
    let references: Vec<_> = windows.iter().collect();
    let mut prefilled = prefill(&model, &prompt_ids(&model), &references);
    let cancel = CancelFlag::default();
    cancel.cancel();
    let keys = prefilled
        .keys_for_scoring(&model)
        .unwrap()
        .stopped_by(&cancel);
    for window in &windows {
        let mut control = RunControl {
            cancel: &cancel,
            on_tokens: &mut |_, _| {},
        };
        let stopped = window.observe(&model, &mut prefilled, &mut control);
        assert!(
            matches!(stopped, Err(SessionError::Cancelled)),
            "{}",
            window.label()
        );
    }
    let last = window("last:8", &model);
    let observed = observe(&last, &model, &mut prefilled);
    let stopped = keys.importance(
        &observed,
        SideScoring::of(observed.scoring(), observed.forced_keep()),
    );
    assert!(matches!(stopped, Err(SessionError::Cancelled)));
}
