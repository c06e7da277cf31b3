//! Continuations on evicted caches whose heads keep different numbers of tokens, or nothing: device against processor.

use serde_json::json;

use super::parity::PROMPT;
use super::stage::{Findings, bound_of_layers};
use super::{DeviceCheckPlan, reference};
use crate::SessionError;
use crate::fidelity::{ContinuationPlan, FidelityTest};
use crate::model::{DtypeChoice, Evicted, Model, ModelSource};

/// What a head keeps, from its number and T.
type KeptTokens = fn(usize, usize) -> Vec<u32>;

/// Tokens of each head: all, some of them, one more for every head, none.
const EVICTIONS: [(&str, KeptTokens); 4] = [
    ("everything kept", |_, tokens| (0..tokens as u32).collect()),
    ("every third token kept", |_, tokens| {
        (0..tokens as u32).step_by(3).collect()
    }),
    ("heads that keep unequally many", |head, tokens| {
        (0..tokens as u32).take(head * 5 % tokens).collect()
    }),
    ("nothing kept", |_, _| Vec::new()),
];

type LogitsAndIds = (Vec<f32>, Vec<u32>);

/// Logits of the steps after each eviction, with the tokens of a free generation.
fn run(model: &Model, findings: &Findings<'_>) -> Result<Vec<LogitsAndIds>, SessionError> {
    let ids = model.encode_prompt(PROMPT, None)?.ids;
    let plan = ContinuationPlan {
        step_ids: ids.iter().copied().take(6).collect(),
        most_tokens: 6,
        ignore_eos: true,
        ..ContinuationPlan::default()
    };
    let config = model.config();
    findings.with_control(|control| {
        let mut test = FidelityTest::begin(model, &ids, plan, control)?;
        EVICTIONS
            .iter()
            .map(|(_, kept)| {
                let of_layer = |_| (0..config.query_heads).map(|head| kept(head, ids.len()));
                let kept = (0..config.layers).map(|layer| of_layer(layer).collect());
                let evicted = Evicted::new(kept.collect(), ids.len())?;
                let continued = test.evicted(evicted, control)?;
                Ok((continued.steps().concat(), continued.generated_ids.clone()))
            })
            .collect()
    })
}

pub(super) fn check(
    plan: &DeviceCheckPlan,
    findings: &mut Findings<'_>,
) -> Result<(), SessionError> {
    let mut sources = vec![ModelSource::Demo];
    // a sliding window counts positions, which gaps do not change
    let sliding = plan
        .fixtures
        .as_ref()
        .map(|folder| folder.join("mistral-swa64-untied"));
    sources.extend(
        sliding
            .filter(|folder| folder.is_dir())
            .map(ModelSource::Folder),
    );
    for source in sources {
        for &format in &plan.formats {
            findings.cancel.check()?;
            let expected = run(&reference(&source, format)?, findings)?;
            let found = run(&plan.model(&source, format)?, findings)?;
            for ((name, _), (found, expected)) in EVICTIONS.iter().zip(found.iter().zip(&expected))
            {
                let what = format!("{source} in {format}, {name}");
                findings.compare(&what, &found.0, &expected.0, bound_of_layers(format));
                let same = found.1 == expected.1;
                findings.measured(json!({"what": what, "same_generation": same}));
                if !same && format == DtypeChoice::F32 {
                    findings.failed(format!("{what}: another generation than the processor's"));
                }
            }
        }
    }
    Ok(())
}
