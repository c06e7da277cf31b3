//! What a capture keeps, with every window that a model has: device against processor, in the same format.

use kvlens_analysis::{Compare, ForcedKeep, OracleTops, ScoringOverrides};
use serde_json::json;

use super::parity::{PROMPT, attention, sources};
use super::stage::{Findings, bound_of_layers, numbers};
use super::{DeviceCheckPlan, reference};
use crate::model::{DtypeChoice, Model, ModelSource};
use crate::plan::DecodePlan;
use crate::prefill::{Needs, Prefilled};
use crate::windows::{Decode, ReadyWindow, expand_all, parse_windows};
use crate::{Evidence, SessionError};

/// Tokens of the decode stage.
const DECODED: usize = 8;

/// Windows besides those that `all` stands for.
const MORE: [&str; 2] = ["dapq:n=8,content=decode", "draft:n=8"];

/// What one window gave.
struct Seen {
    label: String,
    token_ids: Vec<u32>,
    /// Queries and log-sum-exps, or ready-made scores.
    numbers: Vec<(&'static str, Vec<f32>)>,
    /// The largest distance from 1 of what a row that sees prompt tokens alone gives them.
    off_one: Option<f32>,
    /// Mean over layers and heads at each budget.
    recall: Vec<f64>,
}

fn windows(model: &Model) -> Result<Vec<ReadyWindow>, SessionError> {
    let mut labels = expand_all(&["all".to_owned()], model.source());
    labels.extend(MORE.map(str::to_owned));
    let decode = Decode::generated(DecodePlan {
        max_tokens: DECODED,
        ignore_eos: true,
        ..DecodePlan::default()
    });
    let others = parse_windows(&labels)?.into_iter();
    let others = others.map(|window| window.ready(model));
    std::iter::once(Ok(decode)).chain(others).collect()
}

/// Every window on one prefill, the decode stage first.
fn run(model: &Model, findings: &Findings<'_>) -> Result<Vec<Seen>, SessionError> {
    let ids = model.encode_prompt(PROMPT, None)?.ids;
    let windows: Vec<ReadyWindow> = windows(model)?
        .into_iter()
        .filter(|window| window.check_prompt(ids.len()).is_ok())
        .collect();
    let needs = windows
        .iter()
        .fold(Needs::default(), |needs, window| needs.and(&window.needs()));
    let scoring = Compare::Queries.truth(ScoringOverrides::default());
    let budgets = [ids.len() / 10, ids.len() / 4];
    findings.with_control(|control| {
        let mut prefilled = Prefilled::run(model, &ids, &needs, control)?;
        let keys = prefilled.keys_for_scoring(model)?;
        let mut truth = None;
        let mut seen = Vec::new();
        for window in &windows {
            let observation = window.observe(model, &mut prefilled, control)?;
            let importance = keys.importance(&observation, scoring)?;
            if truth.is_none() {
                truth = Some(OracleTops::of(
                    &importance,
                    ForcedKeep::default(),
                    &budgets,
                )?);
            }
            let recall = truth
                .as_ref()
                .map_or(Ok(Vec::new()), |truth| truth.recall_by_head(&importance))?;
            let in_prompt = observation.rows_in_prompt(ids.len()) == observation.rows();
            let attention = attention(&keys, &observation)?;
            seen.push(Seen {
                label: window.label().to_owned(),
                token_ids: observation.token_ids().to_vec(),
                numbers: match observation.evidence() {
                    Evidence::Queries(rows) => vec![
                        ("queries", rows.values()?),
                        ("log-sum-exps", numbers(rows.log_sum_exp())?),
                    ],
                    Evidence::Scores(scores) => vec![("scores", numbers(scores.tensor())?)],
                    // here every key is kept
                    Evidence::Reduced(_) => Vec::new(),
                },
                off_one: in_prompt.then(|| off_one(&attention, ids.len())),
                recall: mean_by_budget(&recall, budgets.len()),
            });
        }
        Ok(seen)
    })
}

fn off_one(attention: &[f32], prompt_tokens: usize) -> f32 {
    attention
        .chunks_exact(prompt_tokens)
        .map(|row| (row.iter().sum::<f32>() - 1.0).abs())
        .fold(0.0, f32::max)
}

fn mean_by_budget(by_head: &[Vec<f64>], budgets: usize) -> Vec<f64> {
    let of = |budget: usize| {
        let heads = by_head.iter().filter_map(|recall| recall.get(budget));
        let heads: Vec<f64> = heads.copied().filter(|recall| !recall.is_nan()).collect();
        heads.iter().sum::<f64>() / heads.len().max(1) as f64
    };
    (0..budgets).map(of).collect()
}

/// The built-in model, and of the small ones the first and the last folder.
fn models(plan: &DeviceCheckPlan) -> Result<Vec<ModelSource>, SessionError> {
    let sources = sources(plan.fixtures.as_deref())?.into_iter();
    let folders: Vec<ModelSource> = sources
        .filter(|source| matches!(source, ModelSource::Folder(_)))
        .collect();
    let mut models = vec![ModelSource::Demo];
    models.extend(folders.first().cloned());
    models.extend(folders.last().filter(|_| folders.len() > 1).cloned());
    Ok(models)
}

pub(super) fn check(
    plan: &DeviceCheckPlan,
    findings: &mut Findings<'_>,
) -> Result<(), SessionError> {
    for source in models(plan)? {
        for &format in &plan.formats {
            findings.cancel.check()?;
            let expected = run(&reference(&source, format)?, findings)?;
            let found = run(&plan.model(&source, format)?, findings)?;
            for (found, expected) in found.iter().zip(&expected) {
                let what = format!("{source} in {format}, {}", found.label);
                compare(&what, format, found, expected, findings);
            }
        }
    }
    Ok(())
}

fn compare(
    what: &str,
    format: DtypeChoice,
    found: &Seen,
    expected: &Seen,
    findings: &mut Findings<'_>,
) {
    if let Some(off) = found.off_one.filter(|&off| off.is_nan() || off > 1e-4) {
        findings.failed(format!("{what}: a row gives {off} more or less than 1"));
    }
    if found.token_ids != expected.token_ids {
        // of two logits that are alike to a roundoff another one may be the largest
        match format {
            DtypeChoice::F32 | DtypeChoice::Auto => {
                findings.failed(format!("{what}: other tokens than the processor's"));
            }
            DtypeChoice::Bf16 | DtypeChoice::F16 => {
                findings.measured(json!({"what": what, "tokens": "other ones"}));
            }
        }
        return;
    }
    for ((name, found), (_, expected)) in found.numbers.iter().zip(&expected.numbers) {
        findings.compare(
            &format!("{what}: {name}"),
            found,
            expected,
            bound_of_layers(format),
        );
    }
    // told and not held: a score that is off by a roundoff changes places with another, which in one head is a third of
    // the smallest budget of so short a prompt
    let distances = found
        .recall
        .iter()
        .zip(&expected.recall)
        .map(|(a, b)| (a - b).abs());
    let distance = distances.fold(0.0, f64::max);
    findings.measured(json!({"what": what, "recall": found.recall, "off_by": distance}));
}
