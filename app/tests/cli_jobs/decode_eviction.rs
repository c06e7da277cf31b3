//! `kvlens measure --also decode-eviction`: how well the cache is ranked while it decodes.

use std::collections::BTreeMap;
use std::path::Path;

use crate::support::{numbers, read_table, run, run_ok, texts};

const STEPS: usize = 24;
const EVERY: usize = 8;

fn capture(folder: &Path, keep: &str) {
    let steps = STEPS.to_string();
    let out = format!("{keep}.kvlens");
    let capture = [
        "capture",
        "--model",
        "demo",
        "--data",
        "demo:samples=2,length=512",
        "--windows",
        "last:8",
        "h2o",
        "--decode",
        &steps,
        "--ignore-eos",
        "--keep",
        keep,
        "--out",
        &out,
    ];
    run_ok(folder, &capture);
}

fn measure<'a>(session: &'a str, out: &'a str, every: &'a str) -> Vec<&'a str> {
    let also = ["--also", "decode-eviction", "--rank-every", every];
    [
        &["measure", session, "--out", out, "--budgets", "16,10%,900"],
        &also[..],
    ]
    .concat()
}

#[test]
fn the_cache_is_ranked_every_few_steps_and_held_against_later_ones() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    capture(at, "keys,decode");
    let every = EVERY.to_string();
    let ran = run_ok(at, &measure("keys,decode.kvlens", "t", &every));
    for said in [
        "Ranking the cache every 8 steps while it decodes",
        "the next step",
        "the next 8 steps",
        "all steps to the end",
        "accumulated",
    ] {
        assert!(ran.stdout.contains(said), "{said}: {}", ran.stdout);
    }
    let table = read_table(&at.join("t"), "decode_eviction.parquet");
    let (samples, rankings) = (texts(&table, "sample"), texts(&table, "window"));
    let (layers, heads) = (numbers(&table, "layer"), numbers(&table, "head"));
    let (steps, horizons) = (numbers(&table, "step"), texts(&table, "horizon"));
    let (horizon_steps, budgets) = (numbers(&table, "horizon_steps"), texts(&table, "budget"));
    let (cached, prompts) = (
        numbers(&table, "cached_tokens"),
        numbers(&table, "prompt_tokens"),
    );
    let tokens = numbers(&table, "budget_tokens");
    let [recall, mass, most] =
        ["recall", "mass", "most_mass"].map(|column| table.numbers(column).unwrap());
    let shares = numbers(&table, "cached_share");

    // 2 samples, 4 layers of 4 heads, 7 rankings, 3 horizons after 8 and after 16 steps, 3 budgets
    let all_heads = (layers.iter().fold(0.0_f64, |a, &b| a.max(b)) + 1.0)
        * (heads.iter().fold(0.0_f64, |a, &b| a.max(b)) + 1.0);
    assert_eq!(table.rows(), 2 * all_heads as usize * 7 * 3 * 2 * 3);
    let mut rest: BTreeMap<String, (f64, f64)> = BTreeMap::new();
    let mut chance = (0.0, 0.0, 0.0);
    for row in 0..table.rows() {
        assert_eq!(cached[row], prompts[row] + steps[row]);
        assert!(shares[row] > 0.0 && shares[row] <= 1.0 + 1e-6);
        let (Some(recall), Some(mass), Some(most)) = (recall[row], mass[row], most[row]) else {
            assert_eq!(
                budgets[row], "900",
                "only a budget that is no question is undefined"
            );
            assert!(tokens[row] >= cached[row]);
            continue;
        };
        assert!((0.0..=1.0).contains(&recall));
        assert!(mass >= 0.0 && mass <= most + 1e-9 && most <= 1.0 + 1e-9);
        if budgets[row] == "10%" {
            assert_eq!(tokens[row], (0.1 * cached[row]).round());
        }
        if rankings[row] == "random" {
            chance.0 += recall;
            chance.1 += tokens[row] / cached[row];
            chance.2 += 1.0;
        }
        // after 16 of 24 steps the next 8 are all that is left
        if steps[row] == 16.0 && horizon_steps[row] == 8.0 {
            let key = [&samples[row], &rankings[row], &budgets[row]]
                .map(String::as_str)
                .join(" ");
            let key = format!("{key} {} {}", layers[row], heads[row]);
            match rest.insert(key, (recall, mass)) {
                Some(other) => assert_eq!(other, (recall, mass), "{}", horizons[row]),
                None => continue,
            }
        }
    }
    assert_eq!(rest.len(), 2 * all_heads as usize * 7 * 2);
    let (found, expected) = (chance.0 / chance.2, chance.1 / chance.2);
    assert!(
        (found - expected).abs() < 0.03,
        "chance: {found} where {expected} was expected"
    );

    let figure = [
        "figure",
        "keys,decode.kvlens",
        "--kind",
        "decode-eviction",
        "--budget",
        "16",
    ];
    let more = ["--rank-every", &every, "--out", "f.svg"];
    run_ok(at, &[&figure[..], &more].concat());
    let drawn = std::fs::read_to_string(at.join("f.svg")).unwrap();
    assert!(drawn.contains("to the next ranking") && drawn.contains("accumulated"));
}

#[test]
fn what_a_session_or_a_stage_lacks_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    capture(at, "keys");
    let ran = run(at, &measure("keys.kvlens", "refused", "8"));
    assert_ne!(ran.code, 0);
    assert!(ran.stderr.contains("--keep keys,decode"), "{}", ran.stderr);
    assert!(!at.join("refused").exists());

    capture(at, "keys,values");
    let ran = run_ok(at, &measure("keys,values.kvlens", "t", "24"));
    assert!(
        ran.stderr.contains("give a smaller --rank-every"),
        "{}",
        ran.stderr
    );
    assert_eq!(
        read_table(&at.join("t"), "decode_eviction.parquet").rows(),
        0
    );
    assert!(!ran.stdout.contains("Ranking the cache"), "{}", ran.stdout);
}
